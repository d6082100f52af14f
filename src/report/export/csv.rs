//! Comma-separated values: a header line, units in the names, a dot in numbers.

use csv::Writer;

use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::export::Exporter;

/// A row for each (query, source).
pub struct Summaries;

/// A row for each trial, warm-ups included.
pub struct Trials;

impl Exporter for Summaries {
    fn name(&self) -> &'static str {
        "export.csv"
    }

    fn about(&self) -> &'static str {
        "Summaries, one row for each query and source (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "summaries.csv"
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "query",
            "source",
            "n",
            "n_finished",
            "n_timed_out",
            "n_failed",
            "mean_ms",
            "stddev_ms",
            "median_ms",
            "median_is_above",
            "min_ms",
            "min_is_above",
            "p95_ms",
            "p95_is_above",
            "planning_ms",
            "cost",
            "plan",
            "message",
        ])?;
        for summary in &data.summaries {
            csv.write_record([
                text(data.query_label(summary.query_idx)),
                text(data.source_label(summary.source_idx)),
                summary.n.to_string(),
                summary.n_finished.to_string(),
                summary.n_timed_out.to_string(),
                summary.n_failed.to_string(),
                number(summary.mean_ms),
                number(summary.stddev_ms),
                number(summary.median_ms),
                summary.median_is_above.to_string(),
                number(summary.min_ms),
                summary.min_is_above.to_string(),
                number(summary.p95_ms),
                summary.p95_is_above.to_string(),
                number(summary.planning_ms),
                number(summary.cost),
                text(summary.plan_letter.as_deref().unwrap_or_default()),
                text(summary.message.as_deref().unwrap_or_default()),
            ])?;
        }
        Ok(csv.into_inner()?)
    }
}

impl Exporter for Trials {
    fn name(&self) -> &'static str {
        "trials.csv"
    }

    fn about(&self) -> &'static str {
        "Trials, one row for each execution, warm-ups included (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "trials.csv"
    }

    fn write(&self, data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "trial",
            "kind",
            "round",
            "query",
            "source",
            "segment",
            "outcome",
            "execution_ms",
            "planning_ms",
            "cost_estimate",
            "message",
        ])?;
        for trial in trials {
            csv.write_record([
                (trial.trial_idx + 1).to_string(),
                kind(trial).to_owned(),
                trial.round.to_string(),
                text(data.query_label(trial.query_idx)),
                text(data.source_label(trial.source_idx)),
                trial.segment_no.to_string(),
                trial.outcome.word().to_owned(),
                number(trial.execution_ms),
                number(trial.planning_ms),
                number(trial.cost),
                text(trial.message.as_deref().unwrap_or_default()),
            ])?;
        }
        Ok(csv.into_inner()?)
    }
}

fn kind(trial: &RecordedTrial) -> &'static str {
    match trial.kind {
        crate::model::trial::TrialKind::WarmUp => "warm_up",
        crate::model::trial::TrialKind::Measured => "measured",
    }
}

/// Every digit, so that the same number comes back.
pub fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A spreadsheet takes a cell that begins like a formula for one.
pub fn text(value: &str) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{value}")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_look_like_formulas_are_defused_and_numbers_keep_every_digit() {
        assert_eq!(text("=cmd()"), "'=cmd()");
        assert_eq!(text("q1"), "q1");
        assert_eq!(
            number(Some(0.1 + 0.2)).parse::<f64>().unwrap().to_bits(),
            (0.1_f64 + 0.2).to_bits()
        );
        assert_eq!(number(None), "");
    }
}
