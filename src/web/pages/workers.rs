//! Who takes work from this store: a list.

use std::collections::BTreeSet;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::ids::WorkerId;
use crate::model::job::JobKind;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::seconds_in_words;
use crate::model::worker::Presence;
use crate::model::worker::Worker;
use crate::store;
use crate::store::workers::Doing;
use crate::web::error::Error;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new().route(urls::WORKERS, get(index))
}

#[derive(Template)]
#[template(path = "workers/index.html")]
struct IndexPage {
    rows: Vec<WorkerRow>,
    warnings: Vec<String>,
}

struct WorkerRow {
    name: String,
    word: &'static str,
    class: &'static str,
    /// When it was last heard of, where that is news.
    seen: String,
    doing: String,
    sandboxes: &'static str,
    n_processors: u32,
    version: String,
    clock_offset: String,
    clock_error: String,
    datetime: String,
    date: String,
}

/// GET /workers
async fn index(State(pool): State<PgPool>, CurrentUser(_): CurrentUser) -> Result<Response, Error> {
    let mut conn = pool.acquire().await?;
    let workers = store::workers::list(&mut conn).await?;
    let doing = store::workers::list_doing(&mut conn).await?;
    drop(conn);
    fragment::page(&IndexPage {
        rows: workers.iter().map(|worker| row(worker, &doing)).collect(),
        warnings: warnings(&workers),
    })
}

fn row(worker: &Worker, doing: &[(WorkerId, Doing)]) -> WorkerRow {
    let about = &worker.about;
    let presence = worker.presence();
    let (word, class) = match presence {
        Presence::Here => ("here", "good"),
        Presence::Left => ("left", "stopped"),
        Presence::Silent => ("lost", "bad"),
    };
    let doing: Vec<String> = doing
        .iter()
        .filter(|(id, _)| *id == worker.id && presence == Presence::Here)
        .map(|(_, doing)| in_words(doing))
        .collect();
    WorkerRow {
        name: about.name.clone(),
        word,
        class,
        seen: match presence {
            Presence::Here => String::new(),
            Presence::Left => format!("{} ago", seconds_in_words(since_s(worker))),
            Presence::Silent => format!("silent for {}", seconds_in_words(worker.silent_s())),
        },
        doing: match (doing.is_empty(), presence) {
            (true, Presence::Here) => "nothing".to_owned(),
            (true, _) => String::new(),
            (false, _) => doing.join(", "),
        },
        sandboxes: if about.can_run_sandboxes {
            "yes"
        } else {
            "no, it makes load only"
        },
        n_processors: about.n_processors,
        version: about.version.clone(),
        clock_offset: ahead(about.clock.offset_ms),
        clock_error: ms_in_words(about.clock.error_ms),
        datetime: view::rfc3339(worker.started_at),
        date: view::date(worker.started_at),
    }
}

/// `1.25 ms`, or `−1.25 ms` of a clock that is behind.
fn ahead(offset_ms: f64) -> String {
    let sign = if offset_ms < 0.0 { "−" } else { "" };
    format!("{sign}{}", ms_in_words(offset_ms.abs()))
}

/// Seconds since it left.
fn since_s(worker: &Worker) -> f64 {
    let left_at = worker.left_at.unwrap_or(worker.heartbeat_at);
    let since = worker.read_at.signed_duration_since(left_at);
    since.to_std().unwrap_or_default().as_secs_f64()
}

fn in_words(doing: &Doing) -> String {
    match doing {
        Doing::Job { kind } => match kind {
            JobKind::Restore => "a restore".to_owned(),
            JobKind::Check => "a check of a workload".to_owned(),
            JobKind::Experiment => "an experiment".to_owned(),
            JobKind::Instrument => "an instrument".to_owned(),
            JobKind::Benchmark => "a benchmark".to_owned(),
        },
        Doing::Share { n_clients } => format!("a share of {}", counted((*n_clients).into(), "client", "clients")),
    }
}

/// What keeps workers from working together.
fn warnings(workers: &[Worker]) -> Vec<String> {
    let here = workers.iter().filter(|worker| worker.presence() == Presence::Here);
    let versions: BTreeSet<&str> = here.map(|worker| worker.about.version.as_str()).collect();
    if versions.len() < 2 {
        return Vec::new();
    }
    let versions: Vec<&str> = versions.into_iter().collect();
    vec![format!(
        "The workers are of different versions of pgassay ({}). Load is shared among those of one version only.",
        versions.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use chrono::TimeDelta;

    use super::*;
    use crate::model::worker::ClockOffset;
    use crate::model::worker::NewWorker;

    fn worker(id: i64, version: &str) -> Worker {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
        Worker {
            id: WorkerId(id),
            about: NewWorker {
                name: format!("host:{id}"),
                machine: "host".to_owned(),
                version: version.to_owned(),
                n_processors: 2,
                can_run_sandboxes: id == 1,
                home: "home".to_owned(),
                clock: ClockOffset {
                    offset_ms: -1.25,
                    error_ms: 0.5,
                },
            },
            started_at: DateTime::UNIX_EPOCH,
            heartbeat_at: now,
            left_at: None,
            read_at: now,
        }
    }

    #[test]
    fn a_row_says_who_is_here_and_what_for() {
        let doing = [(WorkerId(2), Doing::Share { n_clients: 20 })];
        let idle = row(&worker(1, "1"), &doing);
        assert_eq!(
            (idle.word, idle.doing.as_str(), idle.sandboxes),
            ("here", "nothing", "yes")
        );
        let busy = row(&worker(2, "1"), &doing);
        assert_eq!(
            (busy.doing.as_str(), busy.clock_offset.as_str()),
            ("a share of 20 clients", "−1.25 ms")
        );
        let mut lost = worker(2, "1");
        lost.heartbeat_at -= TimeDelta::seconds(60);
        let lost = row(&lost, &doing);
        assert_eq!((lost.word, lost.doing.as_str()), ("lost", ""));
        assert_eq!(lost.seen, "silent for 60 s");
    }

    #[test]
    fn workers_of_different_versions_are_warned_of_while_they_are_here() {
        let mut old = worker(1, "0.1");
        assert_eq!(warnings(&[worker(2, "0.2"), old.clone()]).len(), 1);
        old.left_at = Some(old.read_at);
        assert!(warnings(&[worker(2, "0.2"), old]).is_empty());
    }
}
