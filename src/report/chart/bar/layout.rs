//! Where everything of a bar chart lies, in CSS pixels, before anything is drawn.

use crate::report::chart::axis::Axis;
use crate::report::chart::axis::is_drawable;
use crate::report::chart::bar::Bar;
use crate::report::chart::bar::BarChart;
use crate::report::chart::font::Face;
use crate::report::chart::frame::LINE;
use crate::report::chart::frame::Legend;
use crate::report::chart::frame::PAD;
use crate::report::chart::numerals::as_count;
use crate::report::chart::numerals::as_f64;
use crate::report::chart::painter::Point;
use crate::report::chart::painter::Rect;

/// Room above the highest value, for the arrow of a bar that was cut off.
const HEADROOM: f64 = 12.0;

/// Which way bars grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Right,
}

/// Every place of a bar chart, in CSS pixels.
pub(super) struct Layout {
    pub direction: Direction,
    pub title: String,
    pub legend: Legend,
    pub plot: Rect,
    pub axis: Axis,
    pub groups: Vec<PlacedGroup>,
}

/// A group with the stretch it has to itself across the bars.
pub(super) struct PlacedGroup {
    pub label: Option<String>,
    pub from: f64,
    pub to: f64,
    pub bars: Vec<PlacedBar>,
}

/// A bar; lengths are measured from the foot of all bars.
pub(super) struct PlacedBar {
    pub colour_idx: usize,
    pub from: f64,
    pub to: f64,
    pub length: f64,
    pub whisker: Option<(f64, f64)>,
    pub censored: bool,
}

impl Layout {
    pub fn new(chart: &BarChart, face: &Face, width: f64, height: f64) -> Self {
        let direction = chart.direction(face);
        let legend = Legend::new(face, &chart.legend_entries(), width, height * 0.35);
        let room_for_ticks = match direction {
            Direction::Up => (height - legend.bottom - PAD - LINE) / 44.0,
            Direction::Right => (width - 2.0 * PAD - chart.widest_label(face)) / 84.0,
        };
        let numbers = chart.drawable_bars().flat_map(|bar| [bar.height, bar.reach()]);
        let axis = Axis::new(chart.scale, chart.unit, numbers, as_count(room_for_ticks).max(2));
        let left = match direction {
            Direction::Up => axis.widest_tick(face) + 8.0,
            Direction::Right => chart.widest_label(face).min(width * 0.4) + 10.0,
        };
        let (top, right) = match direction {
            Direction::Up => (legend.bottom, width - PAD),
            Direction::Right => (legend.bottom + LINE, width - PAD - axis.widest_tick(face) / 2.0),
        };
        let plot = Rect {
            left: (PAD + left).round(),
            top: top.round(),
            right: right.round().max(PAD + left + 8.0),
            bottom: (height - PAD - LINE).round().max(top + 8.0),
        };
        let mut layout = Self {
            direction,
            title: axis.title(&chart.y_title),
            legend,
            plot,
            axis,
            groups: Vec::with_capacity(chart.groups.len()),
        };
        layout.place_groups(chart, face);
        layout
    }

    fn place_groups(&mut self, chart: &BarChart, face: &Face) {
        let (start, across) = match self.direction {
            Direction::Up => (self.plot.left, self.plot.width()),
            Direction::Right => (self.plot.top, self.plot.height()),
        };
        let (least_label, widest_bar, widest_gap) = match self.direction {
            Direction::Up => (26.0, 56.0, 44.0),
            Direction::Right => (LINE * 0.75, 16.0, 14.0),
        };
        let slot = across / as_f64(chart.groups.len().max(1));
        let n_bars = as_f64(chart.sources.len().max(1));
        let gap = (slot * 0.3).min(widest_gap);
        let thickness = whole_if_visible(((slot - gap) / n_bars).min(widest_bar));
        // Where rows are lower than text, only every so many are named.
        let stride = as_count((least_label / slot).ceil()).max(1);
        let label_room = match self.direction {
            Direction::Up => slot * as_f64(stride) - 6.0,
            Direction::Right => self.plot.left - PAD - 10.0,
        };
        for (group_idx, group) in chart.groups.iter().enumerate() {
            let from = start + slot * as_f64(group_idx);
            let first = whole_if_visible(from + (slot - thickness * n_bars) / 2.0);
            let named = group_idx.is_multiple_of(stride);
            let bars = chart.sources.iter().zip(&group.bars).enumerate();
            self.groups.push(PlacedGroup {
                label: named.then(|| face.shorten(&group.label, label_room)),
                from,
                to: from + slot,
                bars: bars
                    .filter_map(|(bar_idx, (source, bar))| {
                        let bar = bar.filter(|bar| is_drawable(bar.height))?;
                        let from = first + thickness * as_f64(bar_idx);
                        Some(self.place_bar(&bar, source.colour, from, thickness))
                    })
                    .collect(),
            });
        }
    }

    fn place_bar(&self, bar: &Bar, colour_idx: usize, from: f64, thickness: f64) -> PlacedBar {
        let between = if thickness >= 5.0 { 1.0 } else { 0.0 };
        PlacedBar {
            colour_idx,
            from,
            to: from + thickness - between,
            // A measured zero is a line on the axis; nothing at all means that there is no number.
            length: self.length(bar.height).max(1.0),
            whisker: bar
                .spread()
                .map(|spread| (self.length(bar.height - spread), self.length(bar.height + spread))),
            censored: bar.censored,
        }
    }

    /// How far from the foot of the bars a value lies.
    pub fn length(&self, value: f64) -> f64 {
        let extent = match self.direction {
            Direction::Up => self.plot.height(),
            Direction::Right => self.plot.width(),
        };
        self.axis.position(value) * (extent - HEADROOM)
    }

    /// A rectangle from its stretch across the bars and its stretch along them.
    pub fn rect(&self, (from, to): (f64, f64), (near, far): (f64, f64)) -> Rect {
        match self.direction {
            Direction::Up => Rect {
                left: from,
                top: self.plot.bottom - far,
                right: to,
                bottom: self.plot.bottom - near,
            },
            Direction::Right => Rect {
                left: self.plot.left + near,
                top: from,
                right: self.plot.left + far,
                bottom: to,
            },
        }
    }

    pub fn point(&self, across: f64, along: f64) -> Point {
        let place = self.rect((across, across), (along, along));
        (place.left, place.top)
    }
}

/// Lengths of more than a pixel are made whole, so that equal bars look equal.
fn whole_if_visible(length: f64) -> f64 {
    if length >= 1.0 { length.floor() } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::axis::Scale;
    use crate::report::chart::bar::tests::bar;
    use crate::report::chart::bar::tests::chart;
    use crate::report::chart::bar::tests::staircase;
    use crate::report::chart::frame::Mark;

    fn layout(chart: &BarChart) -> Layout {
        let (width, height) = chart.default_size().unwrap();
        Layout::new(chart, Face::get().unwrap(), f64::from(width), f64::from(height))
    }

    #[test]
    fn bars_stand_in_order_inside_the_plot_without_touching() {
        for n_groups in [1, 5, 12, 16, 17, 113, 1_000] {
            let layout = layout(&staircase(n_groups));
            let bars: Vec<&PlacedBar> = layout.groups.iter().flat_map(|group| &group.bars).collect();
            assert_eq!(bars.len(), 3 * n_groups as usize);
            assert!(bars.is_sorted_by(|a, b| a.to <= b.from + 1e-6), "{n_groups}");
            for bar in bars {
                let rect = layout.rect((bar.from, bar.to), (0.0, bar.length));
                assert!(rect.left >= layout.plot.left && rect.right <= layout.plot.right);
                assert!(rect.top >= layout.plot.top && rect.bottom <= layout.plot.bottom + 1e-6);
            }
        }
    }

    #[test]
    fn bars_lie_when_there_are_many_or_their_names_are_long() {
        assert_eq!(layout(&staircase(16)).direction, Direction::Up);
        assert_eq!(layout(&staircase(17)).direction, Direction::Right);
        let mut named = staircase(6);
        for group in &mut named.groups {
            group.label = "monthly revenue by region and customer segment".to_owned();
        }
        assert_eq!(layout(&named).direction, Direction::Right);
    }

    #[test]
    fn a_bar_twice_as_high_is_twice_as_long() {
        let layout = layout(&chart(2, vec![vec![bar(40.0, None), bar(80.0, None)]]));
        let bars = &layout.groups[0].bars;
        assert!((bars[1].length - 2.0 * bars[0].length).abs() < 1e-9);
    }

    #[test]
    fn a_whisker_reaches_one_deviation_to_both_sides() {
        let layout = layout(&chart(1, vec![vec![bar(60.0, Some(20.0))]]));
        let bar = &layout.groups[0].bars[0];
        let (near, far) = bar.whisker.unwrap();
        assert!((near - bar.length * 40.0 / 60.0).abs() < 1e-9);
        assert!((far - bar.length * 80.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_whisker_is_cut_at_the_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            let chart = BarChart {
                scale,
                ..chart(1, vec![vec![bar(10.0, Some(30.0))]])
            };
            let (near, far) = layout(&chart).groups[0].bars[0].whisker.unwrap();
            assert!(near.abs() < 1e-9 && far > 0.0, "{scale:?}");
        }
    }

    #[test]
    fn what_has_no_number_leaves_its_place_empty() {
        let layout = layout(&chart(
            3,
            vec![vec![bar(1.0, None), None, bar(f64::NAN, None)], vec![bar(2.0, None); 3]],
        ));
        let drawn: Vec<Vec<usize>> = layout
            .groups
            .iter()
            .map(|group| group.bars.iter().map(|bar| bar.colour_idx).collect())
            .collect();
        assert_eq!(drawn, [vec![0], vec![0, 1, 2]]);
    }

    #[test]
    fn a_bar_that_was_cut_off_has_no_whisker_and_is_explained() {
        let cut = Some(Bar {
            height: 30_000.0,
            whisker: Some(5.0),
            censored: true,
        });
        let layout = layout(&chart(1, vec![vec![cut]]));
        assert!(layout.groups[0].bars[0].whisker.is_none());
        let marks: Vec<Mark> = layout.legend.entries.iter().map(|entry| entry.mark).collect();
        assert_eq!(marks, [Mark::Bar(0), Mark::Censored]);
        // The arrow beyond the end of the bar has room.
        assert!(layout.length(f64::MAX) + HEADROOM <= layout.plot.height());
    }

    #[test]
    fn labels_are_left_out_where_rows_are_lower_than_text() {
        let chart = staircase(100);
        let layout = Layout::new(&chart, Face::get().unwrap(), 800.0, 600.0);
        let named: Vec<f64> = layout
            .groups
            .iter()
            .filter(|group| group.label.is_some())
            .map(|group| group.from)
            .collect();
        assert!(named.len() > 10);
        assert!(named.windows(2).all(|pair| pair[1] - pair[0] >= 15.0 - 1e-6));
    }
}
