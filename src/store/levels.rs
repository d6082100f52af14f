//! What benchmarks measured: attempts at levels, their seconds, their statements. Every write carries the lease.

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::benchmark::ErrorCount;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::model::benchmark::StatementRecord;
use crate::model::benchmark::Totals;
use crate::model::ids::BenchmarkId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::queue::LEASE_S;
use crate::store::to_u64;

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct LevelEnd<'a> {
    pub status: LevelStatus,
    pub measured_ms: Option<f64>,
    pub totals: Totals,
    pub latencies: Option<&'a [u8]>,
    pub notes: &'a LevelNotes,
}

impl<'a> LevelEnd<'a> {
    /// Of an attempt that measured nothing.
    pub fn unmeasured(status: LevelStatus, notes: &'a LevelNotes) -> Self {
        Self {
            status,
            measured_ms: None,
            totals: Totals::default(),
            latencies: None,
            notes,
        }
    }
}

/// Names one attempt at a level.
#[derive(Clone, Copy, Debug)]
pub struct AttemptKey {
    pub benchmark_id: BenchmarkId,
    pub level_idx: i32,
    pub attempt: i32,
}

/// Marks the attempts that a runner before this one has left running.
pub async fn mark_interrupted(conn: &mut PgConnection, lease: &Lease, id: BenchmarkId) -> Result<()> {
    sqlx::query!(
        "update benchmark_levels set status = 'interrupted', finished_at = clock_timestamp()
         where benchmark_id = $1 and status = 'running' and epoch < $2
           and exists (select from jobs where id = $3 and epoch = $2 and status = 'running')",
        id.0,
        lease.epoch,
        lease.job_id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Begins another attempt at a level and returns its number; none when the lease is lost. One that runs under this lease
/// already is the one: it was begun before, and only the answer was lost.
pub async fn begin(conn: &mut PgConnection, lease: &Lease, id: BenchmarkId, level: Level) -> Result<Option<i32>> {
    sqlx::query_scalar!(
        r#"with lease as (
             update jobs set lease_until = clock_timestamp() + make_interval(secs => $4)
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
               and lease_until > clock_timestamp()
             returning 1),
         running as (
             select attempt from benchmark_levels, lease
             where benchmark_id = $5 and level_idx = $6 and epoch = $2 and status = 'running'),
         begun as (
             insert into benchmark_levels (benchmark_id, level_idx, attempt, epoch, n_clients, source_idx, status)
             select $5, $6,
                    (select coalesce(max(attempt), 0) + 1 from benchmark_levels
                     where benchmark_id = $5 and level_idx = $6),
                    $2, $7, $8, 'running'
             from lease where not exists (select from running) returning attempt)
         select attempt as "attempt!" from running union all select attempt from begun"#,
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
        id.0,
        level.level_idx,
        i32::try_from(level.n_clients).unwrap_or(i32::MAX),
        level.source_idx,
    )
    .fetch_optional(conn)
    .await
}

/// Stores a second and renews the lease in one statement. Returns false when the lease is lost: nothing was stored.
pub async fn record_second(
    conn: &mut PgConnection,
    lease: &Lease,
    id: BenchmarkId,
    second: &SecondRecord,
) -> Result<bool> {
    let done = sqlx::query!(
        "with lease as (
             update jobs set lease_until = clock_timestamp() + make_interval(secs => $4)
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
               and lease_until > clock_timestamp()
             returning 1)
         insert into benchmark_seconds (benchmark_id, level_idx, attempt, share_idx, second_idx, started_at, span_ms,
                                        totals, n_connected, latencies, errors, generator_cpu_ms, server)
         select $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 from lease",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
        id.0,
        second.level_idx,
        second.attempt,
        second.share_idx,
        second.second_idx,
        second.started_at,
        second.span_ms,
        Json(&second.totals) as _,
        i32::try_from(second.n_connected).unwrap_or(i32::MAX),
        second.latencies,
        Json(&second.errors) as _,
        second.generator_cpu_ms,
        second.server.as_ref().map(Json) as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an attempt, with what its statements came to; in a transaction of the caller. A finished level counts as
/// recorded. Returns false when the lease is lost: nothing was stored.
pub async fn finish(
    conn: &mut PgConnection,
    lease: &Lease,
    key: AttemptKey,
    end: &LevelEnd<'_>,
    statements: &[StatementRecord],
) -> Result<bool> {
    let done = sqlx::query!(
        "with lease as (
             update jobs set lease_until = clock_timestamp() + make_interval(secs => $4),
                             interruptions = case when $8 = 'finished'::level_status then 0 else interruptions end,
                             n_recorded = n_recorded + case when $8 = 'finished'::level_status then 1 else 0 end
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
               and lease_until > clock_timestamp()
             returning 1)
         update benchmark_levels set status = $8, finished_at = clock_timestamp(), measured_ms = $9, totals = $10,
                                     latencies = $11, notes = $12
         from lease where benchmark_id = $5 and level_idx = $6 and attempt = $7 and status = 'running'",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        end.status as LevelStatus,
        end.measured_ms,
        Json(&end.totals) as _,
        end.latencies,
        Json(end.notes) as _,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    for statement in statements {
        sqlx::query!(
            "insert into benchmark_statements (benchmark_id, level_idx, attempt, program_idx, command_idx, n, n_failed,
                                               latencies)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            key.benchmark_id.0,
            key.level_idx,
            key.attempt,
            statement.program_idx,
            statement.command_idx.unwrap_or(WHOLE_TRANSACTION),
            i64::try_from(statement.n).unwrap_or(i64::MAX),
            i64::try_from(statement.n_failed).unwrap_or(i64::MAX),
            statement.latencies,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(true)
}

/// Whether an attempt that was begun under this lease has its end.
pub async fn is_over(conn: &mut PgConnection, lease: &Lease, key: AttemptKey) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from benchmark_levels
                          where benchmark_id = $1 and level_idx = $2 and attempt = $3 and epoch = $4
                            and status <> 'running') as "is_over!""#,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        lease.epoch,
    )
    .fetch_one(conn)
    .await
}

/// What stands for no command.
const WHOLE_TRANSACTION: i32 = -1;

/// Every attempt at every level, in order of level and attempt.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<Vec<LevelRecord>> {
    list_of_several(conn, viewer, &[id])
        .await
        .map(|levels| levels.into_iter().map(|(_, level)| level).collect())
}

/// As [`list`], of several benchmarks at once, each with the benchmark that it belongs to.
pub async fn list_of_several(
    conn: &mut PgConnection,
    viewer: Viewer,
    ids: &[BenchmarkId],
) -> Result<Vec<(BenchmarkId, LevelRecord)>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        r#"select l.benchmark_id as "benchmark_id: BenchmarkId", l.level_idx, l.attempt, l.n_clients, l.source_idx,
                  l.status as "status: LevelStatus", l.started_at, l.finished_at, l.measured_ms,
                  l.totals as "totals: Json<Totals>", l.latencies, l.notes as "notes: Json<LevelNotes>"
           from benchmark_levels l join benchmarks b on b.id = l.benchmark_id
           where l.benchmark_id = any ($1) and may_see($2, b)
           order by array_position($1, l.benchmark_id), l.level_idx, l.attempt"#,
        &ids,
        viewer as Viewer,
    )
    .map(|row| {
        let record = LevelRecord {
            level: Level {
                level_idx: row.level_idx,
                n_clients: row.n_clients.unsigned_abs(),
                source_idx: row.source_idx,
            },
            attempt: row.attempt,
            status: row.status,
            started_at: row.started_at,
            finished_at: row.finished_at,
            measured_ms: row.measured_ms,
            totals: row.totals.0,
            latencies: row.latencies,
            notes: row.notes.0,
        };
        (row.benchmark_id, record)
    })
    .fetch_all(conn)
    .await
}

/// Selects seconds with their latencies, or with something in their place; the tail says which seconds.
macro_rules! select_seconds {
    ($latencies:literal, $tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select s.level_idx, s.attempt, s.share_idx, s.second_idx, s.started_at, s.span_ms,
                      s.totals as "totals: Json<Totals>", s.n_connected,
                      s.errors as "errors: Json<Vec<ErrorCount>>", s.generator_cpu_ms,
                      s.server as "server: Json<ServerSecond>", "# + $latencies + r#" as "latencies!"
               from benchmark_seconds s join benchmarks b on b.id = s.benchmark_id "# + $tail,
            $($bind),*
        )
        .map(|row| SecondRecord {
            level_idx: row.level_idx,
            attempt: row.attempt,
            share_idx: row.share_idx,
            second_idx: row.second_idx,
            started_at: row.started_at,
            span_ms: row.span_ms,
            totals: row.totals.0,
            n_connected: row.n_connected.unsigned_abs(),
            latencies: row.latencies,
            errors: row.errors.0,
            generator_cpu_ms: row.generator_cpu_ms,
            server: row.server.map(|server| server.0),
        })
    };
}

/// The seconds of a benchmark in the order of levels and attempts, shares of the same second beside each other.
pub async fn list_seconds(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<Vec<SecondRecord>> {
    // Put in order here: the server would sort rows as wide as these on its disk.
    let seconds = select_seconds!(
        "s.latencies",
        "where s.benchmark_id = $1 and may_see($2, b)",
        id.0,
        viewer as Viewer,
    );
    seconds.fetch_all(conn).await.map(in_order)
}

/// The same without their latencies, whose place is empty: read from the store and decoded they cost more than everything
/// else of a second.
pub async fn list_seconds_in_short(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: BenchmarkId,
) -> Result<Vec<SecondRecord>> {
    let seconds = select_seconds!(
        "''::bytea",
        "where s.benchmark_id = $1 and may_see($2, b)",
        id.0,
        viewer as Viewer,
    );
    seconds.fetch_all(conn).await.map(in_order)
}

/// The newest seconds of a benchmark, in the same order: those that began later than `span_s` before `from`, or before the
/// newest. All shares of a second begin at the same moment.
pub async fn list_last_seconds(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: BenchmarkId,
    from: Option<DateTime<Utc>>,
    span_s: f64,
) -> Result<Vec<SecondRecord>> {
    let seconds = select_seconds!(
        "s.latencies",
        "where s.benchmark_id = $1 and may_see($2, b)
           and s.started_at > coalesce($3, (select max(newest.started_at) from benchmark_seconds newest
                                            where newest.benchmark_id = $1)) - make_interval(secs => $4)",
        id.0,
        viewer as Viewer,
        from,
        span_s,
    );
    seconds.fetch_all(conn).await.map(in_order)
}

fn in_order(mut seconds: Vec<SecondRecord>) -> Vec<SecondRecord> {
    seconds.sort_unstable_by_key(|second| (second.level_idx, second.attempt, second.second_idx, second.share_idx));
    seconds
}

/// The seconds of one attempt behind `after_idx`, in order.
pub async fn list_seconds_after(
    conn: &mut PgConnection,
    viewer: Viewer,
    key: AttemptKey,
    after_idx: i32,
) -> Result<Vec<SecondRecord>> {
    select_seconds!(
        "s.latencies",
        "where s.benchmark_id = $1 and may_see($2, b) and s.level_idx = $3 and s.attempt = $4 and s.second_idx > $5
         order by s.second_idx, s.share_idx",
        key.benchmark_id.0,
        viewer as Viewer,
        key.level_idx,
        key.attempt,
        after_idx,
    )
    .fetch_all(conn)
    .await
}

/// What statements came to, of every attempt, in order of level, attempt, program and statement.
pub async fn list_statements(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<Vec<StatementRecord>> {
    sqlx::query!(
        r#"select s.level_idx, s.attempt, s.program_idx, s.command_idx, s.n, s.n_failed, s.latencies
           from benchmark_statements s join benchmarks b on b.id = s.benchmark_id
           where s.benchmark_id = $1 and may_see($2, b)
           order by s.level_idx, s.attempt, s.program_idx, s.command_idx"#,
        id.0,
        viewer as Viewer,
    )
    .map(|row| StatementRecord {
        level_idx: row.level_idx,
        attempt: row.attempt,
        program_idx: row.program_idx,
        command_idx: Some(row.command_idx).filter(|idx| *idx != WHOLE_TRANSACTION),
        n: to_u64(row.n),
        n_failed: to_u64(row.n_failed),
        latencies: row.latencies,
    })
    .fetch_all(conn)
    .await
}
