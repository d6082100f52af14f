//! A job while this process works on it: its lease, renewed in the background, and the word to stop.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tracing::error;
use tracing::warn;

use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::store;
use crate::store::Result;
use crate::store::queue;
use crate::store::queue::Claimed;
use crate::store::queue::Interruption;
use crate::store::queue::Renewal;

/// How often the lease is renewed, and so how soon a request to stop from another process is heard.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long a renewal may take before it is tried again.
const RENEWAL_LIMIT: Duration = Duration::from_secs(5);

/// Between attempts to reach a store that is away.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How long what a runner has to write waits for a store that is away: as long as its lease can hold.
pub struct Patience {
    ends: Instant,
}

impl Patience {
    /// From now on.
    pub fn begin() -> Self {
        Self {
            ends: Instant::now() + Duration::from_secs_f64(queue::LEASE_S),
        }
    }

    /// True, after a pause, when what failed with `error` is worth another attempt. A write may have been done before.
    pub async fn waits_for(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        if !says_away(error) || Instant::now() > self.ends {
            return false;
        }
        warn!("The store is away, and what has to be written waits for it: {error}");
        tokio::time::sleep(RETRY_AFTER).await;
        true
    }
}

/// What `attempt` comes to. While the store is away it is made again, for as long as a lease can hold; an earlier attempt
/// may have been done all the same.
pub async fn patiently<'a, T>(attempt: impl Fn() -> BoxFuture<'a, anyhow::Result<T>>) -> anyhow::Result<T> {
    let patience = Patience::begin();
    loop {
        match attempt().await {
            Err(error) if patience.waits_for(error.as_ref()).await => {}
            answer => return answer,
        }
    }
}

/// Whether an error or one of its causes is that the store is away.
fn says_away(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_away = error.downcast_ref().is_some_and(store::is_away);
    is_away || error.source().is_some_and(says_away)
}

/// How a runner parts from a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// It has ended, or somebody else works on it.
    Over,
    /// It waits for another attempt, by whoever comes next.
    Released,
}

/// Why a job should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// This process is ending; the job goes back into the queue.
    Shutdown,
    /// Somebody asked for it.
    Requested,
    /// The lease lapsed or passed to another: write nothing more.
    LeaseLost,
}

/// A claimed job. Dropping it ends the heartbeat; the lease then lapses unless the job was settled or released.
pub struct HeldJob {
    pub pool: PgPool,
    pub lease: Lease,
    pub viewer: Viewer,
    stop: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
    _heartbeat: DropGuard,
}

impl HeldJob {
    /// Begins the heartbeat. `shutdown` is this process's word to end.
    pub fn start(pool: PgPool, claimed: &Claimed, shutdown: &CancellationToken) -> Self {
        let stop = CancellationToken::new();
        let reason = Arc::new(OnceLock::new());
        let ended = CancellationToken::new();
        let heartbeat = Heartbeat {
            pool: pool.clone(),
            lease: claimed.lease.clone(),
            stop: stop.clone(),
            reason: Arc::clone(&reason),
        };
        tokio::spawn({
            let (ended, shutdown) = (ended.clone(), shutdown.clone());
            async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = heartbeat.beat(&shutdown) => {}
                }
            }
        });
        Self {
            pool,
            lease: claimed.lease.clone(),
            viewer: Viewer::owner(claimed.owner_id),
            stop,
            reason,
            _heartbeat: ended.drop_guard(),
        }
    }

    /// Cancelled when the job should stop; [`Self::stop_reason`] then says why.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// None as long as the job may go on.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// A connection to the store; waits for a store that is away.
    pub async fn conn(&self) -> Result<PoolConnection<Postgres>> {
        let patience = Patience::begin();
        loop {
            match self.pool.acquire().await {
                Err(error) if patience.waits_for(&error).await => {}
                acquired => return acquired,
            }
        }
    }

    /// Notes where the job stands, for pages.
    pub async fn set_progress(&self, stage: &str, progress: &Progress) -> Result<()> {
        let patience = Patience::begin();
        loop {
            let mut conn = self.conn().await?;
            match queue::set_progress(&mut conn, &self.lease, stage, progress).await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    self.lose();
                    return Ok(());
                }
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Parts from a job that did not come to its end, as `conclude` records it. Where even that fails the job is left to
    /// whoever comes next.
    pub async fn part<'a>(&self, conclude: impl Fn() -> BoxFuture<'a, anyhow::Result<Parted>>) -> Parted {
        match patiently(conclude).await {
            Ok(parted) => parted,
            Err(error) => {
                let id = self.lease.job_id;
                error!(job.id = %id, "The end of job {id} could not be recorded: {error:#}");
                Parted::Released
            }
        }
    }

    /// Ends the job for good, where nothing else has to happen in the same transaction.
    pub async fn settle(&self, status: JobStatus, message: Option<&str>) -> Result<Parted> {
        let mut conn = self.conn().await?;
        queue::settle(&mut conn, &self.lease, status, message).await?;
        Ok(Parted::Over)
    }

    /// Puts the job back into the queue.
    pub async fn release(&self, stage: &str, why: &Interruption) -> Result<Parted> {
        let mut conn = self.conn().await?;
        let is_released = queue::release(&mut conn, &self.lease, stage, why).await?;
        Ok(if is_released { Parted::Released } else { Parted::Over })
    }

    /// Whether one more interruption would be one too many.
    pub async fn is_hopeless(&self) -> Result<bool> {
        let mut conn = self.conn().await?;
        Ok(queue::interruptions(&mut conn, &self.lease).await? + 1 >= queue::MAX_INTERRUPTIONS)
    }

    /// The lease has lapsed or passed to another, as a write under it has told.
    pub fn lose(&self) {
        // The first reason counts.
        let _ = self.reason.set(StopReason::LeaseLost);
        self.stop.cancel();
    }
}

struct Heartbeat {
    pool: PgPool,
    lease: Lease,
    stop: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Heartbeat {
    /// Renews until the job is dropped, also while it winds down; only a lost lease ends it.
    async fn beat(&self, shutdown: &CancellationToken) {
        let mut renewed_at = Instant::now();
        loop {
            let is_stopping = self.stop.is_cancelled();
            tokio::select! {
                () = shutdown.cancelled(), if !is_stopping => self.stop_for(StopReason::Shutdown),
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let renewal = tokio::select! {
                renewal = tokio::time::timeout(RENEWAL_LIMIT, self.renew()) => renewal,
                () = shutdown.cancelled(), if !is_stopping && !self.stop.is_cancelled() => continue,
            };
            match renewal {
                Ok(Ok(Renewal::Held)) => renewed_at = Instant::now(),
                Ok(Ok(Renewal::CancelRequested)) => {
                    renewed_at = Instant::now();
                    self.stop_for(StopReason::Requested);
                }
                Ok(Ok(Renewal::Lost)) => return self.stop_for(StopReason::LeaseLost),
                // The store may come back before the lease lapses; a write that comes too late is fenced off.
                Ok(Err(error)) => warn!(job.id = %self.lease.job_id, "The lease could not be renewed: {error}"),
                Err(_) => warn!(job.id = %self.lease.job_id, "The store does not answer; the lease is not renewed"),
            }
            if renewed_at.elapsed().as_secs_f64() > queue::LEASE_S {
                return self.stop_for(StopReason::LeaseLost);
            }
        }
    }

    async fn renew(&self) -> Result<Renewal> {
        let mut conn = self.pool.acquire().await?;
        queue::renew(&mut conn, &self.lease).await
    }

    fn stop_for(&self, reason: StopReason) {
        // The first reason counts.
        let _ = self.reason.set(reason);
        self.stop.cancel();
    }
}
