//! What EXPLAIN showed of the queries of an experiment.

use crate::model::estimate::NodeEstimate;

/// What EXPLAIN showed of one (source, query).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanRecord {
    pub source_idx: i32,
    pub query_idx: i32,
    /// The plain EXPLAIN, as JSON text from the server.
    pub explain: Option<String>,
    /// The one with ANALYZE, as JSON text from the server.
    pub analyzed: Option<String>,
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    /// Shared blocks hit and read.
    pub buffers: Option<i64>,
    pub worst_q_error: Option<f64>,
    pub mean_q_error: Option<f64>,
    /// How far off the nodes were that can be compared, from the top down.
    pub estimates: Vec<NodeEstimate>,
    /// What went wrong, where something did.
    pub message: Option<String>,
}

/// The same without its texts, which are large.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOutline {
    pub source_idx: i32,
    pub query_idx: i32,
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    pub buffers: Option<i64>,
    pub worst_q_error: Option<f64>,
    pub mean_q_error: Option<f64>,
    pub estimates: Vec<NodeEstimate>,
    pub message: Option<String>,
}

impl From<PlanRecord> for PlanOutline {
    fn from(record: PlanRecord) -> Self {
        Self {
            source_idx: record.source_idx,
            query_idx: record.query_idx,
            fingerprint: record.fingerprint,
            cost: record.cost,
            buffers: record.buffers,
            worst_q_error: record.worst_q_error,
            mean_q_error: record.mean_q_error,
            estimates: record.estimates,
            message: record.message,
        }
    }
}

/// The texts of one plan, as the server sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanText {
    pub source_idx: i32,
    pub query_idx: i32,
    pub explain: Option<String>,
    pub analyzed: Option<String>,
}

impl PlanText {
    /// The one that says more: what really happened, else what was planned.
    pub fn best(&self) -> Option<&str> {
        self.analyzed.as_deref().or(self.explain.as_deref())
    }
}
