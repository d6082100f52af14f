//! Bar charts: one group for each query, one bar for each source. A few queries stand side by side; many, or those with
//! long names, lie below each other.

mod layout;

use plotters::style::RGBAColor;

use self::layout::Direction;
use self::layout::Layout;
use self::layout::PlacedBar;
use self::layout::PlacedGroup;
use super::ChartError;
use super::SourceKey;
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
use super::frame::paint_censored;
use super::frame::paint_empty;
use super::frame::paint_title;
use super::numerals::Unit;
use super::numerals::as_f64;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Painter;
use super::painter::Rect;
use super::palette::Inks;
use super::palette::source;

/// The widest picture that is recommended, in CSS pixels.
const MAX_WIDTH: f64 = 880.0;
const MIN_WIDTH: f64 = 480.0;
/// More groups than this lie below each other.
const MAX_STANDING: usize = 16;
/// Recommended pictures are no higher than this, whatever the number of groups.
const MAX_HEIGHT: f64 = 5_000.0;
/// The longest label of a lying group.
const MAX_LABEL: f64 = 220.0;

/// Around the plot of standing bars: ticks at the left, air at the right.
const STANDING_MARGINS: f64 = 96.0;
/// Between the labels of two standing groups.
const LABEL_GAP: f64 = 14.0;

/// A number of each query under each source.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// What is shown, without its unit: "median execution time".
    pub y_title: String,
    pub unit: Unit,
    pub scale: Scale,
    pub sources: Vec<SourceKey>,
    pub groups: Vec<BarGroup>,
}

/// The bars of one query.
#[derive(Clone, Debug, PartialEq)]
pub struct BarGroup {
    pub label: String,
    /// One for each source, in the order of the sources; `None` where there is no number, which leaves its place empty.
    pub bars: Vec<Option<Bar>>,
}

/// One number. It is left out when it is not finite, and drawn as zero when it is below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// In milliseconds or cost, by the unit of the chart.
    pub height: f64,
    /// One standard deviation, drawn to both sides of the end and cut at the axis.
    pub whisker: Option<f64>,
    /// The height is where the clock was stopped; the true number is larger. Drawn hatched and open, without a whisker.
    pub censored: bool,
}

impl BarChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self.drawable_bars().next().is_none() {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &layout.title, canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_axis(painter)?;
            layout
                .groups
                .iter()
                .try_for_each(|group| layout.paint_group(painter, group))
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let face = Face::get()?;
        let n_groups = as_f64(self.groups.len().max(1));
        let n_bars = as_f64(self.sources.len().max(1));
        let (width, below_legend) = match self.direction(face) {
            Direction::Up => {
                let slot = (n_bars * 30.0 + 32.0).max(self.widest_label(face) + LABEL_GAP);
                let width = (n_groups * slot + STANDING_MARGINS).clamp(MIN_WIDTH, MAX_WIDTH);
                (width, 300.0 + LINE)
            }
            Direction::Right => {
                let (bar, gap) = match self.groups.len() {
                    ..=8 => (12.0, 14.0),
                    9..=32 => (8.0, 10.0),
                    _ => (5.0, 7.0),
                };
                let row = (n_bars * bar + gap).max(LINE);
                (MAX_WIDTH, (n_groups * row).max(120.0) + 2.0 * LINE)
            }
        };
        let legend = Legend::new(face, &self.legend_entries(), width, f64::INFINITY);
        let height = (legend.bottom + below_legend + PAD).min(MAX_HEIGHT);
        Ok((whole(width), whole(height)))
    }

    /// By content alone, so that a picture keeps its direction at every size.
    fn direction(&self, face: &Face) -> Direction {
        let n_groups = as_f64(self.groups.len());
        let thinnest = as_f64(self.sources.len()) * 8.0 + 12.0;
        let slot = thinnest.max(self.widest_label(face) + LABEL_GAP);
        if self.groups.len() <= MAX_STANDING && n_groups * slot + STANDING_MARGINS <= MAX_WIDTH {
            Direction::Up
        } else {
            Direction::Right
        }
    }

    fn widest_label(&self, face: &Face) -> f64 {
        let widths = self.groups.iter().map(|group| face.width(&group.label));
        widths.fold(0.0, f64::max).min(MAX_LABEL)
    }

    fn drawable_bars(&self) -> impl Iterator<Item = Bar> {
        let bars = self
            .groups
            .iter()
            .flat_map(|group| group.bars.iter().take(self.sources.len()));
        bars.copied().flatten().filter(|bar| is_drawable(bar.height))
    }

    fn legend_entries(&self) -> Vec<(Mark, String)> {
        let mut entries: Vec<(Mark, String)> = self
            .sources
            .iter()
            .map(|source| (Mark::Bar(source.colour), source.label.clone()))
            .collect();
        if self.drawable_bars().any(|bar| bar.spread().is_some()) {
            entries.push((Mark::Whisker, "± standard deviation".to_owned()));
        }
        if self.drawable_bars().any(|bar| bar.censored) {
            entries.push((Mark::Censored, "timed out: at least this long".to_owned()));
        }
        entries
    }
}

impl Bar {
    /// How far the whisker reaches to each side, if it has one.
    fn spread(&self) -> Option<f64> {
        self.whisker
            .filter(|spread| is_drawable(*spread) && *spread > 0.0 && !self.censored)
    }

    /// The numbers that the axis has to reach.
    fn reach(&self) -> f64 {
        self.height + self.spread().unwrap_or(0.0)
    }
}

impl Layout {
    fn paint_axis(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let plot = self.plot;
        let Inks { axis, grid, muted, .. } = painter.inks;
        if self.direction == Direction::Right {
            self.paint_bands(painter)?;
        }
        for tick in self.axis.ticks() {
            let along = self.length(tick.value);
            let (x, y) = self.point(plot.top, along);
            match self.direction {
                Direction::Up => {
                    let y = plot.bottom - along;
                    painter.rule(plot.left, plot.right, y, grid)?;
                    painter.text(&tick.label, (plot.left - 8.0, y + BASE), Align::Right, muted)?;
                }
                Direction::Right => {
                    painter.post(x, y, plot.bottom, grid)?;
                    painter.text(&tick.label, (x, plot.top - 7.0), Align::Centre, muted)?;
                    painter.text(&tick.label, (x, plot.bottom + LINE - 4.0), Align::Centre, muted)?;
                }
            }
        }
        match self.direction {
            Direction::Up => painter.rule(plot.left, plot.right, plot.bottom, axis),
            Direction::Right => painter.post(plot.left - 1.0, plot.top, plot.bottom, axis),
        }
    }

    /// Every other row is tinted, so that the eye finds the way from a label to its bars.
    fn paint_bands(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let band = painter.inks.band.into();
        for group in self.groups.iter().step_by(2) {
            let rect = Rect {
                left: PAD - 6.0,
                top: group.from,
                right: self.plot.right,
                bottom: group.to,
            };
            painter.fill(rect, band)?;
        }
        Ok(())
    }

    fn paint_group(&self, painter: &mut Painter<'_>, group: &PlacedGroup) -> Result<(), ChartError> {
        for bar in &group.bars {
            self.paint_one(painter, bar)?;
        }
        let Some(label) = &group.label else {
            return Ok(());
        };
        let middle = f64::midpoint(group.from, group.to);
        let text = painter.inks.text;
        match self.direction {
            Direction::Up => painter.text(label, (middle, self.plot.bottom + LINE), Align::Centre, text),
            Direction::Right => painter.text(label, (self.plot.left - 10.0, middle + BASE), Align::Right, text),
        }
    }

    fn paint_one(&self, painter: &mut Painter<'_>, bar: &PlacedBar) -> Result<(), ChartError> {
        let rect = self.rect((bar.from, bar.to), (0.0, bar.length));
        let middle = f64::midpoint(bar.from, bar.to);
        let thickness = bar.to - bar.from;
        if bar.censored {
            let ink: RGBAColor = source(bar.colour_idx, painter.theme).into();
            paint_censored(painter, rect, ink)?;
            let arm = (thickness / 2.0 - 0.5).clamp(1.5, 4.5);
            let tip = self.point(middle, bar.length + 3.0 + arm);
            for side in [-arm, arm] {
                let barb = self.point(middle + side, bar.length + 3.0);
                painter.stroke(barb, tip, 1.75, ink)?;
            }
            return Ok(());
        }
        paint_bar(painter, rect, bar.colour_idx)?;
        let Some((near, far)) = bar.whisker else {
            return Ok(());
        };
        let ink = painter.inks.text.into();
        painter.stroke(self.point(middle, near), self.point(middle, far), 1.25, ink)?;
        let cap = (thickness * 0.3).min(5.0);
        for end in [near, far] {
            let ends = [self.point(middle - cap, end), self.point(middle + cap, end)];
            // On the axis there is no end to show: the whisker is cut there.
            if end > 0.0 {
                painter.stroke(ends[0], ends[1], 1.25, ink)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    #[expect(clippy::unnecessary_wraps, reason = "a group holds options")]
    pub(super) fn bar(height: f64, whisker: Option<f64>) -> Option<Bar> {
        Some(Bar {
            height,
            whisker,
            censored: false,
        })
    }

    pub(super) fn chart(n_sources: usize, groups: Vec<Vec<Option<Bar>>>) -> BarChart {
        BarChart {
            y_title: "median execution time".to_owned(),
            unit: Unit::Milliseconds,
            scale: Scale::Linear,
            sources: (0..n_sources)
                .map(|colour| SourceKey {
                    label: format!("source {colour}"),
                    colour,
                })
                .collect(),
            groups: groups
                .into_iter()
                .enumerate()
                .map(|(group_idx, bars)| BarGroup {
                    label: format!("Q{}", group_idx + 1),
                    bars,
                })
                .collect(),
        }
    }

    /// `n_groups` queries under three sources, as high as their number.
    pub(super) fn staircase(n_groups: u32) -> BarChart {
        let group = |group_idx: u32| vec![bar(f64::from(group_idx) + 1.0, Some(0.5)); 3];
        chart(3, (0..n_groups).map(group).collect())
    }

    #[test]
    fn a_recommended_picture_grows_with_its_queries_and_can_always_be_drawn() {
        let sizes: Vec<(u32, u32)> = [0, 1, 5, 17, 40, 113]
            .map(|n| staircase(n).default_size().unwrap())
            .to_vec();
        assert!(sizes.is_sorted_by_key(|(width, _)| *width));
        assert!(sizes[3..].is_sorted_by(|a, b| a.1 < b.1));
        for n_groups in [0, 5_000] {
            let chart = staircase(n_groups);
            let (width, height) = chart.default_size().unwrap();
            let theme = Theme::Light;
            let png = chart
                .draw(&Canvas {
                    width,
                    height,
                    scale: 2,
                    theme,
                })
                .unwrap();
            assert_eq!(png_size(&png), (2 * width, 2 * height));
        }
    }

    #[test]
    fn a_wrong_size_is_refused() {
        for (width, height, scale) in [
            (0, 400, 1),
            (800, 10, 1),
            (800, 400, 3),
            (800, 400, 0),
            (8_192, 8_192, 2),
        ] {
            let theme = Theme::Dark;
            let drawn = staircase(2).draw(&Canvas {
                width,
                height,
                scale,
                theme,
            });
            assert!(
                matches!(drawn, Err(ChartError::Size { .. })),
                "{width} {height} {scale}"
            );
        }
    }

    #[test]
    fn letters_that_the_typeface_lacks_do_not_stop_a_chart() {
        let mut chart = staircase(3);
        chart.groups[0].label = "売上 \u{1F418} \n\0 \u{202E}отчёт".to_owned();
        chart.sources[0].label = "х".repeat(10_000);
        for scale in [1, 2] {
            let canvas = Canvas {
                width: 500,
                height: 300,
                scale,
                theme: Theme::Dark,
            };
            assert_eq!(png_size(&chart.draw(&canvas).unwrap()), (500 * scale, 300 * scale));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_the_data_a_picture_comes_out(
            heights in prop::collection::vec(prop::option::of((any::<f64>(), prop::option::of(any::<f64>()), any::<bool>())), 0..24),
            n_sources in 0usize..4,
            log in any::<bool>(),
        ) {
            let bars: Vec<Option<Bar>> = heights
                .into_iter()
                .map(|bar| bar.map(|(height, whisker, censored)| Bar { height, whisker, censored }))
                .collect();
            let groups = bars.chunks(n_sources.max(1)).map(<[_]>::to_vec).collect();
            let scale = if log { Scale::Log } else { Scale::Linear };
            let chart = BarChart { scale, ..chart(n_sources, groups) };
            let canvas = Canvas { width: 240, height: 160, scale: 1, theme: Theme::Light };
            prop_assert_eq!(png_size(&chart.draw(&canvas).unwrap()), (240, 160));
        }
    }
}
