//! The runs of one configuration, one after the other.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::model::ids::BenchmarkId;
use crate::model::user::Viewer;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Detail;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::figures;
use crate::report::benchmark::made;
use crate::report::benchmark::readings::Measure;
use crate::report::benchmark::trend;
use crate::report::benchmark::trend::TrendRow;
use crate::report::benchmark::trend::TrendValue;
use crate::report::chart::Scale;
use crate::report::compared;
use crate::report::table::Figure;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::benchmarks::chart::revision;
use crate::web::pages::benchmarks::index;
use crate::web::pages::benchmarks::measure;
use crate::web::pages::benchmarks::measure::MeasureView;
use crate::web::pages::picture::CanvasWish;
use crate::web::pages::picture::Picture;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// Runs that are shown: the newest.
const MOST: i64 = 30;

#[derive(Template)]
#[template(path = "benchmarks/trend.html")]
struct TrendPage {
    id: BenchmarkId,
    /// What all of them asked for.
    asked: String,
    percentiles: String,
    labels: Vec<String>,
    problem: Option<String>,
    /// None where nothing has a number yet.
    chart: Option<MeasureView>,
    /// Newest first.
    rows: Vec<RunView>,
}

struct RunView {
    id: BenchmarkId,
    /// Its place in the chart, from 1.
    number: usize,
    address: String,
    date: String,
    datetime: String,
    levels: Vec<LevelView>,
}

struct LevelView {
    label: String,
    values: Vec<ValueView>,
}

/// A number, and what became of it since the run before.
struct ValueView {
    value: Figure,
    /// The ratio, the verdict, the class of its mark, and whether it says that there is a difference; none for the first.
    change: Option<(Figure, &'static str, &'static str, bool)>,
}

impl RunView {
    fn new((idx, row): (usize, &TrendRow)) -> Self {
        let benchmark = &row.benchmark;
        let levels = row.levels.iter().map(|level| LevelView {
            label: level.label.clone(),
            values: level.values.iter().map(ValueView::new).collect(),
        });
        Self {
            id: benchmark.id,
            number: idx + 1,
            address: urls::benchmark(benchmark.id),
            date: view::date(benchmark.created_at),
            datetime: view::rfc3339(benchmark.created_at),
            levels: levels.collect(),
        }
    }
}

impl ValueView {
    fn new(value: &TrendValue) -> Self {
        let change = value.change.as_ref().map(|(change, judgement)| {
            let verdict = judgement.verdict;
            (
                compared::ratio(change.ratio),
                verdict.word(),
                measure::class(verdict),
                verdict.is_difference(),
            )
        });
        Self {
            value: match value.measure {
                Measure::Throughput => figures::rate(value.value),
                Measure::Percentile(_) => figures::time_with_unit(value.value),
            },
            change,
        }
    }
}

/// GET /benchmarks/{id}/trend
pub(super) async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let get = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let (percentiles, problem) = measure::percentiles(get("p"));
    let measure = measure::read(get("measure"), &percentiles);
    let (asked, history) = history(&mut *pool.acquire().await?, viewer, id, Detail::Whole).await?;
    let rows = trend::rows(&history, &percentiles)?;
    let query = query(&percentiles);
    let addresses = [urls::benchmark_part(id, "trend"), urls::benchmark_part(id, "trend.png")]
        .map(|address| format!("{address}?{query}"));
    let chart = (!history.is_empty()).then(|| {
        MeasureView::new(
            &trend::chart(&history, measure, Scale::Linear),
            measure,
            &percentiles,
            (&addresses[0], &addresses[1]),
            (
                format!("{} of each level, run by run.", measure.title()),
                "Runs from left to right, the oldest first, by their place in the table; a line for each level.",
            ),
        )
    });
    fragment::page(&TrendPage {
        id,
        asked,
        percentiles: percentiles.to_text(),
        labels: percentiles.labels(),
        problem,
        chart,
        rows: rows.iter().enumerate().rev().map(RunView::new).collect(),
    })
}

fn query(percentiles: &Percentiles) -> String {
    format!("p={}", percentiles.to_text())
}

/// What a benchmark asked for, and the runs that asked for the same, oldest first.
async fn history(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: BenchmarkId,
    detail: Detail,
) -> PageResult<(String, Vec<BenchmarkData>)> {
    let benchmark = store::benchmarks::get(&mut *conn, viewer, id).await?;
    let benchmark = benchmark.ok_or(Error::NotFound("benchmark"))?;
    let history = trend::load(conn, viewer, &benchmark.configuration, MOST, detail).await?;
    let asked = format!("{} on {}", index::load(&benchmark), benchmark.target_name);
    Ok((asked, history))
}

/// GET /benchmarks/{id}/trend.png
pub(super) async fn png(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
    headers: HeaderMap,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let get = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let (percentiles, _) = measure::percentiles(get("p"));
    let measure = measure::read(get("measure"), &percentiles);
    let (_, history) = history(&mut *state.pool.acquire().await?, viewer, id, Detail::InShort).await?;
    let wish = CanvasWish::read(&given);
    let runs: Vec<String> = history
        .iter()
        .map(|run| format!("{}-{}", run.benchmark.id, revision(&run.benchmark)))
        .collect();
    // Another run may come, so it is asked for again each time.
    let what = format!("trend {} {}", measure.title(), runs.join(" "));
    let picture = Picture::new(&what, wish, false)?;
    if let Some(answer) = picture.kept(&headers, &state.charts) {
        return Ok(answer);
    }
    let chart = trend::chart(&history, measure, Scale::Linear);
    picture
        .draw(&state.charts, move || chart.draw(&wish.canvas(chart.default_size()?)))
        .await
}
