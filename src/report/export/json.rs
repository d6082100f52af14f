//! Everything in one JSON document, its shape named and numbered.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::analysis::family::Member;
use crate::model::experiment::NoiseGrade;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanText;
use crate::model::experiment::SummaryRecord;
use crate::model::experiment::TaxRecord;
use crate::model::look::Disturbance;
use crate::model::look::disturbances_of;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::report::costs;
use crate::report::data::ReportData;
use crate::report::export::Exporter;
use crate::report::sources;

/// Changes when a reader of the old shape would stumble.
const SCHEMA: &str = "pgassay.experiment/1";

/// The experiment, its sources and queries, summaries, trials and plans.
pub struct Everything;

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "every quantile may be a limit")]
struct SummaryBody<'a> {
    source: &'a str,
    query: &'a str,
    n: i32,
    n_finished: i32,
    n_timed_out: i32,
    n_failed: i32,
    mean_ms: Option<f64>,
    stddev_ms: Option<f64>,
    median_ms: Option<f64>,
    median_is_above: bool,
    min_ms: Option<f64>,
    min_is_above: bool,
    p95_ms: Option<f64>,
    p95_is_above: bool,
    median_low_ms: Option<f64>,
    median_low_is_above: bool,
    median_high_ms: Option<f64>,
    median_high_is_above: bool,
    relative_deviation: Option<f64>,
    noise: Option<NoiseGrade>,
    n_outliers: i32,
    planning_ms: Option<f64>,
    cost: Option<f64>,
    plan: Option<&'a str>,
    message: Option<&'a str>,
    same_plan_as: Option<&'a str>,
}

#[derive(Serialize)]
struct TrialBody<'a> {
    /// How it was run to learn what measuring costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<&'static str>,
    source: &'a str,
    query: &'a str,
    round: i32,
    trial: i32,
    segment: i32,
    outcome: crate::model::trial::OutcomeWord,
    execution_ms: Option<f64>,
    planning_ms: Option<f64>,
    cost_estimate: Option<f64>,
    server_ms: Option<f64>,
    seen: Vec<Disturbance>,
    plan: Option<&'a str>,
    message: Option<&'a str>,
}

impl Exporter for Everything {
    fn name(&self) -> &'static str {
        "export.json"
    }

    fn about(&self) -> &'static str {
        "Everything: settings, summaries, trials and plans (JSON)"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn file_suffix(&self) -> &'static str {
        "experiment.json"
    }

    fn write(&self, data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let of_kind = |is_meant: fn(TrialKind) -> bool| -> Vec<TrialBody<'_>> {
            let meant = trials.iter().filter(|trial| is_meant(trial.kind));
            meant.map(|trial| trial_body(data, trial)).collect()
        };
        let document = json!({
            "schema": SCHEMA,
            "experiment": experiment(data),
            "sources": sources(data),
            "queries": data.queries.iter().map(|query| json!({
                "label": query.label, "line": query.line, "sql": query.sql, "class": query.class.word(),
            })).collect::<Vec<_>>(),
            "summaries": data.summaries.iter().map(|summary| summary_body(data, summary)).collect::<Vec<_>>(),
            "baseline": data.source_label(data.base_idx),
            "comparisons": data.family.iter().map(|member| comparison(data, member)).collect::<Vec<_>>(),
            "trials": of_kind(|kind| kind == TrialKind::Measured),
            "warm_up_trials": of_kind(|kind| kind == TrialKind::WarmUp),
            "observer": data.taxes.iter().map(|tax| tax_body(data, tax)).collect::<Vec<_>>(),
            "observer_trials": of_kind(TrialKind::is_of_observer),
            "visits": data.looks,
            "plans": data.plans.iter().map(|plan| plan_body(data, plan)).collect::<Vec<_>>(),
        });
        let mut bytes = serde_json::to_vec_pretty(&document)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn summary_body<'a>(data: &'a ReportData, summary: &'a SummaryRecord) -> SummaryBody<'a> {
    SummaryBody {
        source: data.source_label(summary.source_idx),
        query: data.query_label(summary.query_idx),
        n: summary.n,
        n_finished: summary.n_finished,
        n_timed_out: summary.n_timed_out,
        n_failed: summary.n_failed,
        mean_ms: summary.mean_ms,
        stddev_ms: summary.stddev_ms,
        median_ms: summary.median_ms,
        median_is_above: summary.median_is_above,
        min_ms: summary.min_ms,
        min_is_above: summary.min_is_above,
        p95_ms: summary.p95_ms,
        p95_is_above: summary.p95_is_above,
        median_low_ms: summary.low_ms,
        median_low_is_above: summary.low_is_above,
        median_high_ms: summary.high_ms,
        median_high_is_above: summary.high_is_above,
        relative_deviation: summary.relative_deviation,
        noise: summary.noise,
        n_outliers: summary.n_outliers,
        planning_ms: summary.planning_ms,
        cost: summary.cost,
        plan: summary.plan_letter.as_deref(),
        message: summary.message.as_deref(),
        same_plan_as: summary.same_plan_as.map(|source_idx| data.source_label(source_idx)),
    }
}

fn tax_body(data: &ReportData, tax: &TaxRecord) -> Value {
    json!({
        "query": data.query_label(tax.query_idx),
        "source": data.source_label(0),
        "n_rounds": tax.n_rounds,
        "plain_ms": tax.plain_ms,
        "timing_off": {
            "client_ms": tax.off_ms, "server_ms": tax.off_server_ms,
            "tax": tax.off_ratio, "tax_low": tax.off_low, "tax_high": tax.off_high,
        },
        "timing_on": {
            "client_ms": tax.on_ms, "server_ms": tax.on_server_ms,
            "tax": tax.on_ratio, "tax_low": tax.on_low, "tax_high": tax.on_high,
        },
    })
}

/// One (query, source) beside the baseline.
fn comparison(data: &ReportData, member: &Member) -> Value {
    let (effect, judgement) = (&member.effect, &member.judgement);
    json!({
        "source": data.source_label(member.source_idx),
        "query": data.query_label(member.query_idx),
        "n_rounds": effect.n_rounds,
        "n_censored": effect.n_censored,
        "ratio": effect.ratio,
        "ratio_low": effect.interval.map(|(low, _)| low),
        "ratio_high": effect.interval.map(|(_, high)| high),
        "log_error": effect.log_error,
        "p": effect.p_value,
        "adjusted_p": judgement.adjusted_p,
        "detectable_ratio": judgement.detectable,
        "verdict": judgement.verdict.word(),
    })
}

fn plan_body(data: &ReportData, plan: &PlanOutline) -> Value {
    let is_its = |text: &&PlanText| (text.query_idx, text.source_idx) == (plan.query_idx, plan.source_idx);
    let text = data.plan_texts.iter().find(is_its);
    json!({
        "source": data.source_label(plan.source_idx),
        "query": data.query_label(plan.query_idx),
        "plan": letter(data, plan.query_idx, plan.source_idx),
        "fingerprint": plan.fingerprint,
        "cost": plan.cost,
        "buffers": plan.buffers,
        "worst_q_error": plan.worst_q_error,
        "mean_q_error": plan.mean_q_error,
        "estimates": plan.estimates,
        "explain": text.and_then(|text| text.explain.as_ref()),
        "explain_analyzed": text.and_then(|text| text.analyzed.as_ref()),
        "message": plan.message,
    })
}

fn trial_body<'a>(data: &'a ReportData, trial: &'a RecordedTrial) -> TrialBody<'a> {
    TrialBody {
        way: trial.kind.is_of_observer().then(|| trial.kind.word()),
        source: data.source_label(trial.source_idx),
        query: data.query_label(trial.query_idx),
        round: trial.round,
        trial: trial.trial_idx + 1,
        segment: trial.segment_no,
        outcome: trial.outcome,
        execution_ms: trial.execution_ms,
        planning_ms: trial.planning_ms,
        cost_estimate: trial.cost,
        server_ms: trial.server_ms,
        seen: disturbances_of(&data.looks, trial),
        plan: letter(data, trial.query_idx, trial.source_idx),
        message: trial.message.as_deref(),
    }
}

fn letter(data: &ReportData, query_idx: i32, source_idx: i32) -> Option<&str> {
    data.summary(query_idx, source_idx)?.plan_letter.as_deref()
}

fn experiment(data: &ReportData) -> Value {
    let experiment = &data.experiment;
    json!({
        "id": experiment.id,
        "status": experiment.job.status,
        "message": experiment.job.message,
        "headline": experiment.headline,
        "dataset": { "name": experiment.dataset_name, "sha256": experiment.dataset_sha256 },
        "workload": { "name": experiment.workload_name, "sha256": experiment.workload_sha256 },
        "spec": experiment.spec,
        "n_trials": experiment.n_trials,
        "n_recorded": experiment.n_recorded,
        "created_at": experiment.created_at,
        "started_at": experiment.job.started_at,
        "finished_at": experiment.job.finished_at,
        "environment": experiment.environment,
        "segments": data.segments.iter().map(|segment| json!({
            "segment": segment.segment_no,
            "first_trial": segment.first_trial + 1,
            "reason": segment.reason,
            "started_at": segment.started_at,
        })).collect::<Vec<_>>(),
    })
}

fn sources(data: &ReportData) -> Vec<Value> {
    data.sources()
        .zip(sources::numbers(data))
        .zip(costs::agreements(data))
        .map(|(((source_idx, source), numbers), agreement)| {
            let overall = numbers.overall;
            let prepared = data.prepared.iter().find(|prepared| prepared.source_idx == source_idx);
            json!({
                "label": source.label,
                "name": source.name,
                "params": source.params,
                "draw": source.draw,
                "snapshot_sha256": prepared.map(|prepared| &prepared.snapshot_sha256),
                "n_statistics": prepared.map(|prepared| prepared.n_statistics),
                "apply_ms": prepared.map(|prepared| prepared.apply_ms),
                "statistics_bytes": numbers.statistics_bytes,
                "targets": prepared.map(|prepared| &prepared.targets),
                "ratio": overall.map(|overall| overall.ratio),
                "ratio_low": overall.and_then(|overall| overall.interval).map(|(low, _)| low),
                "ratio_high": overall.and_then(|overall| overall.interval).map(|(_, high)| high),
                "n_queries_compared": overall.map(|overall| overall.n_queries),
                "n_won": numbers.n_won,
                "n_lost": numbers.n_lost,
                "n_undecided": numbers.n_undecided,
                "total_ms": numbers.total_ms,
                "total_is_above": numbers.total_is_above,
                "planning_ms": numbers.planning_ms,
                "cost_time_rank_correlation": agreement.correlation,
                "notes": prepared.map(|prepared| &prepared.notes),
                "objects": prepared.map(|prepared| &prepared.objects),
            })
        })
        .collect()
}
