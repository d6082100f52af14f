//! Comparisons as a family: all queries under all sources beside one baseline. What is said of one of them allows for how
//! many others there are, so that a whole family calls a difference by mistake as seldom as a single test would.

use std::collections::HashMap;

use statrs::distribution::ContinuousCDF as _;
use statrs::distribution::StudentsT;

use crate::analysis::effect::Bound;
use crate::analysis::effect::Effect;
use crate::analysis::holm;
use crate::analysis::permutation::smallest_p;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SummaryRecord;

/// How often a family of comparisons may call a difference that is none.
pub const FALSE_ALARMS: f64 = 0.05;

/// How often an effect of the size that is called detectable is detected.
const POWER: f64 = 0.8;

/// A comparison that could only have seen an effect beyond this factor says nothing.
const TOO_NOISY: f64 = 1.5;

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

impl Verdict {
    /// The word in tables and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifference => "no detectable difference",
            Self::TooNoisy => "too noisy to tell",
        }
    }

    /// Whether it says that there is a difference.
    pub fn is_difference(self) -> bool {
        match self {
            Self::Faster | Self::Slower => true,
            Self::NoDifference | Self::TooNoisy => false,
        }
    }
}

/// What a comparison says as one of its family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The p-value, adjusted for all comparisons of the family.
    pub adjusted_p: f64,
    /// The smallest ratio above 1 that so many rounds of such noise would have shown; `None` where they could show none, and
    /// where a timeout hides how much noise there is.
    pub detectable: Option<f64>,
    pub verdict: Verdict,
}

/// A comparison with what is said of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    pub query_idx: i32,
    pub source_idx: i32,
    pub effect: Effect,
    pub judgement: Judgement,
}

impl Member {
    /// What the timeouts of the two samples leave open, the baseline's first.
    pub fn bound(&self, base: Option<&SummaryRecord>, source: Option<&SummaryRecord>) -> Bound {
        let n = |summary: Option<&SummaryRecord>| summary.map_or(0, |summary| summary.n_timed_out);
        let n_censored = i32::try_from(self.effect.n_censored).unwrap_or(i32::MAX);
        Bound::of_timeouts(n(base), n(source), n_censored)
    }
}

/// The family of all queries under all other sources beside this baseline, or what stands for it where they ran, by query,
/// then source.
pub fn beside(spec: &ExperimentSpec, base_idx: i32, comparisons: &[ComparisonRecord]) -> Vec<Member> {
    let stands_in = |record_idx: i32, source_idx: i32| spec.stand_in(base_idx, source_idx) == Some(record_idx);
    let mut compared: Vec<(i32, i32, Effect)> = comparisons
        .iter()
        .filter_map(|record| match record {
            record if stands_in(record.base_idx, record.source_idx) => {
                Some((record.query_idx, record.source_idx, Effect::from(record)))
            }
            record if stands_in(record.source_idx, record.base_idx) => {
                Some((record.query_idx, record.base_idx, Effect::from(record).inverse()))
            }
            _ => None,
        })
        .collect();
    compared.sort_by_key(|(query_idx, source_idx, _)| (*query_idx, *source_idx));
    let effects: Vec<Effect> = compared.iter().map(|(_, _, effect)| *effect).collect();
    let members = compared.into_iter().zip(judge(&effects));
    members
        .map(|((query_idx, source_idx, effect), judgement)| Member {
            query_idx,
            source_idx,
            effect,
            judgement,
        })
        .collect()
}

/// Judges each comparison of a family, in the order given.
pub fn judge(family: &[Effect]) -> Vec<Judgement> {
    let p_values: Vec<f64> = family.iter().map(|effect| effect.p_value).collect();
    let mut power = Power::of_family(family.len());
    let judged = family.iter().zip(holm::adjust(&p_values));
    judged
        .map(|(effect, adjusted_p)| {
            let detectable = power.detectable(effect);
            let direction = if effect.ratio < 1.0 {
                Verdict::Faster
            } else {
                Verdict::Slower
            };
            Judgement {
                adjusted_p,
                detectable,
                verdict: verdict(direction, adjusted_p, detectable),
            }
        })
        .collect()
}

/// What is said: the direction where there is a difference, else what could have been seen.
pub fn verdict(direction: Verdict, adjusted_p: f64, detectable: Option<f64>) -> Verdict {
    match detectable {
        _ if adjusted_p < FALSE_ALARMS => direction,
        Some(ratio) if ratio <= TOO_NOISY => Verdict::NoDifference,
        Some(_) | None => Verdict::TooNoisy,
    }
}

/// What a test within a family of this size could have shown.
struct Power {
    /// Of the hardest of the tests.
    level: f64,
    /// How many standard errors an effect must be large, by the number of rounds.
    reaches: HashMap<usize, Option<f64>>,
}

impl Power {
    fn of_family(n_tests: usize) -> Self {
        Self {
            level: FALSE_ALARMS / as_f64(n_tests.max(1)),
            reaches: HashMap::new(),
        }
    }

    /// The ratio that the test, adjusted for the family, would call in four of five experiments: the sum of the two
    /// quantiles of Student's t times the standard error, as in Lachin, "Introduction to Sample Size Determination and
    /// Power Analysis for Clinical Trials", Controlled Clinical Trials 2, 1981, with t for the normal distribution.
    ///
    /// A time that was cut off counts as its limit. That narrows the noise by an unknown amount, and would narrow an effect
    /// as well, so that nothing is known of what would have shown.
    fn detectable(&mut self, effect: &Effect) -> Option<f64> {
        if effect.n_censored > 0 {
            return None;
        }
        let level = self.level;
        let reach = *self
            .reaches
            .entry(effect.n_rounds)
            .or_insert_with(|| reach(smallest_p(effect.n_rounds), effect.n_rounds.saturating_sub(1), level));
        Some((reach? * effect.log_error?).exp()).filter(|ratio| ratio.is_finite())
    }
}

/// How many standard errors an effect must be large to be called at this level in four of five experiments, with so many
/// degrees of freedom; none where the test cannot give a p-value that small.
pub fn reach(smallest_p: f64, freedom: usize, level: f64) -> Option<f64> {
    if smallest_p >= level {
        return None;
    }
    let t = StudentsT::new(0.0, 1.0, as_f64(freedom)).ok()?;
    Some(t.inverse_cdf(1.0 - level / 2.0) + t.inverse_cdf(POWER))
}

/// The fewest rounds in which the clearest difference would be called among so many comparisons. None counts as one.
///
/// Of the 2^n equally likely assignments of signs, the one seen and its mirror image are at best the most extreme, so no
/// p-value is below 2/2^n, and Holm's adjustment multiplies the smallest of m by m.
pub fn rounds_needed(n_comparisons: usize) -> usize {
    /// In so many rounds the smallest p-value is less than any number that is not zero.
    const ENOUGH: usize = 1_100;
    let level = FALSE_ALARMS / as_f64(n_comparisons.max(1));
    (1..ENOUGH)
        .find(|n_rounds| smallest_p(*n_rounds) < level)
        .unwrap_or(ENOUGH)
}

/// Whether so many rounds can show any difference among so many comparisons.
pub fn can_show(n_rounds: usize, n_comparisons: usize) -> bool {
    n_rounds >= rounds_needed(n_comparisons)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rounds and queries")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;
    use crate::analysis::effect::Pair;
    use crate::analysis::effect::tests::finished;
    use crate::analysis::effect::tests::normal;
    use crate::analysis::effect::tests::pairs;
    use crate::analysis::permutation::sign_flip;
    use crate::analysis::resample::Resampling;
    use crate::analysis::resample::standard_error;
    use crate::analysis::summary::Observed;
    use crate::model::chance::Chance;
    use crate::model::experiment::tests::spec;

    fn effect(pairs: &[Pair]) -> Effect {
        Effect::of(pairs, &mut Resampling::new(7)).unwrap()
    }

    fn one(pairs: &[Pair]) -> Judgement {
        judge(&[effect(pairs)])[0]
    }

    /// The effect without its interval, which takes its time and decides nothing.
    fn quick(pairs: &[Pair]) -> Effect {
        let logs: Vec<f64> = pairs
            .iter()
            .map(|pair| match pair {
                (Observed::Finished { ms: base }, Observed::Finished { ms: other }) => (other / base).ln(),
                other => panic!("{other:?}"),
            })
            .collect();
        Effect {
            n_rounds: logs.len(),
            n_censored: 0,
            ratio: crate::analysis::resample::mean(&logs).exp(),
            interval: None,
            log_error: standard_error(&logs),
            p_value: sign_flip(&logs),
        }
    }

    fn calls_a_difference(family: &[Vec<Pair>]) -> bool {
        let family: Vec<Effect> = family.iter().map(|pairs| quick(pairs)).collect();
        judge(&family).iter().any(|judgement| judgement.verdict.is_difference())
    }

    #[test]
    fn a_plain_effect_is_called_by_its_direction() {
        let mut chance = Chance::new(3, &[]);
        assert_eq!(one(&pairs(12, 2.0, 0.05, &mut chance)).verdict, Verdict::Slower);
        assert_eq!(one(&pairs(12, 0.5, 0.05, &mut chance)).verdict, Verdict::Faster);
    }

    #[test]
    fn without_an_effect_the_word_depends_on_what_could_have_been_seen() {
        let mut chance = Chance::new(4, &[]);
        assert_eq!(one(&pairs(12, 1.0, 0.05, &mut chance)).verdict, Verdict::NoDifference);
        assert_eq!(one(&pairs(12, 1.0, 1.0, &mut chance)).verdict, Verdict::TooNoisy);
    }

    #[test]
    fn a_timeout_makes_noise_look_smaller_so_nothing_is_said_of_what_would_have_shown() {
        let limit_ms = 10.0;
        let noisy = pairs(12, 1.0, 0.3, &mut Chance::new(11, &[]));
        let cut = |time: Observed| match time {
            Observed::Finished { ms } if ms > limit_ms => Observed::TimedOut { limit_ms },
            other => other,
        };
        let cut_off: Vec<Pair> = noisy.iter().map(|(base, other)| (cut(*base), cut(*other))).collect();
        let (whole, cut_off) = (effect(&noisy), effect(&cut_off));
        assert!(
            cut_off.n_censored > 0 && cut_off.log_error < whole.log_error,
            "{cut_off:?} {whole:?}"
        );
        let as_if_whole = Effect {
            n_censored: 0,
            ..cut_off
        };
        let judged = judge(&[whole, cut_off, as_if_whole]);
        assert!(
            judged[2].detectable < judged[0].detectable,
            "too good to be true: {judged:?}"
        );
        assert_eq!((judged[1].detectable, judged[1].verdict), (None, Verdict::TooNoisy));
        // A difference is one all the same: timeouts count alike on both sides.
        let clear: Vec<Pair> = (0..12)
            .map(|_| (finished(1.0), Observed::TimedOut { limit_ms }))
            .collect();
        assert_eq!(one(&clear).verdict, Verdict::Slower);
    }

    #[test]
    fn too_few_rounds_show_nothing_however_large_the_effect() {
        let few = one(&pairs(5, 50.0, 0.01, &mut Chance::new(5, &[])));
        assert_eq!((few.detectable, few.verdict), (None, Verdict::TooNoisy));
        let single = one(&[(finished(1.0), finished(2.0))]);
        assert_eq!((single.detectable, single.verdict), (None, Verdict::TooNoisy));
        assert!(judge(&[]).is_empty());
    }

    #[test]
    fn in_a_larger_family_a_difference_must_be_clearer() {
        let mut chance = Chance::new(6, &[]);
        let clear = effect(&pairs(8, 2.0, 0.05, &mut chance));
        assert_eq!(judge(&[clear])[0].verdict, Verdict::Slower);
        let dull = effect(&pairs(8, 1.0, 0.05, &mut chance));
        let family: Vec<Effect> = std::iter::once(clear).chain(vec![dull; 9]).collect();
        let judged = judge(&family)[0];
        // 8 rounds give at best 2/256, and ten times that is more than 0.05.
        assert_eq!((judged.detectable, judged.verdict), (None, Verdict::TooNoisy));
        assert!((judged.adjusted_p - 20.0 / 256.0).abs() < 1e-12);
    }

    fn three() -> ExperimentSpec {
        spec(&[("a", None), ("b", None), ("c", None)])
    }

    #[test]
    fn beside_a_later_source_ratios_are_turned_over() {
        let record = |query_idx, base_idx, source_idx, ratio: f64| ComparisonRecord {
            query_idx,
            base_idx,
            source_idx,
            n_rounds: 12,
            n_censored: 0,
            ratio,
            low: Some(ratio * 0.9),
            high: Some(ratio * 1.1),
            log_error: Some(0.01),
            p_value: 2.0 / 4096.0,
        };
        let stored = [
            record(0, 0, 1, 2.0),
            record(0, 0, 2, 4.0),
            record(0, 1, 2, 2.0),
            record(1, 0, 1, 0.5),
        ];
        let seen: Vec<(i32, i32, f64, Verdict)> = beside(&three(), 1, &stored)
            .iter()
            .map(|member| {
                (
                    member.query_idx,
                    member.source_idx,
                    member.effect.ratio,
                    member.judgement.verdict,
                )
            })
            .collect();
        let expected = [
            (0, 0, 0.5, Verdict::Faster),
            (0, 2, 2.0, Verdict::Slower),
            (1, 0, 2.0, Verdict::Slower),
        ];
        assert_eq!(seen, expected);
        let (low, high) = beside(&three(), 1, &stored)[0].effect.interval.unwrap();
        assert!((low - 1.0 / 2.2).abs() < 1e-12 && (high - 1.0 / 1.8).abs() < 1e-12);
        assert!(beside(&three(), 7, &stored).is_empty());
    }

    #[test]
    fn of_200_experiments_without_any_difference_few_call_one() {
        // A true rate of 5 percent goes beyond 18 of 200 in 0.6 percent of such runs.
        let mut chance = Chance::new(9, &[b"A/A"]);
        let n_false = (0..200)
            .filter(|_| {
                let family: Vec<Vec<Pair>> = (0..12).map(|_| pairs(10, 1.0, 0.2, &mut chance)).collect();
                calls_a_difference(&family)
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
        let log_error = standard_error(&wide).map(|error| error * (4000.0_f64 / 12.0).sqrt());
        let known = Effect {
            log_error,
            ..quick(&pairs(12, 1.0, spread, &mut chance))
        };
        let ratio = judge(&[known])[0].detectable.unwrap();
        let n_called = (0..400)
            .filter(|_| calls_a_difference(&[pairs(12, ratio, spread, &mut chance)]))
            .count();
        // Three standard deviations of a count of 400 at 0.8 are 24; the test is a little less powerful than Student's.
        assert!((290..=350).contains(&n_called), "{n_called} of 400");
    }

    #[test]
    fn the_reach_of_a_test_is_that_of_scipys_quantiles() {
        // SciPy 1.17.1: t.ppf(1 - 0.05 / m / 2, n - 1) + t.ppf(0.8, n - 1) for n rounds and m comparisons.
        for (n_rounds, n_comparisons, expected) in [
            (6, 1.0, 3.490_125_615_877_141_7),
            (9, 12.0, 4.850_662_908_621_333),
            (15, 565.0, 6.299_284_630_258_215),
            (1000, 678.0, 4.822_484_646_551_302_5),
        ] {
            let reach = reach(smallest_p(n_rounds), n_rounds - 1, FALSE_ALARMS / n_comparisons).unwrap();
            assert!((reach / expected - 1.0).abs() < 1e-6, "{n_rounds} rounds: {reach}");
        }
    }

    #[test]
    fn one_comparison_needs_six_rounds_and_twelve_need_nine() {
        for (n_comparisons, n_rounds) in [
            (0, 6),
            (1, 6),
            (2, 7),
            (3, 7),
            (4, 8),
            (12, 9),
            (13, 10),
            (22, 10),
            (565, 15),
        ] {
            assert_eq!(rounds_needed(n_comparisons), n_rounds, "{n_comparisons} comparisons");
        }
        assert!(can_show(9, 12) && !can_show(8, 12));
        assert!(!can_show(5, 1), "2/32 is above 0.05");
    }

    proptest! {
        #[test]
        fn the_rounds_needed_are_the_fewest_that_suffice(n_comparisons in 1..=u32::MAX) {
            let n_rounds = rounds_needed(n_comparisons as usize);
            let adjusted = |n_rounds: usize| 2.0 / 2f64.powi(i32::try_from(n_rounds).unwrap()) * f64::from(n_comparisons);
            assert!(adjusted(n_rounds) < 0.05 && adjusted(n_rounds - 1) >= 0.05);
        }

        #[test]
        fn more_rounds_never_show_less(n_rounds in 0..1_000_usize, n_comparisons in any::<u32>()) {
            let n_comparisons = n_comparisons as usize;
            assert!(!can_show(n_rounds, n_comparisons) || can_show(n_rounds + 1, n_comparisons));
        }
    }
}
