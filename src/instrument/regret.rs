//! Regret: how much slower is the plan that each source of an experiment chooses than the best that any of them has
//! chosen?
//!
//! A plan runs under the statistics of the first source that chose it: there is no other way to make a server take it.
//! Plans take turns in shuffled rounds, so that all of them meet the same machine.

use std::collections::BTreeMap;

use crate::analysis::regret;
use crate::analysis::regret::Regret;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::instrument::look::Look;
use crate::instrument::stand::Stand;
use crate::instrument::work::Notebook;
use crate::model::chance::Chance;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::Findings;
use crate::model::instrument::RegretFindings;
use crate::model::instrument::RegretStep;
use crate::model::instrument::RegretTask;
use crate::model::instrument::RunOutcome;
use crate::model::instrument::TaskSource;
use crate::model::snapshot::Snapshot;
use crate::model::units::three_digits;
use crate::snapshot::mixture::Parked;
use crate::store::sources;
use crate::target::trouble::Trouble;

/// Looks at every query under every source, runs each plan in every round, and returns what was found with a sentence.
pub async fn run(notebook: &Notebook<'_>, stand: &mut Stand, task: &RegretTask) -> Result<(Findings, String), Trouble> {
    let (snapshots, findings) = park(notebook, stand, task).await?;
    notebook.note(&Findings::Regret(findings.clone())).await?;
    let mut steps: Vec<RegretStep> = notebook.steps().await?;
    for place in 0..snapshots.len() {
        if !steps.iter().any(|step| is_look(step, place)) {
            let step = look(notebook, stand, task, &snapshots, place, steps.len()).await?;
            steps.push(step);
        }
    }
    let turns = turns(task, &choices(&steps), notebook.instrument.spec.seed);
    let n_ran = steps
        .iter()
        .filter(|step| matches!(step, RegretStep::Ran { .. }))
        .count();
    let mut in_force = None;
    for (turn_idx, turn) in turns.iter().enumerate().skip(n_ran) {
        let Some(query) = task.queries.get(turn.query_idx) else {
            continue;
        };
        let what = if turn.round == 0 { "warming up" } else { "running plans" };
        let detail = format!("{} as under {}", query.label, task.sources[turn.place].label);
        notebook.stage(what, turn_idx, turns.len(), &detail).await?;
        if in_force != Some(turn.place) {
            stand.swap_in(parked(&snapshots, turn.place)).await?;
            in_force = Some(turn.place);
        }
        let stop = notebook.job.stop_token();
        // Untimed: it fills the catalog caches that a swap has emptied.
        let plan = stand.look(&query.sql, stop).await?;
        let outcome = if plan.fingerprint() == Some(&turn.fingerprint) {
            stand.time(&query.sql, stop).await?
        } else {
            RunOutcome::Failed {
                message: "its plan did not come out again".to_owned(),
            }
        };
        if !matches!(outcome, RunOutcome::Finished { .. }) {
            // ANALYZE in a function sets the sizes of relations for good, also where it fails.
            in_force = None;
        }
        let step = RegretStep::Ran {
            round: turn.round,
            query_idx: i32::try_from(turn.query_idx).unwrap_or(i32::MAX),
            fingerprint: turn.fingerprint.clone(),
            outcome,
        };
        notebook.record(steps.len(), &step, &[], None).await?;
        steps.push(step);
    }
    let headline = headline(task, &steps);
    Ok((Findings::Regret(findings), headline))
}

fn parked(snapshots: &[Snapshot], place: usize) -> Parked<'_> {
    Parked {
        source_idx: place,
        snapshot: &snapshots[place],
    }
}

fn is_look(step: &RegretStep, place: usize) -> bool {
    matches!(step, RegretStep::Looked { source_idx, .. } if usize::try_from(*source_idx) == Ok(place))
}

/// Writes the statistics of every source into the clone.
async fn park(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &RegretTask,
) -> Result<(Vec<Snapshot>, RegretFindings), Trouble> {
    let stored = {
        let mut conn = notebook.job.conn().await?;
        sources::list_snapshots(&mut conn, task.experiment_id).await?
    };
    let of_source = |source: &TaskSource| stored.get(usize::try_from(source.source_idx).ok()?)?.as_ref();
    let stored: Option<Vec<_>> = task.sources.iter().map(of_source).collect();
    let Some(stored) = stored else {
        return Err(Trouble::Sentence(format!(
            "Experiment {} does not hold the statistics of all its sources any more.",
            task.experiment_id
        )));
    };
    let mut snapshots = Vec::new();
    let mut findings = RegretFindings::default();
    for (place, (snapshot, _)) in stored.iter().enumerate() {
        let label = &task.sources[place].label;
        notebook.stage("writing statistics", place, stored.len(), label).await?;
        let (snapshot, left_out) = stand.park(place, snapshot).await?;
        let left_out = left_out
            .into_iter()
            .map(|left| format!("{label}: {}: {}", left.column, left.reason));
        findings.left_out.extend(left_out);
        snapshots.push(snapshot);
    }
    Ok((snapshots, findings))
}

async fn look(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &RegretTask,
    snapshots: &[Snapshot],
    place: usize,
    step_idx: usize,
) -> Result<RegretStep, Trouble> {
    notebook
        .stage("looking at plans", place, snapshots.len(), &task.sources[place].label)
        .await?;
    stand.swap_in(parked(snapshots, place)).await?;
    let mut looks = Vec::new();
    for query in &task.queries {
        looks.push(stand.look(&query.sql, notebook.job.stop_token()).await?);
    }
    let plans = looks.iter().map(|look| DrawnPlan {
        fingerprint: look.fingerprint().map(str::to_owned),
        cost: look.cost(),
        message: look.message().map(str::to_owned),
    });
    let step = RegretStep::Looked {
        source_idx: i32::try_from(place).unwrap_or(i32::MAX),
        plans: plans.collect(),
    };
    let looks: Vec<(i32, &Look)> = (0_i32..).zip(&looks).collect();
    notebook.record(step_idx, &step, &looks, None).await?;
    Ok(step)
}

/// The plans of every query, each with the first source that chose it.
pub fn choices(steps: &[RegretStep]) -> BTreeMap<(usize, String), usize> {
    let mut choices = BTreeMap::new();
    for step in steps {
        if let RegretStep::Looked { source_idx, plans } = step {
            let place = usize::try_from(*source_idx).unwrap_or(usize::MAX);
            for (query_idx, plan) in plans.iter().enumerate() {
                if let Some(fingerprint) = &plan.fingerprint {
                    let first = choices.entry((query_idx, fingerprint.clone())).or_insert(place);
                    *first = place.min(*first);
                }
            }
        }
    }
    choices
}

/// One plan's turn to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// 0 to warm up.
    round: u32,
    query_idx: usize,
    fingerprint: String,
    /// Whose statistics make it.
    place: usize,
}

/// Every plan once in each round. A round visits the sources in shuffled order, and under each its plans in shuffled order:
/// a pure function of the plans and the seed.
pub fn turns(task: &RegretTask, choices: &BTreeMap<(usize, String), usize>, seed: u64) -> Vec<Turn> {
    let mut turns = Vec::new();
    for round in 0..=task.rounds {
        let mut chance = Chance::new(seed, &[b"regret", &round.to_be_bytes()]);
        let mut places: Vec<usize> = (0..task.sources.len()).collect();
        chance.shuffle(&mut places);
        for place in places {
            let chosen = choices.iter().filter(|(_, first)| **first == place);
            let mut visit: Vec<Turn> = chosen
                .map(|((query_idx, fingerprint), _)| Turn {
                    round,
                    query_idx: *query_idx,
                    fingerprint: fingerprint.clone(),
                    place,
                })
                .collect();
            chance.shuffle(&mut visit);
            turns.extend(visit);
        }
    }
    turns
}

/// The runs of one plan that count.
fn runs(steps: &[RegretStep], wanted_query: usize, wanted: &str) -> Vec<Observed> {
    let runs = steps.iter().filter_map(|step| match step {
        RegretStep::Ran {
            round: 1..,
            query_idx,
            fingerprint,
            outcome,
        } if usize::try_from(*query_idx) == Ok(wanted_query) && fingerprint == wanted => Some(outcome.observed()),
        _ => None,
    });
    runs.collect()
}

/// What these runs say, in a sentence.
pub fn headline(task: &RegretTask, steps: &[RegretStep]) -> String {
    let plans = choices(steps);
    let mut worst: Option<(Regret, usize, usize)> = None;
    for query_idx in 0..task.queries.len() {
        let of_query = plans.keys().filter(|(idx, _)| *idx == query_idx);
        let medians: BTreeMap<&str, Option<Quantile>> = of_query
            .map(|(_, plan)| (plan.as_str(), regret::median(&runs(steps, query_idx, plan))))
            .collect();
        let all: Vec<Option<Quantile>> = medians.values().copied().collect();
        let best = regret::best(&all).and_then(|best| all[best]);
        for step in steps {
            let RegretStep::Looked { source_idx, plans } = step else {
                continue;
            };
            let plan = plans.get(query_idx).and_then(|plan| plan.fingerprint.as_deref());
            let median = plan.and_then(|plan| medians.get(plan).copied().flatten());
            if let Some(regret) = regret::regret(median, best)
                && worst.is_none_or(|(known, ..)| regret.factor > known.factor)
            {
                worst = Some((regret, query_idx, usize::try_from(*source_idx).unwrap_or(usize::MAX)));
            }
        }
    }
    match worst {
        Some((regret, query_idx, place)) => format!(
            "The largest regret: the plan of {} under {} takes {}{}× as long as the best plan known.",
            task.queries[query_idx].label,
            task.sources.get(place).map_or("", |source| source.label.as_str()),
            if regret.is_above { "more than " } else { "" },
            three_digits(regret.factor)
        ),
        None => "No plan finished often enough to be compared.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::ExperimentId;
    use crate::model::instrument::TaskQuery;
    use crate::model::instrument::TaskSource;

    fn task() -> RegretTask {
        RegretTask {
            experiment_id: ExperimentId(1),
            queries: ["a", "b", "c"]
                .map(|label| TaskQuery {
                    label: label.to_owned(),
                    sql: String::new(),
                })
                .to_vec(),
            sources: (0..3)
                .map(|source_idx| TaskSource {
                    source_idx,
                    label: source_idx.to_string(),
                })
                .collect(),
            rounds: 4,
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_plan_that_was_cut_off_is_the_largest_regret_and_by_how_much_is_open() {
        let plan = |fingerprint: &str| DrawnPlan {
            fingerprint: Some(fingerprint.to_owned()),
            cost: None,
            message: None,
        };
        let looked = |source_idx, plans: [&str; 2]| RegretStep::Looked {
            source_idx,
            plans: plans.map(plan).to_vec(),
        };
        let ran = |query_idx, fingerprint: &str, outcome| RegretStep::Ran {
            round: 1,
            query_idx,
            fingerprint: fingerprint.to_owned(),
            outcome,
        };
        let finished = |execution_ms| RunOutcome::Finished { execution_ms };
        let steps = [
            looked(0, ["x", "u"]),
            looked(1, ["y", "v"]),
            ran(0, "x", finished(2.0)),
            ran(0, "y", finished(3.0)),
            ran(1, "u", finished(10.0)),
            ran(1, "v", RunOutcome::TimedOut { limit_ms: 1000.0 }),
        ];
        let said = headline(&task(), &steps);
        assert!(
            said.contains("the plan of b under 1 takes more than 100× as long"),
            "{said}"
        );
    }

    #[test]
    fn every_plan_has_one_turn_in_each_round_and_the_seed_decides_the_order() {
        let task = task();
        let plans = [(0, "x", 0), (0, "y", 1), (1, "x", 0), (1, "z", 2), (2, "x", 0)];
        let choices: BTreeMap<(usize, String), usize> = plans
            .into_iter()
            .map(|(query_idx, plan, place)| ((query_idx, plan.to_owned()), place))
            .collect();
        let all = turns(&task, &choices, 7);
        assert_eq!(all, turns(&task, &choices, 7));
        assert_ne!(all, turns(&task, &choices, 8));
        assert_eq!(all.len(), 5 * 5);
        // Computed apart from this code, from the definitions of SHA-256 and ChaCha with 8 rounds.
        let second: Vec<(usize, &str)> = all[5..10]
            .iter()
            .map(|turn| (turn.query_idx, turn.fingerprint.as_str()))
            .collect();
        assert_eq!(second, [(0, "y"), (1, "z"), (1, "x"), (0, "x"), (2, "x")]);
        for round in 0..=4 {
            let of_round: Vec<&Turn> = all.iter().filter(|turn| turn.round == round).collect();
            for (query_idx, plan, place) in plans {
                let is_meant = |turn: &&&Turn| turn.query_idx == query_idx && turn.fingerprint == plan;
                let meant: Vec<&&Turn> = of_round.iter().filter(is_meant).collect();
                assert_eq!((meant.len(), meant[0].place), (1, place));
            }
            let n_swaps = of_round
                .windows(2)
                .filter(|pair| pair[0].place != pair[1].place)
                .count();
            assert_eq!(n_swaps, 2, "each source is visited once");
        }
    }
}
