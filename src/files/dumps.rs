//! The dumps of datasets: on the disk of this machine, or where there is a depot, in that. A dump of the depot is on the disk
//! of whoever restores it, for as long as that takes.

use std::path::PathBuf;
use std::sync::OnceLock;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt as _;

use crate::files::depot::Depot;
use crate::files::depot::DepotError;
use crate::files::disk::Disk;
use crate::files::intake;
use crate::files::intake::Arrived;
use crate::files::intake::IntakeError;
use crate::files::layout::Layout;
use crate::model::dataset::Dataset;
use crate::model::ids::DatasetId;

/// Where dumps are, as this process sees it.
#[derive(Clone)]
pub struct Dumps {
    pub layout: Layout,
    /// The one that holds the uploads.
    pub disk: Disk,
    pub depot: Option<Depot>,
}

/// Why a dump cannot be had here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(
        "The dump is in a depot, and the pgassay that wanted to restore it has none. Start it with the same PGASSAY_FILES as \
         the one that took the upload."
    )]
    NoDepot,
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl Dumps {
    /// Takes in the bytes of an upload under a temporary name.
    pub async fn receive<E: std::fmt::Display>(
        &self,
        stream: impl Stream<Item = Result<Bytes, E>>,
        limit_bytes: u64,
    ) -> Result<Arrived, IntakeError> {
        intake::receive(stream, self.layout.new_incoming()?, &self.disk, limit_bytes).await
    }

    /// The path of a dataset's dump on this disk. What is only in the depot is fetched first, whole and as it was uploaded
    /// or not at all; `tell` hears how many bytes have come so far.
    pub async fn at_hand(&self, dataset: &Dataset, tell: impl Fn(u64)) -> Result<PathBuf, FetchError> {
        let path = self.layout.dump(dataset.id);
        if !dataset.is_in_depot || tokio::fs::try_exists(&path).await.map_err(anyhow::Error::from)? {
            return Ok(path);
        }
        let depot = self.depot.as_ref().ok_or(FetchError::NoDepot)?;
        let (mut n_bytes, trouble) = (0, OnceLock::new());
        let parts = depot.read(dataset.id, dataset.size_bytes).map(|part| {
            let part = part.map_err(|error| {
                // Nothing is asked for after the first.
                let _ = trouble.set(error);
                "the depot"
            })?;
            n_bytes += part.len() as u64;
            tell(n_bytes);
            Ok::<_, &str>(part)
        });
        let received = self.receive(parts, dataset.size_bytes).await;
        let mut arrived = match (received, trouble.into_inner()) {
            (Err(_), Some(error)) => return Err(error.into()),
            (received, _) => received?,
        };
        if arrived.sha256 != dataset.sha256 {
            let place = depot.place().to_owned();
            return Err(DepotError::Damaged { place }.into());
        }
        arrived.keep_as(&path).await?;
        Ok(path)
    }

    /// Removes the dump of a dataset that is gone. What the depot does not do now is done by whoever tidies it.
    pub async fn remove(&self, dataset_id: DatasetId) -> anyhow::Result<()> {
        self.layout.remove_dump(dataset_id).await?;
        if let Some(depot) = &self.depot
            && let Err(error) = depot.remove(dataset_id).await
        {
            tracing::warn!(dataset.id = %dataset_id, "The dump of dataset {dataset_id} stays in the depot for now: {error}");
        }
        Ok(())
    }
}
