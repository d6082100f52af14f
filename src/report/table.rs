//! The table of an experiment: a row for each (query, source), ready to be shown.

use crate::model::experiment::SummaryRecord;
use crate::model::units::ms_in_words;
use crate::model::units::three_digits;
use crate::report::compared::Compared;
use crate::report::data::ReportData;

/// A number as it is shown, with the stored value behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    pub shown: String,
    /// Every digit that is stored; empty where there is no number.
    pub exact: String,
}

/// The numbers of one source for one query.
#[derive(Clone, Debug)]
pub struct Row {
    pub source_idx: i32,
    pub source: String,
    /// `10`, or `4 of 10` when some trials did not finish.
    pub n: String,
    pub mean: Figure,
    pub stddev: Figure,
    pub median: Figure,
    pub min: Figure,
    pub p95: Figure,
    /// The 95 percent interval of the median: `1.71 to 1.92`.
    pub interval: Figure,
    pub noise: Figure,
    /// `, 2 outliers`, to stand behind the noise; empty when there are none.
    pub outliers: String,
    pub planning: Figure,
    pub cost: Figure,
    pub letter: String,
    /// Timeouts and errors in words; empty when there were none.
    pub trouble: String,
    /// Beside the baseline; `None` for the baseline itself, and where nothing can be compared.
    pub compared: Option<Compared>,
    /// The source whose times stand for this row, which has none of its own; empty for every other row.
    pub same_as: String,
}

/// The rows of one query.
#[derive(Clone, Debug)]
pub struct QueryRows {
    pub query_idx: i32,
    pub label: String,
    pub rows: Vec<Row>,
    /// Whether its plan differs between the sources.
    pub plans_differ: bool,
}

/// The whole table, in the order of the workload and of the sources.
pub fn table(data: &ReportData) -> Vec<QueryRows> {
    let of_query = |query: &crate::model::experiment::ExperimentQuery| {
        let rows: Vec<Row> = data
            .sources()
            .filter_map(|(source_idx, source)| {
                let summary = data.summary(query.query_idx, source_idx)?;
                let compared = data.compared(query.query_idx, source_idx);
                let compared = compared.map(|member| Compared::new(member, data.bound(member)));
                let same_as = summary.same_plan_as.map(|source_idx| data.source_label(source_idx));
                Some(Row {
                    compared,
                    same_as: same_as.unwrap_or_default().to_owned(),
                    ..row(summary, &source.label)
                })
            })
            .collect();
        let plans_differ = rows.iter().any(|row| !row.letter.is_empty() && row.letter != "A");
        QueryRows {
            query_idx: query.query_idx,
            label: query.label.clone(),
            rows,
            plans_differ,
        }
    };
    data.queries.iter().map(of_query).collect()
}

fn row(summary: &SummaryRecord, source: &str) -> Row {
    Row {
        source_idx: summary.source_idx,
        source: source.to_owned(),
        n: if summary.n_finished == summary.n {
            summary.n.to_string()
        } else {
            format!("{} of {}", summary.n_finished, summary.n)
        },
        mean: time(summary.mean_ms, false),
        stddev: time(summary.stddev_ms, false),
        median: time(summary.median_ms, summary.median_is_above),
        min: time(summary.min_ms, summary.min_is_above),
        p95: time(summary.p95_ms, summary.p95_is_above),
        interval: interval(summary),
        noise: noise(summary),
        outliers: match summary.n_outliers {
            0 => String::new(),
            1 => ", 1 outlier".to_owned(),
            n => format!(", {n} outliers"),
        },
        planning: time(summary.planning_ms, false),
        cost: cost(summary.cost),
        letter: summary.plan_letter.clone().unwrap_or_default(),
        trouble: trouble(summary),
        compared: None,
        same_as: String::new(),
    }
}

/// What is known of the mean of all trials: it is that of the finished ones, or above that where some were cut off, and above
/// the limit where all were.
pub fn mean_of_all(summary: &SummaryRecord) -> (Option<f64>, bool) {
    (summary.mean_ms.or(summary.median_ms), summary.n_timed_out > 0)
}

/// A time in milliseconds, for a column whose head names the unit; with its own unit when it is only the limit that the
/// true value lies beyond.
pub fn time(ms: Option<f64>, is_above: bool) -> Figure {
    match ms {
        None => Figure {
            shown: "–".to_owned(),
            exact: String::new(),
        },
        Some(_) if is_above => Figure {
            shown: time_in_words(ms, true),
            exact: format!("> {}", ms.unwrap_or_default()),
        },
        Some(ms) => Figure {
            shown: milliseconds(ms),
            exact: ms.to_string(),
        },
    }
}

/// A time with its unit, for a sentence or a mixed table.
pub fn time_in_words(ms: Option<f64>, is_above: bool) -> String {
    let Some(ms) = ms else { return "–".to_owned() };
    let is_whole_seconds = ms >= 1000.0 && (ms / 1000.0).fract() == 0.0;
    match (is_above, is_whole_seconds) {
        (false, _) => ms_in_words(ms),
        (true, true) => format!("> {} s", ms / 1000.0),
        (true, false) => format!("> {}", ms_in_words(ms)),
    }
}

/// Three digits, and all of them before the point.
fn milliseconds(ms: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are not negative"
    )]
    match ms {
        ms if (99.95..1e15).contains(&ms) => crate::model::units::grouped(ms.round() as u64),
        ms if ms >= 0.9995 => three_digits(ms),
        ms => format!("{ms:.3}"),
    }
}

/// The median of a (query, source) with its unit, or whose times stand for it.
pub fn median_in_words(data: &ReportData, summary: &SummaryRecord) -> String {
    match summary.same_plan_as {
        Some(source_idx) => format!("same plan as {}", data.source_label(source_idx)),
        None => time_in_words(summary.median_ms, summary.median_is_above),
    }
}

/// A planner's cost, which has no unit.
pub fn cost(cost: Option<f64>) -> Figure {
    match cost {
        None => Figure {
            shown: "–".to_owned(),
            exact: String::new(),
        },
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "costs are never negative"
        )]
        Some(cost) if cost.abs() < 1e15 => Figure {
            shown: crate::model::units::grouped(cost.round() as u64),
            exact: cost.to_string(),
        },
        Some(cost) => Figure {
            shown: format!("{cost:.2e}"),
            exact: cost.to_string(),
        },
    }
}

fn trouble(summary: &SummaryRecord) -> String {
    let mut words = Vec::new();
    match summary.n_timed_out {
        0 => {}
        1 => words.push("1 timeout".to_owned()),
        n => words.push(format!("{n} timeouts")),
    }
    match (summary.n_failed, &summary.message) {
        (0, _) => {}
        (n, Some(message)) => words.push(format!("{n} failed: {message}")),
        (n, None) => words.push(format!("{n} failed")),
    }
    words.join("; ")
}

/// Both ends of the median's interval, where so many trials have one.
fn interval(summary: &SummaryRecord) -> Figure {
    let (low, high) = (
        time(summary.low_ms, summary.low_is_above),
        time(summary.high_ms, summary.high_is_above),
    );
    if low.exact.is_empty() {
        return low;
    }
    Figure {
        shown: format!("{} to {}", low.shown, high.shown),
        exact: format!("{} to {}", low.exact, high.exact),
    }
}

/// A word, with the number behind it.
fn noise(summary: &SummaryRecord) -> Figure {
    match (summary.noise, summary.relative_deviation) {
        (Some(grade), Some(share)) => Figure {
            shown: grade.word().to_owned(),
            exact: format!("{}", share * 100.0),
        },
        _ => time(None, false),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::experiment::NoiseGrade;

    pub fn summary(median_ms: f64, median_is_above: bool) -> SummaryRecord {
        SummaryRecord {
            source_idx: 1,
            query_idx: 0,
            n: 10,
            n_finished: 4,
            n_timed_out: 6,
            n_failed: 0,
            mean_ms: Some(1.0),
            stddev_ms: None,
            median_ms: Some(median_ms),
            median_is_above,
            min_ms: Some(0.5),
            min_is_above: false,
            p95_ms: Some(30_000.0),
            p95_is_above: true,
            low_ms: Some(0.75),
            low_is_above: false,
            high_ms: Some(30_000.0),
            high_is_above: true,
            relative_deviation: Some(0.2),
            noise: Some(NoiseGrade::Noisy),
            n_outliers: 1,
            planning_ms: Some(0.1),
            cost: Some(1234.56),
            plan_letter: Some("B".into()),
            message: None,
            same_plan_as: None,
        }
    }

    #[test]
    fn a_mean_with_timeouts_is_known_from_below_only() {
        let some = summary(30_000.0, true);
        assert_eq!(mean_of_all(&some), (Some(1.0), true));
        let all = SummaryRecord { mean_ms: None, ..some };
        assert_eq!(mean_of_all(&all), (Some(30_000.0), true));
        let none = SummaryRecord {
            n_timed_out: 0,
            ..summary(2.0, false)
        };
        assert_eq!(mean_of_all(&none), (Some(1.0), false));
    }

    #[test]
    fn timeouts_are_shown_as_more_than_the_limit_and_counted() {
        let row = row(&summary(30_000.0, true), "none");
        assert_eq!(row.n, "4 of 10");
        assert_eq!(row.median.shown, "> 30 s");
        assert_eq!(row.median.exact, "> 30000");
        assert_eq!(row.stddev.shown, "–");
        assert_eq!(row.trouble, "6 timeouts");
        assert_eq!(row.interval.shown, "0.750 to > 30 s");
        assert_eq!(row.outliers, ", 1 outlier");
        assert_eq!((row.noise.shown.as_str(), row.noise.exact.as_str()), ("noisy", "20"));
        assert_eq!(
            (row.cost.shown.as_str(), row.cost.exact.as_str()),
            ("1\u{2009}235", "1234.56")
        );
    }
}
