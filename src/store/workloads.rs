//! Workloads and their queries.

use sqlx::PgConnection;

use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::model::workload::NewWorkload;
use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::model::workload::Workload;
use crate::store::Result;
use crate::store::filing::filing;
use crate::store::to_i64;
use crate::store::to_u64;

/// Stores a workload with its queries.
pub async fn insert(conn: &mut PgConnection, viewer: Viewer, new: &NewWorkload) -> Result<WorkloadId> {
    let id = sqlx::query_scalar!(
        r#"insert into workloads (owner_id, request_id, name, file_name, script, sha256)
           values ($1, $2, $3, $4, $5, $6) returning id as "id: WorkloadId""#,
        viewer.user_id.0,
        new.request_id,
        new.name,
        new.file_name,
        new.script,
        new.sha256,
    )
    .fetch_one(&mut *conn)
    .await?;
    for query in &new.queries {
        sqlx::query!(
            "insert into workload_queries (workload_id, position, label, line, sql, class, refusal)
             values ($1, $2, $3, $4, $5, $6, $7)",
            id.0,
            query.position,
            query.label,
            to_i64(query.line),
            query.sql,
            query.class as QueryClass,
            query.refusal,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(id)
}

/// The workload that an earlier sending of the same form made.
pub async fn find_by_request(conn: &mut PgConnection, viewer: Viewer, request_id: &str) -> Result<Option<WorkloadId>> {
    sqlx::query_scalar!(
        r#"select id as "id: WorkloadId" from workloads where owner_id = $1 and request_id = $2"#,
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// Selects workloads with their counts; the tail says which.
macro_rules! select_workloads {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select w.id as "id: WorkloadId", w.name, w.file_name, w.sha256, w.created_at, w.tags, w.memo,
                      (select count(*) from workload_queries q where q.workload_id = w.id) as "n_queries!",
                      (select count(*) from workload_queries q
                       where q.workload_id = w.id and q.class = 'refused') as "n_refused!"
               from workloads w "# + $tail,
            $($bind),*
        )
        .map(|row| Workload {
            id: row.id,
            name: row.name,
            file_name: row.file_name,
            sha256: row.sha256,
            created_at: row.created_at,
            n_queries: to_u64(row.n_queries),
            n_refused: to_u64(row.n_refused),
            filing: filing(row.tags, row.memo),
        })
    };
}

/// One workload; none when there is no such workload for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<Option<Workload>> {
    select_workloads!("where w.id = $1 and may_see($2, w)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The newest thousand workloads of the viewer, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Workload>> {
    select_workloads!("where may_see($1, w) order by w.id desc limit 1000", viewer as Viewer)
        .fetch_all(conn)
        .await
}

/// The viewer's workloads that are older than `before`, newest first.
pub async fn list_before(
    conn: &mut PgConnection,
    viewer: Viewer,
    before: Option<WorkloadId>,
    limit: i64,
) -> Result<Vec<Workload>> {
    select_workloads!(
        "where may_see($1, w) and ($2::bigint is null or w.id < $2) order by w.id desc limit $3",
        viewer as Viewer,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// These workloads, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[WorkloadId]) -> Result<Vec<Workload>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    select_workloads!(
        "where w.id = any ($1) and may_see($2, w) order by array_position($1, w.id)",
        &ids,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The queries of a workload, in the order of its file.
pub async fn list_queries(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<Vec<Query>> {
    let rows = sqlx::query!(
        r#"select q.position, q.label, q.line, q.sql, q.class as "class: QueryClass", q.refusal
           from workload_queries q join workloads w on w.id = q.workload_id
           where q.workload_id = $1 and may_see($2, w)
           order by q.position"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let queries = rows.into_iter().map(|row| Query {
        position: row.position,
        label: row.label,
        line: to_u64(row.line),
        sql: row.sql,
        class: row.class,
        refusal: row.refusal,
    });
    Ok(queries.collect())
}

/// The newest workload whose reading queries are these, in this order; none when there is no such workload.
pub async fn find_by_reading(
    conn: &mut PgConnection,
    viewer: Viewer,
    labels: &[String],
    sqls: &[String],
) -> Result<Option<WorkloadId>> {
    sqlx::query_scalar!(
        r#"select w.id as "id: WorkloadId" from workloads w join workload_queries q on q.workload_id = w.id
           where may_see($1, w) and q.class = 'reads'
           group by w.id
           having array_agg(q.label order by q.position) = $2 and array_agg(q.sql order by q.position) = $3
           order by w.id desc limit 1"#,
        viewer as Viewer,
        labels,
        sqls,
    )
    .fetch_optional(conn)
    .await
}

/// Removes a workload, unless a job that waits or runs needs it. Returns false when it is in use or not there.
pub async fn delete_unused(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from workloads w where w.id = $1 and may_change($2, w) and not exists (
             select 1 from jobs j
             where j.status in ('queued', 'running')
               and (j.id in (select job_id from experiments e where e.workload_id = w.id)
                or j.id in (select job_id from workload_checks c where c.workload_id = w.id)))",
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
    use crate::testing::world::World;
    use crate::testing::world::new_workload;

    const SCRIPT: &str = "-- name: one\nselect 1;\nvacuum;\nupdate t set a = 1;";

    #[tokio::test]
    async fn a_workload_comes_back_with_its_queries_in_order() {
        let world = World::new().await;
        let id = world.workload("shop", SCRIPT).await;
        let mut conn = world.conn().await;
        let workload = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(
            (workload.name.as_str(), workload.n_queries, workload.n_refused),
            ("shop", 3, 1)
        );
        let queries = list_queries(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(queries, new_workload("shop", SCRIPT).queries);
    }

    #[tokio::test]
    async fn the_newest_workload_comes_first_and_another_person_sees_none() {
        let world = World::new().await;
        let first = world.workload("first", SCRIPT).await;
        let second = world.workload("second", SCRIPT).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        let ids = |workloads: Vec<Workload>| workloads.iter().map(|workload| workload.id).collect::<Vec<_>>();
        assert_eq!(ids(list(&mut conn, world.viewer).await.unwrap()), [second, first]);
        assert!(list(&mut conn, stranger).await.unwrap().is_empty());
        assert!(get(&mut conn, stranger, first).await.unwrap().is_none());
        assert!(list_queries(&mut conn, stranger, first).await.unwrap().is_empty());
        assert!(!delete_unused(&mut conn, stranger, first).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_form_sent_again_finds_the_workload_that_it_made() {
        let world = World::new().await;
        let id = world.workload("shop", SCRIPT).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        assert_eq!(
            find_by_request(&mut conn, world.viewer, "shop").await.unwrap(),
            Some(id)
        );
        assert_eq!(find_by_request(&mut conn, stranger, "shop").await.unwrap(), None);
        assert!(
            insert(&mut conn, world.viewer, &new_workload("shop", SCRIPT))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_workload_that_an_experiment_waits_for_is_not_deleted() {
        let world = World::new().await;
        let (experiment_id, job_id) = world.experiment("e", &["none"]).await;
        let mut conn = world.conn().await;
        let experiment = crate::store::experiments::get(&mut conn, world.viewer, experiment_id).await;
        let id = experiment.unwrap().unwrap().workload_id.unwrap();
        assert!(!delete_unused(&mut conn, world.viewer, id).await.unwrap());
        crate::store::jobs::request_cancel(&mut conn, world.viewer, job_id)
            .await
            .unwrap();
        assert!(delete_unused(&mut conn, world.viewer, id).await.unwrap());
    }
}
