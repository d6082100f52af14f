//! Comma-separated values: a header line, units in the names, a dot in numbers.

use csv::Writer;

use crate::model::experiment::NoiseGrade;
use crate::model::look::Disturbance;
use crate::model::look::disturbances_of;
use crate::model::trial::RecordedTrial;
use crate::report::costs;
use crate::report::data::ReportData;
use crate::report::export::Exporter;
use crate::report::sources;

/// A row for each (query, source).
pub struct Summaries;

/// A row for each (query, source) beside the baseline.
pub struct Comparisons;

/// A row for each source, over the whole workload.
pub struct Sources;

/// A row for each query that tells what measuring it costs.
pub struct Observer;

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
            "median_low_ms",
            "median_low_is_above",
            "median_high_ms",
            "median_high_is_above",
            "relative_deviation",
            "noise",
            "n_outliers",
            "planning_ms",
            "cost",
            "plan",
            "message",
            "same_plan_as",
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
                number(summary.low_ms),
                summary.low_is_above.to_string(),
                number(summary.high_ms),
                summary.high_is_above.to_string(),
                number(summary.relative_deviation),
                text(summary.noise.map(NoiseGrade::word).unwrap_or_default()),
                summary.n_outliers.to_string(),
                number(summary.planning_ms),
                number(summary.cost),
                text(summary.plan_letter.as_deref().unwrap_or_default()),
                text(summary.message.as_deref().unwrap_or_default()),
                text(
                    summary
                        .same_plan_as
                        .map(|idx| data.source_label(idx))
                        .unwrap_or_default(),
                ),
            ])?;
        }
        Ok(csv.into_inner()?)
    }
}

impl Exporter for Comparisons {
    fn name(&self) -> &'static str {
        "comparisons.csv"
    }

    fn about(&self) -> &'static str {
        "Comparisons, one row for each query and source beside the baseline (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "comparisons.csv"
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "query",
            "source",
            "baseline",
            "n_rounds",
            "n_censored",
            "ratio",
            "ratio_low",
            "ratio_high",
            "log_error",
            "p",
            "adjusted_p",
            "detectable_ratio",
            "verdict",
        ])?;
        for member in &data.family {
            let (effect, judgement) = (&member.effect, &member.judgement);
            csv.write_record([
                text(data.query_label(member.query_idx)),
                text(data.source_label(member.source_idx)),
                text(data.base_label(member.source_idx)),
                effect.n_rounds.to_string(),
                effect.n_censored.to_string(),
                effect.ratio.to_string(),
                number(effect.interval.map(|(low, _)| low)),
                number(effect.interval.map(|(_, high)| high)),
                number(effect.log_error),
                effect.p_value.to_string(),
                judgement.adjusted_p.to_string(),
                number(judgement.detectable),
                judgement.verdict.word().to_owned(),
            ])?;
        }
        Ok(csv.into_inner()?)
    }
}

impl Exporter for Sources {
    fn name(&self) -> &'static str {
        "sources.csv"
    }

    fn about(&self) -> &'static str {
        "Sources, one row for each over the whole workload beside the baseline (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "sources.csv"
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "source",
            "baseline",
            "ratio",
            "ratio_low",
            "ratio_high",
            "n_queries_compared",
            "n_won",
            "n_lost",
            "n_undecided",
            "total_ms",
            "total_is_above",
            "planning_ms",
            "preparing_ms",
            "statistics_bytes",
            "cost_time_rank_correlation",
        ])?;
        for (source, agreement) in sources::numbers(data).into_iter().zip(costs::agreements(data)) {
            let interval = source.overall.and_then(|overall| overall.interval);
            csv.write_record([
                text(data.source_label(source.source_idx)),
                text(data.base_label(source.source_idx)),
                number(source.overall.map(|overall| overall.ratio)),
                number(interval.map(|(low, _)| low)),
                number(interval.map(|(_, high)| high)),
                source.overall.map_or(0, |overall| overall.n_queries).to_string(),
                source.n_won.to_string(),
                source.n_lost.to_string(),
                source.n_undecided.to_string(),
                number(source.total_ms),
                source.total_is_above.to_string(),
                number(source.planning_ms),
                number(source.apply_ms),
                source
                    .statistics_bytes
                    .map(|bytes| bytes.to_string())
                    .unwrap_or_default(),
                number(agreement.correlation),
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
        let mut csv = trials_head()?;
        csv.extend(trials_rows(data, trials)?);
        Ok(csv)
    }
}

/// The first line of the trials.
pub fn trials_head() -> anyhow::Result<Vec<u8>> {
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
        "server_ms",
        "seen",
        "message",
    ])?;
    Ok(csv.into_inner()?)
}

/// A row for each of these trials, without the first line.
pub fn trials_rows(data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
    let mut csv = Writer::from_writer(Vec::new());
    for trial in trials {
        csv.write_record([
            (trial.trial_idx + 1).to_string(),
            trial.kind.word().to_owned(),
            trial.round.to_string(),
            text(data.query_label(trial.query_idx)),
            text(data.source_label(trial.source_idx)),
            trial.segment_no.to_string(),
            trial.outcome.word().to_owned(),
            number(trial.execution_ms),
            number(trial.planning_ms),
            number(trial.cost),
            number(trial.server_ms),
            seen(data, trial),
            text(trial.message.as_deref().unwrap_or_default()),
        ])?;
    }
    Ok(csv.into_inner()?)
}

/// What else was at work: `checkpoint disk`.
fn seen(data: &ReportData, trial: &RecordedTrial) -> String {
    let words = disturbances_of(&data.looks, trial).into_iter().map(Disturbance::word);
    words.collect::<Vec<_>>().join(" ")
}

impl Exporter for Observer {
    fn name(&self) -> &'static str {
        "observer.csv"
    }

    fn about(&self) -> &'static str {
        "What measuring costs, one row for each query; empty unless it was asked for (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "observer.csv"
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "query",
            "source",
            "n_rounds",
            "plain_ms",
            "timing_off_ms",
            "timing_off_server_ms",
            "timing_off_tax",
            "timing_off_tax_low",
            "timing_off_tax_high",
            "timing_on_ms",
            "timing_on_server_ms",
            "timing_on_tax",
            "timing_on_tax_low",
            "timing_on_tax_high",
        ])?;
        for tax in &data.taxes {
            csv.write_record([
                text(data.query_label(tax.query_idx)),
                text(data.source_label(0)),
                tax.n_rounds.to_string(),
                tax.plain_ms.to_string(),
                tax.off_ms.to_string(),
                tax.off_server_ms.to_string(),
                tax.off_ratio.to_string(),
                number(tax.off_low),
                number(tax.off_high),
                tax.on_ms.to_string(),
                tax.on_server_ms.to_string(),
                tax.on_ratio.to_string(),
                number(tax.on_low),
                number(tax.on_high),
            ])?;
        }
        Ok(csv.into_inner()?)
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
