//! What people can do with workloads: add, look, check, delete.

use std::path::Path;

use anyhow::Context as _;
use sha2::Digest as _;
use sha2::Sha256;
use sqlx::PgPool;

use crate::auth::quota::QuotaKeeper;
use crate::auth::quota::TakeError;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::job::Job;
use crate::model::job::JobKind;
use crate::model::quota::Quota;
use crate::model::text::display_name;
use crate::model::text::given_name;
use crate::model::user::Viewer;
use crate::model::workload::CheckResult;
use crate::model::workload::NewWorkload;
use crate::store;
use crate::workload::read;
use crate::workload::read::ScriptError;

/// The largest query file.
pub const MAX_SCRIPT_BYTES: usize = 5 << 20;

/// The door to workloads.
#[derive(Clone)]
pub struct Workloads {
    pub pool: PgPool,
    pub quotas: QuotaKeeper,
}

/// A script as it arrived.
#[derive(Clone, Debug, Default)]
pub struct NewScript {
    pub request_id: String,
    /// What the person calls it; the file's name when empty.
    pub name: String,
    pub file_name: String,
    pub bytes: Vec<u8>,
}

/// Why a script is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    #[error("The file is empty.")]
    Empty,
    #[error("Query files have at most 5 MiB.")]
    TooLarge,
    #[error("The file is UTF-16. Save it as UTF-8.")]
    Utf16,
    #[error("The file is not UTF-8 text: byte {offset}, in line {line}, cannot be read.")]
    NotText { offset: usize, line: usize },
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for AddError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// What became of a wish to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Done,
    /// Something that waits or runs needs it.
    InUse,
    NotThere,
}

impl Workloads {
    /// Adds a workload. The same form sent twice adds it once.
    pub async fn add(&self, viewer: Viewer, script: NewScript) -> Result<WorkloadId, AddError> {
        let text = text(&script.bytes)?;
        let queries = read::read(text)?;
        let file_name = display_name(&script.file_name, "queries.sql");
        let new = NewWorkload {
            name: given_name(&script.name, &file_name),
            file_name,
            script: text.to_owned(),
            sha256: hex::encode(Sha256::digest(&script.bytes)),
            queries,
            request_id: script.request_id,
        };
        let mut transaction = self.pool.begin().await?;
        if let Some(id) = store::workloads::find_by_request(&mut transaction, viewer, &new.request_id).await? {
            return Ok(id);
        }
        match store::workloads::insert(&mut transaction, viewer, &new).await {
            Ok(id) => {
                transaction.commit().await?;
                Ok(id)
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::workloads::find_by_request(&mut conn, viewer, &new.request_id).await?;
                Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its workload"))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The sample queries. Their request id is always the same, so that they are there once however they are asked for.
    pub async fn add_sample(&self, viewer: Viewer, samples_dir: &Path) -> Result<WorkloadId, AddError> {
        let path = samples_dir.join("queries.sql");
        let bytes = tokio::fs::read(&path).await;
        let script = NewScript {
            request_id: "sample workload".to_owned(),
            name: "Sample queries".to_owned(),
            file_name: "queries.sql".to_owned(),
            bytes: bytes.with_context(|| format!("reading {}", path.display()))?,
        };
        self.add(viewer, script).await
    }

    /// Asks for a check of a workload against a dataset; it waits its turn like everything that works on a dataset.
    pub async fn request_check(
        &self,
        viewer: Viewer,
        workload_id: WorkloadId,
        dataset_id: DatasetId,
    ) -> Result<bool, TakeError> {
        let mut transaction = self.pool.begin().await?;
        let is_there = store::workloads::get(&mut transaction, viewer, workload_id)
            .await?
            .is_some()
            && store::datasets::get(&mut transaction, viewer, dataset_id)
                .await?
                .is_some();
        if !is_there {
            return Ok(false);
        }
        // A double click asks once.
        if let Some(job_id) = store::checks::get(&mut transaction, viewer, workload_id, dataset_id).await?
            && store::jobs::get(&mut transaction, viewer, job_id)
                .await?
                .is_some_and(|job| !job.status.is_settled())
        {
            return Ok(true);
        }
        let taken = self
            .quotas
            .may_take(&mut transaction, viewer.user_id, Quota::Waiting, 1);
        taken.await?;
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Check, None).await?;
        store::checks::replace(&mut transaction, viewer, workload_id, dataset_id, job_id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The newest check of a pair with its results so far; none when it was never checked.
    pub async fn check(
        &self,
        viewer: Viewer,
        workload_id: WorkloadId,
        dataset_id: DatasetId,
    ) -> store::Result<Option<(Job, Vec<CheckResult>)>> {
        let mut conn = self.pool.acquire().await?;
        let Some(job_id) = store::checks::get(&mut conn, viewer, workload_id, dataset_id).await? else {
            return Ok(None);
        };
        let Some(job) = store::jobs::get(&mut conn, viewer, job_id).await? else {
            return Ok(None);
        };
        let results = store::checks::list_results(&mut conn, viewer, workload_id, dataset_id).await?;
        Ok(Some((job, results)))
    }

    /// Deletes a workload that nothing needs. Results that it led to stay.
    pub async fn delete(&self, viewer: Viewer, id: WorkloadId) -> store::Result<Deleted> {
        let mut conn = self.pool.acquire().await?;
        if store::workloads::delete_unused(&mut conn, viewer, id).await? {
            return Ok(Deleted::Done);
        }
        let is_there = store::workloads::get(&mut conn, viewer, id).await?.is_some();
        Ok(if is_there { Deleted::InUse } else { Deleted::NotThere })
    }
}

fn text(bytes: &[u8]) -> Result<&str, AddError> {
    if bytes.is_empty() {
        return Err(AddError::Empty);
    }
    if bytes.len() > MAX_SCRIPT_BYTES {
        return Err(AddError::TooLarge);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(AddError::Utf16);
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let line = bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        AddError::NotText { offset, line }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_text_are_refused_with_the_place() {
        assert!(matches!(text(b""), Err(AddError::Empty)));
        assert!(matches!(text(b"\xff\xfes\0"), Err(AddError::Utf16)));
        assert!(matches!(
            text(b"select 1;\n\xe9"),
            Err(AddError::NotText { offset: 10, line: 2 })
        ));
        assert!(matches!(
            text(&vec![b' '; MAX_SCRIPT_BYTES + 1]),
            Err(AddError::TooLarge)
        ));
        assert_eq!(text("select 'ä'".as_bytes()).unwrap(), "select 'ä'");
    }
}
