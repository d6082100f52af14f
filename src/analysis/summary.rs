//! Numbers from one sample: all trials of one query under one source. Comparing two samples is done elsewhere.
//!
//! A timeout is a measurement: that trial was slower than every one that finished, by an unknown amount. Ranks can respect
//! that, means cannot, so the quantiles are of all trials and the mean of the finished ones, with their number beside it.

use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;

/// What became of one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observed {
    Finished { ms: f64 },
    TimedOut { limit_ms: f64 },
    Failed,
}

impl Observed {
    /// The time, or the limit that it was above; none of a failed trial.
    pub fn at_least_ms(self) -> Option<f64> {
        match self {
            Self::Finished { ms } => Some(ms),
            Self::TimedOut { limit_ms } => Some(limit_ms),
            Self::Failed => None,
        }
    }
}

impl From<&RecordedTrial> for Observed {
    fn from(trial: &RecordedTrial) -> Self {
        match (trial.outcome, trial.execution_ms) {
            (OutcomeWord::Finished, Some(ms)) => Self::Finished { ms },
            (OutcomeWord::TimedOut, Some(limit_ms)) => Self::TimedOut { limit_ms },
            (OutcomeWord::Finished | OutcomeWord::TimedOut, None) | (OutcomeWord::Failed, _) => Self::Failed,
        }
    }
}

/// A quantile in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    At(f64),
    /// It falls among the trials that were stopped at this limit.
    Above(f64),
}

impl Quantile {
    /// Its number, and whether it is only known to lie above that.
    pub fn parts(quantile: Option<Self>) -> (Option<f64>, bool) {
        match quantile {
            None => (None, false),
            Some(Self::At(ms)) => (Some(ms), false),
            Some(Self::Above(ms)) => (Some(ms), true),
        }
    }
}

/// The numbers of one sample. With a failed trial, or with none at all, there are only the counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub n_trials: usize,
    pub n_finished: usize,
    pub n_timed_out: usize,
    pub n_failed: usize,
    /// Of the finished trials; `None` when none did.
    pub mean_ms: Option<f64>,
    /// Sample standard deviation (n - 1) of the finished trials; `None` below two.
    pub std_dev_ms: Option<f64>,
    /// Of all trials, as are the 95th percentile and the minimum.
    pub median_ms: Option<Quantile>,
    pub p95_ms: Option<Quantile>,
    pub min_ms: Option<Quantile>,
}

/// Summarises one sample, whatever the order of its trials.
pub fn summarize(sample: &[Observed]) -> Summary {
    let ranked = Ranked::new(sample);
    let (n_finished, n_timed_out) = (ranked.finished_ms.len(), ranked.limits_ms.len());
    let n_failed = sample.len() - n_finished - n_timed_out;
    let mut summary = Summary {
        n_trials: sample.len(),
        n_finished,
        n_timed_out,
        n_failed,
        mean_ms: None,
        std_dev_ms: None,
        median_ms: None,
        p95_ms: None,
        min_ms: None,
    };
    if n_failed == 0 {
        summary.mean_ms = mean(&ranked.finished_ms);
        summary.std_dev_ms = std_dev(&ranked.finished_ms);
        summary.median_ms = ranked.quantile(50);
        summary.p95_ms = ranked.quantile(95);
        summary.min_ms = ranked.quantile(0);
    }
    summary
}

/// The quantile of one sample at this many percent, of the kind that [`summarize`] takes; `None` where a trial failed.
pub fn quantile(sample: &[Observed], percent: usize) -> Option<Quantile> {
    if sample.contains(&Observed::Failed) {
        return None;
    }
    Ranked::new(sample).quantile(percent)
}

/// The five numbers of a box plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FiveNumbers {
    /// The fastest trial that lies at most 1.5 times the box below it.
    pub low_ms: f64,
    pub first_quartile_ms: f64,
    pub median_ms: f64,
    pub third_quartile_ms: f64,
    /// The slowest trial that lies at most 1.5 times the box above it.
    pub high_ms: f64,
}

/// The box of one sample, as in Tukey, Exploratory Data Analysis, Addison-Wesley 1977, with the quartiles of
/// [`summarize`]'s kind. `None` below five trials, where one failed, and where a quartile falls among timeouts.
pub fn five_numbers(sample: &[Observed]) -> Option<FiveNumbers> {
    if sample.len() < 5 || sample.contains(&Observed::Failed) {
        return None;
    }
    let ranked = Ranked::new(sample);
    let known = |percent: usize| match ranked.quantile(percent)? {
        Quantile::At(ms) => Some(ms),
        Quantile::Above(_) => None,
    };
    let (first, third) = (known(25)?, known(75)?);
    let reach = 1.5 * (third - first);
    let mut inside = ranked
        .finished_ms
        .iter()
        .filter(|ms| (first - reach..=third + reach).contains(*ms));
    let low_ms = *inside.next()?;
    Some(FiveNumbers {
        low_ms,
        first_quartile_ms: first,
        median_ms: known(50)?,
        third_quartile_ms: third,
        high_ms: inside.next_back().copied().unwrap_or(low_ms),
    })
}

/// Trials from the fastest to the slowest: the finished ones, then those that timed out.
pub(super) struct Ranked {
    finished_ms: Vec<f64>,
    limits_ms: Vec<f64>,
}

impl Ranked {
    pub(super) fn new(sample: &[Observed]) -> Self {
        let mut ranked = Self {
            finished_ms: Vec::new(),
            limits_ms: Vec::new(),
        };
        for trial in sample {
            match *trial {
                Observed::Finished { ms } => ranked.finished_ms.push(ms),
                Observed::TimedOut { limit_ms } => ranked.limits_ms.push(limit_ms),
                Observed::Failed => {}
            }
        }
        ranked.finished_ms.sort_by(f64::total_cmp);
        ranked.limits_ms.sort_by(f64::total_cmp);
        ranked
    }

    /// Type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50(4), 1996: the
    /// default of R and `NumPy`. It lies at position (n - 1) * p, counted from 0, on the line between its two neighbours;
    /// at 50 percent it is the median. The position is found in whole numbers, so that no rounding error reaches for a
    /// neighbour it does not need. Between a finished trial and one that timed out there is no line to lie on:
    /// the answer is the limit.
    fn quantile(&self, percent: usize) -> Option<Quantile> {
        let n_gaps = (self.finished_ms.len() + self.limits_ms.len()).checked_sub(1)?;
        let (lower_idx, hundredths) = (n_gaps * percent / 100, n_gaps * percent % 100);
        let lower = self.at(lower_idx);
        if hundredths == 0 {
            return Some(lower);
        }
        #[expect(clippy::cast_precision_loss, reason = "less than a hundred")]
        let fraction = hundredths as f64 / 100.0;
        Some(match (lower, self.at(lower_idx + 1)) {
            (Quantile::At(lower_ms), Quantile::At(upper_ms)) => Quantile::At(between(lower_ms, upper_ms, fraction)),
            (Quantile::Above(lower_ms), Quantile::Above(upper_ms)) => {
                Quantile::Above(between(lower_ms, upper_ms, fraction))
            }
            (Quantile::At(_), above @ Quantile::Above(_)) | (above @ Quantile::Above(_), Quantile::At(_)) => above,
        })
    }

    /// The trial at this position, counted from the fastest.
    pub(super) fn at(&self, trial_idx: usize) -> Quantile {
        match self.finished_ms.get(trial_idx) {
            Some(ms) => Quantile::At(*ms),
            None => Quantile::Above(self.limits_ms[trial_idx - self.finished_ms.len()]),
        }
    }
}

fn between(lower: f64, upper: f64, fraction: f64) -> f64 {
    lower + fraction * (upper - lower)
}

/// The mean, corrected by the mean of what it leaves over, which takes back the rounding of the first sum.
fn mean(values: &[f64]) -> Option<f64> {
    let n_values = count(values);
    if values.is_empty() {
        return None;
    }
    let first = values.iter().sum::<f64>() / n_values;
    let rest = values.iter().map(|value| value - first).sum::<f64>();
    Some(first + rest / n_values)
}

/// The sample standard deviation. Summing squares in one pass loses every digit when the spread is small beside the mean, as
/// NIST's `NumAcc` data sets are made to show, so this goes twice over the values.
fn std_dev(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    // The corrected two-pass algorithm: Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
    // Recommendations", The American Statistician 37(3), 1983.
    let mean = mean(values)?;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let rest = values.iter().map(|value| value - mean).sum::<f64>();
    let n_values = count(values);
    Some(((squares - rest * rest / n_values) / (n_values - 1.0)).sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "no sample has 2^52 trials")]
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;

    use super::*;

    /// Miles per gallon of 32 cars, Henderson and Velleman 1981: R's `mtcars$mpg`.
    const MTCARS_MPG: [f64; 32] = [
        21.0, 21.0, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4, 14.7, 32.4,
        30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26.0, 30.4, 15.8, 19.7, 15.0, 21.4,
    ];

    fn finished(times_ms: &[f64]) -> Vec<Observed> {
        times_ms.iter().map(|ms| Observed::Finished { ms: *ms }).collect()
    }

    /// These trials, and as many more that were stopped at 30 s.
    fn censored(times_ms: &[f64], n_timed_out: usize) -> Vec<Observed> {
        let mut sample = finished(times_ms);
        sample.extend(vec![Observed::TimedOut { limit_ms: 30_000.0 }; n_timed_out]);
        sample
    }

    fn ranked(times_ms: &[f64]) -> Ranked {
        Ranked::new(&finished(times_ms))
    }

    fn is_at(quantile: Option<Quantile>, expected_ms: f64) -> bool {
        matches!(quantile, Some(Quantile::At(ms)) if (ms - expected_ms).abs() < 1e-9)
    }

    /// Correct significant digits, as NIST asks statistical software for: the log relative error.
    fn correct_digits(computed: f64, certified: f64) -> f64 {
        let error = ((computed - certified) / certified).abs();
        if error == 0.0 { 15.0 } else { -error.log10() }
    }

    /// A first value, then 500 times a lower and a higher one: how NIST defines `NumAcc2` to `NumAcc4`.
    fn num_acc(first: f64, lower: f64, higher: f64) -> Vec<f64> {
        let mut values = vec![first];
        values.extend([lower, higher].repeat(500));
        values
    }

    #[test]
    fn mean_and_deviation_agree_with_nist() {
        // NIST Statistical Reference Datasets, univariate summary statistics: values, certified mean and deviation, and the
        // digits that can be had at all from inputs that are not exact in binary.
        let cases: [(&str, Vec<f64>, f64, f64, f64); 4] = [
            (
                "NumAcc1",
                vec![10_000_001.0, 10_000_003.0, 10_000_002.0],
                10_000_002.0,
                1.0,
                15.0,
            ),
            ("NumAcc2", num_acc(1.2, 1.1, 1.3), 1.2, 0.1, 14.0),
            (
                "NumAcc3",
                num_acc(1_000_000.2, 1_000_000.1, 1_000_000.3),
                1_000_000.2,
                0.1,
                9.0,
            ),
            (
                "NumAcc4",
                num_acc(10_000_000.2, 10_000_000.1, 10_000_000.3),
                10_000_000.2,
                0.1,
                8.0,
            ),
        ];
        for (name, values, certified_mean, certified_deviation, n_digits) in cases {
            let summary = summarize(&finished(&values));
            let mean_digits = correct_digits(summary.mean_ms.unwrap(), certified_mean);
            let deviation_digits = correct_digits(summary.std_dev_ms.unwrap(), certified_deviation);
            assert!(mean_digits >= 14.0, "{name}: {mean_digits} digits of the mean");
            assert!(
                deviation_digits >= n_digits,
                "{name}: {deviation_digits} digits of the deviation"
            );
        }
    }

    #[test]
    fn the_numbers_of_a_known_sample_agree_with_r() {
        let summary = summarize(&finished(&MTCARS_MPG));
        // R: summary(mtcars$mpg), sd(mtcars$mpg), quantile(mtcars$mpg, 0.95).
        assert!((summary.mean_ms.unwrap() - 20.090_625).abs() < 1e-9);
        assert!((summary.std_dev_ms.unwrap() - 6.026_948).abs() < 5e-7);
        assert!(is_at(summary.min_ms, 10.4));
        assert!(is_at(summary.median_ms, 19.2));
        assert!(is_at(summary.p95_ms, 31.3));
        assert!(is_at(ranked(&MTCARS_MPG).quantile(25), 15.425));
        assert!(is_at(ranked(&MTCARS_MPG).quantile(75), 22.8));
    }

    #[test]
    fn quantiles_agree_with_numpys_examples() {
        // numpy.quantile's documentation: a = [[10, 7, 4], [3, 2, 1]].
        assert!(is_at(ranked(&[10.0, 7.0, 4.0, 3.0, 2.0, 1.0]).quantile(50), 3.5));
        assert!(is_at(ranked(&[10.0, 7.0, 4.0]).quantile(50), 7.0));
        assert!(is_at(ranked(&[3.0, 2.0, 1.0]).quantile(50), 2.0));
        // 1 to 10 at 95 percent: position 9 * 0.95 = 8.55.
        assert!(is_at(
            ranked(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]).quantile(95),
            9.55
        ));
    }

    #[test]
    fn the_box_of_a_known_sample_is_that_of_numpy() {
        // NumPy 2.4.6: percentile(x, [25, 50, 75]), and the least and the largest within 1.5 (q3 - q1) of them; 33.9 is out.
        let mut sample = finished(&MTCARS_MPG);
        sample.push(Observed::Finished { ms: 60.0 });
        let five = five_numbers(&sample).unwrap();
        let found = [
            five.low_ms,
            five.first_quartile_ms,
            five.median_ms,
            five.third_quartile_ms,
            five.high_ms,
        ];
        for (found, expected) in found.into_iter().zip([10.4, 15.5, 19.2, 22.8, 32.4]) {
            assert!((found - expected).abs() < 1e-9, "{five:?}");
        }
        assert_eq!(five_numbers(&finished(&[1.0, 2.0, 3.0, 4.0])), None);
        assert_eq!(
            five_numbers(&censored(&[1.0, 2.0, 3.0], 3)),
            None,
            "a quarter took longer than is known"
        );
        assert!(five_numbers(&censored(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 1)).is_some());
    }

    #[test]
    fn a_single_trial_has_no_deviation() {
        let summary = summarize(&finished(&[7.0]));
        assert_eq!(summary.mean_ms, Some(7.0));
        assert_eq!(summary.std_dev_ms, None);
        for quantile in [summary.min_ms, summary.median_ms, summary.p95_ms] {
            assert_eq!(quantile, Some(Quantile::At(7.0)));
        }
    }

    #[test]
    fn a_timeout_is_slower_than_every_finished_trial() {
        let summary = summarize(&censored(&[3.0, 1.0, 2.0], 1));
        assert_eq!((summary.n_trials, summary.n_finished, summary.n_timed_out), (4, 3, 1));
        assert_eq!(summary.min_ms, Some(Quantile::At(1.0)));
        assert_eq!(
            summary.median_ms,
            Some(Quantile::At(2.5)),
            "of all four, not of the finished three"
        );
        assert_eq!(summary.p95_ms, Some(Quantile::Above(30_000.0)));
        assert_eq!(summary.mean_ms, Some(2.0));
        assert_eq!(summary.std_dev_ms, Some(1.0));
    }

    #[test]
    fn a_median_between_a_finished_trial_and_a_timeout_is_above_the_limit() {
        assert_eq!(
            summarize(&censored(&[1.0, 2.0], 2)).median_ms,
            Some(Quantile::Above(30_000.0))
        );
        assert_eq!(
            summarize(&censored(&[1.0, 2.0, 3.0], 2)).median_ms,
            Some(Quantile::At(3.0))
        );
        assert_eq!(
            summarize(&censored(&[1.0, 2.0], 3)).median_ms,
            Some(Quantile::Above(30_000.0))
        );
    }

    #[test]
    fn a_quantile_that_falls_on_a_finished_trial_does_not_reach_for_the_timeout_beyond() {
        // 21 trials: 20 * 0.95 = 19 exactly, the slowest that finished.
        let times_ms: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(summarize(&censored(&times_ms, 1)).p95_ms, Some(Quantile::At(20.0)));
    }

    #[test]
    fn when_nothing_finished_only_limits_are_known() {
        let summary = summarize(&censored(&[], 3));
        for quantile in [summary.min_ms, summary.median_ms, summary.p95_ms] {
            assert_eq!(quantile, Some(Quantile::Above(30_000.0)));
        }
        assert_eq!((summary.mean_ms, summary.std_dev_ms), (None, None));
    }

    #[test]
    fn a_failed_trial_leaves_only_counts() {
        let mut sample = censored(&[1.0, 2.0], 1);
        sample.push(Observed::Failed);
        let counts_only = Summary {
            n_trials: 4,
            n_finished: 2,
            n_timed_out: 1,
            n_failed: 1,
            mean_ms: None,
            std_dev_ms: None,
            median_ms: None,
            p95_ms: None,
            min_ms: None,
        };
        assert_eq!(summarize(&sample), counts_only);
    }

    #[test]
    fn no_trials_have_no_numbers() {
        let summary = summarize(&[]);
        assert_eq!((summary.n_trials, summary.mean_ms, summary.median_ms), (0, None, None));
    }

    proptest! {
        #[test]
        fn the_order_of_trials_does_not_matter(times_ms in vec(0.01..1e5f64, 1..40), n_timed_out in 0..9usize) {
            let sample = censored(&times_ms, n_timed_out);
            let reversed: Vec<Observed> = sample.iter().rev().copied().collect();
            assert_eq!(summarize(&sample), summarize(&reversed));
        }

        #[test]
        fn quantiles_keep_their_order(times_ms in vec(0.01..1e4f64, 1..40), n_timed_out in 0..9usize) {
            let summary = summarize(&censored(&times_ms, n_timed_out));
            let bounds = [summary.min_ms, summary.median_ms, summary.p95_ms].map(|quantile| match quantile.unwrap() {
                Quantile::At(ms) | Quantile::Above(ms) => ms,
            });
            assert!(bounds.is_sorted());
        }

        #[test]
        fn a_shift_moves_the_mean_and_leaves_the_deviation(times_ms in vec(1.0..100f64, 2..40), shift_ms in 0.0..1e6f64) {
            let shifted: Vec<f64> = times_ms.iter().map(|ms| ms + shift_ms).collect();
            let (here, there) = (summarize(&finished(&times_ms)), summarize(&finished(&shifted)));
            assert!((here.mean_ms.unwrap() + shift_ms - there.mean_ms.unwrap()).abs() < 1e-6);
            assert!((here.std_dev_ms.unwrap() - there.std_dev_ms.unwrap()).abs() < 1e-6);
        }
    }
}
