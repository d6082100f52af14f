//! From trials to the stored numbers of a settled experiment.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::analysis;
use crate::analysis::feasibility;
use crate::analysis::ratio;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::analysis::summary::Summary;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::SummaryRecord;
use crate::model::job::JobStatus;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::user::Viewer;
use crate::store;
use crate::store::held::HeldJob;
use crate::store::held::patiently;
use crate::store::queue;

/// Stores the summaries of what was recorded and ends the job, in one transaction. Waits for a store that is away.
pub async fn settle(
    job: &HeldJob,
    experiment: &Experiment,
    status: JobStatus,
    message: Option<&str>,
) -> anyhow::Result<()> {
    patiently(|| try_settle(job, experiment, status, message).boxed()).await
}

async fn try_settle(
    job: &HeldJob,
    experiment: &Experiment,
    status: JobStatus,
    message: Option<&str>,
) -> anyhow::Result<()> {
    let mut transaction = job.pool.begin().await?;
    store_summaries(&mut transaction, job.viewer, experiment).await?;
    if queue::settle(&mut transaction, &job.lease, status, message).await? {
        transaction.commit().await?;
    }
    Ok(())
}

/// Summarises experiments that were ended while their runner was dead. Returns how many there were.
pub async fn catch_up(pool: &PgPool) -> anyhow::Result<usize> {
    let mut transaction = pool.begin().await?;
    let left = store::experiments::list_unsummarised(&mut transaction).await?;
    for (id, viewer) in &left {
        if let Some(experiment) = store::experiments::get(&mut transaction, *viewer, *id).await? {
            store_summaries(&mut transaction, *viewer, &experiment).await?;
        }
    }
    transaction.commit().await?;
    Ok(left.len())
}

async fn store_summaries(conn: &mut PgConnection, viewer: Viewer, experiment: &Experiment) -> anyhow::Result<()> {
    let id = experiment.id;
    let trials = store::trials::list(&mut *conn, viewer, id, None).await?;
    let plans = store::plans::list_outlines(&mut *conn, viewer, id).await?;
    let queries = store::experiments::list_queries(&mut *conn, viewer, id).await?;
    let summaries = summarize(experiment.spec.sources.len(), queries.len(), &trials, &plans);
    store::summaries::replace(&mut *conn, id, &summaries).await?;
    if let Some(headline) = headline(experiment, &queries, &summaries) {
        store::experiments::set_headline(&mut *conn, id, &headline).await?;
    }
    Ok(())
}

/// The numbers of every (query, source) that has a measured trial, by query, then source.
pub fn summarize(
    n_sources: usize,
    n_queries: usize,
    trials: &[RecordedTrial],
    plans: &[PlanOutline],
) -> Vec<SummaryRecord> {
    let mut samples: BTreeMap<(i32, i32), Vec<&RecordedTrial>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.kind == TrialKind::Measured) {
        samples
            .entry((trial.query_idx, trial.source_idx))
            .or_default()
            .push(trial);
    }
    let plan_of: BTreeMap<(i32, i32), &PlanOutline> = plans
        .iter()
        .map(|plan| ((plan.query_idx, plan.source_idx), plan))
        .collect();
    let mut summaries = Vec::new();
    for query_idx in (0_i32..).take(n_queries) {
        let fingerprints: Vec<Option<&str>> = (0_i32..)
            .take(n_sources)
            .map(|source_idx| {
                plan_of
                    .get(&(query_idx, source_idx))
                    .and_then(|plan| plan.fingerprint.as_deref())
            })
            .collect();
        for (source_idx, letter) in (0_i32..).zip(analysis::letters(&fingerprints)) {
            let Some(sample) = samples.get(&(query_idx, source_idx)) else {
                continue;
            };
            let plan = plan_of.get(&(query_idx, source_idx));
            let mut record = record(query_idx, source_idx, sample);
            record.cost = plan.and_then(|plan| plan.cost);
            record.plan_letter = letter;
            summaries.push(record);
        }
    }
    summaries
}

fn record(query_idx: i32, source_idx: i32, sample: &[&RecordedTrial]) -> SummaryRecord {
    let observed: Vec<Observed> = sample.iter().map(|trial| observed(trial)).collect();
    let summary: Summary = analysis::summary::summarize(&observed);
    let planning: Vec<Observed> = sample
        .iter()
        .filter_map(|trial| trial.planning_ms)
        .map(|ms| Observed::Finished { ms })
        .collect();
    let (median_ms, median_is_above) = split(summary.median_ms);
    let (min_ms, min_is_above) = split(summary.min_ms);
    let (p95_ms, p95_is_above) = split(summary.p95_ms);
    SummaryRecord {
        source_idx,
        query_idx,
        n: count(summary.n_trials),
        n_finished: count(summary.n_finished),
        n_timed_out: count(summary.n_timed_out),
        n_failed: count(summary.n_failed),
        mean_ms: summary.mean_ms,
        stddev_ms: summary.std_dev_ms,
        median_ms,
        median_is_above,
        min_ms,
        min_is_above,
        p95_ms,
        p95_is_above,
        planning_ms: split(analysis::summary::summarize(&planning).median_ms).0,
        cost: None,
        plan_letter: None,
        message: sample.iter().find_map(|trial| trial.message.clone()),
    }
}

/// What analysis makes of a stored trial.
fn observed(trial: &RecordedTrial) -> Observed {
    match (trial.outcome, trial.execution_ms) {
        (OutcomeWord::Finished, Some(ms)) => Observed::Finished { ms },
        (OutcomeWord::TimedOut, Some(limit_ms)) => Observed::TimedOut { limit_ms },
        _ => Observed::Failed,
    }
}

fn split(quantile: Option<Quantile>) -> (Option<f64>, bool) {
    match quantile {
        None => (None, false),
        Some(Quantile::At(ms)) => (Some(ms), false),
        Some(Quantile::Above(ms)) => (Some(ms), true),
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Below it a difference is not worth a sentence.
const NEGLIGIBLE_FACTOR: f64 = 1.1;

/// The largest difference of medians from the first source, in words. It claims nothing about chance.
fn headline(experiment: &Experiment, queries: &[ExperimentQuery], summaries: &[SummaryRecord]) -> Option<String> {
    let sources = &experiment.spec.sources;
    let medians = |source_idx: i32| -> Vec<Option<Quantile>> {
        let of_query = |query_idx: i32| {
            let summary = summaries
                .iter()
                .find(|s| s.query_idx == query_idx && s.source_idx == source_idx)?;
            let ms = summary.median_ms?;
            Some(if summary.median_is_above {
                Quantile::Above(ms)
            } else {
                Quantile::At(ms)
            })
        };
        queries.iter().map(|query| of_query(query.query_idx)).collect()
    };
    let base = medians(0);
    let candidates = (1_i32..)
        .zip(sources.iter().skip(1))
        .filter_map(|(source_idx, source)| {
            ratio::largest_difference(&base, &medians(source_idx)).map(|difference| (source, difference))
        });
    let largest = candidates.reduce(|a, b| {
        if b.1.ratio.ln().abs() > a.1.ratio.ln().abs() {
            b
        } else {
            a
        }
    });
    let (source, difference) = largest?;
    let query = queries.get(difference.query_idx)?;
    let (factor, word) = if difference.ratio >= 1.0 {
        (difference.ratio, "slower")
    } else {
        (1.0 / difference.ratio, "faster")
    };
    if factor < NEGLIGIBLE_FACTOR {
        return Some("All medians lie within 10 % of each other.".to_owned());
    }
    let letter_of = |label: &str| {
        let source_idx = (0_i32..).zip(sources).find(|(_, source)| source.label == label)?.0;
        let summary = summaries
            .iter()
            .find(|s| s.query_idx == query.query_idx && s.source_idx == source_idx)?;
        summary.plan_letter.as_deref()
    };
    let base = sources.first()?;
    let plans = match (letter_of(&base.label), letter_of(&source.label)) {
        (Some(a), Some(b)) if a == b => "by the same plan",
        (Some(_), Some(_)) => "by another plan",
        _ => "by an unknown plan",
    };
    let n_comparisons = u32::try_from(queries.len() * (sources.len() - 1)).unwrap_or(u32::MAX);
    let doubt = if feasibility::can_show(experiment.spec.iterations, n_comparisons) {
        String::new()
    } else {
        format!(" Chance is not ruled out by {} rounds.", experiment.spec.iterations)
    };
    let at_least = if difference.at_least { "at least " } else { "" };
    let factor = crate::model::units::three_digits(factor);
    Some(format!(
        "Largest difference of medians: {} is {at_least}{factor}× {word} under {} than under {}, {plans}.{doubt}",
        query.label, source.label, base.label,
    ))
}
