//! What a person sees when something goes wrong: a sentence, or the number under which the log tells the rest.

use std::any::Any;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use tracing::error;

use crate::dataset::service::UploadError;
use crate::dataset::statistics_file::StatisticsFileError;
use crate::experiment::service::LaunchError;
use crate::files::intake::IntakeError;
use crate::store;
use crate::web::middleware::headers::RequestId;
use crate::workload::service::AddError;

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
    Fault(anyhow::Error),
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
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if store::is_away(&error) || matches!(error, sqlx::Error::PoolClosed) {
            error!("The store does not answer: {error}");
            return Self::Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "The store does not answer just now. Nothing is lost; try again in a moment.".to_owned(),
            };
        }
        Self::Fault(error.into())
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Fault(error)
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        let status = match &error {
            UploadError::Fault(_) | UploadError::Intake(IntakeError::Fault(_)) => return Self::Fault(error.into()),
            UploadError::Intake(IntakeError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            UploadError::Intake(IntakeError::DiskFull | IntakeError::LowDisk(_)) => StatusCode::INSUFFICIENT_STORAGE,
            UploadError::Intake(IntakeError::BrokenOff { .. }) => StatusCode::BAD_REQUEST,
            UploadError::Format(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::Refused {
            status,
            message: error.to_string(),
        }
    }
}

impl From<StatisticsFileError> for Error {
    fn from(error: StatisticsFileError) -> Self {
        match error {
            StatisticsFileError::Fault(error) => Self::Fault(error),
            StatisticsFileError::NoDataset => Self::NotFound("dataset"),
            StatisticsFileError::TooLarge => Self::Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: error.to_string(),
            },
            StatisticsFileError::Bad(error) => Self::refused(error.to_string()),
        }
    }
}

impl From<AddError> for Error {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Fault(error) => Self::Fault(error),
            AddError::TooLarge => Self::Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: error.to_string(),
            },
            error => Self::refused(error.to_string()),
        }
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Fault(error) => Self::Fault(error),
            LaunchError::Refused(fields) => {
                let messages: Vec<String> = fields.into_iter().map(|field| field.message).collect();
                Self::refused(messages.join(" "))
            }
        }
    }
}

#[derive(Template)]
#[template(path = "error.html", blocks = ["message"])]
struct ErrorPage {
    title: &'static str,
    message: String,
    request_id: Option<RequestId>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, title, message, request_id) = match self {
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "Not found",
                format!("There is no such {what}, or not any more."),
                None,
            ),
            Self::Elsewhere(page) => return Redirect::to(&page).into_response(),
            Self::Refused { status, message } => (status, "That did not work", message, None),
            Self::Fault(error) => {
                let request_id = RequestId::current();
                error!(request.id = %request_id, "Request {request_id} failed: {error:#}");
                let message = "Something went wrong on our side. The log tells more under this number.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "A fault", message, Some(request_id))
            }
        };
        render(
            status,
            &ErrorPage {
                title,
                message,
                request_id,
            },
        )
    }
}

/// A fragment request gets the message alone, which htmx puts into the page's own place for errors.
fn render(status: StatusCode, page: &ErrorPage) -> Response {
    let rendered = if RequestId::is_fragment() {
        page.as_message().render()
    } else {
        page.render()
    };
    let mut response = match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, "Something went wrong, and so did the page that should say so.").into_response(),
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(
            axum::http::header::RETRY_AFTER,
            axum::http::HeaderValue::from_static("5"),
        );
    }
    response
}

/// For every address that is not ours.
pub async fn not_found() -> Error {
    Error::NotFound("page")
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
