//! Datasets: what a dump holds.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::filing::Filing;
use crate::model::ids::DatasetId;
use crate::model::job::Job;
use crate::model::statistics_file::NewStatisticsFile;

/// What kind of dump a file is, told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    Plain,
    Custom,
    Tar,
}

impl DumpFormat {
    /// The word kept in the store and shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain SQL",
            Self::Custom => "custom archive",
            Self::Tar => "tar archive",
        }
    }
}

/// How the file is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The word kept in the store and shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A file that arrived whole and was recognised, not yet a dataset.
#[derive(Clone, Debug)]
pub struct NewDataset {
    pub request_id: String,
    pub name: String,
    pub file_name: String,
    pub size_bytes: u64,
    pub sha256: String,
    pub format: DumpFormat,
    pub compression: Compression,
    /// Whether its dump is in the depot already.
    pub is_in_depot: bool,
}

/// A dataset as pages and runners see it; its life is that of its restore job.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub id: DatasetId,
    pub name: String,
    pub file_name: String,
    pub size_bytes: u64,
    pub sha256: String,
    pub format: String,
    pub compression: String,
    pub created_at: DateTime<Utc>,
    pub server_version: Option<String>,
    pub encoding: Option<String>,
    pub locale: Option<String>,
    pub database_bytes: Option<u64>,
    pub restore_ms: Option<u64>,
    pub extensions: Vec<String>,
    pub settings: Vec<Setting>,
    pub has_imported_statistics: bool,
    pub n_tables: u64,
    pub n_rows: u64,
    pub filing: Filing,
    /// Whether any machine can fetch the dump.
    pub is_in_depot: bool,
    /// None before somebody begins to restore it.
    pub place: Option<DatasetPlace>,
    pub job: Job,
}

/// Where a dataset was restored, or is being restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetPlace {
    pub machine: String,
    /// When a pgassay with that data directory last said that it is there.
    pub seen_at: DateTime<Utc>,
    /// Whether that is so long ago that nothing begins there.
    pub is_away: bool,
}

/// A session setting, as `SET` would take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

/// What a restore found, recorded when it is complete.
#[derive(Clone, Debug)]
pub struct Restored {
    pub server_version: String,
    pub encoding: String,
    pub locale: String,
    pub database_bytes: u64,
    pub restore_ms: u64,
    pub extensions: Vec<String>,
    pub settings: Vec<Setting>,
    pub has_imported_statistics: bool,
    /// What calls in the dump would have set, where all of them could be read.
    pub statistics: Option<NewStatisticsFile>,
    pub tables: Vec<Table>,
    pub inventory: Inventory,
}

/// The relations and columns of a dataset, as its restore left them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Ordered by schema, relation.
    pub relations: Vec<InventoryRelation>,
}

/// A table, view with data, or index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRelation {
    pub schema: String,
    pub relation: String,
    /// `relkind`
    pub kind: String,
    pub pages: i64,
    pub columns: Vec<InventoryColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryColumn {
    /// `attnum`
    pub number: i16,
    pub name: String,
}

impl InventoryRelation {
    pub fn is_index(&self) -> bool {
        matches!(self.kind.as_str(), "i" | "I")
    }

    /// A table with rows of its own; indexes follow their tables.
    pub fn has_pages(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "m")
    }
}

/// One table of a dataset. Partitioned parents count no rows of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    pub schema_name: String,
    pub table_name: String,
    pub n_rows: u64,
    pub size_bytes: u64,
    pub n_columns: u32,
}

/// Why a line stands in the restore log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "restore_note_kind", rename_all = "snake_case")]
pub enum RestoreNoteKind {
    /// Not run, because it cannot succeed or does not belong in a sandbox.
    Skipped,
    /// Run, refused by the server, and not needed for the data.
    Failed,
    /// Worth knowing.
    Note,
}

impl RestoreNoteKind {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Failed => "refused by the server",
            Self::Note => "note",
        }
    }
}

/// One line of the restore log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreNote {
    pub kind: RestoreNoteKind,
    pub line: u64,
    /// The beginning of the statement.
    pub statement: String,
    pub reason: String,
}
