//! A posted JSON object, refused in words when it is none.

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Map;
use serde_json::Value;

use crate::web::error::Error;

/// The object in the body of a request. That it says to be JSON keeps forms out, which any site could have sent.
pub struct Object(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(Error::Refused {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                message: "The body is to be JSON, and the header Content-Type is to say application/json.".to_owned(),
            });
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let status = rejection.status();
            let message = match status {
                StatusCode::PAYLOAD_TOO_LARGE => "The body is larger than anything that is asked for here.",
                _ => "The body did not arrive whole. Send it again.",
            };
            Error::Refused {
                status,
                message: message.to_owned(),
            }
        })?;
        let object = serde_json::from_slice(&body).map_err(|error| {
            let message = if error.is_data() {
                "The body is JSON, but no object with fields.".to_owned()
            } else {
                format!("The body is no JSON: {error}.")
            };
            Error::Refused {
                status: StatusCode::BAD_REQUEST,
                message,
            }
        })?;
        Ok(Self(object))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
