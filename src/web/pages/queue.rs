//! What runs and what waits: a strip on the dashboard, and the words for one's place in it.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::ids::JobId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::text::capitalised;
use crate::model::units::counted;
use crate::model::units::seconds_in_words;
use crate::store;
use crate::store::jobs::Queue;
use crate::store::jobs::QueuedJob;
use crate::web::error::Error;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new().route(urls::QUEUE, get(show))
}

/// The strip as it is shown; it asks for itself again as long as it has lines.
pub struct QueueView {
    pub lines: Vec<QueueLine>,
    /// What else waits, in words; none where everything is shown.
    pub others: Option<String>,
}

/// What is asked for again every other second by everybody who looks.
const MOST_LINES: usize = 25;

pub struct QueueLine {
    /// `1`, `2` for what waits; `now` for what runs.
    pub place: String,
    pub word: &'static str,
    pub class: &'static str,
    pub what: String,
    /// None of what belongs to somebody else.
    pub href: Option<String>,
    pub stage: String,
    pub percent: Option<u64>,
}

#[derive(Template)]
#[template(path = "shared/queue.html")]
struct QueueStrip {
    queue: QueueView,
}

/// GET /queue: the strip alone.
async fn show(State(pool): State<PgPool>, CurrentUser(viewer): CurrentUser, hx: Hx) -> Result<Response, Error> {
    hx.require_fragment_of(urls::DASHBOARD)?;
    let queue = store::jobs::list_unsettled(&mut *pool.acquire().await?, viewer, None).await?;
    let strip = QueueStrip {
        queue: QueueView::new(&queue),
    };
    if queue.jobs.is_empty() {
        return fragment::last_poll(&strip, "Everything in the queue is done", "queue-empty");
    }
    fragment::page(&strip)
}

impl QueueView {
    pub fn new(queue: &Queue) -> Self {
        let lines = queue.jobs.iter().take(MOST_LINES).map(|queued| {
            let place = match queued.job.status {
                JobStatus::Queued => (queued.n_before + 1).to_string(),
                _ => "now".to_owned(),
            };
            line(queued, place)
        });
        let n_others = queue.n_jobs.saturating_sub(MOST_LINES as u64);
        Self {
            lines: lines.collect(),
            others: (n_others > 0).then(|| format!("Behind them {}.", counted(n_others, "job waits", "jobs wait"))),
        }
    }
}

fn line(queued: &QueuedJob, place: String) -> QueueLine {
    let job = &queued.job;
    let (done, total) = match queued.n_trials {
        Some(n_trials) => (queued.n_recorded.unsigned_abs(), n_trials.unsigned_abs().into()),
        None => (job.progress.done, job.progress.total),
    };
    let mut stage = job.stage.clone();
    if job.cancel_requested {
        "asked to stop".clone_into(&mut stage);
    } else if let Some(place) = &queued.waits_for {
        stage = format!("waiting for the machine {}", place.machine);
    } else if queued.held_at.is_some() {
        "waiting for another job of its account".clone_into(&mut stage);
    } else if let Some(elapsed_s) = job.elapsed_s() {
        // Of somebody else's work there is no more to say.
        let comma = if stage.is_empty() { "" } else { ", " };
        stage = format!("{stage}{comma}for {}", seconds_in_words(elapsed_s));
    }
    QueueLine {
        place,
        word: job.status.word(),
        class: view::status_class(job.status),
        what: what(queued),
        href: href(queued),
        stage,
        percent: view::percent(done, total).filter(|_| job.status == JobStatus::Running || done > 0),
    }
}

fn what(queued: &QueuedJob) -> String {
    let words = match (queued.job.kind, &queued.dataset, &queued.workload) {
        (JobKind::Experiment, Some((_, dataset)), Some((_, workload))) => {
            format!("{}: {dataset} × {workload}", queued.in_words())
        }
        (JobKind::Instrument, Some((_, dataset)), _) => format!("{}: {dataset}", queued.in_words()),
        (JobKind::Benchmark, ..) => match &queued.benchmark {
            Some((_, target)) => format!("{}: {target}", queued.in_words()),
            None => queued.in_words(),
        },
        _ => queued.in_words(),
    };
    capitalised(&words)
}

fn href(queued: &QueuedJob) -> Option<String> {
    if let Some(id) = queued.instrument_id {
        return Some(urls::instrument(id));
    }
    if let Some((id, _)) = queued.benchmark {
        return Some(urls::benchmark(id));
    }
    let dataset = queued.dataset.as_ref().map(|(id, _)| *id);
    let workload = queued.workload.as_ref().map(|(id, _)| *id);
    match (queued.experiment_id, workload, dataset) {
        (Some(experiment), _, _) => Some(urls::result(experiment)),
        (None, Some(workload), Some(dataset)) => Some(urls::workload_on(workload, dataset)),
        (None, Some(workload), None) => Some(urls::workload(workload)),
        (None, None, Some(dataset)) => Some(urls::dataset(dataset)),
        (None, None, None) => None,
    }
}

/// What a waiting job waits for: `Waits for restoring Shop, and 1 job before it.`
pub fn waits_for(queue: &Queue, id: JobId) -> String {
    let own = queue.find(id);
    if let Some(away) = own.and_then(QueuedJob::away_in_words) {
        return away;
    }
    if let Some(most) = own.and_then(|queued| queued.held_at) {
        return format!(
            "It waits for another job of its account to finish: {} of one account may run at a time.",
            counted(most, "job", "jobs")
        );
    }
    if let Some((server_id, name)) = own.and_then(|queued| queued.server.as_ref())
        && let Some(there) = queue
            .running()
            .find(|other| other.server.as_ref().is_some_and(|(id, _)| id == server_id))
    {
        let there = there.in_words();
        return format!("It waits for {there}, which runs on the same server: {name} takes one at a time.");
    }
    let running = queue.running().next();
    let before = own.map_or(0, |own| own.n_before);
    let jobs_before = counted(before, "job", "jobs");
    match (running.map(QueuedJob::in_words), before) {
        (None, 0) => "It begins in a moment.".to_owned(),
        (None, _) => format!("It waits for {jobs_before} before it."),
        (Some(running), 0) => format!("It is next, and waits for {running}: one job runs at a time on a machine."),
        (Some(running), _) => {
            format!("It waits for {running} and {jobs_before} before it: one job runs at a time on a machine.")
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::dataset::DatasetPlace;
    use crate::model::ids::DatasetId;
    use crate::model::ids::ServerId;
    use crate::model::job::Job;
    use crate::model::job::Progress;

    fn restore(id: i64, status: JobStatus) -> QueuedJob {
        QueuedJob {
            job: Job {
                id: JobId(id),
                kind: JobKind::Restore,
                status,
                stage: "restoring".into(),
                progress: Progress {
                    done: 1,
                    total: 4,
                    ..Progress::default()
                },
                message: None,
                cancel_requested: false,
                created_at: DateTime::UNIX_EPOCH,
                started_at: None,
                finished_at: None,
                read_at: DateTime::UNIX_EPOCH,
            },
            n_before: 0,
            dataset: Some((DatasetId(id), format!("shop {id}"))),
            workload: None,
            experiment_id: None,
            instrument_id: None,
            benchmark: None,
            server: None,
            waits_for: None,
            held_at: None,
            n_trials: None,
            n_recorded: 0,
        }
    }

    /// A queue of these, each behind those before it.
    fn queue(jobs: impl IntoIterator<Item = QueuedJob>) -> Queue {
        let mut queue = Queue::default();
        for job in jobs {
            let waiting = queue.jobs.iter().filter(|other| other.job.status == JobStatus::Queued);
            let n_before = waiting.count() as u64;
            queue.jobs.push(QueuedJob { n_before, ..job });
            queue.n_jobs += 1;
        }
        queue
    }

    #[test]
    fn what_waits_is_numbered_and_what_runs_shows_how_far_it_is() {
        let view = QueueView::new(&queue([
            restore(5, JobStatus::Running),
            restore(7, JobStatus::Queued),
            restore(8, JobStatus::Queued),
        ]));
        let places: Vec<&str> = view.lines.iter().map(|line| line.place.as_str()).collect();
        assert_eq!(places, ["now", "1", "2"]);
        assert_eq!(view.lines[0].percent, Some(25));
        assert_eq!(view.lines[0].what, "Restoring shop 5");
        assert_eq!(view.lines[1].href.as_deref(), Some("/datasets/7"));
    }

    #[test]
    fn of_a_long_queue_the_beginning_is_shown_and_the_rest_is_counted() {
        let jobs = |n| queue((0..n).map(|id| restore(id, JobStatus::Queued)));
        let view = QueueView::new(&jobs(30));
        assert_eq!(view.lines.len(), 25);
        assert_eq!(view.others.as_deref(), Some("Behind them 5 jobs wait."));
        assert_eq!(QueueView::new(&jobs(25)).others, None);
        // Not all of them are read.
        let longer = Queue {
            n_jobs: 5000,
            ..jobs(100)
        };
        let others = QueueView::new(&longer).others;
        assert_eq!(others.as_deref(), Some("Behind them 4\u{2009}975 jobs wait."));
    }

    #[test]
    fn what_waits_says_for_what() {
        let (running, next, last) = (
            restore(5, JobStatus::Running),
            restore(7, JobStatus::Queued),
            restore(8, JobStatus::Queued),
        );
        assert_eq!(waits_for(&queue([next.clone()]), JobId(7)), "It begins in a moment.");
        let jobs = queue([running, next, last]);
        assert!(waits_for(&jobs, JobId(7)).starts_with("It is next, and waits for restoring shop 5"));
        assert!(waits_for(&jobs, JobId(8)).starts_with("It waits for restoring shop 5 and 1 job before it"));
        let on_one_server = queue(jobs.jobs.into_iter().map(|job| QueuedJob {
            server: Some((ServerId(3), "prod".to_owned())),
            ..job
        }));
        let said = waits_for(&on_one_server, JobId(8));
        assert!(
            said.contains("restoring shop 5, which runs on the same server: prod"),
            "{said}"
        );
    }

    #[test]
    fn what_is_held_by_a_quota_says_so_and_nothing_of_its_place() {
        let mut jobs = queue([restore(5, JobStatus::Running), restore(7, JobStatus::Queued)]);
        jobs.jobs[1].held_at = Some(1);
        assert_eq!(
            waits_for(&jobs, JobId(7)),
            "It waits for another job of its account to finish: 1 job of one account may run at a time."
        );
        assert_eq!(
            QueueView::new(&jobs).lines[1].stage,
            "waiting for another job of its account"
        );
    }

    #[test]
    fn what_waits_for_a_machine_that_is_away_says_so_and_nothing_of_its_place() {
        let mut jobs = queue([restore(5, JobStatus::Running), restore(7, JobStatus::Queued)]);
        jobs.jobs[1].waits_for = Some(DatasetPlace {
            machine: "host-b".to_owned(),
            seen_at: DateTime::UNIX_EPOCH,
            is_away: true,
        });
        assert_eq!(
            waits_for(&jobs, JobId(7)),
            "It waits for the machine host-b, which has its dataset and was last seen at 1970-01-01 00:00 UTC."
        );
        assert_eq!(QueueView::new(&jobs).lines[1].stage, "waiting for the machine host-b");
    }
}
