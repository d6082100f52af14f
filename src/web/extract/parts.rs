//! The parts of a form that carries a file. Nothing is read beyond its limit.

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use axum::extract::multipart::MultipartError;
use axum::extract::multipart::MultipartRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;

use crate::web::error::Error;
use crate::web::extract::form::TOO_LARGE;

/// What boundaries, headers and the small fields of such a form take up beside its file.
pub const FORM_SLACK_BYTES: u64 = 64 * 1024;
/// The longest small field.
const WORD_BYTES: usize = 4096;

/// Whether a request says that it is longer than that, so that it can be refused before it is read.
pub fn says_longer_than(headers: &HeaderMap, limit_bytes: u64) -> bool {
    said_length(headers) > limit_bytes.saturating_add(FORM_SLACK_BYTES)
}

/// How many bytes a request says that it has, form and all; none where it does not say.
pub fn said_length(headers: &HeaderMap) -> u64 {
    let said = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    said.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The same of the file in a form, at least.
pub fn said_file_length(headers: &HeaderMap) -> u64 {
    said_length(headers).saturating_sub(FORM_SLACK_BYTES)
}

/// The form of a request that has one.
pub fn form(form: Result<Multipart, MultipartRejection>) -> Result<Multipart, Error> {
    form.map_err(|_| broken())
}

/// The next part; none after the last.
pub async fn next(form: &mut Multipart) -> Result<Option<Field<'_>>, Error> {
    form.next_field().await.map_err(|error| refused(&error))
}

/// A part as text, for names and numbers; what is too long for that is cut.
pub async fn word(field: Field<'_>) -> Result<String, Error> {
    let bytes = bytes(field, WORD_BYTES).await?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The first bytes of a part: one more than the limit when there are more, so that the caller can tell.
pub async fn bytes(mut field: Field<'_>, limit_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| refused(&error))? {
        let room = (limit_bytes + 1).saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() > limit_bytes {
            break;
        }
    }
    Ok(bytes)
}

/// Why a form could not be read.
pub fn refused(error: &MultipartError) -> Error {
    match error.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Error::Refused {
            status,
            message: TOO_LARGE.to_owned(),
        },
        _ => broken(),
    }
}

/// What did not arrive as it was sent.
pub fn broken() -> Error {
    Error::Refused {
        status: StatusCode::BAD_REQUEST,
        message: "The form did not arrive whole. Send it again.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::FromRequest as _;
    use axum::http::HeaderValue;
    use axum::http::Request;

    use super::*;

    async fn sent(body: &'static str) -> Multipart {
        let request = Request::builder()
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
            .body(Body::from(body))
            .unwrap();
        Multipart::from_request(request, &()).await.unwrap()
    }

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n shop \r\n--x--\r\n";

    #[tokio::test]
    async fn a_part_is_read_up_to_its_limit_and_one_byte_tells_that_there_is_more() {
        let mut form = sent(FORM).await;
        let field = next(&mut form).await.unwrap().unwrap();
        assert_eq!(word(field).await.unwrap(), "shop");
        assert!(next(&mut form).await.unwrap().is_none());
        let mut form = sent(FORM).await;
        let field = next(&mut form).await.unwrap().unwrap();
        assert_eq!(bytes(field, 2).await.unwrap(), b" sh");
    }

    #[tokio::test]
    async fn a_form_that_is_cut_off_is_refused() {
        let mut form = sent("--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nsh").await;
        let field = next(&mut form).await.unwrap().unwrap();
        assert!(matches!(
            word(field).await,
            Err(Error::Refused {
                status: StatusCode::BAD_REQUEST,
                ..
            })
        ));
    }

    #[test]
    fn only_a_stated_length_over_the_limit_is_refused_unread() {
        let mut headers = HeaderMap::new();
        assert!(!says_longer_than(&headers, 10));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("65546"));
        assert!(!says_longer_than(&headers, 10));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("65547"));
        assert!(says_longer_than(&headers, 10));
    }
}
