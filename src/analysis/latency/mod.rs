//! How long many transactions took: counts in buckets that are never wider than a thousandth of the time they stand for.
//! Any percentile can be asked for later, and those of several threads, seconds or machines can be put together.
//!
//! The buckets are those of `HdrHistogram` (Gil Tene, hdrhistogram.org). Sum, sum of squares, least and largest time are
//! kept exactly beside them.

pub mod bytes;
pub mod shape;

use std::time::Duration;

use hdrhistogram::Histogram;

/// How far a percentile may lie above the exact one, as a share of it. It never lies below.
pub const PRECISION: f64 = 0.001;

/// The digits of [`PRECISION`].
const DIGITS: u8 = 3;

/// What takes longer is counted as an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

const NS_PER_MS: f64 = 1e6;

/// The times of many transactions. Takes 270 kB of address space, of which what was recorded touches a small part.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    histogram: Histogram<u64>,
    sum_ns: u128,
    sum_of_squares: u128,
    /// `u64::MAX` as long as there is none.
    min_ns: u64,
    max_ns: u64,
    n_above_an_hour: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    pub fn new() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("constant bounds that are in order"),
            sum_ns: 0,
            sum_of_squares: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            n_above_an_hour: 0,
        }
    }

    /// Counts one transaction. Neither locks nor allocates.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(ns.min(LONGEST_NS));
        self.sum_ns = self.sum_ns.saturating_add(u128::from(ns));
        self.sum_of_squares = self.sum_of_squares.saturating_add(u128::from(ns) * u128::from(ns));
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.n_above_an_hour += u64::from(ns > LONGEST_NS);
    }

    /// Adds what others recorded, as if it had been recorded here.
    pub fn merge(&mut self, other: &Self) {
        let added = self.histogram.add(&other.histogram);
        added.expect("both have the same bounds");
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.n_above_an_hour += other.n_above_an_hour;
    }

    /// How many transactions were counted.
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }

    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// How many took longer than the hour that they are counted as in every percentile. [`max_ms`](Self::max_ms) and the
    /// mean know their times.
    pub fn n_above_an_hour(&self) -> u64 {
        self.n_above_an_hour
    }

    /// The time that `percent` of the transactions did not exceed, by nearest rank (of 10 transactions, 95 percent is
    /// the tenth), at most [`PRECISION`] too high and never too low. `None` without transactions.
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let n = as_f64(self.len());
        // In this order, since 7 / 100 * 100 is more than 7.
        let rank = (percent.clamp(0.0, 100.0) * n / 100.0).ceil().max(1.0);
        // Half a rank below, so that rounding cannot lift it to the next one.
        let ns = self.histogram.value_at_quantile((rank - 0.5) / n);
        Some(self.known_ms(ns))
    }

    pub fn min_ms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| ms(self.min_ns))
    }

    pub fn max_ms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| ms(self.max_ns))
    }

    pub fn mean_ms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| as_f64(self.sum_ns) / as_f64(self.len()) / NS_PER_MS)
    }

    /// The sample standard deviation (n - 1); `None` below two transactions.
    pub fn sd_ms(&self) -> Option<f64> {
        let n = u128::from(self.len());
        if n < 2 {
            return None;
        }
        // By integers, where subtracting large numbers that are nearly the same costs nothing.
        let exact = n
            .checked_mul(self.sum_of_squares)
            .zip(self.sum_ns.checked_mul(self.sum_ns));
        let spread = exact.map_or_else(
            || as_f64(n) * as_f64(self.sum_of_squares) - as_f64(self.sum_ns).powi(2),
            |(of_squares, square)| as_f64(of_squares.saturating_sub(square)),
        );
        let variance = spread.max(0.0) / as_f64(n) / as_f64(n - 1);
        Some(variance.sqrt() / NS_PER_MS)
    }

    /// A time that stands for its bucket, within what was recorded.
    fn known_ms(&self, ns: u64) -> f64 {
        ms(ns.clamp(self.min_ns, self.max_ns))
    }
}

fn ms(ns: u64) -> f64 {
    as_f64(ns) / NS_PER_MS
}

#[expect(clippy::cast_precision_loss, reason = "16 digits are more than a clock has")]
fn as_f64(number: impl Into<u128>) -> f64 {
    number.into() as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Latencies of these times.
    pub fn of(times_ns: &[u64]) -> Latencies {
        let mut latencies = Latencies::new();
        for ns in times_ns {
            latencies.record(Duration::from_nanos(*ns));
        }
        latencies
    }

    /// Times of any order of magnitude from nothing to an hour.
    pub fn any_ns() -> impl Strategy<Value = u64> {
        (0..42u32).prop_flat_map(|bits| (0..=1u64 << bits).prop_map(|ns| ns.min(LONGEST_NS)))
    }

    fn exact_percentile_ns(times_ns: &[u64], percent: usize) -> u64 {
        let mut ranked = times_ns.to_vec();
        ranked.sort_unstable();
        ranked[(percent * ranked.len()).div_ceil(100).max(1) - 1]
    }

    #[test]
    fn nothing_recorded_has_no_numbers() {
        let latencies = Latencies::new();
        assert!(latencies.is_empty() && latencies.shares(10).is_empty() && latencies.bars(10).is_empty());
        let numbers = [
            latencies.percentile_ms(50.0),
            latencies.mean_ms(),
            latencies.min_ms(),
            latencies.max_ms(),
            latencies.sd_ms(),
        ];
        assert_eq!(numbers, [None; 5]);
    }

    #[test]
    fn percentiles_are_by_nearest_rank_to_the_last_one() {
        // 1000 to 1100 ns are counted one by one, and 7 / 100 * 100 is not 7.
        let times_ns: Vec<u64> = (1001..=1100).collect();
        let latencies = of(&times_ns);
        for percent in 1..=100 {
            let expected = f64::from(1000 + percent) / 1e6;
            assert_eq!(latencies.percentile_ms(f64::from(percent)), Some(expected), "{percent}");
        }
        assert_eq!(latencies.percentile_ms(0.0), Some(0.001_001));
        assert_eq!(latencies.percentile_ms(7.01), Some(0.001_008));
    }

    #[test]
    fn the_ends_are_exact() {
        let latencies = of(&[1_234_567, 89_012_345_678]);
        assert_eq!(
            (latencies.min_ms(), latencies.max_ms()),
            (Some(1.234_567), Some(89_012.345_678))
        );
        assert_eq!(latencies.percentile_ms(0.0), Some(1.234_943));
        assert_eq!(latencies.percentile_ms(100.0), Some(89_012.345_678));
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_times() {
        // 2, 4, 4, 4, 5, 5, 7, 9: sum of squares about the mean of 5 is 32.
        let latencies = of(&[2, 4, 4, 4, 5, 5, 7, 9].map(|ms| ms * 1_000_000));
        assert_eq!(latencies.mean_ms(), Some(5.0));
        assert!((latencies.sd_ms().unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(of(&[5_000_000]).sd_ms(), None);
    }

    #[test]
    fn a_small_deviation_of_large_times_is_not_lost() {
        let hour = 3_600_000_000_000 - 10;
        let latencies = of(&[hour, hour + 1, hour + 2]);
        assert!((latencies.sd_ms().unwrap() - 1e-6).abs() < 1e-15);
    }

    #[test]
    fn more_than_an_hour_is_counted_as_an_hour_and_said() {
        let mut latencies = of(&[1_000_000]);
        latencies.record(Duration::from_hours(2));
        assert_eq!((latencies.len(), latencies.n_above_an_hour()), (2, 1));
        let p99_ms = latencies.percentile_ms(99.0).unwrap();
        assert!((3.6e6..=3.6e6 * (1.0 + PRECISION)).contains(&p99_ms), "{p99_ms}");
        assert_eq!(latencies.max_ms(), Some(7.2e6));
        latencies.record(Duration::MAX);
        assert_eq!(latencies.n_above_an_hour(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_percentile_is_the_exact_one_within_the_precision(
            times_ns in vec(any_ns(), 1..300),
            percent in 0..=100usize,
        ) {
            let exact_ms = ms(exact_percentile_ns(&times_ns, percent));
            let percent = f64::from(u8::try_from(percent).unwrap());
            let near_ms = of(&times_ns).percentile_ms(percent).unwrap();
            assert!(exact_ms <= near_ms && near_ms <= exact_ms * (1.0 + PRECISION), "{exact_ms} {near_ms}");
        }

        #[test]
        fn merging_is_recording_together(here in vec(any_ns(), 0..50), there in vec(any_ns(), 0..50)) {
            let mut merged = of(&here);
            merged.merge(&of(&there));
            assert_eq!(merged, of(&[here, there].concat()));
        }
    }
}
