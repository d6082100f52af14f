//! What programs are told of datasets and of uploads that are under way.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::dataset::Dataset;
use crate::model::dataset::RestoreNote;
use crate::model::dataset::Setting;
use crate::model::dataset::Table;
use crate::model::ids::DatasetId;
use crate::model::job::Interrupted;
use crate::model::job::Progress;
use crate::model::upload::Upload;
use crate::store;
use crate::web::api::answers::status_word;
use crate::web::view;
use crate::web::view::rfc3339;

/// A dataset with how far its restore is. What only the restore finds out is null until it is done.
#[derive(Serialize, ToSchema)]
pub(super) struct DatasetBody {
    id: DatasetId,
    name: String,
    /// `pending`, `running`, `completed` or `failed`: of the restore.
    status: &'static str,
    /// The word that pages show: `waiting`, `being restored`, `ready`, `failed` or `stopped`.
    state: &'static str,
    /// Why the restore failed or was stopped.
    message: Option<String>,
    /// While it is restored.
    progress: Option<ProgressBody>,
    #[schema(format = DateTime)]
    created_at: String,
    /// As the file was called that was uploaded.
    file_name: String,
    size_bytes: u64,
    /// Of the file, in hexadecimal digits.
    sha256: String,
    /// `plain SQL`, `custom archive` or `tar archive`.
    format: String,
    /// `none`, `gzip` or `zstd`.
    compression: String,
    /// Of the server in which it was restored.
    server_version: Option<String>,
    encoding: Option<String>,
    locale: Option<String>,
    /// How large the restored database is.
    database_size_bytes: Option<u64>,
    restore_ms: Option<u64>,
    extensions: Vec<String>,
    table_count: u64,
    row_count: u64,
    tags: Vec<String>,
    memo: String,
    /// Whether any machine can restore it again.
    in_depot: bool,
    /// The machine on which it was restored.
    machine: Option<String>,
}

/// How far something is.
#[derive(Serialize, ToSchema)]
struct ProgressBody {
    /// What is being done, in a word.
    stage: String,
    done_bytes: u64,
    total_bytes: u64,
    row_count: u64,
    /// What is being worked on, like the name of a table.
    detail: String,
}

/// A dataset with everything that its restore has found.
#[derive(Serialize, ToSchema)]
pub(super) struct DatasetDetailBody {
    #[serde(flatten)]
    dataset: DatasetBody,
    tables: Vec<TableBody>,
    /// Session settings that the dump makes for its database or role.
    settings: Vec<SettingBody>,
    /// What the restore left out, what the server refused, and what else is worth knowing, in the order of the dump.
    notes: Vec<NoteBody>,
    /// What kept the restore from going on; each time it began again.
    interruptions: Vec<String>,
}

/// A table of a dataset.
#[derive(Serialize, ToSchema)]
struct TableBody {
    schema: String,
    name: String,
    /// 0 of a partitioned table: its partitions have them.
    row_count: u64,
    size_bytes: u64,
    column_count: u32,
}

/// A setting, as `SET` takes it.
#[derive(Serialize, ToSchema)]
struct SettingBody {
    name: String,
    value: String,
}

/// One line of a restore's log.
#[derive(Serialize, ToSchema)]
struct NoteBody {
    /// `skipped`, `refused by the server` or `note`.
    kind: &'static str,
    /// Of the dump.
    line: u64,
    /// Its beginning.
    statement: String,
    reason: String,
}

/// How far an upload is that comes part by part.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadBody {
    key: String,
    name: String,
    file_name: String,
    total_bytes: u64,
    /// So many of the first bytes are here for good. The next part begins at this one, or before it.
    received_bytes: u64,
    /// What it has become, when all of it is here.
    dataset: Option<DatasetId>,
    /// When it is forgotten, unless more arrives before.
    #[schema(format = DateTime)]
    forgotten_at: String,
}

impl DatasetBody {
    pub fn new(dataset: &Dataset) -> Self {
        let job = &dataset.job;
        let is_under_way = job.started_at.is_some() && !job.status.is_settled();
        Self {
            id: dataset.id,
            name: dataset.name.clone(),
            status: status_word(job.status),
            state: view::dataset_state(job.status),
            message: job.message.clone(),
            progress: is_under_way.then(|| ProgressBody::new(&job.stage, &job.progress)),
            created_at: rfc3339(dataset.created_at),
            file_name: dataset.file_name.clone(),
            size_bytes: dataset.size_bytes,
            sha256: dataset.sha256.clone(),
            format: dataset.format.clone(),
            compression: dataset.compression.clone(),
            server_version: dataset.server_version.clone(),
            encoding: dataset.encoding.clone(),
            locale: dataset.locale.clone(),
            database_size_bytes: dataset.database_bytes,
            restore_ms: dataset.restore_ms,
            extensions: dataset.extensions.clone(),
            table_count: dataset.n_tables,
            row_count: dataset.n_rows,
            tags: dataset.filing.tags.as_slice().to_vec(),
            memo: dataset.filing.memo.as_str().to_owned(),
            in_depot: dataset.is_in_depot,
            machine: dataset.place.as_ref().map(|place| place.machine.clone()),
        }
    }
}

impl ProgressBody {
    fn new(stage: &str, progress: &Progress) -> Self {
        Self {
            stage: stage.to_owned(),
            done_bytes: progress.done,
            total_bytes: progress.total,
            row_count: progress.n_rows,
            detail: progress.detail.clone(),
        }
    }
}

impl DatasetDetailBody {
    pub fn new(dataset: &Dataset, tables: Vec<Table>, notes: Vec<RestoreNote>, interruptions: &[Interrupted]) -> Self {
        Self {
            dataset: DatasetBody::new(dataset),
            tables: tables.into_iter().map(TableBody::from).collect(),
            settings: dataset.settings.iter().cloned().map(SettingBody::from).collect(),
            notes: notes.into_iter().map(NoteBody::from).collect(),
            interruptions: interruptions.iter().map(Interrupted::in_words).collect(),
        }
    }
}

impl From<Table> for TableBody {
    fn from(table: Table) -> Self {
        Self {
            schema: table.schema_name,
            name: table.table_name,
            row_count: table.n_rows,
            size_bytes: table.size_bytes,
            column_count: table.n_columns,
        }
    }
}

impl From<Setting> for SettingBody {
    fn from(Setting { name, value }: Setting) -> Self {
        Self { name, value }
    }
}

impl From<RestoreNote> for NoteBody {
    fn from(note: RestoreNote) -> Self {
        Self {
            kind: note.kind.word(),
            line: note.line,
            statement: note.statement,
            reason: note.reason,
        }
    }
}

impl From<Upload> for UploadBody {
    fn from(upload: Upload) -> Self {
        Self {
            key: upload.key,
            name: upload.name,
            file_name: upload.file_name,
            total_bytes: upload.total_bytes,
            received_bytes: upload.received_bytes,
            dataset: upload.dataset_id,
            forgotten_at: rfc3339(upload.touched_at + store::uploads::KEPT_FOR),
        }
    }
}
