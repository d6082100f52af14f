//! The first page: what runs, what came out lately, and what to do next.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::benchmark::Benchmark;
use crate::model::experiment::Experiment;
use crate::store;
use crate::store::finding::Filter;
use crate::store::finding::Stretch;
use crate::web::error::Error;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::queue::QueueView;
use crate::web::state::AppState;
use crate::web::state::Samples;
use crate::web::urls;
use crate::web::view;

/// Experiments shown; the list of results has them all.
const LATEST: u32 = 8;
/// Benchmarks shown; their list has them all.
const LATEST_BENCHMARKS: u32 = 3;

pub fn router() -> Router<AppState> {
    Router::new().route(urls::DASHBOARD, get(show))
}

#[derive(Template)]
#[template(path = "dashboard/show.html")]
struct ShowPage {
    queue: QueueView,
    latest: Vec<LatestLine>,
    n_experiments: u64,
    benchmarks: Vec<BenchmarkLine>,
    may_launch: bool,
    /// None for those who only look.
    steps: Vec<Step>,
    offers_sample: bool,
}

struct LatestLine {
    href: String,
    n: String,
    word: &'static str,
    class: &'static str,
    dataset: String,
    workload: String,
    sources: String,
    headline: String,
    date: String,
    at: String,
}

/// One of the latest benchmarks.
struct BenchmarkLine {
    href: String,
    n: String,
    word: &'static str,
    class: &'static str,
    target: String,
    headline: String,
    date: String,
    at: String,
}

/// One of the first steps. The first that is not done comes next.
struct Step {
    title: &'static str,
    text: &'static str,
    action: &'static str,
    href: String,
    class: &'static str,
}

/// GET /
async fn show(
    State(pool): State<PgPool>,
    State(samples): State<Samples>,
    CurrentUser(viewer): CurrentUser,
) -> Result<Response, Error> {
    let mut conn = pool.acquire().await?;
    let queue = store::jobs::list_unsettled(&mut conn, viewer, None).await?;
    let experiments = store::experiments::list_newest(&mut conn, viewer, LATEST).await?;
    // Whether there is one, and the newest.
    let datasets = store::datasets::list_before(&mut conn, viewer, None, 1).await?;
    let workloads = store::workloads::list_before(&mut conn, viewer, None, 1).await?;
    let newest = Stretch {
        limit: LATEST_BENCHMARKS,
        offset: 0,
    };
    let benchmarks = store::finding::benchmarks(&mut conn, viewer, &Filter::default(), newest).await?;
    let benchmarks = store::benchmarks::list_by_ids(&mut conn, viewer, &benchmarks.ids).await?;
    let n_experiments = store::experiments::count(&mut conn, viewer).await?;
    let may_launch = viewer.role.may_change();
    let has = [!datasets.is_empty(), !workloads.is_empty(), n_experiments > 0];
    let experiment_href = urls::experiment_on(
        datasets.first().map(|dataset| dataset.id),
        workloads.first().map(|workload| workload.id),
    );
    fragment::page(&ShowPage {
        queue: QueueView::new(&queue),
        latest: experiments.iter().map(LatestLine::new).collect(),
        n_experiments,
        benchmarks: benchmarks.iter().map(BenchmarkLine::new).collect(),
        may_launch,
        steps: if may_launch {
            steps(has, experiment_href)
        } else {
            Vec::new()
        },
        offers_sample: samples.0.is_some() && datasets.is_empty(),
    })
}

impl LatestLine {
    fn new(experiment: &Experiment) -> Self {
        let status = experiment.job.status;
        Self {
            href: urls::result(experiment.id),
            n: experiment.id.to_string(),
            word: status.word(),
            class: view::status_class(status),
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            sources: experiment.spec.sources_in_words(),
            headline: experiment.said().unwrap_or_default().to_owned(),
            date: view::date(experiment.created_at),
            at: view::rfc3339(experiment.created_at),
        }
    }
}

impl BenchmarkLine {
    fn new(benchmark: &Benchmark) -> Self {
        let job = &benchmark.job;
        let said = benchmark.headline.clone().or_else(|| job.message.clone());
        Self {
            href: urls::benchmark(benchmark.id),
            n: benchmark.id.to_string(),
            word: job.status.word(),
            class: view::status_class(job.status),
            target: benchmark.target_name.clone(),
            headline: said.unwrap_or_default(),
            date: view::date(benchmark.created_at),
            at: view::rfc3339(benchmark.created_at),
        }
    }
}

/// The way from nothing to a first result; empty once all of it is done.
fn steps(has: [bool; 3], experiment_href: String) -> Vec<Step> {
    if has.iter().all(|done| *done) {
        return Vec::new();
    }
    let next = has.iter().position(|done| !done);
    let class = |step: usize| match (has[step], next == Some(step)) {
        (true, _) => "done",
        (false, true) => "next",
        (false, false) => "later",
    };
    vec![
        Step {
            title: "Upload a dump",
            text: "What pg_dump writes: plain SQL, custom or tar. It is restored into a PostgreSQL server of its own.",
            action: "Upload a dump",
            href: urls::UPLOAD.to_owned(),
            class: class(0),
        },
        Step {
            title: "Upload your queries",
            text: "A file of SQL statements, or a few pasted lines. Each is checked against the dataset, never run.",
            action: "Upload queries",
            href: urls::UPLOAD.to_owned(),
            class: class(1),
        },
        Step {
            title: "Run an experiment",
            text: "Choose where the planner's statistics come from. Every query is measured under each of them.",
            action: "New experiment",
            href: experiment_href,
            class: class(2),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_that_is_not_done_is_next_and_all_go_when_done() {
        let classes = |has| -> Vec<&'static str> { steps(has, String::new()).iter().map(|step| step.class).collect() };
        assert_eq!(classes([false, false, false]), ["next", "later", "later"]);
        assert_eq!(classes([false, true, false]), ["next", "done", "later"]);
        assert_eq!(classes([true, true, false]), ["done", "done", "next"]);
        assert!(classes([true, true, true]).is_empty());
    }
}
