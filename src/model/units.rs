//! Numbers with their units, as people read them.

use chrono::DateTime;
use chrono::Utc;

/// `2026-11-21 08:30`, in UTC.
pub fn date(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// A size as people say it: `1.5 GiB`.
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let mut size = bytes as f64;
    let mut unit = "";
    for next in UNITS {
        size /= 1024.0;
        unit = next;
        if size < 1023.95 {
            break;
        }
    }
    if size >= 10.0 {
        format!("{size:.0} {unit}")
    } else {
        format!("{size:.1} {unit}")
    }
}

/// A time as people say it, with three digits: `1.23 ms`, `456 µs`, `12.3 s`.
pub fn ms_in_words(ms: f64) -> String {
    if !ms.is_finite() {
        return ms.to_string();
    }
    let (value, unit) = match ms.abs() {
        size if size < 0.9995 => (ms * 1000.0, "µs"),
        size if size < 999.5 => (ms, "ms"),
        size if size < 120_000.0 => (ms / 1000.0, "s"),
        _ => (ms / 60_000.0, "min"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number with three digits, and never an exponent.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A rate or another large number with three digits, or with all before the point: `12 300`, `45.6`.
pub fn rate_in_words(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are not negative, and a u64 holds more than any"
    )]
    match rate {
        rate if (99.95..1e15).contains(&rate) => grouped(rate.round() as u64),
        rate => three_digits(rate),
    }
}

/// A duration as people say it: `45 s`, `3 min`, `1 h 20 min`.
pub fn seconds_in_words(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what a u64 holds"
    )]
    let whole = seconds.clamp(0.0, 1e15).round() as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=3599 => format!("{} min", (whole + 30) / 60),
        _ => match (whole / 3600, whole % 3600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
    }
}

/// A count with its digits in groups of three, apart by thin spaces: `1 200 000`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut shown = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            shown.push('\u{2009}');
        }
        shown.push(digit);
    }
    shown
}

/// `1 query`, `2 queries`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_with_three_digits_and_their_unit() {
        for (ms, words) in [
            (0.0, "0 µs"),
            (0.0123, "12.3 µs"),
            (0.4567, "457 µs"),
            (0.9996, "1.00 ms"),
            (1.234, "1.23 ms"),
            (12.34, "12.3 ms"),
            (999.6, "1.00 s"),
            (30_000.0, "30.0 s"),
            (180_000.0, "3.00 min"),
        ] {
            assert_eq!(ms_in_words(ms), words);
        }
    }

    #[test]
    fn durations_counts_and_numbers_read_as_spoken() {
        for (seconds, words) in [
            (0.4, "0 s"),
            (119.0, "119 s"),
            (150.0, "3 min"),
            (3600.0, "1 h"),
            (4800.0, "1 h 20 min"),
        ] {
            assert_eq!(seconds_in_words(seconds), words);
        }
        for (rate, words) in [(12_345.6, "12\u{2009}346"), (99.96, "100"), (45.64, "45.6"), (0.0, "0")] {
            assert_eq!(rate_in_words(rate), words);
        }
        assert_eq!(grouped(1_200_000), "1\u{2009}200\u{2009}000");
        assert_eq!(counted(1, "query", "queries"), "1 query");
        assert_eq!(counted(12, "query", "queries"), "12 queries");
    }

    #[test]
    fn sizes_are_said_with_two_digits() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes_in_words(bytes), words);
        }
    }
}
