//! Lottery: how likely is it that the next ANALYZE gives a query another plan, and which column's sample decides?
//!
//! A draw is one ANALYZE of everything from the pristine state. Queries are planned after each; only a plan that was not
//! seen before is run, once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;

use crate::analysis::lottery;
use crate::analysis::lottery::Tally;
use crate::instrument::bisect;
use crate::instrument::bisect::Pair;
use crate::instrument::bisect::Trail;
use crate::instrument::look::Look;
use crate::instrument::stand::Stand;
use crate::instrument::work::Notebook;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::ColumnName;
use crate::model::instrument::Deciding;
use crate::model::instrument::DrawStep;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::Findings;
use crate::model::instrument::LotteryFindings;
use crate::model::instrument::LotteryStep;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::RareColumn;
use crate::model::instrument::TimedPlan;
use crate::model::snapshot::Snapshot;
use crate::model::units::counted;
use crate::snapshot::capture;
use crate::snapshot::sampling;
use crate::sql::ident;
use crate::store::instruments;
use crate::target::trouble::Trouble;

/// From this null fraction in a sample on a column is counted exactly.
const NEARLY_ALL_NULL: f64 = 0.99;

/// Draws at all targets, looks for the columns that decide, and returns what was found with a sentence.
pub async fn run(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &LotteryTask,
) -> Result<(Findings, String), Trouble> {
    let mut steps: Vec<LotteryStep> = notebook.steps().await?;
    let mut seen = Seen::of(&steps);
    let n_draws = task.n_draws as usize;
    let n_drawn = steps.iter().filter(|step| matches!(step, LotteryStep::Draw(_))).count();
    let all: Vec<u32> = task.targets.iter().flat_map(|target| vec![*target; n_draws]).collect();
    for (draw_idx, target) in all.iter().enumerate().skip(n_drawn) {
        let detail = format!("draw {} of {n_draws} at target {target}", draw_idx % n_draws + 1);
        notebook.stage("drawing", draw_idx, all.len(), &detail).await?;
        let step = draw(notebook, stand, task, *target, steps.len(), &mut seen).await?;
        steps.push(LotteryStep::Draw(step));
    }
    let mut findings = LotteryFindings {
        rare: rare(notebook, stand, task, &steps).await?,
        deciding: Vec::new(),
    };
    notebook.note(&Findings::Lottery(findings.clone())).await?;
    let mut next_step = steps.len();
    for query_idx in (0_i32..).take(task.queries.len()) {
        if let Some(flipping) = Flipping::of(task, &steps, query_idx) {
            let found = decide(notebook, stand, task, &steps, &flipping, &mut next_step).await?;
            findings.deciding.push(Deciding {
                query_idx,
                target: flipping.target,
                found,
            });
            notebook.note(&Findings::Lottery(findings.clone())).await?;
        }
    }
    let headline = headline(task, &steps);
    Ok((Findings::Lottery(findings), headline))
}

/// Plans that were seen already.
#[derive(Default)]
struct Seen {
    /// By query and plan: these were run.
    timed: BTreeSet<(i32, String)>,
    /// By query, target and plan: of these there is a snapshot.
    kept: BTreeSet<(i32, u32, String)>,
}

impl Seen {
    fn of(steps: &[LotteryStep]) -> Self {
        let mut seen = Self::default();
        for step in steps {
            if let LotteryStep::Draw(draw) = step {
                for (query_idx, fingerprint) in fingerprints(draw) {
                    seen.timed.insert((query_idx, fingerprint.to_owned()));
                    seen.kept.insert((query_idx, draw.target, fingerprint.to_owned()));
                }
            }
        }
        seen
    }
}

/// The plans of a draw by query; queries without one are left out.
fn fingerprints(draw: &DrawStep) -> impl Iterator<Item = (i32, &str)> {
    let plans = (0_i32..).zip(&draw.plans);
    plans.filter_map(|(query_idx, plan)| Some((query_idx, plan.fingerprint.as_deref()?)))
}

async fn draw(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &LotteryTask,
    target: u32,
    step_idx: usize,
    seen: &mut Seen,
) -> Result<DrawStep, Trouble> {
    let stop = notebook.job.stop_token();
    let analyze_ms = ms(stand.draw(target, stop).await?);
    let snapshot = capture::capture(&mut stand.admin).await?;
    let mut looks: Vec<(i32, Look)> = Vec::new();
    let mut timed = Vec::new();
    let mut is_new = false;
    for (query_idx, query) in (0_i32..).zip(&task.queries) {
        let look = stand.look(&query.sql, stop).await?;
        if let Some(fingerprint) = look.fingerprint() {
            is_new |= seen.kept.insert((query_idx, target, fingerprint.to_owned()));
            if seen.timed.insert((query_idx, fingerprint.to_owned())) {
                let ran = stand.run_once(&query.sql, stop).await?;
                timed.push(timed_plan(query_idx, fingerprint, &ran));
            }
        }
        looks.push((query_idx, look));
    }
    let step = DrawStep {
        target,
        analyze_ms,
        plans: looks.iter().map(|(_, look)| drawn_plan(look)).collect(),
        all_null: all_null(&snapshot),
        timed,
    };
    let looks: Vec<(i32, &Look)> = looks.iter().map(|(query_idx, look)| (*query_idx, look)).collect();
    // The first draw also says which columns are rare.
    let drawn = (is_new || step_idx == 0).then_some(&snapshot);
    let stored = LotteryStep::Draw(step.clone());
    notebook.record(step_idx, &stored, &looks, drawn).await?;
    Ok(step)
}

fn drawn_plan(look: &Look) -> DrawnPlan {
    DrawnPlan {
        fingerprint: look.fingerprint().map(str::to_owned),
        cost: look.cost(),
        message: look.message().map(str::to_owned),
    }
}

fn timed_plan(query_idx: i32, fingerprint: &str, ran: &Look) -> TimedPlan {
    TimedPlan {
        query_idx,
        fingerprint: fingerprint.to_owned(),
        execution_ms: match ran {
            Look::Plan(seen) => seen.plan.execution_ms,
            Look::None { .. } => None,
        },
        message: ran.message().map(str::to_owned),
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Columns of tables of which only NULL was seen.
fn all_null(snapshot: &Snapshot) -> Vec<ColumnName> {
    nearly_null(snapshot, 1.0)
}

/// Columns with at least this null fraction.
fn nearly_null(snapshot: &Snapshot, least: f64) -> Vec<ColumnName> {
    let is_null = |text: &str| text.parse::<f64>().is_ok_and(|fraction| fraction >= least);
    let columns = snapshot.columns.iter();
    let columns = columns.filter(|column| !column.inherited && is_null(&column.gathered.null_fraction));
    let names = columns.map(|column| ColumnName {
        schema: column.schema.clone(),
        table: column.relation.clone(),
        column: column.column.clone(),
    });
    names.collect()
}

/// Counts the values of columns that seem nearly empty, and the rows that ANALYZE samples of their tables.
async fn rare(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &LotteryTask,
    steps: &[LotteryStep],
) -> Result<Vec<RareColumn>, Trouble> {
    let first = {
        let mut conn = notebook.job.conn().await?;
        instruments::get_snapshot(&mut conn, notebook.instrument.id, 0).await?
    };
    let mut names = nearly_null(&first.context("the first draw's statistics")?, NEARLY_ALL_NULL);
    for step in steps {
        if let LotteryStep::Draw(draw) = step {
            names.extend(draw.all_null.iter().cloned());
        }
    }
    names.sort();
    names.dedup();
    let mut rare = Vec::new();
    for table in sampling::tables(&mut stand.admin).await? {
        let of_table = |name: &&ColumnName| name.schema == table.schema && name.table == table.table;
        let columns: Vec<&ColumnName> = names.iter().filter(of_table).collect();
        if columns.is_empty() {
            continue;
        }
        notebook.stage("counting values", 0, 0, &table.table).await?;
        let counts = count(notebook, stand, &columns).await?;
        let Some((n_rows, n_values)) = counts.as_deref().and_then(<[u64]>::split_first) else {
            continue;
        };
        for (name, n_values) in columns.into_iter().zip(n_values) {
            let n_sampled = task.targets.iter().map(|target| table.n_sampled(*target, *n_rows));
            rare.push(RareColumn {
                name: name.clone(),
                n_rows: *n_rows,
                n_values: *n_values,
                n_sampled: n_sampled.collect(),
            });
        }
    }
    Ok(rare)
}

/// The rows of a table, then the values of each column; none where counting takes too long.
async fn count(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    columns: &[&ColumnName],
) -> Result<Option<Vec<u64>>, Trouble> {
    let Some(first) = columns.first() else { return Ok(None) };
    let counts = columns
        .iter()
        .map(|name| format!("pg_catalog.count({})", ident::quote(&name.column)));
    let sql = format!(
        "select pg_catalog.concat_ws(' ', pg_catalog.count(*), {}) from only {}",
        counts.collect::<Vec<String>>().join(", "),
        ident::quote_qualified(&first.schema, &first.table)
    );
    let answer = stand.ask(sql, notebook.job.stop_token()).await?;
    Ok(answer.and_then(|text| text.split(' ').map(|n| n.parse().ok()).collect()))
}

/// A query whose plan flips, at the target at which it does so most.
struct Flipping {
    query_idx: i32,
    target: u32,
    /// The first draws with the most usual plan and with the next.
    from_step: usize,
    to_step: usize,
}

/// The plans of a query at one target.
fn tally_at(steps: &[LotteryStep], query_idx: i32, target: u32) -> Tally {
    let draws = steps.iter().filter_map(|step| match step {
        LotteryStep::Draw(draw) if draw.target == target => Some(draw),
        _ => None,
    });
    lottery::tally(
        draws
            .flat_map(fingerprints)
            .filter(|(idx, _)| *idx == query_idx)
            .map(|(_, plan)| plan),
    )
}

impl Flipping {
    fn of(task: &LotteryTask, steps: &[LotteryStep], query_idx: i32) -> Option<Self> {
        let tallies = task
            .targets
            .iter()
            .map(|target| (*target, tally_at(steps, query_idx, *target)));
        // Of equals the smallest target.
        let (target, tally) = tallies.rev().max_by_key(|(_, tally)| tally.n_flips)?;
        let first_draw = |fingerprint: &str| {
            steps.iter().position(|step| match step {
                LotteryStep::Draw(draw) => {
                    draw.target == target && fingerprints(draw).any(|plan| plan == (query_idx, fingerprint))
                }
                LotteryStep::Bisect { .. } => false,
            })
        };
        let [usual, other, ..] = tally.plans.as_slice() else {
            return None;
        };
        Some(Self {
            query_idx,
            target,
            from_step: first_draw(&usual.0)?,
            to_step: first_draw(&other.0)?,
        })
    }
}

/// Bisects between two draws. `next_step` is where the next step goes, and moves on.
async fn decide(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    task: &LotteryTask,
    steps: &[LotteryStep],
    flipping: &Flipping,
    next_step: &mut usize,
) -> Result<BisectFindings, Trouble> {
    let idx = usize::try_from(flipping.query_idx).unwrap_or(usize::MAX);
    let query = task.queries.get(idx).context("a query of the task")?;
    notebook
        .stage("looking for the column that decides", 0, 0, &query.label)
        .await?;
    let (from, to) = {
        let (mut conn, id) = (notebook.job.conn().await?, notebook.instrument.id);
        let from = instruments::get_snapshot(&mut conn, id, flipping.from_step).await?;
        let to = instruments::get_snapshot(&mut conn, id, flipping.to_step).await?;
        let both = from.zip(to);
        both.context("the statistics of the first draw with a plan")?
    };
    let (pair, mut findings) = Pair::park(stand, &from, &to, query).await?;
    let mixtures = steps.iter().filter_map(|step| match step {
        LotteryStep::Bisect { query_idx, mixture } if *query_idx == flipping.query_idx => Some(mixture.clone()),
        _ => None,
    });
    let mut trail = Trail {
        notebook,
        query_idx: flipping.query_idx,
        next_step: *next_step,
        known: bisect::known(mixtures),
        written: |query_idx, mixture| Ok(serde_json::to_value(LotteryStep::Bisect { query_idx, mixture })?),
    };
    bisect::search(&mut trail, stand, &pair, &mut findings).await?;
    *next_step = trail.next_step;
    Ok(findings)
}

/// What these draws say, in sentences.
pub fn headline(task: &LotteryTask, steps: &[LotteryStep]) -> String {
    let mut worst: Option<(&str, u32, Tally)> = None;
    let mut n_flipping = 0_u64;
    for (query_idx, query) in (0_i32..).zip(&task.queries) {
        let mut flips = false;
        for target in &task.targets {
            let tally = tally_at(steps, query_idx, *target);
            flips |= tally.n_flips > 0;
            if worst.as_ref().is_none_or(|(_, _, known)| tally.flips > known.flips) {
                worst = Some((&query.label, *target, tally));
            }
        }
        n_flipping += u64::from(flips);
    }
    match worst {
        Some((label, target, tally)) if tally.n_flips > 0 => format!(
            "{} of {} got more than one plan at the same target. {label} flips most: after {} of {} draws at target {target} \
             it had another plan than usual ({:.0} %, 95 % interval {:.0} to {:.0} %).",
            counted(n_flipping, "query", "queries"),
            task.queries.len(),
            tally.n_flips,
            tally.n_draws,
            tally.flips * 100.0,
            tally.low * 100.0,
            tally.high * 100.0,
        ),
        _ => match unseen(task, steps) {
            None => "No query got a plan in any draw.".to_owned(),
            Some(high) => format!(
                "At no target did a query get more than one plan. With so many draws a flip probability up to {:.0} % could \
                 have gone unseen.",
                high * 100.0
            ),
        },
    }
}

/// The largest flip probability that so few draws could have missed, of the queries that got a plan; none where none did.
fn unseen(task: &LotteryTask, steps: &[LotteryStep]) -> Option<f64> {
    let queries = (0_i32..).take(task.queries.len());
    let tallies = queries.flat_map(|query_idx| {
        task.targets
            .iter()
            .map(move |target| tally_at(steps, query_idx, *target))
    });
    let drawn = tallies.filter(|tally| tally.n_draws > 0);
    drawn.map(|tally| tally.high).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instrument::TaskQuery;

    /// The plans of two queries over draws at targets 10 and 100.
    fn said(draws: &[(u32, [Option<&str>; 2])]) -> String {
        let query = |label: &str| TaskQuery {
            label: label.to_owned(),
            sql: String::new(),
        };
        let task = LotteryTask {
            queries: vec![query("q1"), query("q2")],
            targets: vec![10, 100],
            n_draws: 20,
            left_out: Vec::new(),
        };
        let plan = |fingerprint: Option<&str>| DrawnPlan {
            fingerprint: fingerprint.map(str::to_owned),
            cost: None,
            message: None,
        };
        let steps = draws.iter().map(|(target, plans)| {
            LotteryStep::Draw(DrawStep {
                target: *target,
                analyze_ms: 1.0,
                plans: plans.iter().copied().map(plan).collect(),
                all_null: Vec::new(),
                timed: Vec::new(),
            })
        });
        headline(&task, &steps.collect::<Vec<LotteryStep>>())
    }

    #[test]
    fn another_plan_at_another_target_is_no_flip_and_a_query_without_a_plan_hides_nothing() {
        let draws = [vec![(10, [None, Some("a")]); 20], vec![(100, [None, Some("b")]); 20]].concat();
        assert_eq!(
            said(&draws),
            "At no target did a query get more than one plan. With so many draws a flip probability up to 16 % could have \
             gone unseen."
        );
        assert_eq!(said(&[(10, [None, None])]), "No query got a plan in any draw.");
        let flipping = [draws, vec![(100, [None, Some("c")])]].concat();
        assert!(
            said(&flipping).starts_with(
                "1 query of 2 got more than one plan at the same target. q2 flips most: after 1 of 21 draws at target 100"
            ),
            "{}",
            said(&flipping)
        );
    }
}
