//! A new experiment, and how far it is.

mod follow;
mod new;
pub mod sources;

use axum::Router;
use axum::routing::get;
use axum::routing::post;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/experiment", get(new::new).post(new::create))
        .route("/experiment/check", post(new::check))
        .route("/experiment/queries", get(new::queries))
        .route("/experiment/sources", post(new::sources))
        .route("/experiment/status/{id}", get(follow::status))
        .route("/results/{id}/status", get(follow::status))
        .route("/experiment/stream/{id}", get(follow::stream))
        .route("/experiment/stream", get(follow::stream_newest))
}
