//! Numbers of benchmarks as figures: what is shown, with every stored digit behind it.

use crate::analysis::sweep::percent_in_words;
use crate::model::units::bytes_in_words;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::report::table;
use crate::report::table::Figure;

/// What stands where there is no number.
const NOTHING: &str = "–";

/// A number that may not be there, in these words.
pub fn figure(value: Option<f64>, in_words: impl Fn(f64) -> String) -> Figure {
    value.filter(|value| value.is_finite()).map_or_else(
        || Figure {
            shown: NOTHING.to_owned(),
            exact: String::new(),
        },
        |value| Figure {
            shown: in_words(value),
            exact: value.to_string(),
        },
    )
}

/// A time in milliseconds, under a head that names the unit.
pub fn time(ms: Option<f64>) -> Figure {
    table::time(ms, false)
}

/// A time with its unit.
pub fn time_with_unit(ms: Option<f64>) -> Figure {
    figure(ms, ms_in_words)
}

/// So many a second, or another number of which three digits are enough.
pub fn rate(rate: Option<f64>) -> Figure {
    figure(rate, rate_in_words)
}

/// Both ends of a rate's interval.
pub fn rates(interval: Option<(f64, f64)>) -> Figure {
    between(interval, rate_in_words)
}

/// Both ends of an interval, in these words.
pub fn between(interval: Option<(f64, f64)>, in_words: impl Fn(f64) -> String) -> Figure {
    interval.map_or_else(
        || figure(None, |_| String::new()),
        |(low, high)| Figure {
            shown: format!("{} to {}", in_words(low), in_words(high)),
            exact: format!("{low} to {high}"),
        },
    )
}

pub fn count(n: u64) -> Figure {
    Figure {
        shown: grouped(n),
        exact: n.to_string(),
    }
}

/// A share, 0 to 1, as hundredths; its exact digits are those of the share.
pub fn share(share: Option<f64>) -> Figure {
    figure(share, percent_in_words)
}

/// Bytes, whole or by the second.
pub fn bytes(bytes: Option<f64>) -> Figure {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of bytes is not negative"
    )]
    figure(bytes, |bytes| bytes_in_words(bytes.round() as u64))
}

/// A difference with its sign.
pub fn signed(difference: f64, in_words: impl Fn(f64) -> String) -> Figure {
    let sign = if difference < 0.0 { "\u{2212}" } else { "+" };
    Figure {
        shown: format!("{sign}{}", in_words(difference.abs())),
        exact: difference.to_string(),
    }
}
