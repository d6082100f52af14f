//! Benchmarks: the form, the list, the page of one while it runs and when it is over, and what several come to.

mod chart;
mod index;
pub mod live;
mod new;
mod result;
mod show;
mod sparkline;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use crate::benchmark::service::Benchmarks;
use crate::model::ids::BenchmarkId;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::state::AppState;
use crate::web::urls;

/// A form with programs is longer than others.
const FORM_BYTES: usize = 4 << 20;

pub fn router() -> Router<AppState> {
    let forms = Router::new()
        .route(urls::BENCHMARKS, get(index::index).post(new::create))
        .route(urls::BENCHMARKS_CHECK, post(new::check))
        .route(urls::BENCHMARKS_PROGRAM, post(new::add_program))
        .route(urls::BENCHMARKS_SOURCES, post(new::sources))
        .layer(DefaultBodyLimit::max(FORM_BYTES));
    Router::new()
        .merge(forms)
        .route(urls::BENCHMARKS_NEW, get(new::new))
        .route("/benchmarks/{id}", get(show::show))
        .route("/benchmarks/{id}/live", get(live::poll))
        .route("/benchmarks/{id}/stream", get(live::stream))
        .route("/benchmarks/{id}/chart", get(show::chart))
        .route("/benchmarks/{id}/chart.png", get(chart::png))
        .route("/benchmarks/{id}/stop", post(stop))
        .route("/benchmarks/{id}/delete", get(show::delete_form).post(show::delete))
}

/// What pages about one benchmark are headed.
pub fn heading(id: BenchmarkId) -> String {
    format!("Benchmark {id}")
}

/// POST /benchmarks/{id}/stop
async fn stop(
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<BenchmarkId>,
) -> PageResult<Response> {
    benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    benchmarks.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::benchmark(id)))
}
