//! Checks of a workload against a dataset.

use sqlx::PgConnection;

use crate::model::ids::DatasetId;
use crate::model::ids::JobId;
use crate::model::ids::WorkloadId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::model::workload::CheckResult;
use crate::model::workload::CheckStatus;
use crate::store::Result;
use crate::store::to_i64;
use crate::store::to_u64;

/// Starts a new check in place of the last one for this pair.
pub async fn replace(
    conn: &mut PgConnection,
    viewer: Viewer,
    workload_id: WorkloadId,
    dataset_id: DatasetId,
    job_id: JobId,
) -> Result<()> {
    sqlx::query!(
        "insert into workload_checks (workload_id, dataset_id, owner_id, job_id) values ($1, $2, $3, $4)
         on conflict (workload_id, dataset_id) do update set job_id = excluded.job_id",
        workload_id.0,
        dataset_id.0,
        viewer.user_id.0,
        job_id.0,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from workload_check_results where workload_id = $1 and dataset_id = $2",
        workload_id.0,
        dataset_id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The pair that a check job works for.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<(WorkloadId, DatasetId)>> {
    let row = sqlx::query!(
        r#"select workload_id as "workload_id: WorkloadId", dataset_id as "dataset_id: DatasetId"
           from workload_checks where job_id = $1"#,
        lease.job_id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.workload_id, row.dataset_id)))
}

/// The newest check of a pair: the job that makes it.
pub async fn get(
    conn: &mut PgConnection,
    viewer: Viewer,
    workload_id: WorkloadId,
    dataset_id: DatasetId,
) -> Result<Option<JobId>> {
    sqlx::query_scalar!(
        r#"select c.job_id as "job_id: JobId"
           from workload_checks c join workloads w on w.id = c.workload_id join datasets d on d.id = c.dataset_id
           where c.workload_id = $1 and c.dataset_id = $2 and may_see($3, w) and may_see($3, d)"#,
        workload_id.0,
        dataset_id.0,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await
}

/// Records what the server said. The caller settles the job in the same transaction.
pub async fn insert_results(
    conn: &mut PgConnection,
    workload_id: WorkloadId,
    dataset_id: DatasetId,
    results: &[CheckResult],
) -> Result<()> {
    sqlx::query!(
        "delete from workload_check_results where workload_id = $1 and dataset_id = $2",
        workload_id.0,
        dataset_id.0,
    )
    .execute(&mut *conn)
    .await?;
    for result in results {
        sqlx::query!(
            "insert into workload_check_results (workload_id, dataset_id, position, status, message, line)
             values ($1, $2, $3, $4, $5, $6)",
            workload_id.0,
            dataset_id.0,
            result.position,
            result.status as CheckStatus,
            result.message,
            result.line.map(to_i64),
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The results of the newest check of a pair; empty while it is under way.
pub async fn list_results(
    conn: &mut PgConnection,
    viewer: Viewer,
    workload_id: WorkloadId,
    dataset_id: DatasetId,
) -> Result<Vec<CheckResult>> {
    let rows = sqlx::query!(
        r#"select r.position, r.status as "status: CheckStatus", r.message, r.line
           from workload_check_results r
           join workload_checks c on c.workload_id = r.workload_id and c.dataset_id = r.dataset_id
           join workloads w on w.id = c.workload_id join datasets d on d.id = c.dataset_id
           where r.workload_id = $1 and r.dataset_id = $2 and may_see($3, w) and may_see($3, d)
           order by r.position"#,
        workload_id.0,
        dataset_id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let results = rows.into_iter().map(|row| CheckResult {
        position: row.position,
        status: row.status,
        message: row.message,
        line: row.line.map(to_u64),
    });
    Ok(results.collect())
}
