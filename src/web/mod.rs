//! The web door: addresses, pages and their fragments, and the layers that every request passes.

mod api;
mod assets;
mod cookies;
mod cors;
mod error;
mod extract;
mod fragment;
mod middleware;
mod pages;
mod rules;
mod sent;
pub mod state;
mod urls;
mod view;

pub use api::openapi::document as openapi;
pub use middleware::identity::Peer;
pub use state::AppState;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tower_http::catch_panic::CatchPanicLayer;

use crate::web::middleware::pace::Pace;

/// Forms are small; the upload of a dump has its own limit.
const FORM_BYTES: usize = 256 * 1024;

/// Everything that can be asked for.
pub fn router(state: AppState) -> Router {
    let pages = assets::router().merge(pages::router()).fallback(error::not_found);
    let pages = guarded(pages, &state).layer(cors::of_pages(&state.gate));
    let api = guarded(api::router(), &state).layer(cors::of_api(&state.gate));
    pages
        .merge(cors::open(api, &state.gate))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::host::check,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::count::count,
        ))
        .layer(axum::middleware::from_fn(middleware::preferences::know))
        .layer(axum::middleware::from_fn(middleware::headers::add))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::headers::keep_to_https,
        ))
        .with_state(state)
}

/// With what every request passes that is no other site's doing.
fn guarded(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    router
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(axum::middleware::from_fn_with_state(
            state.streams.clone(),
            middleware::streams::count,
        ))
        .layer(axum::middleware::from_fn_with_state(
            Pace::default(),
            middleware::pace::keep,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::limits::keep,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::uploads::keep,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::audit::note,
        ))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            middleware::identity::know,
        ))
}
