//! From text to value and back.

use std::fmt;
use std::fmt::Write as _;

use crate::benchmark::program::double;
use crate::sql::pgbench::Value;

/// What pgbench takes a text for in an expression (`makeVariableValue`); nothing where it can make nothing of it.
pub fn read(text: &str) -> Option<Value> {
    let is_start_of = |word: &str| {
        word.get(..text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    let is = |word: &str| word.eq_ignore_ascii_case(text);
    if text.is_empty() {
        None
    } else if is("null") {
        Some(Value::Null)
    } else if is_start_of("true") || is_start_of("yes") || is("on") {
        Some(Value::Boolean(true))
    } else if is_start_of("false") || is_start_of("no") || is("off") || is("of") {
        Some(Value::Boolean(false))
    } else {
        number(text.trim_start())
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Value::Int);
    }
    let value: f64 = text.parse().ok()?;
    // Words for infinity are right; numbers that come to it are not.
    let is_overflow = value.is_infinite() && digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    (!is_overflow).then_some(Value::Double(value))
}

/// Adds a value as it stands in a statement.
pub fn write(out: &mut String, value: Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("NULL"),
        Value::Boolean(true) => out.write_str("true"),
        Value::Boolean(false) => out.write_str("false"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Double(value) => double::write(out, value),
    }
}

/// The whole number that a text begins with, as `atoi` of C reads it, or 0.
pub fn leading_int(text: &str) -> i64 {
    let text = text.trim_start();
    let sign_len = usize::from(text.starts_with(['+', '-']));
    let n_digits = text[sign_len..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign_len + n_digits].parse().unwrap_or_default()
}
