//! What a form asks an instrument for, checked against what there is: the spec of a run.

use sqlx::PgConnection;

use crate::experiment::fields::FieldError;
use crate::experiment::form::ExperimentForm;
use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::instrument::subject::Subject;
use crate::model::dataset::Dataset;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::instrument::BisectTask;
use crate::model::instrument::BudgetTask;
use crate::model::instrument::InstrumentKind;
use crate::model::instrument::InstrumentSpec;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::RegretTask;
use crate::model::instrument::Task;
use crate::model::instrument::TaskQuery;
use crate::model::instrument::TaskSource;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::store;

/// More rounds than that tell nothing new.
const MAX_ROUNDS: u32 = 1_000;
/// Fewer draws say nothing; more take too long.
const MIN_DRAWS: u32 = 2;
const MAX_DRAWS: u32 = 5_000;
/// As many as a chart has room for.
const MAX_TARGETS: usize = 12;

/// A validated wish.
pub(super) struct Wish {
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub experiment_id: Option<ExperimentId>,
    pub spec: InstrumentSpec,
}

impl Wish {
    /// Refused where the form asks for what cannot be.
    pub async fn of(conn: &mut PgConnection, viewer: Viewer, form: &InstrumentForm) -> Result<Self, LaunchError> {
        let kind = form.instrument().map_err(|error| LaunchError::Refused(vec![error]))?;
        match kind {
            InstrumentKind::Bisect => bisect(conn, viewer, form).await,
            InstrumentKind::Lottery => lottery(conn, viewer, form).await,
            InstrumentKind::Budget => budget(conn, viewer, form).await,
            InstrumentKind::Regret => regret(conn, viewer, form).await,
        }
    }
}

pub(super) fn refused(field: &str, message: impl Into<String>) -> LaunchError {
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
