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
    use axum::body::Body;
    use axum::http::Request;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::WebConfig;
    use crate::files::disk::Disk;
    use crate::testing::bench::Bench;
    use crate::web;

    #[tokio::test]
    async fn who_watches_is_answered_in_time_also_while_the_disk_hangs() {
        let bench = Bench::open().await;
        let mut services = bench.house.services();
        let (disk, hangs) = Disk::hanging(bench.house.layout.root());
        services.condition.disk = disk;
        let config = WebConfig::unsaid();
        let state = AppState::new(&services, &config, config.listen, CancellationToken::new()).unwrap();
        let router = web::router(state);
        let ask = async |path: &str| {
            let request = Request::get(path).header(header::HOST, "localhost");
            let request = request.body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let status = answer.status();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, said) = ask("/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "store: ok");
        assert!(
            lines[2].starts_with("disk: The disk of the data directory does not answer in time."),
            "{said}"
        );
        let (status, said) = ask("/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            said.contains("pgassay_store_up 1\n") && !said.contains("pgassay_disk"),
            "{said}"
        );
        drop(hangs);
        assert_eq!(ask("/readyz").await.0, StatusCode::OK);
        bench.close().await;
    }

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
