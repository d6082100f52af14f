//! Workloads for programs: add, list, look, check against a dataset, delete.

mod answers;
mod script;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::OpenApi;
use utoipa::ToSchema;

use crate::experiment::fields::FieldError;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::store;
use crate::web::api::body;
use crate::web::api::body::MAX_ID;
use crate::web::api::idempotency;
use crate::web::api::kind::FileBytes;
use crate::web::api::own;
use crate::web::api::paging::Stretch;
use crate::web::api::paging::StretchParams;
use crate::web::api::workloads::answers::CheckBody;
use crate::web::api::workloads::answers::WorkloadBody;
use crate::web::api::workloads::answers::WorkloadDetailBody;
use crate::web::api::workloads::script::ScriptForm;
use crate::web::api::workloads::script::ScriptParams;
use crate::web::api::workloads::script::ScriptWish;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::address::Path;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::object::Object;
use crate::web::extract::user::CurrentUser;
use crate::web::state::AppState;
use crate::web::urls;
use crate::workload::service::Deleted;
use crate::workload::service::Workloads;

pub(super) fn router() -> Router<AppState> {
    // Scripts have a limit of their own, which answers in words.
    let create = post(create_workload).layer(DefaultBodyLimit::disable());
    Router::new()
        .route(urls::API_WORKLOADS, get(list_workloads).merge(create))
        .route("/api/workloads/{id}", get(get_workload).delete(delete_workload))
        .route("/api/workloads/{id}/checks", post(start_check))
        .route("/api/workloads/{id}/checks/{dataset}", get(get_check))
}

#[derive(OpenApi)]
#[openapi(
    paths(list_workloads, create_workload, get_workload, delete_workload, start_check, get_check),
    tags((name = "workloads", description = "Files of labelled queries. A workload runs on any dataset that it checks against."))
)]
pub(super) struct WorkloadsDoc;

/// What is to be checked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read field by field, and described here")]
struct CheckWish {
    /// The id of the dataset against which.
    #[schema(minimum = 1, example = 1)]
    dataset: i64,
}

/// Lists workloads
///
/// Newest first, without their queries.
#[utoipa::path(
    get,
    path = "/api/workloads",
    tag = "workloads",
    params(StretchParams),
    responses(
        (status = 200, description = "A stretch of the list.", body = [WorkloadBody],
         headers(("Link" = String, description = "Where the next stretch is, if there is one: `<address>; rel=\"next\"`."))),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
    )
)]
async fn list_workloads(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let stretch = Stretch::read(&pairs, "a workload")?;
    let mut conn = pool.acquire().await?;
    let mut workloads = store::workloads::list_before(&mut conn, viewer, stretch.before, stretch.n_rows()).await?;
    let next = stretch.cut(urls::API_WORKLOADS, &mut workloads, |workload| workload.id);
    let bodies: Vec<WorkloadBody> = workloads.into_iter().map(WorkloadBody::new).collect();
    let mut response = Json(bodies).into_response();
    response.headers_mut().extend(next);
    Ok(response)
}

/// Adds a workload
///
/// As JSON with the script in it, as a form with a file or a text, or as the bytes of the script alone. Statements end with
/// semicolons; a comment `-- name: ...` before one is its label.
#[utoipa::path(
    post,
    path = "/api/workloads",
    tag = "workloads",
    params(
        ScriptParams,
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content(
        (ScriptWish = "application/json"),
        (ScriptForm = "multipart/form-data"),
        (FileBytes = "application/sql")
    )),
    responses(
        (status = 201, description = "The workload with its queries.", body = WorkloadDetailBody,
         headers(("Location" = String, description = "Where the workload is."))),
        (status = 400, description = "The body did not arrive whole or is no JSON object, or a field or parameter cannot be.",
         body = Envelope),
        (status = 422, description = "The script cannot be read as statements; the message says where.", body = Envelope),
    )
)]
async fn create_workload(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(params): UrlQuery<ScriptParams>,
    request: Request,
) -> Result<Response, Error> {
    let key = idempotency::key(request.headers()).map_err(|error| Error::Invalid(vec![error]))?;
    let id = script::add(&workloads, viewer, params, key.unwrap_or_default(), request).await?;
    let workload = one(&workloads.pool, viewer, id).await?;
    let location = [(header::LOCATION, urls::api_workload(id))];
    Ok((StatusCode::CREATED, location, workload).into_response())
}

/// Shows a workload
///
/// With its queries.
#[utoipa::path(
    get,
    path = "/api/workloads/{id}",
    tag = "workloads",
    params(("id" = i64, Path, description = "Of the workload.", minimum = 1)),
    responses(
        (status = 200, description = "The workload.", body = WorkloadDetailBody),
        (status = 404, description = "There is no such workload.", body = Envelope),
    )
)]
async fn get_workload(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<WorkloadId>,
) -> Result<Json<WorkloadDetailBody>, Error> {
    one(&pool, viewer, id).await
}

/// Deletes a workload
///
/// Results that it led to stay.
#[utoipa::path(
    delete,
    path = "/api/workloads/{id}",
    tag = "workloads",
    params(("id" = i64, Path, description = "Of the workload.", minimum = 1)),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such workload.", body = Envelope),
        (status = 409, description = "Something that waits or runs needs it.", body = Envelope),
    )
)]
async fn delete_workload(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<WorkloadId>,
) -> Result<StatusCode, Error> {
    own::require(&workloads.pool, viewer, Filed::Workload(id)).await?;
    match workloads.delete(viewer, id).await? {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::NotThere => Err(Error::NotFound("workload")),
        Deleted::InUse => Err(Error::Refused {
            status: StatusCode::CONFLICT,
            message: "Something that waits or runs needs this workload. Wait for it, or stop it first.".to_owned(),
        }),
    }
}

/// Checks a workload against a dataset
///
/// Asks the server of the dataset to prepare every statement and to run none. The check waits its turn; where one waits or runs
/// already, that is the one.
#[utoipa::path(
    post,
    path = "/api/workloads/{id}/checks",
    tag = "workloads",
    params(("id" = i64, Path, description = "Of the workload.", minimum = 1)),
    request_body = CheckWish,
    responses(
        (status = 202, description = "The check, which waits or runs.", body = CheckBody,
         headers(("Location" = String, description = "Where the check is."))),
        (status = 400, description = "The body is no JSON object, or its field cannot be.", body = Envelope),
        (status = 404, description = "There is no such workload or dataset.", body = Envelope),
        (status = 409, description = "As many jobs of the account wait as may.", body = Envelope),
    )
)]
async fn start_check(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<WorkloadId>,
    Object(body): Object,
) -> Result<Response, Error> {
    let dataset_id = read_wish(&body).map_err(Error::Invalid)?;
    if !workloads.request_check(viewer, id, dataset_id).await? {
        return Err(Error::NotFound("workload or dataset"));
    }
    let check = check(&workloads, viewer, id, dataset_id).await?;
    let location = [(header::LOCATION, urls::api_check(id, dataset_id))];
    Ok((StatusCode::ACCEPTED, location, check).into_response())
}

/// Shows the check of a workload against a dataset
///
/// The newest one.
#[utoipa::path(
    get,
    path = "/api/workloads/{id}/checks/{dataset}",
    tag = "workloads",
    params(
        ("id" = i64, Path, description = "Of the workload.", minimum = 1),
        ("dataset" = i64, Path, description = "The id of the dataset.", minimum = 1),
    ),
    responses(
        (status = 200, description = "The check.", body = CheckBody),
        (status = 404, description = "It was never checked, or there is no such workload or dataset.", body = Envelope),
    )
)]
async fn get_check(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    Path((id, dataset)): Path<(String, String)>,
) -> Result<Json<CheckBody>, Error> {
    let unknown = || Error::NotFound("check");
    let id = id.parse().map_err(|_| unknown())?;
    let dataset_id = dataset.parse().map_err(|_| unknown())?;
    check(&workloads, viewer, id, dataset_id).await
}

fn read_wish(body: &Map<String, Value>) -> Result<DatasetId, Vec<FieldError>> {
    let unknown = body.keys().filter(|name| *name != "dataset");
    let mut wrong: Vec<FieldError> = unknown
        .map(|name| FieldError::new(name, "There is no field of this name."))
        .collect();
    let dataset = body::within("dataset", body.get("dataset").unwrap_or(&Value::Null), 1, MAX_ID);
    let id = dataset.map(|id| id.parse());
    match id {
        Ok(Ok(id)) if wrong.is_empty() => return Ok(id),
        Ok(_) => {}
        Err(error) => wrong.push(error),
    }
    Err(wrong)
}

async fn check(
    workloads: &Workloads,
    viewer: Viewer,
    id: WorkloadId,
    dataset_id: DatasetId,
) -> Result<Json<CheckBody>, Error> {
    let found = workloads.check(viewer, id, dataset_id).await?;
    let (job, results) = found.ok_or(Error::NotFound("check"))?;
    Ok(Json(CheckBody::new(id, dataset_id, job, results)))
}

async fn one(pool: &PgPool, viewer: Viewer, id: WorkloadId) -> Result<Json<WorkloadDetailBody>, Error> {
    let mut conn = pool.acquire().await?;
    let workload = store::workloads::get(&mut conn, viewer, id).await?;
    let workload = workload.ok_or(Error::NotFound("workload"))?;
    let queries = store::workloads::list_queries(&mut conn, viewer, id).await?;
    Ok(Json(WorkloadDetailBody::new(workload, queries)))
}
