//! The journal of a real run: the store, under the runner's lease.

use sqlx::PgPool;

use crate::experiment::runner::Journal;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::trial::Outcome;
use crate::model::trial::Trial;
use crate::store::trials;

/// Writes outcomes into the store and renews the lease with each.
pub struct StoreJournal {
    pub pool: PgPool,
    pub lease: Lease,
    pub experiment_id: ExperimentId,
    pub segment_no: i32,
}

impl Journal for StoreJournal {
    async fn record(&mut self, outcomes: &[(Trial, Outcome)]) -> anyhow::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        Ok(trials::record(&mut conn, &self.lease, self.experiment_id, self.segment_no, outcomes).await?)
    }
}
