//! Takes jobs out of the queue and does them, one at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::house::House;
use crate::benchmark;
use crate::experiment;
use crate::instrument;
use crate::model::job::JobKind;
use crate::store;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::queue;
use crate::store::queue::Claimed;
use crate::target::lease;
use crate::workload;

/// How often the queue is looked at while nothing is in hand.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often lapsed leases are looked for.
const RESCUE_EVERY: u32 = 12;

/// Works until `shutdown`; the job in hand then goes back into the queue.
pub async fn work(house: &House, shutdown: &CancellationToken) {
    let worker = Worker::new(house);
    let mut n_looks = 0_u32;
    while !shutdown.is_cancelled() {
        if n_looks.is_multiple_of(RESCUE_EVERY)
            && let Err(error) = worker.rescue().await
        {
            error!("Interrupted jobs could not be looked for: {error}");
        }
        n_looks = n_looks.wrapping_add(1);
        match worker.claim().await {
            Ok(Some(claimed)) => {
                if worker.run(&claimed, shutdown).await == Parted::Released {
                    // What kept it from going on may need a moment to pass.
                    wait(shutdown).await;
                }
            }
            Ok(None) => wait(shutdown).await,
            Err(error) => {
                error!("The queue could not be read: {error}");
                wait(shutdown).await;
            }
        }
    }
}

/// Does what waits, and returns when nothing does.
#[cfg(test)]
pub async fn work_off(house: &House) {
    let worker = Worker::new(house);
    while let Some(claimed) = worker.claim().await.unwrap() {
        worker.run(&claimed, &CancellationToken::new()).await;
    }
}

async fn wait(shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
}

struct Worker<'a> {
    house: &'a House,
    host: String,
    owner: String,
}

impl<'a> Worker<'a> {
    fn new(house: &'a House) -> Self {
        Self {
            house,
            host: house.sandboxes.machine(),
            owner: format!("{}:{}", lease::this_machine(), std::process::id()),
        }
    }

    async fn rescue(&self) -> anyhow::Result<()> {
        let mut conn = self.house.pool.acquire().await?;
        queue::rescue(&mut conn).await?;
        drop(conn);
        experiment::summaries::catch_up(&self.house.pool).await?;
        instrument::work::catch_up(&self.house.pool).await?;
        Ok(())
    }

    async fn claim(&self) -> crate::store::Result<Option<Claimed>> {
        let home = &self.house.home;
        let mut transaction = self.house.pool.begin().await?;
        let claimed = queue::claim(&mut transaction, home, self.house.reach(), &self.host, &self.owner).await?;
        if claimed.is_some() {
            store::homes::note(&mut transaction, home, &lease::this_machine()).await?;
            transaction.commit().await?;
        }
        Ok(claimed)
    }

    async fn run(&self, claimed: &Claimed, shutdown: &CancellationToken) -> Parted {
        let job = HeldJob::start(self.house.pool.clone(), claimed, shutdown);
        // Boxed: what a job remembers between two steps is too much for the stack of whoever waits for it.
        match claimed.kind {
            JobKind::Restore => Box::pin(self.house.restorer.run(job)).await,
            JobKind::Check => Box::pin(workload::check::run(job, &self.house.sandboxes)).await,
            JobKind::Instrument => Box::pin(instrument::work::run(job, &self.house.sandboxes)).await,
            JobKind::Benchmark => Box::pin(benchmark::work::run(job, &self.house.sandboxes)).await,
            JobKind::Experiment => Box::pin(experiment::work::run(job, &self.house.sandboxes)).await,
        }
    }
}
