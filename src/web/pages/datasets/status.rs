//! How a restore stands: while it waits, while it runs, and why it ended badly.

use super::state;
use crate::model::dataset::Dataset;
use crate::model::job::Job;
use crate::model::job::JobStatus;
use crate::model::text::capitalised;
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
    pub(super) away: Option<Away>,
    /// The button that has it restored once more, where that can be.
    pub(super) again: Option<Again>,
}

/// What is said while the machine that has the dataset is away.
pub(super) struct Away {
    pub(super) machine: String,
    pub(super) seen_at: String,
    /// What can be done about it.
    pub(super) advice: &'static str,
}

pub(super) struct Again {
    pub(super) href: String,
    pub(super) label: &'static str,
}

/// Why there is no database, and what to do about it.
pub(super) struct BadEnd {
    pub(super) class: &'static str,
    pub(super) message: String,
    pub(super) advice: &'static str,
}

impl StatusView {
    pub(super) fn new(dataset: &Dataset, waits_for: String) -> Self {
        let (id, job) = (dataset.id, &dataset.job);
        let away = Away::of(dataset);
        let label = match job.status {
            JobStatus::Failed | JobStatus::Cancelled => Some("Restore it again"),
            JobStatus::Queued | JobStatus::Completed => away.as_ref().map(|_| "Restore it elsewhere"),
            JobStatus::Running => None,
        };
        let again = label.filter(|_| dataset.is_in_depot).map(|label| Again {
            href: urls::dataset_restore(id),
            label,
        });
        let (word, class) = state(job.status);
        let (label, text) = match job.status {
            JobStatus::Queued => ("The restore waits".to_owned(), waits_for),
            JobStatus::Running => (capitalised(&job.stage), how_far(job)),
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
            end: BadEnd::of(dataset),
            away,
            again,
        }
    }
}

impl BadEnd {
    /// None for a restore that is under way or went well.
    fn of(dataset: &Dataset) -> Option<Self> {
        let job = &dataset.job;
        let (class, advice) = match job.status {
            JobStatus::Queued | JobStatus::Running | JobStatus::Completed => return None,
            JobStatus::Failed if dataset.is_in_depot => (
                "error",
                "Where the dump is at fault, put it right and upload it again. Where the machine or the depot was, the dump \
                 can be restored again: it is still in the depot.",
            ),
            JobStatus::Cancelled if dataset.is_in_depot => ("warn", "The dump is still in the depot."),
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

impl Away {
    /// None while its machine is there, or nobody needs it: what ended badly has left nothing there.
    fn of(dataset: &Dataset) -> Option<Self> {
        let place = dataset.place.as_ref().filter(|place| place.is_away)?;
        let is_needed = match dataset.job.status {
            JobStatus::Queued | JobStatus::Completed => true,
            JobStatus::Running | JobStatus::Failed | JobStatus::Cancelled => false,
        };
        is_needed.then(|| Self {
            machine: place.machine.clone(),
            seen_at: view::date(place.seen_at),
            advice: if dataset.is_in_depot {
                "Its dump is in the depot, so another machine can restore it. Results that there are stay as they are; what is \
                 measured from then on is measured there."
            } else {
                "Its dump is on that machine, too. Start pgassay there again, or upload the dump once more."
            },
        })
    }
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
    use crate::model::dataset::DatasetPlace;
    use crate::model::filing::Filing;
    use crate::model::ids::DatasetId;
    use crate::model::ids::JobId;
    use crate::model::job::JobKind;
    use crate::model::job::Progress;

    fn dataset(job: Job) -> Dataset {
        Dataset {
            id: DatasetId(7),
            name: "shop".to_owned(),
            file_name: "shop.sql".to_owned(),
            size_bytes: 4 << 20,
            sha256: "ab".repeat(32),
            format: "plain SQL".to_owned(),
            compression: "none".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            server_version: None,
            encoding: None,
            locale: None,
            database_bytes: None,
            restore_ms: None,
            extensions: Vec::new(),
            settings: Vec::new(),
            has_imported_statistics: false,
            n_tables: 0,
            n_rows: 0,
            filing: Filing::default(),
            is_in_depot: false,
            place: None,
            job,
        }
    }

    fn job() -> Job {
        Job {
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
        }
    }

    #[test]
    fn a_restore_says_how_far_it_is_and_guesses_the_rest() {
        let mut dataset = dataset(job());
        let status = StatusView::new(&dataset, String::new());
        assert_eq!(status.label, "Restoring");
        assert_eq!(
            status.text,
            "1.0 MiB of 4.0 MiB read, 12\u{2009}000 rows, table orders. Under way for 4 s, about 12 s left."
        );
        assert_eq!(status.percent, Some(25));
        assert_eq!(status.poll_href.as_deref(), Some("/datasets/7/status"));
        dataset.job.status = JobStatus::Completed;
        assert!(StatusView::new(&dataset, String::new()).poll_href.is_none());
    }

    #[test]
    fn what_is_in_the_depot_can_be_restored_again_and_elsewhere_only_while_its_machine_is_away() {
        let mut dataset = dataset(Job {
            status: JobStatus::Completed,
            ..job()
        });
        let offer = |dataset: &Dataset| StatusView::new(dataset, String::new()).again.map(|again| again.label);
        for (status, is_away, is_in_depot, label) in [
            (JobStatus::Completed, false, true, None),
            (JobStatus::Completed, true, true, Some("Restore it elsewhere")),
            (JobStatus::Queued, true, true, Some("Restore it elsewhere")),
            (JobStatus::Running, true, true, None),
            (JobStatus::Failed, false, true, Some("Restore it again")),
            (JobStatus::Cancelled, true, true, Some("Restore it again")),
            (JobStatus::Completed, true, false, None),
            (JobStatus::Failed, false, false, None),
        ] {
            (dataset.job.status, dataset.is_in_depot) = (status, is_in_depot);
            dataset.place = Some(DatasetPlace {
                machine: "host-b".to_owned(),
                seen_at: DateTime::UNIX_EPOCH,
                is_away,
            });
            assert_eq!(
                offer(&dataset),
                label,
                "{status:?}, away: {is_away}, in depot: {is_in_depot}"
            );
            let is_said = is_away && matches!(status, JobStatus::Completed | JobStatus::Queued);
            assert_eq!(Away::of(&dataset).is_some(), is_said, "{status:?}");
        }
    }
}
