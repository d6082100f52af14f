//! Dumps and queries as forms bring them, which pages and the API read alike. A file streams to disk, and is dropped again when
//! its form is refused.

use axum::extract::Multipart;
use axum::extract::multipart::MultipartRejection;
use axum::http::HeaderMap;

use crate::dataset::service::Datasets;
use crate::dataset::service::UploadError;
use crate::files::intake::IntakeError;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::web::error::Error;
use crate::web::extract::parts;
use crate::web::view;
use crate::workload::service::AddError;
use crate::workload::service::MAX_SCRIPT_BYTES;
use crate::workload::service::NewScript;
use crate::workload::service::Workloads;

/// What came beside the file of a form, as far as it was read.
#[derive(Debug, Default)]
pub struct Words {
    /// One that is known before counts more than that of the form.
    pub request_id: String,
    pub name: String,
    /// Pasted queries.
    pub text: String,
}

/// Refuses a dump that says of itself that it is too large, before it is read.
pub fn check_length(datasets: &Datasets, headers: &HeaderMap) -> Result<(), Error> {
    let limit_bytes = datasets.max_upload_bytes;
    if parts::says_longer_than(headers, limit_bytes) {
        return Err(UploadError::from(IntakeError::TooLarge { limit_bytes }).into());
    }
    Ok(())
}

/// Reads the form of a dump as it arrives, and makes a dataset of it.
pub async fn dump(
    datasets: &Datasets,
    viewer: Viewer,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
    words: &mut Words,
) -> Result<DatasetId, Error> {
    check_length(datasets, headers)?;
    let mut form = parts::form(form)?;
    let mut file = None;
    while let Some(field) = parts::next(&mut form).await? {
        match field.name() {
            Some("request_id") => words.take_request_id(parts::word(field).await?),
            Some("name") => words.name = parts::word(field).await?,
            Some("file") if file.is_some() => return Err(Error::refused("Send one file at a time.")),
            Some("file") => {
                let file_name = field.file_name().unwrap_or_default().to_owned();
                if file_name.is_empty() {
                    return Err(Error::refused("Choose a dump file first."));
                }
                let least_bytes = parts::said_file_length(headers);
                datasets.admit(viewer, &words.request_id, least_bytes).await?;
                file = Some((datasets.receive(field).await?, file_name));
            }
            _ => {}
        }
    }
    let (arrived, file_name) = file.ok_or_else(|| Error::refused("Choose a dump file first."))?;
    let request_id = view::request_id_or(words.request_id.clone())?;
    Ok(datasets
        .add(viewer, arrived, &words.name, &file_name, &request_id)
        .await?)
}

/// Reads the form of queries, and makes a workload of them. A file wins over pasted text.
pub async fn queries(
    workloads: &Workloads,
    viewer: Viewer,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
    words: &mut Words,
) -> Result<WorkloadId, Error> {
    if parts::says_longer_than(headers, 2 * MAX_SCRIPT_BYTES as u64) {
        return Err(AddError::TooLarge.into());
    }
    let mut form = parts::form(form)?;
    let mut file: Option<(String, Vec<u8>)> = None;
    while let Some(field) = parts::next(&mut form).await? {
        match field.name() {
            Some("request_id") => words.take_request_id(parts::word(field).await?),
            Some("name") => words.name = parts::word(field).await?,
            Some("text") => {
                let bytes = parts::bytes(field, MAX_SCRIPT_BYTES).await?;
                if bytes.len() > MAX_SCRIPT_BYTES {
                    return Err(AddError::TooLarge.into());
                }
                words.text = String::from_utf8_lossy(&bytes).into_owned();
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
        None if words.text.trim().is_empty() => {
            return Err(Error::refused("Choose a file with queries, or paste some."));
        }
        None => ("Pasted queries".to_owned(), words.text.clone().into_bytes()),
    };
    let script = NewScript {
        request_id: view::request_id_or(words.request_id.clone())?,
        name: words.name.clone(),
        file_name,
        bytes,
    };
    Ok(workloads.add(viewer, script).await?)
}

impl Words {
    fn take_request_id(&mut self, sent: String) {
        if self.request_id.is_empty() {
            self.request_id = sent;
        }
    }
}
