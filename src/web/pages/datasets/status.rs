//! How a restore stands: while it waits, while it runs, and why it ended badly.

use super::state;
use crate::model::ids::DatasetId;
use crate::model::job::Job;
use crate::model::job::JobStatus;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::seconds_in_words;
use crate::web::urls;
use crate::web::view;

/// How the restore stands. `poll_href` is there as long as that can change.
pub(super) struct StatusView {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) poll_href: Option<String>,
    pub(super) stop_href: String,
    pub(super) is_stopping: bool,
    pub(super) is_ready: bool,
    pub(super) label: String,
    pub(super) percent: Option<u64>,
    pub(super) text: String,
    pub(super) end: Option<BadEnd>,
}

/// Why there is no database, and what to do about it.
pub(super) struct BadEnd {
    pub(super) class: &'static str,
    pub(super) message: String,
    pub(super) advice: &'static str,
}

impl StatusView {
    pub(super) fn new(id: DatasetId, job: &Job, waits_for: String) -> Self {
        let (word, class) = state(job.status);
        let (label, text) = match job.status {
            JobStatus::Queued => ("The restore waits".to_owned(), waits_for),
            JobStatus::Running => (stage(job), how_far(job)),
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => Default::default(),
        };
        Self {
            word,
            class,
            poll_href: (!job.status.is_settled()).then(|| urls::dataset_status(id)),
            stop_href: urls::dataset_stop(id),
            is_stopping: job.cancel_requested,
            is_ready: job.status == JobStatus::Completed,
            label,
            percent: view::percent(job.progress.done, job.progress.total),
            text,
            end: BadEnd::of(job),
        }
    }
}

impl BadEnd {
    /// None for a restore that is under way or went well.
    fn of(job: &Job) -> Option<Self> {
        let (class, advice) = match job.status {
            JobStatus::Queued | JobStatus::Running | JobStatus::Completed => return None,
            JobStatus::Failed => (
                "error",
                "Put the dump right and upload it again; this one can be deleted.",
            ),
            JobStatus::Cancelled => ("warn", "To start over, upload the dump again; this one can be deleted."),
        };
        Some(Self {
            class,
            message: job.message.clone().unwrap_or_default(),
            advice,
        })
    }
}

fn stage(job: &Job) -> String {
    let mut letters = job.stage.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// `1.2 MiB of 3.7 MiB read, 12 000 rows, table orders. Under way for 4 s, about 8 s left.`
fn how_far(job: &Job) -> String {
    let progress = &job.progress;
    let mut parts = Vec::new();
    if progress.total > 0 {
        let (done, total) = (bytes_in_words(progress.done), bytes_in_words(progress.total));
        parts.push(format!("{done} of {total} read"));
    }
    if progress.n_rows > 0 {
        parts.push(counted(progress.n_rows, "row", "rows"));
    }
    if !progress.detail.is_empty() {
        parts.push(progress.detail.clone());
    }
    let mut words = parts.join(", ");
    if let Some(elapsed_s) = job.elapsed_s() {
        if !words.is_empty() {
            words.push_str(". ");
        }
        words.push_str("Under way for ");
        words.push_str(&seconds_in_words(elapsed_s));
        if let Some(left_s) = left_s(elapsed_s, progress.done, progress.total) {
            words.push_str(", about ");
            words.push_str(&seconds_in_words(left_s));
            words.push_str(" left");
        }
        words.push('.');
    }
    words
}

/// As if the rest of the file went as fast as what was read; none before a second is over.
#[expect(clippy::cast_precision_loss, reason = "a guess, shown in two digits")]
fn left_s(elapsed_s: f64, done: u64, total: u64) -> Option<f64> {
    (elapsed_s >= 1.0 && done > 0 && done <= total).then(|| elapsed_s * (total - done) as f64 / done as f64)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use chrono::TimeDelta;

    use super::*;
    use crate::model::ids::JobId;
    use crate::model::job::JobKind;
    use crate::model::job::Progress;

    #[test]
    fn a_restore_says_how_far_it_is_and_guesses_the_rest() {
        let job = Job {
            id: JobId(1),
            kind: JobKind::Restore,
            status: JobStatus::Running,
            stage: "restoring".into(),
            progress: Progress {
                done: 1 << 20,
                total: 4 << 20,
                unit: "bytes".into(),
                detail: "table orders".into(),
                n_rows: 12_000,
            },
            message: None,
            cancel_requested: false,
            created_at: DateTime::UNIX_EPOCH,
            started_at: Some(DateTime::UNIX_EPOCH),
            finished_at: None,
            read_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(4),
        };
        let status = StatusView::new(DatasetId(7), &job, String::new());
        assert_eq!(status.label, "Restoring");
        assert_eq!(
            status.text,
            "1.0 MiB of 4.0 MiB read, 12\u{2009}000 rows, table orders. Under way for 4 s, about 12 s left."
        );
        assert_eq!(status.percent, Some(25));
        assert_eq!(status.poll_href.as_deref(), Some("/datasets/7/status"));
        let settled = Job {
            status: JobStatus::Completed,
            ..job
        };
        assert!(
            StatusView::new(DatasetId(7), &settled, String::new())
                .poll_href
                .is_none()
        );
    }
}
