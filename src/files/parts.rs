//! Files that arrive part by part, over several requests and perhaps several lives of this process. What is behind the last
//! sync counts for nothing.

use std::fs::TryLockError;
use std::io;
use std::io::Read as _;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncSeekExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::files::intake;
use crate::files::intake::Arrived;
use crate::files::intake::IntakeError;

/// How much is hashed at a time.
const READ_BYTES: usize = 256 * 1024;

/// A file that grows at its end. Locked as long as this lives, so that nobody else writes to it and no sweep removes it.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    file: File,
    lock: std::fs::File,
    n_bytes: u64,
}

impl PartFile {
    /// Opens the file, and makes it where it is not there. None while somebody else has it.
    pub async fn open(path: PathBuf) -> Result<Option<Self>, IntakeError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .await
            .map_err(intake::write_error)?;
        let lock = file.try_clone().await.map_err(intake::write_error)?.into_std().await;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(intake::write_error(error)),
        }
        let n_bytes = file.metadata().await.map_err(intake::write_error)?.len();
        Ok(Some(Self {
            path,
            file,
            lock,
            n_bytes,
        }))
    }

    /// How long it is.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Drops what is behind `n_bytes`: written, perhaps, and never promised.
    pub async fn cut_to(&mut self, n_bytes: u64) -> Result<(), IntakeError> {
        if self.n_bytes > n_bytes {
            self.file.set_len(n_bytes).await.map_err(intake::write_error)?;
            self.n_bytes = n_bytes;
        }
        self.go_to(self.n_bytes).await.map_err(intake::write_error)
    }

    /// Whether these are the bytes from `at` on. They have to lie within the file.
    pub async fn holds(&mut self, at: u64, bytes: &[u8]) -> Result<bool, IntakeError> {
        let mut own = vec![0; bytes.len()];
        self.go_to(at).await.map_err(intake::write_error)?;
        self.file.read_exact(&mut own).await.map_err(intake::write_error)?;
        self.go_to(self.n_bytes).await.map_err(intake::write_error)?;
        Ok(own == bytes)
    }

    /// Writes at the end.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        self.file.write_all(bytes).await.map_err(intake::write_error)?;
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Has everything on the disk for good. Returns how much that is.
    pub async fn sync(&mut self) -> Result<u64, IntakeError> {
        self.file.flush().await.map_err(intake::write_error)?;
        self.file.sync_all().await.map_err(intake::write_error)?;
        Ok(self.n_bytes)
    }

    /// The file as one that has arrived whole, hashed as it lies there. It stays when that is dropped: who gives it up
    /// removes it.
    pub async fn into_arrived(self) -> Result<Arrived, IntakeError> {
        let path = self.path.clone();
        let sha256 = tokio::task::spawn_blocking(move || hash(&path)).await;
        let sha256 = sha256.context("hashing an upload")?.context("hashing an upload")?;
        Ok(Arrived::whole(self.path, self.lock, self.n_bytes, sha256))
    }

    async fn go_to(&mut self, at: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at)).await.map(|_| ())
    }
}

fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (std::fs::File::open(path)?, Sha256::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_grows_over_several_openings_and_is_hashed_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1");
        let mut part = PartFile::open(path.clone()).await.unwrap().unwrap();
        assert!(PartFile::open(path.clone()).await.unwrap().is_none(), "one at a time");
        part.append(b"ab").await.unwrap();
        assert_eq!(part.sync().await.unwrap(), 2);
        part.append(b"never promised").await.unwrap();
        part.sync().await.unwrap();
        drop(part);

        let mut part = PartFile::open(path.clone()).await.unwrap().unwrap();
        part.cut_to(2).await.unwrap();
        assert!(part.holds(1, b"b").await.unwrap());
        assert!(!part.holds(0, b"x").await.unwrap());
        part.append(b"c").await.unwrap();
        part.sync().await.unwrap();
        let arrived = part.into_arrived().await.unwrap();
        // FIPS 180-4, the example "abc".
        assert_eq!(
            (arrived.size_bytes, arrived.sha256.as_str()),
            (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert!(PartFile::open(path.clone()).await.unwrap().is_none(), "still locked");
        drop(arrived);
        assert_eq!(std::fs::read(path).unwrap(), b"abc", "it stays");
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_was_thought_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = PartFile::open(dir.path().join("1")).await.unwrap().unwrap();
        part.cut_to(100).await.unwrap();
        assert_eq!(part.n_bytes(), 0);
        part.append(b"a").await.unwrap();
        assert_eq!(part.sync().await.unwrap(), 1);
    }
}
