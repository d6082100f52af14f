//! The shape of latencies, for charts: how many took at most how long, and how many took about how long.

use super::Latencies;
use super::NS_PER_MS;
use super::PRECISION;
use super::as_f64;

/// A bucket of the histogram as it is stored: the times in nanoseconds that it cannot tell apart, and how many took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub lowest_ns: u64,
    pub highest_ns: u64,
    pub n: u64,
}

/// How many transactions took between two times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub from_ms: f64,
    pub to_ms: f64,
    pub n: u64,
}

impl Latencies {
    /// How many took at most so long, by the buckets: of a percentile's time, all that it counts.
    pub fn n_up_to_ms(&self, time_ms: f64) -> u64 {
        self.histogram.count_between(0, rounded_ns(time_ms))
    }

    /// The buckets that hold something, in ascending order.
    pub fn raw(&self) -> impl Iterator<Item = Bucket> {
        self.buckets().map(|(ns, n)| Bucket {
            lowest_ns: self.histogram.lowest_equivalent(ns),
            highest_ns: self.histogram.highest_equivalent(ns),
            n,
        })
    }

    /// Points of the distribution function, from the least to the largest time: a time in milliseconds, and the share of
    /// transactions (0 to 1) that took at most so long. At most `n_points` and one, about equal shares apart; empty
    /// without transactions.
    pub fn shares(&self, n_points: u32) -> Vec<(f64, f64)> {
        let (total, n_points) = (u128::from(self.len()), u128::from(n_points.max(1)));
        let mut points = Vec::new();
        let mut last_step = None;
        let mut n_at_most = 0;
        for (ns, n) in self.buckets() {
            n_at_most += u128::from(n);
            let step = n_at_most * n_points / total;
            if last_step < Some(step) {
                last_step = Some(step);
                let at_ms = self.known_ms(self.histogram.highest_equivalent(ns));
                points.push((at_ms, as_f64(n_at_most) / as_f64(total)));
            }
        }
        points
    }

    /// How many transactions took about how long: at most `n_bars` side by side from the least to the largest time, of
    /// equal width on a logarithmic axis, none of them narrower than what [`PRECISION`] can tell apart. Empty without
    /// transactions.
    pub fn bars(&self, n_bars: u32) -> Vec<Bar> {
        if self.is_empty() {
            return Vec::new();
        }
        // A logarithm of nothing is none: what took no time by the clock took a nanosecond.
        let low = as_f64(self.min_ns.max(1)).ln();
        let high = as_f64(self.max_ns.max(1)).ln();
        let most = ((high - low) / (2.0 * PRECISION))
            .floor()
            .clamp(1.0, f64::from(n_bars.max(1)));
        let width = (high - low) / most;
        let edge_ms = |idx: usize| match idx {
            0 => as_f64(self.min_ns) / NS_PER_MS,
            _ => (low + width * as_f64(idx as u64)).exp() / NS_PER_MS,
        };
        let n_bars = floor(most);
        let mut bars: Vec<Bar> = (0..n_bars)
            .map(|idx| Bar {
                from_ms: edge_ms(idx),
                to_ms: edge_ms(idx + 1),
                n: 0,
            })
            .collect();
        bars[n_bars - 1].to_ms = as_f64(self.max_ns) / NS_PER_MS;
        for (ns, n) in self.buckets() {
            let middle_ns = self.histogram.median_equivalent(ns).clamp(self.min_ns, self.max_ns);
            let idx = (as_f64(middle_ns.max(1)).ln() - low) / width;
            // Of equal times the width is nothing, and so is the distance.
            let idx = if idx.is_nan() { 0 } else { floor(idx) };
            bars[idx.min(n_bars - 1)].n += n;
        }
        bars
    }

    /// The buckets that hold something: a time of each in nanoseconds, and how many.
    fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.histogram.iter_recorded();
        recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
    }
}

/// A time in whole nanoseconds, as they were before they were said in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast takes what is below to 0 and what is above to the most"
)]
fn rounded_ns(time_ms: f64) -> u64 {
    (time_ms * NS_PER_MS).round() as u64
}

/// The whole part of a small number that is not negative; 0 of one that is by rounding.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast takes what is below to 0"
)]
fn floor(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::any_ns;
    use super::super::tests::of;
    use super::*;

    #[test]
    fn shares_rise_to_one_at_the_largest_time() {
        let latencies = of(&[1_000, 1_100, 1_200, 1_300]);
        let points = vec![(0.001, 0.25), (0.0011, 0.5), (0.0012, 0.75), (0.0013, 1.0)];
        assert_eq!(latencies.shares(100), points);
        assert_eq!(latencies.shares(2), vec![(0.001, 0.25), (0.0011, 0.5), (0.0013, 1.0)]);
    }

    #[test]
    fn raw_buckets_hold_the_times_that_were_recorded_in_them() {
        let raw: Vec<Bucket> = of(&[1_000, 1_000, 5_000_000]).raw().collect();
        let bucket = |lowest_ns, highest_ns, n| Bucket {
            lowest_ns,
            highest_ns,
            n,
        };
        // Above 2048 ns a bucket is two nanoseconds wide, above 4096 four, and so on.
        assert_eq!(raw, [bucket(1_000, 1_000, 2), bucket(4_997_120, 5_001_215, 1)]);
    }

    #[test]
    fn what_took_up_to_a_percentile_is_its_share() {
        let latencies = of(&(1..=1000).map(|idx| idx * 10_007).collect::<Vec<u64>>());
        for percent in [0.1, 50.0, 95.0, 99.9, 100.0] {
            let n = latencies.n_up_to_ms(latencies.percentile_ms(percent).unwrap());
            // Times of one bucket go together.
            assert!(
                as_f64(n) / 10.0 >= percent && as_f64(n) / 10.0 < percent + 0.2,
                "{percent} {n}"
            );
        }
        assert_eq!((latencies.n_up_to_ms(0.0), latencies.n_up_to_ms(1e12)), (0, 1000));
    }

    #[test]
    fn bars_are_of_equal_width_on_a_logarithmic_axis() {
        let bars = of(&[1_000, 2_000, 50_000, 1_000_000]).bars(3);
        let counts: Vec<u64> = bars.iter().map(|bar| bar.n).collect();
        assert_eq!(counts, [2, 1, 1]);
        for (idx, edge_ms) in [0.001, 0.01, 0.1, 1.0].iter().enumerate() {
            let found_ms = bars.get(idx).map_or(bars[2].to_ms, |bar| bar.from_ms);
            assert!((found_ms / edge_ms - 1.0).abs() < 1e-9, "{found_ms} {edge_ms}");
        }
    }

    #[test]
    fn equal_times_are_one_bar() {
        let equal = Bar {
            from_ms: 5.0,
            to_ms: 5.0,
            n: 3,
        };
        assert_eq!(of(&[5_000_000; 3]).bars(40), [equal]);
        assert_eq!(of(&[0, 0]).bars(40).len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_transaction_is_lost_in_bars_or_shares(times_ns in vec(any_ns(), 1..200), n in 1..60u32) {
            let latencies = of(&times_ns);
            let bars = latencies.bars(n);
            assert_eq!(bars.iter().map(|bar| bar.n).sum::<u64>(), latencies.len());
            assert!(bars.len() <= n as usize && bars.is_sorted_by(|a, b| a.to_ms <= b.from_ms * (1.0 + 1e-12)));
            let shares = latencies.shares(n);
            assert!(shares.len() <= n as usize + 1);
            assert!(shares.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            assert_eq!(shares.last().map(|last| last.1), Some(1.0));
            assert_eq!(shares.last().map(|last| last.0), latencies.max_ms());
        }

        #[test]
        fn a_share_is_that_of_the_times_up_to_its_point(times_ns in vec(any_ns(), 1..200)) {
            for (at_ms, share) in of(&times_ns).shares(20) {
                let n_at_most = times_ns.iter().filter(|ns| as_f64(**ns) / NS_PER_MS <= at_ms).count();
                let expected = as_f64(n_at_most as u64) / as_f64(times_ns.len() as u64);
                assert!((expected - share).abs() < 1e-12, "{expected} {share}");
            }
        }
    }
}
