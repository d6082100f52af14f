//! The page of one benchmark: how it stands, then what it came to.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::benchmark::service::Benchmarks;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Objective;
use crate::model::benchmark::Pace;
use crate::model::filing::Filed;
use crate::model::ids::BenchmarkId;
use crate::model::job::Interrupted;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::units::seconds_in_words;
use crate::model::user::Viewer;
use crate::report::benchmark::BenchmarkData;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::benchmarks::chart::ViewParams;
use crate::web::pages::benchmarks::live::Frame;
use crate::web::pages::benchmarks::result::ResultView;
use crate::web::pages::filing::FilingView;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Standing;
use crate::web::state::AppState;
use crate::web::urls;

#[derive(Template)]
#[template(path = "benchmarks/show.html", blocks = ["chart"])]
struct ShowPage {
    id: BenchmarkId,
    title: String,
    target: String,
    /// What was asked, in a sentence.
    asked: String,
    dataset_address: Option<String>,
    is_quick: bool,
    standing: Standing,
    filing: FilingView,
    body: Body,
}

/// What stands below the head.
enum Body {
    /// While it waits or runs: the block that everybody sees.
    Live(Arc<Frame>),
    Result(Box<ResultPart>),
}

struct ResultPart {
    status: &'static str,
    class: &'static str,
    took: String,
    headline: String,
    message: String,
    /// What was to be kept to, whether it was, and the class of the mark.
    objective: Option<(Objective, &'static str, &'static str)>,
    interruptions: Vec<String>,
    view: ResultView,
}

impl ShowPage {
    fn result(&self) -> Option<&ResultPart> {
        match &self.body {
            Body::Live(_) => None,
            Body::Result(part) => Some(part),
        }
    }

    fn live(&self) -> Option<&Frame> {
        match &self.body {
            Body::Live(frame) => Some(frame),
            Body::Result(_) => None,
        }
    }

    async fn load(
        conn: &mut PgConnection,
        viewer: Viewer,
        benchmark: &Benchmark,
        title: String,
        body: Body,
    ) -> Result<Self, Error> {
        let id = benchmark.id;
        let standing = Standing::load(&mut *conn, viewer, Filed::Benchmark(id)).await?;
        let beside = [benchmark.dataset_id.map(Filed::Dataset)];
        let [dataset_address] = sharing::addresses(conn, viewer, beside).await?;
        Ok(Self {
            id,
            title,
            target: benchmark.target_name.clone(),
            asked: asked(&benchmark.spec),
            dataset_address,
            is_quick: benchmark.spec.is_quick,
            filing: FilingView::new(Filed::Benchmark(id), &benchmark.filing, &standing),
            standing,
            body,
        })
    }
}

/// `point reads by 2, 4 clients, 10 s each after 2 s to warm up`.
fn asked(spec: &BenchmarkSpec) -> String {
    let clients: Vec<String> = spec.n_clients.iter().map(u32::to_string).collect();
    let in_words = |ms: u64| {
        #[expect(clippy::cast_precision_loss, reason = "shown in two digits")]
        let seconds = ms as f64 / 1000.0;
        seconds_in_words(seconds)
    };
    let mut words = vec![
        format!("{} by {}", spec.mix.operation.in_words(), clients.join(", ")),
        if spec.n_clients == [1] {
            " client, "
        } else {
            " clients, "
        }
        .to_owned(),
        format!("{} each", in_words(spec.duration_ms)),
    ];
    if spec.warm_up_ms > 0 {
        words.push(format!(" after {} to warm up", in_words(spec.warm_up_ms)));
    }
    if let Pace::Rate { per_s, .. } = spec.pace {
        words.push(format!(", at {per_s} transactions a second"));
    }
    if !spec.sources.is_empty() {
        let n_sources = spec.sources.len() as u64;
        let sources = counted(n_sources, "source of statistics", "sources of statistics");
        words.push(format!(", under {sources}"));
    }
    words.concat()
}

/// GET /benchmarks/{id}
pub(super) async fn show(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let benchmark = state.benchmarks.get(viewer, id).await?;
    let benchmark = benchmark.ok_or(Error::NotFound("benchmark"))?;
    if !benchmark.job.status.is_settled() {
        let frame = state
            .watches
            .frame(viewer, id)
            .await
            .ok_or(Error::NotFound("benchmark"))?;
        let title = frame.title.clone();
        let mut conn = state.pool.acquire().await?;
        return fragment::page(&ShowPage::load(&mut conn, viewer, &benchmark, title, Body::Live(frame)).await?);
    }
    let params = ViewParams::read(&given);
    fragment::page(&settled(&mut *state.pool.acquire().await?, viewer, id, &params).await?)
}

/// GET /benchmarks/{id}/chart: the section alone, for the switches.
pub(super) async fn chart(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<BenchmarkId>,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let params = ViewParams::read(&given);
    hx.require_fragment_of(&format!("{}?{}", urls::benchmark(id), params.to_query()))?;
    let page = settled(&mut *state.pool.acquire().await?, viewer, id, &params).await?;
    fragment::page(&page.as_chart())
}

/// The page of a benchmark that is over.
async fn settled(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: BenchmarkId,
    params: &ViewParams,
) -> PageResult<ShowPage> {
    let data = BenchmarkData::load_with(&mut *conn, viewer, id, params.detail()).await?;
    let data = data.ok_or(Error::NotFound("benchmark"))?;
    let (benchmark, job) = (&data.benchmark, &data.benchmark.job);
    let interruptions = store::jobs::list_interruptions(&mut *conn, viewer, job.id).await?;
    let objective = benchmark.spec.objective.map(|objective| match benchmark.is_met {
        Some(true) => (objective, "met", "good"),
        Some(false) => (objective, "not met", "bad"),
        None => (objective, "not known", "waiting"),
    });
    let part = ResultPart {
        status: job.status.word(),
        class: crate::web::view::status_class(job.status),
        took: job.elapsed_s().map(seconds_in_words).unwrap_or_default(),
        headline: benchmark.headline.clone().unwrap_or_default(),
        message: job.message.clone().unwrap_or_default(),
        objective,
        interruptions: interruptions.iter().map(Interrupted::in_words).collect(),
        view: ResultView::new(&data, params)?,
    };
    let title = format!("Benchmark {id}");
    ShowPage::load(conn, viewer, benchmark, title, Body::Result(Box::new(part))).await
}

/// Asked before anything is removed.
#[derive(Template)]
#[template(path = "benchmarks/delete.html")]
struct DeletePage {
    id: BenchmarkId,
    what: String,
}

/// GET /benchmarks/{id}/delete
pub(super) async fn delete_form(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    sharing::require_own(&mut *pool.acquire().await?, viewer, Filed::Benchmark(id)).await?;
    let benchmark = benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    fragment::page(&DeletePage {
        id,
        what: format!("{} on {}", asked(&benchmark.spec), benchmark.target_name),
    })
}

/// POST /benchmarks/{id}/delete
pub(super) async fn delete(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    sharing::require_own(&mut *pool.acquire().await?, viewer, Filed::Benchmark(id)).await?;
    let benchmark = benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    if !benchmarks.delete(viewer, id).await? {
        let word = match benchmark.job.status {
            JobStatus::Queued => "waits",
            _ => "runs",
        };
        return Err(Error::refused(format!("Benchmark {id} still {word}. Stop it first.")));
    }
    Ok(hx.redirect(urls::BENCHMARKS))
}
