//! The depot: where dumps are kept that more than one machine restores. An object store, or a directory that all of them
//! have mounted.

#[cfg(feature = "cloud")]
mod cloud;
mod error;

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::DateTime;
use chrono::Utc;
use futures_util::Stream;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::ObjectStoreExt as _;
use object_store::WriteMultipart;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

pub use error::DepotError;

use crate::files::layout;
use crate::model::ids::DatasetId;

/// What is sent and fetched at a time, and how many of these at once: about 40 MiB of memory in all, and more only where a
/// file is so large that its parts have to be.
const PART_BYTES: u64 = 8 << 20;
const PARALLEL_PARTS: usize = 4;
/// S3 takes 10,000 at most.
const MOST_PARTS: u64 = 9000;

/// A place for files outside this machine, and in it the part of one store.
#[derive(Clone, Debug)]
pub struct Depot {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    /// Its address, for people.
    place: String,
}

/// A file that the depot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub dataset_id: DatasetId,
    /// By the depot's clock.
    pub since: DateTime<Utc>,
}

impl Depot {
    /// The depot at an address: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///directory`. Nothing is asked of it yet.
    /// Credentials, endpoints and time limits come from the environment, as every program of that provider reads it.
    pub fn open(address: &str) -> Result<Self, DepotError> {
        let url = Url::parse(address).map_err(|_| DepotError::NotAnAddress)?;
        let place = shown(&url);
        let (objects, root): (Arc<dyn ObjectStore>, Path) = match url.scheme() {
            "file" => (directory(&url)?, Path::default()),
            "s3" | "gs" | "az" => {
                let root = Path::from_url_path(url.path()).map_err(|_| DepotError::NotAnAddress)?;
                (bucket(&url, &place)?, root)
            }
            _ => return Err(DepotError::NotAnAddress),
        };
        Ok(Self { objects, root, place })
    }

    /// The part of it that belongs to one store: several may share a depot.
    pub fn of_store(mut self, store_name: &str) -> Self {
        self.root = self.root.join("dumps").join(store_name);
        self
    }

    /// Its address, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Puts the dump of a dataset there. It is there whole, or not at all.
    pub async fn put(&self, dataset_id: DatasetId, path: &std::path::Path) -> Result<(), DepotError> {
        let file = File::open(path).await.context("opening an upload")?;
        let size_bytes = file.metadata().await.context("measuring an upload")?.len();
        let to = self.dump(dataset_id);
        let part_bytes = PART_BYTES.max(size_bytes.div_ceil(MOST_PARTS));
        if size_bytes <= part_bytes {
            let all = next_part(&mut file.take(part_bytes)).await?;
            let put = self.objects.put(&to, all.into()).await;
            return put.map(drop).map_err(|error| self.trouble(&error));
        }
        let upload = self.objects.put_multipart(&to).await;
        let upload = upload.map_err(|error| self.trouble(&error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, in_memory(part_bytes));
        match self.send(file, part_bytes, &mut upload).await {
            Ok(()) => upload.finish().await.map(drop).map_err(|error| self.trouble(&error)),
            Err(trouble) => {
                // What cannot be taken back either is removed by the bucket's own rule for unfinished uploads.
                let _ = upload.abort().await;
                Err(trouble)
            }
        }
    }

    async fn send(&self, file: File, part_bytes: u64, upload: &mut WriteMultipart) -> Result<(), DepotError> {
        let mut rest = file.take(part_bytes);
        loop {
            let part = next_part(&mut rest).await?;
            if part.is_empty() {
                return Ok(());
            }
            rest.set_limit(part_bytes);
            let room = upload.wait_for_capacity(PARALLEL_PARTS).await;
            room.map_err(|error| self.trouble(&error))?;
            upload.put(part);
        }
    }

    /// The bytes of the dump of a dataset, in order.
    pub fn read(
        &self,
        dataset_id: DatasetId,
        size_bytes: u64,
    ) -> impl Stream<Item = Result<Bytes, DepotError>> + Send + use<'_> {
        let from = self.dump(dataset_id);
        let starts = (0..size_bytes.div_ceil(PART_BYTES)).map(|n| n * PART_BYTES);
        futures_util::stream::iter(starts)
            .map(move |start| {
                let from = from.clone();
                async move {
                    let part = start..(start + PART_BYTES).min(size_bytes);
                    let got = self.objects.get_range(&from, part).await;
                    got.map_err(|error| self.trouble(&error))
                }
            })
            .buffered(PARALLEL_PARTS)
    }

    /// Removes the dump of a dataset, if it is there.
    pub async fn remove(&self, dataset_id: DatasetId) -> Result<(), DepotError> {
        match self.objects.delete(&self.dump(dataset_id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// The dumps that are there.
    pub async fn list(&self) -> Result<Vec<Held>, DepotError> {
        let held = self.objects.list(Some(&self.root)).try_filter_map(async |object| {
            let name = object.location.filename();
            let dataset_id = name.and_then(|name| name.parse().ok());
            Ok(dataset_id.map(|dataset_id| Held {
                dataset_id,
                since: object.last_modified,
            }))
        });
        held.try_collect().await.map_err(|error| self.trouble(&error))
    }

    /// Lists what is there, puts a small file beside it, reads that and removes it.
    pub async fn check(&self) -> Result<(), DepotError> {
        let probe = self.root.clone().join(format!("doctor-{}", layout::random_hex()?));
        let words = Bytes::from_static(b"pgassay doctor");
        let probing = async {
            // First: not every server minds a file for a bucket that is not there.
            self.objects.list(Some(&self.root)).try_next().await?;
            self.objects.put(&probe, words.clone().into()).await?;
            let read = self.objects.get_range(&probe, 0..words.len() as u64).await?;
            self.objects.delete(&probe).await?;
            Ok(read)
        };
        let read = probing.await.map_err(|error| self.trouble(&error))?;
        if read == words {
            Ok(())
        } else {
            Err(DepotError::Damaged {
                place: self.place.clone(),
            })
        }
    }

    fn dump(&self, dataset_id: DatasetId) -> Path {
        self.root.clone().join(dataset_id.to_string())
    }

    fn trouble(&self, error: &object_store::Error) -> DepotError {
        DepotError::of(&self.place, error)
    }
}

/// Up to as much as the reader has left to give; empty at the end of the file.
async fn next_part(file: &mut tokio::io::Take<File>) -> Result<Bytes, DepotError> {
    let mut part = Vec::with_capacity(in_memory(file.limit()));
    file.read_to_end(&mut part).await.context("reading an upload")?;
    Ok(part.into())
}

/// Parts fit into memory.
fn in_memory(part_bytes: u64) -> usize {
    usize::try_from(part_bytes).unwrap_or(usize::MAX)
}

/// A directory has to be there: one that is made in place of a mount which is away would be another one on each machine.
fn directory(url: &Url) -> Result<Arc<dyn ObjectStore>, DepotError> {
    let dir = url.to_file_path().map_err(|()| DepotError::NotAnAddress)?;
    match LocalFileSystem::new_with_prefix(&dir) {
        Ok(objects) => Ok(Arc::new(objects.with_fsync(true))),
        Err(_) => Err(DepotError::NoDirectory(dir)),
    }
}

#[cfg(feature = "cloud")]
fn bucket(url: &Url, place: &str) -> Result<Arc<dyn ObjectStore>, DepotError> {
    cloud::open(url).map_err(|error| DepotError::Settings {
        place: place.to_owned(),
        said: error::innermost(&error),
    })
}

#[cfg(not(feature = "cloud"))]
fn bucket(url: &Url, _place: &str) -> Result<Arc<dyn ObjectStore>, DepotError> {
    Err(DepotError::NotBuiltIn(url.scheme().to_owned()))
}

/// The address without what may be a secret in it.
fn shown(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    format!("{}://{}{path}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
