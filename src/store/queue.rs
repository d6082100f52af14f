//! Claim, lease, rescue: how one machine works on one job at a time, and how nothing is lost with a dead process.
//!
//! All times are the store's own clock. A lease is renewed by every write of its runner; when it lapses the job goes
//! back into the queue, and the epoch that the next claim draws fences the old runner off.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::JobId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::store::Result;
use crate::store::quotas;

/// Seconds for which a claim or a renewal holds.
pub const LEASE_S: f64 = 20.0;
/// After so many interruptions without anything recorded in between, a job is given up.
pub const MAX_INTERRUPTIONS: i32 = 3;

/// Which restores a process can do, beside those that its data directory has the dumps of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No others.
    OwnDumps,
    /// Those whose dumps are in the depot.
    Depot,
}

/// A job that was just claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: Lease,
    pub kind: JobKind,
    pub owner_id: crate::model::ids::UserId,
}

/// What the store says when a lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    Held,
    /// Somebody asked the job to stop.
    CancelRequested,
    /// The lease lapsed or passed to another runner: stop, write nothing.
    Lost,
}

/// Puts jobs whose lease has lapsed back into the queue, and gives up those that were interrupted too often.
/// Returns how many there were.
///
/// A lease that ends later than any lease can was given before the store's clock was put back, and counts as lapsed.
pub async fn rescue(conn: &mut PgConnection) -> Result<u64> {
    requeue_lapsed(conn, None, "pgassay was silent for too long").await
}

/// As [`rescue`], for the jobs of a data directory that this process has just taken over: their runner is dead,
/// whatever its lease says.
pub async fn rescue_home(conn: &mut PgConnection, home: &str) -> Result<u64> {
    requeue_lapsed(conn, Some(home), "pgassay ended without a word").await
}

async fn requeue_lapsed(conn: &mut PgConnection, home: Option<&str>, reason: &str) -> Result<u64> {
    let done = sqlx::query!(
        "with lapsed as (
             select id, stage from jobs
             where status = 'running'
               and (lease_until not between clock_timestamp() and clock_timestamp() + make_interval(secs => 2 * $4::float8)
                    or lease_home = $1)
             for update),
         requeued as (
             update jobs set host = null, lease_owner = null, lease_home = null, lease_until = null, epoch = epoch + 1,
                    interruptions = interruptions + 1,
                    status = case when cancel_requested then 'cancelled'::job_status
                                  when interruptions + 1 >= $2 then 'failed' else 'queued' end,
                    message = case when cancel_requested then 'Stopped on request.'
                                   when interruptions + 1 >= $2
                                   then format('Given up: interrupted %s times without a result in between.', $2::integer)
                                   else message end,
                    finished_at = case when cancel_requested or interruptions + 1 >= $2 then clock_timestamp() end,
                    stage = 'interrupted'
             where id in (select id from lapsed))
         insert into interruptions (job_id, stage, reason) select id, stage, $3 from lapsed",
        home,
        MAX_INTERRUPTIONS,
        reason,
        LEASE_S,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Claims the next job that the data directory `home` can do for this machine; none when nothing waits or the machine is
/// busy, be it with a share of another's load. A job that needs a registered server waits while another runs there, from
/// whatever machine. A check is quick and goes first.
///
/// Work on a dataset waits until that is restored, and is then done where it was restored. Whoever claims a restore that
/// anybody can do is the one who has the dataset from then on.
///
/// An account with as many running jobs as its quota is passed over. Two machines that claim for it at once see that only in
/// the transaction of the claim: see [`has_too_many`].
pub async fn claim(
    conn: &mut PgConnection,
    home: &str,
    reach: Reach,
    host: &str,
    owner: &str,
) -> Result<Option<Claimed>> {
    let busy = quotas::list_busy(&mut *conn).await?;
    let busy: Vec<i64> = busy.iter().map(|busy| busy.account.0).collect();
    let claimed = sqlx::query!(
        r#"update jobs set status = 'running', host = $2, lease_owner = $3, lease_home = $1, epoch = epoch + 1,
                  home = case when kind = 'restore' then $1 else home end,
                  lease_until = clock_timestamp() + make_interval(secs => $4),
                  started_at = coalesce(started_at, clock_timestamp())
           where id = (
               select id from jobs
               where status = 'queued' and not cancel_requested and owner_id <> all ($6)
                 and coalesce(home = $1, kind <> 'restore' or $5)
                 and not exists (
                     select 1 from jobs busy
                     where busy.status = 'running' and (busy.host = $2 or busy.server_id = jobs.server_id))
                 and not exists (
                     select 1 from benchmark_shares s join jobs j on j.id = s.job_id
                     join workers w on w.id = s.worker_id join workers me on me.machine = w.machine
                     where me.name = $3 and s.status in ('offered', 'connected', 'running')
                       and j.status = 'running' and j.epoch = s.epoch and j.lease_until > clock_timestamp())
                 and not exists (
                     select 1 from datasets d join jobs restore on restore.id = d.job_id
                     where d.id in (select dataset_id from dataset_jobs where job_id = jobs.id)
                       and (restore.status in ('queued', 'running')
                            or restore.status = 'completed' and restore.home is distinct from $1))
               order by kind = 'check' desc, id
               limit 1 for update skip locked)
           returning id as "id: JobId", kind as "kind: JobKind", epoch, owner_id as "owner_id: crate::model::ids::UserId""#,
        home,
        host,
        owner,
        LEASE_S,
        reach == Reach::Depot,
        &busy,
    )
    .fetch_optional(conn)
    .await;
    match claimed {
        Ok(row) => Ok(row.map(|row| Claimed {
            lease: Lease {
                job_id: row.id,
                epoch: row.epoch,
                owner: owner.to_owned(),
            },
            kind: row.kind,
            owner_id: row.owner_id,
        })),
        // Another process was quicker; the unique index on the host or on the server decided.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a claim, which the transaction has just made, leaves its account with more running jobs than its quota: another
/// machine was quicker. The claim is then to be rolled back.
pub async fn has_too_many(conn: &mut PgConnection, claimed: &Claimed) -> Result<bool> {
    quotas::lock(&mut *conn, claimed.owner_id).await?;
    let busy = quotas::list_busy(conn).await?;
    let own = busy.iter().find(|busy| busy.account == claimed.owner_id);
    Ok(own.is_some_and(|busy| busy.n_running > busy.most))
}

/// Renews a lease, as the heartbeat of a job does.
pub async fn renew(conn: &mut PgConnection, lease: &Lease) -> Result<Renewal> {
    let cancel_requested = sqlx::query_scalar!(
        "update jobs set lease_until = clock_timestamp() + make_interval(secs => $4)
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running' and lease_until > clock_timestamp()
         returning cancel_requested",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match cancel_requested {
        None => Renewal::Lost,
        Some(true) => Renewal::CancelRequested,
        Some(false) => Renewal::Held,
    })
}

/// Notes where a running job stands. Returns false when the lease is lost.
pub async fn set_progress(conn: &mut PgConnection, lease: &Lease, stage: &str, progress: &Progress) -> Result<bool> {
    let done = sqlx::query!(
        "update jobs set stage = $4, progress = $5, lease_until = clock_timestamp() + make_interval(secs => $6)
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        stage,
        Json(progress) as _,
        LEASE_S,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a job for good. Returns false when the lease is lost, and then nothing was changed.
pub async fn settle(conn: &mut PgConnection, lease: &Lease, status: JobStatus, message: Option<&str>) -> Result<bool> {
    let done = sqlx::query!(
        "update jobs set status = $4, message = $5, finished_at = clock_timestamp(), stage = 'done',
                host = null, lease_owner = null, lease_home = null, lease_until = null
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        status as JobStatus,
        message,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a job back into the queue, unless it was asked to stop meanwhile. Returns false when the lease is lost.
pub async fn release(conn: &mut PgConnection, lease: &Lease, stage: &str, why: &Interruption) -> Result<bool> {
    let done = sqlx::query!(
        "with held as (
             select id, stage from jobs
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
             for update),
         noted as (
             insert into interruptions (job_id, stage, reason) select id, stage, $6 from held where $6::text is not null)
         update jobs set status = case when cancel_requested then 'cancelled'::job_status else 'queued' end,
                message = case when cancel_requested then 'Stopped on request.' else message end,
                finished_at = case when cancel_requested then clock_timestamp() end,
                stage = $4, interruptions = interruptions + $5,
                host = null, lease_owner = null, lease_home = null, lease_until = null
         where id in (select id from held)",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        stage,
        i32::from(matches!(why, Interruption::Lost(_))),
        why.in_words(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why a runner puts its job back into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// This process is told to end.
    Shutdown,
    /// Another pgassay, which worked on the job before, still holds what it needs.
    Busy,
    /// A server was lost, in words. It counts: see [`MAX_INTERRUPTIONS`].
    Lost(String),
}

impl Interruption {
    /// None when nothing was interrupted.
    fn in_words(&self) -> Option<&str> {
        match self {
            Self::Shutdown => Some("pgassay was told to stop"),
            Self::Busy => None,
            Self::Lost(words) => Some(words),
        }
    }
}

/// How often a job was interrupted since something was last recorded for it.
pub async fn interruptions(conn: &mut PgConnection, lease: &Lease) -> Result<i32> {
    sqlx::query_scalar!("select interruptions from jobs where id = $1", lease.job_id.0)
        .fetch_one(conn)
        .await
}

#[cfg(test)]
mod tests;
