//! A page and its fragments come from one template: the page whole for a browser, a block of it for htmx.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderName;
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

    /// For a fragment alone: opened directly, its address leads to the page that it is a part of.
    pub fn require_fragment_of(self, page: &str) -> Result<(), Error> {
        if self.is_fragment {
            return Ok(());
        }
        Err(Error::Elsewhere(page.to_owned()))
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

/// What htmx takes for the end of polling.
const STOP_POLLING: u16 = 286;

#[derive(Template)]
#[template(path = "shared/last_poll.html")]
struct LastPoll<'a> {
    block: &'a str,
    said: &'a str,
}

/// The answer that ends the polling of `block`, which comes without its `hx-get`. `said` is spoken aloud and stands in
/// the title of a tab in the background; `event` tells the rest of the page that it may fetch itself again.
pub fn last_poll(block: &impl Template, said: &str, event: &'static str) -> Result<Response, Error> {
    let block = block.render()?;
    let html = LastPoll { block: &block, said }.render()?;
    let status = StatusCode::from_u16(STOP_POLLING).map_err(anyhow::Error::from)?;
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("hx-trigger"), HeaderValue::from_static(event)),
    ];
    Ok((status, headers, Html(html)).into_response())
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
