//! Workloads and their queries.

use sqlx::PgConnection;

use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::model::workload::NewWorkload;
use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::model::workload::Workload;
use crate::store::Result;
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

/// One workload; none when there is no such workload for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<Option<Workload>> {
    Ok(list(conn, viewer).await?.into_iter().find(|workload| workload.id == id))
}

/// All workloads of the viewer, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Workload>> {
    let rows = sqlx::query!(
        r#"select w.id as "id: WorkloadId", w.name, w.file_name, w.sha256, w.created_at,
                  count(q.position) as "n_queries!",
                  count(q.position) filter (where q.class = 'refused') as "n_refused!"
           from workloads w left join workload_queries q on q.workload_id = w.id
           where w.owner_id = $1
           group by w.id
           order by w.id desc"#,
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await?;
    let workloads = rows.into_iter().map(|row| Workload {
        id: row.id,
        name: row.name,
        file_name: row.file_name,
        sha256: row.sha256,
        created_at: row.created_at,
        n_queries: to_u64(row.n_queries),
        n_refused: to_u64(row.n_refused),
    });
    Ok(workloads.collect())
}

/// The queries of a workload, in the order of its file.
pub async fn list_queries(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<Vec<Query>> {
    let rows = sqlx::query!(
        r#"select q.position, q.label, q.line, q.sql, q.class as "class: QueryClass", q.refusal
           from workload_queries q join workloads w on w.id = q.workload_id
           where q.workload_id = $1 and w.owner_id = $2
           order by q.position"#,
        id.0,
        viewer.user_id.0,
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

/// Removes a workload, unless a job that waits or runs needs it. Returns false when it is in use or not there.
pub async fn delete_unused(conn: &mut PgConnection, viewer: Viewer, id: WorkloadId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from workloads w where w.id = $1 and w.owner_id = $2 and not exists (
             select 1 from jobs j
             where j.status in ('queued', 'running')
               and (j.id in (select job_id from experiments e where e.workload_id = w.id)
                or j.id in (select job_id from workload_checks c where c.workload_id = w.id)))",
        id.0,
        viewer.user_id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
