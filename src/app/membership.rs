//! Says to the others that this process takes work: when it begins, every few seconds, and when it ends.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::house::House;
use crate::model::ids::WorkerId;
use crate::model::worker::HEARTBEAT_S;
use crate::model::worker::NewWorker;
use crate::store;
use crate::store::clock::StoreClock;
use crate::store::homes;
use crate::store::workers;
use crate::target::lease;

/// How long a sign of life may take before the next one is tried.
const BEAT_LIMIT: Duration = Duration::from_secs(5);

/// Before a store that is away is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A process among the workers of a store.
pub struct Membership {
    pool: PgPool,
    pub id: WorkerId,
    own: NewWorker,
}

/// The name by which this process owns leases.
pub fn name() -> String {
    format!("{}:{}", lease::this_machine(), std::process::id())
}

impl Membership {
    /// Joins; waits for a store that is away. None when `shutdown` comes first.
    pub async fn join(house: &House, shutdown: &CancellationToken) -> Option<Self> {
        loop {
            match Self::try_join(house).await {
                Ok(membership) => return Some(membership),
                Err(error) => warn!("This worker could not be registered: {error}"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    async fn try_join(house: &House) -> store::Result<Self> {
        let mut conn = house.pool.acquire().await?;
        let clock = StoreClock::read(&mut conn).await?;
        let own = NewWorker {
            name: name(),
            machine: lease::this_machine(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            n_processors: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            can_run_sandboxes: house.sandboxes.can_run(),
            home: house.home.clone(),
            clock: clock.offset(),
        };
        let id = workers::register(&mut conn, &own).await?;
        Ok(Self {
            pool: house.pool.clone(),
            id,
            own,
        })
    }

    /// Gives signs of life until `ended`, and then takes leave.
    pub async fn keep(mut self, ended: CancellationToken) {
        loop {
            tokio::select! {
                () = ended.cancelled() => break,
                () = tokio::time::sleep(Duration::from_secs(HEARTBEAT_S)) => {}
            }
            match tokio::time::timeout(BEAT_LIMIT, self.beat()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!("No sign of life could be given: {error}"),
                Err(_) => warn!("The store does not answer; no sign of life could be given"),
            }
        }
        // Where it cannot be said, its silence says so.
        let _ = tokio::time::timeout(BEAT_LIMIT, self.leave()).await;
    }

    async fn beat(&mut self) -> store::Result<()> {
        let mut conn = self.pool.acquire().await?;
        self.own.clock = StoreClock::read(&mut conn).await?.offset();
        workers::beat(&mut conn, self.id, &self.own).await?;
        homes::note(&mut conn, &self.own.home, &self.own.machine).await
    }

    async fn leave(&self) -> store::Result<()> {
        workers::leave(&mut *self.pool.acquire().await?, self.id).await
    }
}
