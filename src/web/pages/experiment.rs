//! The form for a new experiment, what it would take, its launch, and how far it is.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use axum::routing::get;
use axum::routing::post;
use futures_util::Stream;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::experiment::estimate::Estimate;
use crate::experiment::form::ExperimentForm;
use crate::experiment::form::FieldError;
use crate::experiment::service::Experiments;
use crate::experiment::service::LaunchError;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::source;
use crate::source::parameter::ParameterKind;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::progress::ProgressView;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/experiment", get(new).post(create))
        .route("/experiment/check", post(check))
        .route("/experiment/queries", get(queries))
        .route("/experiment/status/{id}", get(status))
        .route("/experiment/stream/{id}", get(stream))
        .route("/experiment/stream", get(stream_newest))
}

#[derive(Template)]
#[template(path = "experiment/new.html", blocks = ["estimate", "queries"])]
struct NewPage {
    form: ExperimentForm,
    datasets: Vec<Choice>,
    workloads: Vec<Choice>,
    /// Of the chosen workload; none when it is not chosen yet.
    queries: Vec<QueryChoice>,
    sources: Vec<SourceChoice>,
    errors: Vec<FieldError>,
    estimate: Option<Estimate>,
}

/// What is shown in place of the form while there is nothing to choose from.
#[derive(Template)]
#[template(path = "experiment/missing.html")]
struct MissingPage {
    no_dataset: bool,
    no_workload: bool,
}

struct Choice {
    id: String,
    text: String,
    is_chosen: bool,
}

struct QueryChoice {
    position: String,
    label: String,
    class: &'static str,
    refusal: Option<String>,
    is_chosen: bool,
}

struct SourceChoice {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    is_chosen: bool,
    parameters: Vec<ParameterField>,
}

struct ParameterField {
    name: String,
    label: &'static str,
    about: &'static str,
    value: String,
    choices: &'static [&'static str],
}

impl NewPage {
    /// Everything that can be chosen, with what was chosen already.
    async fn load(pool: &PgPool, viewer: Viewer, form: ExperimentForm, errors: Vec<FieldError>) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let datasets = store::datasets::list(&mut conn, viewer).await?;
        let usable = datasets
            .into_iter()
            .filter(|dataset| !matches!(dataset.job.status, JobStatus::Failed | JobStatus::Cancelled));
        let datasets = usable.map(|dataset| Choice {
            is_chosen: form.dataset == dataset.id.to_string(),
            text: match dataset.job.status {
                JobStatus::Completed => {
                    format!("{} ({})", dataset.name, counted(dataset.n_tables, "table", "tables"))
                }
                status => format!("{} (restore {})", dataset.name, status.word()),
            },
            id: dataset.id.to_string(),
        });
        let workloads = store::workloads::list(&mut conn, viewer)
            .await?
            .into_iter()
            .map(|workload| Choice {
                is_chosen: form.workload == workload.id.to_string(),
                text: format!(
                    "{} ({})",
                    workload.name,
                    counted(workload.n_queries, "query", "queries")
                ),
                id: workload.id.to_string(),
            });
        let (mut datasets, mut workloads): (Vec<_>, Vec<_>) = (datasets.collect(), workloads.collect());
        choose_only(&mut datasets);
        choose_only(&mut workloads);
        let chosen_workload = chosen(&workloads).and_then(|id| id.parse().ok());
        let queries = match chosen_workload {
            Some(id) => query_choices(&mut conn, viewer, id, &form.queries).await?,
            None => Vec::new(),
        };
        Ok(Self {
            sources: source_choices(&form),
            datasets,
            workloads,
            queries,
            form,
            errors,
            estimate: None,
        })
    }

    /// The message at a field.
    fn error(&self, field: &str) -> Option<&str> {
        self.errors
            .iter()
            .find(|error| error.field == field)
            .map(|error| error.message.as_str())
    }
}

/// Where there is one thing only, it is meant.
fn choose_only(choices: &mut [Choice]) {
    if let [only] = choices {
        only.is_chosen = true;
    }
}

async fn query_choices(
    conn: &mut sqlx::PgConnection,
    viewer: Viewer,
    id: WorkloadId,
    chosen: &[String],
) -> store::Result<Vec<QueryChoice>> {
    let queries = store::workloads::list_queries(conn, viewer, id).await?;
    let choices = queries.into_iter().map(|query| {
        let position = query.position.to_string();
        QueryChoice {
            is_chosen: query.class != QueryClass::Refused && (chosen.is_empty() || chosen.contains(&position)),
            position,
            label: query.label,
            class: query.class.word(),
            refusal: query.refusal,
        }
    });
    Ok(choices.collect())
}

fn source_choices(form: &ExperimentForm) -> Vec<SourceChoice> {
    let of_source = |source: &&'static dyn source::StatsSource| SourceChoice {
        name: source.name(),
        title: source.title(),
        about: source.about(),
        is_chosen: form.stats_source.iter().any(|name| name == source.name()),
        parameters: source
            .parameters()
            .iter()
            .map(|parameter| {
                let name = format!("{}.{}", source.name(), parameter.name);
                ParameterField {
                    value: form
                        .params
                        .get(&name)
                        .cloned()
                        .unwrap_or_else(|| parameter.default.to_owned()),
                    name,
                    label: parameter.label,
                    about: parameter.about,
                    choices: match parameter.kind {
                        ParameterKind::Choice(choices) => choices,
                        ParameterKind::Integer { .. } => &[],
                    },
                }
            })
            .collect(),
    };
    source::ALL.iter().map(of_source).collect()
}

/// GET /experiment
async fn new(
    State(pool): State<PgPool>,
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let get = |name: &str| given.get(name).cloned().unwrap_or_default();
    let form = ExperimentForm {
        request_id: view::request_id()?,
        dataset: get("dataset"),
        workload: get("workload"),
        stats_source: vec!["built_in".to_owned(), "none".to_owned()],
        ..ExperimentForm::default()
    };
    let mut page = NewPage::load(&pool, viewer, form, Vec::new()).await?;
    let missing = MissingPage {
        no_dataset: page.datasets.is_empty(),
        no_workload: page.workloads.is_empty(),
    };
    if missing.no_dataset || missing.no_workload {
        return fragment::page(&missing);
    }
    if let (Some(dataset), Some(workload)) = (chosen(&page.datasets), chosen(&page.workloads)) {
        let form = ExperimentForm {
            dataset,
            workload,
            ..page.form.clone()
        };
        page.estimate = experiments.check(viewer, &form).await.ok();
    }
    fragment::page(&page)
}

fn chosen(choices: &[Choice]) -> Option<String> {
    choices
        .iter()
        .find(|choice| choice.is_chosen)
        .map(|choice| choice.id.clone())
}

/// GET /experiment/queries: the tick boxes of the chosen workload.
async fn queries(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let workload = given.get("workload").cloned().unwrap_or_default();
    hx.require_fragment_of(&urls::experiment_on(None, workload.parse().ok()))?;
    let form = ExperimentForm {
        workload,
        ..ExperimentForm::default()
    };
    let page = NewPage::load(&pool, viewer, form, Vec::new()).await?;
    fragment::with_status(StatusCode::OK, &page.as_queries())
}

/// POST /experiment/check: what the form, as it stands, would take and could show.
async fn check(
    State(pool): State<PgPool>,
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = ExperimentForm::from_pairs(pairs);
    let (estimate, errors) = match experiments.check(viewer, &form).await {
        Ok(estimate) => (Some(estimate), Vec::new()),
        Err(LaunchError::Refused(errors)) => (None, errors),
        Err(LaunchError::Fault(error)) => return Err(error.into()),
    };
    let page = NewPage {
        estimate,
        ..NewPage::load(&pool, viewer, form, errors).await?
    };
    if hx.is_fragment {
        fragment::with_status(StatusCode::OK, &page.as_estimate())
    } else {
        fragment::page(&page)
    }
}

/// POST /experiment
async fn create(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = ExperimentForm::from_pairs(pairs);
    match state.experiments.launch(viewer, &form).await {
        Ok(id) => {
            let wants_stream = headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.contains("text/event-stream"));
            if wants_stream {
                return Ok(events(state.experiments, viewer, id, state.shutdown).into_response());
            }
            Ok(hx.redirect(&urls::result(id)))
        }
        Err(LaunchError::Refused(errors)) => {
            let page = NewPage::load(&state.pool, viewer, form, errors).await?;
            if hx.is_fragment {
                // The rest of the form stays as it is in the browser.
                return fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page.as_estimate());
            }
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(LaunchError::Fault(error)) => Err(error.into()),
    }
}

/// GET /experiment/status/{id}: the progress block, which stops asking when there is nothing more to tell.
async fn status(
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    hx.require_fragment_of(&urls::result(id))?;
    let look = experiments
        .progress(viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let view = ProgressView::new(&look);
    let is_settled = view.is_settled;
    // 286 tells htmx to stop polling, should the markup without hx-get get lost.
    let status = if is_settled {
        StatusCode::from_u16(286).unwrap_or(StatusCode::OK)
    } else {
        StatusCode::OK
    };
    let mut response = fragment::with_status(status, &view)?;
    if is_settled {
        // The page has more to show now.
        response
            .headers_mut()
            .insert("hx-refresh", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// GET /experiment/stream/{id}: the same block as server-sent events.
async fn stream(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    state
        .experiments
        .progress(viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    Ok(events(state.experiments, viewer, id, state.shutdown).into_response())
}

/// GET /experiment/stream: follows the newest experiment that runs.
async fn stream_newest(State(state): State<AppState>, CurrentUser(viewer): CurrentUser) -> PageResult<Response> {
    let mut conn = state.pool.acquire().await?;
    let newest = store::experiments::newest_unsettled(&mut conn, viewer).await?;
    drop(conn);
    let id = newest.ok_or(Error::NotFound("running experiment"))?;
    Ok(events(state.experiments, viewer, id, state.shutdown).into_response())
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A snapshot at once, then every change, then `done`, so that a late or returning listener needs no history.
fn events(
    experiments: Experiments,
    viewer: Viewer,
    id: ExperimentId,
    shutdown: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    struct Follow {
        n_sent: u64,
        last: String,
        is_over: bool,
    }
    let start = Follow {
        n_sent: 0,
        last: String::new(),
        is_over: false,
    };
    let stream = futures_util::stream::unfold(start, move |mut follow| {
        let (experiments, shutdown) = (experiments.clone(), shutdown.clone());
        async move {
            if follow.is_over {
                return None;
            }
            loop {
                // While the store is away nothing changes; the listener waits.
                if let Ok(Some(look)) = experiments.progress(viewer, id).await {
                    let view = ProgressView::new(&look);
                    let html = view.render().unwrap_or_default();
                    if view.is_settled {
                        follow.is_over = true;
                        return Some((Ok(Event::default().event("done").data(html)), follow));
                    }
                    if html != follow.last {
                        follow.n_sent += 1;
                        let event = Event::default()
                            .event("progress")
                            .id(follow.n_sent.to_string())
                            .data(&html);
                        follow.last = html;
                        return Some((Ok(event), follow));
                    }
                }
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
