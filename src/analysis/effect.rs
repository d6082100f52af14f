//! What one source does to a query, beside another source: the ratio of their times and how sure it is.
//!
//! The two times of a round were measured close together, so they are compared with each other: what slows down a whole
//! round falls out. Ratios are averaged as logarithms, so that twice as fast and twice as slow cancel out. Nothing here
//! depends on what else is compared; that is the matter of [`crate::analysis::family`].

use crate::analysis::permutation::sign_flip;
use crate::analysis::resample::Resampling;
use crate::analysis::resample::mean;
use crate::analysis::resample::standard_error;
use crate::analysis::summary::Observed;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::OverallRecord;

/// The times of one round: under the baseline, and under the source that is compared with it.
pub type Pair = (Observed, Observed);

/// One query under one source beside another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Rounds that say something: all but those in which both timed out.
    pub n_rounds: usize,
    /// Rounds in which one of the two timed out; [`Bound`] says what that leaves open.
    pub n_censored: usize,
    /// The geometric mean of the source's time over the baseline's: above 1 the source is slower.
    pub ratio: f64,
    /// Its 95 percent interval; `None` below four rounds.
    pub interval: Option<(f64, f64)>,
    /// The standard error of the ratio's logarithm; `None` below two rounds.
    pub log_error: Option<f64>,
    /// Of the sign-flip permutation test, by itself.
    pub p_value: f64,
}

/// How timeouts leave a ratio open: each counts as its limit, and would have taken longer by an unknown amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Exact,
    /// The source was cut off, so its true ratio is larger.
    AtLeast,
    /// The baseline was cut off, so the true ratio is smaller.
    AtMost,
    /// Each was cut off in other rounds, so it may be either.
    Open,
}

impl Bound {
    /// Of a comparison in `n_censored` rounds of which one side alone timed out, when the baseline timed out so often in all
    /// and the source so often.
    pub fn of_timeouts(n_base: i32, n_source: i32, n_censored: i32) -> Self {
        // Rounds in which both did are in both counts, and are left out of the comparison.
        let n_both = (n_base + n_source - n_censored) / 2;
        match (n_source > n_both, n_base > n_both) {
            _ if n_censored == 0 => Self::Exact,
            (true, false) => Self::AtLeast,
            (false, true) => Self::AtMost,
            (true, true) | (false, false) => Self::Open,
        }
    }

    /// Of a mean of ratios.
    pub fn of_all(bounds: impl IntoIterator<Item = Self>) -> Self {
        let both = |one: Self, other: Self| match (one, other) {
            (Self::Exact, bound) | (bound, Self::Exact) => bound,
            (one, other) if one == other => one,
            _ => Self::Open,
        };
        bounds.into_iter().fold(Self::Exact, both)
    }
}

impl Effect {
    /// Compares the times of two sources, round by round. `None` where a trial failed, and where no round says anything.
    pub fn of(pairs: &[Pair], resampling: &mut Resampling) -> Option<Self> {
        let Differences { logs, n_censored } = Differences::of(pairs)?;
        Some(Self {
            n_rounds: logs.len(),
            n_censored,
            ratio: mean(&logs).exp(),
            interval: resampling
                .interval_of_mean(&logs)
                .map(|(low, high)| (low.exp(), high.exp())),
            log_error: standard_error(&logs),
            p_value: sign_flip(&logs),
        })
    }

    /// The same comparison from the other side.
    pub fn inverse(&self) -> Self {
        Self {
            ratio: self.ratio.recip(),
            interval: self.interval.map(|(low, high)| (high.recip(), low.recip())),
            ..*self
        }
    }
}

impl From<&ComparisonRecord> for Effect {
    fn from(record: &ComparisonRecord) -> Self {
        Self {
            n_rounds: usize::try_from(record.n_rounds).unwrap_or(0),
            n_censored: usize::try_from(record.n_censored).unwrap_or(0),
            ratio: record.ratio,
            interval: record.low.zip(record.high),
            log_error: record.log_error,
            p_value: record.p_value,
        }
    }
}

/// What one source does to all queries together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overall {
    pub n_queries: usize,
    pub n_rounds: usize,
    /// The geometric mean over the queries of the source's time over the baseline's.
    pub ratio: f64,
    /// Its 95 percent interval; `None` below four rounds.
    pub interval: Option<(f64, f64)>,
}

impl Overall {
    /// The mean over the queries in every round, and the mean of those over the rounds. The workload is what it is, so only
    /// rounds are resampled. `queries` hold the pairs of one query each, by round; queries that cannot be compared are left
    /// out, and so are rounds that not all of the others have; two timeouts count as equal. `None` where nothing is left.
    ///
    /// A geometric mean of ratios does not depend on which side is the baseline: Fleming and Wallace, "How Not to Lie With
    /// Statistics: The Correct Way to Summarize Benchmark Results", Communications of the ACM 29(3), 1986.
    pub fn of(queries: &[Vec<Pair>], resampling: &mut Resampling) -> Option<Self> {
        let compared: Vec<&Vec<Pair>> = queries
            .iter()
            .filter(|pairs| Differences::of(pairs).is_some())
            .collect();
        let n_rounds = compared.iter().map(|pairs| pairs.len()).min()?;
        let of_round = |round: usize| {
            let logs: Vec<f64> = compared.iter().filter_map(|pairs| log_ratio(pairs[round])).collect();
            mean(&logs)
        };
        let rounds: Vec<f64> = (0..n_rounds).map(of_round).collect();
        Some(Self {
            n_queries: compared.len(),
            n_rounds,
            ratio: mean(&rounds).exp(),
            interval: resampling
                .interval_of_mean(&rounds)
                .map(|(low, high)| (low.exp(), high.exp())),
        })
    }

    /// The same from the other side.
    pub fn inverse(&self) -> Self {
        Self {
            ratio: self.ratio.recip(),
            interval: self.interval.map(|(low, high)| (high.recip(), low.recip())),
            ..*self
        }
    }
}

impl From<&OverallRecord> for Overall {
    fn from(record: &OverallRecord) -> Self {
        Self {
            n_queries: usize::try_from(record.n_queries).unwrap_or(0),
            n_rounds: usize::try_from(record.n_rounds).unwrap_or(0),
            ratio: record.ratio,
            interval: record.low.zip(record.high),
        }
    }
}

/// All queries together under each other source beside this baseline, or what stands for it where they ran, by source.
pub fn overall_beside(spec: &ExperimentSpec, base_idx: i32, comparisons: &[OverallRecord]) -> Vec<(i32, Overall)> {
    let stands_in = |record_idx: i32, source_idx: i32| spec.stand_in(base_idx, source_idx) == Some(record_idx);
    let mut compared: Vec<(i32, Overall)> = comparisons
        .iter()
        .filter_map(|record| match record {
            record if stands_in(record.base_idx, record.source_idx) => Some((record.source_idx, Overall::from(record))),
            record if stands_in(record.source_idx, record.base_idx) => {
                Some((record.base_idx, Overall::from(record).inverse()))
            }
            _ => None,
        })
        .collect();
    compared.sort_by_key(|(source_idx, _)| *source_idx);
    compared
}

/// The logarithms of the ratios of one query.
struct Differences {
    logs: Vec<f64>,
    n_censored: usize,
}

impl Differences {
    fn of(pairs: &[Pair]) -> Option<Self> {
        let mut logs = Vec::with_capacity(pairs.len());
        let mut n_censored = 0;
        for pair in pairs {
            let log = log_ratio(*pair)?;
            match pair {
                // Each took longer than the limit, and which of them took longer still is not known.
                (Observed::TimedOut { .. }, Observed::TimedOut { .. }) => continue,
                (Observed::TimedOut { .. }, _) | (_, Observed::TimedOut { .. }) => n_censored += 1,
                (Observed::Finished { .. } | Observed::Failed, _) => {}
            }
            logs.push(log);
        }
        (!logs.is_empty()).then_some(Self { logs, n_censored })
    }
}

/// A timeout counts as its limit. That is the same for both sides, so a hypothesis of no difference stays one.
fn log_ratio((base, other): Pair) -> Option<f64> {
    Some((time_of(other)? / time_of(base)?).ln())
}

/// The least that a clock tells, for which a time of zero counts.
pub const TICK_MS: f64 = 0.001;

/// What is compared: the time, or the limit at which it was cut off.
fn time_of(observed: Observed) -> Option<f64> {
    match observed {
        Observed::Finished { ms } => Some(ms.max(TICK_MS)),
        Observed::TimedOut { limit_ms } => Some(limit_ms),
        Observed::Failed => None,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::chance::Chance;

    pub fn finished(ms: f64) -> Observed {
        Observed::Finished { ms }
    }

    /// Pairs of skewed times whose ratios have this mean and, roughly, this spread as logarithms.
    pub fn pairs(n_rounds: usize, ratio: f64, spread: f64, chance: &mut Chance) -> Vec<Pair> {
        let mut noise = || spread * normal(chance);
        (0..n_rounds)
            .map(|_| (finished(10.0 * noise().exp()), finished(10.0 * ratio * noise().exp())))
            .collect()
    }

    /// Box and Muller 1958.
    pub fn normal(chance: &mut Chance) -> f64 {
        const PARTS: f64 = 1_099_511_627_776.0;
        #[expect(clippy::cast_precision_loss, reason = "below 2^40")]
        let mut uniform = || (chance.below_by_rejection(1 << 40) as f64 + 0.5) / PARTS;
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    fn one(pairs: &[Pair]) -> Option<Effect> {
        Effect::of(pairs, &mut Resampling::new(7))
    }

    fn cut(limit_ms: f64) -> Observed {
        Observed::TimedOut { limit_ms }
    }

    #[test]
    fn a_plain_effect_has_its_size_and_an_interval_around_it() {
        let effect = one(&pairs(12, 2.0, 0.05, &mut Chance::new(3, &[]))).unwrap();
        let (low, high) = effect.interval.unwrap();
        assert!(
            1.8 < low && low < effect.ratio && effect.ratio < high && high < 2.2,
            "{effect:?}"
        );
        assert!((effect.p_value - 2.0 / 4096.0).abs() < 1e-12);
    }

    #[test]
    fn the_numbers_are_those_of_scipy() {
        // SciPy 1.17.1: d = log([12, 11, 13, 10.5, 12.5, 9, 14, 11.5]) - log([10, 10.4, 9.8, 10.1, 10.6, 9.9, 10.2, 10]);
        // exp(mean(d)), sem(d), permutation_test((d,), mean, permutation_type='samples', n_resamples=inf).pvalue.
        let (base, other) = (
            [10.0, 10.4, 9.8, 10.1, 10.6, 9.9, 10.2, 10.0],
            [12.0, 11.0, 13.0, 10.5, 12.5, 9.0, 14.0, 11.5],
        );
        let pairs: Vec<Pair> = base.into_iter().map(finished).zip(other.map(finished)).collect();
        let effect = one(&pairs).unwrap();
        let (ratio, log_error, p_value) = SCIPY;
        assert!((effect.ratio - ratio).abs() < 1e-12, "{effect:?}");
        assert!((effect.log_error.unwrap() - log_error).abs() < 1e-12, "{effect:?}");
        assert!((effect.p_value - p_value).abs() < 1e-12, "{effect:?}");
    }

    const SCIPY: (f64, f64, f64) = (1.145_368_856_397_706_5, 0.047_518_147_286_585_26, 0.039_062_5);

    #[test]
    fn a_whole_slow_round_falls_out() {
        let calm = pairs(10, 1.3, 0.02, &mut Chance::new(6, &[]));
        let mut shaken = calm.clone();
        for (factor, (base, other)) in [1.0, 7.0, 1.0, 30.0, 1.0, 1.0, 2.0, 1.0, 9.0, 1.0]
            .iter()
            .zip(&mut shaken)
        {
            for time in [base, other] {
                if let Observed::Finished { ms } = time {
                    *ms *= factor;
                }
            }
        }
        let (calm, shaken) = (one(&calm).unwrap(), one(&shaken).unwrap());
        assert!((calm.ratio - shaken.ratio).abs() < 1e-9 && (calm.p_value - shaken.p_value).abs() < 1e-9);
    }

    #[test]
    fn a_timeout_counts_as_its_limit_and_is_told() {
        let effect = one(&[(finished(10.0), cut(1000.0)); 8]).unwrap();
        assert_eq!((effect.n_rounds, effect.n_censored), (8, 8));
        assert!((effect.ratio - 100.0).abs() < 1e-9);
    }

    #[test]
    fn the_side_that_was_cut_off_says_where_the_true_ratio_lies() {
        for (n_base, n_source, n_censored, bound) in [
            (0, 0, 0, Bound::Exact),
            (3, 3, 0, Bound::Exact),
            (0, 8, 8, Bound::AtLeast),
            (2, 8, 6, Bound::AtLeast),
            (8, 2, 6, Bound::AtMost),
            (3, 4, 5, Bound::Open),
        ] {
            let found = Bound::of_timeouts(n_base, n_source, n_censored);
            assert_eq!(found, bound, "{n_base} {n_source} {n_censored}");
        }
        assert_eq!(Bound::of_all([Bound::Exact, Bound::AtMost]), Bound::AtMost);
        assert_eq!(Bound::of_all([Bound::AtLeast, Bound::AtMost]), Bound::Open);
        assert_eq!(Bound::of_all([]), Bound::Exact);
    }

    #[test]
    fn rounds_in_which_both_timed_out_say_nothing() {
        let mut rounds = vec![(cut(1000.0), cut(1000.0)); 8];
        assert_eq!(one(&rounds), None);
        rounds.extend([(finished(1.0), finished(2.0)); 4]);
        let effect = one(&rounds).unwrap();
        assert_eq!((effect.n_rounds, effect.n_censored), (4, 0));
        assert!((effect.ratio - 2.0).abs() < 1e-12);
    }

    #[test]
    fn failures_and_no_rounds_compare_with_nothing() {
        assert_eq!(
            one(&[(finished(1.0), finished(2.0)), (finished(1.0), Observed::Failed)]),
            None
        );
        assert_eq!(one(&[]), None);
        assert_eq!(one(&[(finished(1.0), finished(2.0))]).unwrap().interval, None);
    }

    #[test]
    fn the_inverse_is_what_comes_out_when_the_sides_change() {
        let forward = pairs(9, 1.4, 0.2, &mut Chance::new(8, &[]));
        let backward: Vec<Pair> = forward.iter().map(|(base, other)| (*other, *base)).collect();
        let (inverse, measured) = (one(&forward).unwrap().inverse(), one(&backward).unwrap());
        assert!((inverse.ratio - measured.ratio).abs() < 1e-12);
        let ((low, high), (measured_low, measured_high)) = (inverse.interval.unwrap(), measured.interval.unwrap());
        assert!((low - measured_low).abs() < 1e-12 && (high - measured_high).abs() < 1e-12);
        assert!((inverse.p_value - measured.p_value).abs() < 1e-15);
        let mut resampling = Resampling::new(7);
        let overall = Overall::of(&[forward], &mut resampling).unwrap().inverse();
        assert!((overall.ratio - inverse.ratio).abs() < 1e-12 && overall.interval.unwrap().0 < overall.ratio);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let pairs = pairs(30, 1.1, 0.3, &mut Chance::new(8, &[]));
        let of_seed = |seed| Effect::of(&pairs, &mut Resampling::new(seed));
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1), of_seed(2));
    }

    #[test]
    fn all_queries_together_are_the_geometric_mean_of_those_that_can_be_compared() {
        let steady = |ratio: f64, n_rounds: usize| vec![(finished(10.0), finished(10.0 * ratio)); n_rounds];
        let queries = [
            steady(2.0, 6),
            steady(8.0, 5),
            vec![(finished(1.0), Observed::Failed); 6],
            vec![(cut(9.0), cut(9.0)); 6],
            Vec::new(),
        ];
        let overall = Overall::of(&queries, &mut Resampling::new(1)).unwrap();
        assert_eq!((overall.n_queries, overall.n_rounds), (2, 5));
        assert!((overall.ratio - 4.0).abs() < 1e-12);
        let (low, high) = overall.interval.unwrap();
        assert!((low - 4.0).abs() < 1e-12 && (high - 4.0).abs() < 1e-12);
        assert_eq!(Overall::of(&queries[2..], &mut Resampling::new(1)), None);
    }
}
