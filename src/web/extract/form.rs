//! A posted form, refused on a page when it cannot be read, like everything else.

use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::web::error::Error;

/// Said of a form that is too large.
pub const TOO_LARGE: &str = "The form is larger than any of ours.";

/// The fields of a form without files.
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let rejection = match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(form)) => return Ok(Self(form)),
            Err(rejection) => rejection,
        };
        let status = rejection.status();
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => TOO_LARGE,
            StatusCode::UNPROCESSABLE_ENTITY => {
                "Something is missing in the form. Open its page again, and send it from there."
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "The body is to be a form, and the header Content-Type is to say application/x-www-form-urlencoded."
            }
            _ => "The form did not arrive whole. Send it again.",
        };
        Err(Error::Refused {
            status,
            message: message.to_owned(),
        })
    }
}
