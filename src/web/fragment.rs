//! A page and its fragments come from one template: the page whole for a browser, a block of it for htmx.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::web::error::Error;

/// What htmx said about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hx {
    /// The request comes from htmx and wants a fragment.
    pub is_fragment: bool,
}

impl Hx {
    pub fn of(headers: &HeaderMap) -> Self {
        let says_true = |name: &str| headers.get(name).is_some_and(|value| value == "true");
        Self {
            is_fragment: says_true("hx-request") && !says_true("hx-history-restore-request"),
        }
    }

    /// Sends the browser elsewhere after a POST: by a header that htmx obeys, else by a 303.
    pub fn redirect(self, address: &str) -> Response {
        if !self.is_fragment {
            return Redirect::to(address).into_response();
        }
        match HeaderValue::from_str(address) {
            Ok(value) => (StatusCode::OK, [("hx-redirect", value)]).into_response(),
            Err(_) => Redirect::to(address).into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Hx {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// A whole page. Pages are about the moment, so they are never stored.
pub fn page(template: &impl Template) -> Result<Response, Error> {
    with_status(StatusCode::OK, template)
}

/// A whole page or a block with a status of its own.
pub fn with_status(status: StatusCode, template: &impl Template) -> Result<Response, Error> {
    let html = Html(template.render()?);
    Ok((status, [(header::CACHE_CONTROL, "no-store")], html).into_response())
}
