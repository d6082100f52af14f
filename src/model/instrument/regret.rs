//! Regret: what is asked, tried and found.

use serde::Deserialize;
use serde::Serialize;

use crate::model::ids::ExperimentId;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::TaskQuery;
use crate::model::instrument::TaskSource;

/// How much slower is the plan that each source chooses than the best that any of them has chosen?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegretTask {
    pub experiment_id: ExperimentId,
    pub queries: Vec<TaskQuery>,
    pub sources: Vec<TaskSource>,
    /// How often each plan runs and counts.
    pub rounds: u32,
    /// Queries of the experiment that write, by their labels: they are not looked at.
    pub left_out: Vec<String>,
}

/// A step of a regret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RegretStep {
    /// What the queries' plans are under one source.
    Looked { source_idx: i32, plans: Vec<DrawnPlan> },
    /// One plan, run once.
    Ran {
        /// 0 to warm up, which does not count.
        round: u32,
        query_idx: i32,
        fingerprint: String,
        #[serde(flatten)]
        outcome: RunOutcome,
    },
}

/// What running a plan came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunOutcome {
    Finished { execution_ms: f64 },
    TimedOut { limit_ms: f64 },
    Failed { message: String },
}

/// What a regret has found beside its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegretFindings {
    /// What of the sources' statistics could not be written, and why.
    pub left_out: Vec<String>,
}
