//! Benchmarks: load tests, some numbers of clients for some time each on one target.

mod level;
mod share;
mod spec;

use chrono::DateTime;
use chrono::Utc;

use crate::model::dataset::Setting;
use crate::model::filing::Filing;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::job::Job;

pub use self::level::ErrorCount;
pub use self::level::Gap;
pub use self::level::Level;
pub use self::level::LevelNotes;
pub use self::level::LevelRecord;
pub use self::level::LevelStatus;
pub use self::level::SecondRecord;
pub use self::level::ServerSecond;
pub use self::level::StatementRecord;
pub use self::level::Totals;
pub use self::level::WaitCount;
pub use self::share::Generators;
pub use self::share::ShareNote;
pub use self::share::ShareState;
pub use self::share::ShareStatus;
pub use self::spec::BenchmarkSpec;
pub use self::spec::ConnectionMode;
pub use self::spec::GeneratedSpec;
pub use self::spec::KeyDistribution;
pub use self::spec::Loading;
pub use self::spec::MixSpec;
pub use self::spec::Objective;
pub use self::spec::Operation;
pub use self::spec::Pace;
pub use self::spec::ProgramText;
pub use self::spec::Protocol;
pub use self::spec::TargetSpec;

/// A benchmark as pages and runners see it; its life is that of its job.
#[derive(Clone, Debug)]
pub struct Benchmark {
    pub id: BenchmarkId,
    /// None for generated tables, or when the dataset is gone.
    pub dataset_id: Option<DatasetId>,
    /// What it ran on, in a few words; outlives the dataset.
    pub target_name: String,
    /// The same for all benchmarks that ask for the same: for trends.
    pub configuration: String,
    pub spec: BenchmarkSpec,
    /// Server, settings and machine, by name, once they are known.
    pub environment: Vec<Setting>,
    /// How the generated tables were loaded, once they are.
    pub load: Option<LoadRecord>,
    /// The best level in a sentence, once there is one.
    pub headline: Option<String>,
    /// Whether every level met the objective; none where there is none, or before the end.
    pub is_met: Option<bool>,
    pub filing: Filing,
    pub created_at: DateTime<Utc>,
    pub job: Job,
}

/// How generated tables were loaded.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LoadRecord {
    /// Of all tables.
    pub n_rows: u64,
    /// Sending the rows, without indexes and vacuum.
    pub load_ms: f64,
    /// Indexes, VACUUM and ANALYZE.
    pub finish_ms: f64,
    pub size_bytes: u64,
}

impl LoadRecord {
    /// Rows a second while rows were sent; none where that took no time at all.
    pub fn rows_per_s(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let n_rows = self.n_rows as f64;
        (self.load_ms > 0.0).then(|| n_rows / (self.load_ms / 1000.0))
    }
}
