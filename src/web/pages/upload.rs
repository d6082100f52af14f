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
use crate::model::units::bytes_in_words;
use crate::web::error::Error;
use crate::web::extract::form::Form;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::sent;
use crate::web::sent::Words;
use crate::web::state::AppState;
use crate::web::state::Samples;
use crate::web::urls;
use crate::web::view;
use crate::workload::service::MAX_SCRIPT_BYTES;
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
    let mut words = Words::default();
    match sent::dump(&datasets, viewer, &headers, form, &mut words).await {
        Ok(id) => Ok(hx.redirect(&urls::dataset(id))),
        Err(error) => {
            let mut page = ShowPage::new(&datasets, &samples)?;
            page.dump.name = words.name;
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
    let mut words = Words::default();
    match sent::queries(&workloads, viewer, &headers, form, &mut words).await {
        Ok(id) => Ok(hx.redirect(&urls::workload(id))),
        Err(error) => {
            let mut page = ShowPage::new(&datasets, &samples)?;
            (page.queries.name, page.queries.text) = (words.name, words.text);
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
        // As with any other body that was not read to its end.
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
