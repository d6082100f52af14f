//! A benchmark that waits or runs, as its page shows it: one block, drawn once a second for everybody who looks.

mod look;
mod picture;
mod seconds;
pub mod watches;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse as _;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;

use self::picture::Picture;
use self::watches::Watches;
use crate::benchmark::service::Benchmarks;
use crate::model::ids::BenchmarkId;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::urls;

/// How a benchmark stands, ready to be shown.
#[derive(Template)]
#[template(path = "benchmarks/live.html")]
struct LiveView {
    is_settled: bool,
    status: &'static str,
    class: &'static str,
    is_stopping: bool,
    /// Why it waits; empty when it does not.
    waiting: String,
    /// What happens now: loading, or the level in hand.
    stage: String,
    detail: String,
    percent: Option<u64>,
    elapsed: String,
    /// Empty while it cannot be told.
    left: String,
    /// What the tiles are over.
    over: String,
    tiles: Vec<Tile>,
    pictures: Vec<Picture>,
    seconds: Vec<SecondRow>,
    levels: Vec<LevelRow>,
    interruptions: Vec<String>,
}

/// A number of the last seconds.
struct Tile {
    name: &'static str,
    value: String,
    unit: &'static str,
}

/// One second in the table.
struct SecondRow {
    time: String,
    /// The level and whether it is its warm-up.
    level: String,
    n_connected: String,
    throughput: String,
    mean: String,
    p95: String,
    p99: String,
    n_failed: String,
    n_retries: String,
    n_skipped: String,
}

/// An attempt at a level that is over.
#[derive(Clone)]
struct LevelRow {
    /// `4 clients`, with its source and attempt where there are several.
    level: String,
    status: &'static str,
    class: &'static str,
    n_transactions: String,
    throughput: String,
    mean: String,
    p95: String,
    p99: String,
    n_failed: String,
}

/// One look at a benchmark, drawn. All viewers get the very same bytes.
pub struct Frame {
    /// What stands in the tab.
    pub title: String,
    /// The block alone.
    pub block: String,
    /// The block with its title, for htmx.
    message: Bytes,
    /// The same as a server-sent event.
    event: Bytes,
    /// Nothing follows.
    pub is_settled: bool,
}

impl Frame {
    fn new(title: String, view: &LiveView) -> askama::Result<Self> {
        let block = view.render()?;
        let message = format!("<title>{title} · pgassay</title>\n{block}");
        // Such an event has its data line by line.
        let mut event = format!("event: {}\n", if view.is_settled { "done" } else { "live" });
        for line in message.lines() {
            event.extend(["data: ", line, "\n"]);
        }
        event.push('\n');
        Ok(Self {
            title,
            block,
            message: message.into(),
            event: event.into(),
            is_settled: view.is_settled,
        })
    }
}

/// GET /benchmarks/{id}/live: the newest frame, for browsers to which no events come through.
pub(super) async fn poll(
    State(benchmarks): State<Benchmarks>,
    State(watches): State<Watches>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    hx.require_fragment_of(&urls::benchmark(id))?;
    benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    let frame = watches.frame(viewer, id).await.ok_or(Error::NotFound("benchmark"))?;
    let mut response = Html(frame.message.clone()).into_response();
    if frame.is_settled {
        // The page has more to show now.
        let refresh = HeaderValue::from_static("true");
        response.headers_mut().insert("hx-refresh", refresh);
    }
    Ok(response)
}

/// GET /benchmarks/{id}/stream: every frame as a server-sent event, the newest at once, until nothing follows.
pub(super) async fn stream(
    State(benchmarks): State<Benchmarks>,
    State(watches): State<Watches>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    let frames = watches.frames(viewer, id);
    let events = frames.map(|frame| Ok::<Bytes, std::convert::Infallible>(frame.event.clone()));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would keep events back until it has a buffer full.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}
