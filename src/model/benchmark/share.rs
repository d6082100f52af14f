//! Shares: what each worker does of a level whose load several of them make.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

/// Who makes the load of a benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generators {
    /// The worker that does the benchmark.
    #[default]
    Here,
    /// All workers that are free when a level begins, each with a share of its clients.
    All,
}

impl Generators {
    pub const ALL: [Self; 2] = [Self::Here, Self::All];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::All => "all",
        }
    }

    /// For specs of before there was a choice, and so that they stay as they were.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub fn is_here(&self) -> bool {
        *self == Self::Here
    }
}

/// The life of a share:
///
/// ```text
/// Offered -> Connected -> Running -> Done
///    |           |           |
///    +-----------+-----------+-----> Failed | Lost
/// ```
///
/// A failed one says itself why; a lost one has no voice any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "share_status", rename_all = "snake_case")]
pub enum ShareStatus {
    Offered,
    /// Its clients have their connections and wait for the word to begin.
    Connected,
    Running,
    Done,
    Failed,
    Lost,
}

impl ShareStatus {
    /// Nothing more will come of it.
    pub fn is_over(self) -> bool {
        match self {
            Self::Offered | Self::Connected | Self::Running => false,
            Self::Done | Self::Failed | Self::Lost => true,
        }
    }

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Offered => "asked",
            Self::Connected => "connected",
            Self::Running => "running",
            Self::Done => "whole",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// What came of one share, kept with its level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareNote {
    pub share_idx: i32,
    /// The worker's name, `machine:process`.
    pub worker: String,
    pub status: ShareStatus,
    pub n_clients: u32,
    pub n_connected: u32,
    /// That came to their end, as far as is known.
    pub n_transactions: u64,
    /// Processor time of its busiest thread over the time that was measured, 0 to 1; not known of a lost one.
    pub generator_load: Option<f64>,
    /// How well its clock was known to agree with the others', in milliseconds.
    pub clock_error_ms: Option<f64>,
    /// For how long it made load before it was lost or left, in milliseconds from the beginning, warm-up included.
    pub lasted_ms: Option<f64>,
    /// Why it failed or ended before its time.
    pub message: Option<String>,
}

impl ShareNote {
    /// Clients that could not connect.
    pub fn n_left_out(&self) -> u32 {
        self.n_clients.saturating_sub(self.n_connected)
    }
}

/// A share while it is not over, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareState {
    pub status: ShareStatus,
    /// The lease under which it was offered holds.
    pub is_held: bool,
    /// It shall end.
    pub is_stopped: bool,
    pub begin_at: Option<DateTime<Utc>>,
    pub n_connected_in_all: Option<u32>,
}
