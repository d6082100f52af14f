//! One file for each page with its fragments.

mod chart;
pub mod chart_cache;
mod experiment;
mod health;
mod progress;
mod query;
mod results;

use axum::Router;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(health::router())
        .merge(experiment::router())
        .merge(results::router())
        .merge(query::router())
        .merge(chart::router())
}
