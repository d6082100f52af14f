//! What people can do with instruments: launch, look, stop.

use std::collections::HashSet;

use sqlx::PgConnection;
use sqlx::PgPool;

use crate::experiment::form::ExperimentForm;
use crate::experiment::form::FieldError;
use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::model::dataset::Dataset;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanOutline;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::instrument::BisectTask;
use crate::model::instrument::BudgetTask;
use crate::model::instrument::Instrument;
use crate::model::instrument::InstrumentKind;
use crate::model::instrument::InstrumentSpec;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::RegretTask;
use crate::model::instrument::Task;
use crate::model::instrument::TaskQuery;
use crate::model::instrument::TaskSource;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::store;
use crate::store::instruments::NewInstrument;

/// The door to instruments.
#[derive(Clone)]
pub struct Instruments {
    pub pool: PgPool,
    /// The data directory whose files the work needs.
    pub home: String,
}

/// A settled experiment with what an instrument may choose from.
pub struct Subject {
    pub experiment: Experiment,
    pub queries: Vec<ExperimentQuery>,
    pub plans: Vec<PlanOutline>,
}

impl Subject {
    /// None when there is no such experiment for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> store::Result<Option<Self>> {
        let Some(experiment) = store::experiments::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            experiment,
            queries: store::experiments::list_queries(&mut *conn, viewer, id).await?,
            plans: store::plans::list_outlines(conn, viewer, id).await?,
        }))
    }

    /// The plan's fingerprint, where the experiment has seen one.
    pub fn fingerprint(&self, query_idx: i32, source_idx: i32) -> Option<&str> {
        let is_meant = |plan: &&PlanOutline| (plan.query_idx, plan.source_idx) == (query_idx, source_idx);
        self.plans.iter().find(is_meant)?.fingerprint.as_deref()
    }

    /// How many plans the sources that share a clone give a query.
    pub fn n_plans(&self, query_idx: i32) -> usize {
        let is_shared = |plan: &&PlanOutline| self.experiment.spec.sharing().any(|(idx, _)| idx == plan.source_idx);
        let plans = self.plans.iter().filter(|plan| plan.query_idx == query_idx);
        let plans = plans.filter(is_shared);
        let fingerprints = plans.filter_map(|plan| plan.fingerprint.as_deref());
        fingerprints.collect::<HashSet<&str>>().len()
    }

    /// A query by its position here or its label.
    pub fn query(&self, given: &str) -> Result<&ExperimentQuery, FieldError> {
        let by_number = given.parse().ok();
        let is_meant = |query: &&ExperimentQuery| Some(query.query_idx) == by_number || query.label == given;
        let query = self.queries.iter().find(is_meant);
        query.ok_or_else(|| FieldError::new("query", "Choose a query of the experiment."))
    }

    /// A source by its position here or its label.
    pub fn source(&self, field: &str, given: &str) -> Result<TaskSource, FieldError> {
        let by_number = given.parse().ok();
        let sources = (0_i32..).zip(&self.experiment.spec.sources);
        let mut meant = sources.filter(|(idx, source)| Some(*idx) == by_number || source.label == given);
        let (source_idx, source) = meant
            .next()
            .ok_or_else(|| FieldError::new(field, "Choose a source of the experiment."))?;
        if source.annex.is_some() {
            return Err(FieldError::new(field, format!("{}: {APART}.", source.label)));
        }
        Ok(TaskSource {
            source_idx,
            label: source.label.clone(),
        })
    }
}

/// Why an instrument takes no source with an annex.
pub const APART: &str = "it ran in a clone of its own, in which a script changed more than statistics, and instruments work \
                         with statistics alone";

/// A validated wish.
struct Wish {
    dataset_id: DatasetId,
    dataset_name: String,
    experiment_id: Option<ExperimentId>,
    spec: InstrumentSpec,
}

impl Instruments {
    /// Launches what the form asks for. The same form sent twice launches once.
    pub async fn launch(&self, viewer: Viewer, form: &InstrumentForm) -> Result<InstrumentId, LaunchError> {
        if form.request_id.is_empty() {
            return Err(refused("request_id", "The form came without its number."));
        }
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::instruments::find_by_request(&mut conn, viewer, &form.request_id).await? {
            return Ok(id);
        }
        let kind = form.instrument().map_err(|error| LaunchError::Refused(vec![error]))?;
        let wish = match kind {
            InstrumentKind::Bisect => bisect(&mut conn, viewer, form).await?,
            InstrumentKind::Lottery => lottery(&mut conn, viewer, form).await?,
            InstrumentKind::Budget => budget(&mut conn, viewer, form).await?,
            InstrumentKind::Regret => regret(&mut conn, viewer, form).await?,
        };
        drop(conn);
        let new = NewInstrument {
            request_id: form.request_id.clone(),
            dataset_id: wish.dataset_id,
            dataset_name: wish.dataset_name,
            experiment_id: wish.experiment_id,
            spec: wish.spec,
        };
        let mut transaction = self.pool.begin().await?;
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Instrument, &self.home).await?;
        match store::instruments::insert(&mut transaction, viewer, &new, job_id).await {
            Ok(id) => {
                transaction.commit().await?;
                Ok(id)
            }
            // The same form, sent at the same moment, was quicker.
            Err(error) if store::is_duplicate(&error) => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::instruments::find_by_request(&mut conn, viewer, &form.request_id).await?;
                Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its run"))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One run; none when there is no such run for this viewer.
    pub async fn get(&self, viewer: Viewer, id: InstrumentId) -> store::Result<Option<Instrument>> {
        let mut conn = self.pool.acquire().await?;
        store::instruments::get(&mut conn, viewer, id).await
    }

    /// Asks a run to stop. False when there was nothing to stop.
    pub async fn stop(&self, viewer: Viewer, id: InstrumentId) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        match store::instruments::get(&mut conn, viewer, id).await? {
            Some(instrument) => store::jobs::request_cancel(&mut conn, viewer, instrument.job.id).await,
            None => Ok(false),
        }
    }
}

fn refused(field: &str, message: impl Into<String>) -> LaunchError {
    LaunchError::Refused(vec![FieldError::new(field, message)])
}

/// The settled experiment that a form names, and its dataset.
async fn subject(
    conn: &mut PgConnection,
    viewer: Viewer,
    form: &InstrumentForm,
) -> Result<(Subject, DatasetId), LaunchError> {
    let id: ExperimentId = form
        .number("experiment", "Choose an experiment.")
        .map_err(|error| LaunchError::Refused(vec![error]))?;
    let subject = Subject::load(&mut *conn, viewer, id).await?;
    let subject = subject.ok_or_else(|| refused("experiment", "There is no such experiment."))?;
    let status = subject.experiment.job.status;
    if status != JobStatus::Completed {
        let message = format!(
            "Experiment {id} is {}; an instrument takes a finished one.",
            status.word()
        );
        return Err(refused("experiment", message));
    }
    match subject.experiment.dataset_id {
        Some(dataset_id) => Ok((subject, dataset_id)),
        None => Err(refused("experiment", "The dataset of this experiment is gone.")),
    }
}

async fn bisect(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Wish, LaunchError> {
    let (subject, dataset_id) = subject(&mut *conn, viewer, form).await?;
    let mut errors = Vec::new();
    let mut keep = |error: FieldError| errors.push(error);
    let query = subject.query(form.get("query")).map_err(&mut keep).ok();
    let from = subject.source("from", form.get("from")).map_err(&mut keep).ok();
    let to = subject.source("to", form.get("to")).map_err(&mut keep).ok();
    let (Some(query), Some(from), Some(to)) = (query, from, to) else {
        return Err(LaunchError::Refused(errors));
    };
    if query.class == QueryClass::Writes {
        let message = format!(
            "{} writes, and instruments only look at queries that read.",
            query.label
        );
        return Err(refused("query", message));
    }
    let seen = |source: &TaskSource| subject.fingerprint(query.query_idx, source.source_idx);
    if seen(&from).is_some() && seen(&from) == seen(&to) {
        let message = format!(
            "{} has the same plan under {} and {}: there is no difference to explain. Choose sources whose plan letters \
             differ.",
            query.label, from.label, to.label
        );
        return Err(refused("to", message));
    }
    let task = Task::Bisect(BisectTask {
        experiment_id: subject.experiment.id,
        query: TaskQuery {
            label: query.label.clone(),
            sql: query.sql.clone(),
        },
        from,
        to,
    });
    of_experiment(conn, viewer, &subject.experiment, dataset_id, task).await
}

async fn regret(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Wish, LaunchError> {
    let (subject, dataset_id) = subject(&mut *conn, viewer, form).await?;
    let rounds = form.within("rounds", 1, MAX_ROUNDS);
    let rounds = rounds.map_err(|error| LaunchError::Refused(vec![error]))?;
    let (mut queries, mut left_out) = (Vec::new(), Vec::new());
    for query in &subject.queries {
        match query.class {
            QueryClass::Writes => left_out.push(query.label.clone()),
            QueryClass::Reads if subject.n_plans(query.query_idx) > 1 => queries.push(TaskQuery {
                label: query.label.clone(),
                sql: query.sql.clone(),
            }),
            QueryClass::Reads | QueryClass::Refused => {}
        }
    }
    if queries.is_empty() {
        let message = "Every query of this experiment that reads has the same plan under all its sources: there is no \
                       choice to regret.";
        return Err(refused("experiment", message));
    }
    let sources = subject.experiment.spec.sharing();
    let sources = sources.map(|(source_idx, source)| TaskSource {
        source_idx,
        label: source.label.clone(),
    });
    let task = Task::Regret(RegretTask {
        experiment_id: subject.experiment.id,
        queries,
        sources: sources.collect(),
        rounds,
        left_out,
    });
    of_experiment(conn, viewer, &subject.experiment, dataset_id, task).await
}

/// More rounds than that tell nothing new.
const MAX_ROUNDS: u32 = 1_000;

/// A task under the settings of an experiment.
async fn of_experiment(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: &Experiment,
    dataset_id: DatasetId,
    task: Task,
) -> Result<Wish, LaunchError> {
    let dataset = store::datasets::get(conn, viewer, dataset_id).await?;
    let dataset = dataset.ok_or_else(|| refused("experiment", "The dataset of this experiment is gone."))?;
    let mut settings = dataset.settings;
    settings.extend(experiment.spec.settings.iter().cloned());
    Ok(Wish {
        dataset_id,
        dataset_name: dataset.name,
        experiment_id: Some(experiment.id),
        spec: InstrumentSpec {
            settings,
            timeout_ms: experiment.spec.timeout_ms,
            seed: experiment.spec.seed,
            task,
        },
    })
}

/// A dataset with the reading queries of a workload, as a form names them.
struct Place {
    dataset: Dataset,
    queries: Vec<TaskQuery>,
    left_out: Vec<String>,
    settings: Vec<Setting>,
    timeout_ms: u64,
}

async fn place(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Place, LaunchError> {
    // What an experiment takes for a dataset, a workload and a limit, an instrument does too.
    let spec = ExperimentForm {
        dataset: form.get("dataset").to_owned(),
        workload: form.get("workload").to_owned(),
        timeout: form.get("timeout").to_owned(),
        ..ExperimentForm::default()
    };
    let spec = spec.parse(0).map_err(LaunchError::Refused)?;
    let dataset = store::datasets::get(&mut *conn, viewer, spec.dataset_id).await?;
    let dataset = dataset.ok_or_else(|| refused("dataset", "This dataset is gone. Choose another."))?;
    let status = dataset.job.status;
    if status != JobStatus::Completed {
        let message = format!(
            "The restore of {} is {}; an instrument takes a finished one.",
            dataset.name,
            status.word()
        );
        return Err(refused("dataset", message));
    }
    let (mut queries, mut left_out) = (Vec::new(), Vec::new());
    for query in store::workloads::list_queries(conn, viewer, spec.workload_id).await? {
        match query.class {
            QueryClass::Reads => queries.push(TaskQuery {
                label: query.label,
                sql: query.sql,
            }),
            QueryClass::Writes => left_out.push(query.label),
            QueryClass::Refused => {}
        }
    }
    if queries.is_empty() {
        let message = "This workload has no query that reads, and instruments only look at those.";
        return Err(refused("workload", message));
    }
    let mut settings = dataset.settings.clone();
    settings.extend(spec.settings);
    Ok(Place {
        dataset,
        queries,
        left_out,
        settings,
        timeout_ms: spec.timeout_ms,
    })
}

async fn lottery(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Wish, LaunchError> {
    let place = place(conn, viewer, form).await?;
    let numbers = targets(form.get("targets")).and_then(|targets| {
        let n_draws = form.within("draws", MIN_DRAWS, MAX_DRAWS)?;
        let n_all = targets.len() as u64 * u64::from(n_draws);
        if n_all > u64::from(MAX_DRAWS) {
            let message = format!("These are {n_all} draws; {MAX_DRAWS} are allowed.");
            return Err(FieldError::new("draws", message));
        }
        Ok((targets, n_draws))
    });
    let (targets, n_draws) = numbers.map_err(|error| LaunchError::Refused(vec![error]))?;
    let (queries, left_out) = (place.queries.clone(), place.left_out.clone());
    Ok(place.wish(Task::Lottery(LotteryTask {
        queries,
        targets,
        n_draws,
        left_out,
    })))
}

async fn budget(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Wish, LaunchError> {
    let place = place(conn, viewer, form).await?;
    let numbers = targets(form.get("targets")).and_then(|targets| {
        if targets.len() < 2 {
            let message = "It takes at least two targets: the largest is what the others are compared with.";
            return Err(FieldError::new("targets", message));
        }
        let tolerance = form.get("tolerance").parse::<f64>().ok();
        let tolerance = tolerance.filter(|factor| (1.0..=1e6).contains(factor));
        let message = "The tolerance is a factor from 1 on: with 2, an estimate may become twice as wrong.";
        Ok((targets, tolerance.ok_or_else(|| FieldError::new("tolerance", message))?))
    });
    let (targets, tolerance) = numbers.map_err(|error| LaunchError::Refused(vec![error]))?;
    let (queries, left_out) = (place.queries.clone(), place.left_out.clone());
    Ok(place.wish(Task::Budget(BudgetTask {
        queries,
        targets,
        tolerance,
        left_out,
    })))
}

impl Place {
    fn wish(self, task: Task) -> Wish {
        Wish {
            dataset_id: self.dataset.id,
            dataset_name: self.dataset.name,
            experiment_id: None,
            spec: InstrumentSpec {
                settings: self.settings,
                timeout_ms: self.timeout_ms,
                seed: 0,
                task,
            },
        }
    }
}

/// Fewer draws say nothing; more take too long.
const MIN_DRAWS: u32 = 2;
const MAX_DRAWS: u32 = 5_000;
/// As many as a chart has room for.
const MAX_TARGETS: usize = 12;

/// Statistics targets, apart by commas, in ascending order.
fn targets(text: &str) -> Result<Vec<u32>, FieldError> {
    let wrong = || {
        let message = format!(
            "Targets are whole numbers from 1 to 10000, apart by commas, at most {MAX_TARGETS}: 10, 100, 1000."
        );
        FieldError::new("targets", message)
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let numbers: Result<Vec<u32>, _> = parts.map(str::parse).collect();
    let mut targets = numbers.map_err(|_| wrong())?;
    targets.sort_unstable();
    targets.dedup();
    let are_legal = targets.iter().all(|target| (1..=10_000).contains(target));
    if targets.is_empty() || targets.len() > MAX_TARGETS || !are_legal {
        return Err(wrong());
    }
    Ok(targets)
}
