//! Instruments with their steps and the plans that they have seen.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::JobId;
use crate::model::ids::UserId;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::instrument::InstrumentSpec;
use crate::model::instrument::SeenPlan;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::snapshot::Snapshot;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::filing::filing;
use crate::store::jobs::job_of;
use crate::store::queue::LEASE_S;
use crate::store::to_u64;

/// A run of an instrument that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewInstrument {
    pub request_id: String,
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub experiment_id: Option<ExperimentId>,
    pub spec: InstrumentSpec,
}

/// Selects instruments with their jobs; the tail says which.
macro_rules! select_instruments {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select i.id as "id: InstrumentId", i.dataset_id as "dataset_id: DatasetId", i.dataset_name,
                      i.experiment_id as "experiment_id: ExperimentId", i.spec as "spec: Json<InstrumentSpec>",
                      i.result as "result: Json<Findings>", i.headline, i.tags, i.memo, i.created_at,
                      j.n_recorded,
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from instruments i join jobs j on j.id = i.job_id "# + $tail,
            $($bind),*
        )
        .map(|row| Instrument {
            id: row.id,
            dataset_id: row.dataset_id,
            dataset_name: row.dataset_name,
            experiment_id: row.experiment_id,
            spec: row.spec.0,
            result: row.result.map(|result| result.0),
            headline: row.headline,
            filing: filing(row.tags, row.memo),
            created_at: row.created_at,
            n_steps: to_u64(row.n_recorded),
            job: job_of!(row, job_id, job_created_at),
        })
    };
}

/// Stores a new run; `job_id` is the job that will do it.
pub async fn insert(
    conn: &mut PgConnection,
    viewer: Viewer,
    new: &NewInstrument,
    job_id: JobId,
) -> Result<InstrumentId> {
    sqlx::query_scalar!(
        r#"insert into instruments (owner_id, request_id, job_id, dataset_id, experiment_id, dataset_name, spec)
           values ($1, $2, $3, $4, $5, $6, $7) returning id as "id: InstrumentId""#,
        viewer.user_id.0,
        new.request_id,
        job_id.0,
        new.dataset_id.0,
        new.experiment_id.map(|id| id.0),
        new.dataset_name,
        Json(&new.spec) as _,
    )
    .fetch_one(conn)
    .await
}

/// The run that an earlier sending of the same form launched.
pub async fn find_by_request(
    conn: &mut PgConnection,
    viewer: Viewer,
    request_id: &str,
) -> Result<Option<InstrumentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: InstrumentId" from instruments where owner_id = $1 and request_id = $2"#,
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// One run; none when there is no such run for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: InstrumentId) -> Result<Option<Instrument>> {
    select_instruments!("where i.id = $1 and may_see($2, i)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The run that a job does.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Instrument>> {
    select_instruments!("where i.job_id = $1", lease.job_id.0)
        .fetch_optional(conn)
        .await
}

/// These runs, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[InstrumentId]) -> Result<Vec<Instrument>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    select_instruments!(
        "where i.id = any ($1) and may_see($2, i) order by array_position($1, i.id)",
        &ids,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// Runs that ended without their runner, which had put them back or was dead by then: nobody has said what they found.
pub async fn list_unsaid(conn: &mut PgConnection) -> Result<Vec<(InstrumentId, Viewer)>> {
    let rows = sqlx::query!(
        r#"select i.id as "id: InstrumentId", i.owner_id as "owner_id: UserId"
           from instruments i join jobs j on j.id = i.job_id
           where j.status in ('failed', 'cancelled') and i.headline is null
             and exists (select from instrument_steps s where s.instrument_id = i.id)"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, Viewer::owner(row.owner_id)))
        .collect())
}

/// Stores a step, counts it and renews the lease in one statement. Returns false when the lease is lost: nothing was
/// stored.
pub async fn record(
    conn: &mut PgConnection,
    lease: &Lease,
    id: InstrumentId,
    step_idx: usize,
    step: &Value,
) -> Result<bool> {
    let done = sqlx::query!(
        "with lease as (
             update jobs set lease_until = clock_timestamp() + make_interval(secs => $4), interruptions = 0,
                             n_recorded = n_recorded + 1
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
               and lease_until > clock_timestamp()
             returning 1)
         insert into instrument_steps (instrument_id, step_idx, epoch, step) select $5, $6, $2, $7 from lease",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
        id.0,
        i32::try_from(step_idx).unwrap_or(i32::MAX),
        step,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The steps of a run in order.
pub async fn list_steps(conn: &mut PgConnection, viewer: Viewer, id: InstrumentId) -> Result<Vec<Value>> {
    sqlx::query_scalar!(
        "select s.step from instrument_steps s join instruments i on i.id = s.instrument_id
         where s.instrument_id = $1 and may_see($2, i) order by s.step_idx",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// Keeps a plan that was seen, once. In the transaction that records the step in which it was.
pub async fn keep_plan(conn: &mut PgConnection, id: InstrumentId, plan: &SeenPlan) -> Result<()> {
    sqlx::query!(
        "insert into instrument_plans (instrument_id, query_idx, fingerprint, cost, explain) values ($1, $2, $3, $4, $5)
         on conflict (instrument_id, query_idx, fingerprint) do nothing",
        id.0,
        plan.query_idx,
        plan.fingerprint,
        plan.cost,
        plan.explain,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the statistics that a step has drawn. In the transaction that records the step.
pub async fn keep_snapshot(
    conn: &mut PgConnection,
    id: InstrumentId,
    step_idx: usize,
    snapshot: &Snapshot,
) -> Result<()> {
    sqlx::query!(
        "insert into instrument_snapshots (instrument_id, step_idx, snapshot) values ($1, $2, $3)",
        id.0,
        i32::try_from(step_idx).unwrap_or(i32::MAX),
        Json(snapshot) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The statistics that a step has drawn; none where they were not kept.
pub async fn get_snapshot(conn: &mut PgConnection, id: InstrumentId, step_idx: usize) -> Result<Option<Snapshot>> {
    let snapshot = sqlx::query_scalar!(
        r#"select snapshot as "snapshot: Json<Snapshot>" from instrument_snapshots
           where instrument_id = $1 and step_idx = $2"#,
        id.0,
        i32::try_from(step_idx).unwrap_or(i32::MAX),
    )
    .fetch_optional(conn)
    .await?;
    Ok(snapshot.map(|snapshot| snapshot.0))
}

/// The plans that a run has seen, by query.
pub async fn list_plans(conn: &mut PgConnection, viewer: Viewer, id: InstrumentId) -> Result<Vec<SeenPlan>> {
    sqlx::query_as!(
        SeenPlan,
        "select p.query_idx, p.fingerprint, p.cost, p.explain
         from instrument_plans p join instruments i on i.id = p.instrument_id
         where p.instrument_id = $1 and may_see($2, i) order by p.query_idx, p.fingerprint",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// Notes what is known so far, and the answer in a sentence. Changes nothing when the lease is lost.
pub async fn set_result(
    conn: &mut PgConnection,
    lease: &Lease,
    id: InstrumentId,
    result: &Findings,
    headline: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "update instruments set result = $2, headline = $3
         where id = $1 and exists (select from jobs where id = $4 and epoch = $5 and status = 'running')",
        id.0,
        Json(result) as _,
        headline,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what a run that ended without its runner had found out by then.
pub async fn set_part(conn: &mut PgConnection, id: InstrumentId, part: &Findings, headline: &str) -> Result<()> {
    sqlx::query!(
        "update instruments set result = $2, headline = $3 where id = $1 and headline is null",
        id.0,
        Json(part) as _,
        headline,
    )
    .execute(conn)
    .await?;
    Ok(())
}
