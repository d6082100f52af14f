//! Small charts of the last minutes, as numbers for an SVG in the page: places in percent or thousandths of its box, so
//! that lines stretch with the page and words do not.

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use super::seconds::Second;

/// What a chart goes back at most.
const WINDOW_S: i64 = 300;
/// What it is wide from the first second on.
const LEAST_S: i64 = 60;
/// The width and the height of the box that lines are drawn in.
const BOX: f64 = 1000.0;
/// Seconds without a record that break a line.
const BREAK_S: i64 = 3;

/// One chart.
pub struct Picture {
    pub title: &'static str,
    /// What it shows last, for who does not see it.
    pub label: String,
    pub grid: Vec<GridLine>,
    pub marks: Vec<Mark>,
    pub lines: Vec<Line>,
    /// The time at its left and its right end.
    pub from: String,
    pub to: String,
}

/// A number at the side and the line at its height.
pub struct GridLine {
    pub y_percent: String,
    pub text: String,
}

/// Where a level begins.
pub struct Mark {
    pub x_percent: String,
    pub text: String,
    /// Its words stand to the left of it, because there is no room to the right.
    pub is_late: bool,
}

pub struct Line {
    pub name: &'static str,
    /// Its colour and its dashes.
    pub class: &'static str,
    /// The points of each unbroken piece.
    pub pieces: Vec<String>,
}

/// What a line shows of a second.
pub struct Series {
    pub name: &'static str,
    pub class: &'static str,
    pub value: fn(&Second) -> Option<f64>,
}

/// The stretch of time that charts show.
#[derive(Clone, Copy)]
struct Window {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// A chart of some series; none without seconds. `number` says a value with its unit, `level` names the level of a second.
pub fn picture(
    title: &'static str,
    seconds: &[Second],
    series: &[Series],
    number: fn(f64) -> String,
    level: impl Fn(&Second) -> String,
) -> Option<Picture> {
    let window = Window::of(seconds)?;
    let shown: Vec<&Second> = seconds
        .iter()
        .filter(|second| second.started_at >= window.from)
        .collect();
    let values = series
        .iter()
        .flat_map(|one| shown.iter().filter_map(|second| (one.value)(second)));
    let top = nice_top(values.fold(0.0, f64::max));
    let lines = series.iter().map(|one| Line {
        name: one.name,
        class: one.class,
        pieces: pieces(window, &shown, one, top),
    });
    let lasts = series.iter().filter_map(|one| {
        let last = shown.iter().rev().find_map(|second| (one.value)(second))?;
        Some(format!("{} {}", one.name, number(last)))
    });
    let grid = [0.0, 0.5, 1.0].map(|share| GridLine {
        y_percent: percent(1.0 - share),
        text: number(top * share),
    });
    Some(Picture {
        title,
        label: format!("{title}; last {}", lasts.collect::<Vec<_>>().join(", ")),
        grid: grid.into(),
        marks: marks(window, &shown, level),
        lines: lines.collect(),
        from: clock(window.from),
        to: clock(window.to),
    })
}

/// The time of day, in UTC.
pub fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

impl Window {
    fn of(seconds: &[Second]) -> Option<Self> {
        let (first, last) = (seconds.first()?.started_at, seconds.last()?.started_at);
        let from = first.max(last - TimeDelta::seconds(WINDOW_S));
        let to = last.max(from + TimeDelta::seconds(LEAST_S));
        Some(Self { from, to })
    }

    /// From 0 at its beginning to 1 at its end.
    fn share(self, at: DateTime<Utc>) -> f64 {
        let ms = |delta: TimeDelta| delta.to_std().unwrap_or_default().as_secs_f64();
        ms(at - self.from) / ms(self.to - self.from)
    }
}

fn pieces(window: Window, shown: &[&Second], series: &Series, top: f64) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut points: Vec<String> = Vec::new();
    let mut before: Option<&Second> = None;
    for second in shown {
        let is_next = before.is_some_and(|before| {
            let pause = second.started_at - before.started_at;
            (second.level_idx, second.attempt) == (before.level_idx, before.attempt)
                && pause < TimeDelta::seconds(BREAK_S)
        });
        let value = (series.value)(second);
        if !is_next || value.is_none() {
            close(&mut pieces, &mut points);
        }
        if let Some(value) = value {
            let (x, y) = (BOX * window.share(second.started_at), BOX * (1.0 - value / top));
            points.push(format!("{x:.0},{y:.0}"));
        }
        before = Some(second);
    }
    close(&mut pieces, &mut points);
    pieces
}

/// A point alone is drawn as a line from itself to itself, which round ends make a dot.
fn close(pieces: &mut Vec<String>, points: &mut Vec<String>) {
    if let [only] = points.as_slice() {
        points.push(only.clone());
    }
    if !points.is_empty() {
        pieces.push(points.join(" "));
        points.clear();
    }
}

fn marks(window: Window, shown: &[&Second], level: impl Fn(&Second) -> String) -> Vec<Mark> {
    let of_level = |second: &Second| (second.level_idx, second.attempt);
    let begins = shown
        .chunk_by(|a, b| of_level(a) == of_level(b))
        .filter_map(|own| own.first());
    let marks = begins.map(|second| {
        let share = window.share(second.started_at);
        Mark {
            x_percent: percent(share),
            text: level(second),
            is_late: share > 0.8,
        }
    });
    marks.collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// The least of 1, 2, 5, 10, 20 and so on that is not below.
fn nice_top(most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let unit = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.into_iter().find(|step| most <= step * unit * (1.0 + 1e-9));
    step.unwrap_or(10.0) * unit
}

#[cfg(test)]
mod tests {
    use super::super::seconds::tests::of_records;
    use super::super::seconds::tests::record;
    use super::*;
    use crate::model::units::three_digits;

    const THROUGHPUT: Series = Series {
        name: "a second",
        class: "first",
        value: |second| Some(second.throughput()),
    };
    const P99: Series = Series {
        name: "p99",
        class: "second",
        value: |second| second.times.map(|times| times.p99_ms),
    };

    fn drawn(seconds: &[Second], series: &[Series]) -> Option<Picture> {
        picture("Throughput", seconds, series, three_digits, |second| {
            format!("level {}", second.level_idx + 1)
        })
    }

    #[test]
    fn the_axis_ends_at_a_round_number() {
        for (most, top) in [
            (0.0, 1.0),
            (0.7, 1.0),
            (1.0, 1.0),
            (1.01, 2.0),
            (420.0, 500.0),
            (99_999.0, 1e5),
        ] {
            assert!((nice_top(most) - top).abs() < top * 1e-9, "{most}");
        }
    }

    #[test]
    fn a_line_breaks_between_levels_and_each_begins_at_a_mark() {
        let records = [
            record(0, 0, &[1; 10]),
            record(0, 1, &[1; 5]),
            record(0, 30, &[1; 5]),
            record(1, -45, &[1; 5]),
        ];
        let chart = drawn(&of_records(&records), &[THROUGHPUT]).unwrap();
        let pieces = &chart.lines[0].pieces;
        assert_eq!(
            pieces,
            &["0,0 17,500", "500,500 500,500", "917,500 917,500"],
            "a minute wide"
        );
        let marks: Vec<(&str, &str)> = chart
            .marks
            .iter()
            .map(|mark| (mark.x_percent.as_str(), mark.text.as_str()))
            .collect();
        assert_eq!(marks, [("0.0%", "level 1"), ("91.7%", "level 2")]);
        assert!(chart.marks[1].is_late);
        let grid: Vec<&str> = chart.grid.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(grid, ["0", "5.00", "10.0"]);
        assert_eq!((chart.from.as_str(), chart.to.as_str()), ("00:00:00", "00:01:00"));
        assert_eq!(chart.label, "Throughput; last a second 5.00");
    }

    #[test]
    fn a_second_without_transactions_breaks_the_line_of_latencies_and_not_that_of_throughput() {
        let records = [record(0, 0, &[4]), record(0, 1, &[]), record(0, 2, &[4])];
        let chart = drawn(&of_records(&records), &[THROUGHPUT, P99]).unwrap();
        assert_eq!((chart.lines[0].pieces.len(), chart.lines[1].pieces.len()), (1, 2));
        assert!(drawn(&[], &[THROUGHPUT]).is_none());
    }

    #[test]
    fn only_the_last_minutes_are_shown() {
        let records: Vec<_> = (0..400).map(|idx| record(0, idx, &[1])).collect();
        let chart = drawn(&of_records(&records), &[THROUGHPUT]).unwrap();
        assert_eq!((chart.from.as_str(), chart.to.as_str()), ("00:01:39", "00:06:39"));
        assert!(chart.lines[0].pieces[0].starts_with("0,0 3,0 "));
    }
}
