//! The plans of an experiment: what EXPLAIN showed of each (source, query).

use std::collections::HashSet;

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::estimate::NodeEstimate;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanRecord;
use crate::model::experiment::PlanText;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::store::Result;

/// Keeps what EXPLAIN showed; a second look at the same pair replaces the first.
pub async fn upsert(conn: &mut PgConnection, lease: &Lease, id: ExperimentId, plan: &PlanRecord) -> Result<()> {
    sqlx::query!(
        "insert into plans (experiment_id, source_idx, query_idx, explain, analyzed, fingerprint, cost, buffers,
                            worst_q_error, mean_q_error, estimates, message)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
         where exists (select from jobs where id = $13 and epoch = $14 and status = 'running')
         on conflict (experiment_id, source_idx, query_idx) do update
         set explain = excluded.explain, analyzed = excluded.analyzed, fingerprint = excluded.fingerprint,
             cost = excluded.cost, buffers = excluded.buffers, worst_q_error = excluded.worst_q_error,
             mean_q_error = excluded.mean_q_error, estimates = excluded.estimates, message = excluded.message",
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
        Json(&plan.estimates) as _,
        plan.message,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The plans of an experiment without their texts, by query, then source.
pub async fn list_outlines(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<PlanOutline>> {
    let rows = sqlx::query!(
        r#"select p.source_idx, p.query_idx, p.fingerprint, p.cost, p.buffers, p.worst_q_error, p.mean_q_error,
                  p.estimates as "estimates: Json<Vec<NodeEstimate>>", p.message
           from plans p join experiments e on e.id = p.experiment_id
           where p.experiment_id = $1 and may_see($2, e)
           order by p.query_idx, p.source_idx"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let outlines = rows.into_iter().map(|row| PlanOutline {
        source_idx: row.source_idx,
        query_idx: row.query_idx,
        fingerprint: row.fingerprint,
        cost: row.cost,
        buffers: row.buffers,
        worst_q_error: row.worst_q_error,
        mean_q_error: row.mean_q_error,
        estimates: row.estimates.0,
        message: row.message,
    });
    Ok(outlines.collect())
}

/// The texts of the plans of one query, or of all, by query, then source.
pub async fn list_texts(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    query_idx: Option<i32>,
) -> Result<Vec<PlanText>> {
    sqlx::query_as!(
        PlanText,
        "select p.source_idx, p.query_idx, p.explain, p.analyzed
         from plans p join experiments e on e.id = p.experiment_id
         where p.experiment_id = $1 and may_see($2, e) and ($3::integer is null or p.query_idx = $3)
         order by p.query_idx, p.source_idx",
        id.0,
        viewer as Viewer,
        query_idx,
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

/// The queries that read and that EXPLAIN ANALYZE has run to its end under a source.
pub async fn list_observable(conn: &mut PgConnection, id: ExperimentId, source_idx: usize) -> Result<HashSet<usize>> {
    let positions = sqlx::query_scalar!(
        "select p.query_idx
         from plans p join experiment_queries q on q.experiment_id = p.experiment_id and q.query_idx = p.query_idx
         where p.experiment_id = $1 and p.source_idx = $2 and p.analyzed is not null and q.class = 'reads'",
        id.0,
        i32::try_from(source_idx).unwrap_or(i32::MAX),
    )
    .fetch_all(conn)
    .await?;
    Ok(positions.into_iter().filter_map(|n| usize::try_from(n).ok()).collect())
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
