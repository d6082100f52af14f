//! What people can do with experiments: check, launch, look, stop, run again.

use std::collections::HashSet;

use sqlx::PgConnection;
use sqlx::PgPool;

use crate::auth::quota::QuotaKeeper;
use crate::auth::quota::TakeError;
use crate::experiment::estimate;
use crate::experiment::estimate::Estimate;
use crate::experiment::fields::FieldError;
use crate::experiment::form::ExperimentForm;
use crate::experiment::form::MAX_TRIALS;
use crate::experiment::preview;
use crate::experiment::progress;
use crate::experiment::progress::ExperimentProgress;
use crate::experiment::schedule;
use crate::model::dataset::Dataset;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::SourceSpec;
use crate::model::ids::ExperimentId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::quota::Quota;
use crate::model::snapshot::Snapshot;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::model::workload::Workload;
use crate::source;
use crate::store;
use crate::store::experiments::NewExperiment;

/// The door to experiments.
#[derive(Clone)]
pub struct Experiments {
    pub pool: PgPool,
    pub quotas: QuotaKeeper,
}

/// Why an experiment is not launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("The experiment cannot be launched like this.")]
    Refused(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for LaunchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Of a quota that no field is to blame for.
impl From<TakeError> for LaunchError {
    fn from(error: TakeError) -> Self {
        Self::of_quota("", error)
    }
}

impl LaunchError {
    /// What an account may not have, at the field that asks for it.
    pub fn of_quota(field: &str, error: TakeError) -> Self {
        match error {
            TakeError::Quota(refusal) => Self::Refused(vec![FieldError::new(field, refusal.to_string())]),
            TakeError::Store(error) => error.into(),
        }
    }
}

/// What a bundle holds of an experiment, for measuring it again.
pub struct Repeat {
    /// On the dataset and the workload to be used.
    pub spec: ExperimentSpec,
    pub queries: Vec<ExperimentQuery>,
    /// What was in force under each source, in their order.
    pub sources: Vec<(PreparedSource, Snapshot)>,
}

/// A spec whose dataset, workload and queries are there.
struct Wish {
    spec: ExperimentSpec,
    dataset: Dataset,
    workload: Workload,
    queries: Vec<Query>,
}

impl Experiments {
    /// What the form, as it stands, would take and could show.
    pub async fn check(&self, viewer: Viewer, form: &ExperimentForm) -> Result<Estimate, LaunchError> {
        let wish = self.wish(viewer, form, 0).await?;
        let mut conn = self.pool.acquire().await?;
        let mean_ms = store::trials::mean_ms(&mut conn, viewer, wish.dataset.id, wish.workload.id).await?;
        let mut estimate = estimate::estimate(&wish.spec, mean_ms);
        if !wish.dataset.job.status.is_settled() {
            estimate.warnings.push(format!(
                "The dataset {} is still being restored; it will wait.",
                wish.dataset.name
            ));
        }
        let checked = store::checks::list_results(&mut conn, viewer, wish.workload.id, wish.dataset.id).await?;
        let broken: HashSet<i32> = checked
            .into_iter()
            .filter(|result| result.status == crate::model::workload::CheckStatus::Broken)
            .map(|result| result.position)
            .collect();
        for query in wish.queries.iter().filter(|query| broken.contains(&query.position)) {
            estimate.warnings.push(format!(
                "{} failed its check on this dataset; its trials will fail.",
                query.label
            ));
        }
        match preview::previews(&mut conn, viewer, &wish.spec).await? {
            Some(previews) => estimate.previews = previews,
            None => estimate.warnings.push(
                "What would be made wrong can be shown here once an experiment on this dataset has had the source built_in."
                    .to_owned(),
            ),
        }
        Ok(estimate)
    }

    /// Launches what the form asks for. The same form sent twice launches once.
    pub async fn launch(&self, viewer: Viewer, form: &ExperimentForm) -> Result<ExperimentId, LaunchError> {
        if form.request_id.is_empty() {
            return Err(LaunchError::Refused(vec![FieldError::new(
                "request_id",
                "The form came without its number.",
            )]));
        }
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::experiments::find_by_request(&mut conn, viewer, &form.request_id).await? {
            return Ok(id);
        }
        drop(conn);
        let wish = self.wish(viewer, form, fresh_seed()?).await?;
        self.insert(viewer, &form.request_id, wish).await
    }

    /// Launches an experiment again with the same spec, seed included.
    pub async fn rerun(&self, viewer: Viewer, id: ExperimentId, request_id: &str) -> Result<ExperimentId, LaunchError> {
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::experiments::find_by_request(&mut conn, viewer, request_id).await? {
            return Ok(id);
        }
        let missing = |what: &str| LaunchError::Refused(vec![FieldError::new("", format!("{what} is gone."))]);
        let experiment = store::experiments::get(&mut conn, viewer, id)
            .await?
            .ok_or_else(|| missing("The experiment"))?;
        drop(conn);
        let spec = ExperimentSpec {
            // What it was given is not in the spec: this time it is gathered.
            repeats: None,
            ..experiment.spec
        };
        let wish = self.complete(viewer, spec).await?;
        self.insert(viewer, request_id, wish).await
    }

    /// Launches what a bundle holds again, on a dataset and a workload of its queries: the snapshots are the bundle's, and
    /// nothing is gathered.
    pub async fn repeat(&self, viewer: Viewer, request_id: &str, repeat: Repeat) -> Result<ExperimentId, LaunchError> {
        let Repeat { spec, queries, sources } = repeat;
        let refuse = |message: String| LaunchError::Refused(vec![FieldError::new("", message)]);
        let mut wish = self.complete(viewer, spec).await?;
        // The workload was read anew; what the bundle says of each query is what is measured.
        let is_same = wish.queries.len() == queries.len()
            && wish
                .queries
                .iter()
                .zip(&queries)
                .all(|(read, told)| read.sql == told.sql && read.label == told.label);
        if !is_same {
            return Err(refuse(
                "The queries of the bundle are not those that were read from it.".to_owned(),
            ));
        }
        for (read, told) in wish.queries.iter_mut().zip(&queries) {
            read.class = told.class;
            read.line = told.line;
        }
        if sources.len() != wish.spec.sources.len() {
            return Err(refuse(
                "Not all sources of the bundle were prepared, so there is nothing to measure under them.".to_owned(),
            ));
        }
        self.insert_with(viewer, request_id, wish, &sources).await
    }

    async fn insert(&self, viewer: Viewer, request_id: &str, wish: Wish) -> Result<ExperimentId, LaunchError> {
        self.insert_with(viewer, request_id, wish, &[]).await
    }

    /// Stores an experiment and its job, with snapshots that it is given instead of gathering them.
    async fn insert_with(
        &self,
        viewer: Viewer,
        request_id: &str,
        wish: Wish,
        given: &[(PreparedSource, Snapshot)],
    ) -> Result<ExperimentId, LaunchError> {
        let queries = (0_i32..).zip(wish.queries).map(|(query_idx, query)| ExperimentQuery {
            query_idx,
            label: query.label,
            line: query.line,
            sql: query.sql,
            class: query.class,
        });
        let spec = wish.spec;
        let new = NewExperiment {
            request_id: request_id.to_owned(),
            dataset_name: wish.dataset.name,
            dataset_sha256: wish.dataset.sha256,
            workload_name: wish.workload.name,
            workload_sha256: wish.workload.sha256,
            n_trials: schedule::n_trials(&spec),
            queries: queries.collect(),
            spec,
        };
        let mut transaction = self.pool.begin().await?;
        let taken = self
            .quotas
            .may_take(&mut transaction, viewer.user_id, Quota::Waiting, 1);
        if let Err(refusal) = taken.await {
            // The same form, sent at the same moment, may have had the last place.
            let earlier = store::experiments::find_by_request(&mut transaction, viewer, request_id).await?;
            return earlier.ok_or_else(|| refusal.into());
        }
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Experiment, None).await?;
        match store::experiments::insert(&mut transaction, viewer, &new, job_id).await {
            Ok(id) => {
                for (prepared, snapshot) in given {
                    store::sources::set_given(&mut transaction, viewer, id, prepared, snapshot).await?;
                }
                transaction.commit().await?;
                Ok(id)
            }
            // The same form, sent at the same moment, was quicker.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::experiments::find_by_request(&mut conn, viewer, request_id).await?;
                Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its experiment"))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn wish(&self, viewer: Viewer, form: &ExperimentForm, fresh_seed: u64) -> Result<Wish, LaunchError> {
        let spec = form.parse(fresh_seed).map_err(LaunchError::Refused)?;
        self.complete(viewer, spec).await
    }

    /// Finds what the spec names, and settles which queries it means.
    async fn complete(&self, viewer: Viewer, mut spec: ExperimentSpec) -> Result<Wish, LaunchError> {
        let refuse = |field: &str, message: String| LaunchError::Refused(vec![FieldError::new(field, message)]);
        let mut conn = self.pool.acquire().await?;
        let dataset = store::datasets::get(&mut conn, viewer, spec.dataset_id)
            .await?
            .ok_or_else(|| refuse("dataset", "This dataset is gone. Choose another.".to_owned()))?;
        if matches!(dataset.job.status, JobStatus::Failed | JobStatus::Cancelled) {
            return Err(refuse(
                "dataset",
                format!("The restore of {} has {}.", dataset.name, dataset.job.status.word()),
            ));
        }
        check_statistics_files(&mut conn, viewer, &dataset, &spec.sources).await?;
        let workload = store::workloads::get(&mut conn, viewer, spec.workload_id)
            .await?
            .ok_or_else(|| refuse("workload", "This workload is gone. Choose another.".to_owned()))?;
        let all = store::workloads::list_queries(&mut conn, viewer, workload.id).await?;
        let wanted: HashSet<i32> = spec.query_positions.iter().copied().collect();
        let queries: Vec<Query> = all
            .into_iter()
            .filter(|query| query.class != QueryClass::Refused)
            .filter(|query| wanted.is_empty() || wanted.contains(&query.position))
            .collect();
        if queries.is_empty() {
            return Err(refuse(
                "query",
                "Choose at least one query that can be measured.".to_owned(),
            ));
        }
        spec.query_positions = queries.iter().map(|query| query.position).collect();
        if schedule::n_trials(&spec) > MAX_TRIALS {
            return Err(refuse(
                "iterations",
                format!(
                    "These are {} trials; {} are allowed.",
                    grouped(schedule::n_trials(&spec)),
                    grouped(MAX_TRIALS)
                ),
            ));
        }
        let n_trials = schedule::n_trials(&spec);
        let allowed = self.quotas.may_take(&mut conn, viewer.user_id, Quota::Trials, n_trials);
        allowed
            .await
            .map_err(|error| LaunchError::of_quota("iterations", error))?;
        Ok(Wish {
            spec,
            dataset,
            workload,
            queries,
        })
    }

    /// Where an experiment stands.
    pub async fn progress(&self, viewer: Viewer, id: ExperimentId) -> store::Result<Option<ExperimentProgress>> {
        let mut conn = self.pool.acquire().await?;
        progress::look(&mut conn, viewer, id).await
    }

    /// Asks an experiment to stop. False when there was nothing to stop.
    pub async fn stop(&self, viewer: Viewer, id: ExperimentId) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        match store::experiments::get(&mut conn, viewer, id).await? {
            Some(experiment) => store::jobs::request_cancel(&mut conn, viewer, experiment.job.id).await,
            None => Ok(false),
        }
    }
}

/// Sees to it that every statistics file that a source names is there.
pub async fn check_statistics_files(
    conn: &mut PgConnection,
    viewer: Viewer,
    dataset: &Dataset,
    sources: &[SourceSpec],
) -> Result<(), LaunchError> {
    for source in sources {
        let Some((parameter, name)) = source::statistics_file(source) else {
            continue;
        };
        let files = store::statistics_files::list(conn, viewer, dataset.id).await?;
        if !files.iter().any(|file| file.name == name) {
            return Err(LaunchError::Refused(vec![FieldError::new(
                &format!("{}.{parameter}", source.name),
                format!(
                    "{} has no statistics file called {name}. Its page takes them.",
                    dataset.name
                ),
            )]));
        }
    }
    Ok(())
}

/// A seed for an experiment whose form names none; it is stored and shown.
fn fresh_seed() -> anyhow::Result<u64> {
    use rand::TryRng as _;
    // Short enough to be read out.
    Ok(u64::from(rand::rngs::SysRng.try_next_u32()?))
}
