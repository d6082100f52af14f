//! Instruments: questions about plans that are answered by trying, beside the experiments.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::dataset::Setting;
use crate::model::filing::Filing;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::job::Job;
use crate::model::snapshot::Piece;

/// What an instrument is asked, complete: it needs no form and no workload any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstrumentSpec {
    /// Session settings, in the order in which they are set.
    pub settings: Vec<Setting>,
    /// The limit of one statement.
    pub timeout_ms: u64,
    pub seed: u64,
    pub task: Task,
}

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    Bisect(BisectTask),
    Lottery(LotteryTask),
    Budget(BudgetTask),
    Regret(RegretTask),
}

impl Task {
    /// Which instrument does this.
    pub fn kind(&self) -> InstrumentKind {
        match self {
            Self::Bisect(_) => InstrumentKind::Bisect,
            Self::Lottery(_) => InstrumentKind::Lottery,
            Self::Budget(_) => InstrumentKind::Budget,
            Self::Regret(_) => InstrumentKind::Regret,
        }
    }
}

/// The instruments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    Bisect,
    Lottery,
    Budget,
    Regret,
}

impl InstrumentKind {
    /// In the order in which pages list them.
    pub const ALL: [Self; 4] = [Self::Bisect, Self::Lottery, Self::Budget, Self::Regret];

    /// The word in addresses, commands and exports. It is stored, so it never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bisect => "bisect",
            Self::Lottery => "lottery",
            Self::Budget => "budget",
            Self::Regret => "regret",
        }
    }

    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bisect => "Bisect",
            Self::Lottery => "Lottery",
            Self::Budget => "Budget",
            Self::Regret => "Regret",
        }
    }

    /// What it is for, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Bisect => {
                "Two sources give a query different plans: finds the smallest set of columns whose statistics make the \
                 difference."
            }
            Self::Lottery => {
                "ANALYZE looks at a random sample, so the same query may get another plan tomorrow: draws again and again, \
                 and says how often each plan flips, and because of which column."
            }
            Self::Budget => {
                "Statistics cost time in every ANALYZE and in every planning: finds for each column the smallest target \
                 after which plans and estimates stop moving, and what that saves."
            }
            Self::Regret => {
                "The planner takes what its statistics make look cheapest: runs every plan that any source of an experiment \
                 chose, and says how much slower each source's choice is than the best plan known."
            }
        }
    }
}

/// A query as an instrument keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskQuery {
    pub label: String,
    pub sql: String,
}

/// A source of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSource {
    pub source_idx: i32,
    pub label: String,
}

/// Which statistics of `to`, put into those of `from`, turn the plan of the one into the plan of the other?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BisectTask {
    pub experiment_id: ExperimentId,
    pub query: TaskQuery,
    pub from: TaskSource,
    pub to: TaskSource,
}

/// A run of an instrument as pages and runners see it; its life is that of its job.
#[derive(Clone, Debug)]
pub struct Instrument {
    pub id: InstrumentId,
    pub dataset_id: Option<DatasetId>,
    pub dataset_name: String,
    pub experiment_id: Option<ExperimentId>,
    pub spec: InstrumentSpec,
    /// None before anything is known.
    pub result: Option<Findings>,
    /// The answer in a sentence, once there is one.
    pub headline: Option<String>,
    pub filing: Filing,
    pub created_at: DateTime<Utc>,
    /// Steps stored so far.
    pub n_steps: u64,
    pub job: Job,
}

/// What came out. Of a run that was stopped: what was known by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Findings {
    Bisect(BisectFindings),
    Lottery(LotteryFindings),
    Budget(BudgetFindings),
    Regret(RegretFindings),
}

/// A plan that was seen, with the EXPLAIN under which it was seen first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenPlan {
    pub query_idx: i32,
    pub fingerprint: String,
    pub cost: Option<f64>,
    /// JSON text from the server.
    pub explain: String,
}

/// One mixture that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BisectStep {
    /// Which pieces were taken from `to`, as places in [`BisectFindings::pieces`], ascending.
    pub taken: Vec<usize>,
    /// Why just these.
    pub why: String,
    /// None where the server gave no plan; the message says why.
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    pub message: Option<String>,
}

/// What a bisect has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BisectFindings {
    /// Everything in which the two snapshots differ and that could be written.
    pub pieces: Vec<Piece>,
    /// What could not be written, and why.
    pub left_out: Vec<String>,
    /// Fingerprints of the plans under all of `from` and all of `to`.
    pub plan_from: Option<String>,
    pub plan_to: Option<String>,
    /// Places in `pieces`; none before the end, and where there is no difference to explain.
    pub minimal: Option<Vec<usize>>,
    /// For each of `minimal` the plan that comes out when it alone is left out.
    pub without: Vec<Option<String>>,
    /// For each of `minimal` what the two snapshots say of it, where that can be said in words.
    pub said: Vec<Vec<Said>>,
}

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

/// The plan of one query in one draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnPlan {
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    pub message: Option<String>,
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

/// A column by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnName {
    pub schema: String,
    pub table: String,
    pub column: String,
}

impl std::fmt::Display for ColumnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.schema, self.table, self.column)
    }
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

/// One number of the statistics in both snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub name: String,
    pub from: String,
    pub to: String,
}
