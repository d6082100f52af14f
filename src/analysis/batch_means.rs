//! How sure a rate over a stretch of time is. Neighbouring seconds of a server are not independent, so the textbook's error
//! of a mean would be too small; batches of seconds nearly are.

use crate::analysis::resample::mean;
use crate::analysis::resample::standard_error;

/// More batches than about so many make an error hardly surer, and leave more of the dependence in it: Schmeiser, "Batch
/// Size Effects in the Analysis of Simulation Output", Operations Research 30(3), 1982, recommends 10 to 30.
const MOST_BATCHES: usize = 15;

/// With fewer, nobody can tell whether batches are independent: the test below is of no use then (Fishman 1978).
pub const LEAST_BATCHES: usize = 8;

/// The one-sided 95 percent quantile of the normal distribution.
const Z: f64 = 1.644_853_626_951_472_7;

/// What one second adds to both sums of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub above: f64,
    pub below: f64,
}

/// One sum over another: transactions over seconds, or transactions up to some time over all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub value: f64,
    /// `None` where there are too few seconds for the dependence between them.
    pub error: Option<RateError>,
}

/// How sure a rate is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateError {
    pub standard_error: f64,
    pub n_batches: usize,
    /// Seconds in each batch.
    pub batch_len: usize,
}

impl RateError {
    /// Degrees of freedom.
    pub fn freedom(&self) -> f64 {
        as_f64(self.n_batches) - 1.0
    }
}

impl Rate {
    /// The rate over seconds in their order. `None` where the lower sum is nothing.
    ///
    /// The error is that of a ratio, from how far each batch lies off it (Cochran, Sampling Techniques, 1977, section
    /// 6.3). Batches grow until von Neumann's test no longer finds neighbours alike: Fishman, "Grouping
    /// Observations in Digital Simulation", Management Science 24(5), 1978. What likeness the test cannot see is allowed for
    /// as that of an autoregressive process: n batches count as n (1 - r) / (1 + r), Wilks, Statistical Methods in the
    /// Atmospheric Sciences, 2011, section 5.2.4.
    pub fn of(parts: &[Part]) -> Option<Self> {
        let above: f64 = parts.iter().map(|part| part.above).sum();
        let below: f64 = parts.iter().map(|part| part.below).sum();
        let value = above / below;
        (below > 0.0 && value.is_finite()).then(|| Self {
            value,
            error: error(parts, value),
        })
    }
}

fn error(parts: &[Part], value: f64) -> Option<RateError> {
    let mut batch_len = parts.len().div_ceil(MOST_BATCHES).max(1);
    loop {
        let n_batches = parts.len() / batch_len;
        if n_batches < LEAST_BATCHES {
            return None;
        }
        let batches = parts[..n_batches * batch_len].chunks_exact(batch_len);
        let residuals: Vec<f64> = batches
            .clone()
            .map(|batch| batch.iter().map(|part| part.above - value * part.below).sum())
            .collect();
        let below: f64 = batches.flatten().map(|part| part.below).sum();
        let likeness = likeness(&residuals);
        let n = as_f64(n_batches);
        if likeness <= Z * ((n - 2.0) / (n * n - 1.0)).sqrt() {
            let allowance = (1.0 + likeness.max(0.0)) / (1.0 - likeness.max(0.0));
            let of_residuals = standard_error(&residuals)? * allowance.sqrt();
            return Some(RateError {
                standard_error: of_residuals / (below / n),
                n_batches,
                batch_len,
            });
        }
        batch_len += 1;
    }
}

/// How alike neighbours are, about their first autocorrelation: von Neumann's ratio as Fishman has it. 0 where all are the
/// same.
fn likeness(values: &[f64]) -> f64 {
    let mean = mean(values);
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let steps: f64 = values.windows(2).map(|pair| (pair[0] - pair[1]).powi(2)).sum();
    if spread > 0.0 {
        1.0 - steps / (2.0 * spread)
    } else {
        0.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "no level has 2^52 seconds")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::tests::normal;
    use crate::model::chance::Chance;

    fn of(values: impl IntoIterator<Item = f64>) -> Option<Rate> {
        let parts: Vec<Part> = values.into_iter().map(|above| Part { above, below: 1.0 }).collect();
        Rate::of(&parts)
    }

    /// Numbers of which each has so much of the one before it, by the generator of ISO C's example, so that Python can make
    /// the same.
    fn series(n: usize, carried: f64, scale: f64) -> Vec<f64> {
        let (mut state, mut last) = (12_345_u64, 0.0);
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            #[expect(clippy::cast_precision_loss, reason = "below 2^31")]
            let share = state as f64 / f64::from(1_u32 << 31);
            last = carried * last + (share - 0.5);
            (1000.0 + scale * last).round()
        };
        (0..n).map(|_| next()).collect()
    }

    /// `NumPy` 2.4.6 and `SciPy` 1.17.1: means of batches, `scipy.stats.sem` of them, times sqrt((1 + C) / (1 - C)) where
    /// C = 1 - sum(diff(x)^2) / (2 sum((x - mean)^2)) is above zero.
    #[test]
    fn errors_are_those_that_numpy_and_scipy_give() {
        for (n, carried, scale, value, batch_len, n_batches, standard_error) in [
            (120, 0.6, 200.0, 992.083_333_333_333_4, 8, 15, 9.579_932_108_650_311),
            (90, 0.9, 200.0, 983.777_777_777_777_8, 7, 12, 42.433_604_086_917_16),
            (600, 0.9, 50.0, 996.841_666_666_666_7, 40, 15, 3.620_294_634_471_410_4),
        ] {
            let rate = of(series(n, carried, scale)).unwrap();
            let error = rate.error.unwrap();
            assert!((rate.value - value).abs() < 1e-9, "{rate:?}");
            assert_eq!((error.batch_len, error.n_batches), (batch_len, n_batches), "{rate:?}");
            assert!((error.standard_error / standard_error - 1.0).abs() < 1e-9, "{rate:?}");
        }
    }

    #[test]
    fn a_trend_has_no_error_however_long_its_batches() {
        assert_eq!(of((0..200).map(f64::from)).unwrap().error, None);
    }

    #[test]
    fn a_shorter_second_weighs_less_and_changes_no_rate() {
        let mut parts = vec![
            Part {
                above: 100.0,
                below: 1.0
            };
            12
        ];
        parts[11] = Part {
            above: 25.0,
            below: 0.25,
        };
        let rate = Rate::of(&parts).unwrap();
        assert!((rate.value - 100.0).abs() < 1e-12);
        assert!(rate.error.unwrap().standard_error < 1e-12);
    }

    #[test]
    fn a_few_seconds_have_a_rate_and_no_error_and_none_have_nothing() {
        let rate = of((0..7).map(f64::from)).unwrap();
        assert_eq!((rate.value, rate.error), (3.0, None));
        assert_eq!(of([]), None);
        let nothing = Part { above: 0.0, below: 0.0 };
        assert_eq!(Rate::of(&[nothing; 20]), None);
    }

    #[test]
    fn intervals_hold_the_true_rate_about_95_times_in_100_though_seconds_depend_on_each_other() {
        use statrs::distribution::ContinuousCDF as _;
        use statrs::distribution::StudentsT;

        let mut chance = Chance::new(3, &[b"batch means"]);
        let (mut n_held, mut n_plain, mut n_told) = (0, 0, 0);
        for _ in 0..600 {
            let mut last = 0.0;
            let values: Vec<f64> = (0..110)
                .map(|_| {
                    last = 0.5 * last + normal(&mut chance);
                    last
                })
                .skip(50)
                .collect();
            let plain = standard_error(&values).unwrap();
            n_plain += usize::from(mean(&values).abs() <= 2.0 * plain);
            let rate = of(values).unwrap();
            if let Some(error) = rate.error {
                let t = StudentsT::new(0.0, 1.0, error.freedom()).unwrap().inverse_cdf(0.975);
                n_told += 1;
                n_held += usize::from(rate.value.abs() <= t * error.standard_error);
            }
        }
        // NumPy says 0.94 of those six in seven that are told, and 0.75 of all where seconds are taken as independent.
        assert!(n_told > 470 && n_held * 100 > n_told * 91, "{n_held} of {n_told}");
        assert!(n_plain < 500, "{n_plain} of 600");
    }
}
