//! Experiments for programs: check, launch, list, look, read their trials, stop, run again.

mod answers;
mod trials;
mod wish;

use std::collections::HashSet;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use sqlx::PgPool;
use utoipa::OpenApi;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::number;
use crate::experiment::form::ExperimentForm;
use crate::experiment::progress;
use crate::experiment::service::Experiments;
use crate::experiment::service::LaunchError;
use crate::model::experiment::Experiment;
use crate::model::filing::Filed;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::report::data::ReportData;
use crate::store;
use crate::web::api::experiments::answers::CheckBody;
use crate::web::api::experiments::answers::ExperimentBody;
use crate::web::api::experiments::answers::ShowBody;
use crate::web::api::experiments::wish::ExperimentWish;
use crate::web::api::idempotency;
use crate::web::api::own;
use crate::web::api::paging::Stretch;
use crate::web::api::paging::StretchParams;
use crate::web::api::paging::last;
use crate::web::api::refusals;
use crate::web::api::sources;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::object::Object;
use crate::web::extract::user::CurrentUser;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// Room for scripts, of which an experiment may have several.
const BODY_BYTES: usize = 4 << 20;

/// Everything that programs can do with experiments and their sources, as the description of the API lists it.
#[derive(OpenApi)]
#[openapi(
    paths(
        create_experiment,
        check_experiment,
        list_experiments,
        get_experiment,
        trials::list_trials,
        cancel_experiment,
        rerun_experiment,
        sources::list_sources,
    ),
    components(schemas(Envelope)),
    tags(
        (name = "experiments", description = "Which statistics change which plans, and by how much."),
        (name = "sources", description = "Where the planner's statistics can come from."),
    ),
)]
pub(super) struct ExperimentsDoc;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route(urls::API_EXPERIMENTS, get(list_experiments).post(create_experiment))
        .route("/api/experiments/check", post(check_experiment))
        .route("/api/experiments/{id}", get(get_experiment))
        .route("/api/experiments/{id}/trials", get(trials::list_trials))
        .route("/api/experiments/{id}/cancel", post(cancel_experiment))
        .route("/api/experiments/{id}/rerun", post(rerun_experiment))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// Launches an experiment. The same key launches it once, however often it is sent.
#[utoipa::path(
    post, path = "/api/experiments", tag = "experiments",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ExperimentWish,
    responses(
        (
            status = 201, description = "It waits in the queue, or runs already.", body = ExperimentBody,
            headers(("Location" = String, description = "The address of the experiment.")),
        ),
        refusals::OfBody, refusals::Any,
    ),
)]
async fn create_experiment(
    State(experiments): State<Experiments>,
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    headers: HeaderMap,
    Object(body): Object,
) -> Result<Response, Error> {
    let (mut form, mut wrong) = wish::read(&body);
    match idempotency::key(&headers) {
        Ok(Some(key)) => form.request_id = key,
        Ok(None) => form.request_id = view::request_id()?,
        Err(error) => wrong.push(error),
    }
    wrong.extend(unknown_queries(&pool, viewer, &form).await?);
    if !wrong.is_empty() {
        return Err(refusal(&experiments, viewer, &form, wrong).await);
    }
    let launched = experiments.launch(viewer, &form).await;
    created(&pool, viewer, launched.map_err(in_their_words)?).await
}

/// What the same body would launch: the trials it comes to, how long they may take, and what should be known before.
#[utoipa::path(
    post, path = "/api/experiments/check", tag = "experiments",
    request_body = ExperimentWish,
    responses(
        (status = 200, description = "It can be launched.", body = CheckBody),
        refusals::OfBody, refusals::Any,
    ),
)]
async fn check_experiment(
    State(experiments): State<Experiments>,
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Object(body): Object,
) -> Result<Json<CheckBody>, Error> {
    let (form, mut wrong) = wish::read(&body);
    wrong.extend(unknown_queries(&pool, viewer, &form).await?);
    if !wrong.is_empty() {
        return Err(refusal(&experiments, viewer, &form, wrong).await);
    }
    let estimate = experiments.check(viewer, &form).await.map_err(in_their_words)?;
    Ok(Json(CheckBody::new(&form, estimate)))
}

/// Experiments, newest first.
#[utoipa::path(
    get, path = "/api/experiments", tag = "experiments",
    params(StretchParams),
    responses(
        (
            status = 200, description = "A stretch of the list.", body = [ExperimentBody],
            headers(("Link" = Option<String>, description = "The address of the next stretch (RFC 8288), where there is one.")),
        ),
        refusals::OfParameters, refusals::Any,
    ),
)]
async fn list_experiments(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let stretch: Stretch<ExperimentId> = Stretch::read(&pairs, "an experiment")?;
    let mut conn = pool.acquire().await?;
    let (before, n_rows) = (stretch.before, stretch.n_rows());
    let mut experiments = store::experiments::list_before(&mut conn, viewer, before, n_rows).await?;
    drop(conn);
    let next = stretch.cut(urls::API_EXPERIMENTS, &mut experiments, |experiment| experiment.id);
    let bodies: Vec<ExperimentBody> = experiments.iter().map(ExperimentBody::new).collect();
    let mut response = Json(bodies).into_response();
    response.headers_mut().extend(next);
    Ok(response)
}

/// An experiment: what was asked for, how it stands, and its numbers once it has settled.
#[utoipa::path(
    get, path = "/api/experiments/{id}", tag = "experiments",
    params(
        ("id" = i64, Path, description = "Of the experiment.", minimum = 1),
        (
            "base" = Option<u32>, Query,
            description = "The position of the source that the others are compared with, from 0. Left out: the first.",
        ),
    ),
    responses(
        (status = 200, description = "The experiment.", body = inline(ShowBody)),
        refusals::OfParameters, refusals::OfOne, refusals::Any,
    ),
)]
async fn get_experiment(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let mut conn = pool.acquire().await?;
    let look = progress::look(&mut conn, viewer, id).await?;
    let look = look.ok_or(Error::NotFound("experiment"))?;
    let base_idx = base_idx(&pairs, &look.experiment)?;
    let data = ReportData::load_rest(&mut conn, viewer, look.experiment.clone(), base_idx).await?;
    drop(conn);
    Ok(Json(ShowBody::new(&data, &look)).into_response())
}

fn base_idx(pairs: &[(String, String)], experiment: &Experiment) -> Result<i32, Error> {
    let n_sources = experiment.spec.sources.len() as u64;
    let text = last(pairs, "base").unwrap_or("0");
    let base_idx = number(text, "base", 0, n_sources.saturating_sub(1));
    let base_idx = base_idx.map_err(|error| Error::Invalid(vec![error]))?;
    Ok(i32::try_from(base_idx).unwrap_or(0))
}

/// Stops an experiment. What has been measured stays.
#[utoipa::path(
    post, path = "/api/experiments/{id}/cancel", tag = "experiments",
    params(("id" = i64, Path, description = "Of the experiment.", minimum = 1)),
    responses(
        (
            status = 200, body = ExperimentBody,
            description = "It is stopped, or will be in a moment: cancel_requested says that it knows.",
        ),
        refusals::OfOne, refusals::OfState, refusals::Any,
    ),
)]
async fn cancel_experiment(
    State(experiments): State<Experiments>,
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
) -> Result<Json<ExperimentBody>, Error> {
    own::require(&pool, viewer, Filed::Experiment(id)).await?;
    let is_asked = experiments.stop(viewer, id).await?;
    let experiment = get_one(&pool, viewer, id).await?;
    let status = experiment.job.status;
    let has_ended = match status {
        JobStatus::Completed | JobStatus::Failed => true,
        JobStatus::Queued | JobStatus::Running | JobStatus::Cancelled => false,
    };
    if has_ended && !is_asked {
        return Err(conflict(format!("Experiment {id} has ended: it is {}.", status.word())));
    }
    Ok(Json(ExperimentBody::new(&experiment)))
}

/// Launches an experiment again: a new one, with the same spec, seed included.
#[utoipa::path(
    post, path = "/api/experiments/{id}/rerun", tag = "experiments",
    params(
        ("id" = i64, Path, description = "Of the experiment.", minimum = 1),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (
            status = 201, description = "The new experiment waits in the queue, or runs already.", body = ExperimentBody,
            headers(("Location" = String, description = "The address of the new experiment.")),
        ),
        refusals::OfParameters, refusals::OfOne, refusals::OfState, refusals::Any,
    ),
)]
async fn rerun_experiment(
    State(experiments): State<Experiments>,
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let key = idempotency::key(&headers).map_err(|error| Error::Invalid(vec![error]))?;
    let request_id = view::request_id_or(key.unwrap_or_default())?;
    get_one(&pool, viewer, id).await?;
    match experiments.rerun(viewer, id, &request_id).await {
        Ok(id) => created(&pool, viewer, id).await,
        // No field of this request can be put right: what the old one ran on is not there as it was.
        Err(LaunchError::Refused(fields)) => {
            let messages: Vec<String> = fields.into_iter().map(|field| field.message).collect();
            Err(conflict(messages.join(" ")))
        }
        Err(error @ LaunchError::Fault(_)) => Err(error.into()),
    }
}

fn conflict(message: String) -> Error {
    Error::Refused {
        status: StatusCode::CONFLICT,
        message,
    }
}

async fn get_one(pool: &PgPool, viewer: Viewer, id: ExperimentId) -> Result<Experiment, Error> {
    let mut conn = pool.acquire().await?;
    let experiment = store::experiments::get(&mut conn, viewer, id).await?;
    experiment.ok_or(Error::NotFound("experiment"))
}

async fn created(pool: &PgPool, viewer: Viewer, id: ExperimentId) -> Result<Response, Error> {
    let experiment = get_one(pool, viewer, id).await?;
    let location = (header::LOCATION, urls::api_experiment(id));
    let body = Json(ExperimentBody::new(&experiment));
    Ok((StatusCode::CREATED, [location], body).into_response())
}

/// Queries that a program names and the workload does not have, or that cannot be measured: a program that counts on them
/// would not see that they are left out.
async fn unknown_queries(pool: &PgPool, viewer: Viewer, form: &ExperimentForm) -> Result<Vec<FieldError>, Error> {
    let Ok(workload_id) = form.workload.parse::<WorkloadId>() else {
        return Ok(Vec::new());
    };
    let mut conn = pool.acquire().await?;
    let queries = store::workloads::list_queries(&mut conn, viewer, workload_id).await?;
    // Then there is no such workload, which is said elsewhere.
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let measured = queries.into_iter().filter(|query| query.class != QueryClass::Refused);
    let known: HashSet<String> = measured.map(|query| query.position.to_string()).collect();
    let unknown = form.queries.iter().filter(|query| !known.contains(*query));
    let error = |query: &String| {
        let message = format!("There is no query {query} in this workload that can be measured.");
        FieldError::new("queries", message)
    };
    Ok(unknown.map(error).collect())
}

/// What is wrong with a body: what could not be read, and with the rest what the service says of it.
async fn refusal(
    experiments: &Experiments,
    viewer: Viewer,
    form: &ExperimentForm,
    mut wrong: Vec<FieldError>,
) -> Error {
    match experiments.check(viewer, form).await.map_err(in_their_words) {
        Ok(_) => {}
        Err(Error::Invalid(more)) => {
            // Of a field that could not be read, the form has only what it had before.
            let is_known = |error: &FieldError| {
                let elements = format!("{}[", error.field);
                wrong
                    .iter()
                    .any(|known| known.field == error.field || known.field.starts_with(&elements))
            };
            let news: Vec<FieldError> = more.into_iter().filter(|error| !is_known(error)).collect();
            wrong.extend(news);
        }
        Err(error) => return error,
    }
    Error::Invalid(wrong)
}

/// Fields by the names that programs gave them.
fn in_their_words(error: LaunchError) -> Error {
    match error {
        LaunchError::Refused(fields) => Error::Invalid(fields.into_iter().map(wish::field_name).collect()),
        error @ LaunchError::Fault(_) => error.into(),
    }
}
