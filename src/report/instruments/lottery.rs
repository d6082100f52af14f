//! A lottery, ready to be shown: how often each query's plan flips at each target, why, and the closed form beside it.

use crate::analysis::lottery;
use crate::analysis::lottery::Tally;
use crate::analysis::proportion;
use crate::model::instrument::BisectStep;
use crate::model::instrument::DrawStep;
use crate::model::instrument::LotteryFindings;
use crate::model::instrument::LotteryStep;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::RareColumn;
use crate::model::instrument::Task;
use crate::model::instrument::TimedPlan;
use crate::report::chart::Odds;
use crate::report::chart::OddsChart;
use crate::report::chart::OddsSeries;
use crate::report::chart::SourceKey;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::Sheet;
use crate::report::instruments::bisect::BisectReport;

/// Queries that one chart shows: those that flip most.
const MAX_SERIES: usize = 8;

/// What a lottery has found.
pub struct LotteryReport {
    pub targets: Vec<u32>,
    /// At each target, as planned.
    pub n_draws: u32,
    /// What was drawn of them, in the order of the targets.
    pub n_drawn: Vec<usize>,
    /// Milliseconds that ANALYZE took, on average, in the order of the targets; none where nothing was drawn.
    pub analyze_ms: Vec<Option<f64>>,
    /// Those that flip most come first.
    pub queries: Vec<QueryLot>,
    pub rare: Vec<RareRow>,
    pub left_out: Vec<String>,
}

/// One query.
pub struct QueryLot {
    pub query_idx: i32,
    pub label: String,
    pub sql: String,
    /// In the order of the targets.
    pub tallies: Vec<Tally>,
    /// Every plan that was seen, the most usual at any target first.
    pub plans: Vec<PlanLot>,
    /// Between the two most usual plans, where there are several.
    pub deciding: Option<(u32, BisectReport)>,
    /// Why some draw gave no plan.
    pub message: String,
}

/// One plan of a query.
pub struct PlanLot {
    pub letter: String,
    /// Draws with this plan, in the order of the targets.
    pub counts: Vec<u32>,
    /// Lowest and highest over the draws.
    pub cost: Option<(f64, f64)>,
    /// From running it once.
    pub execution_ms: Option<f64>,
    pub message: String,
    pub text: String,
}

/// One nearly empty column at one target.
pub struct RareRow {
    pub name: String,
    pub target: u32,
    pub n_rows: u64,
    pub n_values: u64,
    pub n_sampled: u64,
    /// The probability that a sample holds no value at all: hypergeometric, and its limit (1 - f)^n.
    pub exact: f64,
    pub limit: f64,
    /// Draws in which it held none, of all, with the Wilson interval of 95 percent.
    pub n_seen: u32,
    pub n_draws: u32,
    pub low: f64,
    pub high: f64,
}

impl LotteryReport {
    /// Puts the stored pieces together.
    pub fn new(data: &InstrumentData, findings: &LotteryFindings) -> anyhow::Result<Self> {
        let Task::Lottery(task) = &data.instrument.spec.task else {
            anyhow::bail!("the findings of a lottery belong to another task");
        };
        let steps: Vec<LotteryStep> = data.read_steps()?;
        let draws: Vec<&DrawStep> = steps
            .iter()
            .filter_map(|step| match step {
                LotteryStep::Draw(draw) => Some(draw),
                LotteryStep::Bisect { .. } => None,
            })
            .collect();
        let mut queries: Vec<QueryLot> = (0_i32..)
            .take(task.queries.len())
            .map(|query_idx| {
                let mut lot = QueryLot::new(data, task, &draws, query_idx);
                let deciding = findings.deciding.iter().find(|found| found.query_idx == query_idx);
                lot.deciding = deciding.map(|found| {
                    let mixtures = mixtures(&steps, query_idx);
                    (found.target, BisectReport::of(data, &found.found, query_idx, &mixtures))
                });
                lot
            })
            .collect();
        queries.sort_by(|a, b| b.most_flips().total_cmp(&a.most_flips()));
        let rare = findings.rare.iter().flat_map(|column| rare_rows(task, &draws, column));
        Ok(Self {
            targets: task.targets.clone(),
            n_draws: task.n_draws,
            n_drawn: task.targets.iter().map(|target| n_at(&draws, *target)).collect(),
            analyze_ms: task.targets.iter().map(|target| mean_ms(&draws, *target)).collect(),
            queries,
            rare: rare.collect(),
            left_out: task.left_out.clone(),
        })
    }

    /// The flip probability of each query at each target, one a row.
    pub fn sheet(&self) -> Sheet {
        let rows = self.queries.iter().flat_map(|query| {
            let tallies = self.targets.iter().zip(&query.tallies);
            tallies.enumerate().map(|(idx, (target, tally))| {
                let plans = query.plans.iter().filter(|plan| plan.counts[idx] > 0);
                let plans = plans.map(|plan| format!("{}: {}", plan.letter, plan.counts[idx]));
                vec![
                    query.label.clone(),
                    target.to_string(),
                    tally.n_draws.to_string(),
                    tally.n_flips.to_string(),
                    tally.flips.to_string(),
                    tally.low.to_string(),
                    tally.high.to_string(),
                    plans.collect::<Vec<String>>().join("; "),
                    query.deciding_in_words(),
                ]
            })
        });
        Sheet {
            heads: vec![
                "query",
                "target",
                "n_draws",
                "n_flips",
                "flip_probability",
                "low",
                "high",
                "plans",
                "deciding",
            ],
            rows: rows.collect(),
        }
    }

    /// Flip probability over targets, of the queries that flip most.
    pub fn chart(&self) -> OddsChart {
        let series = self
            .queries
            .iter()
            .take(MAX_SERIES)
            .enumerate()
            .map(|(colour, query)| OddsSeries {
                key: SourceKey {
                    label: query.label.clone(),
                    colour,
                },
                shares: query.tallies.iter().map(share).collect(),
            });
        OddsChart {
            y_title: "Flip probability".to_owned(),
            x_title: "Statistics target".to_owned(),
            settings: self.targets.iter().map(u32::to_string).collect(),
            series: series.collect(),
        }
    }
}

fn share(tally: &Tally) -> Option<Odds> {
    (tally.n_draws > 0).then_some(Odds {
        share: tally.flips,
        low: tally.low,
        high: tally.high,
    })
}

fn n_at(draws: &[&DrawStep], target: u32) -> usize {
    draws.iter().filter(|draw| draw.target == target).count()
}

fn mean_ms(draws: &[&DrawStep], target: u32) -> Option<f64> {
    let times = draws
        .iter()
        .filter(|draw| draw.target == target)
        .map(|draw| draw.analyze_ms);
    let (sum, n) = times.fold((0.0, 0.0), |(sum, n), ms| (sum + ms, n + 1.0));
    (n > 0.0).then_some(sum / n)
}

fn mixtures(steps: &[LotteryStep], query_idx: i32) -> Vec<BisectStep> {
    let steps = steps.iter().filter_map(|step| match step {
        LotteryStep::Bisect {
            query_idx: idx,
            mixture,
        } if *idx == query_idx => Some(mixture.clone()),
        _ => None,
    });
    steps.collect()
}

fn rare_rows(task: &LotteryTask, draws: &[&DrawStep], column: &RareColumn) -> Vec<RareRow> {
    let rows = task.targets.iter().zip(&column.n_sampled).map(|(target, n_sampled)| {
        let at_target = draws.iter().filter(|draw| draw.target == *target);
        let (mut n_draws, mut n_seen) = (0, 0);
        for draw in at_target {
            n_draws += 1;
            n_seen += u32::from(draw.all_null.contains(&column.name));
        }
        let (low, high) = proportion::wilson(n_seen, n_draws);
        RareRow {
            name: column.name.to_string(),
            target: *target,
            n_rows: column.n_rows,
            n_values: column.n_values,
            n_sampled: *n_sampled,
            exact: proportion::all_miss(column.n_rows, column.n_values, *n_sampled),
            limit: proportion::all_miss_of_many(column.n_rows, column.n_values, *n_sampled),
            n_seen,
            n_draws,
            low,
            high,
        }
    });
    rows.collect()
}

impl QueryLot {
    fn new(data: &InstrumentData, task: &LotteryTask, draws: &[&DrawStep], query_idx: i32) -> Self {
        let idx = usize::try_from(query_idx).unwrap_or(usize::MAX);
        let plan_of = |draw: &DrawStep| draw.plans.get(idx).and_then(|plan| plan.fingerprint.clone());
        let all: Vec<(u32, String)> = draws
            .iter()
            .filter_map(|draw| Some((draw.target, plan_of(draw)?)))
            .collect();
        let tallies = task.targets.iter().map(|target| {
            let at_target = all.iter().filter(|(at, _)| at == target);
            lottery::tally(at_target.map(|(_, plan)| plan.as_str()))
        });
        let tallies: Vec<Tally> = tallies.collect();
        let overall = lottery::tally(all.iter().map(|(_, plan)| plan.as_str()));
        let fingerprints: Vec<Option<&str>> = overall.plans.iter().map(|(plan, _)| Some(plan.as_str())).collect();
        let letters = crate::analysis::letters(&fingerprints);
        let plans = overall.plans.iter().zip(letters).map(|((fingerprint, _), letter)| {
            let timed = timed(draws, query_idx, fingerprint);
            PlanLot {
                letter: letter.unwrap_or_default(),
                counts: tallies.iter().map(|tally| count_of(tally, fingerprint)).collect(),
                cost: costs(draws, idx, fingerprint),
                execution_ms: timed.and_then(|timed| timed.execution_ms),
                message: timed.and_then(|timed| timed.message.clone()).unwrap_or_default(),
                text: data.plan_text(query_idx, fingerprint),
            }
        });
        let plans: Vec<PlanLot> = plans.collect();
        let mut messages = draws.iter().filter_map(|draw| draw.plans.get(idx)?.message.clone());
        let query = task.queries.get(idx);
        Self {
            query_idx,
            label: query.map(|query| query.label.clone()).unwrap_or_default(),
            sql: query.map(|query| query.sql.clone()).unwrap_or_default(),
            message: messages.next().unwrap_or_default(),
            tallies,
            plans,
            deciding: None,
        }
    }

    /// The largest share of flips at any target.
    pub fn most_flips(&self) -> f64 {
        self.tallies.iter().map(|tally| tally.flips).fold(0.0, f64::max)
    }

    /// The columns whose sample decides; empty where there is one plan only.
    pub fn deciding_in_words(&self) -> String {
        let causes = self.deciding.as_ref().and_then(|(_, report)| report.causes.as_ref());
        let names = causes.into_iter().flatten().map(|cause| cause.name.as_str());
        names.collect::<Vec<&str>>().join(" and ")
    }
}

fn timed<'a>(draws: &[&'a DrawStep], query_idx: i32, fingerprint: &str) -> Option<&'a TimedPlan> {
    let mut all = draws.iter().flat_map(|draw| &draw.timed);
    all.find(|timed| timed.query_idx == query_idx && timed.fingerprint == fingerprint)
}

fn count_of(tally: &Tally, fingerprint: &str) -> u32 {
    let found = tally.plans.iter().find(|(plan, _)| plan == fingerprint);
    found.map_or(0, |(_, n)| *n)
}

fn costs(draws: &[&DrawStep], idx: usize, fingerprint: &str) -> Option<(f64, f64)> {
    let plans = draws.iter().filter_map(|draw| draw.plans.get(idx));
    let costs = plans
        .filter(|plan| plan.fingerprint.as_deref() == Some(fingerprint))
        .filter_map(|plan| plan.cost);
    costs.fold(None, |range, cost| match range {
        None => Some((cost, cost)),
        Some((low, high)) => Some((cost.min(low), cost.max(high))),
    })
}
