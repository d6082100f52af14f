//! What was measured, second by second, with marks for what happened: levels that begin, warm-ups, gaps, errors and attempts
//! that do not count.
//!
//! The time between attempts is left out: a benchmark that was interrupted for a night is as wide as one that was not.

use crate::analysis::sweep;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::SecondRecord;
use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::chart::scale;
use crate::report::benchmark::chart::series;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::label as level_label;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::percentiles::label;
use crate::report::chart::MarkShape;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::Shape;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XyMark;
use crate::report::chart::XySeries;

pub(super) fn throughput(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let timeline = Timeline::new(data, wish);
    let points = timeline.points(|second| Some(per_s(second.totals.n_transactions, second)));
    let lines = vec![series("throughput".to_owned(), 0, points)];
    let scale = wish.scale.unwrap_or(Scale::Linear);
    timeline.chart(axis("Transactions a second", Unit::Count, scale), lines)
}

pub(super) fn latency(data: &BenchmarkData, wish: &ChartWish) -> anyhow::Result<XyChart> {
    let timeline = Timeline::new(data, wish);
    // Each second's histogram is read once for all percentiles.
    let mut lines: Vec<Vec<(f64, f64)>> = vec![Vec::new(); wish.percentiles.as_slice().len()];
    for (attempt, from_s) in &timeline.attempts {
        for (at_s, second) in attempt.at(*from_s) {
            let latencies = latencies(Some(&second.latencies))?;
            for (line, percentile) in lines.iter_mut().zip(wish.percentiles.as_slice()) {
                line.push((at_s, latencies.percentile_ms(*percentile).unwrap_or(f64::NAN)));
            }
        }
        for line in &mut lines {
            line.push(BREAK);
        }
    }
    let lines = lines.into_iter().zip(wish.percentiles.as_slice()).enumerate();
    let lines: Vec<XySeries> = lines
        .map(|(colour, (points, percentile))| series(label(*percentile), colour, points))
        .collect();
    let scale = scale(wish, &lines);
    Ok(timeline.chart(axis("Latency", Unit::Milliseconds, scale), lines))
}

pub(super) fn errors(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let timeline = Timeline::new(data, wish);
    let points = timeline.points(|second| Some(per_s(second.totals.n_failed, second)));
    let lines = vec![series("failed transactions".to_owned(), 0, points)];
    let scale = wish.scale.unwrap_or(Scale::Linear);
    timeline.chart(axis("Failed transactions a second", Unit::Count, scale), lines)
}

/// Where a line is broken.
const BREAK: (f64, f64) = (f64::NAN, f64::NAN);

fn per_s(n: u64, second: &SecondRecord) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
    let n = n as f64;
    n * 1000.0 / second.span_ms.max(f64::MIN_POSITIVE)
}

/// All attempts that were asked for, one behind the other.
pub(super) struct Timeline<'a> {
    /// Each with the second at which it begins.
    attempts: Vec<(Attempt<'a>, f64)>,
    marks: Vec<XyMark>,
}

struct Attempt<'a> {
    record: &'a LevelRecord,
    label: String,
    /// With the warm-up.
    seconds: &'a [SecondRecord],
}

impl<'a> Timeline<'a> {
    pub(super) fn new(data: &'a BenchmarkData, wish: &ChartWish) -> Self {
        let mut timeline = Self {
            attempts: Vec::new(),
            marks: Vec::new(),
        };
        let mut from_s = 0.0;
        let attempts = data
            .seconds
            .chunk_by(|a, b| (a.level_idx, a.attempt) == (b.level_idx, b.attempt));
        for seconds in attempts {
            let [first, ..] = seconds else { continue };
            let is_its =
                |record: &&LevelRecord| (record.level.level_idx, record.attempt) == (first.level_idx, first.attempt);
            let is_wished = wish.level_idx.is_none_or(|idx| idx == first.level_idx);
            let Some(record) = data.attempts.iter().find(is_its).filter(|_| is_wished) else {
                continue;
            };
            let attempt = Attempt {
                record,
                label: level_label(
                    record.level.n_clients,
                    data.benchmark.spec.source_label(record.level.source_idx),
                ),
                seconds,
            };
            attempt.push_marks(from_s, &mut timeline.marks);
            let length_s = attempt.length_s();
            timeline.attempts.push((attempt, from_s));
            from_s += length_s;
        }
        timeline
    }

    /// A number of each second, in the middle of it; the line is broken between attempts.
    pub(super) fn points(&self, value: impl Fn(&SecondRecord) -> Option<f64>) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for (attempt, from_s) in &self.attempts {
            for (at_s, second) in attempt.at(*from_s) {
                points.push((at_s, value(second).unwrap_or(f64::NAN)));
            }
            points.push(BREAK);
        }
        points
    }

    pub(super) fn chart(self, y: Numbers, series: Vec<XySeries>) -> XyChart {
        XyChart {
            x: axis(
                "Second (the time between levels is left out)",
                Unit::Count,
                Scale::Linear,
            ),
            y,
            shape: Shape::Lines,
            series,
            marks: self.marks,
        }
    }
}

impl<'a> Attempt<'a> {
    /// Its seconds, each with the place of its middle.
    fn at(&self, from_s: f64) -> impl Iterator<Item = (f64, &'a SecondRecord)> {
        let mut begins_s = from_s;
        self.seconds.iter().map(move |second| {
            let at_s = begins_s + second.span_ms / 2000.0;
            begins_s += second.span_ms / 1000.0;
            (at_s, second)
        })
    }

    fn length_s(&self) -> f64 {
        self.seconds.iter().map(|second| second.span_ms / 1000.0).sum()
    }

    fn warm_up_s(&self) -> f64 {
        let warm_up = self.seconds.iter().take_while(|second| second.second_idx < 0);
        warm_up.map(|second| second.span_ms / 1000.0).sum()
    }

    fn push_marks(&self, from_s: f64, marks: &mut Vec<XyMark>) {
        let mut push = |shape, from: f64, to: f64, label: &str| {
            marks.push(XyMark {
                shape,
                from: from_s + from,
                to: from_s + to,
                label: label.to_owned(),
            });
        };
        let label = match self.record.attempt {
            1 => self.label.clone(),
            attempt => format!("{}, attempt {attempt}", self.label),
        };
        push(MarkShape::Post, 0.0, 0.0, &label);
        let (warm_up_s, end_s) = (self.warm_up_s(), self.length_s());
        if sweep::counts(self.record.status) {
            if warm_up_s > 0.0 {
                push(MarkShape::Shaded, 0.0, warm_up_s, UNCOUNTED);
            }
        } else {
            push(MarkShape::Shaded, 0.0, end_s, UNCOUNTED);
        }
        for gap in &self.record.notes.gaps {
            let to_s = gap.to_ms.map_or(end_s, |ms| warm_up_s + ms / 1000.0);
            push(MarkShape::Striped, warm_up_s + gap.from_ms / 1000.0, to_s, "no server");
        }
        for (at_s, second) in self.at(0.0) {
            if second.totals.n_failed > 0 || !second.errors.is_empty() {
                push(MarkShape::Caret, at_s, at_s, "errors");
            }
        }
    }
}

const UNCOUNTED: &str = "does not count: warm-up, or interrupted";
