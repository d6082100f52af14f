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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_taken_for_what_pgbench_takes_them_for() {
        for (text, value) in [
            ("NULL", Some(Value::Null)),
            ("t", Some(Value::Boolean(true))),
            ("Yes", Some(Value::Boolean(true))),
            ("on", Some(Value::Boolean(true))),
            ("o", None),
            ("fal", Some(Value::Boolean(false))),
            ("n", Some(Value::Boolean(false))),
            ("of", Some(Value::Boolean(false))),
            (" +12", Some(Value::Int(12))),
            ("-9223372036854775808", Some(Value::Int(i64::MIN))),
            ("9223372036854775808", None),
            ("1.5e3", Some(Value::Double(1500.0))),
            ("1e999", None),
            ("-Infinity", Some(Value::Double(f64::NEG_INFINITY))),
            ("", None),
            ("-", None),
            ("truely", None),
            ("12 apples", None),
            ("\u{e4}", None),
        ] {
            assert_eq!(read(text), value, "{text:?}");
        }
    }

    #[test]
    fn a_number_may_have_other_things_behind_it() {
        for (text, number) in [("12ms", 12), (" -3.9", -3), ("+4", 4), ("x1", 0), ("", 0), ("-", 0)] {
            assert_eq!(leading_int(text), number, "{text:?}");
        }
    }

    fn written(value: Value) -> String {
        let mut text = String::new();
        write(&mut text, value).unwrap();
        text
    }

    proptest! {
        #[test]
        fn a_value_that_is_written_is_read_as_it_was(int in any::<i64>(), boolean in any::<bool>()) {
            for value in [Value::Null, Value::Boolean(boolean), Value::Int(int)] {
                prop_assert_eq!(read(&written(value)), Some(value));
            }
        }

        #[test]
        fn fifteen_digits_of_a_double_survive(value in prop::num::f64::NORMAL) {
            let text = written(Value::Double(value));
            let again: f64 = text.parse().unwrap();
            prop_assert!(((again - value) / value).abs() < 1e-14, "{} {}", text, value);
            prop_assert!(text.bytes().filter(u8::is_ascii_digit).count() <= 15 + 5, "{}", text);
        }
    }
}
