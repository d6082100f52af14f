//! What preparing the sources of an experiment produced.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::dataset::Setting;
use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::StatisticsObject;

/// One thing that preparing a source did beside gathering, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceNote {
    /// The column, table or statistics object it is about.
    pub about: String,
    /// What was done, or why it was not; of a change, what is changed.
    pub what: String,
    /// Of a change: what stood there before, and what stands there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<(String, String)>,
}

/// What a source changed beside statistics, all of it in its annex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alteration {
    /// What was run.
    pub script: String,
    /// In force for its own trials, behind those of the experiment.
    pub settings: Vec<Setting>,
    /// Indexes that it made.
    pub made: Vec<IndexName>,
    /// Indexes that it dropped. They are there for its twin.
    pub dropped: Vec<IndexName>,
}

/// An index by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndexName {
    pub schema: String,
    pub name: String,
}

/// What preparing a source produced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PreparedSource {
    pub source_idx: i32,
    pub snapshot_sha256: String,
    pub targets: Vec<ColumnTarget>,
    pub apply_ms: f64,
    /// Rows of `pg_statistic` in the snapshot.
    pub n_statistics: u64,
    /// What the rows of all statistics catalogs take; not known of experiments before it was noted.
    pub statistics_bytes: Option<u64>,
    pub notes: Vec<SourceNote>,
    /// What the source needs in every clone, in the order in which it was made.
    pub objects: Vec<StatisticsObject>,
    /// Of a source with an annex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alteration: Option<Alteration>,
}
