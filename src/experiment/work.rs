//! Does the job of one experiment, from the claim to its summaries.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tracing::error;
use tracing::info;

use crate::experiment::environment;
use crate::experiment::explaining;
use crate::experiment::journal::StoreJournal;
use crate::experiment::lab::CloneIs;
use crate::experiment::lab::Lab;
use crate::experiment::lab::LabParts;
use crate::experiment::preparing;
use crate::experiment::runner;
use crate::experiment::runner::Ended;
use crate::experiment::runner::Executor as _;
use crate::experiment::runner::Journal as _;
use crate::experiment::schedule;
use crate::experiment::summaries;
use crate::experiment::timed;
use crate::experiment::writers;
use crate::model::dataset::Dataset;
use crate::model::experiment::Experiment;
use crate::model::ids::DatasetId;
use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;
use crate::source::custom_sql::ScriptError;
use crate::store;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::held::StopReason;
use crate::store::queue::MAX_INTERRUPTIONS;
use crate::target::OUT_OF_DISK;
use crate::target::ServerError;
use crate::target::lease::Sandbox;
use crate::target::lease::Sandboxes;
use crate::target::to_be_put_right;
use crate::target::trouble::Trouble;
use crate::target::trouble::Words;
use crate::target::trouble::conclude;

impl Trouble {
    /// What the server says while a source is applied is about the dataset; anything else is a loss.
    pub fn of_source(label: &str, error: anyhow::Error) -> Self {
        if let Some(error) = error.downcast_ref::<ScriptError>() {
            return Self::Sentence(format!("The source {label} could not be prepared. {error}."));
        }
        match ServerError::among(&error) {
            Some(server) if !server.is_fatal => Self::Sentence(format!(
                "The source {label} could not be prepared. The server says: {server}"
            )),
            _ => match to_be_put_right(&error) {
                Some(sentence) => Self::Sentence(sentence),
                None => Self::Lost(error.context(format!("preparing {label}"))),
            },
        }
    }
}

/// Runs the experiment of a claimed job until it is settled, put back into the queue, or taken over.
pub async fn run(job: HeldJob, sandboxes: &Sandboxes) -> Parted {
    match Box::pin(attempt(&job, sandboxes)).await {
        Ok(()) => Parted::Over,
        Err(trouble) => {
            let settle = |status, message| settle(&job, status, message);
            job.part(|| conclude(&job, &trouble, &WORDS, settle).boxed()).await
        }
    }
}

/// What an experiment says when it does not come to its end.
const WORDS: Words = Words {
    waiting: "waiting to go on",
    stopped: "Stopped on request. The trials so far are kept.",
    given_up: |lost| {
        format!(
            "Given up after {MAX_INTERRUPTIONS} interruptions without a result in between. The last: {lost}. The trials so \
             far are kept."
        )
    },
};

/// Ends an experiment that has not run to its end; what is stored is summarised all the same.
async fn settle(job: &HeldJob, status: JobStatus, message: String) -> anyhow::Result<Parted> {
    let mut conn = job.conn().await?;
    let experiment = store::experiments::get_by_job(&mut conn, &job.lease)
        .await?
        .context("the job's experiment")?;
    drop(conn);
    summaries::settle(job, &experiment, status, Some(&message)).await?;
    Ok(Parted::Over)
}

async fn attempt(job: &HeldJob, sandboxes: &Sandboxes) -> Result<(), Trouble> {
    let mut conn = job.conn().await?;
    let experiment = store::experiments::get_by_job(&mut conn, &job.lease)
        .await?
        .context("the job's experiment")?;
    if experiment.n_recorded == experiment.n_trials {
        // Interrupted between its last trial and its end: there is nothing left to run.
        drop(conn);
        summaries::settle(job, &experiment, JobStatus::Completed, None).await?;
        return Ok(());
    }
    let dataset = dataset_of(job, &experiment, sandboxes).await?;
    let queries = store::experiments::list_queries(&mut conn, job.viewer, experiment.id).await?;
    drop(conn);
    info!(experiment.id = %experiment.id, "Experiment {} runs on dataset {}", experiment.id, dataset.id);

    job.set_progress("starting its server", &Progress::default()).await?;
    let sandbox = sandboxes.start(dataset.id).await?;
    sweep_clones(job, &sandbox, dataset.id).await?;
    let mut settings = dataset.settings.clone();
    settings.extend(experiment.spec.settings.iter().cloned());
    let ready = match preparing::prepare(job, &experiment, dataset.id, &queries, &settings, &sandbox).await {
        Ok(ready) => ready,
        Err(trouble) => {
            let is_out_of_disk = sandbox.is_out_of_disk();
            // At once: what still runs in it belongs to a preparation that was given up.
            sandbox.kill().await?;
            return Err(match trouble {
                Trouble::Lost(_) if is_out_of_disk => Trouble::Sentence(format!(
                    "Its PostgreSQL server ended: {OUT_OF_DISK}. Then run the experiment again."
                )),
                trouble => trouble,
            });
        }
    };
    if experiment.environment.is_empty() {
        let environment = environment::look(&sandbox, &dataset, &experiment).await?;
        let mut conn = job.conn().await?;
        store::experiments::set_environment(&mut conn, &job.lease, experiment.id, &environment).await?;
    }
    let is_rebuilt = ready.is_rebuilt;
    let alterations = {
        let mut conn = job.conn().await?;
        store::sources::list_alterations(&mut conn, experiment.id).await?
    };
    let mut lab = Lab::new(LabParts {
        experiment_id: experiment.id,
        dataset_id: dataset.id,
        spec: experiment.spec.clone(),
        queries,
        snapshots: ready.snapshots,
        clones: ready.clones,
        alterations,
        settings,
        sandboxes: sandboxes.clone(),
        sandbox,
    });
    let measured = measure(job, &experiment, &mut lab, is_rebuilt).await;
    let measured = match measured {
        Err(Trouble::Lost(_)) if lab.sandbox().is_ok_and(Sandbox::is_out_of_disk) => Err(Trouble::Sentence(format!(
            "Its PostgreSQL server ended: {OUT_OF_DISK}. Then run the experiment again; the trials so far are kept."
        ))),
        measured => measured,
    };
    note_writers(job, &experiment, &mut lab).await?;
    let keeps_clone = match &measured {
        Ok(()) | Err(Trouble::Sentence(_)) => false,
        Err(Trouble::Stopped) => job.stop_reason() != Some(StopReason::Requested),
        Err(Trouble::Lost(_)) => true,
    };
    let closed = lab
        .close(if keeps_clone {
            CloneIs::NeededAgain
        } else {
            CloneIs::Done
        })
        .await;
    measured?;
    if let Err(error) = closed {
        // All trials are stored; a clone that is left is swept when its dataset is used next.
        error!(experiment.id = %experiment.id, "The clone of experiment {} could not be dropped: {error:#}", experiment.id);
    }
    summaries::settle(job, &experiment, JobStatus::Completed, None).await?;
    info!(experiment.id = %experiment.id, "Experiment {} is finished", experiment.id);
    Ok(())
}

/// Drops clones that an experiment left because its runner died before its end.
async fn sweep_clones(job: &HeldJob, sandbox: &Sandbox, dataset_id: DatasetId) -> Result<(), Trouble> {
    let mut conn = job.conn().await?;
    let keep = store::experiments::list_unsettled_of_dataset(&mut conn, dataset_id).await?;
    drop(conn);
    writers::drop_orphans(sandbox, &keep).await?;
    Ok(())
}

async fn dataset_of(job: &HeldJob, experiment: &Experiment, sandboxes: &Sandboxes) -> Result<Dataset, Trouble> {
    let gone =
        || Trouble::Sentence("The dataset of this experiment is gone, or is no longer shared with you.".to_owned());
    let id = experiment.dataset_id.ok_or_else(gone)?;
    let mut conn = job.conn().await?;
    let dataset = store::datasets::get(&mut conn, job.viewer, id)
        .await?
        .ok_or_else(gone)?;
    if dataset.job.status != JobStatus::Completed {
        return Err(Trouble::Sentence(format!(
            "The dataset {} is not ready: its restore has {}.",
            dataset.name,
            dataset.job.status.word()
        )));
    }
    if !sandboxes.is_there(id).await? {
        return Err(Trouble::Sentence(sandboxes.what_is_gone(&dataset.name)));
    }
    Ok(dataset)
}

async fn note_writers(job: &HeldJob, experiment: &Experiment, lab: &mut Lab) -> Result<(), Trouble> {
    let newly_writing = lab.take_newly_writing();
    if newly_writing.is_empty() {
        return Ok(());
    }
    let mut conn = job.conn().await?;
    for query_idx in newly_writing {
        let query_idx = i32::try_from(query_idx).context("few queries")?;
        store::experiments::set_writes(&mut conn, &job.lease, experiment.id, query_idx).await?;
    }
    Ok(())
}

/// Explains, then runs the trials that are not recorded yet.
async fn measure(job: &HeldJob, experiment: &Experiment, lab: &mut Lab, is_rebuilt: bool) -> Result<(), Trouble> {
    explaining::explain_all(job, lab).await?;
    note_writers(job, experiment, lab).await?;

    let mut conn = job.conn().await?;
    let recorded = store::trials::list_recorded(&mut conn, experiment.id).await?;
    let all = timed::trials(&mut conn, experiment.id, &experiment.spec).await?;
    store::experiments::set_n_trials(&mut conn, &job.lease, experiment.id, all.len()).await?;
    let remaining = schedule::remaining(&all, &recorded);
    let Some(first) = remaining.first() else { return Ok(()) };
    let reason = match (recorded.is_empty(), is_rebuilt) {
        (true, _) => "start".to_owned(),
        (false, false) => format!("resumed after {} of {} trials", recorded.len(), all.len()),
        (false, true) => {
            format!(
                "resumed after {} of {} trials, in a new clone",
                recorded.len(),
                all.len()
            )
        }
    };
    drop(conn);
    let mut journal = StoreJournal {
        pool: job.pool.clone(),
        lease: job.lease.clone(),
        experiment_id: experiment.id,
        segment_no: 0,
        conn: None,
    };
    if !journal.begin_segment(first.trial_idx, &reason).await? {
        job.lose();
        return Err(Trouble::Stopped);
    }
    if !recorded.is_empty() {
        info!(experiment.id = %experiment.id, "Experiment {} {reason}", experiment.id);
        warm_up_again(job, lab, &all).await?;
    }
    job.set_progress("measuring", &Progress::default()).await?;
    // A restart before the first trial is not between any two, and what else went on before it disturbed none.
    lab.take_restart();
    lab.forget_sight();
    match runner::run(&remaining, lab, &mut journal, job.stop_token()).await? {
        Ended::Completed => Ok(()),
        Ended::Interrupted => Err(Trouble::Stopped),
        Ended::Replaced => {
            job.lose();
            Err(Trouble::Stopped)
        }
    }
}

/// A new segment starts cold, so every query runs once again under every source, before anything is recorded.
async fn warm_up_again(job: &HeldJob, lab: &mut Lab, all: &[Trial]) -> Result<(), Trouble> {
    if lab.spec.warm_up == 0 {
        return Ok(());
    }
    job.set_progress("warming up again", &Progress::default()).await?;
    let pairs: BTreeSet<(usize, usize)> = all.iter().map(|trial| (trial.source_idx, trial.query_idx)).collect();
    for (source_idx, query_idx) in pairs {
        let trial = Trial {
            trial_idx: 0,
            kind: TrialKind::WarmUp,
            round: 1,
            source_idx,
            query_idx,
        };
        let going = lab.begin_visit(&[trial], job.stop_token()).await?;
        if !going || lab.execute(&trial, job.stop_token()).await?.is_none() {
            return Err(Trouble::Stopped);
        }
    }
    Ok(())
}

#[cfg(test)]
mod distorted;
#[cfg(test)]
mod draws;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod tests;
