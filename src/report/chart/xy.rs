//! Charts of two numbers against each other: points, steps that climb from left to right, or lines, with marks along the
//! x axis.

mod marks;

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
use super::frame::paint_empty;
use super::frame::paint_title;
use super::numerals::Unit;
use super::numerals::as_count;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Marker;
use super::painter::Painter;
use super::painter::Point;
use super::painter::Rect;
use super::palette::Inks;
use super::palette::source;

/// Pairs of numbers under each source.
#[derive(Clone, Debug, PartialEq)]
pub struct XyChart {
    pub x: Numbers,
    pub y: Numbers,
    pub shape: Shape,
    pub series: Vec<XySeries>,
    pub marks: Vec<XyMark>,
}

/// Something along the x axis beside the series.
#[derive(Clone, Debug, PartialEq)]
pub struct XyMark {
    pub shape: MarkShape,
    pub from: f64,
    /// The same where it is a moment.
    pub to: f64,
    /// Stands at the head of a post, and once in the legend for all others with the same words.
    pub label: String,
}

/// What a mark looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkShape {
    /// A line across the plot where it begins.
    Post,
    /// A stretch with stripes.
    Striped,
    /// A stretch without.
    Shaded,
    /// An arrow's head at the foot of the plot.
    Caret,
}

/// What one axis shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Without its unit.
    pub title: String,
    /// `None`: shares of a whole, from 0 to 1.
    pub unit: Option<Unit>,
    pub scale: Scale,
}

/// What is made of the pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A marker each.
    Points,
    /// A line that rises at each of them, in ascending order of x.
    Steps,
    /// A line through them in the order given, broken where a number is not finite.
    Lines,
}

/// The pairs of one source; those with a number that is not finite are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct XySeries {
    pub source: SourceKey,
    pub points: Vec<(f64, f64)>,
}

impl XyChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self.pairs().next().is_none() {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &layout.y.title(&self.y.title), canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_stretches(painter, &self.marks)?;
            layout.paint_axes(painter, &layout.x.title(&self.x.title))?;
            layout.paint_moments(painter, &self.marks)?;
            self.series
                .iter()
                .zip(&layout.places)
                .try_for_each(|(series, stretches)| {
                    let colour_idx = series.source.colour;
                    let places = stretches.iter().flatten();
                    match self.shape {
                        Shape::Points => paint_points(painter, places, colour_idx),
                        Shape::Steps => stretches
                            .iter()
                            .try_for_each(|stretch| paint_steps(painter, stretch, colour_idx)),
                        Shape::Lines => {
                            stretches
                                .iter()
                                .try_for_each(|stretch| paint_line(painter, stretch, colour_idx))?;
                            paint_points(painter, layout.marked(stretches), colour_idx)
                        }
                    }
                })
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let width = 880.0;
        let legend = Legend::new(Face::get()?, &self.legend_entries(), width, f64::INFINITY);
        Ok((whole(width), whole(legend.bottom + 340.0 + 2.0 * LINE + PAD)))
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().flat_map(drawable)
    }

    /// Everything along the x axis.
    fn xs(&self) -> impl Iterator<Item = f64> {
        let marks = self.marks.iter().flat_map(|mark| [mark.from, mark.to]);
        self.pairs().map(|(x, _)| x).chain(marks)
    }

    fn legend_entries(&self) -> Vec<(Mark, String)> {
        let sources = self.series.iter().map(|series| &series.source);
        let mut entries: Vec<(Mark, String)> = sources
            .map(|source| (Mark::Line(source.colour), source.label.clone()))
            .collect();
        for mark in &self.marks {
            let entry = mark.shape.in_legend().map(|shown| (shown, mark.label.clone()));
            entries.extend(entry.filter(|entry| !entries.contains(entry)));
        }
        entries
    }

    /// The stretches of a series, each in the order in which it is drawn.
    fn stretches(&self, series: &XySeries) -> Vec<Vec<(f64, f64)>> {
        match self.shape {
            Shape::Points | Shape::Steps => {
                let mut pairs: Vec<(f64, f64)> = drawable(series).collect();
                pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
                vec![pairs]
            }
            Shape::Lines => series
                .points
                .split(|(x, y)| !is_drawable(*x) || !is_drawable(*y))
                .filter(|stretch| !stretch.is_empty())
                .map(<[_]>::to_vec)
                .collect(),
        }
    }
}

fn drawable(series: &XySeries) -> impl Iterator<Item = (f64, f64)> {
    let points = series.points.iter().copied();
    points.filter(|(x, y)| is_drawable(*x) && is_drawable(*y))
}

impl Numbers {
    fn axis(&self, values: impl Iterator<Item = f64>, n_ticks: usize) -> Axis {
        match self.unit {
            Some(unit) => Axis::new(self.scale, unit, values, n_ticks),
            None => Axis::shares(),
        }
    }
}

/// Every place of the chart, in CSS pixels.
struct Layout {
    legend: Legend,
    plot: Rect,
    x: Axis,
    y: Axis,
    /// Of each series, stretch by stretch.
    places: Vec<Vec<Vec<Point>>>,
}

impl Layout {
    fn new(chart: &XyChart, face: &Face, width: f64, height: f64) -> Self {
        let legend = Legend::new(face, &chart.legend_entries(), width, height * 0.35);
        let below = 2.0 * LINE;
        let n_ticks = as_count((height - legend.bottom - PAD - below) / 44.0).max(2);
        let y = chart.y.axis(chart.pairs().map(|(_, y)| y), n_ticks);
        let left = (PAD + y.widest_tick(face) + 8.0).round();
        let x = chart.x.axis(chart.xs(), as_count((width - left) / 90.0).max(2));
        let plot = Rect {
            left,
            top: (legend.bottom + chart.head()).round(),
            right: (width - PAD - x.widest_tick(face) / 2.0).round().max(left + 8.0),
            bottom: (height - PAD - below).round().max(legend.bottom + chart.head() + 8.0),
        };
        let mut layout = Self {
            legend,
            plot,
            x,
            y,
            places: Vec::with_capacity(chart.series.len()),
        };
        for series in &chart.series {
            let stretches = chart.stretches(series).into_iter();
            let places = stretches.map(|pairs| pairs.into_iter().map(|pair| layout.place(pair)).collect());
            let places = places.collect();
            layout.places.push(places);
        }
        layout
    }

    fn place(&self, (x, y): (f64, f64)) -> Point {
        (
            self.plot.left + self.x.position(x) * self.plot.width(),
            self.plot.bottom - self.y.position(y) * self.plot.height(),
        )
    }

    fn paint_axes(&self, painter: &mut Painter<'_>, x_title: &str) -> Result<(), ChartError> {
        let (plot, face) = (self.plot, Face::get()?);
        let Inks { axis, grid, muted, .. } = painter.inks;
        for tick in self.y.ticks() {
            let y = plot.bottom - self.y.position(tick.value) * plot.height();
            painter.rule(plot.left, plot.right, y, grid)?;
            painter.text(&tick.label, (plot.left - 8.0, y + BASE), Align::Right, muted)?;
        }
        for tick in self.x.ticks() {
            let x = plot.left + self.x.position(tick.value) * plot.width();
            painter.post(x - 0.5, plot.top, plot.bottom, grid)?;
            painter.text(&tick.label, (x, plot.bottom + LINE), Align::Centre, muted)?;
        }
        painter.rule(plot.left, plot.right, plot.bottom, axis)?;
        let title = face.shorten(x_title, plot.width());
        let middle = f64::midpoint(plot.left, plot.right);
        painter.text(&title, (middle, plot.bottom + 2.0 * LINE), Align::Centre, muted)
    }
}

fn paint_points<'p>(
    painter: &mut Painter<'_>,
    mut places: impl Iterator<Item = &'p Point>,
    colour_idx: usize,
) -> Result<(), ChartError> {
    let ink = source(colour_idx, painter.theme);
    places.try_for_each(|at| painter.marker(Marker::of_source(colour_idx), *at, 3.5, ink))
}

/// Through all places; a lonely one is a dot.
fn paint_line(painter: &mut Painter<'_>, places: &[Point], colour_idx: usize) -> Result<(), ChartError> {
    let ink = source(colour_idx, painter.theme);
    if let [alone] = places {
        painter.stroke(*alone, *alone, 2.5, ink.into())?;
    }
    let mut pairs = places.windows(2);
    pairs.try_for_each(|pair| painter.stroke(pair[0], pair[1], 1.75, ink.into()))
}

/// Level up to each place, then up to it. A marker now and then tells sources apart without their colours.
fn paint_steps(painter: &mut Painter<'_>, places: &[Point], colour_idx: usize) -> Result<(), ChartError> {
    let ink = source(colour_idx, painter.theme);
    for pair in places.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        painter.stroke(from, (to.0, from.1), 1.75, ink.mix(1.0))?;
        painter.stroke((to.0, from.1), to, 1.75, ink.mix(1.0))?;
    }
    let stride = places.len().div_ceil(12).max(1);
    let mut marked = places.iter().skip(stride - 1).step_by(stride);
    marked.try_for_each(|at| painter.marker(Marker::of_source(colour_idx), *at, 3.5, ink))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    fn series(colour: usize, points: &[(f64, f64)]) -> XySeries {
        XySeries {
            source: SourceKey {
                label: format!("source {colour}"),
                colour,
            },
            points: points.to_vec(),
        }
    }

    fn chart(series: Vec<XySeries>, shape: Shape) -> XyChart {
        XyChart {
            x: Numbers {
                title: "cost".to_owned(),
                unit: Some(Unit::Cost),
                scale: Scale::Log,
            },
            y: Numbers {
                title: "share of trials".to_owned(),
                unit: None,
                scale: Scale::Linear,
            },
            shape,
            series,
            marks: Vec::new(),
        }
    }

    #[test]
    fn a_pair_lies_where_both_axes_say() {
        let chart = chart(vec![series(0, &[(100.0, 1.0), (1.0, 0.0), (10.0, 0.5)])], Shape::Steps);
        let layout = Layout::new(&chart, Face::get().unwrap(), 880.0, 420.0);
        let [low, middle, high] = layout.places[0][0].as_slice() else {
            panic!("three places");
        };
        assert!(low.0 < middle.0 && middle.0 < high.0, "in ascending order");
        assert!(
            (middle.0 - f64::midpoint(low.0, high.0)).abs() < 1e-9,
            "decades are equally far apart"
        );
        assert!((low.1 - layout.plot.bottom).abs() < 1e-9 && (high.1 - layout.plot.top).abs() < 1e-9);
        assert!((middle.1 - f64::midpoint(low.1, high.1)).abs() < 1e-9);
    }

    #[test]
    fn numbers_that_cannot_be_drawn_are_left_out_and_a_picture_comes_out() {
        let canvas = Canvas {
            width: 400,
            height: 240,
            scale: 2,
            theme: Theme::Dark,
        };
        let strange = [
            (f64::NAN, 0.5),
            (1.0, f64::INFINITY),
            (0.0, 0.0),
            (-3.0, 2.0),
            (1e17, 0.7),
        ];
        for shape in [Shape::Points, Shape::Steps, Shape::Lines] {
            for lines in [
                vec![],
                vec![series(0, &[])],
                vec![series(0, &strange), series(41, &[(5.0, 0.1)])],
            ] {
                let png = chart(lines, shape).draw(&canvas).unwrap();
                assert_eq!(png_size(&png), (800, 480));
            }
        }
        let layout = Layout::new(
            &chart(vec![series(0, &strange)], Shape::Points),
            Face::get().unwrap(),
            880.0,
            420.0,
        );
        assert_eq!(layout.places[0][0].len(), 3);
    }

    #[test]
    fn a_line_keeps_its_order_and_breaks_where_a_number_is_missing() {
        let points = [(1.0, 5.0), (2.0, 6.0), (3.0, f64::NAN), (5.0, 7.0), (4.0, 8.0)];
        let mut chart = chart(vec![series(0, &points)], Shape::Lines);
        (chart.x.scale, chart.y.unit) = (Scale::Linear, Some(Unit::Count));
        let layout = Layout::new(&chart, Face::get().unwrap(), 880.0, 420.0);
        let lengths: Vec<usize> = layout.places[0].iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 2]);
        assert!(layout.places[0][1][0].0 > layout.places[0][1][1].0);
    }

    #[test]
    fn the_recommended_size_can_be_drawn() {
        let many = (0..40).map(|colour| series(colour, &[(10.0, 0.5)])).collect();
        let chart = chart(many, Shape::Points);
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
