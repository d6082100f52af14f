//! Where dumps and queries come in. A refused form comes back with its words; the chosen file stays chosen under htmx,
//! because only the message is swapped.

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Multipart;
use axum::extract::State;
use axum::extract::multipart::MultipartRejection;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;

use crate::dataset::service::Datasets;
use crate::dataset::service::UploadError;
use crate::files::intake::IntakeError;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::units::bytes_in_words;
use crate::model::user::Viewer;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::parts;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::state::AppState;
use crate::web::state::Samples;
use crate::web::urls;
use crate::web::view;
use crate::workload::service::AddError;
use crate::workload::service::MAX_SCRIPT_BYTES;
use crate::workload::service::NewScript;
use crate::workload::service::Workloads;

pub fn router() -> Router<AppState> {
    // Both forms have limits of their own, which answer in words.
    Router::new()
        .route(urls::UPLOAD, get(show))
        .route(urls::UPLOAD_DUMP, post(dump).layer(DefaultBodyLimit::disable()))
        .route(urls::UPLOAD_QUERIES, post(queries).layer(DefaultBodyLimit::disable()))
        .route(urls::UPLOAD_SAMPLE, post(sample))
}

#[derive(Template)]
#[template(path = "upload/show.html", blocks = ["status"])]
struct ShowPage {
    max_dump: String,
    max_dump_bytes: u64,
    max_script: String,
    max_script_bytes: usize,
    offers_sample: bool,
    dump: Panel,
    queries: Panel,
    /// What was not taken, and why.
    refusal: Option<Refusal>,
    /// Whether the status goes into a page that is already there.
    is_out_of_band: bool,
}

/// One form with what stays in it when it comes back. A file cannot stay: browsers do not let us choose one.
#[derive(Default)]
struct Panel {
    request_id: String,
    name: String,
    text: String,
    error: Option<String>,
}

struct Refusal {
    what: &'static str,
    message: String,
}

/// GET /upload
async fn show(State(datasets): State<Datasets>, State(samples): State<Samples>) -> Result<Response, Error> {
    fragment::page(&ShowPage::new(&datasets, &samples)?)
}

/// POST /upload/dump
async fn dump(
    State(datasets): State<Datasets>,
    State(samples): State<Samples>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Error> {
    let mut panel = Panel::default();
    match take_dump(&datasets, viewer, &headers, form, &mut panel).await {
        Ok(id) => Ok(hx.redirect(&urls::dataset(id))),
        Err(error) => {
            let mut page = ShowPage::new(&datasets, &samples)?;
            page.dump.name = panel.name;
            page.refuse(Which::Dump, error, hx)
        }
    }
}

/// POST /upload/queries
async fn queries(
    State(datasets): State<Datasets>,
    State(workloads): State<Workloads>,
    State(samples): State<Samples>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Error> {
    let mut panel = Panel::default();
    match take_queries(&workloads, viewer, &headers, form, &mut panel).await {
        Ok(id) => Ok(hx.redirect(&urls::workload(id))),
        Err(error) => {
            let mut page = ShowPage::new(&datasets, &samples)?;
            (page.queries.name, page.queries.text) = (panel.name, panel.text);
            page.refuse(Which::Queries, error, hx)
        }
    }
}

#[derive(Deserialize)]
struct SampleForm {
    what: WhatSample,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WhatSample {
    Dump,
    Queries,
    Both,
}

/// POST /upload/sample: what the house brings along. Loading it again leads to what is there.
async fn sample(
    State(datasets): State<Datasets>,
    State(workloads): State<Workloads>,
    State(samples): State<Samples>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(form): Form<SampleForm>,
) -> Result<Response, Error> {
    let dir = samples.0.ok_or(Error::NotFound("sample"))?;
    Ok(match form.what {
        WhatSample::Dump => hx.redirect(&urls::dataset(datasets.add_sample(viewer, &dir).await?)),
        WhatSample::Queries => hx.redirect(&urls::workload(workloads.add_sample(viewer, &dir).await?)),
        WhatSample::Both => {
            workloads.add_sample(viewer, &dir).await?;
            datasets.add_sample(viewer, &dir).await?;
            hx.redirect(urls::DASHBOARD)
        }
    })
}

/// Reads the form of a dump as it arrives: the file streams to disk and is dropped again when the form is refused.
async fn take_dump(
    datasets: &Datasets,
    viewer: Viewer,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
    panel: &mut Panel,
) -> PageResult<DatasetId> {
    let limit_bytes = datasets.max_upload_bytes;
    if parts::says_longer_than(headers, limit_bytes) {
        return Err(UploadError::from(IntakeError::TooLarge { limit_bytes }).into());
    }
    let mut form = parts::form(form)?;
    let mut file = None;
    while let Some(field) = parts::next(&mut form).await? {
        match field.name() {
            Some("request_id") => panel.request_id = parts::word(field).await?,
            Some("name") => panel.name = parts::word(field).await?,
            Some("file") if file.is_some() => return Err(Error::refused("Send one file at a time.")),
            Some("file") => {
                let file_name = field.file_name().unwrap_or_default().to_owned();
                if file_name.is_empty() {
                    return Err(Error::refused("Choose a dump file first."));
                }
                file = Some((datasets.receive(field).await?, file_name));
            }
            _ => {}
        }
    }
    let (arrived, file_name) = file.ok_or_else(|| Error::refused("Choose a dump file first."))?;
    let request_id = view::request_id_or(panel.request_id.clone())?;
    Ok(datasets
        .add(viewer, arrived, &panel.name, &file_name, &request_id)
        .await?)
}

/// Reads the form of queries. A file wins over pasted text.
async fn take_queries(
    workloads: &Workloads,
    viewer: Viewer,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
    panel: &mut Panel,
) -> PageResult<WorkloadId> {
    if parts::says_longer_than(headers, 2 * MAX_SCRIPT_BYTES as u64) {
        return Err(AddError::TooLarge.into());
    }
    let mut form = parts::form(form)?;
    let mut file: Option<(String, Vec<u8>)> = None;
    while let Some(field) = parts::next(&mut form).await? {
        match field.name() {
            Some("request_id") => panel.request_id = parts::word(field).await?,
            Some("name") => panel.name = parts::word(field).await?,
            Some("text") => {
                let bytes = parts::bytes(field, MAX_SCRIPT_BYTES).await?;
                if bytes.len() > MAX_SCRIPT_BYTES {
                    return Err(AddError::TooLarge.into());
                }
                panel.text = String::from_utf8_lossy(&bytes).into_owned();
            }
            Some("file") if file.is_some() => return Err(Error::refused("Send one file at a time.")),
            Some("file") => {
                let file_name = field.file_name().unwrap_or_default().to_owned();
                if !file_name.is_empty() {
                    let bytes = parts::bytes(field, MAX_SCRIPT_BYTES).await?;
                    if bytes.len() > MAX_SCRIPT_BYTES {
                        return Err(AddError::TooLarge.into());
                    }
                    file = Some((file_name, bytes));
                }
            }
            _ => {}
        }
    }
    let (file_name, bytes) = match file {
        Some(file) => file,
        None if panel.text.trim().is_empty() => {
            return Err(Error::refused("Choose a file with queries, or paste some."));
        }
        None => ("Pasted queries".to_owned(), panel.text.clone().into_bytes()),
    };
    let script = NewScript {
        request_id: view::request_id_or(panel.request_id.clone())?,
        name: panel.name.clone(),
        file_name,
        bytes,
    };
    Ok(workloads.add(viewer, script).await?)
}

#[derive(Clone, Copy)]
enum Which {
    Dump,
    Queries,
}

impl ShowPage {
    fn new(datasets: &Datasets, samples: &Samples) -> anyhow::Result<Self> {
        let panel = || -> anyhow::Result<Panel> {
            Ok(Panel {
                request_id: view::request_id()?,
                ..Panel::default()
            })
        };
        Ok(Self {
            max_dump: bytes_in_words(datasets.max_upload_bytes),
            max_dump_bytes: datasets.max_upload_bytes,
            max_script: bytes_in_words(MAX_SCRIPT_BYTES as u64),
            max_script_bytes: MAX_SCRIPT_BYTES,
            offers_sample: samples.0.is_some(),
            dump: panel()?,
            queries: panel()?,
            refusal: None,
            is_out_of_band: false,
        })
    }

    /// The page with the words beside the field, or for htmx the words alone. Faults go their own way.
    fn refuse(mut self, which: Which, error: Error, hx: Hx) -> Result<Response, Error> {
        let Error::Refused { status, message } = error else {
            return Err(error);
        };
        let what = match which {
            Which::Dump => "The dump was not taken.",
            Which::Queries => "The queries were not taken.",
        };
        let panel = match which {
            Which::Dump => &mut self.dump,
            Which::Queries => &mut self.queries,
        };
        panel.error = Some(message.clone());
        self.refusal = Some(Refusal { what, message });
        self.is_out_of_band = hx.is_fragment;
        let mut response = if hx.is_fragment {
            fragment::with_status(status, &self.as_status())?
        } else {
            fragment::with_status(status, &self)?
        };
        // A body that was not read to its end cannot be followed by another request.
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
