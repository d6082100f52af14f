//! The form for a new benchmark, what it would take, and its launch.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sqlx::PgPool;

use crate::auth::access;
use crate::benchmark::estimate::Estimate;
use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::TargetKind;
use crate::benchmark::likeness;
use crate::benchmark::service::Benchmarks;
use crate::experiment::fields::FieldError;
use crate::experiment::service::LaunchError;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Generators;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::Loading;
use crate::model::benchmark::Operation;
use crate::model::benchmark::Protocol;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::units::seconds_in_words;
use crate::model::user::Viewer;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::posted::Posted;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::experiment::sources;
use crate::web::pages::experiment::sources::SourcesView;
use crate::web::urls;
use crate::web::view;
use crate::web::view::Choice;

/// The fields that most people leave as they are.
const MORE: &[&str] = &[
    "table_rows",
    "batch_size",
    "loading",
    "keys",
    "read_percent",
    "insert_rows",
    "warm_up",
    "rate",
    "latency_limit",
    "protocol",
    "connection",
    "max_tries",
    "max_errors",
    "statement_timeout",
    "settings",
    "seed",
    "workers",
    "objective",
];

/// The others; a message has its place beside each of them.
const FIRST: &[&str] = &[
    "target",
    "dataset",
    "server",
    "operation",
    "workload",
    "thread_counts",
    "test_duration",
    "program_name",
    "program_weight",
    "program_text",
    "stats_source",
];

#[derive(Template)]
#[template(path = "benchmarks/new.html", blocks = ["estimate"])]
struct NewPage {
    form: BenchmarkForm,
    targets: Vec<Choice>,
    datasets: Vec<Choice>,
    servers: Vec<Choice>,
    operations: Vec<Choice>,
    workloads: Vec<Choice>,
    loadings: Vec<Choice>,
    keys: Vec<Choice>,
    protocols: Vec<Choice>,
    connections: Vec<Choice>,
    workers: Vec<Choice>,
    sources: SourcesView,
    errors: Vec<FieldError>,
    estimate: Option<EstimateView>,
    /// The benchmark that it was filled in from.
    like: Option<BenchmarkId>,
}

/// What the form would take, in words.
struct EstimateView {
    levels: String,
    clients: String,
    time: String,
    /// Empty where nothing is made for it.
    size: String,
    warnings: Vec<String>,
}

/// The check of a form as it is typed: what it would take, and every message to its field.
#[derive(Template)]
#[template(path = "benchmarks/check.html")]
struct CheckAnswer {
    estimate: String,
    messages: Vec<(&'static str, String)>,
}

impl EstimateView {
    fn new(estimate: Estimate) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "shown in two digits")]
        let estimated_s = estimate.estimated_ms as f64 / 1000.0;
        Self {
            levels: counted(estimate.n_levels as u64, "level", "levels"),
            clients: format!(
                "{} in all, at most {} at once",
                counted(estimate.total_clients, "client", "clients"),
                grouped(estimate.most_clients.into())
            ),
            time: seconds_in_words(estimated_s),
            size: estimate.size_bytes.map(bytes_in_words).unwrap_or_default(),
            warnings: estimate.warnings,
        }
    }
}

impl NewPage {
    /// Everything that can be chosen, with what was chosen already.
    async fn load(
        pool: &PgPool,
        viewer: Viewer,
        mut form: BenchmarkForm,
        errors: Vec<FieldError>,
    ) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let datasets = store::datasets::list(&mut conn, viewer).await?.into_iter();
        let usable = datasets.filter(|dataset| !matches!(dataset.job.status, JobStatus::Failed | JobStatus::Cancelled));
        let datasets = usable.map(|dataset| Choice {
            is_chosen: form.dataset == dataset.id.to_string(),
            text: match dataset.job.status {
                JobStatus::Completed => dataset.name,
                status => format!("{} (restore {})", dataset.name, status.word()),
            },
            value: dataset.id.to_string(),
        });
        let workloads = store::workloads::list(&mut conn, viewer).await?.into_iter();
        let workloads = workloads.map(|workload| Choice {
            is_chosen: form.workload == workload.id.to_string(),
            text: format!(
                "{} ({})",
                workload.name,
                counted(workload.n_queries, "query", "queries")
            ),
            value: workload.id.to_string(),
        });
        let (datasets, workloads) = (datasets.collect(), workloads.collect());
        let servers = if access::may_use_servers(viewer) {
            store::servers::list(&mut conn, viewer).await?
        } else {
            Vec::new()
        };
        let servers = servers.into_iter().map(|server| Choice {
            value: server.id.to_string(),
            is_chosen: [server.id.to_string(), server.name.clone()].contains(&form.server),
            text: server.name,
        });
        let servers = servers.collect();
        let dataset_id = form.dataset.parse().ok();
        let sources = SourcesView::load(&mut conn, viewer, dataset_id, &form.sources, &errors).await?;
        // There is always room for one.
        if form.programs.is_empty() {
            form.programs.push(GivenProgram::default());
        }
        Ok(Self {
            targets: choices(&TargetKind::ALL, TargetKind::word, target_title, &form.target),
            operations: choices(&Operation::ALL, Operation::word, Operation::title, &form.operation),
            loadings: choices(&Loading::ALL, Loading::word, loading_title, &form.loading),
            keys: choices(&KeyDistribution::ALL, KeyDistribution::word, keys_title, &form.keys),
            protocols: choices(&Protocol::ALL, Protocol::word, protocol_title, &form.protocol),
            connections: choices(
                &ConnectionMode::ALL,
                ConnectionMode::word,
                connection_title,
                &form.connection,
            ),
            workers: choices(&Generators::ALL, Generators::word, workers_title, &form.workers),
            datasets,
            servers,
            workloads,
            sources,
            form,
            errors,
            estimate: None,
            like: None,
        })
    }

    /// All messages at a field; empty where nothing is wrong with it.
    fn error(&self, field: &str) -> String {
        sources::messages(&self.errors, field).unwrap_or_default()
    }

    /// Whether what most people leave as it is has to be seen.
    fn shows_more(&self) -> bool {
        self.like.is_some() || self.errors.iter().any(|error| MORE.contains(&error.field.as_str()))
    }

    /// Each field, where a message can stand, with its message.
    fn messages(&self) -> Vec<(&'static str, String)> {
        let fields = FIRST.iter().chain(MORE);
        fields.map(|field| (*field, self.error(field))).collect()
    }
}

fn choices<T: Copy>(all: &[T], word: fn(T) -> &'static str, title: fn(T) -> &'static str, given: &str) -> Vec<Choice> {
    let choices = all.iter().map(|one| Choice {
        value: word(*one).to_owned(),
        text: title(*one).to_owned(),
        is_chosen: word(*one) == given.trim(),
    });
    choices.collect()
}

fn target_title(target: TargetKind) -> &'static str {
    match target {
        TargetKind::Generated => "Generated tables, those of pgbench",
        TargetKind::Dataset => "A copy of a dataset",
        TargetKind::Server => "Generated tables on a registered server",
    }
}

fn loading_title(loading: Loading) -> &'static str {
    match loading {
        Loading::Copy => "COPY",
        Loading::Insert => "INSERT of many rows",
    }
}

fn keys_title(keys: KeyDistribution) -> &'static str {
    match keys {
        KeyDistribution::Uniform => "Uniform: every row alike",
        KeyDistribution::Zipf => "Zipf: few rows much more often",
        KeyDistribution::Gaussian => "Gaussian: the middle more often",
    }
}

fn protocol_title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Prepared => "prepared: parsed once for each connection",
        Protocol::Extended => "extended: parsed every time",
        Protocol::Simple => "simple: as text with the values in it",
    }
}

fn connection_title(connection: ConnectionMode) -> &'static str {
    match connection {
        ConnectionMode::PerClient => "One for each client",
        ConnectionMode::PerTransaction => "A new one for each transaction",
    }
}

fn workers_title(generators: Generators) -> &'static str {
    match generators {
        Generators::Here => "One worker",
        Generators::All => "All workers that are free",
    }
}

/// GET /benchmarks/new
pub(super) async fn new(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let (form, missing, like) = match given.get("like") {
        Some(like) => {
            let id = like.parse().map_err(|_| Error::NotFound("benchmark"))?;
            let likeness = likeness::load(&mut *pool.acquire().await?, viewer, id).await?;
            let likeness = likeness.ok_or(Error::NotFound("benchmark"))?;
            (likeness.form, likeness.missing, Some(likeness.id))
        }
        None => (begun(&given), Vec::new(), None),
    };
    let form = BenchmarkForm {
        request_id: view::request_id()?,
        ..form
    };
    let mut page = NewPage {
        like,
        ..NewPage::load(&pool, viewer, form, missing).await?
    };
    if page.errors.is_empty() {
        // What is not chosen yet is not wrong yet.
        page.estimate = benchmarks.check(viewer, &page.form).await.ok().map(EstimateView::new);
    }
    fragment::page(&page)
}

/// The form as usual, on the dataset and with the workload, or on the registered server, of an address.
fn begun(given: &HashMap<String, String>) -> BenchmarkForm {
    let get = |name: &str| given.get(name).cloned().unwrap_or_default();
    let mut form = BenchmarkForm {
        dataset: get("dataset"),
        server: get("server"),
        workload: get("workload"),
        ..BenchmarkForm::default()
    };
    if !form.dataset.is_empty() || !form.workload.is_empty() {
        TargetKind::Dataset.word().clone_into(&mut form.target);
        Operation::Workload.word().clone_into(&mut form.operation);
    }
    if !form.server.is_empty() {
        TargetKind::Server.word().clone_into(&mut form.target);
    }
    form
}

/// What a browser sent, files and all.
fn form_of(posted: Posted) -> BenchmarkForm {
    let weights = posted.pairs.iter().find(|(name, _)| name == "file_weights");
    let weights = weights.map(|(_, value)| value.clone()).unwrap_or_default();
    let mut form = BenchmarkForm::from_pairs(posted.pairs);
    let programs = posted.files.into_iter().filter(|file| file.field == "program_files");
    form.add_files(programs.map(|file| (file.name, file.bytes)), &weights);
    form
}

/// The benchmark that a form which comes back was filled in from.
fn like_of(pairs: &[(String, String)]) -> Option<BenchmarkId> {
    let like = pairs.iter().find(|(name, _)| name == "like");
    like.and_then(|(_, value)| value.parse().ok())
}

/// POST /benchmarks/check: what the form, as it stands, would take.
pub(super) async fn check(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    posted: Posted,
) -> PageResult<Response> {
    let like = like_of(&posted.pairs);
    let form = form_of(posted);
    let (estimate, errors) = match benchmarks.check(viewer, &form).await {
        Ok(estimate) => (Some(EstimateView::new(estimate)), Vec::new()),
        Err(LaunchError::Refused(errors)) => (None, errors),
        Err(LaunchError::Fault(error)) => return Err(error.into()),
    };
    let page = NewPage {
        estimate,
        like,
        ..NewPage::load(&pool, viewer, form, errors).await?
    };
    if !hx.is_fragment {
        return fragment::page(&page);
    }
    fragment::page(&CheckAnswer {
        estimate: page.as_estimate().render()?,
        messages: page.messages(),
    })
}

/// POST /benchmarks/program: the form as it stands, with room for one more program.
pub(super) async fn add_program(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    posted: Posted,
) -> PageResult<Response> {
    let like = like_of(&posted.pairs);
    let mut form = form_of(posted);
    Operation::Programs.word().clone_into(&mut form.operation);
    form.programs.push(GivenProgram::default());
    let page = NewPage {
        like,
        ..NewPage::load(&pool, viewer, form, Vec::new()).await?
    };
    fragment::page(&page)
}

/// POST /benchmarks
pub(super) async fn create(
    State(pool): State<PgPool>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    posted: Posted,
) -> PageResult<Response> {
    let like = like_of(&posted.pairs);
    let mut form = form_of(posted);
    form.request_id = view::request_id_or(form.request_id)?;
    match benchmarks.launch(viewer, &form).await {
        Ok(id) => Ok(hx.redirect(&urls::benchmark(id))),
        Err(LaunchError::Refused(errors)) => {
            let page = NewPage {
                like,
                ..NewPage::load(&pool, viewer, form, errors).await?
            };
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(LaunchError::Fault(error)) => Err(error.into()),
    }
}
