//! Benchmarks: the form, the list, the page of one while it runs and when it is over, and what several come to.

mod chart;
mod compare;
mod index;
pub mod live;
mod measure;
mod new;
mod result;
mod show;
mod sparkline;
#[cfg(test)]
mod tests;
mod trend;

use std::collections::HashMap;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use sqlx::PgPool;

use crate::benchmark::service::Benchmarks;
use crate::model::filing::Filed;
use crate::model::ids::BenchmarkId;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::export;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::pages::results::FileAnswer;
use crate::web::pages::sharing;
use crate::web::state::AppState;
use crate::web::urls;

/// A form with programs is longer than others.
const FORM_BYTES: usize = 4 << 20;

pub fn router() -> Router<AppState> {
    let forms = Router::new()
        .route(urls::BENCHMARKS, get(index::index).post(new::create))
        .route(urls::BENCHMARKS_CHECK, post(new::check))
        .route(urls::BENCHMARKS_PROGRAM, post(new::add_program))
        .layer(DefaultBodyLimit::max(FORM_BYTES));
    Router::new()
        .merge(forms)
        .route(urls::BENCHMARKS_NEW, get(new::new))
        .route(urls::BENCHMARKS_COMPARE, get(compare::show))
        .route(urls::BENCHMARKS_COMPARE_CHART, get(compare::png))
        .route("/benchmarks/{id}", get(show::show))
        .route("/benchmarks/{id}/live", get(live::poll))
        .route("/benchmarks/{id}/stream", get(live::stream))
        .route("/benchmarks/{id}/chart", get(show::chart))
        .route("/benchmarks/{id}/chart.png", get(chart::png))
        .route("/benchmarks/{id}/trend", get(trend::show))
        .route("/benchmarks/{id}/trend.png", get(trend::png))
        .route("/benchmarks/{id}/stop", post(stop))
        .route("/benchmarks/{id}/delete", get(show::delete_form).post(show::delete))
        .route("/benchmarks/{id}/{file}", get(download))
}

/// What pages about one benchmark are headed.
pub fn heading(id: BenchmarkId) -> String {
    format!("Benchmark {id}")
}

/// POST /benchmarks/{id}/stop
async fn stop(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    sharing::require_own(&mut *pool.acquire().await?, viewer, Filed::Benchmark(id)).await?;
    benchmarks.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::benchmark(id)))
}

/// GET /benchmarks/{id}/levels.csv, and so on: one for each kind of file
async fn download(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path((id, name)): Path<(String, String)>,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let kind = export::find(&name).ok_or(Error::NotFound("file"))?;
    let id: BenchmarkId = id.parse().map_err(|_| Error::NotFound("benchmark"))?;
    let data = BenchmarkData::load(&mut *pool.acquire().await?, viewer, id).await?;
    let data = data.ok_or(Error::NotFound("benchmark"))?;
    let (percentiles, _) = measure::percentiles(given.get("p").map(String::as_str).unwrap_or_default());
    let file_name = kind.file_name(&data);
    let writing = tokio::task::spawn_blocking(move || kind.write(&data, &percentiles));
    let bytes = writing.await.map_err(anyhow::Error::new)??;
    let file = FileAnswer {
        name: &file_name,
        media_type: kind.media_type,
        is_read: kind.is_read,
    };
    file.with(bytes)
}
