//! What the header `Content-Type` says a body is.

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use utoipa::ToSchema;

use crate::web::error::Error;

/// The kinds of body that are told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A form with a file.
    Form,
    Json,
    /// The bytes of a file.
    Bytes,
    /// Statements.
    Sql,
    Other,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "read as it arrives, and described here")]
pub(super) struct FileBytes(Vec<u8>);

impl Kind {
    pub fn of(headers: &HeaderMap) -> Self {
        let said = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = said.and_then(|said| said.split(';').next()).unwrap_or_default();
        match kind.trim().to_ascii_lowercase().as_str() {
            "multipart/form-data" => Self::Form,
            "application/json" => Self::Json,
            "application/octet-stream" => Self::Bytes,
            "application/sql" => Self::Sql,
            _ => Self::Other,
        }
    }

    /// Says of a body of another kind which are taken.
    pub fn refused(taken: &str) -> Error {
        Error::Refused {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message: format!("The header Content-Type is to say what the body is: {taken}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_without_regard_to_case_and_parameters() {
        for (said, kind) in [
            ("multipart/form-data; boundary=x", Kind::Form),
            ("Application/JSON; charset=utf-8", Kind::Json),
            ("application/octet-stream", Kind::Bytes),
            ("application/sql", Kind::Sql),
            ("text/plain", Kind::Other),
            ("", Kind::Other),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, said.parse().unwrap());
            assert_eq!(Kind::of(&headers), kind, "{said}");
        }
        assert_eq!(Kind::of(&HeaderMap::new()), Kind::Other);
    }
}
