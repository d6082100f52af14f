//! Statistics files of a dataset: taken in, compared with what the dataset holds, deleted.

pub mod compare;
pub(super) mod in_dump;
pub mod read;

use anyhow::Context as _;
use sha2::Digest as _;
use sha2::Sha256;

use crate::dataset::service::Datasets;
use crate::model::ids::DatasetId;
use crate::model::ids::StatisticsFileId;
use crate::model::statistics_file::BadFile;
use crate::model::statistics_file::NewStatisticsFile;
use crate::model::statistics_file::StatisticsFileInfo;
use crate::model::text::display_name;
use crate::model::user::Viewer;
use crate::store;

use compare::Comparison;

/// The largest statistics file.
pub const MAX_STATISTICS_BYTES: usize = 64 << 20;

/// A statistics file as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    pub request_id: String,
    pub file_name: String,
    pub bytes: Vec<u8>,
}

/// Why a statistics file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsFileError {
    #[error("Statistics files have at most 64 MiB.")]
    TooLarge,
    #[error("This dataset is gone.")]
    NoDataset,
    #[error(transparent)]
    Bad(#[from] BadFile),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for StatisticsFileError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// What became of a wish to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Done,
    /// An experiment or a benchmark that waits or runs names it.
    InUse,
}

/// One statistics file beside its dataset.
pub struct Shown {
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub file: StatisticsFileInfo,
    /// None while it is not known what the dataset holds.
    pub comparison: Option<Comparison>,
}

impl Datasets {
    /// Keeps a statistics file for a dataset. The same form sent twice keeps it once.
    pub async fn add_statistics(
        &self,
        viewer: Viewer,
        dataset_id: DatasetId,
        arrived: Arrived,
    ) -> Result<StatisticsFileId, StatisticsFileError> {
        if arrived.bytes.len() > MAX_STATISTICS_BYTES {
            return Err(StatisticsFileError::TooLarge);
        }
        let read = tokio::task::spawn_blocking(move || -> Result<NewStatisticsFile, BadFile> {
            let (format, contents) = read::read(&arrived.bytes)?;
            Ok(NewStatisticsFile {
                request_id: arrived.request_id,
                name: name_of(&arrived.file_name),
                format,
                size_bytes: arrived.bytes.len() as u64,
                sha256: hex::encode(Sha256::digest(&arrived.bytes)),
                contents,
            })
        });
        let new = read.await.context("reading a statistics file")??;
        let mut transaction = self.pool.begin().await?;
        if store::datasets::get(&mut transaction, viewer, dataset_id)
            .await?
            .is_none()
        {
            return Err(StatisticsFileError::NoDataset);
        }
        let earlier = store::statistics_files::find_by_request(&mut transaction, dataset_id, &new.request_id).await?;
        if let Some(id) = earlier {
            return Ok(id);
        }
        match store::statistics_files::insert(&mut transaction, dataset_id, &new).await {
            Ok(id) => {
                transaction.commit().await?;
                Ok(id)
            }
            // The same form, sent at the same moment, was quicker.
            Err(error) if store::is_duplicate(&error) => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::statistics_files::find_by_request(&mut conn, dataset_id, &new.request_id).await?;
                Ok(id.context("a repeated request without its file")?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A statistics file with what it has and lacks for its dataset; none when there is no such file.
    pub async fn statistics_file(&self, viewer: Viewer, id: StatisticsFileId) -> anyhow::Result<Option<Shown>> {
        let mut conn = self.pool.acquire().await?;
        let Some((dataset_id, file)) = store::statistics_files::get(&mut conn, viewer, id).await? else {
            return Ok(None);
        };
        let dataset = store::datasets::get(&mut conn, viewer, dataset_id).await?;
        let inventory = store::restores::inventory(&mut conn, viewer, dataset_id).await?;
        let contents = store::statistics_files::contents(&mut conn, viewer, id).await?;
        drop(conn);
        let (Some(dataset), Some(contents)) = (dataset, contents) else {
            return Ok(None);
        };
        let comparison = match inventory {
            None => None,
            Some(inventory) => {
                let compared = tokio::task::spawn_blocking(move || compare::compare(&contents, &inventory));
                Some(compared.await.context("comparing a statistics file")?)
            }
        };
        Ok(Some(Shown {
            dataset_id,
            dataset_name: dataset.name,
            file,
            comparison,
        }))
    }

    /// Deletes a statistics file that no waiting experiment names. What experiments made of it stays with them.
    pub async fn delete_statistics(&self, viewer: Viewer, id: StatisticsFileId) -> store::Result<Deleted> {
        let mut conn = self.pool.acquire().await?;
        let is_deleted = store::statistics_files::delete_unused(&mut conn, viewer, id).await?;
        Ok(if is_deleted { Deleted::Done } else { Deleted::InUse })
    }
}

/// The name by which experiments call a file. A comma would part two values of a parameter.
fn name_of(file_name: &str) -> String {
    display_name(file_name, "statistics").replace(',', "_")
}

#[cfg(test)]
mod tests;
