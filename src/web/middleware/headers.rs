//! A number for every request, and the headers that keep a browser on our side.

use std::fmt;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use rand::TryRng as _;
use tracing::Instrument as _;
use tracing::error_span;

use crate::web::fragment::Hx;
use crate::web::middleware::access_line::AccessLine;
use crate::web::middleware::spanned::Spanned;
use crate::web::state::Gate;
use crate::web::urls;

/// `reliability.md`, W3.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                   connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Where browsers come by HTTPS they shall not come otherwise, for two years (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Says to nginx, and to others that know its word, whether to gather what is sent before they hand it on.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long the server took, in milliseconds and by part (W3C Server Timing): browsers show it, `make bench` reads it.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Names the request to whoever sent it, as the log names it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names a request in the log and on the page that says it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

/// What an answer looks like that has no handler of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Page,
    /// A part of a page, for htmx.
    Fragment,
    /// For programs.
    Json,
}

impl Face {
    fn of(request: &Request) -> Self {
        if urls::is_for_programs(request.uri().path()) {
            Self::Json
        } else if Hx::of(request.headers()).is_fragment {
            Self::Fragment
        } else {
            Self::Page
        }
    }

    /// What the request that is being answered expects; a page outside of one.
    pub fn current() -> Self {
        CURRENT.try_with(|current| current.face).unwrap_or(Self::Page)
    }
}

/// What errors need to know of the request they answer.
#[derive(Clone, Copy)]
struct Current {
    id: RequestId,
    face: Face,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl RequestId {
    /// The number of the request that is being answered; zero outside of one.
    pub fn current() -> Self {
        CURRENT.try_with(|current| current.id).unwrap_or(Self(0))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Has browsers stay with HTTPS where they come by it: as is configured, and not as a header says that anybody can send.
pub async fn keep_to_https(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if gate.is_https {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

/// Numbers the request, runs it, and adds the headers that are not there yet. Every line that is logged for it, until its
/// answer is sent whole, carries its number.
pub async fn add(request: Request, next: Next) -> Response {
    let current = Current {
        // Zero when the system has no randomness left, which only makes it harder to find in the log.
        id: RequestId(rand::rngs::SysRng.try_next_u64().unwrap_or(0)),
        face: Face::of(&request),
    };
    // Of the highest level, which is logged whatever is left out: a line without its request is worth little.
    let span = error_span!("request", request.id = %current.id);
    let line = AccessLine::of(&request);
    let started = Instant::now();
    let answering = CURRENT.scope(current, next.run(request));
    let response = answering.instrument(span.clone()).await;
    span.in_scope(|| line.log(response.status(), started.elapsed()));
    let mut response = response.map(|body| Body::new(Spanned::new(body, span)));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(format!("total;dur={:.3}", started.elapsed().as_secs_f64() * 1000.0)) {
        headers.append(SERVER_TIMING, value);
    }
    if let Ok(value) = HeaderValue::try_from(current.id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in HEADERS {
        headers.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    let is_of = |kind: &str| {
        let said = headers.get(header::CONTENT_TYPE).and_then(|said| said.to_str().ok());
        said.is_some_and(|said| said.starts_with(kind))
    };
    let (is_html, is_stream) = (is_of("text/html"), is_of("text/event-stream"));
    if is_stream {
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
    }
    if is_html {
        headers
            .entry(header::VARY)
            .or_insert(HeaderValue::from_static("hx-request"));
    }
    if is_html || current.face == Face::Json {
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn proxies_are_told_to_hand_events_on_as_they_come() {
        let of_kind = |kind: &'static str| get(move || async move { [(header::CONTENT_TYPE, kind)] });
        let router = Router::new()
            .route("/events", of_kind("text/event-stream"))
            .route("/page", of_kind("text/html; charset=utf-8"))
            .layer(axum::middleware::from_fn(add));
        for (path, said) in [("/events", Some("no")), ("/page", None)] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let header = response.headers().get(BUFFERING);
            assert_eq!(header.map(HeaderValue::as_bytes), said.map(str::as_bytes), "{path}");
        }
    }
}
