//! What one source does to a query, beside a baseline: the ratio of their times, how sure it is, and a word for it.
//!
//! The two times of a round were measured close together, so they are compared with each other: what slows down a whole
//! round falls out. Ratios are averaged as logarithms, so that twice as fast and twice as slow cancel out.

use statrs::distribution::ContinuousCDF as _;
use statrs::distribution::StudentsT;

use crate::analysis::chance::Chance;
use crate::analysis::holm;
use crate::analysis::permutation;
use crate::analysis::permutation::sign_flip;
use crate::analysis::summary::Observed;

/// How often a family of comparisons may call a difference that is none.
const FALSE_ALARMS: f64 = 0.05;

/// How often an effect of the size that is called detectable is detected.
const POWER: f64 = 0.8;

/// A comparison that could only have seen an effect beyond this factor says nothing.
const TOO_NOISY: f64 = 1.5;

/// Resamples of a bootstrap. One less than a round number, so that its percentiles are values of their own.
const N_RESAMPLES: usize = 1999;

/// The times of one round: under the baseline, and under the source that is compared with it.
pub type Pair = (Observed, Observed);

/// One query under one source beside the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    pub n_rounds: usize,
    /// The geometric mean of the source's time over the baseline's: above 1 the source is slower.
    pub ratio: f64,
    /// Its 95 percent interval; `None` below two rounds.
    pub interval: Option<(f64, f64)>,
    /// Rounds in which one of the two timed out, so that the ratio is at least this far from 1.
    pub n_censored: usize,
    /// Of the sign-flip permutation test, by itself.
    pub p_value: f64,
    /// Adjusted for all comparisons of the family.
    pub adjusted_p: f64,
    /// The smallest ratio that so many rounds of such noise would have shown; `None` where they could show none.
    pub detectable: Option<f64>,
    pub verdict: Verdict,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// Usually the truth.
    NoDifference,
    /// Even a large effect could have gone unseen.
    TooNoisy,
}

/// Compares each member of a family: all queries under all sources beside one baseline. `None` for one in which a trial
/// failed, or that has no round with both times. The seed decides the resamples.
pub fn compare(family: &[Vec<Pair>], seed: u64) -> Vec<Option<Effect>> {
    let differences: Vec<Option<Differences>> = family.iter().map(|pairs| Differences::of(pairs)).collect();
    let tested: Vec<(usize, &Differences)> = differences
        .iter()
        .enumerate()
        .filter_map(|(idx, differences)| Some((idx, differences.as_ref()?)))
        .collect();
    let p_values = p_values(&tested, seed);
    let mut effects = vec![None; family.len()];
    for (((idx, differences), p_value), adjusted_p) in tested.iter().zip(&p_values).zip(holm::adjust(&p_values)) {
        let mean = mean(&differences.logs);
        let detectable = differences.detectable(tested.len());
        effects[*idx] = Some(Effect {
            n_rounds: differences.logs.len(),
            ratio: mean.exp(),
            interval: interval_of_mean(&differences.logs, &mut chance(seed, *idx, b"resamples"))
                .map(|(low, high)| (low.exp(), high.exp())),
            n_censored: differences.n_censored,
            p_value: *p_value,
            adjusted_p,
            detectable,
            verdict: verdict(mean, adjusted_p, detectable),
        });
    }
    effects
}

/// Of every tested member of a family, by its position there.
fn p_values(tested: &[(usize, &Differences)], seed: u64) -> Vec<f64> {
    tested
        .iter()
        .map(|(idx, differences)| sign_flip(&differences.logs, &mut chance(seed, *idx, b"signs")))
        .collect()
}

fn chance(seed: u64, idx: usize, purpose: &[u8]) -> Chance {
    Chance::new(seed, &[b"pgassay effect 1", purpose, &idx.to_be_bytes()])
}

fn verdict(mean: f64, adjusted_p: f64, detectable: Option<f64>) -> Verdict {
    match detectable {
        _ if adjusted_p < FALSE_ALARMS && mean < 0.0 => Verdict::Faster,
        _ if adjusted_p < FALSE_ALARMS => Verdict::Slower,
        Some(ratio) if ratio <= TOO_NOISY => Verdict::NoDifference,
        Some(_) | None => Verdict::TooNoisy,
    }
}

/// The logarithms of the ratios of one query.
struct Differences {
    logs: Vec<f64>,
    n_censored: usize,
}

impl Differences {
    /// A timeout counts as its limit. That is the same for both sides, so a hypothesis of no difference stays one.
    fn of(pairs: &[Pair]) -> Option<Self> {
        let mut logs = Vec::with_capacity(pairs.len());
        let mut n_censored = 0;
        for (base, other) in pairs {
            let (base, base_is_cut) = time_of(*base)?;
            let (other, other_is_cut) = time_of(*other)?;
            logs.push((other / base).ln());
            n_censored += usize::from(base_is_cut != other_is_cut);
        }
        (!logs.is_empty()).then_some(Self { logs, n_censored })
    }

    /// The ratio that the test, adjusted for `n_tests`, would call in four of five experiments: the sum of the two
    /// quantiles of Student's t times the standard error, as in Lachin, "Introduction to Sample Size Determination and
    /// Power Analysis for Clinical Trials", Controlled Clinical Trials 2, 1981, with t for the normal distribution.
    fn detectable(&self, n_tests: usize) -> Option<f64> {
        let alpha = FALSE_ALARMS / as_f64(n_tests);
        let n = self.logs.len();
        if permutation::smallest_p(n) >= alpha {
            return None;
        }
        let t = StudentsT::new(0.0, 1.0, as_f64(n - 1)).ok()?;
        let reach = t.inverse_cdf(1.0 - alpha / 2.0) + t.inverse_cdf(POWER);
        Some((reach * standard_error(&self.logs)?).exp())
    }
}

/// What is compared: the time, or the limit at which it was cut off. Zero is less than any clock tells.
fn time_of(observed: Observed) -> Option<(f64, bool)> {
    const TICK_MS: f64 = 0.001;
    match observed {
        Observed::Finished { ms } => Some((ms.max(TICK_MS), false)),
        Observed::TimedOut { limit_ms } => Some((limit_ms, true)),
        Observed::Failed => None,
    }
}

/// The 95 percent interval of a mean by the bootstrap-t: Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
/// section 12.5. Resampling the mean by itself gives intervals that are too short for a handful of rounds. `None` below
/// two values; a single point where they are all the same.
pub fn interval_of_mean(values: &[f64], chance: &mut Chance) -> Option<(f64, f64)> {
    let error = standard_error(values)?;
    let centre = mean(values);
    let mut resample = vec![0.0; values.len()];
    let mut studentized = Vec::with_capacity(N_RESAMPLES);
    for _ in 0..N_RESAMPLES {
        resample.fill_with(|| values[chance.below(values.len())]);
        let off = mean(&resample) - centre;
        // A resample of one value over and over has no spread to measure its distance by.
        let distance = standard_error(&resample).map_or(0.0, |error| off / error);
        studentized.push(if distance.is_nan() { 0.0 } else { distance });
    }
    studentized.sort_by(f64::total_cmp);
    let (low, high) = (
        studentized[N_RESAMPLES / 40],
        studentized[N_RESAMPLES - 1 - N_RESAMPLES / 40],
    );
    // What lies far above in the resamples says how far below the true mean may lie.
    let reach = |distance: f64| if error == 0.0 { 0.0 } else { distance * error };
    Some((centre - reach(high), centre - reach(low)))
}

/// Of the mean; `None` below two values.
fn standard_error(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let n = as_f64(values.len());
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (n - 1.0) / n).sqrt())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / as_f64(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "no experiment has 2^52 rounds")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(ms: f64) -> Observed {
        Observed::Finished { ms }
    }

    /// Pairs of skewed times whose ratios have this mean and, roughly, this spread as logarithms.
    fn pairs(n_rounds: usize, ratio: f64, spread: f64, chance: &mut Chance) -> Vec<Pair> {
        let mut noise = || spread * normal(chance);
        (0..n_rounds)
            .map(|_| (finished(10.0 * noise().exp()), finished(10.0 * ratio * noise().exp())))
            .collect()
    }

    /// Box and Muller 1958.
    fn normal(chance: &mut Chance) -> f64 {
        let mut uniform = || (as_f64(chance.below(1 << 40)) + 0.5) / as_f64(1 << 40);
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    fn one(pairs: Vec<Pair>) -> Option<Effect> {
        compare(&[pairs], 7)[0]
    }

    /// What decides whether a family calls a difference, without the intervals, which take their time.
    fn smallest_adjusted_p(family: &[Vec<Pair>], seed: u64) -> f64 {
        let differences: Vec<Differences> = family.iter().filter_map(|pairs| Differences::of(pairs)).collect();
        let tested: Vec<(usize, &Differences)> = differences.iter().enumerate().collect();
        holm::adjust(&p_values(&tested, seed)).into_iter().fold(1.0, f64::min)
    }

    #[test]
    fn a_plain_effect_is_called_with_its_size() {
        let mut chance = Chance::new(3, &[]);
        let slower = one(pairs(12, 2.0, 0.05, &mut chance)).unwrap();
        assert_eq!(slower.verdict, Verdict::Slower);
        let (low, high) = slower.interval.unwrap();
        assert!(
            1.8 < low && low < slower.ratio && slower.ratio < high && high < 2.2,
            "{slower:?}"
        );
        assert_eq!(one(pairs(12, 0.5, 0.05, &mut chance)).unwrap().verdict, Verdict::Faster);
    }

    #[test]
    fn without_an_effect_the_word_depends_on_what_could_have_been_seen() {
        let mut chance = Chance::new(4, &[]);
        assert_eq!(
            one(pairs(12, 1.0, 0.05, &mut chance)).unwrap().verdict,
            Verdict::NoDifference
        );
        assert_eq!(
            one(pairs(12, 1.0, 1.0, &mut chance)).unwrap().verdict,
            Verdict::TooNoisy
        );
    }

    #[test]
    fn too_few_rounds_show_nothing_however_large_the_effect() {
        let effect = one(pairs(5, 50.0, 0.01, &mut Chance::new(5, &[]))).unwrap();
        assert_eq!((effect.detectable, effect.verdict), (None, Verdict::TooNoisy));
        let single = one(vec![(finished(1.0), finished(2.0))]).unwrap();
        assert_eq!(single.interval, None);
    }

    #[test]
    fn a_whole_slow_round_falls_out() {
        let mut noisy = pairs(10, 1.3, 0.02, &mut Chance::new(6, &[]));
        for (factor, (base, other)) in [1.0, 7.0, 1.0, 30.0, 1.0, 1.0, 2.0, 1.0, 9.0, 1.0]
            .iter()
            .zip(&mut noisy)
        {
            for time in [base, other] {
                if let Observed::Finished { ms } = time {
                    *ms *= factor;
                }
            }
        }
        assert_eq!(one(noisy).unwrap().verdict, Verdict::Slower);
    }

    #[test]
    fn a_timeout_counts_as_its_limit_and_is_told() {
        let cut = (finished(10.0), Observed::TimedOut { limit_ms: 1000.0 });
        let effect = one(vec![cut; 8]).unwrap();
        assert_eq!((effect.n_censored, effect.verdict), (8, Verdict::Slower));
        assert!((effect.ratio - 100.0).abs() < 1e-9);
        let both = Observed::TimedOut { limit_ms: 1000.0 };
        assert_eq!(one(vec![(both, both); 8]).unwrap().n_censored, 0);
    }

    #[test]
    fn failures_and_no_rounds_compare_with_nothing() {
        assert_eq!(one(vec![(finished(1.0), Observed::Failed)]), None);
        assert_eq!(one(Vec::new()), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let family: Vec<Vec<Pair>> = vec![pairs(30, 1.1, 0.3, &mut Chance::new(8, &[]))];
        assert_eq!(compare(&family, 1), compare(&family, 1));
        assert_ne!(compare(&family, 1), compare(&family, 2));
    }

    #[test]
    fn of_200_experiments_without_any_difference_few_call_one() {
        // A true rate of 5 percent goes beyond 18 of 200 in 0.6 percent of such runs.
        let mut chance = Chance::new(9, &[b"A/A"]);
        let n_false = (0..200)
            .filter(|experiment| {
                let family: Vec<Vec<Pair>> = (0..12).map(|_| pairs(10, 1.0, 0.2, &mut chance)).collect();
                smallest_adjusted_p(&family, *experiment) < FALSE_ALARMS
            })
            .count();
        assert!(n_false <= 18, "{n_false} of 200");
    }

    #[test]
    fn a_detectable_effect_is_detected_four_times_in_five() {
        let mut chance = Chance::new(10, &[b"power"]);
        let spread = 0.1;
        // Of the difference of two times: the spread times the root of two.
        let wide: Vec<f64> = (0..4000)
            .map(|_| spread * 2.0_f64.sqrt() * normal(&mut chance))
            .collect();
        let t = StudentsT::new(0.0, 1.0, 11.0).unwrap();
        let error = standard_error(&wide).unwrap() * (4000.0_f64 / 12.0).sqrt();
        let ratio = ((t.inverse_cdf(0.975) + t.inverse_cdf(0.8)) * error).exp();
        let n_called = (0..400)
            .filter(|seed| smallest_adjusted_p(&[pairs(12, ratio, spread, &mut chance)], *seed) < FALSE_ALARMS)
            .count();
        // Three standard deviations of a count of 400 at 0.8 are 24; the test is a little less powerful than Student's.
        assert!((290..=350).contains(&n_called), "{n_called} of 400");
    }

    #[test]
    fn intervals_hold_the_true_mean_about_95_times_in_100() {
        let mut chance = Chance::new(11, &[b"coverage"]);
        let n_held = (0..200)
            .filter(|_| {
                let values: Vec<f64> = (0..10).map(|_| normal(&mut chance)).collect();
                let (low, high) = interval_of_mean(&values, &mut chance).unwrap();
                low <= 0.0 && 0.0 <= high
            })
            .count();
        // Three standard deviations of a count of 200 at 0.95 are 9.
        assert!((181..=199).contains(&n_held), "{n_held} of 200");
    }
}
