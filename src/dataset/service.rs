//! What people can do with datasets: upload, look, stop, delete.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::Stream;
use sqlx::PgConnection;
use sqlx::PgPool;
use tokio_util::io::ReaderStream;
use tracing::Instrument as _;

use crate::auth::quota::QuotaError;
use crate::auth::quota::QuotaKeeper;
use crate::auth::quota::TakeError;
use crate::dataset::format;
use crate::dataset::format::FormatError;
use crate::files::depot::DepotError;
use crate::files::dumps::Dumps;
use crate::files::intake::Arrived;
use crate::files::intake::IntakeError;
use crate::metrics::Metrics;
use crate::metrics::Upload;
use crate::model::dataset::Dataset;
use crate::model::dataset::NewDataset;
use crate::model::ids::DatasetId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::quota::Quota;
use crate::model::text::display_name;
use crate::model::text::given_name;
use crate::model::user::Viewer;
use crate::store;
use crate::target::lease::Sandboxes;

/// How much of a local file is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// The door to datasets.
#[derive(Clone)]
pub struct Datasets {
    pub pool: PgPool,
    pub dumps: Dumps,
    pub home: String,
    pub sandboxes: Sandboxes,
    /// The version of the `pg_restore` that reads archives; none where this machine has none.
    pub tools_major: Option<u32>,
    pub max_upload_bytes: u64,
    pub quotas: QuotaKeeper,
    pub metrics: Metrics,
}

/// Why an upload is not taken. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<TakeError> for UploadError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Quota(refusal) => refusal.into(),
            TakeError::Store(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for UploadError {
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

impl Datasets {
    /// What people should know about where datasets are; none when each has a server of its own.
    pub fn warning(&self) -> Option<&'static str> {
        self.sandboxes.warning()
    }

    /// Refuses an upload of at least so many bytes that has no place in its account's quotas, before it is read. One that
    /// was sent before has its place.
    pub async fn admit(&self, viewer: Viewer, request_id: &str, least_bytes: u64) -> Result<(), UploadError> {
        let mut conn = self.pool.acquire().await?;
        let refusal = match self.take_place(&mut conn, viewer, least_bytes).await {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        if store::datasets::find_by_request(&mut conn, viewer, request_id)
            .await?
            .is_some()
        {
            return Ok(());
        }
        self.metrics.count_upload(Upload::Refused, 0);
        Err(refusal.into())
    }

    /// Takes the room of an upload that begins to arrive, within the transaction that notes it.
    pub(super) async fn take_room(
        &self,
        conn: &mut PgConnection,
        viewer: Viewer,
        total_bytes: u64,
    ) -> Result<(), UploadError> {
        let taken = self.take_place(conn, viewer, total_bytes).await;
        taken.map_err(|refusal| {
            self.metrics.count_upload(Upload::Refused, 0);
            refusal.into()
        })
    }

    async fn take_place(&self, conn: &mut PgConnection, viewer: Viewer, size_bytes: u64) -> Result<(), TakeError> {
        for (quota, asks) in [(Quota::Datasets, 1), (Quota::Storage, size_bytes)] {
            self.quotas.may_take(&mut *conn, viewer.user_id, quota, asks).await?;
        }
        Ok(())
    }

    /// Takes in the bytes of an upload under a temporary name.
    pub async fn receive<E: std::fmt::Display>(
        &self,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Arrived, UploadError> {
        let received = self.dumps.receive(stream, self.max_upload_bytes).await;
        if received.is_err() {
            self.metrics.count_upload(Upload::Refused, 0);
        }
        Ok(received?)
    }

    /// Makes a dataset of a file that has arrived, and queues its restore. The same form sent twice makes one.
    pub async fn add(
        &self,
        viewer: Viewer,
        arrived: Arrived,
        name: &str,
        file_name: &str,
        request_id: &str,
    ) -> Result<DatasetId, UploadError> {
        let size_bytes = arrived.size_bytes;
        let added = self.add_arrived(viewer, arrived, name, file_name, request_id).await;
        let upload = if added.is_ok() { Upload::Taken } else { Upload::Refused };
        self.metrics.count_upload(upload, size_bytes);
        added
    }

    async fn add_arrived(
        &self,
        viewer: Viewer,
        arrived: Arrived,
        name: &str,
        file_name: &str,
        request_id: &str,
    ) -> Result<DatasetId, UploadError> {
        let (format, compression) = format::detect(arrived.path(), self.tools_major).await??;
        let file_name = display_name(file_name, "dump");
        let new = NewDataset {
            request_id: request_id.to_owned(),
            name: given_name(name, &file_name),
            file_name,
            size_bytes: arrived.size_bytes,
            sha256: arrived.sha256.clone(),
            format,
            compression,
            is_in_depot: self.dumps.depot.is_some(),
        };
        // On its own: who leaves now must not leave half a dataset behind.
        let datasets = self.clone();
        let added = tokio::spawn(async move { datasets.insert(viewer, arrived, new).await }.in_current_span());
        added.await.context("adding a dataset")?
    }

    async fn insert(&self, viewer: Viewer, mut arrived: Arrived, new: NewDataset) -> Result<DatasetId, UploadError> {
        let request_id = &new.request_id;
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::datasets::find_by_request(&mut conn, viewer, request_id).await? {
            return Ok(id);
        }
        let id = store::datasets::new_id(&mut conn).await?;
        drop(conn);
        // Whoever has the depot can restore it. First, and without a connection: it may take long, and may fail.
        let home = match &self.dumps.depot {
            Some(depot) => {
                depot.put(id, arrived.path()).await?;
                None
            }
            None => Some(&*self.home),
        };
        let mut transaction = self.pool.begin().await?;
        // What came part by part has had its room all the time.
        let room_bytes = store::uploads::room(&mut transaction, viewer, request_id).await?;
        let more_bytes = new.size_bytes.saturating_sub(room_bytes);
        if let Err(refusal) = self.take_place(&mut transaction, viewer, more_bytes).await {
            transaction.rollback().await?;
            self.dumps.remove(id).await?;
            // The same form, sent at the same moment, may have had the last place.
            let mut conn = self.pool.acquire().await?;
            let earlier = store::datasets::find_by_request(&mut conn, viewer, request_id).await?;
            return earlier.ok_or_else(|| refusal.into());
        }
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Restore, home).await?;
        match store::datasets::insert(&mut transaction, viewer, id, &new, job_id).await {
            Ok(()) => {}
            Err(error) if store::is_duplicate(&error) => {
                transaction.rollback().await?;
                self.dumps.remove(id).await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::datasets::find_by_request(&mut conn, viewer, request_id).await?;
                return Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its dataset"))?);
            }
            Err(error) => return Err(error.into()),
        }
        if self.dumps.depot.is_none() {
            // Before the commit: a dataset that is there has its file, and a file without its dataset is swept.
            arrived.keep_as(&self.dumps.layout.dump(id)).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    /// Makes a dataset of a file on this machine, which stays as it is.
    pub async fn add_file(
        &self,
        viewer: Viewer,
        path: &Path,
        name: &str,
        request_id: &str,
    ) -> Result<DatasetId, UploadError> {
        let file = tokio::fs::File::open(path).await;
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        let arrived = self.receive(ReaderStream::with_capacity(file, READ_BYTES)).await?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        self.add(viewer, arrived, name, &file_name, request_id).await
    }

    /// The sample dump. Its request id is always the same, so that it is there once however it is asked for.
    pub async fn add_sample(&self, viewer: Viewer, samples_dir: &Path) -> Result<DatasetId, UploadError> {
        self.add_file(viewer, &samples_dir.join("dump.sql"), "Sample shop", "sample dataset")
            .await
    }

    /// Another dataset of the same content, if the viewer has one.
    pub async fn same_content(&self, viewer: Viewer, dataset: &Dataset) -> store::Result<Option<Dataset>> {
        let mut conn = self.pool.acquire().await?;
        store::datasets::find_same(&mut conn, viewer, dataset).await
    }

    /// Asks the restore of a dataset to stop. False when there was nothing to stop.
    pub async fn stop(&self, viewer: Viewer, id: DatasetId) -> anyhow::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        let Some(dataset) = store::datasets::get(&mut conn, viewer, id).await? else {
            return Ok(false);
        };
        let is_asked = store::jobs::request_cancel(&mut conn, viewer, dataset.job.id).await?;
        // One that runs is ended by whoever runs it, and its dump goes then.
        let job = store::jobs::get(&mut conn, viewer, dataset.job.id).await?;
        if job.is_some_and(|job| job.status == JobStatus::Cancelled) {
            self.dumps.layout.remove_dump(id).await?;
        }
        Ok(is_asked)
    }

    /// Has a dataset restored once more from its dump in the depot, by whichever machine comes first: one whose own machine
    /// is away, or whose restore ended badly. False when there is no reason to, or something works on it.
    pub async fn restore_again(&self, viewer: Viewer, id: DatasetId) -> Result<bool, TakeError> {
        let mut transaction = self.pool.begin().await?;
        let taken = self
            .quotas
            .may_take(&mut transaction, viewer.user_id, Quota::Waiting, 1);
        taken.await?;
        let is_queued = store::datasets::restore_again(&mut transaction, viewer, id).await?;
        transaction.commit().await?;
        Ok(is_queued)
    }

    /// Deletes a dataset that nothing needs, with its dump and its sandbox. Results that it led to stay.
    pub async fn delete(&self, viewer: Viewer, id: DatasetId) -> anyhow::Result<Deleted> {
        // On its own: who leaves now must not leave half a dataset behind.
        let datasets = self.clone();
        let deleted = tokio::spawn(async move { datasets.remove(viewer, id).await }.in_current_span());
        deleted.await.context("deleting a dataset")?
    }

    async fn remove(&self, viewer: Viewer, id: DatasetId) -> anyhow::Result<Deleted> {
        let mut conn = self.pool.acquire().await?;
        if !store::datasets::delete_unused(&mut conn, viewer, id).await? {
            let is_there = store::datasets::get(&mut conn, viewer, id).await?.is_some();
            return Ok(if is_there { Deleted::InUse } else { Deleted::NotThere });
        }
        // The row went first: what a crash leaves of the files is swept at the next start.
        self.dumps.remove(id).await?;
        self.sandboxes.remove(id).await?;
        Ok(Deleted::Done)
    }
}
