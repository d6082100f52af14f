//! One file for each page with its fragments.

pub mod chart_cache;
mod dashboard;
mod datasets;
mod health;
mod queue;
mod upload;
mod workloads;

use axum::Router;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(health::router())
        .merge(dashboard::router())
        .merge(queue::router())
        .merge(upload::router())
        .merge(datasets::router())
        .merge(workloads::router())
}
