//! Writes down what levels come to, under the runner's lease. What was measured while the store was away is not lost: it
//! waits for it, for as long as the lease can hold, and nothing is written twice.

use chrono::DateTime;
use chrono::Utc;
use futures_util::FutureExt as _;
use sqlx::Connection as _;
use sqlx::PgPool;

use crate::model::benchmark::Level;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::StatementRecord;
use crate::model::ids::BenchmarkId;
use crate::model::job::Lease;
use crate::store;
use crate::store::held;
use crate::store::held::Patience;
use crate::store::levels;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;

/// The journal of one benchmark. Whatever it refuses to write, because the lease is lost, stays unwritten.
#[derive(Clone, Copy)]
pub struct Journal<'a> {
    pub pool: &'a PgPool,
    pub lease: &'a Lease,
    pub benchmark_id: BenchmarkId,
}

impl Journal<'_> {
    /// Begins another attempt at a level: its number, and the moment by the store's clock. None when the lease is lost.
    pub async fn begin(&self, level: Level) -> anyhow::Result<Option<(AttemptKey, DateTime<Utc>)>> {
        held::patiently(|| async move { Ok(self.try_begin(level).await?) }.boxed()).await
    }

    async fn try_begin(&self, level: Level) -> store::Result<Option<(AttemptKey, DateTime<Utc>)>> {
        let mut conn = self.pool.acquire().await?;
        let Some(attempt) = levels::begin(&mut conn, self.lease, self.benchmark_id, level).await? else {
            return Ok(None);
        };
        let key = AttemptKey {
            benchmark_id: self.benchmark_id,
            level_idx: level.level_idx,
            attempt,
        };
        Ok(Some((key, store::now(&mut conn).await?)))
    }

    /// Stores a second. False when the lease is lost.
    pub async fn second(&self, second: &SecondRecord) -> store::Result<bool> {
        let patience = Patience::begin();
        let mut is_first = true;
        loop {
            match self.try_second(second).await {
                // The attempt before was stored, only its answer was lost: nobody else writes under this lease.
                Err(error) if !is_first && store::is_duplicate(&error) => return Ok(true),
                Err(error) if patience.waits_for(&error).await => is_first = false,
                stored => return stored,
            }
        }
    }

    async fn try_second(&self, second: &SecondRecord) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        levels::record_second(&mut conn, self.lease, self.benchmark_id, second).await
    }

    /// Ends an attempt, with what its statements came to. False when the lease is lost.
    pub async fn finish(
        &self,
        key: AttemptKey,
        end: &LevelEnd<'_>,
        statements: &[StatementRecord],
    ) -> store::Result<bool> {
        let patience = Patience::begin();
        let mut is_first = true;
        loop {
            match self.try_finish(key, end, statements).await {
                Ok(false) if !is_first => return self.is_over(key).await,
                Err(error) if patience.waits_for(&error).await => is_first = false,
                finished => return finished,
            }
        }
    }

    async fn try_finish(
        &self,
        key: AttemptKey,
        end: &LevelEnd<'_>,
        statements: &[StatementRecord],
    ) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        let mut transaction = conn.begin().await?;
        let is_stored = levels::finish(&mut transaction, self.lease, key, end, statements).await?;
        transaction.commit().await?;
        Ok(is_stored)
    }

    /// Whether an attempt of ours has its end: the store had written it, and only its answer was lost.
    async fn is_over(&self, key: AttemptKey) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        levels::is_over(&mut conn, self.lease, key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::benchmark::LevelNotes;
    use crate::model::benchmark::LevelStatus;
    use crate::testing::benchmarks::form;
    use crate::testing::world::World;

    #[tokio::test]
    async fn what_was_written_while_its_answer_was_lost_is_not_written_again() {
        let world = World::new().await;
        let id = world.benchmark(&form("r")).await;
        let lease = world.claim("a").await.unwrap().lease;
        let journal = Journal {
            pool: &world.pool,
            lease: &lease,
            benchmark_id: id,
        };
        let level = Level {
            level_idx: 0,
            n_clients: 2,
            source_idx: None,
        };
        let (key, _) = journal.begin(level).await.unwrap().unwrap();
        let (again, _) = journal.begin(level).await.unwrap().unwrap();
        assert_eq!((key.attempt, again.attempt), (1, 1), "it runs already");
        assert!(!journal.is_over(key).await.unwrap());

        let notes = LevelNotes::default();
        let end = LevelEnd::unmeasured(LevelStatus::Interrupted, &notes);
        assert!(journal.finish(key, &end, &[]).await.unwrap());
        assert!(!journal.finish(key, &end, &[]).await.unwrap(), "only once");
        assert!(journal.is_over(key).await.unwrap());
        let stale = Lease {
            epoch: lease.epoch - 1,
            ..lease.clone()
        };
        let stale = Journal {
            lease: &stale,
            ..journal
        };
        assert!(!stale.is_over(key).await.unwrap(), "it was not theirs");
        assert!(stale.begin(level).await.unwrap().is_none());
        let (next, _) = journal.begin(level).await.unwrap().unwrap();
        assert_eq!(next.attempt, 2, "what is over is begun anew");
    }
}
