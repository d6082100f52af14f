//! Dumps that arrive part by part: whoever lost the connection asks how much is there and goes on from it, also after this
//! process was killed. The last part makes the dataset.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dataset::service::Datasets;
use crate::dataset::service::UploadError;
use crate::files::intake::IntakeError;
use crate::files::parts::PartFile;
use crate::model::ids::UploadId;
use crate::model::units::bytes_in_words;
use crate::model::upload::NewUpload;
use crate::model::upload::PartRange;
use crate::model::upload::Upload;
use crate::model::upload::UploadKey;
use crate::model::user::Viewer;
use crate::store;

/// So many may be under way at once, of one account.
const MOST_UNFINISHED: i64 = 16;
/// What arrives is on the disk for good after so many bytes or so long, whichever comes first.
const SYNC_EVERY_BYTES: u64 = 8 << 20;
const SYNC_EVERY: Duration = Duration::from_secs(2);
/// How often the disk is looked at while a part arrives.
const LOOK_EVERY_BYTES: u64 = 1 << 20;
/// How long a request waits for an earlier one of the same upload to let go, and how often it looks.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The door to uploads that arrive part by part.
#[derive(Clone)]
pub struct Uploads {
    datasets: Datasets,
    /// Which request of this process writes which upload, to be ended when another goes on with it.
    writers: Arc<Mutex<HashMap<UploadId, CancellationToken>>>,
}

/// Why a part is not taken. What had arrived before stays, but for a file that is no dump.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("There is no such upload, or not any more.")]
    NotThere,
    #[error(
        "{} of this upload are here, so the next part begins at byte {received_bytes} or before it.",
        bytes_in_words(*.received_bytes)
    )]
    Gap { received_bytes: u64, total_bytes: u64 },
    #[error("This upload was begun as a file of {total_bytes} bytes. Send that one, or choose another key.")]
    OtherSize { total_bytes: u64 },
    #[error("Byte {at} or one soon after it is not what arrived before. Send the same file, or choose another key.")]
    OtherBytes { at: u64 },
    #[error("Another request went on with this upload.")]
    TakenOver,
    #[error("Another request still writes to this upload. Try again in a moment.")]
    Busy,
    #[error("{MOST_UNFINISHED} uploads are under way already. Complete one of them, or delete it.")]
    TooMany,
    #[error("This upload was begun at another pgassay of the same store. Send the rest there, or choose another key.")]
    Elsewhere,
    #[error("The part broke off; {} of the file are here.", bytes_in_words(*.received_bytes))]
    BrokenOff { received_bytes: u64 },
    #[error("The part is longer than its Content-Range says.")]
    TooLong,
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl From<IntakeError> for PartError {
    fn from(error: IntakeError) -> Self {
        Self::Upload(error.into())
    }
}

impl From<anyhow::Error> for PartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Upload(error.into())
    }
}

impl From<sqlx::Error> for PartError {
    fn from(error: sqlx::Error) -> Self {
        Self::Upload(error.into())
    }
}

/// The names of a file that is about to arrive.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// What the person calls it; the file's name when empty.
    pub name: String,
    pub file_name: String,
}

impl Uploads {
    pub fn new(datasets: Datasets) -> Self {
        Self {
            datasets,
            writers: Arc::default(),
        }
    }

    /// How far an upload is; none when there is none of this key.
    pub async fn get(&self, viewer: Viewer, key: &UploadKey) -> anyhow::Result<Option<Upload>> {
        let mut conn = self.datasets.pool.acquire().await?;
        let Some(mut upload) = store::uploads::get(&mut conn, viewer, key.as_str()).await? else {
            return Ok(None);
        };
        if upload.dataset_id.is_none() && upload.home == self.datasets.home {
            let there = tokio::fs::metadata(self.datasets.dumps.layout.part(upload.id)).await;
            upload.received_bytes = upload.received_bytes.min(there.map_or(0, |there| there.len()));
        }
        Ok(Some(upload))
    }

    /// The viewer's uploads that are under way, newest first.
    pub async fn list(&self, viewer: Viewer) -> store::Result<Vec<Upload>> {
        let mut conn = self.datasets.pool.acquire().await?;
        store::uploads::list_unfinished(&mut conn, viewer).await
    }

    /// Gives an upload up. The dataset that it may have become stays. Returns false when there was none.
    pub async fn delete(&self, viewer: Viewer, key: &UploadKey) -> anyhow::Result<bool> {
        let mut conn = self.datasets.pool.acquire().await?;
        let Some(upload) = store::uploads::get(&mut conn, viewer, key.as_str()).await? else {
            return Ok(false);
        };
        let is_deleted = store::uploads::delete(&mut conn, viewer, upload.id).await?;
        drop(conn);
        if let Some(writer) = self.lock_writers().remove(&upload.id) {
            writer.cancel();
        }
        if upload.home == self.datasets.home {
            self.datasets.dumps.layout.remove_part(upload.id).await?;
        }
        Ok(is_deleted)
    }

    /// Takes in a part: the first begins the upload, and the one that fills it makes the dataset. What is there already is
    /// compared and not written again. `range` without a byte in it asks for the end alone.
    pub async fn receive<E: Send + 'static>(
        &self,
        viewer: Viewer,
        key: &UploadKey,
        names: Names,
        range: PartRange,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Upload, PartError> {
        let upload = self.find_or_begin(viewer, key, names, range).await?;
        if upload.dataset_id.is_some() {
            return Ok(upload);
        }
        // On its own: what has arrived of a request that ends early is to be kept.
        let (uploads, key) = (self.clone(), key.clone());
        let received = tokio::spawn(async move { uploads.go_on(viewer, &key, upload.id, range, stream).await });
        received.await.context("receiving a part")?
    }

    async fn find_or_begin(
        &self,
        viewer: Viewer,
        key: &UploadKey,
        names: Names,
        range: PartRange,
    ) -> Result<Upload, PartError> {
        let limit_bytes = self.datasets.max_upload_bytes;
        if range.total > limit_bytes {
            return Err(IntakeError::TooLarge { limit_bytes }.into());
        }
        let mut conn = self.datasets.pool.acquire().await?;
        let mut found = store::uploads::get(&mut conn, viewer, key.as_str()).await?;
        if found.is_none() {
            if range.first > 0 {
                return Err(PartError::Gap {
                    received_bytes: 0,
                    total_bytes: range.total,
                });
            }
            drop(conn);
            let mut transaction = self.datasets.pool.begin().await?;
            self.datasets.take_room(&mut transaction, viewer, range.total).await?;
            let new = NewUpload {
                key: key.clone(),
                home: self.datasets.home.clone(),
                name: names.name,
                file_name: names.file_name,
                total_bytes: range.total,
            };
            store::uploads::begin(&mut transaction, viewer, &new, MOST_UNFINISHED).await?;
            transaction.commit().await?;
            conn = self.datasets.pool.acquire().await?;
            found = store::uploads::get(&mut conn, viewer, key.as_str()).await?;
        }
        let upload = found.ok_or(PartError::TooMany)?;
        if upload.total_bytes != range.total {
            let total_bytes = upload.total_bytes;
            return Err(PartError::OtherSize { total_bytes });
        }
        if upload.dataset_id.is_none() && upload.home != self.datasets.home {
            return Err(PartError::Elsewhere);
        }
        Ok(upload)
    }

    async fn go_on<E>(
        &self,
        viewer: Viewer,
        key: &UploadKey,
        id: UploadId,
        range: PartRange,
        stream: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Upload, PartError> {
        let writer = self.take_over(id);
        let mut part = self.open(id, &writer.token).await?;
        // Only now: an earlier request may have got further meanwhile, or to the end.
        let upload = self.known(viewer, key, id).await?;
        if upload.dataset_id.is_some() {
            return Ok(upload);
        }
        if upload.received_bytes == upload.total_bytes && part.n_bytes() == 0 {
            // Its file is a dataset's already, and a crash came before that was noted.
            let mut conn = self.datasets.pool.acquire().await?;
            if let Some(dataset_id) = store::datasets::find_by_request(&mut conn, viewer, &upload.request_id).await? {
                store::uploads::complete(&mut conn, id, dataset_id).await?;
                drop(conn);
                self.datasets.dumps.layout.remove_part(id).await?;
                return self.known(viewer, key, id).await;
            }
        }
        part.cut_to(upload.received_bytes).await?;
        let received_bytes = part.n_bytes();
        if range.first > received_bytes {
            return Err(PartError::Gap {
                received_bytes,
                total_bytes: range.total,
            });
        }
        let space = self.datasets.dumps.disk.look().await?;
        if let Some(low) = space.low(range.total - received_bytes) {
            return Err(IntakeError::from(low).into());
        }
        let written = self.write(&mut part, id, range, stream, &writer.token).await;
        // Whatever ended it.
        self.sync(&mut part, id).await?;
        written?;
        if part.n_bytes() == upload.total_bytes {
            self.complete(viewer, &upload, part).await?;
        }
        self.known(viewer, key, id).await
    }

    /// The upload, unless it was deleted, or deleted and begun anew.
    async fn known(&self, viewer: Viewer, key: &UploadKey, id: UploadId) -> Result<Upload, PartError> {
        let mut conn = self.datasets.pool.acquire().await?;
        let upload = store::uploads::get(&mut conn, viewer, key.as_str()).await?;
        upload.filter(|upload| upload.id == id).ok_or(PartError::NotThere)
    }

    /// Ends whatever other request of this process writes to the upload: most likely its connection is dead.
    fn take_over(&self, id: UploadId) -> Writer<'_> {
        let token = CancellationToken::new();
        if let Some(earlier) = self.lock_writers().insert(id, token.clone()) {
            earlier.cancel();
        }
        Writer {
            uploads: self,
            id,
            token,
        }
    }

    async fn open(&self, id: UploadId, token: &CancellationToken) -> Result<PartFile, PartError> {
        let deadline = Instant::now() + LET_GO_WITHIN;
        loop {
            if token.is_cancelled() {
                return Err(PartError::TakenOver);
            }
            if let Some(part) = PartFile::open(self.datasets.dumps.layout.part(id)).await? {
                return Ok(part);
            }
            if Instant::now() > deadline {
                return Err(PartError::Busy);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn write<E>(
        &self,
        part: &mut PartFile,
        id: UploadId,
        range: PartRange,
        stream: impl Stream<Item = Result<Bytes, E>>,
        token: &CancellationToken,
    ) -> Result<(), PartError> {
        let mut stream = std::pin::pin!(stream);
        let (mut at, mut look_at_bytes) = (range.first, 0);
        let (mut synced_bytes, mut synced_at) = (part.n_bytes(), Instant::now());
        loop {
            let next = tokio::time::timeout(SYNC_EVERY, stream.next());
            let chunk = match token.run_until_cancelled(next).await.ok_or(PartError::TakenOver)? {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(None) if at == range.end => return Ok(()),
                Ok(Some(Err(_)) | None) => {
                    let received_bytes = part.n_bytes();
                    return Err(PartError::BrokenOff { received_bytes });
                }
                // Nothing arrives just now, and somebody may ask how much is here.
                Err(_) => Bytes::new(),
            };
            if chunk.len() as u64 > range.end - at {
                return Err(PartError::TooLong);
            }
            let n_known = (part.n_bytes().saturating_sub(at)).min(chunk.len() as u64);
            let (known, fresh) = chunk.split_at(usize::try_from(n_known).unwrap_or(chunk.len()));
            if !known.is_empty() && !part.holds(at, known).await? {
                return Err(PartError::OtherBytes { at });
            }
            if !fresh.is_empty() && part.n_bytes() >= look_at_bytes {
                if let Some(low) = self.datasets.dumps.disk.look().await?.low(0) {
                    return Err(IntakeError::from(low).into());
                }
                look_at_bytes = part.n_bytes() + LOOK_EVERY_BYTES;
            }
            part.append(fresh).await?;
            at += chunk.len() as u64;
            let n_fresh = part.n_bytes() - synced_bytes;
            if n_fresh >= SYNC_EVERY_BYTES || n_fresh > 0 && synced_at.elapsed() >= SYNC_EVERY {
                self.sync(part, id).await?;
                (synced_bytes, synced_at) = (part.n_bytes(), Instant::now());
            }
        }
    }

    /// Has what arrived on the disk for good, and notes how much that is.
    async fn sync(&self, part: &mut PartFile, id: UploadId) -> Result<(), PartError> {
        let received_bytes = part.sync().await?;
        let mut conn = self.datasets.pool.acquire().await?;
        if store::uploads::set_received(&mut conn, id, received_bytes).await? {
            Ok(())
        } else {
            Err(PartError::NotThere)
        }
    }

    /// Makes the dataset.
    async fn complete(&self, viewer: Viewer, upload: &Upload, part: PartFile) -> Result<(), PartError> {
        let arrived = part.into_arrived().await?;
        let Upload {
            id,
            name,
            file_name,
            request_id,
            ..
        } = upload;
        let added = self.datasets.add(viewer, arrived, name, file_name, request_id).await;
        let layout = &self.datasets.dumps.layout;
        let mut conn = self.datasets.pool.acquire().await?;
        match added {
            Ok(dataset_id) => {
                store::uploads::complete(&mut conn, *id, dataset_id).await?;
                // In the depot there is a copy of it.
                layout.remove_part(*id).await?;
                Ok(())
            }
            Err(error @ UploadError::Format(_)) => {
                store::uploads::delete(&mut conn, viewer, *id).await?;
                layout.remove_part(*id).await?;
                Err(error.into())
            }
            // It is here whole, and the end can be asked for once more.
            Err(error) => Err(error.into()),
        }
    }

    fn lock_writers(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, CancellationToken>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that writes to an upload.
struct Writer<'a> {
    uploads: &'a Uploads,
    id: UploadId,
    token: CancellationToken,
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // Otherwise the place is that of whoever took over.
        if !self.token.is_cancelled() {
            self.uploads.lock_writers().remove(&self.id);
        }
    }
}
