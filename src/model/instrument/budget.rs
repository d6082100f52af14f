//! Budget: what is asked, tried and found.

use serde::Deserialize;
use serde::Serialize;

use crate::model::instrument::ColumnName;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::TaskQuery;

/// How small may the target of each column be before plans or estimates move?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetTask {
    pub queries: Vec<TaskQuery>,
    /// Targets that are tried, ascending; the last is what all others are compared with.
    pub targets: Vec<u32>,
    /// A plan's worst q-error counts as moved when it changes by more than this factor.
    pub tolerance: f64,
    /// Queries of the workload that write, by their labels: they are not looked at.
    pub left_out: Vec<String>,
}

/// A step of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum BudgetStep {
    /// Everything analyzed at one target.
    Gathered {
        target: u32,
        bill: Bill,
        /// In the order of the queries.
        plans: Vec<DrawnPlan>,
    },
    /// One column as of a smaller target, 0 for no statistics, all else as of the largest.
    Tried {
        column: ColumnName,
        target: u32,
        moved: Vec<Moved>,
    },
    /// Everything analyzed once more, with the targets that were found.
    Checked { bill: Bill, moved: Vec<Moved> },
}

/// What statistics cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    pub analyze_ms: f64,
    pub statistics_bytes: u64,
    /// Of all queries together.
    pub planning_ms: f64,
}

/// A query whose plan or estimates are others than with the largest target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub query_idx: i32,
    pub what: String,
}

/// What a budget has found beside its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetFindings {
    pub columns: Vec<BudgetColumn>,
    /// Columns of tables that some plan touches: so many are to be tried. 0 before that is known.
    #[serde(default)]
    pub n_touched: usize,
    /// Columns of tables that no plan touches.
    pub n_untouched: usize,
}

/// One column of a table that some plan touches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetColumn {
    pub name: ColumnName,
    /// The smallest target from which on nothing moves; 0 where no statistics are needed.
    pub target: u32,
    /// What moves at the next smaller one.
    pub moved: Vec<Moved>,
    /// The SQL that gives it this target; none where it has it already, or needs none for these queries.
    pub statement: Option<String>,
}
