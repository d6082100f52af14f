//! The ordered trials of an experiment: a pure function of the spec and its seed, the same on every machine.

use std::collections::BTreeMap;
use std::collections::HashSet;

use sha2::Digest as _;
use sha2::Sha256;

use crate::model::chance::Chance;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::Order;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;

/// All trials in the order in which they run, warm-ups first.
pub fn schedule(spec: &ExperimentSpec) -> Vec<Trial> {
    let mut trials = Vec::new();
    match spec.order {
        Order::Randomized => {
            for (kind, round) in rounds(spec) {
                let mut chance = chance(spec.seed, kind, round);
                for source_idx in chance.shuffled(spec.sources.len()) {
                    let queries = chance.shuffled(spec.query_positions.len());
                    push_visit(&mut trials, kind, round, source_idx, queries);
                }
            }
        }
        Order::Sequential => {
            for source_idx in 0..spec.sources.len() {
                for (kind, round) in rounds(spec) {
                    push_visit(
                        &mut trials,
                        kind,
                        round,
                        source_idx,
                        (0..spec.query_positions.len()).collect(),
                    );
                }
            }
        }
    }
    trials
}

/// Leaves out the trials of every (source, query) that repeats the plan of an earlier draw. The others keep their places
/// and their order.
pub fn without(trials: Vec<Trial>, repeats: &BTreeMap<(i32, i32), i32>) -> Vec<Trial> {
    let repeated: HashSet<(usize, usize)> = repeats
        .keys()
        .filter_map(|(source_idx, query_idx)| {
            Some((usize::try_from(*source_idx).ok()?, usize::try_from(*query_idx).ok()?))
        })
        .collect();
    let mut trials = trials;
    trials.retain(|trial| !repeated.contains(&(trial.source_idx, trial.query_idx)));
    trials
}

/// How many trials a spec asks for.
pub fn n_trials(n_sources: usize, n_queries: usize, iterations: u32, warm_up: u32) -> u64 {
    n_sources as u64 * n_queries as u64 * (u64::from(iterations) + u64::from(warm_up))
}

/// The trials that are not recorded yet, in order.
pub fn remaining(schedule: &[Trial], recorded: &[usize]) -> Vec<Trial> {
    let recorded: HashSet<usize> = recorded.iter().copied().collect();
    schedule
        .iter()
        .filter(|trial| !recorded.contains(&trial.trial_idx))
        .copied()
        .collect()
}

/// The trials cut into visits: one source in one round.
pub fn visits(trials: &[Trial]) -> impl Iterator<Item = &[Trial]> {
    trials.chunk_by(|a, b| a.kind == b.kind && a.round == b.round && a.source_idx == b.source_idx)
}

fn rounds(spec: &ExperimentSpec) -> impl Iterator<Item = (TrialKind, u32)> {
    let warm_ups = (1..=spec.warm_up).map(|round| (TrialKind::WarmUp, round));
    warm_ups.chain((1..=spec.iterations).map(|round| (TrialKind::Measured, round)))
}

fn push_visit(trials: &mut Vec<Trial>, kind: TrialKind, round: u32, source_idx: usize, queries: Vec<usize>) {
    for query_idx in queries {
        trials.push(Trial {
            trial_idx: trials.len(),
            kind,
            round,
            source_idx,
            query_idx,
        });
    }
}

/// Every round draws from a stream of its own, so that more rounds do not change the earlier ones.
fn chance(seed: u64, kind: TrialKind, round: u32) -> Chance {
    let kind: &[u8] = match kind {
        TrialKind::WarmUp => b"warm-up",
        TrialKind::Measured => b"measured",
    };
    let mut hash = Sha256::new();
    hash.update(b"pgassay schedule 1");
    hash.update(seed.to_be_bytes());
    hash.update(kind);
    hash.update(round.to_be_bytes());
    Chance::of(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::experiment::ClockKind;
    use crate::model::experiment::SourceSpec;
    use crate::model::ids::DatasetId;
    use crate::model::ids::WorkloadId;

    use super::*;

    fn spec(
        n_sources: usize,
        n_queries: i32,
        iterations: u32,
        warm_up: u32,
        seed: u64,
        order: Order,
    ) -> ExperimentSpec {
        let source = |idx| SourceSpec {
            name: "none".into(),
            params: crate::model::experiment::Params::new(),
            label: format!("s{idx}"),
            draw: None,
            annex: None,
        };
        ExperimentSpec {
            dataset_id: DatasetId(1),
            workload_id: WorkloadId(1),
            query_positions: (0..n_queries).collect(),
            sources: (0..n_sources).map(source).collect(),
            has_control: false,
            iterations,
            warm_up,
            seed,
            clock: ClockKind::Server,
            timeout_ms: 1000,
            order,
            settings: Vec::new(),
            repeats: None,
        }
    }

    proptest! {
        #[test]
        fn every_query_meets_every_source_once_a_round(
            n_sources in 1..5_usize, n_queries in 1..8_i32, iterations in 1..5_u32, warm_up in 0..3_u32,
            seed: u64, sequential: bool,
        ) {
            let order = if sequential { Order::Sequential } else { Order::Randomized };
            let spec = spec(n_sources, n_queries, iterations, warm_up, seed, order);
            let trials = schedule(&spec);
            prop_assert_eq!(trials.len() as u64, n_trials(n_sources, usize::try_from(n_queries).unwrap(), iterations, warm_up));
            let cells: HashSet<_> = trials.iter().map(|t| (t.kind, t.round, t.source_idx, t.query_idx)).collect();
            prop_assert_eq!(cells.len(), trials.len());
            prop_assert!(trials.iter().enumerate().all(|(idx, trial)| trial.trial_idx == idx));
            let per_visit = visits(&trials).map(<[Trial]>::len).collect::<HashSet<_>>();
            prop_assert_eq!(per_visit, HashSet::from([usize::try_from(n_queries).unwrap()]));
            prop_assert_eq!(schedule(&spec), trials);
        }
    }

    #[test]
    fn another_seed_gives_another_order_and_more_rounds_keep_the_first_ones() {
        let order = |seed, iterations| schedule(&spec(3, 6, iterations, 1, seed, Order::Randomized));
        assert_ne!(order(1, 4), order(2, 4));
        assert_eq!(order(1, 9)[..order(1, 4).len()], order(1, 4)[..]);
    }

    #[test]
    fn the_order_of_a_seed_is_what_it_was_in_the_first_release() {
        let order: Vec<(usize, usize)> = schedule(&spec(2, 3, 1, 0, 42, Order::Randomized))
            .iter()
            .map(|trial| (trial.source_idx, trial.query_idx))
            .collect();
        assert_eq!(order, FIRST_RELEASE);
    }

    /// Taken from this code when it was written: stored experiments depend on it.
    const FIRST_RELEASE: [(usize, usize); 6] = [(1, 2), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)];

    #[test]
    fn what_repeats_a_plan_is_left_out_and_everything_else_stays_in_its_place() {
        let all = schedule(&spec(3, 2, 3, 1, 5, Order::Randomized));
        let timed = without(all.clone(), &[((2, 0), 1), ((1, 1), 0)].into());
        assert_eq!(timed.len(), (3 * 2 - 2) * 4);
        for trial in &timed {
            assert_eq!(*trial, all[trial.trial_idx]);
            assert!(![(2, 0), (1, 1)].contains(&(trial.source_idx, trial.query_idx)));
        }
    }

    #[test]
    fn what_is_recorded_is_not_run_again() {
        let trials = schedule(&spec(2, 2, 2, 0, 1, Order::Randomized));
        let left = remaining(&trials, &[0, 1, 2, 5]);
        assert_eq!(
            left.iter().map(|trial| trial.trial_idx).collect::<Vec<_>>(),
            [3, 4, 6, 7]
        );
    }
}
