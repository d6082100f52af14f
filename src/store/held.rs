//! A job while this process works on it: its lease, renewed in the background, and the word to stop.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tracing::warn;

use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::queue;
use crate::store::queue::Claimed;
use crate::store::queue::Renewal;

/// How often the lease is renewed, and so how soon a request to stop from another process is heard.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long a renewal may take before it is tried again.
const RENEWAL_LIMIT: Duration = Duration::from_secs(5);

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
            viewer: Viewer {
                user_id: claimed.owner_id,
            },
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

    /// Notes where the job stands, for pages.
    pub async fn set_progress(&self, stage: &str, progress: &Progress) -> Result<()> {
        let mut conn = self.pool.acquire().await?;
        if !queue::set_progress(&mut conn, &self.lease, stage, progress).await? {
            self.lose();
        }
        Ok(())
    }

    /// Ends the job for good, where nothing else has to happen in the same transaction.
    pub async fn settle(&self, status: JobStatus, message: Option<&str>) -> Result<()> {
        let mut conn = self.pool.acquire().await?;
        queue::settle(&mut conn, &self.lease, status, message).await?;
        Ok(())
    }

    fn lose(&self) {
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
