//! Shares of levels: offered by the worker that does a benchmark, taken by others. What a taker writes carries the epoch of
//! the lease under which it was asked, and changes nothing when that lease is held no more or the share is not its own any
//! more.

use chrono::DateTime;
use chrono::Utc;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ShareState;
use crate::model::benchmark::ShareStatus;
use crate::model::ids::BenchmarkId;
use crate::model::ids::UserId;
use crate::model::ids::WorkerId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::model::worker::SILENCE_S;
use crate::store::Result;
use crate::store::levels::AttemptKey;
use crate::store::to_u64;

/// A share that is about to be offered.
#[derive(Clone, Debug)]
pub struct NewShare {
    pub share_idx: i32,
    pub worker_id: Option<WorkerId>,
    pub first_client: u32,
    pub n_clients: u32,
    /// Sealed; none for the share of the one who offers.
    pub route: Option<Vec<u8>>,
}

/// Names one share, with the right to work on it.
#[derive(Clone, Copy, Debug)]
pub struct ShareKey {
    pub attempt: AttemptKey,
    pub share_idx: i32,
    /// Of the lease under which it was offered.
    pub epoch: i64,
}

/// Stores the shares of an attempt. Returns false when the lease is lost: nothing was stored.
pub async fn offer(conn: &mut PgConnection, lease: &Lease, key: AttemptKey, shares: &[NewShare]) -> Result<bool> {
    let (mut idxs, mut workers, mut firsts, mut counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut routes = Vec::new();
    for share in shares {
        idxs.push(share.share_idx);
        workers.push(share.worker_id.map(|id| id.0));
        firsts.push(i32::try_from(share.first_client).unwrap_or(i32::MAX));
        counts.push(i32::try_from(share.n_clients).unwrap_or(i32::MAX));
        routes.push(share.route.clone());
    }
    let done = sqlx::query!(
        "insert into benchmark_shares (benchmark_id, level_idx, attempt, share_idx, job_id, epoch, worker_id, n_clients,
                                       first_client, route, status)
         select $4, $5, $6, s.share_idx, j.id, j.epoch, s.worker_id, s.n_clients, s.first_client, s.route, 'offered'
         from unnest($7::integer[], $8::bigint[], $9::integer[], $10::integer[], $11::bytea[])
                  s (share_idx, worker_id, first_client, n_clients, route),
              jobs j
         where j.id = $1 and j.epoch = $2 and j.lease_owner = $3 and j.status = 'running'
           and j.lease_until > clock_timestamp()",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        &idxs,
        &workers as &[Option<i64>],
        &firsts,
        &counts,
        &routes as &[Option<Vec<u8>>],
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == shares.len() as u64)
}

/// A share as the one who offered it sees it.
#[derive(Clone, Debug)]
pub struct ShareRow {
    pub share_idx: i32,
    pub status: ShareStatus,
    pub n_clients: u32,
    pub n_connected: u32,
    pub clock_error_ms: Option<f64>,
    /// Its worker has ended, or gives no sign of life.
    pub is_gone: bool,
    pub report: Option<Value>,
    pub message: Option<String>,
}

/// The shares of an attempt, in order.
pub async fn list(conn: &mut PgConnection, key: AttemptKey) -> Result<Vec<ShareRow>> {
    sqlx::query!(
        r#"select s.share_idx, s.status as "status: ShareStatus", s.n_clients, s.n_connected, s.clock_error_ms, s.report,
                  s.message,
                  coalesce(w.left_at is not null
                           or w.heartbeat_at < clock_timestamp() - make_interval(secs => $4), true) as "is_gone!"
           from benchmark_shares s left join workers w on w.id = s.worker_id
           where s.benchmark_id = $1 and s.level_idx = $2 and s.attempt = $3 order by s.share_idx"#,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        SILENCE_S,
    )
    .map(|row| ShareRow {
        share_idx: row.share_idx,
        status: row.status,
        n_clients: row.n_clients.unsigned_abs(),
        n_connected: row.n_connected.unsigned_abs(),
        clock_error_ms: row.clock_error_ms,
        is_gone: row.is_gone,
        report: row.report,
        message: row.message,
    })
    .fetch_all(conn)
    .await
}

/// Gives the word to begin, in `lead_s` seconds, to all shares that are connected, and returns the moment; none when the
/// lease is lost.
pub async fn begin(
    conn: &mut PgConnection,
    lease: &Lease,
    key: AttemptKey,
    lead_s: f64,
) -> Result<Option<DateTime<Utc>>> {
    let moments = sqlx::query_scalar!(
        r#"with held as materialized (
               select clock_timestamp() + make_interval(secs => $7) as at,
                      (select sum(n_connected)::integer from benchmark_shares
                       where benchmark_id = $4 and level_idx = $5 and attempt = $6 and status = 'connected') as n
               from jobs where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running')
           update benchmark_shares set status = 'running', begin_at = held.at, n_connected_in_all = held.n
           from held where benchmark_id = $4 and level_idx = $5 and attempt = $6 and status = 'connected'
           returning begin_at as "begin_at!""#,
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        lead_s,
    )
    .fetch_all(conn)
    .await?;
    Ok(moments.into_iter().next())
}

/// Ends a share that has no voice any more, or that is not waited for. One that is over stays as it is.
pub async fn lose(conn: &mut PgConnection, lease: &Lease, key: AttemptKey, share_idx: i32, why: &str) -> Result<()> {
    sqlx::query!(
        "update benchmark_shares set status = 'lost', message = $7, route = null
         where benchmark_id = $4 and level_idx = $5 and attempt = $6 and share_idx = $8
           and status in ('offered', 'connected', 'running')
           and exists (select from jobs where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running')",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
        why,
        share_idx,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks all shares of an attempt to end.
pub async fn stop(conn: &mut PgConnection, lease: &Lease, key: AttemptKey) -> Result<()> {
    sqlx::query!(
        "update benchmark_shares set is_stopped = true
         where benchmark_id = $3 and level_idx = $4 and attempt = $5
           and exists (select from jobs where id = $1 and epoch = $2 and status = 'running')",
        lease.job_id.0,
        lease.epoch,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Failed transactions of all shares so far, warm-up included.
pub async fn count_failed(conn: &mut PgConnection, key: AttemptKey) -> Result<u64> {
    let n_failed = sqlx::query_scalar!(
        r#"select coalesce(sum((totals ->> 'n_failed')::bigint), 0)::bigint as "n!" from benchmark_seconds
           where benchmark_id = $1 and level_idx = $2 and attempt = $3"#,
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
    )
    .fetch_one(conn)
    .await?;
    Ok(to_u64(n_failed))
}

/// Forgets what was sent to put the numbers of an attempt together, which stand with its level now.
pub async fn put_away(conn: &mut PgConnection, key: AttemptKey) -> Result<()> {
    sqlx::query!(
        "update benchmark_shares set report = null, route = null
         where benchmark_id = $1 and level_idx = $2 and attempt = $3",
        key.benchmark_id.0,
        key.level_idx,
        key.attempt,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A share that its worker is asked to make.
#[derive(Clone, Debug)]
pub struct Offer {
    pub key: ShareKey,
    /// Whose benchmark it is.
    pub viewer: Viewer,
    pub spec: BenchmarkSpec,
    pub first_client: u32,
    pub n_clients: u32,
    pub route: Vec<u8>,
}

/// The share that a worker is asked to make; none where it is not, or where another job is measured on its machine.
pub async fn next_offer(conn: &mut PgConnection, worker_id: WorkerId) -> Result<Option<Offer>> {
    let row = sqlx::query!(
        r#"select s.benchmark_id as "benchmark_id: BenchmarkId", s.level_idx, s.attempt, s.share_idx, s.epoch,
                  s.first_client, s.n_clients, s.route as "route!", b.owner_id as "owner_id: UserId",
                  b.spec as "spec: Json<BenchmarkSpec>"
           from benchmark_shares s join jobs j on j.id = s.job_id join benchmarks b on b.id = s.benchmark_id
                join workers w on w.id = s.worker_id
           where s.worker_id = $1 and s.status = 'offered' and s.route is not null and not s.is_stopped
             and j.status = 'running' and j.epoch = s.epoch and j.lease_until > clock_timestamp()
             and not exists (
                 select from jobs busy
                 where busy.status = 'running' and busy.id <> j.id
                   and (busy.host = w.machine
                        or busy.lease_owner in (select near.name from workers near where near.machine = w.machine)))
           limit 1"#,
        worker_id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Offer {
        key: ShareKey {
            attempt: AttemptKey {
                benchmark_id: row.benchmark_id,
                level_idx: row.level_idx,
                attempt: row.attempt,
            },
            share_idx: row.share_idx,
            epoch: row.epoch,
        },
        viewer: Viewer::owner(row.owner_id),
        spec: row.spec.0,
        first_client: row.first_client.unsigned_abs(),
        n_clients: row.n_clients.unsigned_abs(),
        route: row.route,
    }))
}

/// Notes that the clients of a share are connected. Returns false when it is not wanted any more.
pub async fn connected(conn: &mut PgConnection, key: ShareKey, n_connected: u32, clock_error_ms: f64) -> Result<bool> {
    let done = sqlx::query!(
        "update benchmark_shares s set status = 'connected', n_connected = $6, clock_error_ms = $7, route = null
         from jobs j
         where s.benchmark_id = $1 and s.level_idx = $2 and s.attempt = $3 and s.share_idx = $4 and s.status = 'offered'
           and j.id = s.job_id and j.epoch = $5 and j.status = 'running' and j.lease_until > clock_timestamp()",
        key.attempt.benchmark_id.0,
        key.attempt.level_idx,
        key.attempt.attempt,
        key.share_idx,
        key.epoch,
        i32::try_from(n_connected).unwrap_or(i32::MAX),
        clock_error_ms,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How a share stands; none when its level is gone.
pub async fn state(conn: &mut PgConnection, key: ShareKey) -> Result<Option<ShareState>> {
    sqlx::query!(
        r#"select s.status as "status: ShareStatus", s.is_stopped, s.begin_at, s.n_connected_in_all,
                  j.epoch = $5 and j.status = 'running' and j.lease_until > clock_timestamp() as "is_held!"
           from benchmark_shares s join jobs j on j.id = s.job_id
           where s.benchmark_id = $1 and s.level_idx = $2 and s.attempt = $3 and s.share_idx = $4"#,
        key.attempt.benchmark_id.0,
        key.attempt.level_idx,
        key.attempt.attempt,
        key.share_idx,
        key.epoch,
    )
    .map(|row| ShareState {
        status: row.status,
        is_held: row.is_held,
        is_stopped: row.is_stopped,
        begin_at: row.begin_at,
        n_connected_in_all: row.n_connected_in_all.map(i32::unsigned_abs),
    })
    .fetch_optional(conn)
    .await
}

/// Stores a second of a running share; one that is stored already stays as it is. Returns false when the lease of the
/// benchmark is held no more, or the share was given up: nothing was stored.
pub async fn record_second(conn: &mut PgConnection, key: ShareKey, second: &SecondRecord) -> Result<bool> {
    let held = sqlx::query_scalar!(
        r#"with held as (
               select 1 from benchmark_shares s join jobs j on j.id = s.job_id
               where s.benchmark_id = $1 and s.level_idx = $2 and s.attempt = $3 and s.share_idx = $4
                 and s.status = 'running' and j.epoch = $5 and j.status = 'running' and j.lease_until > clock_timestamp()
               for share of s),
           stored as (
               insert into benchmark_seconds (benchmark_id, level_idx, attempt, share_idx, second_idx, started_at, span_ms,
                                              totals, n_connected, latencies, errors, generator_cpu_ms)
               select $1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $12, $13 from held
               on conflict do nothing)
           select count(*) as "n!" from held"#,
        key.attempt.benchmark_id.0,
        key.attempt.level_idx,
        key.attempt.attempt,
        key.share_idx,
        key.epoch,
        second.second_idx,
        second.started_at,
        second.span_ms,
        Json(&second.totals) as _,
        i32::try_from(second.n_connected).unwrap_or(i32::MAX),
        second.latencies,
        Json(&second.errors) as _,
        second.generator_cpu_ms,
    )
    .fetch_one(conn)
    .await?;
    Ok(held == 1)
}

/// Ends a share, with what it came to or with why it could not be made. Returns false when it was given up before.
pub async fn settle(
    conn: &mut PgConnection,
    key: ShareKey,
    status: ShareStatus,
    report: Option<&Value>,
    message: Option<&str>,
) -> Result<bool> {
    let done = sqlx::query!(
        "update benchmark_shares s set status = $6, report = $7, message = $8, route = null
         from jobs j
         where s.benchmark_id = $1 and s.level_idx = $2 and s.attempt = $3 and s.share_idx = $4
           and s.status in ('offered', 'connected', 'running')
           and j.id = s.job_id and j.epoch = $5 and j.status = 'running'",
        key.attempt.benchmark_id.0,
        key.attempt.level_idx,
        key.attempt.attempt,
        key.share_idx,
        key.epoch,
        status as ShareStatus,
        report,
        message,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests;
