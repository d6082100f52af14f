//! Where everything of a line chart lies, in CSS pixels, before anything is drawn.

use crate::report::chart::axis::Axis;
use crate::report::chart::axis::is_drawable;
use crate::report::chart::font::Face;
use crate::report::chart::frame::LINE;
use crate::report::chart::frame::Legend;
use crate::report::chart::frame::PAD;
use crate::report::chart::line::LineChart;
use crate::report::chart::line::Series;
use crate::report::chart::numerals::as_count;
use crate::report::chart::numerals::as_f64;
use crate::report::chart::painter::Point;
use crate::report::chart::painter::Rect;

/// Points closer than this, on average, are not marked one by one.
const MARKER_ROOM: f64 = 14.0;
/// About this far apart stand the markers of a line whose points are too many.
const SPARSE_MARKERS: f64 = 110.0;
/// The room that a cross takes.
const CROSS_ROOM: f64 = 9.0;
/// An arrow's head with its distance from the foot of the plot.
const CARET_HEIGHT: f64 = 8.0;
/// So many crosses may lie on top of the first; more share the highest place.
const MAX_PILE: usize = 4;
/// Between the outermost points and the edges of the plot.
const INSET: f64 = 10.0;

/// Every place of a line chart, in CSS pixels.
pub(super) struct Layout {
    pub title: String,
    pub legend: Legend,
    pub plot: Rect,
    pub axis: Axis,
    pub last_round: u32,
    /// Room above the highest tick, for crosses.
    pub headroom: f64,
    pub limit_y: Option<f64>,
    pub lines: Vec<PlacedLine>,
}

/// The line of one source.
pub(super) struct PlacedLine {
    pub colour_idx: usize,
    /// Unbroken stretches from left to right.
    pub stretches: Vec<Vec<Column>>,
    pub markers: Vec<Point>,
    pub crosses: Vec<Point>,
    pub carets: Vec<Point>,
}

/// What a line shows at one place: all three are equal where there is one number. Larger numbers have smaller y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    pub x: f64,
    pub lowest_y: f64,
    pub middle_y: f64,
    pub highest_y: f64,
}

impl Layout {
    pub fn new(chart: &LineChart, face: &Face, width: f64, height: f64) -> Self {
        // More points than pixels across the whole picture are shown by columns.
        let most_points = as_count(width);
        let is_dense = chart.series.iter().any(|series| series.points.len() > most_points);
        let legend = Legend::new(face, &chart.legend_entries(is_dense), width, height * 0.35);
        let limit = chart.shown_limit();
        let below = 2.0 * LINE;
        let n_ticks = as_count((height - legend.bottom - PAD - below) / 44.0).max(2);
        let axis = Axis::new(chart.scale, chart.unit, chart.drawable_values().chain(limit), n_ticks);
        let left = (PAD + axis.widest_tick(face) + 8.0).round();
        let plot = Rect {
            left,
            top: legend.bottom.round(),
            right: (width - PAD).round().max(left + 4.0 * INSET),
            bottom: (height - PAD - below).round().max(legend.bottom + 8.0),
        };
        let mut layout = Self {
            title: axis.title(&chart.y_title),
            legend,
            plot,
            axis,
            last_round: chart.last_round(),
            headroom: 6.0 + CROSS_ROOM * as_f64(chart.n_crossed().min(MAX_PILE)),
            limit_y: None,
            lines: Vec::with_capacity(chart.series.len()),
        };
        layout.limit_y = limit.map(|limit| layout.y(limit));
        for (series_idx, series) in chart.series.iter().enumerate() {
            let stretches = layout.stretches(series, most_points);
            let phase = (as_f64(series_idx) + 0.5) / as_f64(chart.series.len());
            let line = PlacedLine {
                colour_idx: series.source.colour,
                markers: layout.markers(&stretches, phase),
                crosses: layout.crosses(&series.timeouts),
                carets: layout.carets(&series.disturbed),
                stretches,
            };
            layout.lines.push(line);
        }
        layout
    }

    pub fn x(&self, round: u32) -> f64 {
        let span = self.plot.width() - 2.0 * INSET;
        if self.last_round == 1 {
            return self.plot.left + INSET + span / 2.0;
        }
        let part = f64::from(round.max(1) - 1) / f64::from(self.last_round - 1);
        self.plot.left + INSET + span * part
    }

    pub fn y(&self, value: f64) -> f64 {
        self.plot.bottom - self.axis.position(value) * (self.plot.height() - self.headroom)
    }

    /// The line of a series in unbroken stretches: point by point, or column by column when it has more than
    /// `most_points`.
    fn stretches(&self, series: &Series, most_points: usize) -> Vec<Vec<Column>> {
        let drawable = series.points.iter().copied().filter(|(_, value)| is_drawable(*value));
        let mut points: Vec<(u32, f64)> = drawable.collect();
        if !points.is_sorted_by_key(|(round, _)| *round) {
            points.sort_by_key(|(round, _)| *round);
        }
        let is_dense = points.len() > most_points;
        let mut stretches: Vec<Vec<Column>> = Vec::new();
        let mut last: Option<(u32, f64)> = None;
        let mut values = Vec::new();
        let same_column = |a: &(u32, f64), b: &(u32, f64)| is_dense && as_count(self.x(a.0)) == as_count(self.x(b.0));
        for together in points.chunk_by(same_column) {
            let [(first_round, _), ..] = together else {
                continue;
            };
            values.clear();
            values.extend(together.iter().map(|(_, value)| *value));
            let x = self.x(*first_round);
            let column = self.column(if is_dense { x.floor() + 0.5 } else { x }, &mut values);
            let follows =
                last.is_some_and(|(round, last_x)| *first_round - round <= 1 || x.floor() - last_x.floor() <= 1.0);
            match stretches.last_mut() {
                Some(stretch) if follows => stretch.push(column),
                _ => stretches.push(vec![column]),
            }
            last = together.last().map(|(round, _)| (*round, self.x(*round)));
        }
        stretches
    }

    /// The lowest, the middle and the highest of the values at one place; `values` are put in another order.
    fn column(&self, x: f64, values: &mut [f64]) -> Column {
        let middle_idx = values.len() / 2;
        let (below, middle, above) = values.select_nth_unstable_by(middle_idx, f64::total_cmp);
        let lowest = below.iter().copied().fold(*middle, f64::min);
        let highest = above.iter().copied().fold(*middle, f64::max);
        Column {
            x,
            lowest_y: self.y(lowest),
            middle_y: self.y(*middle),
            highest_y: self.y(highest),
        }
    }

    /// A marker on every point where they have room, else some along the line; the lines take turns by `phase`.
    fn markers(&self, stretches: &[Vec<Column>], phase: f64) -> Vec<Point> {
        let n_columns = stretches.iter().map(Vec::len).sum::<usize>().max(1);
        let room = self.plot.width() / as_f64(n_columns);
        let stride = if room >= MARKER_ROOM {
            1
        } else {
            as_count(SPARSE_MARKERS / room).max(1)
        };
        let columns = stretches.iter().flatten();
        columns
            .skip(as_count(as_f64(stride) * phase))
            .step_by(stride)
            .map(|column| (column.x, column.middle_y))
            .collect()
    }

    /// Crosses at the limit, or at the upper edge when no limit is known. Neighbours of one source that would cover each
    /// other are one cross; those of several sources are piled up.
    fn crosses(&self, timeouts: &[u32]) -> Vec<Point> {
        let y = self.limit_y.unwrap_or(self.plot.top + self.headroom);
        self.piled(timeouts, y, |line| &line.crosses)
    }

    /// Arrow's heads at the foot of the plot, piled up likewise.
    fn carets(&self, disturbed: &[u32]) -> Vec<Point> {
        self.piled(disturbed, self.plot.bottom - CARET_HEIGHT, |line| &line.carets)
    }

    fn piled(&self, rounds: &[u32], y: f64, of_line: fn(&PlacedLine) -> &[Point]) -> Vec<Point> {
        let mut rounds = rounds.to_vec();
        rounds.sort_unstable();
        let mut marks: Vec<Point> = Vec::new();
        for round in rounds {
            let x = self.x(round);
            if marks.last().is_none_or(|last| x - last.0 >= CROSS_ROOM * 0.75) {
                let n_below = self.lines.iter().filter(|line| is_near(of_line(line), x)).count();
                marks.push((x, y - CROSS_ROOM * as_f64(n_below.min(MAX_PILE))));
            }
        }
        marks
    }
}

/// Whether one of the marks, which are in order, would be covered by one at `x`.
fn is_near(marks: &[Point], x: f64) -> bool {
    let next = marks.partition_point(|mark| mark.0 <= x - CROSS_ROOM);
    marks.get(next).is_some_and(|mark| mark.0 < x + CROSS_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::frame::Mark;
    use crate::report::chart::line::tests::chart;
    use crate::report::chart::line::tests::series;

    fn layout(chart: &LineChart) -> Layout {
        Layout::new(chart, Face::get().unwrap(), 880.0, 420.0)
    }

    /// The number that a height stands for, on a linear axis from zero.
    fn value_at(layout: &Layout, y: f64) -> f64 {
        let top = layout.axis.ticks().last().unwrap().value;
        (layout.plot.bottom - y) / (layout.plot.height() - layout.headroom) * top
    }

    #[test]
    fn a_line_runs_from_left_to_right_inside_the_plot() {
        let points = (1..=50).map(|round| (round, 10.0 + f64::from(round % 7))).collect();
        let layout = layout(&chart(vec![series(points, vec![])]));
        let [stretch] = layout.lines[0].stretches.as_slice() else {
            panic!("one unbroken line");
        };
        assert_eq!(stretch.len(), 50);
        assert!(stretch.is_sorted_by(|a, b| a.x < b.x));
        for column in stretch {
            assert!(column.x >= layout.plot.left && column.x <= layout.plot.right);
            assert!(column.middle_y >= layout.plot.top && column.middle_y <= layout.plot.bottom);
        }
    }

    #[test]
    fn points_may_come_in_any_order_and_broken_numbers_are_left_out() {
        let points = vec![(3, 3.0), (1, 1.0), (4, f64::NAN), (2, 2.0), (5, f64::INFINITY)];
        let layout = layout(&chart(vec![series(points, vec![])]));
        let stretch = &layout.lines[0].stretches[0];
        let values: Vec<f64> = stretch
            .iter()
            .map(|column| value_at(&layout, column.middle_y).round())
            .collect();
        assert_eq!(values, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_line_is_broken_where_a_round_timed_out() {
        let points = vec![(1, 5.0), (2, 5.0), (4, 5.0), (5, 5.0)];
        let layout = layout(&chart(vec![series(points, vec![3])]));
        let lengths: Vec<usize> = layout.lines[0].stretches.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 2]);
    }

    #[test]
    fn many_points_become_columns_that_keep_every_extreme() {
        let value = |round: u32| match round {
            1_234 => 900.0,
            77_777 => 1.0,
            _ => 100.0 + f64::from(round % 13),
        };
        let points = (1..=100_000).map(|round| (round, value(round))).collect();
        let layout = layout(&chart(vec![series(points, vec![])]));
        let columns: Vec<&Column> = layout.lines[0].stretches.iter().flatten().collect();
        assert!(columns.len() <= 880, "{}", columns.len());
        let highest = columns
            .iter()
            .map(|column| column.highest_y)
            .fold(f64::INFINITY, f64::min);
        let lowest = columns.iter().map(|column| column.lowest_y).fold(0.0, f64::max);
        assert!((value_at(&layout, highest) - 900.0).abs() < 1e-6);
        assert!((value_at(&layout, lowest) - 1.0).abs() < 1e-6);
        assert!(
            columns
                .iter()
                .all(|column| column.highest_y <= column.middle_y && column.middle_y <= column.lowest_y)
        );
        assert_eq!(layout.lines[0].stretches.len(), 1);
    }

    #[test]
    fn the_middle_of_a_column_is_its_median() {
        let layout = layout(&chart(vec![series(vec![(1, 100.0)], vec![])]));
        let column = layout.column(100.0, &mut [50.0, 10.0, 20.0, 90.0, 30.0]);
        for (y, value) in [
            (column.lowest_y, 10.0),
            (column.middle_y, 30.0),
            (column.highest_y, 90.0),
        ] {
            assert!((value_at(&layout, y) - value).abs() < 1e-9);
        }
    }

    #[test]
    fn timeouts_are_crosses_on_the_limit_and_pile_up_when_sources_share_a_round() {
        let chart = chart(vec![
            series(vec![(1, 5.0)], vec![2, 9]),
            series(vec![(1, 6.0)], vec![5, 9]),
            series(vec![(10, 6.0)], vec![9]),
        ]);
        let layout = layout(&chart);
        let limit_y = layout.limit_y.unwrap();
        assert!((value_at(&layout, limit_y) - 1_000.0).abs() < 1e-9);
        let heights: Vec<Vec<f64>> = layout
            .lines
            .iter()
            .map(|line| line.crosses.iter().map(|cross| limit_y - cross.1).collect())
            .collect();
        assert_eq!(heights, [vec![0.0, 0.0], vec![0.0, CROSS_ROOM], vec![2.0 * CROSS_ROOM]]);
        assert!(limit_y - 2.0 * CROSS_ROOM - CROSS_ROOM / 2.0 >= layout.plot.top);
    }

    #[test]
    fn disturbed_rounds_are_marked_at_the_foot_and_pile_up_when_sources_share_a_round() {
        let disturbed = |rounds: Vec<u32>| Series {
            disturbed: rounds,
            ..series(vec![(1, 5.0), (10, 6.0)], vec![])
        };
        let layout = layout(&chart(vec![disturbed(vec![9, 2]), disturbed(vec![5, 9])]));
        let heights: Vec<Vec<f64>> = layout
            .lines
            .iter()
            .map(|line| {
                line.carets
                    .iter()
                    .map(|caret| layout.plot.bottom - CARET_HEIGHT - caret.1)
                    .collect()
            })
            .collect();
        assert_eq!(heights, [vec![0.0, 0.0], vec![0.0, CROSS_ROOM]]);
        assert!(layout.lines[0].carets[0].0 < layout.lines[0].carets[1].0);
        assert!(layout.legend.entries.iter().any(|entry| entry.mark == Mark::Caret));
    }

    #[test]
    fn a_limit_far_above_the_lines_is_not_shown_until_something_runs_into_it() {
        let calm = chart(vec![series(vec![(1, 5.0), (2, 6.0)], vec![])]);
        assert_eq!(layout(&calm).limit_y, None);
        let near = chart(vec![series(vec![(1, 5.0), (2, 700.0)], vec![])]);
        assert!(layout(&near).limit_y.is_some());
    }

    #[test]
    fn few_points_are_all_marked_and_many_now_and_then() {
        let line = |n_rounds| {
            let points = (1..=n_rounds).map(|round| (round, 5.0)).collect();
            layout(&chart(vec![series(points, vec![])]))
                .lines
                .remove(0)
                .markers
                .len()
        };
        assert_eq!(line(1), 1);
        assert_eq!(line(20), 20);
        assert!((4..=12).contains(&line(500)));
        assert!((4..=12).contains(&line(50_000)));
    }
}
