//! The web door: addresses, pages and their fragments, and the layers that every request passes.

mod api;
mod assets;
mod cookies;
mod error;
mod extract;
mod fragment;
mod middleware;
mod pages;
mod sent;
pub mod state;
mod urls;
mod view;

pub use api::openapi::document as openapi;
pub use middleware::identity::Peer;
pub use state::AppState;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;

use crate::web::middleware::pace::Pace;

/// Forms are small; the upload of a dump has its own limit.
const FORM_BYTES: usize = 256 * 1024;

/// Everything that can be asked for.
pub fn router(state: AppState) -> Router {
    Router::new()
        .merge(assets::router())
        .merge(pages::router())
        .merge(api::router())
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(axum::middleware::from_fn_with_state(
            Pace::default(),
            middleware::pace::keep,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::audit::note,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::identity::know,
        ))
        .layer(CsrfLayer::new().with_rejection_response(|_| error::foreign().into_response()))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::host::check,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::count::count,
        ))
        .layer(axum::middleware::from_fn(middleware::headers::add))
        .with_state(state)
}
