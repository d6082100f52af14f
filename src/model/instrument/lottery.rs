//! Lottery: what is asked, tried and found.

use serde::Deserialize;
use serde::Serialize;

use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::ColumnName;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::TaskQuery;

/// How likely is it that the next ANALYZE gives a query another plan?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LotteryTask {
    pub queries: Vec<TaskQuery>,
    /// Values of `default_statistics_target`, ascending.
    pub targets: Vec<u32>,
    /// Draws at each target.
    pub n_draws: u32,
    /// Queries of the workload that write, by their labels: they are not looked at.
    pub left_out: Vec<String>,
}

/// A step of a lottery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum LotteryStep {
    Draw(DrawStep),
    /// A mixture of two draws that gave this query different plans.
    Bisect {
        query_idx: i32,
        mixture: BisectStep,
    },
}

/// One ANALYZE of everything, from the pristine state, and what it did to the plans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawStep {
    pub target: u32,
    pub analyze_ms: f64,
    /// In the order of the queries.
    pub plans: Vec<DrawnPlan>,
    /// Columns of which the sample held no value, only NULL.
    pub all_null: Vec<ColumnName>,
    /// Plans that were seen for the first time, run once.
    pub timed: Vec<TimedPlan>,
}

/// What running a plan once came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedPlan {
    pub query_idx: i32,
    pub fingerprint: String,
    /// None where it did not finish; the message says why.
    pub execution_ms: Option<f64>,
    pub message: Option<String>,
}

/// What a lottery has found beside its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LotteryFindings {
    /// Columns that hold so few values that a sample may miss them all.
    pub rare: Vec<RareColumn>,
    /// For queries with several plans: the columns whose sample decides.
    pub deciding: Vec<Deciding>,
}

/// A column that is NULL nearly everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RareColumn {
    pub name: ColumnName,
    pub n_rows: u64,
    /// Rows in which it is not NULL.
    pub n_values: u64,
    /// Rows that ANALYZE samples of its table, in the order of the targets.
    pub n_sampled: Vec<u64>,
}

/// Why a query has one plan after one draw and another after another, both at the same target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deciding {
    pub query_idx: i32,
    pub target: u32,
    pub found: BisectFindings,
}
