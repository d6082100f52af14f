//! Fields as people type them, in forms and on the command line: each is read into a value, or refused in words.

use crate::model::dataset::Setting;

/// The longest and the shortest time limit of a statement.
pub const MAX_TIMEOUT_MS: u64 = 3_600_000;
pub const MIN_TIMEOUT_MS: u64 = 10;

/// Settings that pgassay sets itself.
const OWN_SETTINGS: &[&str] = &[
    "statement_timeout",
    "default_transaction_read_only",
    "transaction_read_only",
];

/// A field that cannot be, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

impl FieldError {
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// A number that names something.
pub fn id(text: &str, field: &str, missing: &str) -> Result<i64, FieldError> {
    text.trim().parse().map_err(|_| FieldError::new(field, missing))
}

/// A whole number within bounds.
pub fn number(text: &str, field: &str, min: u64, max: u64) -> Result<u64, FieldError> {
    match text.trim().parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(FieldError::new(
            field,
            format!("This takes a whole number from {min} to {max}, not {:?}.", text.trim()),
        )),
    }
}

/// One of a few words.
pub fn choice<T: Copy>(text: &str, field: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, FieldError> {
    all.iter()
        .copied()
        .find(|one| word(*one) == text.trim())
        .ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
            FieldError::new(
                field,
                format!("This takes one of {}, not {:?}.", words.join(", "), text.trim()),
            )
        })
}

/// The time limit of a statement, as [`duration_ms`] reads it: from 10 ms to one hour.
pub fn timeout_ms(text: &str) -> Result<u64, FieldError> {
    duration_ms(text, "timeout", MIN_TIMEOUT_MS, MAX_TIMEOUT_MS)
}

/// A duration as people type it: `30s`, `500ms`, `2m`, `1h20m`; a bare number counts seconds. In milliseconds.
pub fn duration_ms(text: &str, field: &str, min_ms: u64, max_ms: u64) -> Result<u64, FieldError> {
    let wrong = || {
        FieldError::new(
            field,
            format!(
                "A duration like 500ms, 30s, 2m or 1h, from {} to {}, is expected, not {:?}.",
                limit_in_words(min_ms),
                limit_in_words(max_ms),
                text.trim()
            ),
        )
    };
    let total_ms = sum_ms(text).ok_or_else(wrong)?;
    if (min_ms..=max_ms).contains(&total_ms) {
        Ok(total_ms)
    } else {
        Err(wrong())
    }
}

fn limit_in_words(ms: u64) -> String {
    match ms {
        3_600_000 => "one hour".to_owned(),
        ms if ms >= 3_600_000 => format!("{} hours", ms / 3_600_000),
        ms if ms >= 1000 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

/// Numbers with their units, added up.
fn sum_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" | "" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
        rest = after.trim_start();
    }
    Some(total_ms)
}

/// A duration as [`duration_ms`] reads it.
pub fn duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

/// Lines of `name = value`.
pub fn settings(text: &str) -> Result<Vec<Setting>, FieldError> {
    let mut settings: Vec<Setting> = Vec::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, value) = line
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('\'')))
            .ok_or_else(|| FieldError::new("settings", format!("{line:?} is not a line like work_mem = 64MB.")))?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if !is_name {
            return Err(FieldError::new(
                "settings",
                format!("{name:?} is not the name of a setting."),
            ));
        }
        if OWN_SETTINGS.contains(&name) {
            return Err(FieldError::new("settings", format!("{name} is set by pgassay itself.")));
        }
        settings.push(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_type_them() {
        for (text, ms) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("59m 30s", 3_570_000),
            ("30", 30_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(timeout_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "0", "9ms", "1h1ms", "3x", "s", "-1s", "99999999999999999999s"] {
            assert!(timeout_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_are_lines_and_ours_are_not_to_be_set() {
        let read = settings("# comment\nwork_mem = '64MB'\n\nenable_nestloop=off").unwrap();
        assert_eq!(
            read[0],
            Setting {
                name: "work_mem".into(),
                value: "64MB".into()
            }
        );
        assert_eq!(read[1].name, "enable_nestloop");
        for wrong in ["work_mem", "a b = 1", "statement_timeout = 0", "x;y = 1"] {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }
}
