//! One sample beside another that was measured at another time: nothing pairs their trials, so whole samples are compared.

use statrs::distribution::ContinuousCDF as _;
use statrs::distribution::Normal;

use crate::analysis::effect::TICK_MS;
use crate::analysis::family;
use crate::analysis::family::FALSE_ALARMS;
use crate::analysis::family::Judgement;
use crate::analysis::family::Verdict;
use crate::analysis::holm;
use crate::analysis::summary::Observed;

/// Up to so many trials in both samples together, p-values are exact.
const MOST_EXACT: usize = 40;
/// The two-sided 95 percent quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// What the second sample does beside the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The median of all ratios of a time of the second sample to one of the first: above 1 the second is slower.
    pub ratio: Ratio,
    /// Its 95 percent interval; `None` where there are too few trials, and where timeouts leave an end of it open.
    pub interval: Option<(f64, f64)>,
    /// The trials of both samples.
    pub n_trials: (usize, usize),
    /// Whether the second is slower by the ranks that `p_value` is of.
    pub is_slower: bool,
    /// Of the rank-sum test, by itself.
    pub p_value: f64,
}

/// What is known of a ratio: both ends are the same but where timeouts leave it open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// 0 where nothing is known.
    pub low: f64,
    /// Infinite where nothing is known.
    pub high: f64,
}

impl Shift {
    /// Compares two samples. `None` where one is empty or has a failed trial.
    pub fn of(base: &[Observed], other: &[Observed]) -> Option<Self> {
        let is_failed = |trial: &Observed| *trial == Observed::Failed;
        if base.is_empty() || other.is_empty() || base.iter().chain(other).any(is_failed) {
            return None;
        }
        let (ratio, interval) = ratio(base, other);
        let limit_ms = lowest_limit(base.iter().chain(other));
        let ranked = rank_sum(&ordered(base, limit_ms), &ordered(other, limit_ms));
        Some(Self {
            ratio,
            interval,
            n_trials: (base.len(), other.len()),
            is_slower: ranked.is_slower,
            p_value: ranked.p_value,
        })
    }
}

/// Judges each of a family of samples beside their baselines, in the order given.
pub fn judge(family: &[Shift]) -> Vec<Judgement> {
    let p_values: Vec<f64> = family.iter().map(|shift| shift.p_value).collect();
    let level = FALSE_ALARMS / as_f64(family.len().max(1));
    let judged = family.iter().zip(holm::adjust(&p_values));
    judged
        .map(|(shift, adjusted_p)| {
            let detectable = shift.detectable(level);
            let direction = if shift.is_slower {
                Verdict::Slower
            } else {
                Verdict::Faster
            };
            Judgement {
                adjusted_p,
                detectable,
                verdict: family::verdict(direction, adjusted_p, detectable),
            }
        })
        .collect()
}

impl Shift {
    /// The smallest ratio above 1 that so many trials of such noise would have shown at this level, as it is found for pairs.
    /// The length of the interval tells the standard error of the estimate: Lehmann, "Nonparametric Confidence Intervals for
    /// a Shift Parameter", Annals of Mathematical Statistics 34(4), 1963.
    fn detectable(&self, level: f64) -> Option<f64> {
        let (n_base, n_other) = self.n_trials;
        let (low, high) = self.interval?;
        let log_error = (high / low).ln() / (2.0 * Z);
        let freedom = (n_base + n_other).saturating_sub(2);
        let reach = family::reach(smallest_p(n_base, n_other), freedom, level)?;
        Some((reach * log_error).exp()).filter(|ratio| ratio.is_finite())
    }
}

/// The smallest p-value that samples of these sizes can have: all of the one before all of the other, or behind them.
fn smallest_p(n_base: usize, n_other: usize) -> f64 {
    let assignments = (1..=n_base).map(|n| as_f64(n_other + n) / as_f64(n)).product::<f64>();
    (2.0 / assignments).min(1.0)
}

/// The lowest limit at which a trial was cut off; infinite where none was.
fn lowest_limit<'a>(trials: impl Iterator<Item = &'a Observed>) -> f64 {
    let limits = trials.filter_map(|trial| match trial {
        Observed::TimedOut { limit_ms } => Some(*limit_ms),
        Observed::Finished { .. } | Observed::Failed => None,
    });
    limits.fold(f64::INFINITY, f64::min)
}

/// Times whose order is that of the trials as far as it is known. Whether a trial that was cut off would have been slower
/// than one that ran on to finish beyond that limit is not, so all from the lowest limit on are equal.
fn ordered(sample: &[Observed], limit_ms: f64) -> Vec<f64> {
    let time = |trial: &Observed| match trial {
        Observed::Finished { ms } if *ms < limit_ms => *ms,
        Observed::Finished { .. } | Observed::TimedOut { .. } | Observed::Failed => f64::INFINITY,
    };
    sample.iter().map(time).collect()
}

/// The least and the largest that a time can be.
fn ends(trial: Observed) -> (f64, f64) {
    match trial {
        Observed::Finished { ms } => (ms.max(TICK_MS), ms.max(TICK_MS)),
        Observed::TimedOut { limit_ms } => (limit_ms, f64::INFINITY),
        Observed::Failed => (TICK_MS, f64::INFINITY),
    }
}

/// The estimate that belongs to the rank-sum test, on logarithms: Hodges and Lehmann, "Estimates of Location Based on Rank
/// Tests", Annals of Mathematical Statistics 34(2), 1963. The interval is of order statistics of the same ratios:
/// Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, third edition, 2014, section 4.3, large samples.
///
/// Of a ratio with a timeout only one end is known, or none. The k-th of all ratios lies between the k-th of their low ends
/// and the k-th of their high ends, so the median and the interval do as well.
fn ratio(base: &[Observed], other: &[Observed]) -> (Ratio, Option<(f64, f64)>) {
    let (mut lows, mut highs) = (Vec::new(), Vec::new());
    for base in base {
        for other in other {
            let ((base_low, base_high), (other_low, other_high)) = (ends(*base), ends(*other));
            lows.push((other_low / base_high).ln());
            highs.push((other_high / base_low).ln());
        }
    }
    lows.sort_unstable_by(f64::total_cmp);
    if lowest_limit(base.iter().chain(other)).is_finite() {
        highs.sort_unstable_by(f64::total_cmp);
    } else {
        // Without timeouts both ends are the same, and there may be a million of them.
        highs.clone_from(&lows);
    }
    let n_pairs = lows.len();
    let middle = |logs: &[f64]| f64::midpoint(logs[(n_pairs - 1) / 2], logs[n_pairs / 2]).exp();
    let spread = (as_f64(n_pairs) * as_f64(base.len() + other.len() + 1) / 12.0).sqrt();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below the number of pairs, and not negative once checked"
    )]
    let rank = (as_f64(n_pairs) / 2.0 - Z * spread).floor().max(0.0) as usize;
    let interval = (rank >= 1).then(|| (lows[rank - 1].exp(), highs[n_pairs - rank].exp()));
    let ratio = Ratio {
        low: middle(&lows),
        high: middle(&highs),
    };
    (ratio, interval.filter(|(low, high)| *low > 0.0 && high.is_finite()))
}

/// What the rank-sum test says.
struct Ranked {
    is_slower: bool,
    p_value: f64,
}

/// The two-sided p-value of the rank-sum test, equal times sharing the mean of their ranks: Mann and Whitney, "On a Test of
/// Whether one of Two Random Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18(1),
/// 1947. Over all assignments of the trials to the samples where they are few; otherwise by the normal distribution with
/// the corrections for ties and continuity.
fn rank_sum(base: &[f64], other: &[f64]) -> Ranked {
    let all: Vec<f64> = base.iter().chain(other).copied().collect();
    let doubled = doubled_ranks(&all);
    let (n_base, n_all) = (base.len(), all.len());
    let sum: usize = doubled[..n_base].iter().sum();
    let expected = n_base * (n_all + 1);
    let distance = sum.abs_diff(expected);
    let p_value = if n_all <= MOST_EXACT {
        exact(&doubled, n_base, expected, distance)
    } else {
        approximate(&all, n_base, distance)
    };
    Ranked {
        is_slower: sum < expected,
        p_value,
    }
}

fn approximate(all: &[f64], n_base: usize, distance: usize) -> f64 {
    let ties: f64 = all_ties(all).map(|n| n.powi(3) - n).sum();
    let n = as_f64(all.len());
    let variance = as_f64(n_base) * as_f64(all.len() - n_base) / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((as_f64(distance) / 2.0 - 0.5).max(0.0)) / variance.sqrt();
    (2.0 * Normal::standard().sf(z)).min(1.0)
}

/// The share of assignments whose rank sum is at least as far from what is expected. Sums are counted one trial at a time.
fn exact(doubled: &[usize], n_base: usize, expected: usize, distance: usize) -> f64 {
    let most: usize = doubled.iter().sum();
    let mut counts = vec![vec![0.0_f64; most + 1]; n_base + 1];
    counts[0][0] = 1.0;
    for rank in doubled {
        for n_taken in (0..n_base).rev() {
            for sum in 0..=most - rank {
                let ways = counts[n_taken][sum];
                if ways > 0.0 {
                    counts[n_taken + 1][sum + rank] += ways;
                }
            }
        }
    }
    let of_sums = &counts[n_base];
    let total: f64 = of_sums.iter().sum();
    let far = of_sums
        .iter()
        .enumerate()
        .filter(|(sum, _)| sum.abs_diff(expected) >= distance);
    far.map(|(_, ways)| ways).sum::<f64>() / total
}

/// Twice the rank of every value, which is whole even where equal values share a rank.
fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    let mut n_before = 0;
    for equals in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        for idx in equals {
            ranks[*idx] = 2 * n_before + equals.len() + 1;
        }
        n_before += equals.len();
    }
    ranks
}

/// How many values each group of equal ones has.
fn all_ties(values: &[f64]) -> impl Iterator<Item = f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let sizes: Vec<f64> = sorted
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|equals| as_f64(equals.len()))
        .collect();
    sizes.into_iter()
}

#[expect(clippy::cast_precision_loss, reason = "a number of trials")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::tests::normal;
    use crate::model::chance::Chance;

    fn finished(times: &[f64]) -> Vec<Observed> {
        times.iter().map(|ms| Observed::Finished { ms: *ms }).collect()
    }

    fn cut(n: usize, limit_ms: f64) -> Vec<Observed> {
        vec![Observed::TimedOut { limit_ms }; n]
    }

    fn exactly(shift: Shift) -> f64 {
        assert!(is_near(shift.ratio.low, shift.ratio.high), "{shift:?}");
        shift.ratio.low
    }

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    const BASE: [f64; 5] = [1.1, 2.4, 3.3, 4.8, 5.2];
    const OTHER: [f64; 6] = [2.9, 3.9, 5.9, 6.1, 7.7, 8.0];

    /// By `scipy.stats`: `mannwhitneyu(x, y, method='exact').pvalue`, and `exp(median(log y - log x))`.
    #[test]
    fn a_small_sample_has_the_exact_p_value_and_the_median_ratio_of_scipy() {
        let shift = Shift::of(&finished(&BASE), &finished(&OTHER)).unwrap();
        assert!(is_near(shift.p_value, EXACT_P), "{}", shift.p_value);
        let ratio = exactly(shift);
        assert!(is_near(ratio, MEDIAN_RATIO) && shift.is_slower, "{shift:?}");
        let (low, high) = shift.interval.unwrap();
        assert!(low < ratio && ratio < high);
        let turned = Shift::of(&finished(&OTHER), &finished(&BASE)).unwrap();
        assert!(is_near(exactly(turned), 1.0 / ratio) && is_near(turned.p_value, shift.p_value));
        assert!(!turned.is_slower);
    }

    /// By `scipy.stats`: `mannwhitneyu(a, b, method='asymptotic').pvalue`.
    #[test]
    fn a_larger_sample_has_the_p_value_of_scipys_normal_approximation() {
        let series = |n: u32, step: u32, offset: f64| -> Vec<f64> {
            (0..n).map(|i| f64::from((i * step) % 101) + offset).collect()
        };
        let (base, other) = (series(30, 37, 0.5), series(25, 53, 7.25));
        let p_value = rank_sum(&base, &other).p_value;
        assert!((p_value - ASYMPTOTIC_P).abs() < 1e-9, "{p_value}");
    }

    /// All assignments counted with `itertools.combinations` over `scipy.stats.rankdata`.
    #[test]
    fn equal_times_share_their_ranks_and_a_cut_off_trial_is_the_slowest() {
        let p_value = rank_sum(&[1.0, 2.0, 2.0, 3.0], &[2.0, 3.0, 3.0, 5.0, 5.0]).p_value;
        assert!(is_near(p_value, TIED_P), "{p_value}");
        let cut_off = [finished(&OTHER[..5]), cut(1, 8.0)].concat();
        let shift = Shift::of(&finished(&BASE), &cut_off).unwrap();
        assert!(is_near(shift.p_value, EXACT_P), "{}", shift.p_value);
    }

    #[test]
    fn a_timeout_opens_the_ratio_on_its_own_side_and_only_where_the_median_lies_among_such() {
        let slow = |n| finished(&vec![40.0; n]);
        let of = |base: &[Observed], other: &[Observed]| {
            let Ratio { low, high } = Shift::of(base, other).unwrap().ratio;
            (low.round(), high.round())
        };
        assert_eq!(of(&finished(&[10.0; 9]), &[slow(8), cut(1, 50.0)].concat()), (4.0, 4.0));
        assert_eq!(of(&finished(&[10.0; 9]), &cut(9, 50.0)), (5.0, f64::INFINITY));
        // Of two timeouts nobody knows which would have taken longer, and a faster one that was cut off may be anything.
        assert_eq!(of(&cut(9, 20.0), &slow(9)), (0.0, 2.0));
        assert_eq!(of(&cut(9, 20.0), &cut(9, 50.0)), (0.0, f64::INFINITY));
        assert_eq!(Shift::of(&cut(9, 20.0), &slow(9)).unwrap().interval, None);
    }

    #[test]
    fn beyond_the_lower_of_two_limits_nothing_is_slower_or_faster() {
        // The first were stopped at 1 s, where the second were still running.
        let shift = Shift::of(&cut(12, 1_000.0), &finished(&[5_000.0; 12])).unwrap();
        assert!(is_near(shift.p_value, 1.0), "{shift:?}");
        let shift = Shift::of(&cut(12, 1_000.0), &finished(&[900.0; 12])).unwrap();
        assert!(shift.p_value < 0.001 && !shift.is_slower, "{shift:?}");
    }

    #[test]
    fn a_time_of_zero_is_the_least_that_a_clock_tells() {
        let shift = Shift::of(&finished(&[0.0; 3]), &finished(&[0.0, 0.002, 0.0])).unwrap();
        assert!(is_near(exactly(shift), 1.0), "{shift:?}");
    }

    #[test]
    fn samples_without_times_are_not_compared() {
        assert_eq!(Shift::of(&[], &finished(&BASE)), None);
        assert_eq!(Shift::of(&finished(&BASE), &[Observed::Failed]), None);
        let same = Shift::of(&finished(&[1.0; 3]), &finished(&[1.0; 3])).unwrap();
        assert!(is_near(same.p_value, 1.0) && is_near(exactly(same), 1.0) && same.interval.is_none());
    }

    /// By `scipy.stats`: `2 / special.comb(n + m, n)`, and `mannwhitneyu` of samples that do not overlap.
    #[test]
    fn the_smallest_p_value_is_that_of_samples_that_do_not_overlap() {
        let apart = rank_sum(&BASE, &OTHER.map(|ms| ms + 10.0)).p_value;
        assert!(is_near(smallest_p(5, 6), apart), "{apart}");
        assert!(is_near(smallest_p(5, 6), 2.0 / 462.0) && is_near(smallest_p(1, 1), 1.0));
    }

    #[test]
    fn what_is_no_difference_depends_on_what_could_have_been_seen() {
        let mut chance = Chance::new(11, &[b"unpaired"]);
        let mut one = |n, ratio, spread| judge(&[shift(n, ratio, spread, &mut chance)])[0];
        assert_eq!(one(12, 2.0, 0.05).verdict, Verdict::Slower);
        assert_eq!(one(12, 0.5, 0.05).verdict, Verdict::Faster);
        assert_eq!(one(12, 1.0, 0.05).verdict, Verdict::NoDifference);
        assert_eq!(one(12, 1.0, 1.0).verdict, Verdict::TooNoisy);
        let few = one(3, 50.0, 0.01);
        assert_eq!(
            (few.detectable, few.verdict),
            (None, Verdict::TooNoisy),
            "2/20 is above 0.05"
        );
        assert!(judge(&[]).is_empty());
    }

    #[test]
    fn among_more_comparisons_a_difference_must_be_clearer() {
        let mut chance = Chance::new(12, &[b"unpaired"]);
        let clear = shift(5, 2.0, 0.02, &mut chance);
        assert_eq!(judge(&[clear])[0].verdict, Verdict::Slower);
        let judged = judge(&[&[clear][..], &vec![shift(5, 1.0, 0.02, &mut chance); 9]].concat())[0];
        // 5 trials beside 5 give at best 2/252, and ten times that is more than 0.05.
        assert_eq!((judged.detectable, judged.verdict), (None, Verdict::TooNoisy));
        assert!(is_near(judged.adjusted_p, 20.0 / 252.0));
    }

    /// `SciPy` says the same of this recipe: 0.84 of 600 with 12 trials on both sides and 24 comparisons.
    #[test]
    fn a_detectable_ratio_is_detected_at_least_four_times_in_five() {
        let mut chance = Chance::new(13, &[b"unpaired power"]);
        let errors = (0..400).map(|_| shift(12, 1.0, 0.1, &mut chance).detectable(0.05).unwrap().ln());
        let ratio = (errors.sum::<f64>() / 400.0).exp();
        let n_called = (0..400)
            .filter(|_| judge(&[shift(12, ratio, 0.1, &mut chance)])[0].verdict == Verdict::Slower)
            .count();
        // Three standard deviations of a count of 400 at 0.84 are 22; an interval of few trials is a little too wide.
        assert!((300..=370).contains(&n_called), "{n_called} of 400");
    }

    fn shift(n_trials: usize, ratio: f64, spread: f64, chance: &mut Chance) -> Shift {
        let mut sample = |ratio: f64| -> Vec<Observed> {
            let times = (0..n_trials).map(|_| ratio * (spread * normal(chance)).exp());
            finished(&times.collect::<Vec<f64>>())
        };
        Shift::of(&sample(10.0), &sample(10.0 * ratio)).unwrap()
    }

    // Made by SciPy 1.17.1.
    const EXACT_P: f64 = 0.082_251_082_251_082_26;
    const MEDIAN_RATIO: f64 = 1.645_701_471_510_958_1;
    const ASYMPTOTIC_P: f64 = 0.618_032_308_650_150_7;
    const TIED_P: f64 = 0.103_174_603_174_603_17;
}
