//! What stands in an address, refused in words when it cannot be read. It stands in front of what axum has for that, whose own
//! refusals are neither a page nor the envelope.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::web::error::Error;

/// The parts of an address that its route leaves open. What is no text names no page.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// What stands behind the question mark.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        #[expect(clippy::disallowed_types, reason = "this is what stands in front of it")]
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0)).map_err(|_| Error::NotFound("page"))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        #[expect(clippy::disallowed_types, reason = "this is what stands in front of it")]
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0)).map_err(|_| Error::Refused {
            status: StatusCode::BAD_REQUEST,
            message:
                "What stands behind the question mark cannot be read: a name stands there twice, or its value is of \
                          another kind."
                    .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use serde::Deserialize;
    use tower::ServiceExt as _;

    use super::*;
    use crate::web::middleware::headers;

    #[derive(Deserialize)]
    struct Params {
        n: Option<u32>,
    }

    #[tokio::test]
    async fn what_cannot_be_read_in_an_address_is_said_on_a_page_and_in_the_envelope() {
        let read = async |Path((a, _)): Path<(String, String)>, Query(params): Query<Params>| {
            format!("{a} {}", params.n.unwrap_or_default())
        };
        let router = Router::new()
            .route("/results/{a}/{b}", get(read))
            .route("/api/{a}/{b}", get(read))
            .layer(axum::middleware::from_fn(headers::add));
        for (path, status, said) in [
            ("/results/a/b?n=7", StatusCode::OK, "a 7"),
            ("/results/%FF/b", StatusCode::NOT_FOUND, "<h1"),
            ("/results/a/b?n=x", StatusCode::BAD_REQUEST, "<h1"),
            ("/api/a/%C3%28", StatusCode::NOT_FOUND, r#""code":"not_found""#),
            ("/api/a/b?n=1&n=2", StatusCode::BAD_REQUEST, r#""code":"bad_request""#),
        ] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains(said), "{path}: {text}");
        }
    }
}
