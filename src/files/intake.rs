//! How an upload gets in: streamed to disk in constant memory, hashed as it arrives, capped, flushed, renamed.

use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt as _;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;

use crate::files::disk::Disk;
use crate::files::disk::LowDisk;
use crate::model::units::bytes_in_words;

/// Why a file did not get in. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("The file is larger than the limit of {}. A larger limit is set by PGASSAY_MAX_UPLOAD_BYTES.", bytes_in_words(*.limit_bytes))]
    TooLarge { limit_bytes: u64 },
    #[error("The upload broke off after {}.", bytes_in_words(*.received_bytes))]
    BrokenOff { received_bytes: u64 },
    #[error("There is no room for this file: the disk of the data directory is full.")]
    DiskFull,
    #[error("There is no room for this file. {0}")]
    LowDisk(#[from] LowDisk),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// A file that is here whole, under a temporary name. Dropping it removes the file.
#[derive(Debug)]
pub struct Arrived {
    path: PathBuf,
    /// Locked as long as this lives, so that no sweep takes the file for one that was left behind.
    lock: std::fs::File,
    is_kept: bool,
    pub size_bytes: u64,
    pub sha256: String,
}

impl Arrived {
    /// A file that came otherwise than by [`receive`], locked by `lock`. It stays when this is dropped.
    pub(super) fn whole(path: PathBuf, lock: std::fs::File, size_bytes: u64, sha256: String) -> Self {
        Self {
            path,
            lock,
            is_kept: true,
            size_bytes,
            sha256,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, for good. It is safe from sweeps until this is dropped.
    pub async fn keep_as(&mut self, path: &Path) -> anyhow::Result<()> {
        tokio::fs::rename(&self.path, path).await?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if !self.is_kept {
            remove(&self.path);
        }
    }
}

/// How often the disk is looked at while a file arrives.
const LOOK_EVERY_BYTES: u64 = 1 << 20;

/// Writes a stream to `path` on `disk` until it ends, and flushes it.
pub async fn receive<E: std::fmt::Display>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    path: PathBuf,
    disk: &Disk,
    limit_bytes: u64,
) -> Result<Arrived, IntakeError> {
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .await
        .map_err(write_error)?;
    let lock = file.try_clone().await.map_err(write_error)?.into_std().await;
    let mut arrived = Arrived {
        path,
        lock,
        is_kept: false,
        size_bytes: 0,
        sha256: String::new(),
    };
    // Nobody else knows the file yet.
    arrived.lock.lock().map_err(write_error)?;
    let mut hash = Sha256::new();
    let mut look_at_bytes = 0;
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| IntakeError::BrokenOff {
            received_bytes: arrived.size_bytes,
        })?;
        arrived.size_bytes += chunk.len() as u64;
        if arrived.size_bytes > limit_bytes {
            return Err(IntakeError::TooLarge { limit_bytes });
        }
        if arrived.size_bytes >= look_at_bytes {
            if let Some(low) = disk.look().await?.low(0) {
                return Err(low.into());
            }
            look_at_bytes = arrived.size_bytes + LOOK_EVERY_BYTES;
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(write_error)?;
    }
    file.flush().await.map_err(write_error)?;
    file.sync_all().await.map_err(write_error)?;
    arrived.sha256 = hex::encode(hash.finalize());
    Ok(arrived)
}

pub(super) fn write_error(error: std::io::Error) -> IntakeError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => IntakeError::DiskFull,
        _ => IntakeError::Fault(anyhow::Error::new(error).context("writing an upload")),
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("The temporary file {} could not be removed: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: &[Result<&'static str, &'static str>]) -> impl Stream<Item = Result<Bytes, &'static str>> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| chunk.map(|text| Bytes::from_static(text.as_bytes())))
            .collect();
        futures_util::stream::iter(chunks)
    }

    /// Takes a stream in as the file `1`.
    async fn receive_into(
        dir: &Path,
        reserve_bytes: u64,
        limit_bytes: u64,
        chunks: &[Result<&'static str, &'static str>],
    ) -> Result<Arrived, IntakeError> {
        let disk = Disk::of(dir, Some(reserve_bytes));
        receive(stream(chunks), dir.join("1"), &disk, limit_bytes).await
    }

    #[tokio::test]
    async fn a_file_arrives_whole_with_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let mut arrived = receive_into(dir.path(), 0, 10, &[Ok("a"), Ok("bc")]).await.unwrap();
        assert_eq!(arrived.size_bytes, 3);
        // FIPS 180-4, the example "abc".
        assert_eq!(
            arrived.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        arrived.keep_as(&dir.path().join("2")).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("2")).unwrap(), b"abc");
    }

    #[tokio::test]
    async fn what_does_not_get_in_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let too_large = receive_into(dir.path(), 0, 6, &[Ok("abcdef"), Ok("g")]).await;
        assert!(matches!(too_large, Err(IntakeError::TooLarge { limit_bytes: 6 })));
        let broken_off = receive_into(dir.path(), 0, 6, &[Ok("abc"), Err("reset")]).await;
        assert!(matches!(broken_off, Err(IntakeError::BrokenOff { received_bytes: 3 })));
        let no_room = receive_into(dir.path(), u64::MAX, 6, &[Ok("abc")]).await;
        assert!(matches!(no_room, Err(IntakeError::LowDisk(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
