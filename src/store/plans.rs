//! The plans of an experiment: what EXPLAIN showed of each (source, query).

use sqlx::PgConnection;

use crate::model::experiment::PlanRecord;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::store::Result;

/// Keeps what EXPLAIN showed; a second look at the same pair replaces the first.
pub async fn upsert(conn: &mut PgConnection, lease: &Lease, id: ExperimentId, plan: &PlanRecord) -> Result<()> {
    sqlx::query!(
        "insert into plans (experiment_id, source_idx, query_idx, explain, analyzed, fingerprint, cost, buffers,
                            worst_q_error, mean_q_error, message)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         where exists (select from jobs where id = $12 and epoch = $13 and status = 'running')
         on conflict (experiment_id, source_idx, query_idx) do update
         set explain = excluded.explain, analyzed = excluded.analyzed, fingerprint = excluded.fingerprint,
             cost = excluded.cost, buffers = excluded.buffers, worst_q_error = excluded.worst_q_error,
             mean_q_error = excluded.mean_q_error, message = excluded.message",
        id.0,
        plan.source_idx,
        plan.query_idx,
        plan.explain,
        plan.analyzed,
        plan.fingerprint,
        plan.cost,
        plan.buffers,
        plan.worst_q_error,
        plan.mean_q_error,
        plan.message,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The plans of an experiment by query, then source.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<PlanRecord>> {
    sqlx::query_as!(
        PlanRecord,
        "select p.source_idx, p.query_idx, p.explain, p.analyzed, p.fingerprint, p.cost, p.buffers,
                p.worst_q_error, p.mean_q_error, p.message
         from plans p join experiments e on e.id = p.experiment_id
         where p.experiment_id = $1 and e.owner_id = $2
         order by p.query_idx, p.source_idx",
        id.0,
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await
}

/// The pairs that were explained already: a resumed experiment does the rest.
pub async fn list_done(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<(i32, i32)>> {
    let rows = sqlx::query!("select source_idx, query_idx from plans where experiment_id = $1", id.0)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.source_idx, row.query_idx)).collect())
}

/// The shape of every plan that is known, with its source and query.
pub async fn list_fingerprints(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<(i32, i32, Option<String>)>> {
    let rows = sqlx::query!(
        "select source_idx, query_idx, fingerprint from plans where experiment_id = $1",
        id.0
    )
    .fetch_all(conn)
    .await?;
    let shapes = rows
        .into_iter()
        .map(|row| (row.source_idx, row.query_idx, row.fingerprint));
    Ok(shapes.collect())
}
