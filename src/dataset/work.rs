//! Does the job of one restore, from the claim to a template that is ready or a sentence that says why not.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tracing::info;

use crate::dataset::error::RestoreError;
use crate::dataset::finish;
use crate::dataset::growth::Growth;
use crate::dataset::growth::RestoreLimits;
use crate::dataset::pieces::DumpFile;
use crate::dataset::pieces::Pieces;
use crate::dataset::reader::Counter;
use crate::dataset::restore::Done;
use crate::dataset::restore::Restore;
use crate::files::depot::DepotError;
use crate::files::dumps::Dumps;
use crate::files::dumps::FetchError;
use crate::files::intake::IntakeError;
use crate::model::dataset::Compression;
use crate::model::dataset::Dataset;
use crate::model::dataset::DumpFormat;
use crate::model::dataset::RestoreNote;
use crate::model::dataset::Restored;
use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::model::units::seconds_in_words;
use crate::store;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::held::patiently;
use crate::store::queue;
use crate::store::queue::MAX_INTERRUPTIONS;
use crate::target::OUT_OF_DISK;
use crate::target::ServerError;
use crate::target::lease::Sandbox;
use crate::target::lease::Sandboxes;
use crate::target::trouble::Trouble;
use crate::target::trouble::Words;
use crate::target::trouble::conclude;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What a restore needs besides its job.
#[derive(Clone)]
pub struct Restorer {
    pub dumps: Dumps,
    pub sandboxes: Sandboxes,
    /// Reads archives; none where this machine has none.
    pub pg_restore: Option<PathBuf>,
    pub limits: RestoreLimits,
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Depot(error) if error.may_pass() => Self::Lost(error.into()),
            FetchError::Depot(DepotError::Fault(error))
            | FetchError::Intake(IntakeError::Fault(error))
            | FetchError::Fault(error) => Self::Lost(error),
            FetchError::Depot(_) | FetchError::NoDepot | FetchError::Intake(_) => Self::Sentence(error.to_string()),
        }
    }
}

impl Trouble {
    /// What the server refuses while a restored database is finished is about the dump; anything else is a loss.
    fn of_finish(error: anyhow::Error) -> Self {
        match ServerError::among(&error) {
            Some(server) if !server.is_fatal => {
                let doing = error.to_string();
                Self::Sentence(format!(
                    "The restored database could not be finished ({doing}). The server says: {server}"
                ))
            }
            _ => Self::Lost(error),
        }
    }
}

/// What a restore says when it does not come to its end.
const WORDS: Words = Words {
    waiting: "waiting to begin again",
    stopped: "The restore was stopped on request.",
    given_up: |lost| format!("Given up after {MAX_INTERRUPTIONS} interruptions. The last: {lost}."),
};

impl Restorer {
    /// Runs the restore of a claimed job until it is settled, put back into the queue, or taken over.
    pub async fn run(&self, job: HeldJob) -> Parted {
        let mut notes = Vec::new();
        match Box::pin(self.attempt(&job, &mut notes)).await {
            Ok(()) => Parted::Over,
            Err(trouble) => {
                let give_up = |status, message| self.give_up(&job, status, message, &notes);
                job.part(|| conclude(&job, &trouble, &WORDS, give_up).boxed()).await
            }
        }
    }

    /// Ends the job and removes what was restored so far, and the dump here. In a depot it stays: another machine may have
    /// what this one lacks.
    async fn give_up(
        &self,
        job: &HeldJob,
        status: JobStatus,
        message: String,
        notes: &[RestoreNote],
    ) -> anyhow::Result<Parted> {
        let mut transaction = job.pool.begin().await?;
        let dataset = store::datasets::get_by_job(&mut transaction, &job.lease)
            .await?
            .context("the job's dataset")?;
        store::restores::set_notes(&mut transaction, dataset.id, notes).await?;
        if queue::settle(&mut transaction, &job.lease, status, Some(&message)).await? {
            transaction.commit().await?;
            self.sandboxes.remove(dataset.id).await?;
            // Without a depot nothing restores it again: whoever has it uploads it once it is put right.
            self.dumps.layout.remove_dump(dataset.id).await?;
        }
        Ok(Parted::Over)
    }

    /// Whatever becomes of it, `notes` are the lines of its log.
    async fn attempt(&self, job: &HeldJob, notes: &mut Vec<RestoreNote>) -> Result<(), Trouble> {
        let mut conn = job.conn().await?;
        let dataset = store::datasets::get_by_job(&mut conn, &job.lease)
            .await?
            .context("the job's dataset")?;
        drop(conn);
        info!(dataset.id = %dataset.id, "Dataset {} is being restored", dataset.id);
        let path = tokio::select! {
            path = self.fetch(job, &dataset) => path?,
            () = job.stop_token().cancelled() => return Err(Trouble::Stopped),
        };
        // What a dump holds takes no less than the dump, and most of the time two or three times as much.
        self.sandboxes.room.require(dataset.size_bytes)?;
        job.set_progress("starting its server", &Progress::default()).await?;
        let sandbox = self.sandboxes.start(dataset.id).await?;
        let (tell, told) = watch::channel(Done::default());
        let mut restore = Restore::new(&sandbox.address, dataset.id, tell);
        let result = tokio::select! {
            result = self.restore(job, &dataset, &path, &sandbox, &mut restore, told) => result,
            () = tokio::time::sleep(self.limits.time) => Err(Trouble::Sentence(format!(
                "The restore took longer than the limit of {}. A larger limit is set by PGASSAY_MAX_RESTORE_MINUTES.",
                seconds_in_words(self.limits.time.as_secs_f64())
            ))),
            () = job.stop_token().cancelled() => Err(Trouble::Stopped),
        };
        *notes = std::mem::take(&mut restore.outcome.notes);
        drop(restore);
        let restored = match result {
            Ok(restored) => restored,
            Err(trouble) => {
                let is_out_of_disk = sandbox.is_out_of_disk();
                // At once: what still runs in it belongs to a restore that was given up.
                sandbox.kill().await?;
                return Err(match trouble {
                    Trouble::Lost(_) if is_out_of_disk => {
                        Trouble::Sentence(format!("The server of this dataset ended: {OUT_OF_DISK}."))
                    }
                    trouble => trouble,
                });
            }
        };
        sandbox.stop().await?;
        let notes = &*notes;
        patiently(|| record(job, &dataset, &restored, notes).boxed()).await?;
        if dataset.is_in_depot {
            // It has served; the depot has it for whoever restores it again.
            self.dumps.layout.remove_dump(dataset.id).await?;
        }
        Ok(())
    }

    /// The dump on this machine's disk, fetched from the depot where it is not there yet.
    async fn fetch(&self, job: &HeldJob, dataset: &Dataset) -> Result<PathBuf, Trouble> {
        let (tell, told) = watch::channel(0);
        let telling = async {
            let mut told = told;
            while told.changed().await.is_ok() {
                let progress = Progress {
                    done: *told.borrow_and_update(),
                    total: dataset.size_bytes,
                    unit: "bytes".to_owned(),
                    ..Progress::default()
                };
                job.set_progress("fetching its dump", &progress).await?;
                tokio::time::sleep(TELL_EVERY).await;
            }
            // There is nothing more to tell.
            std::future::pending::<Result<PathBuf, Trouble>>().await
        };
        tokio::select! {
            path = self.dumps.at_hand(dataset, |n_bytes| { tell.send_replace(n_bytes); }) => Ok(path?),
            trouble = telling => trouble,
        }
    }

    async fn restore(
        &self,
        job: &HeldJob,
        dataset: &Dataset,
        path: &Path,
        sandbox: &Sandbox,
        restore: &mut Restore<'_>,
        told: watch::Receiver<Done>,
    ) -> Result<Restored, Trouble> {
        let started = Instant::now();
        let file = DumpFile {
            path,
            format: format_of(dataset)?,
            compression: compression_of(dataset)?,
            pg_restore: self.pg_restore.as_deref(),
            max_expanded_bytes: self.limits.expanded_bytes,
        };
        let counter = Counter::default();
        let growth = Growth::new(sandbox, self.limits);
        let run = async {
            let mut pieces = Pieces::open(&file, &counter).await?;
            restore.run(&mut pieces).await?;
            growth.check().await
        };
        let telling = async {
            loop {
                let done = told.borrow().clone();
                let progress = Progress {
                    done: counter.bytes(),
                    total: dataset.size_bytes,
                    unit: "bytes".to_owned(),
                    detail: done.detail,
                    n_rows: done.n_rows,
                };
                if let Err(error) = job.set_progress("restoring", &progress).await {
                    return anyhow::Error::new(error).context("telling how far the restore is");
                }
                tokio::time::sleep(TELL_EVERY).await;
            }
        };
        let result = tokio::select! {
            result = run => result,
            error = telling => Err(RestoreError::Lost(error)),
            error = growth.watch() => Err(error.during(&told.borrow().detail)),
        };
        if let Err(error) = result {
            return Err(match error {
                RestoreError::Lost(error) => Trouble::Lost(error),
                sentence => Trouble::Sentence(sentence.to_string()),
            });
        }
        job.set_progress("vacuuming and counting", &Progress::default()).await?;
        let restore_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let finished = finish::finish(restore.address, dataset.id, &mut restore.outcome, restore_ms).await;
        let restored = finished.map_err(Trouble::of_finish)?;
        if restored.tables.is_empty() {
            restore.outcome.remark("the dump holds no tables".to_owned());
        }
        Ok(restored)
    }
}

/// Ends a restore that went well.
async fn record(job: &HeldJob, dataset: &Dataset, restored: &Restored, notes: &[RestoreNote]) -> anyhow::Result<()> {
    let mut transaction = job.pool.begin().await?;
    store::restores::record(&mut transaction, &job.lease, dataset.id, restored).await?;
    store::restores::set_notes(&mut transaction, dataset.id, notes).await?;
    if queue::settle(&mut transaction, &job.lease, JobStatus::Completed, None).await? {
        transaction.commit().await?;
        info!(dataset.id = %dataset.id, "Dataset {} is ready with {} tables", dataset.id, restored.tables.len());
    }
    Ok(())
}

fn format_of(dataset: &Dataset) -> anyhow::Result<DumpFormat> {
    [DumpFormat::Plain, DumpFormat::Custom, DumpFormat::Tar]
        .into_iter()
        .find(|format| format.word() == dataset.format)
        .with_context(|| format!("the dump format {}", dataset.format))
}

fn compression_of(dataset: &Dataset) -> anyhow::Result<Compression> {
    [Compression::None, Compression::Gzip, Compression::Zstd]
        .into_iter()
        .find(|compression| compression.word() == dataset.compression)
        .with_context(|| format!("the compression {}", dataset.compression))
}

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod depot;
#[cfg(test)]
mod dumps;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod tests;
