//! Uploads by the part: a client names its upload, sends the file piece by piece with `Content-Range`, asks after a lost
//! connection how much is here, and goes on from there. The last part makes the dataset.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;

use crate::auth::limit::Ask;
use crate::dataset::uploads::Names;
use crate::dataset::uploads::PartError;
use crate::dataset::uploads::Uploads;
use crate::experiment::fields::FieldError;
use crate::model::upload::NoKey;
use crate::model::upload::UploadKey;
use crate::web::api::datasets::NameParams;
use crate::web::api::datasets::answers::UploadBody;
use crate::web::api::datasets::range;
use crate::web::api::datasets::range::RangeError;
use crate::web::api::kind::FileBytes;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::address::Path;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::middleware::limits;
use crate::web::state::AppState;
use crate::web::urls;

pub(super) fn router() -> Router<AppState> {
    // Parts are bounded by the limit of the whole file.
    let one = get(get_upload)
        .put(put_upload)
        .delete(delete_upload)
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/api/datasets/uploads", get(list_uploads))
        .route("/api/datasets/uploads/{key}", one)
}

/// Lists the uploads that are under way
///
/// All of them, newest first: there are never more than a few.
#[utoipa::path(
    get,
    path = "/api/datasets/uploads",
    tag = "datasets",
    responses((status = 200, description = "The uploads.", body = [UploadBody]))
)]
pub(super) async fn list_uploads(
    State(uploads): State<Uploads>,
    CurrentUser(viewer): CurrentUser,
) -> Result<Json<Vec<UploadBody>>, Error> {
    let found = uploads.list(viewer).await?;
    Ok(Json(found.into_iter().map(UploadBody::from).collect()))
}

/// Says how far an upload is
///
/// After a lost connection, `received_bytes` is where the next part begins. An upload of which nothing more arrives is
/// forgotten after a day.
#[utoipa::path(
    get,
    path = "/api/datasets/uploads/{key}",
    tag = "datasets",
    params(("key" = String, Path, description = "Of the upload, as its client chose it.", max_length = 100,
            pattern = "^[A-Za-z0-9._-]{1,100}$")),
    responses(
        (status = 200, description = "How far it is.", body = UploadBody),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
        (status = 404, description = "There is no such upload.", body = Envelope),
    )
)]
pub(super) async fn get_upload(
    State(uploads): State<Uploads>,
    CurrentUser(viewer): CurrentUser,
    Path(key): Path<String>,
) -> Result<Json<UploadBody>, Error> {
    let found = uploads.get(viewer, &read_key(&key)?).await?;
    Ok(Json(found.ok_or(Error::NotFound("upload"))?.into()))
}

/// Sends a part of a dump
///
/// The first part begins the upload under a key of your own, the one that fills the file makes the dataset. What is here
/// already is compared and not written again, so a part may overlap with earlier ones. A second request for the same upload
/// ends the first, whose connection is most likely dead. `bytes */52428800` without a body announces a file, or asks once
/// more for the end of one that is here whole.
#[utoipa::path(
    put,
    path = "/api/datasets/uploads/{key}",
    tag = "datasets",
    params(
        ("key" = String, Path, description = "Of the upload. Choose one for each file.", max_length = 100,
         pattern = "^[A-Za-z0-9._-]{1,100}$"),
        ("Content-Range" = String, Header, description = "Which bytes of the file these are, and how many it has in all.",
         example = "bytes 0-1048575/52428800", pattern = "^bytes ([0-9]+-[0-9]+|[*])/[0-9]+$"),
        NameParams,
    ),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "All of it is here, and `dataset` is what it has become.", body = UploadBody,
         headers(("Location" = String, description = "Where the dataset is."))),
        (status = 202, description = "The part is here for good; more is to come.", body = UploadBody),
        (status = 400, description = "A parameter or header cannot be, or the part is shorter or longer than it says.",
         body = Envelope),
        (status = 404, description = "The upload was deleted meanwhile.", body = Envelope),
        (status = 409, description = "The file is not the one that was begun, another request went on with this upload, it was \
         begun elsewhere, there are too many, or the account has no quota for it.", body = Envelope),
        (status = 416, description = "The part begins behind what is here, or ends behind the file.", body = Envelope,
         headers(("Content-Range" = String, description = "`bytes */` and how many bytes the file has."),
                 ("Upload-Offset" = Option<u64>, description = "Where the next part begins, where that is what is wrong."))),
        (status = 422, description = "All of it is here, and it is no dump that can be read. The upload is gone.",
         body = Envelope),
        (status = 507, description = "There is no room for the rest on the disk. What is here stays.", body = Envelope),
    )
)]
pub(super) async fn put_upload(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Path(key): Path<String>,
    UrlQuery(names): UrlQuery<NameParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = read_key(&key)?;
    let range = match range::read(&headers) {
        Ok(range) => range,
        Err(RangeError::Unreadable(error)) => return Err(Error::Invalid(vec![error])),
        Err(RangeError::Outside { total_bytes }) => {
            let message = format!("A file of {total_bytes} bytes has no such bytes.");
            return Ok(outside(message, total_bytes, None));
        }
    };
    let names = Names {
        name: names.name.unwrap_or_default(),
        file_name: names.file_name.unwrap_or_default(),
    };
    let uploads = &state.uploads;
    if uploads.get(viewer, &key).await?.is_none() {
        limits::take(&state.gate, &state.pool, Ask::upload(viewer.user_id)).await?;
    }
    match uploads
        .receive(viewer, &key, names, range, body.into_data_stream())
        .await
    {
        Ok(upload) => {
            let dataset = upload.dataset_id;
            let body = Json(UploadBody::from(upload));
            Ok(match dataset {
                Some(id) => (StatusCode::CREATED, [(header::LOCATION, urls::api_dataset(id))], body).into_response(),
                None => (StatusCode::ACCEPTED, body).into_response(),
            })
        }
        Err(
            error @ PartError::Gap {
                received_bytes,
                total_bytes,
            },
        ) => Ok(outside(error.to_string(), total_bytes, Some(received_bytes))),
        Err(error) => Err(error.into()),
    }
}

/// Gives an upload up
///
/// The dataset that it may have become stays.
#[utoipa::path(
    delete,
    path = "/api/datasets/uploads/{key}",
    tag = "datasets",
    params(("key" = String, Path, description = "Of the upload.", max_length = 100, pattern = "^[A-Za-z0-9._-]{1,100}$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
        (status = 404, description = "There is no such upload.", body = Envelope),
    )
)]
pub(super) async fn delete_upload(
    State(uploads): State<Uploads>,
    CurrentUser(viewer): CurrentUser,
    Path(key): Path<String>,
) -> Result<StatusCode, Error> {
    if uploads.delete(viewer, &read_key(&key)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::NotFound("upload"))
    }
}

fn read_key(key: &str) -> Result<UploadKey, Error> {
    key.parse()
        .map_err(|error: NoKey| Error::Invalid(vec![FieldError::new("key", error.to_string())]))
}

/// 416, with what there is instead.
fn outside(message: String, total_bytes: u64, next: Option<u64>) -> Response {
    let mut response = Error::Refused {
        status: StatusCode::RANGE_NOT_SATISFIABLE,
        message,
    }
    .into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{total_bytes}")) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    if let Some(next) = next {
        headers.insert("upload-offset", HeaderValue::from(next));
    }
    response
}
