//! Line charts: a number of each round, one line for each source. Where there are more rounds than pixels, each column
//! of pixels shows its lowest, its middle and its highest number, so that no extreme is lost.

mod layout;

use plotters::style::Color;

use self::layout::Layout;
use self::layout::PlacedLine;
use super::ChartError;
use super::SourceKey;
use super::axis::Scale;
use super::axis::is_drawable;
use super::axis::round_ticks;
use super::canvas::Canvas;
use super::font::Face;
use super::frame::BAND_OPACITY;
use super::frame::BASE;
use super::frame::LINE;
use super::frame::Legend;
use super::frame::Mark;
use super::frame::PAD;
use super::frame::paint_dashes;
use super::frame::paint_empty;
use super::frame::paint_title;
use super::numerals::Unit;
use super::numerals::as_count;
use super::numerals::duration;
use super::numerals::grouped;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Marker;
use super::painter::Painter;
use super::painter::Rect;
use super::palette::Inks;
use super::palette::source;

/// A number of each round under each source.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What is shown, without its unit: "execution time".
    pub y_title: String,
    pub unit: Unit,
    pub scale: Scale,
    /// What is counted along the axis: "round".
    pub x_title: String,
    pub series: Vec<Series>,
    /// Where the clock was stopped, in milliseconds. Shown where something ran into it or came near.
    pub limit_ms: Option<f64>,
}

/// The numbers of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub source: SourceKey,
    /// Round, counted from 1, and its number, in any order; numbers that are not finite are left out. The line is broken
    /// where a round is missing.
    pub points: Vec<(u32, f64)>,
    /// Rounds in which the clock ran out: a cross at the limit.
    pub timeouts: Vec<u32>,
    /// Rounds during which something else was seen at work: an arrow's head at the foot of the plot.
    pub disturbed: Vec<u32>,
}

impl LineChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self.drawable_values().next().is_none() && self.n_crossed() == 0 {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &layout.title, canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_axes(painter, &self.x_title)?;
            layout.lines.iter().try_for_each(|line| line.paint(painter))?;
            layout.paint_limit(painter)?;
            layout.lines.iter().try_for_each(|line| line.paint_marks(painter))
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let width = 880.0;
        let legend = Legend::new(Face::get()?, &self.legend_entries(true), width, f64::INFINITY);
        Ok((whole(width), whole(legend.bottom + 300.0 + 2.0 * LINE + PAD)))
    }

    fn drawable_values(&self) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        points.map(|(_, value)| *value).filter(|value| is_drawable(*value))
    }

    /// How many sources ran into the limit.
    fn n_crossed(&self) -> usize {
        self.series.iter().filter(|series| !series.timeouts.is_empty()).count()
    }

    /// The limit, if something ran into it, or came so near that showing it leaves the lines their room.
    fn shown_limit(&self) -> Option<f64> {
        let highest = self.drawable_values().fold(0.0, f64::max);
        self.limit_ms
            .filter(|limit| is_drawable(*limit) && *limit > 0.0)
            .filter(|limit| self.n_crossed() > 0 || *limit <= highest * 1.5)
    }

    fn last_round(&self) -> u32 {
        let rounds = self.series.iter().flat_map(|series| {
            let points = series.points.iter().map(|(round, _)| *round);
            points.chain(series.timeouts.iter().chain(&series.disturbed).copied())
        });
        rounds.max().unwrap_or(1).max(1)
    }

    fn legend_entries(&self, is_dense: bool) -> Vec<(Mark, String)> {
        let lines = self.series.iter().map(|series| &series.source);
        let mut entries: Vec<(Mark, String)> = lines
            .map(|source| (Mark::Line(source.colour), source.label.clone()))
            .collect();
        if self.n_crossed() > 0 {
            entries.push((Mark::Cross, "timed out".to_owned()));
        }
        if self.series.iter().any(|series| !series.disturbed.is_empty()) {
            entries.push((Mark::Caret, "something else was at work".to_owned()));
        }
        if let Some(limit) = self.shown_limit() {
            entries.push((Mark::Limit, format!("limit {}", duration(limit))));
        }
        if is_dense {
            entries.push((Mark::Band, "band: lowest to highest, line: median".to_owned()));
        }
        entries
    }
}

impl Layout {
    fn paint_axes(&self, painter: &mut Painter<'_>, x_title: &str) -> Result<(), ChartError> {
        let (plot, face) = (self.plot, Face::get()?);
        let Inks { axis, grid, muted, .. } = painter.inks;
        for tick in self.axis.ticks() {
            let y = self.y(tick.value);
            painter.rule(plot.left, plot.right, y, grid)?;
            painter.text(&tick.label, (plot.left - 8.0, y + BASE), Align::Right, muted)?;
        }
        painter.rule(plot.left, plot.right, plot.bottom, axis)?;
        for round in round_ticks(self.last_round, as_count(plot.width() / 90.0)) {
            let x = self.x(round);
            painter.post(x - 0.5, plot.bottom, plot.bottom + 5.0, axis)?;
            let label = grouped(f64::from(round), 0);
            // The number of the last round would reach beyond the picture.
            let furthest = plot.right + PAD - 4.0 - face.width(&label) / 2.0;
            painter.text(&label, (x.min(furthest), plot.bottom + LINE), Align::Centre, muted)?;
        }
        let middle = f64::midpoint(plot.left, plot.right);
        let title = face.shorten(x_title, plot.width());
        painter.text(&title, (middle, plot.bottom + 2.0 * LINE), Align::Centre, muted)
    }

    fn paint_limit(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let Some(y) = self.limit_y else {
            return Ok(());
        };
        paint_dashes(painter, self.plot.left, self.plot.right, y)
    }
}

impl PlacedLine {
    fn paint(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let ink = source(self.colour_idx, painter.theme);
        for column in self.stretches.iter().flatten() {
            if column.lowest_y > column.highest_y {
                let band = Rect {
                    left: column.x - 0.5,
                    top: column.highest_y,
                    right: column.x + 0.5,
                    bottom: column.lowest_y,
                };
                painter.fill(band, ink.mix(BAND_OPACITY))?;
            }
        }
        for stretch in &self.stretches {
            if let [alone] = stretch.as_slice() {
                let at = (alone.x, alone.middle_y);
                painter.stroke(at, at, 2.5, ink.into())?;
            }
            for pair in stretch.windows(2) {
                let (from, to) = ((pair[0].x, pair[0].middle_y), (pair[1].x, pair[1].middle_y));
                painter.stroke(from, to, 1.75, ink.into())?;
            }
        }
        Ok(())
    }

    fn paint_marks(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let ink = source(self.colour_idx, painter.theme);
        for at in &self.markers {
            painter.marker(Marker::of_source(self.colour_idx), *at, 3.5, ink)?;
        }
        for at in &self.crosses {
            painter.cross(*at, ink)?;
        }
        for at in &self.carets {
            painter.caret(*at, ink)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    pub(super) fn series(points: Vec<(u32, f64)>, timeouts: Vec<u32>) -> Series {
        Series {
            source: SourceKey {
                label: "built_in".to_owned(),
                colour: 0,
            },
            points,
            timeouts,
            disturbed: Vec::new(),
        }
    }

    pub(super) fn chart(series: Vec<Series>) -> LineChart {
        LineChart {
            y_title: "execution time".to_owned(),
            unit: Unit::Milliseconds,
            scale: Scale::Linear,
            x_title: "round".to_owned(),
            series,
            limit_ms: Some(1_000.0),
        }
    }

    #[test]
    fn whatever_the_data_a_picture_of_the_asked_size_comes_out() {
        let canvas = Canvas {
            width: 400,
            height: 200,
            scale: 2,
            theme: Theme::Dark,
        };
        let strange = vec![(0, -5.0), (u32::MAX, 1e300), (7, 0.0), (u32::MAX, 1e17), (7, 1e-300)];
        for scale in [Scale::Linear, Scale::Log] {
            for lines in [
                vec![],
                vec![series(vec![], vec![])],
                vec![series(vec![(1, f64::NAN)], vec![])],
                vec![series(vec![], vec![0, 1, u32::MAX])],
                vec![series(strange.clone(), vec![3])],
                vec![series(vec![(1, 0.0)], vec![]), series(vec![(1, 5.0)], vec![1])],
            ] {
                for limit_ms in [None, Some(f64::NAN), Some(0.0), Some(30_000.0)] {
                    let chart = LineChart {
                        scale,
                        limit_ms,
                        ..chart(lines.clone())
                    };
                    let png = chart.draw(&canvas).unwrap();
                    assert_eq!(png_size(&png), (800, 400));
                }
            }
        }
    }
}
