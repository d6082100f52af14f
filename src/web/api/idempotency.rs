//! The header by which a request that is sent again, because its answer was lost, does its work once.

use axum::http::HeaderMap;
use serde_json::Value;

use crate::experiment::fields::FieldError;

/// As the document names it.
pub(super) const HEADER: &str = "Idempotency-Key";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(super) const MOST_KEY_CHARS: usize = 200;

/// What is said of it.
pub(super) const ABOUT: &str = "A word of your own for what this request does. Sent again with the same word, it does nothing \
                                twice and answers with what the first one made. 1 to 200 letters, digits and signs.";
/// The header as the document describes it: it neither begins nor ends with a blank.
pub(super) const PATTERN: &str = "^[!-~]([ -~]{0,198}[!-~])?$";

/// The key that a client gave its request; none where it gave none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str().map(str::trim) {
        Ok(key) if !key.is_empty() && key.len() <= MOST_KEY_CHARS => Ok(Some(key.to_owned())),
        _ => Err(FieldError::new(
            HEADER,
            format!("This header takes 1 to {MOST_KEY_CHARS} letters, digits and signs."),
        )),
    }
}

/// The same in the body of a client that cannot set the header; an empty one is none.
pub(super) fn in_body(field: &str, value: &Value) -> Result<String, FieldError> {
    let key = value.as_str().map(str::trim);
    let key = key.filter(|key| key.chars().count() <= MOST_KEY_CHARS);
    key.map(str::to_owned).ok_or_else(|| {
        let message = format!("This takes a text of at most {MOST_KEY_CHARS} characters.");
        FieldError::new(field, message)
    })
}
