//! Trials and their outcomes.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "trial_kind", rename_all = "snake_case")]
pub enum TrialKind {
    /// Fills caches; recorded, never summarised.
    WarmUp,
    Measured,
    /// The query as it is, by the client's clock: the first of three ways that together tell what measuring costs.
    Plain,
    /// The same by EXPLAIN ANALYZE without a look at the clock for every row of every node.
    TimingOff,
    /// The same with it.
    TimingOn,
}

impl TrialKind {
    /// Whether it is one of the three ways in which a query is run to learn what measuring costs.
    pub fn is_of_observer(self) -> bool {
        match self {
            Self::Plain | Self::TimingOff | Self::TimingOn => true,
            Self::WarmUp | Self::Measured => false,
        }
    }

    /// The word in exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::Measured => "measured",
            Self::Plain => "plain",
            Self::TimingOff => "timing_off",
            Self::TimingOn => "timing_on",
        }
    }

    /// The word shown to people.
    pub fn shown(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Measured => "measured",
            Self::Plain => "plain",
            Self::TimingOff => "TIMING OFF",
            Self::TimingOn => "TIMING ON",
        }
    }
}

/// One execution of one query under one source in one round, as the schedule plans it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its position in the schedule, from 0.
    pub trial_idx: usize,
    pub kind: TrialKind,
    /// From 1, counted apart for warm-ups, measured trials and those that tell what measuring costs.
    pub round: u32,
    pub source_idx: usize,
    pub query_idx: usize,
}

/// What became of a trial. All three are data.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Finished(Timing),
    /// Cut off at the limit: it would have taken longer.
    TimedOut {
        limit_ms: f64,
    },
    Failed {
        sqlstate: Option<String>,
        message: String,
    },
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    pub execution_ms: f64,
    pub planning_ms: Option<f64>,
    /// The planner's total cost, where the trial showed it.
    pub cost: Option<f64>,
    /// What the server says that execution took, where `execution_ms` is the client's.
    pub server_ms: Option<f64>,
}

/// The word for an outcome, in the store and in exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "trial_outcome", rename_all = "snake_case")]
pub enum OutcomeWord {
    Finished,
    TimedOut,
    Failed,
}

impl OutcomeWord {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::TimedOut => "timed out",
            Self::Failed => "failed",
        }
    }
}

/// A trial as it is stored, in the order of the schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedTrial {
    pub trial_idx: i32,
    pub kind: TrialKind,
    pub round: i32,
    pub source_idx: i32,
    pub query_idx: i32,
    pub segment_no: i32,
    pub outcome: OutcomeWord,
    /// The time taken; for a trial that timed out, the limit.
    pub execution_ms: Option<f64>,
    pub planning_ms: Option<f64>,
    pub cost: Option<f64>,
    /// What the server said that execution took, where the client's clock was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_ms: Option<f64>,
    pub message: Option<String>,
}
