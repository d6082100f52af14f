//! From trials to the stored comparisons of every two sources.

use crate::analysis::effect::Effect;
use crate::analysis::effect::Overall;
use crate::analysis::effect::Pair;
use crate::analysis::resample::Resampling;
use crate::analysis::summary::Observed;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::OverallRecord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;

/// What is stored of every two sources beside each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparisons {
    /// By pair of sources, then query.
    pub of_queries: Vec<ComparisonRecord>,
    pub overall: Vec<OverallRecord>,
}

/// Compares every two sources that ran in one clone on every query, and on all of them together. The seed decides the
/// resamples behind the intervals and nothing else.
pub fn compare(spec: &ExperimentSpec, n_queries: usize, trials: &[RecordedTrial]) -> Comparisons {
    let n_sources = spec.sources.len();
    let times = Times::new(n_sources, n_queries, trials);
    let mut resampling = Resampling::new(spec.seed);
    let mut comparisons = Comparisons::default();
    let annex_of = |idx: usize| spec.sources.get(idx).map(|source| source.annex);
    for base in 0..n_sources {
        for source in (base + 1..n_sources).filter(|source| annex_of(*source) == annex_of(base)) {
            let pairs: Vec<Vec<Pair>> = (0..n_queries).map(|query| times.pairs(query, base, source)).collect();
            for (query, pairs) in pairs.iter().enumerate() {
                if let Some(effect) = Effect::of(pairs, &mut resampling) {
                    comparisons.of_queries.push(record(query, base, source, &effect));
                }
            }
            if let Some(overall) = Overall::of(&pairs, &mut resampling) {
                comparisons.overall.push(OverallRecord {
                    base_idx: small(base),
                    source_idx: small(source),
                    n_queries: small(overall.n_queries),
                    n_rounds: small(overall.n_rounds),
                    ratio: overall.ratio,
                    low: overall.interval.map(|(low, _)| low),
                    high: overall.interval.map(|(_, high)| high),
                });
            }
        }
    }
    comparisons
}

fn record(query: usize, base: usize, source: usize, effect: &Effect) -> ComparisonRecord {
    ComparisonRecord {
        query_idx: small(query),
        base_idx: small(base),
        source_idx: small(source),
        n_rounds: small(effect.n_rounds),
        n_censored: small(effect.n_censored),
        ratio: effect.ratio,
        low: effect.interval.map(|(low, _)| low),
        high: effect.interval.map(|(_, high)| high),
        log_error: effect.log_error,
        p_value: effect.p_value,
    }
}

/// The measured times of every (query, source), by round.
struct Times {
    n_sources: usize,
    samples: Vec<Vec<(i32, Observed)>>,
}

impl Times {
    fn new(n_sources: usize, n_queries: usize, trials: &[RecordedTrial]) -> Self {
        let mut samples = vec![Vec::new(); n_sources * n_queries];
        for trial in trials.iter().filter(|trial| trial.kind == TrialKind::Measured) {
            let (query, source) = (usize::try_from(trial.query_idx), usize::try_from(trial.source_idx));
            if let (Ok(query), Ok(source)) = (query, source)
                && source < n_sources
                && query < n_queries
            {
                samples[query * n_sources + source].push((trial.round, Observed::from(trial)));
            }
        }
        for sample in &mut samples {
            sample.sort_by_key(|(round, _)| *round);
        }
        Self { n_sources, samples }
    }

    /// The times of the rounds that both sources have.
    fn pairs(&self, query: usize, base: usize, source: usize) -> Vec<Pair> {
        let sample = |source: usize| &self.samples[query * self.n_sources + source];
        let mut others = sample(source).iter().peekable();
        let mut pairs = Vec::with_capacity(sample(base).len());
        for (round, base) in sample(base) {
            while others.next_if(|(other_round, _)| other_round < round).is_some() {}
            if let Some((_, other)) = others.next_if(|(other_round, _)| other_round == round) {
                pairs.push((*base, *other));
            }
        }
        pairs
    }
}

/// Positions and rounds are bounded by the limit on trials, far below 2^31.
fn small(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::experiment::tests::spec;
    use crate::model::trial::OutcomeWord;

    fn three() -> ExperimentSpec {
        spec(&[("a", None), ("b", None), ("c", None)])
    }

    fn trial(round: i32, query_idx: i32, source_idx: i32, ms: f64) -> RecordedTrial {
        RecordedTrial {
            trial_idx: 0,
            kind: TrialKind::Measured,
            round,
            source_idx,
            query_idx,
            segment_no: 1,
            outcome: OutcomeWord::Finished,
            execution_ms: Some(ms),
            planning_ms: None,
            cost: None,
            server_ms: None,
            message: None,
        }
    }

    #[test]
    fn every_two_sources_are_compared_round_by_round_in_whatever_order_trials_ran() {
        let mut trials = Vec::new();
        for round in (1..=6).rev() {
            let slowness = f64::from(round);
            trials.extend([trial(round, 0, 2, 40.0 * slowness), trial(round, 0, 0, 10.0 * slowness)]);
            trials.push(trial(round, 0, 1, 20.0 * slowness));
            trials.push(RecordedTrial {
                kind: TrialKind::WarmUp,
                ..trial(round, 0, 1, 1e6)
            });
        }
        let found = compare(&three(), 1, &trials);
        let ratios: Vec<(i32, i32, f64)> = found
            .of_queries
            .iter()
            .map(|record| (record.base_idx, record.source_idx, (record.ratio * 1e9).round() / 1e9))
            .collect();
        assert_eq!(ratios, [(0, 1, 2.0), (0, 2, 4.0), (1, 2, 2.0)]);
        assert_eq!(found.overall.len(), 3);
        assert_eq!(found, compare(&three(), 1, &trials));
    }

    #[test]
    fn no_comparison_crosses_clones() {
        let mut trials = Vec::new();
        for round in 1..=6 {
            trials.extend((0..5).map(|source_idx| trial(round, 0, source_idx, f64::from(10 * (source_idx + 1)))));
        }
        let sources = [
            ("a", None),
            ("x", Some(1)),
            ("a in x", Some(1)),
            ("b", None),
            ("x2", Some(2)),
        ];
        let found = compare(&spec(&sources), 1, &trials);
        let pairs: Vec<(i32, i32)> = found
            .of_queries
            .iter()
            .map(|found| (found.base_idx, found.source_idx))
            .collect();
        assert_eq!(pairs, [(0, 3), (1, 2)]);
        assert_eq!(found.overall.len(), 2);
    }

    #[test]
    fn a_round_that_only_one_source_has_is_left_out() {
        let trials = [
            trial(1, 0, 0, 1.0),
            trial(2, 0, 0, 1.0),
            trial(2, 0, 1, 3.0),
            trial(3, 0, 1, 1.0),
        ];
        let two = spec(&[("a", None), ("b", None)]);
        let found = compare(&two, 1, &trials);
        assert_eq!((found.of_queries[0].n_rounds, found.of_queries.len()), (1, 1));
        assert!((found.of_queries[0].ratio - 3.0).abs() < 1e-12);
        assert_eq!(compare(&two, 1, &trials[..2]), Comparisons::default());
    }
}
