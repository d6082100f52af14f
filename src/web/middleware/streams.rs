//! Answers that go on for as long as somebody follows something live are counted: each takes up a place at the door that
//! nobody else can have meanwhile. And each ends after a while, by whichever way it goes, so that who follows is asked anew
//! who they are.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use crate::web::error::Error;

/// As many as may listen by WebSocket. Together they are an eighth of all places.
const MOST: usize = 256;

/// Whoever is signed out, has no token any more, or is shown something no longer, follows it no longer than this.
const LONGEST: Duration = Duration::from_mins(5);

/// Room for streams, and how long each goes on. A browser whose stream ends asks for it again.
#[derive(Clone)]
pub struct Streams {
    room: Arc<Semaphore>,
    longest: Duration,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            longest: LONGEST,
        }
    }
}

impl Streams {
    /// Passes when somebody who begins to follow something now has to be asked anew who they are.
    pub fn end(&self) -> Sleep {
        tokio::time::sleep(self.longest)
    }

    /// The same room, in which nobody stays for longer than this.
    #[cfg(test)]
    pub fn ending_after(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }
}

/// Lets a stream of events begin where there is room for one, and answers 503 where there is none. A page that is refused
/// its stream goes on asking.
pub async fn count(State(streams): State<Streams>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let end = streams.end();
    let Ok(place) = streams.room.try_acquire_owned() else {
        return Error::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "As many people as possible follow something live already. Look again in a moment.".to_owned(),
        }
        .into_response();
    };
    response.map(|body| {
        let events = body.into_data_stream().inspect(move |_| {
            // Held until the stream is dropped.
            let _ = &place;
        });
        Body::from_stream(events.take_until(end))
    })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::testing::bench::PATIENCE;

    #[tokio::test]
    async fn there_is_room_for_so_many_streams_and_for_others_when_they_end() {
        let event =
            || futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"data: 1\n\n"))]);
        let live = move || async move {
            (
                [(header::CONTENT_TYPE, "text/event-stream")],
                Body::from_stream(event()),
            )
        };
        let router = Router::new()
            .route("/live", get(live))
            .route("/page", get(async || "page"))
            .layer(axum::middleware::from_fn_with_state(
                Streams {
                    room: Arc::new(Semaphore::new(2)),
                    ..Streams::default()
                },
                count,
            ));
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap()
        };
        let (first, _second) = (ask("/live").await, ask("/live").await);
        let refused = ask("/live").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
        assert_eq!(ask("/page").await.status(), StatusCode::OK);
        let said = axum::body::to_bytes(first.into_body(), 100).await.unwrap();
        assert_eq!(said, "data: 1\n\n");
        assert_eq!(ask("/live").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_stream_ends_also_while_there_is_more_to_come() {
        let live = async || {
            let endless = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
            (
                [(header::CONTENT_TYPE, "text/event-stream")],
                Body::from_stream(endless),
            )
        };
        let streams = Streams::default().ending_after(Duration::from_millis(1));
        let router = Router::new()
            .route("/live", get(live))
            .layer(axum::middleware::from_fn_with_state(streams, count));
        let request = Request::get("/live").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let said = tokio::time::timeout(PATIENCE, axum::body::to_bytes(answer.into_body(), 100)).await;
        assert_eq!(said.unwrap().unwrap(), "");
    }
}
