//! Datasets.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::Dataset;
use crate::model::dataset::NewDataset;
use crate::model::dataset::Setting;
use crate::model::ids::DatasetId;
use crate::model::ids::JobId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::jobs::job_of;
use crate::store::to_i64;
use crate::store::to_u64;

/// Selects datasets with their jobs and counts; the tail says which.
macro_rules! select_datasets {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select d.id as "id: DatasetId", d.name, d.file_name, d.size_bytes, d.sha256, d.format, d.compression,
                      d.created_at, d.server_version, d.encoding, d.locale, d.database_bytes, d.restore_ms,
                      d.extensions, d.settings as "settings: Json<Vec<Setting>>", d.has_imported_statistics,
                      (select count(*) from dataset_tables t where t.dataset_id = d.id) as "n_tables!",
                      (select coalesce(sum(n_rows), 0)::bigint from dataset_tables t where t.dataset_id = d.id) as "n_rows!",
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from datasets d join jobs j on j.id = d.job_id "# + $tail,
            $($bind),*
        )
        .map(|row| Dataset {
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
            job: job_of!(row, job_id, job_created_at),
        })
    };
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
    select_datasets!("where d.id = $1 and d.owner_id = $2", id.0, viewer.user_id.0)
        .fetch_optional(conn)
        .await
}

/// All datasets of the viewer, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Dataset>> {
    select_datasets!("where d.owner_id = $1 order by d.id desc", viewer.user_id.0)
        .fetch_all(conn)
        .await
}

/// The dataset that a restore job works for.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Dataset>> {
    select_datasets!("where d.job_id = $1", lease.job_id.0)
        .fetch_optional(conn)
        .await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::jobs;
    use crate::store::restores;
    use crate::testing::world::HOME;
    use crate::testing::world::World;
    use crate::testing::world::new_dataset;

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
        assert!(
            restores::list_tables(&mut conn, stranger, first)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            restores::list_notes(&mut conn, stranger, first)
                .await
                .unwrap()
                .is_empty()
        );
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
