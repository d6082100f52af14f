//! A regret, ready to be shown: each query's plans with their times, and what each source's choice costs.

use crate::analysis;
use crate::analysis::regret;
use crate::analysis::regret::Regret;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::model::instrument::RegretFindings;
use crate::model::instrument::RegretStep;
use crate::model::instrument::RegretTask;
use crate::model::instrument::RunOutcome;
use crate::model::instrument::Task;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::Sheet;

/// What a regret has found.
pub struct RegretReport {
    pub rounds: u32,
    pub queries: Vec<QueryRegret>,
    pub sources: Vec<SourceRegret>,
    /// Statistics that could not be written.
    pub left_out: Vec<String>,
    /// Queries that write.
    pub writers: Vec<String>,
}

/// One query.
pub struct QueryRegret {
    pub label: String,
    pub sql: String,
    /// In the order in which sources chose them: A is that of the first source.
    pub plans: Vec<TimedPlanRow>,
    /// In the order of the sources.
    pub choices: Vec<Choice>,
}

/// A plan with the runs that count.
pub struct TimedPlanRow {
    pub letter: String,
    pub sources: Vec<String>,
    pub n: usize,
    pub median: Option<Quantile>,
    /// The fastest and the slowest of the runs that finished.
    pub range_ms: Option<(f64, f64)>,
    pub n_timed_out: usize,
    pub message: String,
    pub is_best: bool,
    pub text: String,
}

/// What one source chose for a query.
pub struct Choice {
    pub letter: String,
    /// How many times as long as the best plan known it takes.
    pub regret: Option<Regret>,
}

/// One source over all queries.
pub struct SourceRegret {
    pub label: String,
    /// Queries for which it chose the best plan known.
    pub n_best: usize,
    /// Geometric mean over the queries whose regret is known.
    pub mean: Option<Regret>,
    pub n_known: usize,
    /// The largest, and of which query.
    pub worst: Option<(Regret, String)>,
}

impl RegretReport {
    /// Puts the stored pieces together.
    pub fn new(data: &InstrumentData, findings: &RegretFindings) -> anyhow::Result<Self> {
        let Task::Regret(task) = &data.instrument.spec.task else {
            anyhow::bail!("the findings of a regret belong to another task");
        };
        let steps: Vec<RegretStep> = data.read_steps()?;
        let queries: Vec<QueryRegret> = (0_i32..)
            .zip(&task.queries)
            .map(|(query_idx, query)| {
                let (plans, choices) = plans_of(data, task, &steps, query_idx);
                QueryRegret {
                    label: query.label.clone(),
                    sql: query.sql.clone(),
                    plans,
                    choices,
                }
            })
            .collect();
        let sources = task.sources.iter().enumerate();
        Ok(Self {
            rounds: task.rounds,
            sources: sources
                .map(|(idx, source)| of_source(&source.label, idx, &queries))
                .collect(),
            queries,
            left_out: findings.left_out.clone(),
            writers: task.left_out.clone(),
        })
    }

    /// What each source chose for each query, one a row.
    pub fn sheet(&self) -> Sheet {
        let rows = self.queries.iter().flat_map(|query| {
            let choices = self.sources.iter().zip(&query.choices);
            choices.map(|(source, choice)| {
                let plan = query.plans.iter().find(|plan| plan.letter == choice.letter);
                let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
                let (median_ms, is_above) = Quantile::parts(plan.and_then(|plan| plan.median));
                vec![
                    query.label.clone(),
                    source.label.clone(),
                    choice.letter.clone(),
                    plan.map(|plan| plan.n.to_string()).unwrap_or_default(),
                    number(median_ms),
                    is_above.to_string(),
                    number(choice.regret.map(|regret| regret.factor)),
                    choice.regret.is_some_and(|regret| regret.is_above).to_string(),
                    plan.is_some_and(|plan| plan.is_best).to_string(),
                ]
            })
        });
        Sheet {
            heads: vec![
                "query",
                "source",
                "plan",
                "n",
                "median_ms",
                "median_is_above",
                "regret",
                "regret_is_above",
                "is_best",
            ],
            rows: rows.collect(),
        }
    }
}

fn plans_of(
    data: &InstrumentData,
    task: &RegretTask,
    steps: &[RegretStep],
    query_idx: i32,
) -> (Vec<TimedPlanRow>, Vec<Choice>) {
    let chosen: Vec<Option<&str>> = (0_i32..)
        .take(task.sources.len())
        .map(|source_idx| chosen(steps, source_idx, query_idx))
        .collect();
    let letters: Vec<String> = analysis::letters(&chosen)
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect();
    let mut plans: Vec<TimedPlanRow> = Vec::new();
    for ((fingerprint, letter), source) in chosen.iter().zip(&letters).zip(&task.sources) {
        let Some(fingerprint) = fingerprint else { continue };
        if let Some(known) = plans.iter_mut().find(|plan| plan.letter == *letter) {
            known.sources.push(source.label.clone());
            continue;
        }
        plans.push(TimedPlanRow {
            letter: letter.clone(),
            sources: vec![source.label.clone()],
            text: data.plan_text(query_idx, fingerprint),
            ..timed(steps, query_idx, fingerprint)
        });
    }
    let medians: Vec<Option<Quantile>> = plans.iter().map(|plan| plan.median).collect();
    let best_idx = regret::best(&medians);
    if let Some(best_idx) = best_idx {
        plans[best_idx].is_best = true;
    }
    let best = best_idx.and_then(|best_idx| medians[best_idx]);
    let choices = letters.into_iter().map(|letter| {
        let plan = plans.iter().find(|plan| plan.letter == letter);
        Choice {
            regret: regret::regret(plan.and_then(|plan| plan.median), best),
            letter,
        }
    });
    let choices = choices.collect();
    (plans, choices)
}

/// The plan that a source chose.
fn chosen(steps: &[RegretStep], wanted: i32, query_idx: i32) -> Option<&str> {
    steps.iter().find_map(|step| match step {
        RegretStep::Looked { source_idx, plans } if *source_idx == wanted => {
            plans.get(usize::try_from(query_idx).ok()?)?.fingerprint.as_deref()
        }
        RegretStep::Looked { .. } | RegretStep::Ran { .. } => None,
    })
}

/// The runs of a plan that count, summed up.
fn timed(steps: &[RegretStep], wanted_query: i32, wanted: &str) -> TimedPlanRow {
    let outcomes: Vec<&RunOutcome> = steps
        .iter()
        .filter_map(|step| match step {
            RegretStep::Ran {
                round: 1..,
                query_idx,
                fingerprint,
                outcome,
            } if *query_idx == wanted_query && fingerprint == wanted => Some(outcome),
            _ => None,
        })
        .collect();
    let observed: Vec<Observed> = outcomes.iter().map(|outcome| outcome.observed()).collect();
    let finished = observed.iter().filter_map(|observed| match observed {
        Observed::Finished { ms } => Some(*ms),
        Observed::TimedOut { .. } | Observed::Failed => None,
    });
    let range_ms = finished.fold(None, |range: Option<(f64, f64)>, ms| {
        Some(range.map_or((ms, ms), |(low, high)| (low.min(ms), high.max(ms))))
    });
    let message = outcomes.iter().find_map(|outcome| match outcome {
        RunOutcome::Failed { message } => Some(message.clone()),
        RunOutcome::Finished { .. } | RunOutcome::TimedOut { .. } => None,
    });
    TimedPlanRow {
        letter: String::new(),
        sources: Vec::new(),
        n: observed.len(),
        median: regret::median(&observed),
        range_ms,
        n_timed_out: outcomes
            .iter()
            .filter(|outcome| matches!(outcome, RunOutcome::TimedOut { .. }))
            .count(),
        message: message.unwrap_or_default(),
        is_best: false,
        text: String::new(),
    }
}

fn of_source(label: &str, idx: usize, queries: &[QueryRegret]) -> SourceRegret {
    let chosen: Vec<(Regret, &QueryRegret, &str)> = queries
        .iter()
        .filter_map(|query| {
            let choice = query.choices.get(idx)?;
            Some((choice.regret?, query, choice.letter.as_str()))
        })
        .collect();
    let is_best =
        |query: &QueryRegret, letter: &str| query.plans.iter().any(|plan| plan.is_best && plan.letter == letter);
    let worst = chosen.iter().max_by(|(a, ..), (b, ..)| a.factor.total_cmp(&b.factor));
    SourceRegret {
        label: label.to_owned(),
        n_best: chosen
            .iter()
            .filter(|(_, query, letter)| is_best(query, letter))
            .count(),
        mean: regret::mean(chosen.iter().map(|(regret, ..)| *regret)),
        n_known: chosen.len(),
        worst: worst.map(|(regret, query, _)| (*regret, query.label.clone())),
    }
}
