//! The door for programs: benchmarks by JSON, and their progress by WebSocket. The pages' own services answer.

mod answers;
mod benchmarks;
mod body;
mod idempotency;
mod paging;
mod socket;
#[cfg(test)]
mod tests;
pub mod updates;

use axum::Router;

use crate::web::error;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(benchmarks::router())
        .merge(socket::router())
        .method_not_allowed_fallback(error::wrong_method)
}
