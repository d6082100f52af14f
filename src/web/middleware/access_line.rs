//! The line that the log has for a request which was answered. What follows a `?` is not in it, nor is what may be a secret.

use std::time::Duration;

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::http::Method;
use axum::http::StatusCode;
use tracing::debug;

/// Numbers and names in an address are shorter, and what opens something is longer.
const SHOWN_CHARS: usize = 20;

/// Stands where a longer part of an address was.
const HIDDEN: &str = "…";

/// What there is to say of a request before it is answered.
pub struct AccessLine {
    method: Method,
    path: String,
}

impl AccessLine {
    pub fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        Self {
            method: request.method().clone(),
            path: shown(request.uri().path(), route),
        }
    }

    /// One line, at a level that is only logged on demand (`PGASSAY_LOG_REQUESTS`).
    pub fn log(&self, status: StatusCode, took: Duration) {
        let Self { method, path } = self;
        let status = status.as_u16();
        let duration_ms = took.as_secs_f64() * 1000.0;
        debug!(
            target: "pgassay::requests",
            { http.method = %method, http.path = %path, http.status = status, duration_ms },
            "{method} {path} {status}"
        );
    }
}

/// The path without those long parts that are not the same for everybody.
fn shown(path: &str, route: Option<&str>) -> String {
    let mut fixed = route.unwrap_or_default().split('/');
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| {
            let is_fixed = fixed.next() == Some(part);
            if is_fixed || part.chars().count() <= SHOWN_CHARS {
                part
            } else {
                HIDDEN
            }
        })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_what_may_open_something() {
        let token = "a".repeat(43);
        for (path, route, expected) in [
            ("/results/12/table", Some("/results/{id}/table"), "/results/12/table"),
            ("/s/TOKEN", Some("/s/{token}"), "/s/…"),
            ("/s/TOKEN/table", Some("/s/{token}/table"), "/s/…/table"),
            ("/mistyped/TOKEN", None, "/mistyped/…"),
            (
                "/a-part-that-is-long-and-the-same-for-all",
                Some("/a-part-that-is-long-and-the-same-for-all"),
                "/a-part-that-is-long-and-the-same-for-all",
            ),
            ("/", Some("/"), "/"),
        ] {
            let path = path.replace("TOKEN", &token);
            assert_eq!(shown(&path, route), expected);
        }
    }
}
