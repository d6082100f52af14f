//! Datasets for programs: upload, list, look, restore once more, stop, delete. Uploads by the part are in `uploads`.

mod answers;
mod range;
mod uploads;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::FromRequest as _;
use axum::extract::Multipart;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::IntoParams;
use utoipa::OpenApi;
use utoipa::ToSchema;

use crate::dataset::service::Datasets;
use crate::dataset::service::Deleted;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::user::Viewer;
use crate::store;
use crate::web::api::datasets::answers::DatasetBody;
use crate::web::api::datasets::answers::DatasetDetailBody;
use crate::web::api::idempotency;
use crate::web::api::kind::FileBytes;
use crate::web::api::kind::Kind;
use crate::web::api::own;
use crate::web::api::paging::Stretch;
use crate::web::api::paging::StretchParams;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::parts;
use crate::web::extract::user::CurrentUser;
use crate::web::sent;
use crate::web::sent::Words;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub(super) fn router() -> Router<AppState> {
    // Dumps have a limit of their own, which answers in words.
    let create = post(create_dataset).layer(DefaultBodyLimit::disable());
    Router::new()
        .route(urls::API_DATASETS, get(list_datasets).merge(create))
        .route("/api/datasets/{id}", get(get_dataset).delete(delete_dataset))
        .route("/api/datasets/{id}/restore", post(restore_dataset))
        .route("/api/datasets/{id}/stop", post(stop_dataset))
        .merge(uploads::router())
}

#[derive(OpenApi)]
#[openapi(
    paths(
        list_datasets,
        create_dataset,
        get_dataset,
        delete_dataset,
        restore_dataset,
        stop_dataset,
        uploads::list_uploads,
        uploads::get_upload,
        uploads::put_upload,
        uploads::delete_upload
    ),
    tags((name = "datasets", description = "What dumps hold: uploaded, restored once, and cloned whenever something is tried on them."))
)]
pub(super) struct DatasetsDoc;

/// The names of a file that comes without a form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct NameParams {
    /// What it is called; the name of the file where this is left out. Only the first 255 characters are kept.
    name: Option<String>,
    /// What the file is called where it comes from.
    file_name: Option<String>,
}

/// The form of a dump, the same as the one on the page.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read part by part, and described here")]
struct DumpForm {
    /// What it is called; the name of the file where this is left out. Only the first 255 characters are kept. It comes before
    /// the file.
    #[schema(nullable = false)]
    name: Option<String>,
    /// The same as the header `Idempotency-Key`.
    #[schema(nullable = false)]
    request_id: Option<String>,
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Lists datasets
///
/// Newest first, whatever became of their restores.
#[utoipa::path(
    get,
    path = "/api/datasets",
    tag = "datasets",
    params(StretchParams),
    responses(
        (status = 200, description = "A stretch of the list.", body = [DatasetBody],
         headers(("Link" = String, description = "Where the next stretch is, if there is one: `<address>; rel=\"next\"`."))),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
    )
)]
async fn list_datasets(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let stretch = Stretch::read(&pairs, "a dataset")?;
    let mut conn = pool.acquire().await?;
    let mut datasets = store::datasets::list_before(&mut conn, viewer, stretch.before, stretch.n_rows()).await?;
    let next = stretch.cut(urls::API_DATASETS, &mut datasets, |dataset| dataset.id);
    let bodies: Vec<DatasetBody> = datasets.iter().map(DatasetBody::new).collect();
    let mut response = Json(bodies).into_response();
    response.headers_mut().extend(next);
    Ok(response)
}

/// Uploads a dump
///
/// As a form with a file, or as the bytes of the file alone: plain SQL, a custom archive or a tar archive of `pg_dump`, each also
/// compressed by gzip or zstd. The dataset is there at once and its restore waits its turn. For large files over connections
/// that break there are uploads by the part.
#[utoipa::path(
    post,
    path = "/api/datasets",
    tag = "datasets",
    params(
        NameParams,
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content((DumpForm = "multipart/form-data"), (FileBytes = "application/octet-stream"))),
    responses(
        (status = 201, description = "The dataset, whose restore waits or runs.", body = DatasetBody,
         headers(("Location" = String, description = "Where the dataset is."))),
        (status = 400, description = "The body did not arrive whole, or a parameter cannot be.", body = Envelope),
        (status = 409, description = "The account has no quota for another dataset, or for one so large.", body = Envelope),
        (status = 422, description = "The file is no dump that can be read here; the message says why.", body = Envelope),
        (status = 507, description = "There is no room for the file on the disk.", body = Envelope),
    )
)]
async fn create_dataset(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(names): UrlQuery<NameParams>,
    request: Request,
) -> Result<Response, Error> {
    let key = idempotency::key(request.headers()).map_err(|error| Error::Invalid(vec![error]))?;
    let id = match Kind::of(request.headers()) {
        Kind::Form => {
            let headers = request.headers().clone();
            let form = Multipart::from_request(request, &()).await;
            let mut words = Words {
                request_id: key.unwrap_or_default(),
                ..Words::default()
            };
            sent::dump(&datasets, viewer, &headers, form, &mut words).await?
        }
        Kind::Bytes => {
            sent::check_length(&datasets, request.headers())?;
            let request_id = view::request_id_or(key.unwrap_or_default())?;
            let said_bytes = parts::said_length(request.headers());
            datasets.admit(viewer, &request_id, said_bytes).await?;
            let arrived = datasets.receive(request.into_body().into_data_stream()).await?;
            let (name, file_name) = (names.name.unwrap_or_default(), names.file_name.unwrap_or_default());
            datasets.add(viewer, arrived, &name, &file_name, &request_id).await?
        }
        Kind::Json | Kind::Sql | Kind::Other => {
            return Err(Kind::refused("multipart/form-data or application/octet-stream"));
        }
    };
    let dataset = one(&datasets.pool, viewer, id).await?;
    let location = [(header::LOCATION, urls::api_dataset(id))];
    Ok((StatusCode::CREATED, location, dataset).into_response())
}

/// Shows a dataset
///
/// With its tables and the log of its restore.
#[utoipa::path(
    get,
    path = "/api/datasets/{id}",
    tag = "datasets",
    params(("id" = i64, Path, description = "Of the dataset.", minimum = 1)),
    responses(
        (status = 200, description = "The dataset.", body = DatasetDetailBody),
        (status = 404, description = "There is no such dataset.", body = Envelope),
    )
)]
async fn get_dataset(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
) -> Result<Json<DatasetDetailBody>, Error> {
    let mut conn = pool.acquire().await?;
    let dataset = store::datasets::get(&mut conn, viewer, id).await?;
    let dataset = dataset.ok_or(Error::NotFound("dataset"))?;
    let tables = store::restores::list_tables(&mut conn, viewer, id).await?;
    let notes = store::restores::list_notes(&mut conn, viewer, id).await?;
    let interruptions = store::jobs::list_interruptions(&mut conn, viewer, dataset.job.id).await?;
    Ok(Json(DatasetDetailBody::new(&dataset, tables, notes, &interruptions)))
}

/// Deletes a dataset
///
/// With its dump and its database. Results that it led to stay.
#[utoipa::path(
    delete,
    path = "/api/datasets/{id}",
    tag = "datasets",
    params(("id" = i64, Path, description = "Of the dataset.", minimum = 1)),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "Something that waits or runs needs it.", body = Envelope),
        (status = 404, description = "There is no such dataset.", body = Envelope),
    )
)]
async fn delete_dataset(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
) -> Result<StatusCode, Error> {
    own::require(&datasets.pool, viewer, Filed::Dataset(id)).await?;
    match datasets.delete(viewer, id).await? {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::NotThere => Err(Error::NotFound("dataset")),
        Deleted::InUse => Err(in_the_way(
            "Something that waits or runs needs this dataset. Wait for it, or stop it first.",
        )),
    }
}

/// Restores a dataset once more
///
/// From its dump in the depot: where the restore ended badly, or the machine that has the dataset is away.
#[utoipa::path(
    post,
    path = "/api/datasets/{id}/restore",
    tag = "datasets",
    params(("id" = i64, Path, description = "Of the dataset.", minimum = 1)),
    responses(
        (status = 202, description = "The dataset, whose restore waits.", body = DatasetBody),
        (status = 409, description = "There is no reason to, something works on it, its dump is not in a depot, or too many jobs \
         of the account wait.", body = Envelope),
        (status = 404, description = "There is no such dataset.", body = Envelope),
    )
)]
async fn restore_dataset(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
) -> Result<(StatusCode, Json<DatasetBody>), Error> {
    own::require(&datasets.pool, viewer, Filed::Dataset(id)).await?;
    let is_queued = datasets.restore_again(viewer, id).await?;
    let dataset = one(&datasets.pool, viewer, id).await?;
    if is_queued {
        return Ok((StatusCode::ACCEPTED, dataset));
    }
    Err(in_the_way(
        "This dataset is not restored again now: something works on it, its machine is there after all, or its dump is not in \
         a depot.",
    ))
}

/// Stops the restore of a dataset
///
/// One that waits is over at once, one that runs within seconds. Where there is nothing to stop nothing happens.
#[utoipa::path(
    post,
    path = "/api/datasets/{id}/stop",
    tag = "datasets",
    params(("id" = i64, Path, description = "Of the dataset.", minimum = 1)),
    responses(
        (status = 202, description = "The dataset.", body = DatasetBody),
        (status = 404, description = "There is no such dataset.", body = Envelope),
    )
)]
async fn stop_dataset(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
) -> Result<(StatusCode, Json<DatasetBody>), Error> {
    own::require(&datasets.pool, viewer, Filed::Dataset(id)).await?;
    datasets.stop(viewer, id).await?;
    Ok((StatusCode::ACCEPTED, one(&datasets.pool, viewer, id).await?))
}

async fn one(pool: &PgPool, viewer: Viewer, id: DatasetId) -> Result<Json<DatasetBody>, Error> {
    let mut conn = pool.acquire().await?;
    let dataset = store::datasets::get(&mut conn, viewer, id).await?;
    Ok(Json(DatasetBody::new(&dataset.ok_or(Error::NotFound("dataset"))?)))
}

fn in_the_way(message: &str) -> Error {
    Error::Refused {
        status: StatusCode::CONFLICT,
        message: message.to_owned(),
    }
}
