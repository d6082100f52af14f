//! What becomes of the levels of a benchmark, as the store holds it.
//!
//! Latencies are histograms in bytes here; the room `analysis` reads them.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::benchmark::ShareNote;

/// One number of clients under one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its place in the order in which levels run, from 0.
    pub level_idx: i32,
    pub n_clients: u32,
    /// None where the benchmark has no sources.
    pub source_idx: Option<i32>,
}

/// The life of one attempt at a level:
///
/// ```text
/// Running -> Finished | Stopped | Failed | Interrupted
/// ```
///
/// An interrupted one is followed by another attempt, and what it had measured is kept beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "level_status", rename_all = "snake_case")]
pub enum LevelStatus {
    Running,
    Finished,
    /// By a person, or by the limit on errors; what was measured until then counts.
    Stopped,
    /// It could not be run at all; the notes say why.
    Failed,
    /// pgassay or its server went away in the middle.
    Interrupted,
}

impl LevelStatus {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Counts of a level or of a second. Of a level that runs, nothing is stored yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// That came to their end.
    pub n_transactions: u64,
    /// That ended in an error.
    pub n_failed: u64,
    /// Further tries after serialisation failures and deadlocks.
    pub n_retries: u64,
    /// That could not begin in time, at a rate with a latency limit.
    pub n_skipped: u64,
}

impl Totals {
    /// Failed ones among all that began, 0 to 1; none where none began.
    pub fn failed_share(&self) -> Option<f64> {
        let n = self.n_transactions + self.n_failed;
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        (n > 0).then(|| self.n_failed as f64 / n as f64)
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.n_transactions += other.n_transactions;
        self.n_failed += other.n_failed;
        self.n_retries += other.n_retries;
        self.n_skipped += other.n_skipped;
    }
}

/// One attempt at a level.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelRecord {
    pub level: Level,
    /// From 1.
    pub attempt: i32,
    pub status: LevelStatus,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// How long was measured, without warm-up; none while it runs.
    pub measured_ms: Option<f64>,
    pub totals: Totals,
    /// Of all transactions that came to their end, in the format of `analysis::latency`; none while it runs.
    pub latencies: Option<Vec<u8>>,
    pub notes: LevelNotes,
}

impl LevelRecord {
    /// Transactions a second over what was measured.
    pub fn throughput(&self) -> Option<f64> {
        let measured_ms = self.measured_ms.filter(|ms| *ms > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let n = self.totals.n_transactions as f64;
        Some(n * 1000.0 / measured_ms)
    }
}

/// What else there is to say of a level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LevelNotes {
    /// By SQLSTATE, the most frequent first.
    pub errors: Vec<ErrorCount>,
    /// When clients had no server.
    pub gaps: Vec<Gap>,
    /// Connections that were lost and made again.
    pub n_reconnects: u64,
    /// The mean and the longest time of making a connection.
    pub connect_mean_ms: Option<f64>,
    pub connect_max_ms: Option<f64>,
    /// Transactions that were cut off at the end, and count nowhere.
    pub n_unfinished: u64,
    /// Behind the intended start, at a rate.
    pub lag_mean_ms: Option<f64>,
    pub lag_max_ms: Option<f64>,
    /// Processor time of the generator over the time of its threads, 0 to 1, of the busiest of them.
    pub generator_load: Option<f64>,
    /// The generator, and not the server, was the limit.
    pub is_generator_limited: bool,
    /// The planner's statistics were not the same after the level as before it.
    pub statistics_moved: bool,
    /// Why a level failed or was stopped, in a sentence; or what else a reader must know.
    pub remarks: Vec<String>,
    /// Where the load came from, where several workers made it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareNote>,
}

/// One kind of error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// Five letters, or a word of ours where the server said nothing.
    pub sqlstate: String,
    pub n: u64,
    /// What the first of them said.
    pub example: String,
}

/// A stretch of a level without a server, in milliseconds from the start of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub from_ms: f64,
    /// None where it lasted to the end.
    pub to_ms: Option<f64>,
}

/// One second of an attempt at a level.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondRecord {
    pub level_idx: i32,
    pub attempt: i32,
    /// Which worker saw it, from 0; of several the same second is one.
    pub share_idx: i32,
    /// From 0; those of the warm-up are below.
    pub second_idx: i32,
    pub started_at: DateTime<Utc>,
    /// A second but for the last, which may be shorter.
    pub span_ms: f64,
    pub totals: Totals,
    pub n_connected: u32,
    /// In the format of `analysis::latency`.
    pub latencies: Vec<u8>,
    pub errors: Vec<ErrorCount>,
    /// Processor time of the generator.
    pub generator_cpu_ms: f64,
    /// What the server did meanwhile, where that can be seen.
    pub server: Option<ServerSecond>,
}

/// What a server did in one second. Counts are of the database under load unless they say otherwise; what a server or our
/// rights do not tell is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSecond {
    pub commits: Option<i64>,
    pub rollbacks: Option<i64>,
    pub blocks_hit: Option<i64>,
    pub blocks_read: Option<i64>,
    pub rows_read: Option<i64>,
    pub rows_written: Option<i64>,
    pub temp_bytes: Option<i64>,
    pub deadlocks: Option<i64>,
    /// Of the whole server.
    pub wal_bytes: Option<i64>,
    /// Sessions of the database that waited when they were looked at, by class; those at work are `CPU`.
    pub waits: Vec<WaitCount>,
    /// Processor time of the whole server, where it is ours.
    pub cpu_ms: Option<f64>,
    /// Bytes that the server's processes read from and wrote to disks, where it is ours.
    pub read_bytes: Option<i64>,
    pub written_bytes: Option<i64>,
}

/// How many sessions waited for one class of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitCount {
    /// As `pg_stat_activity.wait_event_type` has it.
    pub class: String,
    pub n: u32,
}

/// What came of one statement of a program, or of a whole program, in one attempt at a level.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementRecord {
    pub level_idx: i32,
    pub attempt: i32,
    pub program_idx: i32,
    /// None for the whole transaction.
    pub command_idx: Option<i32>,
    pub n: u64,
    pub n_failed: u64,
    /// In the format of `analysis::latency`.
    pub latencies: Vec<u8>,
}
