//! Other sites: what their web pages may make a browser send. Pages take nothing from them; the API takes what comes with a
//! token from those that are listed, and never a cookie.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use tower_http::cors::AllowOrigin;
use tower_http::cors::CorsLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::csrf::ProtectionError;
use tracing::warn;

use crate::web::error;
use crate::web::state::AppState;
use crate::web::state::Gate;

/// How long a browser may rely on what it was told of the API.
const KNOWN_FOR: Duration = Duration::from_mins(10);

type Refusal = fn(ProtectionError) -> Response;

/// Refuses what another site's page makes a browser send to a page.
pub fn of_pages(gate: &Gate) -> CsrfLayer<Refusal> {
    trusting(gate.public_origin.as_deref().into_iter())
}

/// The same for the API, to which listed sites may send, too: `identity` then asks them for a token.
pub fn of_api(gate: &Gate) -> CsrfLayer<Refusal> {
    let listed = gate.cors_origins.iter().map(String::as_str);
    trusting(gate.public_origin.as_deref().into_iter().chain(listed))
}

fn trusting<'a>(origins: impl Iterator<Item = &'a str>) -> CsrfLayer<Refusal> {
    let refusal: Refusal = |_| error::foreign().into_response();
    let layer = origins.fold(CsrfLayer::new(), |layer, origin| {
        layer.clone().add_trusted_origin(origin).unwrap_or_else(|error| {
            // Not trusting it is the safe side.
            warn!("The origin {origin} cannot be trusted: {error}");
            layer
        })
    });
    layer.with_rejection_response(refusal)
}

/// Tells browsers which sites may call the API, and how. Nothing is said where none are listed.
pub fn open(api: Router<AppState>, gate: &Gate) -> Router<AppState> {
    if gate.cors_origins.is_empty() {
        return api;
    }
    let origins: Vec<HeaderValue> = gate
        .cors_origins
        .iter()
        .filter_map(|origin| HeaderValue::try_from(origin).ok())
        .collect();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_RANGE,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([
            header::CONTENT_DISPOSITION,
            header::CONTENT_RANGE,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("upload-offset"),
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(KNOWN_FOR);
    api.layer(cors)
}

/// Whether another site's page sent this, one that is listed.
pub fn is_from_listed(headers: &HeaderMap, gate: &Gate) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers alone can say that, and never of another site.
    let is_ours = text("sec-fetch-site") == Some("same-origin");
    let is_listed = |origin: &str| gate.cors_origins.iter().any(|listed| listed == origin);
    !is_ours && text("origin").is_some_and(is_listed)
}
