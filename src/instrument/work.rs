//! Does the job of one run of an instrument, from the claim to its answer.

use anyhow::Context as _;
use futures_util::FutureExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::PgPool;
use tracing::error;
use tracing::info;

use crate::instrument::bisect;
use crate::instrument::budget;
use crate::instrument::look::Look;
use crate::instrument::lottery;
use crate::instrument::part;
use crate::instrument::regret;
use crate::instrument::stand::Stand;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::instrument::Task;
use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::model::snapshot::Snapshot;
use crate::model::user::Viewer;
use crate::store::datasets;
use crate::store::experiments;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::instruments;
use crate::store::queue::MAX_INTERRUPTIONS;
use crate::store::sources;
use crate::target::lease::Sandboxes;
use crate::target::trouble::Trouble;
use crate::target::trouble::Words;
use crate::target::trouble::conclude;

/// Does the run of a claimed job until it is settled, put back into the queue, or taken over.
pub async fn run(job: HeldJob, sandboxes: &Sandboxes) -> Parted {
    match Box::pin(attempt(&job, sandboxes)).await {
        Ok(parted) => parted,
        Err(trouble) => {
            let settle = async |status, message: String| {
                note_part(&job).await?;
                Ok(job.settle(status, Some(&message)).await?)
            };
            job.part(|| conclude(&job, &trouble, &WORDS, settle).boxed()).await
        }
    }
}

/// Notes what a run that ends before its time has found out by then.
async fn note_part(job: &HeldJob) -> anyhow::Result<()> {
    let mut conn = job.conn().await?;
    let instrument = instruments::get_by_job(&mut conn, &job.lease)
        .await?
        .context("the job's instrument")?;
    if let Some((findings, headline)) = part_of(&mut conn, job.viewer, &instrument).await? {
        instruments::set_result(&mut conn, &job.lease, instrument.id, &findings, Some(&headline)).await?;
    }
    Ok(())
}

async fn part_of(
    conn: &mut PgConnection,
    viewer: Viewer,
    instrument: &Instrument,
) -> anyhow::Result<Option<(Findings, String)>> {
    part::of(instrument, instruments::list_steps(conn, viewer, instrument.id).await?)
}

/// Notes the same of runs that were ended while they waited to go on, or while their runner was dead. Returns how many
/// there were.
pub async fn catch_up(pool: &PgPool) -> anyhow::Result<usize> {
    let mut conn = pool.acquire().await?;
    let left = instruments::list_unsaid(&mut conn).await?;
    for (id, viewer) in &left {
        if let Some(instrument) = instruments::get(&mut conn, *viewer, *id).await?
            && let Some((findings, headline)) = part_of(&mut conn, *viewer, &instrument).await?
        {
            instruments::set_part(&mut conn, *id, &findings, &headline).await?;
        }
    }
    Ok(left.len())
}

/// What a run says when it does not come to its end.
const WORDS: Words = Words {
    waiting: "waiting to go on",
    stopped: "Stopped on request. The steps so far are kept.",
    given_up: |lost| {
        format!("Given up after {MAX_INTERRUPTIONS} interruptions without a result in between. The last: {lost}.")
    },
};

async fn attempt(job: &HeldJob, sandboxes: &Sandboxes) -> Result<Parted, Trouble> {
    let mut conn = job.conn().await?;
    let instrument = instruments::get_by_job(&mut conn, &job.lease)
        .await?
        .context("the job's instrument")?;
    let objects = match instrument.experiment_id {
        Some(id) => {
            let experiment = experiments::get(&mut conn, job.viewer, id).await?;
            experiment.ok_or_else(|| {
                Trouble::Sentence("The experiment of this run is gone, or is no longer shared with you.".to_owned())
            })?;
            sources::list_objects(&mut conn, id).await?
        }
        None => Vec::new(),
    };
    let gone = || Trouble::Sentence("The dataset of this run is gone, or is no longer shared with you.".to_owned());
    let dataset_id = instrument.dataset_id.ok_or_else(gone)?;
    let dataset = datasets::get(&mut conn, job.viewer, dataset_id).await?;
    dataset.ok_or_else(gone)?;
    drop(conn);
    if !sandboxes.is_there(dataset_id).await? {
        return Err(Trouble::Sentence(sandboxes.what_is_gone(&instrument.dataset_name)));
    }
    job.set_progress("starting its server", &Progress::default()).await?;
    let sandbox = sandboxes.start(dataset_id).await?;
    job.set_progress("cloning the dataset", &Progress::default()).await?;
    let mut stand = Stand::open(sandbox, instrument.id, &instrument.spec, &objects).await?;
    let notebook = Notebook {
        job,
        instrument: &instrument,
    };
    let answer = match &instrument.spec.task {
        Task::Bisect(task) => bisect::run(&notebook, &mut stand, task).await,
        Task::Lottery(task) => lottery::run(&notebook, &mut stand, task).await,
        Task::Budget(task) => budget::run(&notebook, &mut stand, task).await,
        Task::Regret(task) => regret::run(&notebook, &mut stand, task).await,
    };
    let closed = stand.close().await;
    let (findings, headline) = answer?;
    if let Err(error) = closed {
        // The answer is known; a clone that is left is dropped when its dataset is used next.
        error!(instrument.id = %instrument.id, "The clone of instrument {} could not be dropped: {error:#}", instrument.id);
    }
    notebook.conclude(&findings, &headline).await?;
    let parted = job.settle(JobStatus::Completed, None).await?;
    info!(instrument.id = %instrument.id, "Instrument {} is finished", instrument.id);
    Ok(parted)
}

/// Where a run writes down what it finds out, before it goes on.
pub struct Notebook<'a> {
    pub job: &'a HeldJob,
    pub instrument: &'a Instrument,
}

impl Notebook<'_> {
    /// The steps of the run so far, also of those before an interruption.
    pub async fn steps<T: DeserializeOwned>(&self) -> Result<Vec<T>, Trouble> {
        let mut conn = self.job.conn().await?;
        let steps = instruments::list_steps(&mut conn, self.job.viewer, self.instrument.id).await?;
        let read = steps.into_iter().map(serde_json::from_value);
        Ok(read
            .collect::<Result<Vec<T>, _>>()
            .context("reading the stored steps")?)
    }

    /// Stores a step, with the plans of queries that were seen in it, and with the statistics that it has drawn.
    /// `Stopped` when the run belongs to somebody else by now.
    pub async fn record(
        &self,
        step_idx: usize,
        step: &impl Serialize,
        looks: &[(i32, &Look)],
        drawn: Option<&Snapshot>,
    ) -> Result<(), Trouble> {
        let step = serde_json::to_value(step).context("writing a step")?;
        let id = self.instrument.id;
        let mut conn = self.job.conn().await?;
        let mut transaction = conn.begin().await?;
        if !instruments::record(&mut transaction, &self.job.lease, id, step_idx, &step).await? {
            self.job.lose();
            return Err(Trouble::Stopped);
        }
        for (query_idx, look) in looks {
            if let Some(plan) = look.seen(*query_idx) {
                instruments::keep_plan(&mut transaction, id, &plan).await?;
            }
        }
        if let Some(snapshot) = drawn {
            instruments::keep_snapshot(&mut transaction, id, step_idx, snapshot).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Says where the run stands. `Stopped` when it should end.
    pub async fn stage(&self, stage: &str, done: usize, total: usize, detail: &str) -> Result<(), Trouble> {
        let progress = Progress {
            done: done as u64,
            total: total as u64,
            unit: "steps".to_owned(),
            detail: detail.to_owned(),
            n_rows: 0,
        };
        self.job.set_progress(stage, &progress).await?;
        match self.job.stop_reason() {
            Some(_) => Err(Trouble::Stopped),
            None => Ok(()),
        }
    }

    /// Notes what is known before the end, so that a run that is stopped can be read.
    pub async fn note(&self, findings: &Findings) -> Result<(), Trouble> {
        let mut conn = self.job.conn().await?;
        instruments::set_result(&mut conn, &self.job.lease, self.instrument.id, findings, None).await?;
        Ok(())
    }

    async fn conclude(&self, findings: &Findings, headline: &str) -> Result<(), Trouble> {
        let mut conn = self.job.conn().await?;
        let (lease, id) = (&self.job.lease, self.instrument.id);
        instruments::set_result(&mut conn, lease, id, findings, Some(headline)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::quota::QuotaKeeper;
    use crate::config::Access;
    use crate::instrument::service::Instruments;
    use crate::model::instrument::DrawStep;
    use crate::model::instrument::DrawnPlan;
    use crate::model::instrument::LotteryStep;
    use crate::store::queue;
    use crate::store::queue::Interruption;
    use crate::testing::world::World;

    #[tokio::test]
    async fn a_run_that_is_stopped_while_it_waits_to_go_on_says_what_it_had_found() {
        let world = World::new().await;
        let id = world.instrument("waiting", None).await;
        let mut conn = world.conn().await;
        let restore = world.claim("a").await.unwrap().lease;
        assert!(
            queue::settle(&mut conn, &restore, JobStatus::Completed, None)
                .await
                .unwrap()
        );
        let lease = world.claim("a").await.unwrap().lease;
        let draw = LotteryStep::Draw(DrawStep {
            target: 10,
            analyze_ms: 1.0,
            plans: vec![DrawnPlan {
                fingerprint: Some("one".to_owned()),
                cost: Some(1.0),
                message: None,
            }],
            all_null: Vec::new(),
            timed: Vec::new(),
        });
        let draw = serde_json::to_value(draw).unwrap();
        assert!(instruments::record(&mut conn, &lease, id, 0, &draw).await.unwrap());
        let shutdown = Interruption::Shutdown;
        assert!(
            queue::release(&mut conn, &lease, WORDS.waiting, &shutdown)
                .await
                .unwrap()
        );
        let door = Instruments {
            pool: world.pool.clone(),
            quotas: QuotaKeeper::new(Access::Local),
        };
        assert_eq!(catch_up(&world.pool).await.unwrap(), 0, "it is to go on");
        assert!(door.stop(world.viewer, id).await.unwrap());
        for n_left in [1, 0] {
            assert_eq!(catch_up(&world.pool).await.unwrap(), n_left);
        }
        let stopped = door.get(world.viewer, id).await.unwrap().unwrap();
        assert!(matches!(stopped.result, Some(Findings::Lottery(_))));
        let said = stopped.headline.unwrap();
        assert!(said.starts_with("A part, stopped after 1 of 6 draws."), "{said}");
        assert_eq!(stopped.job.message.as_deref(), Some("Stopped on request."));
    }
}
