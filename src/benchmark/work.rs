//! Does the job of one benchmark, from the claim to its last level.

use anyhow::Context as _;
use futures_util::FutureExt as _;
use sqlx::Connection as _;
use tracing::error;
use tracing::info;

use crate::analysis::sweep;
use crate::benchmark::generator::Weighted;
use crate::benchmark::level::Attempt;
use crate::benchmark::place::Place;
use crate::benchmark::programs;
use crate::benchmark::progress;
use crate::benchmark::route::ONLY_HERE;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::Generators;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::TargetSpec;
use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::server::Servers;
use crate::store::benchmarks;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::held::StopReason;
use crate::store::held::patiently;
use crate::store::levels;
use crate::store::queue::MAX_INTERRUPTIONS;
use crate::target::OUT_OF_DISK;
use crate::target::lease::Sandboxes;
use crate::target::trouble::Trouble;
use crate::target::trouble::Words;
use crate::target::trouble::conclude;

/// What a benchmark says when it does not come to its end.
const WORDS: Words = Words {
    waiting: "waiting to go on",
    stopped: "Stopped on request. What was measured until then is kept.",
    given_up: |lost| {
        format!(
            "Given up after {MAX_INTERRUPTIONS} interruptions without a finished level in between. The last: {lost}. \
             Finished levels are kept."
        )
    },
};

/// Does the benchmark of a claimed job until it is settled, put back into the queue, or taken over.
pub async fn run(job: HeldJob, sandboxes: &Sandboxes, servers: &Servers) -> Parted {
    match Box::pin(attempt(&job, sandboxes, servers)).await {
        Ok(parted) => parted,
        Err(trouble) => {
            let settle = async |status, message: String| {
                // A level that was stopped counts as far as it came.
                note_headline(&job, &own(&job).await?).await?;
                Ok(job.settle(status, Some(&message)).await?)
            };
            job.part(|| conclude(&job, &trouble, &WORDS, settle).boxed()).await
        }
    }
}

/// The benchmark that the job does.
async fn own(job: &HeldJob) -> anyhow::Result<Benchmark> {
    let mut conn = job.conn().await?;
    let benchmark = benchmarks::get_by_job(&mut conn, &job.lease).await?;
    benchmark.context("the job's benchmark")
}

async fn attempt(job: &HeldJob, sandboxes: &Sandboxes, servers: &Servers) -> Result<Parted, Trouble> {
    let benchmark = own(job).await?;
    let mut conn = job.conn().await?;
    levels::mark_interrupted(&mut conn, &job.lease, benchmark.id).await?;
    let recorded = levels::list(&mut conn, job.viewer, benchmark.id).await?;
    drop(conn);
    let left = progress::left(&benchmark.spec, &recorded);
    if !left.is_empty() {
        check_reach(&benchmark, sandboxes)?;
        let programs = programs::read(&benchmark.spec).map_err(|error| Trouble::Sentence(format!("{error}.")))?;
        info!(benchmark.id = %benchmark.id, "Benchmark {} runs on {}", benchmark.id, benchmark.target_name);
        let mut place = Place::open(job, &benchmark, sandboxes, servers).await?;
        let ran = run_levels(job, &benchmark, servers, &programs, &left, &mut place).await;
        let is_out_of_disk = place.is_out_of_disk();
        let closed = match (&ran, job.stop_reason()) {
            // Whoever comes next makes everything anew, so nothing is kept for that.
            (Ok(()) | Err(Trouble::Sentence(_)), _) | (Err(Trouble::Stopped), Some(StopReason::Requested)) => {
                place.close().await
            }
            (Err(Trouble::Stopped | Trouble::Lost(_)), _) => place.abandon().await,
        };
        if let Err(error) = closed {
            // All levels are stored; what is left is dropped when the dataset is used next, or at the next start.
            error!(benchmark.id = %benchmark.id, "What benchmark {} made could not be dropped: {error:#}", benchmark.id);
        }
        match ran {
            Err(Trouble::Lost(_)) if is_out_of_disk => {
                return Err(Trouble::Sentence(format!(
                    "Its PostgreSQL server ended: {OUT_OF_DISK}. Then run the benchmark again; finished levels are kept."
                )));
            }
            ran => ran?,
        }
    }
    conclude_levels(job, &benchmark).await
}

/// Refuses to have the load made by workers that cannot reach what it is for.
fn check_reach(benchmark: &Benchmark, sandboxes: &Sandboxes) -> Result<(), Trouble> {
    let is_near = match benchmark.spec.target {
        TargetSpec::Generated(_) | TargetSpec::Dataset { .. } => sandboxes.warning().is_none(),
        TargetSpec::Server { .. } => false,
    };
    match benchmark.spec.generators {
        Generators::All if is_near => Err(Trouble::Sentence(ONLY_HERE.to_owned())),
        Generators::All | Generators::Here => Ok(()),
    }
}

async fn run_levels(
    job: &HeldJob,
    benchmark: &Benchmark,
    servers: &Servers,
    programs: &[Weighted],
    left: &[Level],
    place: &mut Place,
) -> Result<(), Trouble> {
    let n_levels = benchmark.spec.levels().len();
    for level in left {
        let number = level.level_idx + 1;
        let stage = format!("level {number} of {n_levels}");
        job.set_progress(&stage, &Progress::default()).await?;
        if job.stop_reason().is_some() {
            return Err(Trouble::Stopped);
        }
        let attempt = Attempt {
            job,
            benchmark,
            servers,
            programs,
            level: *level,
            stage: &stage,
        };
        attempt.run(place).await?;
        note_headline(job, benchmark).await?;
    }
    Ok(())
}

/// Says what the levels so far come to; waits for a store that is away.
async fn note_headline(job: &HeldJob, benchmark: &Benchmark) -> anyhow::Result<Vec<LevelRecord>> {
    patiently(|| try_note_headline(job, benchmark).boxed()).await
}

async fn try_note_headline(job: &HeldJob, benchmark: &Benchmark) -> anyhow::Result<Vec<LevelRecord>> {
    let mut conn = job.conn().await?;
    let mut transaction = conn.begin().await?;
    let recorded = levels::list(&mut transaction, job.viewer, benchmark.id).await?;
    if let Some(headline) = sweep::headline(&benchmark.spec, &recorded) {
        let is_met = sweep::is_met(&benchmark.spec, &recorded);
        benchmarks::set_headline(&mut transaction, &job.lease, benchmark.id, &headline, is_met).await?;
    }
    transaction.commit().await?;
    Ok(recorded)
}

async fn conclude_levels(job: &HeldJob, benchmark: &Benchmark) -> Result<Parted, Trouble> {
    let recorded = note_headline(job, benchmark).await?;
    let has_counted = recorded.iter().any(|record| sweep::counts(record.status));
    if !has_counted {
        let why = recorded.iter().rev().find_map(|record| record.notes.remarks.first());
        let why = why.map_or("No level could be run.", String::as_str);
        return Err(Trouble::Sentence(why.to_owned()));
    }
    let settle = async || Ok(job.settle(JobStatus::Completed, None).await?);
    let parted = patiently(|| settle().boxed()).await?;
    info!(benchmark.id = %benchmark.id, "Benchmark {} is finished", benchmark.id);
    Ok(parted)
}

#[cfg(test)]
mod tests;
