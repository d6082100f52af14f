//! Does the job of one restore, from the claim to a template that is ready or a sentence that says why not.

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::error;
use tracing::info;

use crate::dataset::error::RestoreError;
use crate::dataset::finish;
use crate::dataset::pieces::DumpFile;
use crate::dataset::pieces::Pieces;
use crate::dataset::reader::Counter;
use crate::dataset::restore::Done;
use crate::dataset::restore::Restore;
use crate::files::layout::Layout;
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
use crate::store::held::StopReason;
use crate::store::queue;
use crate::store::queue::Interruption;
use crate::target::ServerError;
use crate::target::lease::Sandboxes;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What a restore needs besides its job.
#[derive(Clone)]
pub struct Restorer {
    pub layout: Layout,
    pub sandboxes: Sandboxes,
    /// Reads archives; none where this machine has none.
    pub pg_restore: Option<PathBuf>,
    pub max_expanded_bytes: u64,
    /// A restore that takes longer is given up.
    pub limit: Duration,
}

/// How an attempt ended, other than well.
enum Trouble {
    /// The restore failed with this sentence; nothing of it is kept but its log.
    Failed(String, Vec<RestoreNote>),
    Stopped,
    Lost(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Lost(error)
    }
}

impl Trouble {
    /// What the server refuses while a restored database is finished is about the dump; anything else is a loss.
    fn of_finish(error: anyhow::Error, notes: Vec<RestoreNote>) -> Self {
        let said = error
            .chain()
            .find_map(|cause| ServerError::of(cause.downcast_ref::<sqlx::Error>()?));
        match said {
            Some(server) if !server.is_fatal => {
                let doing = error.to_string();
                Self::Failed(
                    format!("The restored database could not be finished ({doing}). The server says: {server}"),
                    notes,
                )
            }
            _ => Self::Lost(error),
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl Restorer {
    /// Runs the restore of a claimed job until it is settled, put back into the queue, or taken over.
    pub async fn run(&self, job: HeldJob) {
        let id = job.lease.job_id;
        let ended = match self.attempt(&job).await {
            Ok(()) => Ok(()),
            Err(trouble) => self.conclude(&job, trouble).await,
        };
        if let Err(error) = ended {
            error!(job.id = %id, "The end of job {id} could not be recorded: {error:#}");
        }
    }

    async fn conclude(&self, job: &HeldJob, trouble: Trouble) -> anyhow::Result<()> {
        let id = job.lease.job_id;
        match (job.stop_reason(), trouble) {
            (Some(StopReason::LeaseLost), _) => Ok(()),
            (Some(StopReason::Shutdown), _) => {
                let mut conn = job.pool.acquire().await?;
                queue::release(
                    &mut conn,
                    &job.lease,
                    "waiting to begin again",
                    Interruption::DoesNotCount,
                )
                .await?;
                Ok(())
            }
            (Some(StopReason::Requested), _) => {
                self.give_up(job, JobStatus::Cancelled, "The restore was stopped on request.", &[])
                    .await
            }
            (None, Trouble::Failed(sentence, notes)) => self.give_up(job, JobStatus::Failed, &sentence, &notes).await,
            (None, Trouble::Stopped) => anyhow::bail!("the job stopped without a reason"),
            (None, Trouble::Lost(error)) => {
                error!(job.id = %id, "Job {id} lost its server: {error:#}");
                let mut conn = job.pool.acquire().await?;
                if queue::interruptions(&mut conn, &job.lease).await? + 1 < queue::MAX_INTERRUPTIONS {
                    queue::release(&mut conn, &job.lease, "interrupted", Interruption::Counts).await?;
                    return Ok(());
                }
                drop(conn);
                let sentence = "Given up: its PostgreSQL server was lost several times. The log says what happened.";
                self.give_up(job, JobStatus::Failed, sentence, &[]).await
            }
        }
    }

    /// Ends the job and removes what was restored so far.
    async fn give_up(
        &self,
        job: &HeldJob,
        status: JobStatus,
        message: &str,
        notes: &[RestoreNote],
    ) -> anyhow::Result<()> {
        let mut transaction = job.pool.begin().await?;
        let dataset = store::datasets::get_by_job(&mut transaction, &job.lease)
            .await?
            .context("the job's dataset")?;
        store::datasets::set_notes(&mut transaction, dataset.id, notes).await?;
        if queue::settle(&mut transaction, &job.lease, status, Some(message)).await? {
            transaction.commit().await?;
            self.sandboxes.remove(dataset.id).await?;
        }
        Ok(())
    }

    async fn attempt(&self, job: &HeldJob) -> Result<(), Trouble> {
        let mut conn = job.pool.acquire().await?;
        let dataset = store::datasets::get_by_job(&mut conn, &job.lease)
            .await?
            .context("the job's dataset")?;
        drop(conn);
        info!(dataset.id = %dataset.id, "Dataset {} is being restored", dataset.id);
        job.set_progress("starting its server", &Progress::default()).await?;
        let sandbox = self.sandboxes.start(dataset.id).await?;
        let restoring = self.restore(job, &dataset, &sandbox.address);
        let result = tokio::select! {
            result = tokio::time::timeout(self.limit, restoring) => match result {
                Ok(result) => result,
                Err(_) => Err(Trouble::Failed(
                    format!("The restore took longer than the limit of {}.", seconds_in_words(self.limit.as_secs_f64())),
                    Vec::new(),
                )),
            },
            () = job.stop_token().cancelled() => Err(Trouble::Stopped),
        };
        let (restored, notes) = match result {
            Ok(done) => done,
            Err(trouble) => {
                // At once: what still runs in it belongs to a restore that was given up.
                sandbox.kill().await?;
                return Err(trouble);
            }
        };
        sandbox.stop().await?;
        let mut transaction = job.pool.begin().await?;
        store::datasets::set_restored(&mut transaction, &job.lease, dataset.id, &restored).await?;
        store::datasets::set_notes(&mut transaction, dataset.id, &notes).await?;
        if queue::settle(&mut transaction, &job.lease, JobStatus::Completed, None).await? {
            transaction.commit().await?;
            info!(dataset.id = %dataset.id, "Dataset {} is ready with {} tables", dataset.id, restored.tables.len());
        }
        Ok(())
    }

    async fn restore(
        &self,
        job: &HeldJob,
        dataset: &Dataset,
        address: &crate::target::session::Address,
    ) -> Result<(Restored, Vec<RestoreNote>), Trouble> {
        let started = Instant::now();
        let path = self.layout.dump(dataset.id);
        let file = DumpFile {
            path: &path,
            format: format_of(dataset)?,
            compression: compression_of(dataset)?,
            pg_restore: self.pg_restore.as_deref(),
            max_expanded_bytes: self.max_expanded_bytes,
        };
        let counter = Counter::default();
        let (tell, told) = watch::channel(Done::default());
        let mut restore = Restore::new(address, dataset.id, tell);
        let run = async {
            let mut pieces = Pieces::open(&file, &counter).await?;
            restore.run(&mut pieces).await
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
        };
        if let Err(error) = result {
            return Err(match error {
                RestoreError::Lost(error) => Trouble::Lost(error),
                sentence => Trouble::Failed(sentence.to_string(), std::mem::take(&mut restore.outcome.notes)),
            });
        }
        let mut outcome = std::mem::take(&mut restore.outcome);
        job.set_progress("vacuuming and counting", &Progress::default()).await?;
        let restore_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let restored = match finish::finish(address, dataset.id, &mut outcome, restore_ms).await {
            Ok(restored) => restored,
            Err(error) => return Err(Trouble::of_finish(error, outcome.notes)),
        };
        if restored.tables.is_empty() {
            let note = "the dump holds no tables".to_owned();
            outcome.remark(note);
        }
        Ok((restored, outcome.notes))
    }
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
mod dumps;
#[cfg(test)]
mod tests;
