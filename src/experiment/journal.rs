//! The journal of a real run: the store, under the runner's lease.

use std::time::Duration;
use std::time::Instant;

use sqlx::PgPool;
use tracing::warn;

use crate::experiment::runner::Journal;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::trial::Outcome;
use crate::model::trial::Trial;
use crate::store;
use crate::store::queue::LEASE_S;
use crate::store::trials;

/// Between attempts to reach a store that is away.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Writes outcomes into the store and renews the lease with each.
pub struct StoreJournal {
    pub pool: PgPool,
    pub lease: Lease,
    pub experiment_id: ExperimentId,
    pub segment_no: i32,
}

impl StoreJournal {
    async fn attempt(&self, outcomes: &[(Trial, Outcome)]) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        trials::record(&mut conn, &self.lease, self.experiment_id, self.segment_no, outcomes).await
    }
}

impl Journal for StoreJournal {
    /// Waits for a store that is away as long as the lease can hold: what was measured meanwhile is not lost.
    async fn record(&mut self, outcomes: &[(Trial, Outcome)]) -> anyhow::Result<bool> {
        let began = Instant::now();
        let mut is_first = true;
        loop {
            match self.attempt(outcomes).await {
                Ok(is_stored) => return Ok(is_stored),
                // The attempt before was stored, only its answer was lost: nobody else writes under this lease.
                Err(error) if !is_first && store::is_duplicate(&error) => return Ok(true),
                Err(error) if store::is_away(&error) && began.elapsed().as_secs_f64() < LEASE_S => {
                    warn!("The store is away, and outcomes wait for it: {error}");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(error.into()),
            }
            is_first = false;
        }
    }
}
