//! Charts of odds: how often something happens, in percent with its interval, over a few settings side by side.

use plotters::style::Color;

use super::ChartError;
use super::SourceKey;
use super::canvas::Canvas;
use super::font::Face;
use super::frame::BASE;
use super::frame::LINE;
use super::frame::Legend;
use super::frame::Mark;
use super::frame::PAD;
use super::frame::paint_empty;
use super::frame::paint_title;
use super::numerals::as_f64;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Marker;
use super::painter::Painter;
use super::painter::Point;
use super::painter::Rect;
use super::palette::Inks;
use super::palette::source;

/// A share of each series under each setting.
#[derive(Clone, Debug, PartialEq)]
pub struct OddsChart {
    /// What happens: "Flip probability".
    pub y_title: String,
    /// What the settings are: "Statistics target".
    pub x_title: String,
    /// The settings from left to right.
    pub settings: Vec<String>,
    pub series: Vec<OddsSeries>,
}

/// The shares of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct OddsSeries {
    pub key: SourceKey,
    /// One for each setting; none where there is no share.
    pub shares: Vec<Option<Odds>>,
}

/// A share with its interval, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// Percent at which the axis has a tick.
const TICKS: [u32; 6] = [0, 20, 40, 60, 80, 100];
/// Between the points of two series over one setting, at most.
const DODGE: f64 = 14.0;

impl OddsChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self
            .series
            .iter()
            .all(|series| series.shares.iter().all(Option::is_none))
        {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &format!("{} (%)", self.y_title), canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_axes(painter, self)?;
            layout.series.iter().try_for_each(|series| series.paint(painter))
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let slot = (as_f64(self.series.len()) * DODGE * 1.4).max(110.0);
        let width = (as_f64(self.settings.len()) * slot + 96.0).clamp(480.0, 880.0);
        let legend = Legend::new(Face::get()?, &self.legend_entries(), width, f64::INFINITY);
        Ok((whole(width), whole(legend.bottom + 260.0 + 2.0 * LINE + PAD)))
    }

    fn legend_entries(&self) -> Vec<(Mark, String)> {
        let series = self.series.iter().map(|series| &series.key);
        let mut entries: Vec<(Mark, String)> = series.map(|key| (Mark::Line(key.colour), key.label.clone())).collect();
        entries.push((Mark::Whisker, "95 % interval".to_owned()));
        entries
    }
}

/// Where everything lies, in CSS pixels.
struct Layout {
    legend: Legend,
    plot: Rect,
    series: Vec<PlacedSeries>,
}

struct PlacedSeries {
    colour_idx: usize,
    /// The share, and the ends of its interval below each other.
    points: Vec<Option<(Point, f64, f64)>>,
}

impl Layout {
    fn new(chart: &OddsChart, face: &Face, width: f64, height: f64) -> Self {
        let legend = Legend::new(face, &chart.legend_entries(), width, height * 0.45);
        let left = (PAD + face.width("100") + 8.0).round();
        let plot = Rect {
            left,
            top: legend.bottom.round(),
            right: (width - PAD).round().max(left + 40.0),
            bottom: (height - PAD - 2.0 * LINE).round().max(legend.bottom + 8.0),
        };
        let slot = plot.width() / as_f64(chart.settings.len().max(1));
        let dodge = DODGE.min(slot * 0.7 / as_f64(chart.series.len().max(1)));
        let y = |share: f64| plot.bottom - share.clamp(0.0, 1.0) * plot.height();
        let series = chart.series.iter().enumerate().map(|(series_idx, series)| {
            let offset = (as_f64(series_idx) - (as_f64(chart.series.len()) - 1.0) / 2.0) * dodge;
            let points = series.shares.iter().enumerate().map(|(idx, share)| {
                let x = plot.left + (as_f64(idx) + 0.5) * slot + offset;
                share
                    .filter(|share| share.share.is_finite())
                    .map(|share| ((x, y(share.share)), y(share.low), y(share.high)))
            });
            PlacedSeries {
                colour_idx: series.key.colour,
                points: points.collect(),
            }
        });
        Self {
            series: series.collect(),
            legend,
            plot,
        }
    }

    fn paint_axes(&self, painter: &mut Painter<'_>, chart: &OddsChart) -> Result<(), ChartError> {
        let (plot, face) = (self.plot, Face::get()?);
        let Inks { axis, grid, muted, .. } = painter.inks;
        for tick in TICKS {
            let y = plot.bottom - f64::from(tick) / 100.0 * plot.height();
            painter.rule(plot.left, plot.right, y, grid)?;
            painter.text(&tick.to_string(), (plot.left - 8.0, y + BASE), Align::Right, muted)?;
        }
        painter.rule(plot.left, plot.right, plot.bottom, axis)?;
        let slot = plot.width() / as_f64(chart.settings.len().max(1));
        for (idx, setting) in chart.settings.iter().enumerate() {
            let x = plot.left + (as_f64(idx) + 0.5) * slot;
            let label = face.shorten(setting, slot - 4.0);
            painter.text(&label, (x, plot.bottom + LINE), Align::Centre, muted)?;
        }
        let middle = f64::midpoint(plot.left, plot.right);
        let title = face.shorten(&chart.x_title, plot.width());
        painter.text(&title, (middle, plot.bottom + 2.0 * LINE), Align::Centre, muted)
    }
}

impl PlacedSeries {
    fn paint(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let ink = source(self.colour_idx, painter.theme);
        for pair in self.points.windows(2) {
            if let [Some((from, ..)), Some((to, ..))] = pair {
                painter.stroke(*from, *to, 1.25, ink.mix(0.5))?;
            }
        }
        for ((x, y), low, high) in self.points.iter().flatten() {
            painter.stroke((*x, *low), (*x, *high), 1.25, ink.into())?;
            for end in [*low, *high] {
                painter.stroke((x - 3.0, end), (x + 3.0, end), 1.25, ink.into())?;
            }
            painter.marker(Marker::of_source(self.colour_idx), (*x, *y), 3.5, ink)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    fn chart(shares: Vec<Vec<Option<Odds>>>) -> OddsChart {
        let series = shares.into_iter().enumerate().map(|(colour, shares)| OddsSeries {
            key: SourceKey {
                label: format!("query {colour}"),
                colour,
            },
            shares,
        });
        OddsChart {
            y_title: "Flip probability".to_owned(),
            x_title: "Statistics target".to_owned(),
            settings: vec!["10".to_owned(), "100".to_owned()],
            series: series.collect(),
        }
    }

    fn share(share: f64) -> Odds {
        Odds {
            share,
            low: share / 2.0,
            high: f64::midpoint(share, 1.0),
        }
    }

    #[test]
    fn a_larger_share_lies_higher_inside_its_interval_and_series_stand_beside_each_other() {
        let chart = chart(vec![
            vec![Some(share(0.2)), Some(share(0.8))],
            vec![Some(share(0.2)), None],
        ]);
        let layout = Layout::new(&chart, Face::get().unwrap(), 480.0, 360.0);
        let [first, second] = layout.series.as_slice() else {
            panic!("two series");
        };
        let ((x, y), low, high) = first.points[0].unwrap();
        assert!(low > y && y > high && low <= layout.plot.bottom && high >= layout.plot.top);
        assert!(first.points[1].unwrap().0.1 < y);
        assert!(second.points[0].unwrap().0.0 > x && second.points[1].is_none());
    }

    #[test]
    fn whatever_the_shares_a_picture_of_the_asked_size_comes_out() {
        let canvas = Canvas {
            width: 300,
            height: 200,
            scale: 2,
            theme: Theme::Dark,
        };
        for shares in [
            vec![],
            vec![vec![None, None]],
            vec![vec![Some(share(f64::NAN)), Some(share(-3.0))]],
            vec![vec![Some(share(1e300)), Some(share(0.0))]; 20],
        ] {
            assert_eq!(png_size(&chart(shares).draw(&canvas).unwrap()), (600, 400));
        }
    }
}
