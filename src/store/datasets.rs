//! Datasets.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::Dataset;
use crate::model::dataset::DatasetPlace;
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
use crate::store::filing::filing;
use crate::store::jobs;
use crate::store::jobs::job_of;
use crate::store::to_i64;
use crate::store::to_u64;

/// A machine that has said nothing for so many seconds is away.
pub const AWAY_AFTER_S: f64 = 60.0;

/// Selects datasets with their jobs, places and counts; the tail says which, and its parameters begin with `$2`.
macro_rules! select_datasets {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select d.id as "id: DatasetId", d.name, d.file_name, d.size_bytes, d.sha256, d.format, d.compression,
                      d.created_at, d.server_version, d.encoding, d.locale, d.database_bytes, d.restore_ms,
                      d.extensions, d.settings as "settings: Json<Vec<Setting>>", d.has_imported_statistics,
                      d.tags, d.memo, d.is_in_depot, h.machine as "machine?", h.seen_at as "seen_at?",
                      coalesce(h.seen_at < clock_timestamp() - make_interval(secs => $1), false) as "is_away!",
                      (select count(*) from dataset_tables t where t.dataset_id = d.id) as "n_tables!",
                      (select coalesce(sum(n_rows), 0)::bigint from dataset_tables t where t.dataset_id = d.id) as "n_rows!",
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from datasets d join jobs j on j.id = d.job_id left join homes h on h.home = j.home "# + $tail,
            AWAY_AFTER_S,
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
            filing: filing(row.tags, row.memo),
            is_in_depot: row.is_in_depot,
            place: row.machine.zip(row.seen_at).map(|(machine, seen_at)| DatasetPlace {
                machine,
                seen_at,
                is_away: row.is_away,
            }),
            job: job_of!(row, job_id, job_created_at),
        })
    };
}

/// An id for a dataset that is still to be stored: its dump goes into the depot first.
pub async fn new_id(conn: &mut PgConnection) -> Result<DatasetId> {
    sqlx::query_scalar!(r#"select nextval(pg_get_serial_sequence('datasets', 'id')) as "id!: DatasetId""#)
        .fetch_one(conn)
        .await
}

/// Stores a new dataset under an id of [`new_id`]; `job_id` is the job that will restore it.
pub async fn insert(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: DatasetId,
    new: &NewDataset,
    job_id: JobId,
) -> Result<()> {
    sqlx::query!(
        "insert into datasets (id, owner_id, request_id, job_id, name, file_name, size_bytes, sha256, format, compression,
                               is_in_depot)
         overriding system value values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id.0,
        viewer.user_id.0,
        new.request_id,
        job_id.0,
        new.name,
        new.file_name,
        to_i64(new.size_bytes),
        new.sha256,
        new.format.word(),
        new.compression.word(),
        new.is_in_depot,
    )
    .execute(conn)
    .await?;
    Ok(())
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
    select_datasets!("where d.id = $2 and may_see($3, d)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The newest thousand datasets of the viewer, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Dataset>> {
    select_datasets!("where may_see($2, d) order by d.id desc limit 1000", viewer as Viewer)
        .fetch_all(conn)
        .await
}

/// The viewer's datasets that are older than `before`, newest first.
pub async fn list_before(
    conn: &mut PgConnection,
    viewer: Viewer,
    before: Option<DatasetId>,
    limit: i64,
) -> Result<Vec<Dataset>> {
    select_datasets!(
        "where may_see($2, d) and ($3::bigint is null or d.id < $3) order by d.id desc limit $4",
        viewer as Viewer,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// These datasets, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[DatasetId]) -> Result<Vec<Dataset>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    select_datasets!(
        "where d.id = any ($2) and may_see($3, d) order by array_position($2, d.id)",
        &ids,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The newest dataset of the same content that is older; none when the viewer has no such.
pub async fn find_same(conn: &mut PgConnection, viewer: Viewer, dataset: &Dataset) -> Result<Option<Dataset>> {
    select_datasets!(
        "where may_see($2, d) and d.id < $3 and d.sha256 = $4 order by d.id desc limit 1",
        viewer as Viewer,
        dataset.id.0,
        dataset.sha256,
    )
    .fetch_optional(conn)
    .await
}

/// The dataset that a restore job works for.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Dataset>> {
    select_datasets!("where d.job_id = $2", lease.job_id.0)
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

/// Has a dataset restored once more, by anybody, from its dump in the depot: one whose machine is away, or whose restore
/// ended badly. Returns false when there is no reason to, something works on it, or it is not there.
pub async fn restore_again(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<bool> {
    let status = sqlx::query_scalar!(
        r#"select j.status as "status: JobStatus"
           from datasets d join jobs j on j.id = d.job_id left join homes h on h.home = j.home
           where d.id = $1 and may_change($2, d) and d.is_in_depot
             and (j.status in ('failed', 'cancelled')
                  or h.seen_at < clock_timestamp() - make_interval(secs => $3))
             and not exists (
                 select from jobs busy
                 where busy.status = 'running' and (busy.id = d.job_id
                    or busy.id in (select job_id from dataset_jobs where dataset_id = d.id)))
           for update of d, j"#,
        id.0,
        viewer as Viewer,
        AWAY_AFTER_S,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if status.is_some() {
        note_move(&mut *conn, id).await?;
    }
    match status {
        None => return Ok(false),
        Some(JobStatus::Queued) => {
            sqlx::query!(
                "update jobs set home = null where id = (select job_id from datasets where id = $1)",
                id.0
            )
            .execute(conn)
            .await?;
        }
        Some(JobStatus::Running | JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled) => {
            let job_id = jobs::insert(&mut *conn, viewer, JobKind::Restore, None).await?;
            sqlx::query!("update datasets set job_id = $2 where id = $1", id.0, job_id.0)
                .execute(conn)
                .await?;
        }
    }
    Ok(true)
}

/// Says so at work that has begun on one machine and goes on at another.
async fn note_move(conn: &mut PgConnection, id: DatasetId) -> Result<()> {
    sqlx::query!(
        "insert into interruptions (job_id, stage, reason)
         select j.id, j.stage, format('its dataset is restored again, perhaps on another machine than %s', h.machine)
         from datasets d join jobs r on r.id = d.job_id join homes h on h.home = r.home
         join dataset_jobs work on work.dataset_id = d.id
         join jobs j on j.id = work.job_id and j.started_at is not null and j.status = 'queued' and j.kind <> 'check'
         where d.id = $1",
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a dataset, unless a job that waits or runs needs it. Returns false when it is in use or not there.
pub async fn delete_unused(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from datasets d where d.id = $1 and may_change($2, d) and not exists (
             select 1 from jobs j
             where j.status in ('queued', 'running')
               and (j.id = d.job_id or j.id in (select job_id from dataset_jobs where dataset_id = d.id)))",
        id.0,
        viewer as Viewer,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let next = new_id(&mut conn).await.unwrap();
        let again = insert(&mut conn, world.viewer, next, &new_dataset("shop"), job_id).await;
        assert!(matches!(again, Err(sqlx::Error::Database(error)) if error.is_unique_violation()));
        // Another person may happen to send the same words.
        let next = new_id(&mut conn).await.unwrap();
        insert(&mut conn, stranger, next, &new_dataset("shop"), job_id)
            .await
            .unwrap();
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
