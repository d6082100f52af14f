//! What a run that was stopped has found out by then, from what is stored alone: nothing is asked of a server again.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::instrument::bisect;
use crate::instrument::budget;
use crate::instrument::lottery;
use crate::instrument::regret;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::BisectTask;
use crate::model::instrument::BudgetFindings;
use crate::model::instrument::BudgetStep;
use crate::model::instrument::BudgetTask;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::instrument::LotteryFindings;
use crate::model::instrument::LotteryStep;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::RegretFindings;
use crate::model::instrument::RegretStep;
use crate::model::instrument::RegretTask;
use crate::model::instrument::Task;
use crate::model::units::counted;

/// Pieces that a sentence names; of more it says how many.
const FEW: usize = 3;

/// The findings of so many steps, with a sentence that begins by how large a part they are. None while nothing is known.
pub fn of(instrument: &Instrument, steps: Vec<Value>) -> anyhow::Result<Option<(Findings, String)>> {
    let (spec, noted) = (&instrument.spec, instrument.result.clone());
    Ok(match (&spec.task, noted) {
        (Task::Lottery(task), Some(Findings::Lottery(noted))) => of_lottery(task, noted, &read(steps)?),
        (Task::Lottery(task), _) => of_lottery(task, LotteryFindings::default(), &read(steps)?),
        (Task::Regret(task), Some(Findings::Regret(noted))) => Some(of_regret(task, noted, &read(steps)?, spec.seed)),
        (Task::Budget(task), Some(Findings::Budget(noted))) => of_budget(task, noted, &read(steps)?),
        (Task::Budget(task), _) => of_budget(task, BudgetFindings::default(), &read(steps)?),
        (Task::Bisect(task), Some(Findings::Bisect(noted))) => Some(of_bisect(task, noted, &read(steps)?)),
        // What these are about is noted before their first step.
        (Task::Regret(_) | Task::Bisect(_), _) => None,
    })
}

fn read<T: DeserializeOwned>(steps: Vec<Value>) -> anyhow::Result<Vec<T>> {
    let read = steps.into_iter().map(serde_json::from_value);
    read.collect::<Result<_, _>>().context("reading the stored steps")
}

fn of_lottery(task: &LotteryTask, noted: LotteryFindings, steps: &[LotteryStep]) -> Option<(Findings, String)> {
    let is_draw = |step: &&LotteryStep| matches!(step, LotteryStep::Draw(_));
    let n_drawn = steps.iter().filter(is_draw).count();
    let n_all = task.targets.len() * task.n_draws as usize;
    let part = match n_drawn {
        0 => return None,
        n if n < n_all => format!("stopped after {n} of {n_all} draws"),
        n => format!("stopped after all {n} draws, before all columns that decide were found"),
    };
    let said = format!("A part, {part}. {}", lottery::headline(task, steps));
    Some((Findings::Lottery(noted), said))
}

fn of_regret(task: &RegretTask, noted: RegretFindings, steps: &[RegretStep], seed: u64) -> (Findings, String) {
    let is_run = |step: &&RegretStep| matches!(step, RegretStep::Ran { .. });
    let n_ran = steps.iter().filter(is_run).count();
    let (n_looked, n_sources) = (steps.len() - n_ran, task.sources.len());
    let said = if n_looked < n_sources {
        format!(
            "A part, stopped after the plans under {n_looked} of {n_sources} sources were seen. None of them was run."
        )
    } else {
        let n_all = regret::turns(task, &regret::choices(steps), seed).len();
        let headline = regret::headline(task, steps);
        format!("A part, stopped after {n_ran} of {n_all} runs of plans. {headline}")
    };
    (Findings::Regret(noted), said)
}

fn of_budget(task: &BudgetTask, noted: BudgetFindings, steps: &[BudgetStep]) -> Option<(Findings, String)> {
    let is_gathered = |step: &&BudgetStep| matches!(step, BudgetStep::Gathered { .. });
    let n_gathered = steps.iter().filter(is_gathered).count();
    let (n_targets, n_tried) = (task.targets.len(), noted.columns.len());
    let said = match n_gathered {
        0 => return None,
        n if n < n_targets => {
            format!("A part, stopped after everything was analyzed at {n} of {n_targets} targets. No column was tried.")
        }
        _ if noted.n_touched == 0 => "A part, stopped before the first column was tried.".to_owned(),
        _ => format!(
            "A part, stopped after {n_tried} of {}. {} Together they were not checked.",
            counted(noted.n_touched as u64, "column", "columns"),
            budget::in_columns(task, &noted)
        ),
    };
    Some((Findings::Budget(noted), said))
}

/// The smallest set that is known to do it is an upper limit: the search looks for a smaller one.
fn of_bisect(task: &BisectTask, noted: BisectFindings, steps: &[BisectStep]) -> (Findings, String) {
    let n_pieces = noted.pieces.len();
    let known: BTreeMap<Vec<usize>, Option<String>> = bisect::known(steps.iter().cloned());
    let everything: Vec<usize> = (0..n_pieces).collect();
    let plan_of = |items: &[usize]| known.get(items).cloned().flatten();
    let (plan_from, plan_to) = (plan_of(&[]), plan_of(&everything));
    let does = steps.iter().filter(|step| step.fingerprint == plan_to);
    let fewest = does.map(|step| &step.taken).min_by_key(|taken| taken.len());
    let pieces = counted(
        n_pieces as u64,
        "piece of statistics differs",
        "pieces of statistics differ",
    );
    let found = match fewest {
        Some(taken) if plan_from.is_some() && plan_to.is_some() && plan_from != plan_to => {
            let names = taken.iter().filter_map(|idx| noted.pieces.get(*idx));
            let names: Vec<String> = names.map(ToString::to_string).collect();
            let names = match names.len() {
                n if n <= FEW => format!(" ({})", names.join(", ")),
                _ => String::new(),
            };
            format!(
                "{} of them{names} are known to turn the plan of {} under {} into the one under {}; whether fewer do is not \
                 known.",
                taken.len(),
                task.query.label,
                task.from.label,
                task.to.label
            )
        }
        _ => "The plans under both sources were not seen yet.".to_owned(),
    };
    let n_tried = counted(steps.len() as u64, "mixture", "mixtures");
    let said = format!("A part, stopped after {n_tried}. {pieces}. {found}");
    let findings = BisectFindings {
        plan_from,
        plan_to,
        ..noted
    };
    (Findings::Bisect(findings), said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ids::ExperimentId;
    use crate::model::instrument::BudgetColumn;
    use crate::model::instrument::ColumnName;
    use crate::model::instrument::TaskQuery;
    use crate::model::instrument::TaskSource;
    use crate::model::snapshot::Piece;

    fn queries() -> Vec<TaskQuery> {
        ["a", "b"]
            .map(|label| TaskQuery {
                label: label.to_owned(),
                sql: String::new(),
            })
            .to_vec()
    }

    fn source(source_idx: i32, label: &str) -> TaskSource {
        TaskSource {
            source_idx,
            label: label.to_owned(),
        }
    }

    fn plan(fingerprint: &str) -> Value {
        json!({"fingerprint": fingerprint, "cost": 1.0, "message": null})
    }

    #[test]
    fn a_regret_that_was_stopped_goes_by_the_runs_so_far() {
        let task = RegretTask {
            experiment_id: ExperimentId(1),
            queries: queries(),
            sources: vec![source(0, "built_in"), source(1, "none")],
            rounds: 9,
            left_out: Vec::new(),
        };
        let looked = |source_idx: i32, plans: [&str; 2]| json!({"step": "looked", "source_idx": source_idx, "plans": plans.map(plan)});
        let ran = |fingerprint: &str, ms: f64| {
            json!({"step": "ran", "round": 1, "query_idx": 0, "fingerprint": fingerprint, "outcome": "finished",
                   "execution_ms": ms})
        };
        let mut steps = vec![looked(0, ["x", "u"])];
        let said = |steps: &[Value]| of_regret(&task, RegretFindings::default(), &read(steps.to_vec()).unwrap(), 7).1;
        assert_eq!(
            said(&steps),
            "A part, stopped after the plans under 1 of 2 sources were seen. None of them was run."
        );
        steps.extend([looked(1, ["y", "u"]), ran("x", 2.0), ran("y", 5.0)]);
        // Three plans, ten rounds with the first to warm up.
        assert_eq!(
            said(&steps),
            "A part, stopped after 2 of 30 runs of plans. The largest regret: the plan of a under none takes 2.50× as long \
             as the best plan known."
        );
    }

    #[test]
    fn a_budget_that_was_stopped_speaks_of_the_columns_that_were_tried() {
        let task = BudgetTask {
            queries: queries(),
            targets: vec![10, 100],
            tolerance: 2.0,
            left_out: Vec::new(),
        };
        let gathered = |target: u32| {
            let bill = json!({"analyze_ms": 1.0, "statistics_bytes": 1, "planning_ms": 1.0});
            json!({"step": "gathered", "target": target, "bill": bill, "plans": [plan("x"), plan("u")]})
        };
        let said = |noted: BudgetFindings, steps: &[Value]| {
            of_budget(&task, noted, &read(steps.to_vec()).unwrap()).map(|(_, said)| said)
        };
        assert_eq!(said(BudgetFindings::default(), &[]), None);
        let one = said(BudgetFindings::default(), &[gathered(10)]).unwrap();
        assert!(one.contains("analyzed at 1 of 2 targets. No column"), "{one}");
        let steps = [gathered(10), gathered(100)];
        let none = said(BudgetFindings::default(), &steps).unwrap();
        assert_eq!(none, "A part, stopped before the first column was tried.");
        let column = BudgetColumn {
            name: ColumnName {
                schema: "public".to_owned(),
                table: "t".to_owned(),
                column: "c".to_owned(),
            },
            target: 10,
            moved: Vec::new(),
            statement: None,
        };
        let noted = BudgetFindings {
            columns: vec![column],
            n_touched: 5,
            n_untouched: 0,
        };
        assert_eq!(
            said(noted, &steps).unwrap(),
            "A part, stopped after 1 of 5 columns. Of 1 column that the plans touch, 1 could do with a target below 100 and \
             0 need a higher one. Together they were not checked."
        );
    }

    #[test]
    fn a_bisect_that_was_stopped_knows_an_upper_limit_and_both_plans() {
        let piece = |column: &str| Piece::Column {
            schema: "public".to_owned(),
            relation: "t".to_owned(),
            column_number: 1,
            column: column.to_owned(),
        };
        let task = BisectTask {
            experiment_id: ExperimentId(1),
            query: queries()[0].clone(),
            from: source(0, "built_in"),
            to: source(1, "none"),
        };
        let noted = BisectFindings {
            pieces: ["c1", "c2", "c3", "c4"].map(piece).to_vec(),
            ..BisectFindings::default()
        };
        let step = |taken: &[usize], fingerprint: &str| BisectStep {
            taken: taken.to_vec(),
            fingerprint: Some(fingerprint.to_owned()),
            ..BisectStep::default()
        };
        let mut steps = vec![step(&[], "A")];
        let (_, said) = of_bisect(&task, noted.clone(), &steps);
        assert_eq!(
            said,
            "A part, stopped after 1 mixture. 4 pieces of statistics differ. The plans under both sources were not seen yet."
        );
        steps.extend([
            step(&[0, 1, 2, 3], "B"),
            step(&[0, 1], "A"),
            step(&[2, 3], "B"),
            step(&[2], "C"),
        ]);
        let (findings, said) = of_bisect(&task, noted, &steps);
        assert_eq!(
            said,
            "A part, stopped after 5 mixtures. 4 pieces of statistics differ. 2 of them (public.t.c3, public.t.c4) are known \
             to turn the plan of a under built_in into the one under none; whether fewer do is not known."
        );
        let Findings::Bisect(findings) = findings else {
            panic!("{findings:?}")
        };
        assert_eq!(
            (findings.plan_from.as_deref(), findings.plan_to.as_deref()),
            (Some("A"), Some("B"))
        );
        assert_eq!(findings.minimal, None);
    }
}
