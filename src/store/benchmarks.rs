//! Benchmarks: what was asked, and what is said of the whole. Their levels are in [`levels`](crate::store::levels).

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::LoadRecord;
use crate::model::dataset::Setting;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::JobId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::filing::filing;
use crate::store::jobs::job_of;

/// A benchmark that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewBenchmark {
    pub request_id: String,
    pub dataset_id: Option<DatasetId>,
    pub target_name: String,
    pub configuration: String,
    pub spec: BenchmarkSpec,
}

/// Selects benchmarks with their jobs; the tail says which.
macro_rules! select_benchmarks {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select b.id as "id: BenchmarkId", b.dataset_id as "dataset_id: DatasetId", b.target_name, b.configuration,
                      b.spec as "spec: Json<BenchmarkSpec>", b.environment as "environment: Json<Vec<Setting>>",
                      b.load as "load: Json<LoadRecord>", b.headline, b.is_met, b.tags, b.memo, b.created_at,
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from benchmarks b join jobs j on j.id = b.job_id "# + $tail,
            $($bind),*
        )
        .map(|row| Benchmark {
            id: row.id,
            dataset_id: row.dataset_id,
            target_name: row.target_name,
            configuration: row.configuration,
            spec: row.spec.0,
            environment: row.environment.0,
            load: row.load.map(|load| load.0),
            headline: row.headline,
            is_met: row.is_met,
            filing: filing(row.tags, row.memo),
            created_at: row.created_at,
            job: job_of!(row, job_id, job_created_at),
        })
    };
}

/// Stores a new benchmark; `job_id` is the job that will do it.
pub async fn insert(conn: &mut PgConnection, viewer: Viewer, new: &NewBenchmark, job_id: JobId) -> Result<BenchmarkId> {
    sqlx::query_scalar!(
        r#"insert into benchmarks (owner_id, request_id, job_id, dataset_id, target_name, configuration, spec)
           values ($1, $2, $3, $4, $5, $6, $7) returning id as "id: BenchmarkId""#,
        viewer.user_id.0,
        new.request_id,
        job_id.0,
        new.dataset_id.map(|id| id.0),
        new.target_name,
        new.configuration,
        Json(&new.spec) as _,
    )
    .fetch_one(conn)
    .await
}

/// The benchmark that an earlier sending of the same form launched.
pub async fn find_by_request(conn: &mut PgConnection, viewer: Viewer, request_id: &str) -> Result<Option<BenchmarkId>> {
    sqlx::query_scalar!(
        r#"select id as "id: BenchmarkId" from benchmarks where owner_id = $1 and request_id = $2"#,
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// One benchmark; none when there is no such benchmark for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<Option<Benchmark>> {
    select_benchmarks!("where b.id = $1 and may_see($2, b)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The benchmark that a job does.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Benchmark>> {
    select_benchmarks!("where b.job_id = $1", lease.job_id.0)
        .fetch_optional(conn)
        .await
}

/// These benchmarks, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[BenchmarkId]) -> Result<Vec<Benchmark>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    select_benchmarks!(
        "where b.id = any ($1) and may_see($2, b) order by array_position($1, b.id)",
        &ids,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// Benchmarks, newest first, at most `limit`: only those older than `before` and only those of a status, where that is given.
pub async fn list_before(
    conn: &mut PgConnection,
    viewer: Viewer,
    before: Option<BenchmarkId>,
    status: Option<JobStatus>,
    limit: i64,
) -> Result<Vec<Benchmark>> {
    select_benchmarks!(
        "where may_see($1, b) and ($2::bigint is null or b.id < $2) and ($3::job_status is null or j.status = $3)
         order by b.id desc limit $4",
        viewer as Viewer,
        before.map(|id| id.0),
        status as Option<JobStatus>,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Benchmarks that wait or run, and those that have ended within the last `ended_within_s` seconds, oldest first.
pub async fn list_current(conn: &mut PgConnection, viewer: Viewer, ended_within_s: f64) -> Result<Vec<Benchmark>> {
    select_benchmarks!(
        "where may_see($1, b)
           and (j.status in ('queued', 'running')
                or j.finished_at > clock_timestamp() - make_interval(secs => $2))
         order by b.id",
        viewer as Viewer,
        ended_within_s,
    )
    .fetch_all(conn)
    .await
}

/// The newest benchmarks that ask for the same, newest first, at most `limit`.
pub async fn list_by_configuration(
    conn: &mut PgConnection,
    viewer: Viewer,
    configuration: &str,
    limit: i64,
) -> Result<Vec<Benchmark>> {
    select_benchmarks!(
        "where may_see($1, b) and b.configuration = $2 order by b.id desc limit $3",
        viewer as Viewer,
        configuration,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What the best level of a benchmark came to.
#[derive(Clone, Debug, PartialEq)]
pub struct BestLevel {
    pub id: BenchmarkId,
    pub configuration: String,
    /// Transactions a second.
    pub throughput: f64,
}

/// The best level that counts of each of the newest benchmarks that ask for one of these, at most `limit` of each, in the
/// order in which they were launched.
pub async fn list_best_levels(
    conn: &mut PgConnection,
    viewer: Viewer,
    configurations: &[String],
    limit: i64,
) -> Result<Vec<BestLevel>> {
    sqlx::query_as!(
        BestLevel,
        r#"select newest.id as "id!: BenchmarkId", c.configuration as "configuration!",
                  newest.throughput as "throughput!"
           from unnest($2::text[]) c (configuration), lateral (
               select b.id, best.throughput
               from benchmarks b, lateral (
                   select max((l.totals ->> 'n_transactions')::double precision * 1000 / l.measured_ms) as throughput
                   from benchmark_levels l
                   where l.benchmark_id = b.id and l.status in ('finished', 'stopped') and l.measured_ms > 0) best
               where may_see($1, b) and b.configuration = c.configuration and best.throughput is not null
               order by b.id desc limit $3) newest
           order by newest.id"#,
        viewer as Viewer,
        configurations,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Notes what a benchmark runs on. Changes nothing when the lease is lost.
pub async fn set_environment(
    conn: &mut PgConnection,
    lease: &Lease,
    id: BenchmarkId,
    environment: &[Setting],
    load: Option<&LoadRecord>,
) -> Result<()> {
    sqlx::query!(
        "update benchmarks set environment = $2, load = coalesce($3, load)
         where id = $1 and exists (select from jobs where id = $4 and epoch = $5 and status = 'running')",
        id.0,
        Json(environment) as _,
        load.map(Json) as _,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what the levels so far come to. Changes nothing when the lease is lost.
pub async fn set_headline(
    conn: &mut PgConnection,
    lease: &Lease,
    id: BenchmarkId,
    headline: &str,
    is_met: Option<bool>,
) -> Result<()> {
    sqlx::query!(
        "update benchmarks set headline = $2, is_met = $3
         where id = $1 and exists (select from jobs where id = $4 and epoch = $5 and status = 'running')",
        id.0,
        headline,
        is_met,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a settled benchmark with all that was measured. Returns false when there is none, or when it is not settled.
pub async fn delete(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from benchmarks b using jobs j
         where b.id = $1 and may_change($2, b) and j.id = b.job_id and j.status in ('completed', 'failed', 'cancelled')",
        id.0,
        viewer as Viewer,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
