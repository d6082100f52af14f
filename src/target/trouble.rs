//! What keeps a job that needs a sandbox from going on, and what becomes of the job then.

use tracing::error;
use tracing::info;

use crate::files::depot::DepotError;
use crate::model::job::JobStatus;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::held::StopReason;
use crate::store::queue::Interruption;
use crate::target::NO_SPACE;
use crate::target::OUT_OF_DISK;
use crate::target::ServerError;
use crate::target::lease;
use crate::target::session::OpenError;
use crate::target::to_be_put_right;

/// What keeps a job from going on.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The job ends with this sentence.
    #[error("{0}")]
    Sentence(String),
    /// The job was told to stop.
    #[error("stopped")]
    Stopped,
    /// The target or the store was lost: worth another try.
    #[error(transparent)]
    Lost(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        match to_be_put_right(&error) {
            Some(sentence) => Self::Sentence(sentence),
            None => Self::Lost(error),
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Setting { .. } => Self::Sentence(error.to_string()),
            OpenError::Lost(error) => error.into(),
        }
    }
}

/// What one kind of job says when it does not come to its end.
pub struct Words {
    /// Its stage while it waits for the next process.
    pub waiting: &'static str,
    /// Why it has ended when somebody asked for that.
    pub stopped: &'static str,
    /// Why it has ended after the last interruption that it is allowed; how that one came about is given.
    pub given_up: fn(&str) -> String,
}

/// Records why a job does not go on. `settle` ends it for good, with what belongs to that.
pub async fn conclude<F>(
    job: &HeldJob,
    trouble: &Trouble,
    words: &Words,
    settle: impl FnOnce(JobStatus, String) -> F,
) -> anyhow::Result<Parted>
where
    F: Future<Output = anyhow::Result<Parted>>,
{
    let id = job.lease.job_id;
    match (job.stop_reason(), trouble) {
        (Some(StopReason::LeaseLost), _) => {
            info!(job.id = %id, "Job {id} is worked on elsewhere");
            Ok(Parted::Over)
        }
        (Some(StopReason::Shutdown), _) => {
            info!(job.id = %id, "Job {id} goes back into the queue");
            Ok(job.release(words.waiting, &Interruption::Shutdown).await?)
        }
        (Some(StopReason::Requested), _) => settle(JobStatus::Cancelled, words.stopped.to_owned()).await,
        (None, Trouble::Sentence(sentence)) => settle(JobStatus::Failed, sentence.clone()).await,
        (None, Trouble::Stopped) => anyhow::bail!("the job stopped without a reason"),
        (None, Trouble::Lost(error)) if lease::is_in_use(error) => {
            info!(job.id = %id, "Job {id} waits: another pgassay still holds its server");
            Ok(job.release(lease::IN_USE, &Interruption::Busy).await?)
        }
        (None, Trouble::Lost(error)) => {
            error!(job.id = %id, "Job {id} lost what it works with: {error:#}");
            let lost = in_words(error);
            if job.is_hopeless().await? {
                return settle(JobStatus::Failed, (words.given_up)(&lost)).await;
            }
            Ok(job.release("interrupted", &Interruption::Lost(lost)).await?)
        }
    }
}

/// What was lost, and how, for people: in its own words where it had any.
fn in_words(error: &anyhow::Error) -> String {
    let depot = error.chain().find_map(|cause| cause.downcast_ref::<DepotError>());
    if let Some(DepotError::Away { place, said }) = depot {
        return format!("the depot {place} does not answer as it should ({said})");
    }
    match ServerError::among(error) {
        _ if format!("{error:#}").contains(NO_SPACE) => OUT_OF_DISK.to_owned(),
        Some(said) if !said.is_fatal => format!("the server says: {said}"),
        _ => "a PostgreSQL server was lost".to_owned(),
    }
}
