//! A script of queries in each of the ways in which a program may send it.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::FromRequest as _;
use axum::extract::Multipart;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::experiment::fields::FieldError;
use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::web::api::idempotency;
use crate::web::api::kind::Kind;
use crate::web::error::Error;
use crate::web::extract::parts;
use crate::web::sent;
use crate::web::sent::Words;
use crate::web::view;
use crate::workload::service::AddError;
use crate::workload::service::MAX_SCRIPT_BYTES;
use crate::workload::service::NewScript;
use crate::workload::service::Workloads;

/// In JSON a character may take six: `\u0020`.
const MOST_JSON_BYTES: usize = 6 * MAX_SCRIPT_BYTES;

/// The names of a script that comes without a form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct ScriptParams {
    /// Of a script that is the whole body: what it is called; the name of the file where this is left out. Only the first 255
    /// characters are kept.
    name: Option<String>,
    /// What the file is called where it comes from.
    file_name: Option<String>,
}

/// A script in JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Orders", "script": "-- name: total\nselect sum(total) from orders;" }))]
pub(super) struct ScriptWish {
    /// What it is called; the name of the file where this is left out. Only the first 255 characters are kept.
    name: Option<String>,
    /// What the file is called where it comes from.
    file_name: Option<String>,
    /// The same as the header `Idempotency-Key`.
    #[schema(max_length = 200)]
    request_id: Option<String>,
    /// The statements.
    #[schema(min_length = 1, max_length = 5_242_880)]
    script: String,
}

/// The form of a script, the same as the one on the page. A file wins over a text.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read part by part, and described here")]
pub(super) struct ScriptForm {
    /// What it is called; the name of the file where this is left out. Only the first 255 characters are kept.
    #[schema(nullable = false)]
    name: Option<String>,
    /// The same as the header `Idempotency-Key`.
    #[schema(nullable = false)]
    request_id: Option<String>,
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    file: Option<Vec<u8>>,
    /// The statements, where they come without a file.
    #[schema(nullable = false)]
    text: Option<String>,
}

/// Makes a workload of what a request brings. `request_id` may be empty.
pub(super) async fn add(
    workloads: &Workloads,
    viewer: Viewer,
    params: ScriptParams,
    request_id: String,
    request: Request,
) -> Result<WorkloadId, Error> {
    let script = match Kind::of(request.headers()) {
        Kind::Form => {
            let headers = request.headers().clone();
            let form = Multipart::from_request(request, &()).await;
            let mut words = Words {
                request_id,
                ..Words::default()
            };
            return sent::queries(workloads, viewer, &headers, form, &mut words).await;
        }
        Kind::Json => {
            let wish = read_wish(&whole(request, MOST_JSON_BYTES).await?)?;
            let sent_id = wish.request_id.unwrap_or_default();
            NewScript {
                request_id: view::request_id_or(if request_id.is_empty() { sent_id } else { request_id })?,
                name: wish.name.unwrap_or_default(),
                file_name: wish.file_name.unwrap_or_default(),
                bytes: wish.script.into_bytes(),
            }
        }
        Kind::Sql => NewScript {
            request_id: view::request_id_or(request_id)?,
            name: params.name.unwrap_or_default(),
            file_name: params.file_name.unwrap_or_default(),
            bytes: whole(request, MAX_SCRIPT_BYTES).await?,
        },
        Kind::Bytes | Kind::Other => {
            return Err(Kind::refused(
                "application/json, multipart/form-data or application/sql",
            ));
        }
    };
    Ok(workloads.add(viewer, script).await?)
}

fn read_wish(bytes: &[u8]) -> Result<ScriptWish, Error> {
    let object: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| Error::Refused {
        status: StatusCode::BAD_REQUEST,
        message: format!("The body is no JSON object: {error}."),
    })?;
    let texts = ["name", "file_name", "request_id", "script"];
    let wrong = object.iter().filter_map(|(name, value)| {
        let message = match value {
            _ if !texts.contains(&name.as_str()) => "There is no field of this name.",
            Value::String(_) if name == "request_id" => return idempotency::in_body(name, value).err(),
            Value::String(_) => return None,
            Value::Null if name != "script" => return None,
            _ => "This takes a text.",
        };
        Some(FieldError::new(name, message))
    });
    let mut wrong: Vec<FieldError> = wrong.collect();
    if !object.contains_key("script") {
        wrong.push(FieldError::new("script", "This takes the statements."));
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    serde_json::from_value(object.into()).map_err(|error| Error::Fault(error.into()))
}

/// The body of a request, which is refused when it is longer than that.
async fn whole(request: Request, limit_bytes: usize) -> Result<Vec<u8>, Error> {
    if says_longer(request.headers(), limit_bytes) {
        return Err(AddError::TooLarge.into());
    }
    let mut bytes = Vec::new();
    let mut stream = Body::into_data_stream(request.into_body());
    while let Some(chunk) = stream.next().await {
        let chunk: Bytes = chunk.map_err(|_| Error::Refused {
            status: StatusCode::BAD_REQUEST,
            message: "The body did not arrive whole. Send it again.".to_owned(),
        })?;
        if bytes.len() + chunk.len() > limit_bytes {
            return Err(AddError::TooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn says_longer(headers: &HeaderMap, limit_bytes: usize) -> bool {
    parts::says_longer_than(headers, limit_bytes as u64)
}
