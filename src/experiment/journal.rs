//! The journal of a real run: the store, under the runner's lease.

use sqlx::PgPool;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::experiment::runner::Journal;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::look::Look;
use crate::model::trial::Outcome;
use crate::model::trial::Trial;
use crate::store;
use crate::store::held::Patience;
use crate::store::looks;
use crate::store::segments;
use crate::store::trials;

/// Writes outcomes into the store and renews the lease with each. What was measured while the store was away is not
/// lost: it waits for it.
pub struct StoreJournal {
    pub pool: PgPool,
    pub lease: Lease,
    pub experiment_id: ExperimentId,
    pub segment_no: i32,
    /// Kept between outcomes: the pool asks the server whether a connection lives each time it hands one out.
    pub conn: Option<PoolConnection<Postgres>>,
}

impl StoreJournal {
    async fn try_record(&mut self, outcomes: &[(Trial, Outcome)]) -> store::Result<bool> {
        let mut conn = self.take_conn().await?;
        let is_stored = trials::record(&mut conn, &self.lease, self.experiment_id, self.segment_no, outcomes).await?;
        self.conn = Some(conn);
        Ok(is_stored)
    }

    async fn try_note(&mut self, look: &Look) -> store::Result<bool> {
        let mut conn = self.take_conn().await?;
        let is_stored = looks::insert(&mut conn, &self.lease, self.experiment_id, look).await?;
        self.conn = Some(conn);
        Ok(is_stored)
    }

    /// Taken out, so that one that fails is not used again.
    async fn take_conn(&mut self) -> store::Result<PoolConnection<Postgres>> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.pool.acquire().await,
        }
    }

    async fn try_begin_segment(&self, first_trial: usize, reason: &str) -> store::Result<Option<i32>> {
        let mut conn = self.pool.acquire().await?;
        segments::insert(&mut conn, &self.lease, self.experiment_id, first_trial, reason).await
    }
}

impl Journal for StoreJournal {
    async fn record(&mut self, outcomes: &[(Trial, Outcome)]) -> anyhow::Result<bool> {
        let patience = Patience::begin();
        let mut is_first = true;
        loop {
            match self.try_record(outcomes).await {
                Ok(is_stored) => return Ok(is_stored),
                // The attempt before was stored, only its answer was lost: nobody else writes under this lease.
                Err(error) if !is_first && store::is_duplicate(&error) => return Ok(true),
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => return Err(error.into()),
            }
            is_first = false;
        }
    }

    async fn note(&mut self, look: &Look) -> anyhow::Result<bool> {
        let patience = Patience::begin();
        loop {
            match self.try_note(look).await {
                Ok(is_stored) => return Ok(is_stored),
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn begin_segment(&mut self, first_trial: usize, reason: &str) -> anyhow::Result<bool> {
        let patience = Patience::begin();
        loop {
            match self.try_begin_segment(first_trial, reason).await {
                Ok(Some(segment_no)) => {
                    self.segment_no = segment_no;
                    return Ok(true);
                }
                Ok(None) => return Ok(false),
                // The attempt before, whose answer was lost, was still being stored; the next finds what it has stored.
                Err(error) if store::is_duplicate(&error) => {}
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
