//! What a server says when it refuses: its `ErrorResponse`.

use std::borrow::Cow;

use crate::target::ServerError;

/// Reads the fields of an `ErrorResponse`; those that it lacks stay empty.
pub fn server_error(body: &[u8]) -> ServerError {
    let mut sqlstate = Cow::default();
    let mut message = Cow::default();
    let mut detail = None;
    let mut position = None;
    let mut severity = &b""[..];
    let mut fields = body;
    while let Some((kind, rest)) = fields.split_first() {
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        let value = &rest[..end];
        fields = rest.get(end + 1..).unwrap_or_default();
        match kind {
            // Never translated; servers before 9.6 have only the other.
            b'V' => severity = value,
            b'S' if severity.is_empty() => severity = value,
            b'C' => sqlstate = String::from_utf8_lossy(value),
            b'M' => message = String::from_utf8_lossy(value),
            b'D' => detail = Some(String::from_utf8_lossy(value)),
            b'P' => position = String::from_utf8_lossy(value).parse().ok(),
            _ => {}
        }
    }
    ServerError::new(
        &sqlstate,
        &message,
        detail.as_deref(),
        position,
        matches!(severity, b"FATAL" | b"PANIC"),
    )
}
