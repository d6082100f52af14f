//! The door for programs: experiments and benchmarks by JSON, and the progress of benchmarks by WebSocket. The pages' own services answer.

mod answers;
mod benchmarks;
mod body;
mod experiments;
mod idempotency;
mod paging;
mod refusals;
mod socket;
mod sources;
#[cfg(test)]
mod tests;
pub mod updates;

use axum::Router;

use crate::web::error;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(benchmarks::router())
        .merge(experiments::router())
        .merge(sources::router())
        .merge(socket::router())
        .method_not_allowed_fallback(error::wrong_method)
}
