//! Whether we live, whether we can work, and what we have counted: for whoever watches over processes.

use std::fmt::Write as _;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::condition::Condition;
use crate::condition::readiness::Check;
use crate::metrics;
use crate::web::error::Error;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
}

/// GET /healthz: this process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct ReadinessBody {
    is_ready: bool,
    checks: Vec<CheckBody>,
}

#[derive(Serialize)]
struct CheckBody {
    name: &'static str,
    is_ok: bool,
    /// What is wrong and what to do; null when nothing is.
    message: Option<String>,
}

/// GET /readyz: what work needs is there, or what of it is not and what to do. A line for each, or JSON for those who ask
/// for it.
async fn readyz(State(condition): State<Condition>, headers: HeaderMap) -> Response {
    let checks = condition.readiness().await;
    let is_ready = checks.iter().all(|check| check.trouble.is_none());
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let fresh = [(header::CACHE_CONTROL, "no-store")];
    if wants_json(&headers) {
        let checks = checks.into_iter().map(|check| CheckBody {
            name: check.name,
            is_ok: check.trouble.is_none(),
            message: check.trouble,
        });
        let body = ReadinessBody {
            is_ready,
            checks: checks.collect(),
        };
        return (status, fresh, Json(body)).into_response();
    }
    (status, fresh, lines(&checks)).into_response()
}

fn lines(checks: &[Check]) -> String {
    let mut lines = String::new();
    for Check { name, trouble } in checks {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{name}: {}", trouble.as_deref().unwrap_or("ok"));
    }
    lines
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| {
        accept
            .split(',')
            .any(|kind| kind.trim().starts_with("application/json"))
    })
}

/// GET /metrics: all numbers, for Prometheus.
async fn show_metrics(State(condition): State<Condition>) -> Result<Response, Error> {
    let text = condition.exposition().await?;
    let headers = [
        (header::CONTENT_TYPE, metrics::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_has_a_line_that_says_what_is_wrong_with_it() {
        let checks = [
            Check {
                name: "store",
                trouble: None,
            },
            Check {
                name: "disk",
                trouble: Some("It is full. Free some space.".to_owned()),
            },
        ];
        assert_eq!(lines(&checks), "store: ok\ndisk: It is full. Free some space.\n");
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("text/html, application/json;q=0.5", true),
            ("*/*", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_json(&headers), expected, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
