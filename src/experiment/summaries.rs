//! From trials to the stored numbers of a settled experiment.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::analysis;
use crate::analysis::family;
use crate::analysis::interval;
use crate::analysis::noise;
use crate::analysis::outlier;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::analysis::summary::Summary;
use crate::experiment::comparisons::Comparisons;
use crate::experiment::comparisons::compare;
use crate::experiment::headline::headline;
use crate::experiment::observer;
use crate::experiment::timed;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::SummaryRecord;
use crate::model::experiment::TaxRecord;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
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
    let numbers = Numbers::of(&job.pool, job.viewer, experiment).await?;
    let mut transaction = job.pool.begin().await?;
    numbers.store(&mut transaction, experiment.id).await?;
    if queue::settle(&mut transaction, &job.lease, status, message).await? {
        transaction.commit().await?;
    }
    Ok(())
}

/// Summarises experiments that were ended while their runner was dead. Returns how many there were.
pub async fn catch_up(pool: &PgPool) -> anyhow::Result<usize> {
    let left = store::experiments::list_unsummarised(&mut *pool.acquire().await?).await?;
    for (id, viewer) in &left {
        let experiment = store::experiments::get(&mut *pool.acquire().await?, *viewer, *id).await?;
        if let Some(experiment) = experiment {
            let numbers = Numbers::of(pool, *viewer, &experiment).await?;
            let mut transaction = pool.begin().await?;
            numbers.store(&mut transaction, *id).await?;
            transaction.commit().await?;
        }
    }
    Ok(left.len())
}

/// Everything that is computed of an experiment when it settles.
pub struct Numbers {
    pub summaries: Vec<SummaryRecord>,
    pub comparisons: Comparisons,
    pub taxes: Vec<TaxRecord>,
    pub headline: Option<String>,
}

impl Numbers {
    /// Reads the trials and computes, off the threads that serve pages.
    async fn of(pool: &PgPool, viewer: Viewer, experiment: &Experiment) -> anyhow::Result<Self> {
        let id = experiment.id;
        let mut conn = pool.acquire().await?;
        let trials = store::trials::list(&mut conn, viewer, id, None).await?;
        let plans = store::plans::list_outlines(&mut conn, viewer, id).await?;
        let queries = store::experiments::list_queries(&mut conn, viewer, id).await?;
        drop(conn);
        let spec = experiment.spec.clone();
        let computing = tokio::task::spawn_blocking(move || Self::compute(&spec, &queries, &trials, &plans));
        Ok(computing.await?)
    }

    /// A pure function of what was asked for and what was recorded, so that anybody can compute them again.
    pub fn compute(
        spec: &ExperimentSpec,
        queries: &[ExperimentQuery],
        trials: &[RecordedTrial],
        plans: &[PlanOutline],
    ) -> Self {
        let summaries = summarize(spec, queries.len(), trials, plans);
        let comparisons = compare(spec, queries.len(), trials);
        let members = family::beside(spec, 0, &comparisons.of_queries);
        let headline = headline(spec, queries, &summaries, &members);
        Self {
            summaries,
            comparisons,
            taxes: observer::taxes(queries.len(), trials, spec.seed),
            headline,
        }
    }

    async fn store(&self, conn: &mut PgConnection, id: ExperimentId) -> anyhow::Result<()> {
        store::summaries::replace(&mut *conn, id, &self.summaries).await?;
        let Comparisons { of_queries, overall } = &self.comparisons;
        store::comparisons::replace(&mut *conn, id, of_queries, overall).await?;
        store::taxes::replace(&mut *conn, id, &self.taxes).await?;
        if let Some(headline) = &self.headline {
            store::experiments::set_headline(&mut *conn, id, headline).await?;
        }
        Ok(())
    }
}

/// The numbers of every (query, source) that has a measured trial, or another source's that stand for it, by query, then
/// source.
pub fn summarize(
    spec: &ExperimentSpec,
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
    let stand_ins = timed::stand_ins(spec, plans);
    let mut summaries = Vec::new();
    for query_idx in (0_i32..).take(n_queries) {
        let fingerprints: Vec<Option<&str>> = (0_i32..)
            .take(spec.sources.len())
            .map(|source_idx| {
                plan_of
                    .get(&(query_idx, source_idx))
                    .and_then(|plan| plan.fingerprint.as_deref())
            })
            .collect();
        for (source_idx, letter) in (0_i32..).zip(analysis::letters(&fingerprints)) {
            let stand_in = stand_ins
                .get(&(source_idx, query_idx))
                .filter(|stand_in| samples.contains_key(&(query_idx, **stand_in)));
            let mut record = match (samples.get(&(query_idx, source_idx)), stand_in) {
                (Some(sample), _) => record(query_idx, source_idx, sample),
                (None, Some(stand_in)) => SummaryRecord {
                    same_plan_as: Some(*stand_in),
                    ..record(query_idx, source_idx, &[])
                },
                (None, None) => continue,
            };
            let plan = plan_of.get(&(query_idx, source_idx));
            record.cost = plan.and_then(|plan| plan.cost);
            record.plan_letter = letter;
            summaries.push(record);
        }
    }
    summaries
}

fn record(query_idx: i32, source_idx: i32, sample: &[&RecordedTrial]) -> SummaryRecord {
    let observed: Vec<Observed> = sample.iter().map(|trial| Observed::from(*trial)).collect();
    let summary: Summary = analysis::summary::summarize(&observed);
    let planning: Vec<Observed> = sample
        .iter()
        .filter_map(|trial| trial.planning_ms)
        .map(|ms| Observed::Finished { ms })
        .collect();
    let (median_ms, median_is_above) = Quantile::parts(summary.median_ms);
    let (min_ms, min_is_above) = Quantile::parts(summary.min_ms);
    let (p95_ms, p95_is_above) = Quantile::parts(summary.p95_ms);
    let interval = interval::of_median(&observed);
    let (low_ms, low_is_above) = Quantile::parts(interval.map(|interval| interval.low));
    let (high_ms, high_is_above) = Quantile::parts(interval.map(|interval| interval.high));
    let times: Vec<f64> = observed.iter().copied().filter_map(Observed::at_least_ms).collect();
    let relative_deviation = noise::relative_deviation(&times).filter(|_| median_ms.is_some() && !median_is_above);
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
        low_ms,
        low_is_above,
        high_ms,
        high_is_above,
        relative_deviation,
        noise: relative_deviation.map(noise::grade),
        n_outliers: count(
            outlier::outliers(&times)
                .into_iter()
                .filter(|is_outlier| *is_outlier)
                .count(),
        ),
        planning_ms: Quantile::parts(analysis::summary::summarize(&planning).median_ms).0,
        cost: None,
        plan_letter: None,
        message: sample.iter().find_map(|trial| trial.message.clone()),
        same_plan_as: None,
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
