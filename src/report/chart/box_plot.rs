//! Box plots: the times of one query as a box for each source, lying below each other.

use plotters::style::Color;

use super::ChartError;
use super::SourceKey;
use super::axis::Axis;
use super::axis::Scale;
use super::axis::is_drawable;
use super::canvas::Canvas;
use super::font::Face;
use super::frame::BASE;
use super::frame::LINE;
use super::frame::Legend;
use super::frame::Mark;
use super::frame::PAD;
use super::frame::paint_bar;
use super::frame::paint_empty;
use super::frame::paint_title;
use super::numerals::Unit;
use super::numerals::as_count;
use super::numerals::as_f64;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Marker;
use super::painter::Painter;
use super::painter::Rect;
use super::palette::Inks;
use super::palette::source;

/// The longest label of a box.
const MAX_LABEL: f64 = 220.0;
const HIGHEST: f64 = 2_400.0;

/// A box for each source.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxChart {
    pub title: String,
    pub unit: Unit,
    pub scale: Scale,
    pub boxes: Vec<BoxOf>,
}

/// The numbers of one source, in the unit of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxOf {
    pub source: SourceKey,
    /// `None` where there are too few numbers; the points are drawn all the same.
    pub shape: Option<BoxShape>,
    /// What lies beyond the whiskers, or everything where there is no box.
    pub points: Vec<f64>,
    /// Where the clock was stopped, for each trial that ran into it: a cross.
    pub timeouts: Vec<f64>,
}

/// The five numbers of a box, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxShape {
    pub low: f64,
    pub first_quartile: f64,
    pub median: f64,
    pub third_quartile: f64,
    pub high: f64,
}

impl BoxChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self.values().next().is_none() {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &layout.axis.title(&self.title), canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_axis(painter)?;
            let mut rows = self.boxes.iter().enumerate();
            rows.try_for_each(|(row, numbers)| layout.paint_row(painter, row, numbers))
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let width = 880.0;
        let legend = Legend::new(Face::get()?, &self.legend_entries(), width, f64::INFINITY);
        let rows = (as_f64(self.boxes.len()) * 36.0).max(72.0);
        let height = legend.bottom + rows + 2.0 * LINE + PAD;
        Ok((whole(width), whole(height.min(HIGHEST))))
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let of_box = |numbers: &BoxOf| {
            let ends = numbers.shape.map(|shape| [shape.low, shape.high]);
            let loose = numbers.points.iter().chain(&numbers.timeouts).copied();
            ends.into_iter().flatten().chain(loose).collect::<Vec<f64>>()
        };
        let values = self.boxes.iter().flat_map(of_box);
        values.filter(|value| is_drawable(*value))
    }

    fn legend_entries(&self) -> Vec<(Mark, String)> {
        let mut entries = vec![
            (Mark::Nothing, "box: the middle half, line: median".to_owned()),
            (Mark::Whisker, "up to 1.5 boxes away".to_owned()),
        ];
        if self.boxes.iter().any(|numbers| !numbers.timeouts.is_empty()) {
            entries.push((Mark::Cross, "timed out: at least this long".to_owned()));
        }
        entries
    }
}

/// Every place of the chart, in CSS pixels.
struct Layout {
    legend: Legend,
    plot: Rect,
    axis: Axis,
    row_height: f64,
    label_room: f64,
}

impl Layout {
    fn new(chart: &BoxChart, face: &Face, width: f64, height: f64) -> Self {
        let legend = Legend::new(face, &chart.legend_entries(), width, height * 0.35);
        let widest = chart.boxes.iter().map(|numbers| face.width(&numbers.source.label));
        let label_room = widest.fold(0.0, f64::max).min(MAX_LABEL).min(width * 0.4);
        let left = (PAD + label_room + 10.0).round();
        let axis = Axis::new(
            chart.scale,
            chart.unit,
            chart.values(),
            as_count((width - left) / 90.0).max(2),
        );
        let plot = Rect {
            left,
            top: legend.bottom.round(),
            right: (width - PAD - axis.widest_tick(face) / 2.0).round().max(left + 8.0),
            bottom: (height - PAD - LINE).round().max(legend.bottom + 8.0),
        };
        Self {
            row_height: plot.height() / as_f64(chart.boxes.len().max(1)),
            legend,
            plot,
            axis,
            label_room,
        }
    }

    fn x(&self, value: f64) -> f64 {
        self.plot.left + self.axis.position(value) * self.plot.width()
    }

    /// The middle of a row.
    fn y(&self, row: usize) -> f64 {
        self.plot.top + (as_f64(row) + 0.5) * self.row_height
    }

    fn paint_axis(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let plot = self.plot;
        let Inks { axis, grid, muted, .. } = painter.inks;
        for tick in self.axis.ticks() {
            let x = self.x(tick.value);
            painter.post(x - 0.5, plot.top, plot.bottom, grid)?;
            painter.text(&tick.label, (x, plot.bottom + LINE - 2.0), Align::Centre, muted)?;
        }
        painter.rule(plot.left, plot.right, plot.bottom, axis)
    }

    fn paint_row(&self, painter: &mut Painter<'_>, row: usize, numbers: &BoxOf) -> Result<(), ChartError> {
        let (y, colour_idx) = (self.y(row), numbers.source.colour);
        let (ink, text) = (source(colour_idx, painter.theme), painter.inks.text);
        let label = Face::get()?.shorten(&numbers.source.label, self.label_room);
        painter.text(&label, (self.plot.left - 10.0, y + BASE), Align::Right, text)?;
        let half = (self.row_height * 0.3).min(11.0);
        if let Some(shape) = numbers.shape {
            let (from, to) = (self.x(shape.first_quartile), self.x(shape.third_quartile));
            for (end, edge) in [(shape.low, from), (shape.high, to)] {
                let x = self.x(end);
                painter.stroke((x, y), (edge, y), 1.25, ink.mix(1.0))?;
                painter.stroke((x, y - half * 0.6), (x, y + half * 0.6), 1.25, ink.mix(1.0))?;
            }
            let rect = Rect {
                left: from,
                top: y - half,
                right: to.max(from + 1.0),
                bottom: y + half,
            };
            paint_bar(painter, rect, colour_idx)?;
            // On the colour of its box and beyond it, so that it is seen on both.
            let (median, background) = (self.x(shape.median), painter.inks.background);
            painter.stroke((median, y - half), (median, y + half), 4.0, background.mix(1.0))?;
            painter.stroke((median, y - half - 3.0), (median, y + half + 3.0), 1.75, text.mix(1.0))?;
        }
        for value in numbers.points.iter().filter(|value| is_drawable(**value)) {
            painter.marker(Marker::of_source(colour_idx), (self.x(*value), y), 3.0, ink)?;
        }
        let mut timeouts = numbers.timeouts.iter().filter(|value| is_drawable(**value));
        timeouts.try_for_each(|limit| painter.cross((self.x(*limit), y), ink))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    const SHAPE: BoxShape = BoxShape {
        low: 10.0,
        first_quartile: 20.0,
        median: 25.0,
        third_quartile: 40.0,
        high: 60.0,
    };

    fn chart(boxes: Vec<BoxOf>) -> BoxChart {
        BoxChart {
            title: "execution time".to_owned(),
            unit: Unit::Milliseconds,
            scale: Scale::Linear,
            boxes,
        }
    }

    fn box_of(colour: usize, shape: Option<BoxShape>, points: &[f64], timeouts: &[f64]) -> BoxOf {
        BoxOf {
            source: SourceKey {
                label: format!("source {colour}"),
                colour,
            },
            shape,
            points: points.to_vec(),
            timeouts: timeouts.to_vec(),
        }
    }

    #[test]
    fn boxes_lie_below_each_other_and_reach_as_far_as_their_numbers() {
        let chart = chart(vec![
            box_of(0, Some(SHAPE), &[], &[]),
            box_of(1, Some(SHAPE), &[90.0], &[]),
        ]);
        let layout = Layout::new(&chart, Face::get().unwrap(), 880.0, 240.0);
        assert!(layout.y(0) + layout.row_height <= layout.y(1) + 1e-9);
        assert!(layout.y(1) + layout.row_height / 2.0 <= layout.plot.bottom + 1e-9);
        assert!((layout.x(0.0) - layout.plot.left).abs() < 1e-9);
        assert!((layout.x(50.0) - f64::midpoint(layout.plot.left, layout.plot.right)).abs() < 1e-9);
    }

    #[test]
    fn timeouts_are_explained_where_there_are_some() {
        let marks = |timeouts: &[f64]| {
            let chart = chart(vec![box_of(0, Some(SHAPE), &[], timeouts)]);
            chart.legend_entries().iter().any(|(mark, _)| *mark == Mark::Cross)
        };
        assert!(marks(&[1000.0]) && !marks(&[]));
    }

    #[test]
    fn whatever_the_data_a_picture_of_the_recommended_size_comes_out() {
        for boxes in [
            vec![],
            vec![box_of(0, None, &[], &[])],
            vec![box_of(0, None, &[f64::NAN, 3.0], &[]), box_of(9, Some(SHAPE), &[], &[])],
            vec![box_of(0, Some(SHAPE), &[0.0, -1.0, 1e17], &[60_000.0]); 200],
        ] {
            for scale in [Scale::Linear, Scale::Log] {
                let chart = BoxChart {
                    scale,
                    ..chart(boxes.clone())
                };
                let (width, height) = chart.default_size().unwrap();
                let canvas = Canvas {
                    width,
                    height,
                    scale: 1,
                    theme: Theme::Light,
                };
                assert_eq!(png_size(&chart.draw(&canvas).unwrap()), (width, height));
            }
        }
    }
}
