//! Instruments: questions about plans that are answered by trying, beside the experiments.

mod bisect;
mod budget;
mod lottery;
mod regret;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::dataset::Setting;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::job::Job;

pub use self::bisect::BisectFindings;
pub use self::bisect::BisectStep;
pub use self::bisect::BisectTask;
pub use self::bisect::Said;
pub use self::budget::Bill;
pub use self::budget::BudgetColumn;
pub use self::budget::BudgetFindings;
pub use self::budget::BudgetStep;
pub use self::budget::BudgetTask;
pub use self::budget::Moved;
pub use self::lottery::Deciding;
pub use self::lottery::DrawStep;
pub use self::lottery::LotteryFindings;
pub use self::lottery::LotteryStep;
pub use self::lottery::LotteryTask;
pub use self::lottery::RareColumn;
pub use self::lottery::TimedPlan;
pub use self::regret::RegretFindings;
pub use self::regret::RegretStep;
pub use self::regret::RegretTask;
pub use self::regret::RunOutcome;

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

/// The plan of one query in one draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnPlan {
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
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
