//! What is said when something goes wrong: a sentence, or the number under which the log tells the rest. People see it on a
//! page, programs in one envelope of JSON.

mod refusals;

use std::any::Any;

use askama::Template;
use axum::Json;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::auth::limit::TooOften;
use crate::experiment::fields::FieldError;
use crate::store;
use crate::web::middleware::headers::Face;
use crate::web::middleware::headers::RequestId;
use crate::web::urls;

/// What has to come with a request, and what is wrong with what came (RFC 6750, section 3).
const NO_TOKEN: &str = "Bearer realm=\"pgassay\"";
const BAD_TOKEN: &str = "Bearer realm=\"pgassay\", error=\"invalid_token\"";
const TOKEN_ONLY_READS: &str = "Bearer realm=\"pgassay\", error=\"insufficient_scope\", scope=\"write\"";

/// How a handler fails.
#[derive(Debug)]
pub enum Error {
    /// There is no such thing, or it belongs to somebody else.
    NotFound(&'static str),
    /// The person can put it right.
    Refused {
        status: StatusCode,
        message: String,
    },
    /// The same, field by field.
    Invalid(Vec<FieldError>),
    Fault(anyhow::Error),
    /// Nobody knows yet who asks, and what is asked for is not for everybody. Signed in, they go on to this address.
    SignIn(String),
    /// A program's token is good for nothing: the sentence that says why.
    BadToken(String),
    /// A program's token is for looking, and it asks for a change.
    OnlyReads,
    /// Sent by a page of another site.
    Foreign,
    /// A program asked for a token, and gets none: a code of RFC 6749, section 5.2, and a sentence.
    NoToken {
        code: &'static str,
        message: String,
    },
    TooOften(TooOften),
    /// What is asked for is a part of the page at this address, and is shown there.
    Elsewhere(String),
}

/// What pages answer.
pub type PageResult<T> = Result<T, Error>;

impl Error {
    /// A refusal of what a form asked for.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            message: message.into(),
        }
    }

    /// A refusal of what the one who asks may not do.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Refused {
            status: StatusCode::FORBIDDEN,
            message: message.into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// Whether a fault comes to nothing but that the store is away.
fn says_away(error: &anyhow::Error) -> bool {
    let is_away = |error: &sqlx::Error| store::is_away(error) || matches!(error, sqlx::Error::PoolClosed);
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_away))
}

/// Whether it comes to nothing but a text that cannot be stored, which somebody has sent.
fn says_nul(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(store::is_nul))
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        if says_nul(&error) {
            return Self::Refused {
                status: StatusCode::BAD_REQUEST,
                message: "There is a NUL character in a text that was sent, and no text here can have one.".to_owned(),
            };
        }
        if says_away(&error) {
            error!("The store does not answer: {error:#}");
            return Self::Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "The store does not answer just now. Nothing is lost; try again in a moment.".to_owned(),
            };
        }
        Self::Fault(error)
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Fault(error.into())
    }
}

#[derive(Template)]
#[template(path = "error.html", blocks = ["message"])]
struct ErrorPage {
    status: StatusCode,
    title: &'static str,
    message: String,
    request_id: Option<RequestId>,
    /// Somebody else's page had a browser send this.
    is_foreign: bool,
}

impl ErrorPage {
    /// The place in help that explains such a refusal, where there is one.
    fn explained_at(&self) -> Option<&'static str> {
        match self.status {
            StatusCode::UNAUTHORIZED => Some("api#token"),
            StatusCode::FORBIDDEN if self.is_foreign => Some("operations#network"),
            StatusCode::FORBIDDEN => Some("operations#roles"),
            StatusCode::PAYLOAD_TOO_LARGE => Some("dumps#limits"),
            StatusCode::INSUFFICIENT_STORAGE => Some("operations#disk"),
            StatusCode::MISDIRECTED_REQUEST => Some("operations#network"),
            StatusCode::TOO_MANY_REQUESTS => Some("operations#limits"),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let face = Face::current();
        let (mut code, mut retry_after_s, mut challenge) = (None, None, None);
        let is_foreign = matches!(self, Self::Foreign);
        let (status, title, message, fields) = match self {
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "Not found",
                format!("There is no such {what}, or not any more."),
                Vec::new(),
            ),
            Self::Elsewhere(page) => return Redirect::to(&page).into_response(),
            Self::SignIn(next) => match face {
                Face::Page => return Redirect::to(&urls::login(&next)).into_response(),
                Face::Fragment => return sign_in_by_htmx(),
                Face::Json => (
                    StatusCode::UNAUTHORIZED,
                    "Not signed in",
                    "This needs a token: the header Authorization: Bearer, with one from the page Account.".to_owned(),
                    Vec::new(),
                ),
            },
            Self::BadToken(message) => {
                challenge = Some(BAD_TOKEN);
                (StatusCode::UNAUTHORIZED, "Not signed in", message, Vec::new())
            }
            Self::OnlyReads => {
                challenge = Some(TOKEN_ONLY_READS);
                let message = "This token is for looking only; a token of the scope write may change things.";
                (
                    StatusCode::FORBIDDEN,
                    "That did not work",
                    message.to_owned(),
                    Vec::new(),
                )
            }
            Self::Foreign => {
                code = Some("foreign_origin");
                let message = "This was sent by a page of another site. Programs send no Origin and are let in.";
                (
                    StatusCode::FORBIDDEN,
                    "That did not work",
                    message.to_owned(),
                    Vec::new(),
                )
            }
            Self::NoToken { code: why, message } => {
                code = Some(why);
                (StatusCode::BAD_REQUEST, "No token", message, Vec::new())
            }
            Self::TooOften(often) => {
                retry_after_s = Some(often.retry_after_s());
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too often",
                    often.to_string(),
                    Vec::new(),
                )
            }
            Self::Refused { status, message } => (status, "That did not work", message, Vec::new()),
            Self::Invalid(fields) => {
                let messages: Vec<&str> = fields.iter().map(|field| field.message.as_str()).collect();
                let status = match face {
                    Face::Json => StatusCode::BAD_REQUEST,
                    Face::Page | Face::Fragment => StatusCode::UNPROCESSABLE_ENTITY,
                };
                (status, "That did not work", messages.join(" "), fields)
            }
            Self::Fault(error) => {
                let request_id = RequestId::current();
                // The line carries the number by itself; who reads it shall not have to know where.
                error!("Request {request_id} failed: {error:#}");
                let message = "Something went wrong on our side. The log tells more under this number.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "A fault", message, Vec::new())
            }
        };
        let is_fault = status == StatusCode::INTERNAL_SERVER_ERROR;
        let request_id = is_fault.then(RequestId::current);
        let page = ErrorPage {
            status,
            title,
            message,
            request_id,
            is_foreign,
        };
        let mut response = match face {
            Face::Page => html(status, page.render()),
            // htmx puts the message alone into the page's own place for errors.
            Face::Fragment => html(status, page.as_message().render()),
            Face::Json => (
                status,
                Json(Envelope::new(code.unwrap_or(code_of(status)), page, fields)),
            )
                .into_response(),
        };
        let challenge = challenge.or((status == StatusCode::UNAUTHORIZED).then_some(NO_TOKEN));
        say_what_next(response.headers_mut(), status, retry_after_s, challenge);
        response
    }
}

/// Says in headers when to come again, what to bring, and whether on this connection.
fn say_what_next(
    headers: &mut HeaderMap,
    status: StatusCode,
    retry_after_s: Option<u64>,
    challenge: Option<&'static str>,
) {
    let retry_after_s = retry_after_s.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(5));
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(challenge) = challenge {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    // A body that was not read to its end cannot be followed by another request.
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// What a fragment's request gets of somebody who is not signed in, or no more: htmx leads the whole page to the sign-in.
fn sign_in_by_htmx() -> Response {
    (StatusCode::UNAUTHORIZED, [("hx-redirect", urls::LOGIN)]).into_response()
}

fn html(status: StatusCode, rendered: askama::Result<String>) -> Response {
    match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, "Something went wrong, and so did the page that should say so.").into_response(),
    }
}

/// What programs get when something goes wrong.
#[derive(Serialize, ToSchema)]
pub struct Envelope {
    error: EnvelopeError,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct EnvelopeError {
    /// A word that never changes its meaning.
    code: &'static str,
    /// A sentence for whoever reads the log of the program.
    message: String,
    /// What is wrong with each field that is.
    fields: Vec<EnvelopeField>,
    /// Of a fault: the number under which the log of the server tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// A field, a parameter or a header that cannot be.
#[derive(Serialize, ToSchema)]
struct EnvelopeField {
    field: String,
    message: String,
}

impl Envelope {
    fn new(code: &'static str, page: ErrorPage, fields: Vec<FieldError>) -> Self {
        let code = if fields.is_empty() { code } else { "invalid_fields" };
        let fields = fields.into_iter();
        Self {
            error: EnvelopeError {
                code,
                message: page.message,
                fields: fields
                    .map(|FieldError { field, message }| EnvelopeField { field, message })
                    .collect(),
                request_id: page.request_id.map(|request_id| request_id.to_string()),
            },
        }
    }
}

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "bad_request",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::TOO_MANY_REQUESTS => "too_often",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::CONFLICT => "conflict",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        StatusCode::RANGE_NOT_SATISFIABLE => "wrong_range",
        StatusCode::MISDIRECTED_REQUEST => "unknown_host",
        StatusCode::UPGRADE_REQUIRED => "upgrade_required",
        StatusCode::INTERNAL_SERVER_ERROR => "fault",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::INSUFFICIENT_STORAGE => "no_room",
        _ => "refused",
    }
}

/// For every address that is not ours.
pub async fn not_found() -> Error {
    Error::NotFound("page")
}

/// For every address of ours that is asked for by a method that it does not know.
pub async fn wrong_method(method: Method) -> Error {
    Error::Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: format!("This address is not for {method}; the header Allow says what it is for."),
    }
}

/// For a browser that sends here what a page of somebody else's told it to.
pub fn foreign() -> Error {
    Error::Foreign
}

/// A handler that panicked hurts only its own request.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    Error::Fault(anyhow::anyhow!("a handler panicked: {said}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;
    use crate::dataset::service::UploadError;
    use crate::experiment::service::LaunchError;
    use crate::server::ServersError;
    use crate::web::middleware::headers;
    use crate::workload::service::AddError;

    #[test]
    fn whatever_asks_a_store_that_is_away_says_so_and_is_no_fault() {
        let away = || sqlx::Error::PoolTimedOut;
        let deep = anyhow::Error::from(away()).context("launching");
        for error in [
            Error::from(away()),
            deep.into(),
            UploadError::from(away()).into(),
            AddError::Fault(away().into()).into(),
            LaunchError::Fault(away().into()).into(),
            ServersError::Fault(away().into()).into(),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        }
        let fault = Error::from(sqlx::Error::RowNotFound).into_response();
        assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn a_refusal_leads_to_the_place_in_help_that_explains_it() {
        for (error, place) in [
            (Error::BadToken("No.".to_owned()), Some("api#token")),
            (Error::forbidden("No."), Some("operations#roles")),
            (Error::Foreign, Some("operations#network")),
            (Error::refused("No."), None),
        ] {
            let said = format!("{error:?}");
            let body = axum::body::to_bytes(error.into_response().into_body(), 1 << 20)
                .await
                .unwrap();
            let page = String::from_utf8(body.to_vec()).unwrap();
            let link = page
                .split("href=\"/help/")
                .find(|rest| rest.contains(">What this is about<"));
            let link = link.and_then(|rest| rest.split('"').next());
            assert_eq!(link, place, "{said}");
        }
    }

    #[tokio::test]
    async fn a_handler_that_panics_hurts_only_its_own_request_and_tells_nothing() {
        let router = Router::new()
            .route(
                "/panics",
                get(async || -> &'static str { panic!("the secret is {}", 42) }),
            )
            .route("/works", get(async || "works"))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn(headers::add));
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, page) = ask("/panics").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(page.contains("The log tells more under this number."), "{page}");
        assert!(!page.contains("secret") && !page.contains("error.rs"), "{page}");
        assert_eq!(ask("/works").await, (StatusCode::OK, "works".to_owned()));
    }
}
