//! A job while this process works on it: its lease, renewed in the background, and the word to stop.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

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
    async fn beat(&self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return self.stop_for(StopReason::Shutdown),
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            match self.renew().await {
                Ok(Renewal::Held) => {}
                Ok(Renewal::CancelRequested) => return self.stop_for(StopReason::Requested),
                Ok(Renewal::Lost) => return self.stop_for(StopReason::LeaseLost),
                // The store may come back before the lease lapses; a write that comes too late is fenced off.
                Err(error) => warn!(job.id = %self.lease.job_id, "The lease could not be renewed: {error}"),
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
