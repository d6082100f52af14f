//! The header by which a request that is sent again, because its answer was lost, does its work once.

use axum::http::HeaderMap;

use crate::experiment::fields::FieldError;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MOST_KEY_CHARS: usize = 200;

/// The key that a client gave its request; none where it gave none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str().map(str::trim) {
        Ok(key) if !key.is_empty() && key.len() <= MOST_KEY_CHARS => Ok(Some(key.to_owned())),
        _ => Err(FieldError::new(
            "Idempotency-Key",
            format!("This header takes 1 to {MOST_KEY_CHARS} letters, digits and signs."),
        )),
    }
}
