//! The ordered trials of an experiment: a pure function of the spec and its seed, the same on every machine.
//!
//! What measuring costs is asked behind everything else, so that asking does not touch what is compared.

use std::collections::BTreeMap;
use std::collections::HashSet;

use sha2::Digest as _;
use sha2::Sha256;

use crate::model::chance::Chance;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::Order;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;

/// The three ways in which a query is run to learn what measuring costs.
const WAYS: [TrialKind; 3] = [TrialKind::Plain, TrialKind::TimingOff, TrialKind::TimingOn];
/// The source under which that is asked: the first, which is the baseline.
pub const OBSERVED_SOURCE: usize = 0;

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
    if spec.has_observer {
        for query_idx in 0..spec.query_positions.len() {
            push_observed(&mut trials, spec, query_idx);
        }
    }
    trials
}

/// Leaves out what asks for the cost of measuring a query, for all queries but these. The others keep their places.
pub fn observing_only(trials: Vec<Trial>, spec: &ExperimentSpec, query_idxs: &HashSet<usize>) -> Vec<Trial> {
    let mut trials = trials;
    trials.retain(|trial| !is_of_observer(trial, spec.warm_up) || query_idxs.contains(&trial.query_idx));
    trials
}

/// With the warm-up in front of the three ways, which is a round more than the experiment's own.
fn is_of_observer(trial: &Trial, warm_up: u32) -> bool {
    trial.kind.is_of_observer() || (trial.kind == TrialKind::WarmUp && trial.round > warm_up)
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
pub fn n_trials(spec: &ExperimentSpec) -> u64 {
    let n_queries = spec.query_positions.len() as u64;
    let n_rounds = u64::from(spec.iterations) + u64::from(spec.warm_up);
    let of_observer = if spec.has_observer {
        1 + WAYS.len() as u64 * u64::from(spec.n_observed_rounds())
    } else {
        0
    };
    n_queries * (spec.sources.len() as u64 * n_rounds + of_observer)
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

/// The trials cut into visits: one source in one round, or one query in its three ways.
pub fn visits(trials: &[Trial]) -> impl Iterator<Item = &[Trial]> {
    trials.chunk_by(|a, b| {
        let is_alike = if a.kind.is_of_observer() {
            b.kind.is_of_observer() && a.query_idx == b.query_idx
        } else {
            a.kind == b.kind
        };
        is_alike && a.round == b.round && a.source_idx == b.source_idx
    })
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

/// A warm-up, and then round by round the three ways in shuffled order, close together: what slows down the machine for a
/// while slows down all three.
fn push_observed(trials: &mut Vec<Trial>, spec: &ExperimentSpec, query_idx: usize) {
    let mut push = |kind, round| {
        trials.push(Trial {
            trial_idx: trials.len(),
            kind,
            round,
            source_idx: OBSERVED_SOURCE,
            query_idx,
        });
    };
    push(TrialKind::WarmUp, spec.warm_up + 1);
    let mut hash = Sha256::new();
    hash.update(b"pgassay observer 1");
    hash.update(spec.seed.to_be_bytes());
    hash.update((query_idx as u64).to_be_bytes());
    let mut chance = Chance::of(hash);
    for round in 1..=spec.n_observed_rounds() {
        for way in chance.shuffled(WAYS.len()) {
            push(WAYS[way], round);
        }
    }
}

/// Every round draws from a stream of its own, so that more rounds do not change the earlier ones.
fn chance(seed: u64, kind: TrialKind, round: u32) -> Chance {
    let mut hash = Sha256::new();
    hash.update(b"pgassay schedule 1");
    hash.update(seed.to_be_bytes());
    // No other kind has rounds of several sources.
    hash.update(if kind == TrialKind::WarmUp {
        &b"warm-up"[..]
    } else {
        b"measured"
    });
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
            has_observer: false,
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
            seed: u64, sequential: bool, has_observer: bool,
        ) {
            let order = if sequential { Order::Sequential } else { Order::Randomized };
            let spec = ExperimentSpec {
                has_observer,
                ..spec(n_sources, n_queries, iterations, warm_up, seed, order)
            };
            let trials = schedule(&spec);
            prop_assert_eq!(trials.len() as u64, n_trials(&spec));
            let cells: HashSet<_> = trials.iter().map(|t| (t.kind, t.round, t.source_idx, t.query_idx)).collect();
            prop_assert_eq!(cells.len(), trials.len());
            prop_assert!(trials.iter().enumerate().all(|(idx, trial)| trial.trial_idx == idx));
            let own: Vec<Trial> = trials.iter().copied().filter(|trial| !is_of_observer(trial, warm_up)).collect();
            prop_assert_eq!(&trials[..own.len()], &own[..]);
            let per_visit = visits(&own).map(<[Trial]>::len).collect::<HashSet<_>>();
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
    fn what_measuring_costs_is_asked_last_query_by_query_in_a_shuffled_order_of_ways() {
        let spec = ExperimentSpec {
            has_observer: true,
            ..spec(2, 3, 12, 1, 42, Order::Randomized)
        };
        let trials = schedule(&spec);
        let observed = &trials[2 * 3 * 13..];
        assert_eq!(observed.len(), 3 * (1 + 3 * 10), "of 12 rounds it takes ten");
        assert!(observed.iter().all(|trial| trial.source_idx == OBSERVED_SOURCE));
        for (query_idx, of_query) in observed.chunk_by(|a, b| a.query_idx == b.query_idx).enumerate() {
            let visits: Vec<&[Trial]> = visits(of_query).collect();
            assert_eq!(visits.len(), 1 + 10);
            let [warm_up] = visits[0] else { panic!("{visits:?}") };
            assert_eq!(
                (warm_up.kind, warm_up.round, warm_up.query_idx),
                (TrialKind::WarmUp, 2, query_idx)
            );
            for (round, visit) in (1_u32..).zip(&visits[1..]) {
                let mut ways: Vec<TrialKind> = visit.iter().map(|trial| trial.kind).collect();
                ways.sort_by_key(|way| WAYS.iter().position(|one| one == way));
                assert_eq!(ways, WAYS);
                assert!(
                    visit
                        .iter()
                        .all(|trial| (trial.round, trial.query_idx) == (round, query_idx))
                );
            }
        }
        let first: HashSet<TrialKind> = observed.iter().skip(1).step_by(3).map(|trial| trial.kind).collect();
        assert!(first.len() > 1, "no way is always the first");
        let some = observing_only(trials.clone(), &spec, &HashSet::from([1]));
        assert_eq!(some.len(), 2 * 3 * 13 + 31);
        assert!(some.iter().all(|trial| *trial == trials[trial.trial_idx]));
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
