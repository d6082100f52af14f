//! The plans of an experiment as comma-separated values, a row for each (query, source), without their texts.

use csv::Writer;

use crate::analysis::estimates;
use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::export::Exporter;
use crate::report::export::csv::number;
use crate::report::export::csv::text;

/// A row for each plan.
pub struct Plans;

impl Exporter for Plans {
    fn name(&self) -> &'static str {
        "plans.csv"
    }

    fn about(&self) -> &'static str {
        "Plans, one row for each query and source, with how far their estimates are off (CSV)"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "plans.csv"
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let mut csv = Writer::from_writer(Vec::new());
        csv.write_record([
            "query",
            "source",
            "fingerprint",
            "cost",
            "buffers",
            "worst_q_error",
            "mean_q_error",
            "n_compared",
            "n_10x_over",
            "n_10x_under",
            "message",
        ])?;
        for plan in &data.plans {
            let by_joins = estimates::by_joins(&plan.estimates);
            let n_over: u32 = by_joins.iter().map(|counted| counted.n_over).sum();
            let n_under: u32 = by_joins.iter().map(|counted| counted.n_under).sum();
            csv.write_record([
                text(data.query_label(plan.query_idx)),
                text(data.source_label(plan.source_idx)),
                plan.fingerprint.clone().unwrap_or_default(),
                number(plan.cost),
                plan.buffers.map(|n| n.to_string()).unwrap_or_default(),
                number(plan.worst_q_error),
                number(plan.mean_q_error),
                plan.estimates.len().to_string(),
                n_over.to_string(),
                n_under.to_string(),
                text(plan.message.as_deref().unwrap_or_default()),
            ])?;
        }
        Ok(csv.into_inner()?)
    }
}
