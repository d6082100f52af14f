//! Jobs: the heavy work that a machine does one at a time.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::ids::JobId;
use crate::model::units::date;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "job_kind", rename_all = "snake_case")]
pub enum JobKind {
    Restore,
    Check,
    Experiment,
    Instrument,
    Benchmark,
}

impl JobKind {
    pub const ALL: [Self; 5] = [
        Self::Restore,
        Self::Check,
        Self::Experiment,
        Self::Instrument,
        Self::Benchmark,
    ];

    /// As the store and programs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Check => "check",
            Self::Experiment => "experiment",
            Self::Instrument => "instrument",
            Self::Benchmark => "benchmark",
        }
    }
}

/// The life of a job, and so of the dataset or experiment it makes:
///
/// ```text
/// Queued -> Running -> Completed | Failed | Cancelled
///   ^          |
///   +----------+  interrupted (shutdown or lost lease)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "job_status", rename_all = "snake_case")]
pub enum JobStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobStatus {
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As the store and programs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// A settled job never changes again, so what it made may be cached.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "waiting",
            Self::Running => "running",
            Self::Completed => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "stopped",
        }
    }
}

/// Where a running job stands; written by its runner, read by pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Work done and planned, in `unit`.
    pub done: u64,
    pub total: u64,
    pub unit: String,
    /// What is being worked on, for people: a table, a query.
    pub detail: String,
    /// Rows restored so far.
    pub n_rows: u64,
}

/// A job as pages see it.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    pub status: JobStatus,
    pub stage: String,
    pub progress: Progress,
    pub message: Option<String>,
    pub cancel_requested: bool,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// The store's clock when the row was read, so that elapsed times never mix two clocks.
    pub read_at: DateTime<Utc>,
}

/// Something that kept a job from going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// What it was doing, in a few words.
    pub stage: String,
    pub reason: String,
    pub happened_at: DateTime<Utc>,
}

impl Interrupted {
    /// As a line of a list.
    pub fn in_words(&self) -> String {
        let Self {
            stage,
            reason,
            happened_at,
        } = self;
        format!("{}, while {stage}: {reason}.", date(*happened_at))
    }
}

impl Job {
    /// Seconds from its start to its end or to now; none before it started.
    pub fn elapsed_s(&self) -> Option<f64> {
        let started = self.started_at?;
        let end = self.finished_at.unwrap_or(self.read_at);
        let elapsed = end.signed_duration_since(started);
        Some(elapsed.to_std().unwrap_or_default().as_secs_f64())
    }
}

/// The right to work on a job: the claim's owner and fencing token. Every write of a runner carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job_id: JobId,
    pub epoch: i64,
    pub owner: String,
}
