//! The door for programs: what people do on pages, by JSON, and the progress of benchmarks by WebSocket. The pages' own services
//! answer.

mod answers;
mod auth;
mod benchmarks;
mod body;
mod datasets;
mod docs;
mod experiments;
mod idempotency;
mod kind;
pub mod openapi;
mod own;
mod paging;
mod refusals;
mod socket;
mod sources;
#[cfg(test)]
mod tests;
pub mod updates;
mod wishes;
mod workloads;

use axum::Router;

use crate::web::error;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(benchmarks::router())
        .merge(experiments::router())
        .merge(sources::router())
        .merge(datasets::router())
        .merge(workloads::router())
        .merge(auth::router())
        .merge(socket::router())
        .merge(openapi::router())
        .merge(docs::router())
        .method_not_allowed_fallback(error::wrong_method)
}
