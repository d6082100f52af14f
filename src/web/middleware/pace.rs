//! A request's body has to keep a pace, so that nobody holds a connection and half a file for hours by trickling bytes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::body::BodyDataStream;
use axum::body::Bytes;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use futures_util::Stream;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::web::error::Error;

/// How slow a body may be.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Every body has this long.
    pub grace: Duration,
    /// And longer, for what has arrived of it at this rate.
    pub bytes_per_second: u64,
    /// But it never pauses for longer than this.
    pub pause: Duration,
}

impl Default for Pace {
    /// A tenth of a slow mobile connection, and the time that one takes to find its network again.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            bytes_per_second: 16 * 1024,
            pause: Duration::from_mins(1),
        }
    }
}

/// Ends the body of a request that does not keep the pace, and answers 408 whatever its handler then says.
pub async fn keep(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let is_late = Arc::new(AtomicBool::new(false));
    let body = Body::from_stream(paced(body.into_data_stream(), pace, Arc::clone(&is_late)));
    let response = next.run(Request::from_parts(parts, body)).await;
    if !is_late.load(Ordering::Relaxed) {
        return response;
    }
    let mut response = Error::Refused {
        status: StatusCode::REQUEST_TIMEOUT,
        message: "The request arrived too slowly and was given up.".to_owned(),
    }
    .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[derive(Debug, thiserror::Error)]
#[error("the request arrives too slowly")]
struct TooSlow;

fn paced(body: BodyDataStream, pace: Pace, is_late: Arc<AtomicBool>) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let started = Instant::now();
    futures_util::stream::try_unfold((body, 0_u64), move |(mut body, n_bytes)| {
        let is_late = Arc::clone(&is_late);
        async move {
            let earned = Duration::from_secs(n_bytes / pace.bytes_per_second);
            let deadline = (started + pace.grace + earned).min(Instant::now() + pace.pause);
            let Ok(arrived) = tokio::time::timeout_at(deadline, body.next()).await else {
                is_late.store(true, Ordering::Relaxed);
                return Err(axum::Error::new(TooSlow));
            };
            let chunk = arrived.transpose()?;
            Ok(chunk.map(|chunk| {
                let n_bytes = n_bytes + chunk.len() as u64;
                (chunk, (body, n_bytes))
            }))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Router;
    use axum::extract::DefaultBodyLimit;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    async fn length(body: Bytes) -> String {
        body.len().to_string()
    }

    /// Sends a body through a router with this pace.
    async fn sent(pace: Pace, body: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
        let router = Router::new()
            .route("/", post(length))
            .layer(DefaultBodyLimit::disable())
            .layer(axum::middleware::from_fn_with_state(pace, keep));
        let request = Request::post("/").body(Body::from_stream(body)).unwrap();
        router.oneshot(request).await.unwrap()
    }

    fn endless() -> impl Stream<Item = Result<Bytes, Infallible>> {
        let one = futures_util::stream::iter([Ok(Bytes::from_static(b"a"))]);
        one.chain(futures_util::stream::pending())
    }

    const PATIENT: Pace = Pace {
        grace: Duration::from_hours(1),
        bytes_per_second: 1,
        pause: Duration::from_hours(1),
    };

    #[tokio::test]
    async fn a_body_that_pauses_or_takes_too_long_is_given_up_with_408() {
        for pace in [
            Pace {
                pause: Duration::from_millis(1),
                ..PATIENT
            },
            Pace {
                grace: Duration::from_millis(1),
                bytes_per_second: 1024,
                ..PATIENT
            },
        ] {
            let response = sent(pace, endless()).await;
            assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT, "{pace:?}");
            assert_eq!(response.headers()[header::CONNECTION], "close");
        }
    }

    #[tokio::test]
    async fn a_body_that_keeps_the_pace_arrives_whole() {
        let response = sent(PATIENT, futures_util::stream::iter([Ok(Bytes::from_static(b"abc"))])).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 10).await.unwrap();
        assert_eq!(body, "3");
    }

    #[tokio::test]
    async fn what_has_arrived_earns_more_time() {
        let much = Bytes::from(vec![0; 3 << 20]);
        let trickle = futures_util::stream::iter([much, Bytes::from_static(b"a")]).then(async |chunk| {
            // Longer than the grace, shorter than what the first chunk has earned.
            if chunk.len() == 1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(chunk)
        });
        let pace = Pace {
            grace: Duration::from_millis(1),
            ..PATIENT
        };
        assert_eq!(sent(pace, trickle).await.status(), StatusCode::OK);
    }
}
