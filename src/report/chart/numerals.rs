//! Numbers as a person writes them: round ones, in a unit that suits them; and the casts that drawing needs.

/// What the numbers of a chart are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Times in milliseconds; the axis shows whichever of µs, ms, s or min reads best.
    Milliseconds,
    /// The planner's cost, which has no unit.
    Cost,
    /// How many, or how many a second: the title says of what.
    Count,
    /// How many of what is never divided: clients, runs.
    Whole,
    /// Hundredths.
    Percent,
    /// The axis shows whichever of bytes, KiB, MiB, GiB or TiB reads best.
    Bytes,
}

/// A time in the unit that suits it, to three digits after the point: "30 s", "1.5 min".
pub(super) fn duration(time_ms: f64) -> String {
    let shown = Shown::choose(Unit::Milliseconds, time_ms);
    let rounded = (time_ms / shown.factor * 1e3).round() / 1e3;
    format!("{rounded} {}", shown.unit.unwrap_or_default())
}

/// The numbers 1, 2, 5, 10, 20, 50 ... counted from 1, which is number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OneTwoFive(pub i32);

impl OneTwoFive {
    pub fn value(self) -> f64 {
        let digit = [1.0, 2.0, 5.0][usize::try_from(self.0.rem_euclid(3)).unwrap_or(0)];
        // Dividing by a power of ten is exact to the last digit, multiplying by a negative power is not.
        match self.exponent() {
            exponent @ 0.. => digit * 10f64.powi(exponent),
            exponent => digit / 10f64.powi(-exponent),
        }
    }

    /// The greatest that is not above `value`, which must be above zero.
    pub fn at_most(value: f64) -> Self {
        let decade = as_i32(value.log10().floor());
        (3 * decade - 1..=3 * decade + 3)
            .rev()
            .map(Self)
            .find(|candidate| candidate.value() <= value * (1.0 + 1e-12))
            .unwrap_or(Self(3 * decade))
    }

    /// The least that is not below `value`, which must be above zero.
    pub fn at_least(value: f64) -> Self {
        let below = Self::at_most(value);
        if below.value() >= value * (1.0 - 1e-12) {
            below
        } else {
            Self(below.0 + 1)
        }
    }

    fn exponent(self) -> i32 {
        self.0.div_euclid(3)
    }

    pub fn is_decade(self) -> bool {
        self.0.rem_euclid(3) == 0
    }

    /// Digits after the point that its multiples need.
    pub fn decimals(self) -> usize {
        usize::try_from(-self.exponent()).unwrap_or(0)
    }
}

/// How the numbers of one axis are written: divided by `factor`, in `unit` or with `suffix`.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub factor: f64,
    pub unit: Option<&'static str>,
    suffix: &'static str,
}

const TIMES: [(f64, &str); 4] = [(1e-3, "µs"), (1.0, "ms"), (1e3, "s"), (60e3, "min")];
const SIZES: [(f64, &str); 5] = [
    (1.0, "bytes"),
    (1024.0, "KiB"),
    (1_048_576.0, "MiB"),
    (1_073_741_824.0, "GiB"),
    (1_099_511_627_776.0, "TiB"),
];
const MULTIPLES: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];

impl Shown {
    /// What suits numbers up to `highest`.
    pub fn choose(unit: Unit, highest: f64) -> Self {
        match unit {
            Unit::Milliseconds => Self::time(match highest {
                ..1.0 => 0,
                ..1e3 => 1,
                // 90 s is easier to think of than 1.5 min.
                ..120e3 => 2,
                _ => 3,
            }),
            Unit::Cost | Unit::Count | Unit::Whole if highest < 10e3 => Self::multiple(1.0),
            Unit::Cost | Unit::Count | Unit::Whole => Self::multiple(highest),
            Unit::Percent => Self::in_unit(1.0, "%"),
            Unit::Bytes => Self::size(highest),
        }
    }

    /// What suits decades from `lowest` to `highest`: the unit of their middle, so that neither end has many zeros.
    pub fn choose_log(unit: Unit, lowest: f64, highest: f64) -> Self {
        match unit {
            Unit::Milliseconds if lowest < 60e3 => {
                let middle = (lowest.ln() / 2.0 + highest.ln() / 2.0).exp();
                Self::choose(unit, middle.min(119e3))
            }
            Unit::Milliseconds | Unit::Percent => Self::choose(unit, highest),
            // Each decade of a cost carries its own suffix.
            Unit::Cost | Unit::Count | Unit::Whole => Self::multiple(1.0),
            Unit::Bytes => Self::size((lowest.ln() / 2.0 + highest.ln() / 2.0).exp()),
        }
    }

    fn time(place: usize) -> Self {
        let (factor, unit) = TIMES[place];
        Self::in_unit(factor, unit)
    }

    /// The largest unit of sizes not above `bytes`.
    fn size(bytes: f64) -> Self {
        let fitting = SIZES.iter().rev().find(|(factor, _)| *factor <= bytes);
        let (factor, unit) = fitting.copied().unwrap_or(SIZES[0]);
        Self::in_unit(factor, unit)
    }

    fn in_unit(factor: f64, unit: &'static str) -> Self {
        Self {
            factor,
            unit: Some(unit),
            suffix: "",
        }
    }

    /// The largest multiple not above `value`.
    fn multiple(value: f64) -> Self {
        let fitting = MULTIPLES.iter().rev().find(|(factor, _)| *factor <= value);
        let (factor, suffix) = fitting.copied().unwrap_or(MULTIPLES[0]);
        Self {
            factor,
            unit: None,
            suffix,
        }
    }

    pub fn write(self, value: f64, decimals: usize) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        format!("{}{}", grouped(value, decimals), self.suffix)
    }

    /// A mark that shares no step with its neighbours, written as shortly as it can be.
    pub fn write_alone(self, mark: OneTwoFive) -> String {
        if self.unit.is_some() {
            return self.write(mark.value(), mark.decimals());
        }
        let multiple = Self::multiple(mark.value() * self.factor);
        let value = mark.value() * self.factor / multiple.factor;
        multiple.write(value, OneTwoFive::at_most(value).decimals())
    }
}

/// A number with commas between its thousands.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (plain.as_str(), None),
    };
    let mut written = String::with_capacity(plain.len() + plain.len() / 3);
    for (digit_idx, digit) in whole.chars().enumerate() {
        if digit_idx > 0 && (whole.len() - digit_idx).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    if let Some(fraction) = fraction {
        written.push('.');
        written.push_str(fraction);
    }
    written
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "charts count far below 2^52")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}

/// The whole part of a number as a count; below zero and NaN are zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(super) fn as_count(number: f64) -> usize {
    number as usize
}

/// The whole part of a number; what does not fit is moved to the nearest that does.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, which is what is wanted"
)]
pub(super) fn as_i32(number: f64) -> i32 {
    number as i32
}

/// A length in whole CSS pixels, for the attributes of an image.
pub(super) fn whole(length: f64) -> u32 {
    u32::try_from(as_count(length.ceil())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_the_unit_that_suits_them() {
        for (time_ms, written) in [
            (0.25, "250 µs"),
            (400.0, "400 ms"),
            (30_000.0, "30 s"),
            (90_500.0, "90.5 s"),
            (600_000.0, "10 min"),
        ] {
            assert_eq!(duration(time_ms), written);
        }
    }

    #[test]
    fn round_numbers_are_found_on_both_sides_of_any_number() {
        for (value, below, above) in [
            (3.0, 2.0, 5.0),
            (10.0, 10.0, 10.0),
            (0.7, 0.5, 1.0),
            (0.05, 0.05, 0.05),
            (999.0, 500.0, 1_000.0),
            (1e-9, 1e-9, 1e-9),
            (1e18, 1e18, 1e18),
        ] {
            assert_eq!(
                OneTwoFive::at_most(value).value().to_bits(),
                f64::to_bits(below),
                "{value}"
            );
            assert_eq!(
                OneTwoFive::at_least(value).value().to_bits(),
                f64::to_bits(above),
                "{value}"
            );
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (value, decimals, written) in [
            (5.0, 0, "5"),
            (999.0, 0, "999"),
            (1_000.0, 0, "1,000"),
            (1_234_567.25, 2, "1,234,567.25"),
        ] {
            assert_eq!(grouped(value, decimals), written);
        }
    }

    #[test]
    fn casts_move_what_does_not_fit_to_the_nearest_that_does() {
        assert_eq!(as_count(-1.0), 0);
        assert_eq!(as_count(f64::NAN), 0);
        assert_eq!(as_i32(1e300), i32::MAX);
    }
}
