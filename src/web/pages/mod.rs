//! One file for each page with its fragments.

pub mod chart_cache;
mod health;

use axum::Router;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new().merge(health::router())
}
