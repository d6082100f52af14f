//! What a worker does: takes jobs out of the queue, or shares of levels that other workers measure, one thing at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::house::House;
use crate::app::membership;
use crate::app::membership::Membership;
use crate::benchmark;
use crate::benchmark::share;
use crate::experiment;
use crate::instrument;
use crate::model::ids::WorkerId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::server::Servers;
use crate::store;
use crate::store::held;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::queue;
use crate::store::queue::Claimed;
use crate::store::shares;
use crate::target::lease;
use crate::workload;

/// How often the queue is looked at while nothing is in hand.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often it is tried to drop what is left on registered servers.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How often lapsed leases are looked for.
const RESCUE_EVERY: u32 = 12;

/// Works until `shutdown`; the job in hand then goes back into the queue, and a share ends. What a killed process has left on
/// registered servers is dropped meanwhile.
pub async fn work(house: &House, shutdown: &CancellationToken) {
    let sweeping = tokio::spawn(sweep(house.servers.clone(), shutdown.clone()));
    let worker = Worker::new(house);
    let Some(membership) = Membership::join(house, shutdown).await else {
        return;
    };
    let (id, ended) = (membership.id, CancellationToken::new());
    let membership = tokio::spawn(membership.keep(ended.clone()));
    let helper = Helper {
        id,
        pool: house.pool.clone(),
        servers: house.servers.clone(),
        hands: Arc::clone(&worker.hands),
        shutdown: shutdown.clone(),
    };
    let helping = tokio::spawn(helper.take_shares());
    if house.sandboxes.can_run() {
        worker.take_jobs(shutdown).await;
    }
    if helping.await.is_err() {
        error!("Taking shares has ended by a fault");
    }
    ended.cancel();
    // It takes leave, or its silence does; and whoever comes next sweeps.
    let _ = tokio::join!(membership, sweeping);
}

/// Drops what was left on registered servers: by killed processes, or because a server was away.
async fn sweep(servers: Servers, shutdown: CancellationToken) {
    let sweeping = async {
        loop {
            if let Err(error) = servers.drop_left_schemas(None, None).await {
                error!("Schemas that were left on registered servers could not be looked for: {error}");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    };
    shutdown.run_until_cancelled(sweeping).await;
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
    /// Held while something is measured, so that nothing else is. Other processes of this machine see it in the store.
    hands: Arc<Mutex<()>>,
}

impl<'a> Worker<'a> {
    fn new(house: &'a House) -> Self {
        Self {
            house,
            host: house.sandboxes.machine(),
            owner: membership::name(),
            hands: Arc::default(),
        }
    }

    async fn take_jobs(&self, shutdown: &CancellationToken) {
        let mut n_looks = 0_u32;
        while !shutdown.is_cancelled() {
            if n_looks.is_multiple_of(RESCUE_EVERY)
                && let Err(error) = self.rescue().await
            {
                error!("Interrupted jobs could not be looked for: {error}");
            }
            n_looks = n_looks.wrapping_add(1);
            let has_worked = {
                let _hands = self.hands.lock().await;
                self.take_job(shutdown).await
            };
            if !has_worked {
                wait(shutdown).await;
            }
        }
    }

    /// True when there was a job, and another may follow at once.
    async fn take_job(&self, shutdown: &CancellationToken) -> bool {
        match self.claim().await {
            // What kept a released one from going on may need a moment to pass.
            Ok(Some(claimed)) => self.run(&claimed, shutdown).await != Parted::Released,
            Ok(None) => false,
            Err(error) => {
                error!("The queue could not be read: {error}");
                false
            }
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

    async fn claim(&self) -> store::Result<Option<Claimed>> {
        let home = &self.house.home;
        let mut transaction = self.house.pool.begin().await?;
        let claimed = queue::claim(&mut transaction, home, self.house.reach(), &self.host, &self.owner).await?;
        if let Some(claimed) = &claimed {
            if queue::has_too_many(&mut transaction, claimed).await? {
                return Ok(None);
            }
            store::homes::note(&mut transaction, home, &lease::this_machine()).await?;
            transaction.commit().await?;
        }
        Ok(claimed)
    }

    async fn run(&self, claimed: &Claimed, shutdown: &CancellationToken) -> Parted {
        let house = self.house;
        let job = HeldJob::start(house.pool.clone(), claimed, shutdown);
        let running: BoxFuture<'_, Parted> = match claimed.kind {
            JobKind::Restore => Box::pin(house.restorer.run(job)),
            JobKind::Check => Box::pin(workload::check::run(job, &house.sandboxes)),
            JobKind::Instrument => Box::pin(instrument::work::run(job, &house.sandboxes)),
            JobKind::Benchmark => Box::pin(benchmark::work::run(job, &house.sandboxes, &house.servers)),
            JobKind::Experiment => Box::pin(experiment::work::run(job, &house.sandboxes)),
        };
        survive(&house.pool, &claimed.lease, running).await
    }
}

/// What a job comes to. A panic in it is its own end, and that of nothing else that is done here.
async fn survive(pool: &PgPool, lease: &Lease, running: impl Future<Output = Parted>) -> Parted {
    let panic = match AssertUnwindSafe(running).catch_unwind().await {
        Ok(parted) => return parted,
        Err(panic) => panic,
    };
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    let id = lease.job_id;
    error!(job.id = %id, "Job {id} panicked: {said}");
    let message = format!("A fault of pgassay ended this. The log tells more of job {id}.");
    let settling = held::patiently(|| {
        async {
            let mut conn = pool.acquire().await?;
            Ok(queue::settle(&mut conn, lease, JobStatus::Failed, Some(&message)).await?)
        }
        .boxed()
    });
    if let Err(error) = settling.await {
        // Its lease lapses, and whoever comes next tries once more.
        error!(job.id = %id, "The end of job {id} could not be recorded: {error:#}");
    }
    Parted::Over
}

/// Makes shares of levels that other workers measure.
struct Helper {
    id: WorkerId,
    pool: PgPool,
    servers: Servers,
    hands: Arc<Mutex<()>>,
    shutdown: CancellationToken,
}

impl Helper {
    async fn take_shares(self) {
        while !self.shutdown.is_cancelled() {
            // With a job in hand nobody asks for more.
            if let Ok(_hands) = self.hands.try_lock()
                && let Err(error) = self.take_share().await
            {
                error!("It could not be seen whether a share is offered: {error}");
            }
            wait(&self.shutdown).await;
        }
    }

    async fn take_share(&self) -> store::Result<()> {
        let mut conn = self.pool.acquire().await?;
        let offer = shares::next_offer(&mut conn, self.id).await?;
        drop(conn);
        if let Some(offer) = offer {
            Box::pin(share::run(&self.pool, &self.servers, &offer, &self.shutdown)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench::Bench;

    #[tokio::test]
    async fn a_job_that_panics_has_failed_and_the_next_one_is_done() {
        let bench = Bench::open().await;
        let id = bench.upload(b"create table t (a integer);").await;
        let worker = Worker::new(&bench.house);
        let claimed = worker.claim().await.unwrap().unwrap();
        let panics = async { panic!("on {}", "purpose") };
        assert_eq!(survive(&bench.house.pool, &claimed.lease, panics).await, Parted::Over);
        let job = bench.dataset(id).await.job;
        assert_eq!(job.status, JobStatus::Failed);
        assert_eq!(
            job.message.unwrap(),
            format!("A fault of pgassay ended this. The log tells more of job {}.", job.id)
        );
        bench.restored("create table t (a integer);").await;
    }
}
