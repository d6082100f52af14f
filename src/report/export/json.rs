//! Everything in one JSON document, its shape named and numbered.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanText;
use crate::model::experiment::TaxRecord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::report::bodies;
use crate::report::bodies::TrialBody;
use crate::report::data::ReportData;
use crate::report::export::Exporter;

/// Changes when a reader of the old shape would stumble.
const SCHEMA: &str = "pgassay.experiment/1";

/// The experiment, its sources and queries, summaries, trials and plans.
pub struct Everything;

/// A trial that was run to learn what measuring costs says how it was run.
#[derive(Serialize)]
struct ExportedTrial<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<&'static str>,
    #[serde(flatten)]
    trial: TrialBody<'a>,
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
        let of_kind = |is_meant: fn(TrialKind) -> bool| -> Vec<ExportedTrial<'_>> {
            let meant = trials.iter().filter(|trial| is_meant(trial.kind));
            let told = meant.map(|trial| ExportedTrial {
                way: trial.kind.is_of_observer().then(|| trial.kind.word()),
                trial: bodies::trial(data, trial),
            });
            told.collect()
        };
        let document = json!({
            "schema": SCHEMA,
            "experiment": experiment(data),
            "sources": bodies::sources(data),
            "queries": bodies::queries(data),
            "summaries": bodies::summaries(data),
            "baseline": data.source_label(data.base_idx),
            "comparisons": bodies::comparisons(data),
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

fn plan_body(data: &ReportData, plan: &PlanOutline) -> Value {
    let is_its = |text: &&PlanText| (text.query_idx, text.source_idx) == (plan.query_idx, plan.source_idx);
    let text = data.plan_texts.iter().find(is_its);
    json!({
        "source": data.source_label(plan.source_idx),
        "query": data.query_label(plan.query_idx),
        "plan": bodies::letter(data, plan.query_idx, plan.source_idx),
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
        "segments": bodies::segments(data),
    })
}
