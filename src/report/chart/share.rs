//! Charts of shares that go two ways: for each group and source, one bar up from the middle and one down.

use super::ChartError;
use super::SourceKey;
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
use super::numerals::as_f64;
use super::numerals::as_i32;
use super::numerals::whole;
use super::painter::Align;
use super::painter::Painter;
use super::painter::Rect;
use super::palette::Inks;

/// The steps between ticks, one of which leaves at most `MOST_TICKS` of them to each side.
const STEPS: [f64; 5] = [0.01, 0.05, 0.1, 0.2, 0.5];
const MOST_TICKS: f64 = 5.0;
const WIDTH: f64 = 880.0;
const PLOT_HEIGHT: f64 = 300.0;

/// Two shares of each group under each source.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareChart {
    /// What is shown: "estimates at least 10× off".
    pub title: String,
    /// What the bars up and the bars down are shares of.
    pub up_title: String,
    pub down_title: String,
    /// What the groups are: "joins below the node".
    pub x_title: String,
    pub sources: Vec<SourceKey>,
    pub groups: Vec<ShareGroup>,
}

/// The shares of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroup {
    pub label: String,
    /// One for each source, in their order: the shares up and down, from 0 to 1; `None` where there is nothing to share.
    pub shares: Vec<Option<(f64, f64)>>,
}

/// Every place of the chart, in CSS pixels.
struct Layout {
    legend: Legend,
    plot: Rect,
    /// The share at the upper and at the lower edge of the plot.
    reach: f64,
    step: f64,
    bars: Vec<PlacedBar>,
    /// The middle of each group, with its label.
    labels: Vec<(f64, String)>,
}

struct PlacedBar {
    colour_idx: usize,
    rect: Rect,
}

impl ShareChart {
    /// The chart as a PNG of the size that the canvas asks for.
    pub fn draw(&self, canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
        if self.shares().next().is_none() {
            return paint_empty(canvas);
        }
        let layout = Layout::new(self, Face::get()?, f64::from(canvas.width), f64::from(canvas.height));
        canvas.paint(|painter| {
            paint_title(painter, &self.title, canvas.width)?;
            layout.legend.paint(painter)?;
            layout.paint_axis(painter, self)?;
            layout
                .bars
                .iter()
                .try_for_each(|bar| paint_bar(painter, bar.rect, bar.colour_idx))?;
            layout.paint_middle(painter)
        })
    }

    /// The width and height in CSS pixels at which the chart reads best.
    pub fn default_size(&self) -> Result<(u32, u32), ChartError> {
        let legend = Legend::new(Face::get()?, &self.legend_entries(), WIDTH, f64::INFINITY);
        Ok((whole(WIDTH), whole(legend.bottom + PLOT_HEIGHT + 2.0 * LINE + PAD)))
    }

    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let shares = self
            .groups
            .iter()
            .flat_map(|group| group.shares.iter().take(self.sources.len()));
        shares
            .copied()
            .flatten()
            .filter(|(up, down)| up.is_finite() && down.is_finite())
    }

    fn legend_entries(&self) -> Vec<(Mark, String)> {
        let entries = self.sources.iter();
        entries
            .map(|source| (Mark::Bar(source.colour), source.label.clone()))
            .collect()
    }
}

impl Layout {
    fn new(chart: &ShareChart, face: &Face, width: f64, height: f64) -> Self {
        let legend = Legend::new(face, &chart.legend_entries(), width, height * 0.35);
        let highest = chart
            .shares()
            .fold(0.0, |highest: f64, (up, down)| highest.max(up).max(down));
        let highest = highest.clamp(0.05, 1.0);
        let step = STEPS
            .into_iter()
            .find(|step| highest / step <= MOST_TICKS)
            .unwrap_or(0.5);
        let reach = (highest / step - 1e-9).ceil() * step;
        let left = PAD + face.width(&percent(reach)).max(face.width(&percent(step))) + 8.0;
        let plot = Rect {
            left: left.round(),
            top: legend.bottom.round(),
            right: (width - PAD).round().max(left + 8.0),
            bottom: (height - PAD - 2.0 * LINE).round().max(legend.bottom + 8.0),
        };
        let mut layout = Self {
            legend,
            plot,
            reach,
            step,
            bars: Vec::new(),
            labels: Vec::with_capacity(chart.groups.len()),
        };
        layout.place(chart, face);
        layout
    }

    fn place(&mut self, chart: &ShareChart, face: &Face) {
        let slot = self.plot.width() / as_f64(chart.groups.len().max(1));
        let n_bars = as_f64(chart.sources.len().max(1));
        let thickness = (slot * 0.75 / n_bars).min(36.0);
        for (group_idx, group) in chart.groups.iter().enumerate() {
            let middle = self.plot.left + slot * (as_f64(group_idx) + 0.5);
            self.labels.push((middle, face.shorten(&group.label, slot - 4.0)));
            let first = middle - thickness * n_bars / 2.0;
            for (bar_idx, (source, share)) in chart.sources.iter().zip(&group.shares).enumerate() {
                let Some((up, down)) = share.filter(|(up, down)| up.is_finite() && down.is_finite()) else {
                    continue;
                };
                let left = first + thickness * as_f64(bar_idx);
                self.bars.push(PlacedBar {
                    colour_idx: source.colour,
                    rect: Rect {
                        left,
                        top: self.y(up),
                        right: left + if thickness >= 5.0 { thickness - 1.0 } else { thickness },
                        bottom: self.y(-down),
                    },
                });
            }
        }
    }

    /// The shares that are marked, from the lowest below the middle to the highest above it.
    fn ticks(&self) -> Vec<f64> {
        let n_ticks = as_i32((self.reach / self.step).round());
        (-n_ticks..=n_ticks).map(|tick| f64::from(tick) * self.step).collect()
    }

    /// Where a share lies; below zero is below the middle.
    fn y(&self, share: f64) -> f64 {
        let middle = f64::midpoint(self.plot.top, self.plot.bottom);
        middle - (share / self.reach).clamp(-1.0, 1.0) * self.plot.height() / 2.0
    }

    fn paint_axis(&self, painter: &mut Painter<'_>, chart: &ShareChart) -> Result<(), ChartError> {
        let plot = self.plot;
        let Inks { grid, muted, text, .. } = painter.inks;
        for share in self.ticks() {
            let y = self.y(share);
            painter.rule(plot.left, plot.right, y, grid)?;
            painter.text(&percent(share.abs()), (plot.left - 8.0, y + BASE), Align::Right, muted)?;
        }
        for (words, y) in [
            (&chart.up_title, plot.top + LINE * 0.5 + BASE),
            (&chart.down_title, plot.bottom - LINE * 0.5 + BASE),
        ] {
            let words = Face::get()?.shorten(words, plot.width());
            painter.text(&words, (plot.right, y), Align::Right, muted)?;
        }
        for (middle, label) in &self.labels {
            painter.text(label, (*middle, plot.bottom + LINE), Align::Centre, text)?;
        }
        let middle = f64::midpoint(plot.left, plot.right);
        let title = Face::get()?.shorten(&chart.x_title, plot.width());
        painter.text(&title, (middle, plot.bottom + 2.0 * LINE), Align::Centre, muted)
    }

    /// On top of the bars, so that a group without any far-off estimate still has its foot.
    fn paint_middle(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        let axis = painter.inks.axis;
        painter.rule(self.plot.left, self.plot.right, self.y(0.0), axis)
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::palette::Theme;

    fn chart(groups: Vec<Vec<Option<(f64, f64)>>>) -> ShareChart {
        let n_sources = groups.iter().map(Vec::len).max().unwrap_or(0);
        ShareChart {
            title: "Estimates at least 10× off".to_owned(),
            up_title: "too high".to_owned(),
            down_title: "too low".to_owned(),
            x_title: "Joins".to_owned(),
            sources: (0..n_sources)
                .map(|colour| SourceKey {
                    label: format!("source {colour}"),
                    colour,
                })
                .collect(),
            groups: groups
                .into_iter()
                .enumerate()
                .map(|(n_joins, shares)| ShareGroup {
                    label: n_joins.to_string(),
                    shares,
                })
                .collect(),
        }
    }

    fn layout(chart: &ShareChart) -> Layout {
        let (width, height) = chart.default_size().unwrap();
        Layout::new(chart, Face::get().unwrap(), f64::from(width), f64::from(height))
    }

    #[test]
    fn bars_reach_up_and_down_by_their_shares() {
        let layout = layout(&chart(vec![vec![Some((0.5, 0.25)), Some((0.0, 1.0))]]));
        let middle = layout.y(0.0);
        let half = layout.plot.height() / 2.0;
        assert!((layout.reach - 1.0).abs() < 1e-9);
        let lengths: Vec<(f64, f64)> = layout
            .bars
            .iter()
            .map(|bar| ((middle - bar.rect.top) / half, (bar.rect.bottom - middle) / half))
            .collect();
        for ((up, down), (expected_up, expected_down)) in lengths.into_iter().zip([(0.5, 0.25), (0.0, 1.0)]) {
            assert!((up - expected_up).abs() < 1e-9 && (down - expected_down).abs() < 1e-9);
        }
    }

    #[test]
    fn bars_stand_in_order_inside_the_plot_and_small_shares_are_magnified() {
        let layout = layout(&chart(vec![vec![Some((0.03, 0.02)); 6]; 9]));
        assert!((layout.reach - 0.05).abs() < 1e-9, "{}", layout.reach);
        let ticks: Vec<String> = layout.ticks().into_iter().map(|share| percent(share.abs())).collect();
        assert_eq!(ticks.join(" "), "5 % 4 % 3 % 2 % 1 % 0 % 1 % 2 % 3 % 4 % 5 %");
        assert_eq!((layout.bars.len(), layout.labels.len()), (54, 9));
        assert!(layout.bars.is_sorted_by(|a, b| a.rect.right <= b.rect.left + 1e-6));
        for bar in &layout.bars {
            assert!(bar.rect.left >= layout.plot.left && bar.rect.right <= layout.plot.right);
            assert!(bar.rect.top >= layout.plot.top && bar.rect.bottom <= layout.plot.bottom);
        }
    }

    #[test]
    fn where_nothing_is_known_nothing_stands() {
        let layout = layout(&chart(vec![vec![None, Some((0.1, 0.1))]]));
        assert_eq!(layout.bars.len(), 1);
        assert_eq!(layout.bars[0].colour_idx, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_the_data_a_picture_comes_out(
            groups in prop::collection::vec(
                prop::collection::vec(prop::option::of((any::<f64>(), any::<f64>())), 0..5), 0..9),
        ) {
            let canvas = Canvas { width: 240, height: 160, scale: 1, theme: Theme::Dark };
            prop_assert_eq!(png_size(&chart(groups).draw(&canvas).unwrap()), (240, 160));
        }
    }
}
