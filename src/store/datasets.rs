//! Datasets, their tables and their restore logs.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::Dataset;
use crate::model::dataset::Inventory;
use crate::model::dataset::NewDataset;
use crate::model::dataset::RestoreNote;
use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Restored;
use crate::model::dataset::Setting;
use crate::model::dataset::Table;
use crate::model::ids::DatasetId;
use crate::model::ids::JobId;
use crate::model::job::Job;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::store;
use crate::store::Result;
use crate::store::filing::filing;
use crate::store::jobs::JobRow;
use crate::store::to_i64;
use crate::store::to_u64;

/// Selects datasets with their jobs and counts; the tail says which.
macro_rules! select_datasets {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query_as!(
            DatasetRow,
            r#"select d.id as "id: DatasetId", d.name, d.file_name, d.size_bytes, d.sha256, d.format, d.compression,
                      d.created_at, d.server_version, d.encoding, d.locale, d.database_bytes, d.restore_ms,
                      d.extensions, d.settings as "settings: Json<Vec<Setting>>", d.has_imported_statistics,
                      d.tags, d.memo,
                      (select count(*) from dataset_tables t where t.dataset_id = d.id) as "n_tables!",
                      (select coalesce(sum(n_rows), 0)::bigint from dataset_tables t where t.dataset_id = d.id) as "n_rows!",
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from datasets d join jobs j on j.id = d.job_id "# + $tail,
            $($bind),*
        )
    };
}

struct DatasetRow {
    id: DatasetId,
    name: String,
    file_name: String,
    size_bytes: i64,
    sha256: String,
    format: String,
    compression: String,
    created_at: chrono::DateTime<chrono::Utc>,
    server_version: Option<String>,
    encoding: Option<String>,
    locale: Option<String>,
    database_bytes: Option<i64>,
    restore_ms: Option<i64>,
    extensions: Vec<String>,
    settings: Json<Vec<Setting>>,
    has_imported_statistics: bool,
    n_tables: i64,
    n_rows: i64,
    tags: Vec<String>,
    memo: String,
    job_id: JobId,
    kind: JobKind,
    status: JobStatus,
    stage: String,
    progress: Json<Progress>,
    message: Option<String>,
    cancel_requested: bool,
    job_created_at: chrono::DateTime<chrono::Utc>,
    started_at: Option<chrono::DateTime<chrono::Utc>>,
    finished_at: Option<chrono::DateTime<chrono::Utc>>,
    read_at: chrono::DateTime<chrono::Utc>,
}

impl From<DatasetRow> for Dataset {
    fn from(row: DatasetRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            file_name: row.file_name,
            size_bytes: to_u64(row.size_bytes),
            sha256: row.sha256,
            format: row.format,
            compression: row.compression,
            created_at: row.created_at,
            server_version: row.server_version,
            encoding: row.encoding,
            locale: row.locale,
            database_bytes: row.database_bytes.map(to_u64),
            restore_ms: row.restore_ms.map(to_u64),
            extensions: row.extensions,
            settings: row.settings.0,
            has_imported_statistics: row.has_imported_statistics,
            n_tables: to_u64(row.n_tables),
            n_rows: to_u64(row.n_rows),
            filing: filing(row.tags, row.memo),
            job: Job::from(JobRow {
                id: row.job_id,
                kind: row.kind,
                status: row.status,
                stage: row.stage,
                progress: row.progress,
                message: row.message,
                cancel_requested: row.cancel_requested,
                created_at: row.job_created_at,
                started_at: row.started_at,
                finished_at: row.finished_at,
                read_at: row.read_at,
            }),
        }
    }
}

/// Stores a new dataset; `job_id` is the job that will restore it.
pub async fn insert(conn: &mut PgConnection, viewer: Viewer, new: &NewDataset, job_id: JobId) -> Result<DatasetId> {
    sqlx::query_scalar!(
        r#"insert into datasets (owner_id, request_id, job_id, name, file_name, size_bytes, sha256, format, compression)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id as "id: DatasetId""#,
        viewer.user_id.0,
        new.request_id,
        job_id.0,
        new.name,
        new.file_name,
        to_i64(new.size_bytes),
        new.sha256,
        new.format.word(),
        new.compression.word(),
    )
    .fetch_one(conn)
    .await
}

/// The dataset that an earlier sending of the same form made.
pub async fn find_by_request(conn: &mut PgConnection, viewer: Viewer, request_id: &str) -> Result<Option<DatasetId>> {
    sqlx::query_scalar!(
        r#"select id as "id: DatasetId" from datasets where owner_id = $1 and request_id = $2"#,
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// One dataset; none when there is no such dataset for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Option<Dataset>> {
    let row = select_datasets!("where d.id = $1 and d.owner_id = $2", id.0, viewer.user_id.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Dataset::from))
}

/// All datasets of the viewer, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Dataset>> {
    let rows = select_datasets!("where d.owner_id = $1 order by d.id desc", viewer.user_id.0)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(Dataset::from).collect())
}

/// These datasets, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[DatasetId]) -> Result<Vec<Dataset>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = select_datasets!(
        "where d.id = any ($1) and d.owner_id = $2 order by array_position($1, d.id)",
        &ids,
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Dataset::from).collect())
}

/// The dataset that a restore job works for.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Dataset>> {
    let row = select_datasets!("where d.job_id = $1", lease.job_id.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Dataset::from))
}

/// Every dataset of this data directory that has files or will have them, whoever owns it: what the sweep at start must
/// keep. A restore that ended badly keeps none.
pub async fn list_ids_of_home(conn: &mut PgConnection, home: &str) -> Result<Vec<DatasetId>> {
    sqlx::query_scalar!(
        r#"select d.id as "id: DatasetId" from datasets d join jobs j on j.id = d.job_id
           where j.home = $1 and j.status not in ('failed', 'cancelled')"#,
        home,
    )
    .fetch_all(conn)
    .await
}

/// Removes a dataset, unless a job that waits or runs needs it. Returns false when it is in use or not there.
pub async fn delete_unused(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from datasets d where d.id = $1 and d.owner_id = $2 and not exists (
             select 1 from jobs j
             where j.status in ('queued', 'running') and (j.id = d.job_id
                or j.id in (select job_id from experiments e where e.dataset_id = d.id)
                or j.id in (select job_id from instruments i where i.dataset_id = d.id)
                or j.id in (select job_id from workload_checks c where c.dataset_id = d.id)))",
        id.0,
        viewer.user_id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records what a restore found. The caller settles the job in the same transaction.
pub async fn set_restored(conn: &mut PgConnection, lease: &Lease, id: DatasetId, restored: &Restored) -> Result<()> {
    sqlx::query!(
        "update datasets set server_version = $3, encoding = $4, locale = $5, database_bytes = $6, restore_ms = $7,
                extensions = $8, settings = $9, has_imported_statistics = $10, inventory = $11
         where id = $1 and job_id = $2",
        id.0,
        lease.job_id.0,
        restored.server_version,
        restored.encoding,
        restored.locale,
        to_i64(restored.database_bytes),
        to_i64(restored.restore_ms),
        &restored.extensions,
        Json(&restored.settings) as _,
        restored.has_imported_statistics,
        Json(&restored.inventory) as Json<&Inventory>,
    )
    .execute(&mut *conn)
    .await?;
    if let Some(statistics) = &restored.statistics {
        store::statistics_files::insert(&mut *conn, id, statistics).await?;
    }
    sqlx::query!("delete from dataset_tables where dataset_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for (position, table) in (0_i32..).zip(&restored.tables) {
        sqlx::query!(
            "insert into dataset_tables (dataset_id, position, schema_name, table_name, n_rows, size_bytes, n_columns)
             values ($1, $2, $3, $4, $5, $6, $7)",
            id.0,
            position,
            table.schema_name,
            table.table_name,
            to_i64(table.n_rows),
            to_i64(table.size_bytes),
            i32::try_from(table.n_columns).unwrap_or(i32::MAX),
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The relations and columns of a dataset; none while they are not known.
pub async fn inventory(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Option<Inventory>> {
    let inventory = sqlx::query_scalar!(
        r#"select inventory as "inventory: Json<Inventory>" from datasets where id = $1 and owner_id = $2"#,
        id.0,
        viewer.user_id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(inventory.flatten().map(|inventory| inventory.0))
}

/// Replaces the restore log.
pub async fn set_notes(conn: &mut PgConnection, id: DatasetId, notes: &[RestoreNote]) -> Result<()> {
    sqlx::query!("delete from restore_notes where dataset_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for (position, note) in (0_i32..).zip(notes) {
        sqlx::query!(
            "insert into restore_notes (dataset_id, position, kind, line, statement, reason)
             values ($1, $2, $3, $4, $5, $6)",
            id.0,
            position,
            note.kind as RestoreNoteKind,
            to_i64(note.line),
            note.statement,
            note.reason,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The tables of a dataset, largest first.
pub async fn list_tables(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Vec<Table>> {
    let rows = sqlx::query!(
        "select t.schema_name, t.table_name, t.n_rows, t.size_bytes, t.n_columns
         from dataset_tables t join datasets d on d.id = t.dataset_id
         where t.dataset_id = $1 and d.owner_id = $2
         order by t.size_bytes desc, t.schema_name, t.table_name",
        id.0,
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await?;
    let tables = rows.into_iter().map(|row| Table {
        schema_name: row.schema_name,
        table_name: row.table_name,
        n_rows: to_u64(row.n_rows),
        size_bytes: to_u64(row.size_bytes),
        n_columns: u32::try_from(row.n_columns).unwrap_or(0),
    });
    Ok(tables.collect())
}

/// The restore log, in the order of the file.
pub async fn list_notes(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Vec<RestoreNote>> {
    let rows = sqlx::query!(
        r#"select n.kind as "kind: RestoreNoteKind", n.line, n.statement, n.reason
           from restore_notes n join datasets d on d.id = n.dataset_id
           where n.dataset_id = $1 and d.owner_id = $2
           order by n.position"#,
        id.0,
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await?;
    let notes = rows.into_iter().map(|row| RestoreNote {
        kind: row.kind,
        line: to_u64(row.line),
        statement: row.statement,
        reason: row.reason,
    });
    Ok(notes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::jobs;
    use crate::store::queue;
    use crate::testing::world::HOME;
    use crate::testing::world::World;
    use crate::testing::world::new_dataset;

    fn restored() -> Restored {
        let table = |name: &str, n_rows, size_bytes| Table {
            schema_name: "public".to_owned(),
            table_name: name.to_owned(),
            n_rows,
            size_bytes,
            n_columns: 3,
        };
        Restored {
            server_version: "15.18".to_owned(),
            encoding: "UTF8".to_owned(),
            locale: "C".to_owned(),
            database_bytes: 8 << 20,
            restore_ms: 120,
            extensions: vec!["hstore 1.8".to_owned()],
            settings: vec![Setting {
                name: "work_mem".to_owned(),
                value: "64MB".to_owned(),
            }],
            has_imported_statistics: true,
            statistics: None,
            tables: vec![table("small", 3, 8192), table("large", 10, 65536)],
            inventory: Inventory::default(),
        }
    }

    #[tokio::test]
    async fn a_dataset_comes_back_with_what_its_restore_found() {
        let world = World::new().await;
        let (id, _) = world.dataset("shop").await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        assert_eq!(get_by_job(&mut conn, &lease).await.unwrap().unwrap().id, id);
        set_restored(&mut conn, &lease, id, &restored()).await.unwrap();
        // A second attempt replaces what the first found.
        set_restored(&mut conn, &lease, id, &restored()).await.unwrap();
        let note = RestoreNote {
            kind: RestoreNoteKind::Skipped,
            line: 7,
            statement: "GRANT ALL ON t TO x".to_owned(),
            reason: "privileges are not restored".to_owned(),
        };
        set_notes(&mut conn, id, std::slice::from_ref(&note)).await.unwrap();
        assert!(
            queue::settle(&mut conn, &lease, JobStatus::Completed, None)
                .await
                .unwrap()
        );

        let dataset = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!((dataset.n_tables, dataset.n_rows), (2, 13));
        assert_eq!(
            (dataset.format.as_str(), dataset.compression.as_str()),
            ("custom archive", "zstd")
        );
        assert_eq!(dataset.settings, restored().settings);
        assert_eq!(dataset.job.status, JobStatus::Completed);
        assert_eq!(list_notes(&mut conn, world.viewer, id).await.unwrap(), [note]);
        let tables = list_tables(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(
            tables.iter().map(|table| table.table_name.as_str()).collect::<Vec<_>>(),
            ["large", "small"]
        );
    }

    #[tokio::test]
    async fn the_newest_dataset_comes_first_and_another_person_sees_none() {
        let world = World::new().await;
        let (first, _) = world.dataset("first").await;
        let (second, _) = world.dataset("second").await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        let ids = |datasets: Vec<Dataset>| datasets.iter().map(|dataset| dataset.id).collect::<Vec<_>>();
        assert_eq!(ids(list(&mut conn, world.viewer).await.unwrap()), [second, first]);
        assert!(list(&mut conn, stranger).await.unwrap().is_empty());
        assert!(get(&mut conn, stranger, first).await.unwrap().is_none());
        assert!(list_tables(&mut conn, stranger, first).await.unwrap().is_empty());
        assert!(list_notes(&mut conn, stranger, first).await.unwrap().is_empty());
        assert!(!delete_unused(&mut conn, stranger, first).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_form_sent_again_finds_the_dataset_that_it_made() {
        let world = World::new().await;
        let (id, job_id) = world.dataset("shop").await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        assert_eq!(
            find_by_request(&mut conn, world.viewer, "shop").await.unwrap(),
            Some(id)
        );
        assert_eq!(find_by_request(&mut conn, stranger, "shop").await.unwrap(), None);
        let again = insert(&mut conn, world.viewer, &new_dataset("shop"), job_id).await;
        assert!(matches!(again, Err(sqlx::Error::Database(error)) if error.is_unique_violation()));
        // Another person may happen to send the same words.
        insert(&mut conn, stranger, &new_dataset("shop"), job_id).await.unwrap();
    }

    #[tokio::test]
    async fn a_dataset_whose_restore_ended_badly_keeps_no_files() {
        let world = World::new().await;
        let (_, stopped) = world.dataset("stopped").await;
        let (waiting, _) = world.dataset("waiting").await;
        let mut conn = world.conn().await;
        jobs::request_cancel(&mut conn, world.viewer, stopped).await.unwrap();
        assert_eq!(list_ids_of_home(&mut conn, HOME).await.unwrap(), [waiting]);
    }

    #[tokio::test]
    async fn a_dataset_in_use_is_not_deleted() {
        let world = World::new().await;
        let (id, job_id) = world.dataset("shop").await;
        let mut conn = world.conn().await;
        assert!(!delete_unused(&mut conn, world.viewer, id).await.unwrap());
        jobs::request_cancel(&mut conn, world.viewer, job_id).await.unwrap();
        assert!(delete_unused(&mut conn, world.viewer, id).await.unwrap());
        assert!(get(&mut conn, world.viewer, id).await.unwrap().is_none());
    }
}
