//! How sure a mean is: its interval by resampling.

use std::collections::HashMap;

use crate::model::chance::Chance;

/// Resamples of a bootstrap. One less than a round number, so that its percentiles are values of their own.
const N_RESAMPLES: usize = 1999;

/// Positions kept for samples of other sizes: two bytes each.
const MOST_KEPT: usize = 4_000_000;

/// What is left of a sum that should be zero, as a share of what went into it.
const ROUNDING: f64 = 1e-12;

/// Which values every resample takes, for samples of any size. The positions depend on the seed and the size alone: all
/// comparisons of an experiment share them, and a comparison seen from its other side has the mirrored interval.
pub struct Resampling {
    seed: u64,
    positions: HashMap<usize, Vec<u16>>,
}

impl Resampling {
    /// The resamples of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            positions: HashMap::new(),
        }
    }

    /// The 95 percent interval of a mean by the bootstrap-t: Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    /// section 12.5. Resampling the mean by itself gives intervals that are too short for a handful of values. `None` below
    /// four values, where too many resamples are one value over and over; a single point where all are the same.
    pub fn interval_of_mean(&mut self, values: &[f64]) -> Option<(f64, f64)> {
        let n = values.len();
        if n < 4 {
            return None;
        }
        let centre = mean(values);
        let error = standard_error(values)?;
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if error <= ROUNDING * largest {
            return Some((centre, centre));
        }
        let centred: Vec<f64> = values.iter().map(|value| value - centre).collect();
        let mut studentized: Vec<f64> = self
            .positions(n)
            .chunks_exact(n)
            .map(|resample| distance(&centred, resample))
            .collect();
        let tail = N_RESAMPLES / 40;
        let low = *studentized.select_nth_unstable_by(tail, f64::total_cmp).1;
        let high = *studentized
            .select_nth_unstable_by(N_RESAMPLES - 1 - tail, f64::total_cmp)
            .1;
        // What lies far above in the resamples says how far below the true mean may lie.
        let interval = (centre - high * error, centre - low * error);
        (interval.0.is_finite() && interval.1.is_finite()).then_some(interval)
    }

    fn positions(&mut self, n: usize) -> &[u16] {
        let n_kept: usize = self.positions.values().map(Vec::len).sum();
        if n_kept > MOST_KEPT && !self.positions.contains_key(&n) {
            self.positions.clear();
        }
        let seed = self.seed;
        self.positions.entry(n).or_insert_with(|| {
            let mut chance = Chance::new(seed, &[b"pgassay resamples 1", &(n as u64).to_be_bytes()]);
            let draw = |_| u16::try_from(chance.below_by_rejection(n)).expect("no experiment has 65,536 rounds");
            (0..N_RESAMPLES * n).map(draw).collect()
        })
    }
}

/// How many of its own standard errors the mean of a resample lies from the sample's mean.
fn distance(centred: &[f64], resample: &[u16]) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for position in resample {
        let value = centred[usize::from(*position)];
        sum += value;
        squares += value * value;
    }
    let n = as_f64(resample.len());
    let left = squares - sum * sum / n;
    // One value over and over leaves nothing but what was rounded: it lies infinitely far, or it is the mean itself.
    let variance = if left <= ROUNDING * squares {
        0.0
    } else {
        left / (n - 1.0)
    };
    let distance = sum / n / (variance / n).sqrt();
    if distance.is_nan() { 0.0 } else { distance }
}

/// Of the mean; `None` below two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let n = as_f64(values.len());
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (n - 1.0) / n).sqrt())
}

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / as_f64(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "no experiment has 2^52 rounds")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::tests::normal;

    /// Percent changes of a stimulus's effect in ten cells: made up, but with a long tail.
    const SKEWED: [f64; 10] = [0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.7, 1.1, 1.9, 4.6];

    #[test]
    fn the_interval_is_that_of_a_bootstrap_in_numpy() {
        // NumPy 2.4.6, 2,000,000 resamples r of SKEWED: t = (mean(r) - mean) / (std(r, ddof=1) / sqrt(10)),
        // mean - percentile(t, [97.5, 2.5]) * std / sqrt(10). Ours has 1999, so its ends vary by some percent.
        let (low, high) = Resampling::new(5).interval_of_mean(&SKEWED).unwrap();
        assert!(
            (low - BOOTSTRAP_T.0).abs() < 0.06 && (high / BOOTSTRAP_T.1 - 1.0).abs() < 0.2,
            "{low} {high}"
        );
    }

    const BOOTSTRAP_T: (f64, f64) = (0.337, 4.570);

    #[test]
    fn the_other_side_has_the_mirrored_interval() {
        let mut resampling = Resampling::new(6);
        let (low, high) = resampling.interval_of_mean(&SKEWED).unwrap();
        let mirrored = SKEWED.map(|value| -value);
        let (mirrored_low, mirrored_high) = resampling.interval_of_mean(&mirrored).unwrap();
        assert!((low + mirrored_high).abs() < 1e-12 && (high + mirrored_low).abs() < 1e-12);
    }

    #[test]
    fn a_few_values_have_no_interval_and_equal_ones_a_point() {
        let mut resampling = Resampling::new(7);
        assert_eq!(resampling.interval_of_mean(&[1.0, 2.0, 3.0]), None);
        assert!(resampling.interval_of_mean(&[1.0, 2.0, 3.0, 4.0]).is_some());
        assert_eq!(resampling.interval_of_mean(&[2.0; 9]), Some((2.0, 2.0)));
        let (low, high) = resampling.interval_of_mean(&[0.1; 9]).unwrap();
        assert!((low - 0.1).abs() < 1e-12 && (high - 0.1).abs() < 1e-12, "{low} {high}");
    }

    #[test]
    fn where_many_resamples_are_one_value_over_and_over_there_is_no_interval() {
        // Times of a clock with few digits: (5/6)^6 = 33 of 100 resamples take no value but the zero.
        for values in [[0.23, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -0.631, 0.0, 0.0]] {
            let interval = Resampling::new(8).interval_of_mean(&values);
            assert_eq!(interval, None, "{values:?}");
        }
    }

    #[test]
    fn intervals_hold_the_true_mean_about_95_times_in_100() {
        let mut chance = Chance::new(11, &[b"coverage"]);
        let mut resampling = Resampling::new(11);
        let n_held = (0..400)
            .filter(|_| {
                let values: Vec<f64> = (0..10).map(|_| normal(&mut chance)).collect();
                let (low, high) = resampling.interval_of_mean(&values).unwrap();
                low <= 0.0 && 0.0 <= high
            })
            .count();
        // Three standard deviations of a count of 400 at 0.95 are 13.
        assert!((367..=393).contains(&n_held), "{n_held} of 400");
    }
}
