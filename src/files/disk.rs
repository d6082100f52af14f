//! How much of a disk stays free, whatever people upload, restore and run: a full one stops everything on it, the store
//! and the rest of the machine too.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(test)]
use std::sync::PoisonError;

use anyhow::Context as _;
use tokio::sync::Semaphore;

use crate::model::units::bytes_in_words;

/// What stays free where nobody says otherwise: a part of the disk, and of a large one no more than this
/// (`reliability.md` 7).
const RESERVED_PART: u64 = 10;
const MOST_RESERVED_BYTES: u64 = 5 << 30;

/// The disk that holds a directory.
#[derive(Clone, Debug)]
pub struct Disk {
    dir: PathBuf,
    reserve_bytes: Option<u64>,
    /// One that hangs takes one thread with it, however often it is looked at.
    looks: Arc<Semaphore>,
    /// It answers when whoever holds the other end lets it go.
    #[cfg(test)]
    hangs: Option<Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>>,
}

/// There is no room for what somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The disk of the data directory has {} free, {}and {} have to stay free. Free some space on it, delete datasets that are \
     not needed, or keep less free with PGASSAY_DISK_RESERVE_BYTES.",
    bytes_in_words(*free_bytes),
    needed(*more_bytes),
    bytes_in_words(*reserve_bytes)
)]
pub struct LowDisk {
    pub free_bytes: u64,
    pub reserve_bytes: u64,
    /// What was to be written; 0 where it is not known.
    pub more_bytes: u64,
}

fn needed(more_bytes: u64) -> String {
    match more_bytes {
        0 => String::new(),
        _ => format!("{} are needed, ", bytes_in_words(more_bytes)),
    }
}

/// What a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    /// Of the free ones, how many are not for us.
    pub reserve_bytes: u64,
}

impl Disk {
    /// The disk of a directory, which has to be there. Without `reserve_bytes` a tenth stays free, or 5 GiB of a disk of
    /// more than 50.
    pub fn of(dir: &Path, reserve_bytes: Option<u64>) -> Self {
        Self {
            dir: dir.to_owned(),
            reserve_bytes,
            looks: Arc::new(Semaphore::new(1)),
            #[cfg(test)]
            hangs: None,
        }
    }

    /// A disk that hangs until the other value is dropped.
    #[cfg(test)]
    pub fn hanging(dir: &Path) -> (Self, std::sync::mpsc::Sender<()>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let disk = Self {
            hangs: Some(Arc::new(receiver.into())),
            ..Self::of(dir, Some(0))
        };
        (disk, sender)
    }

    /// What there is just now, off the async threads: a disk can hang, and the thread that asks it hangs with it. Who waits
    /// here can stop waiting.
    pub async fn look(&self) -> anyhow::Result<Space> {
        let turn = Arc::clone(&self.looks).acquire_owned().await?;
        let disk = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let space = disk.space();
            // Whoever asked may have stopped waiting.
            drop(turn);
            space
        });
        looking.await.context("looking at the disk")?
    }

    /// What there is just now.
    pub fn space(&self) -> anyhow::Result<Space> {
        #[cfg(test)]
        if let Some(hangs) = &self.hangs {
            // It is let go by an error.
            let _ = hangs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        let disk = nix::sys::statvfs::statvfs(&self.dir).context("asking for free disk space")?;
        let bytes = |blocks| {
            #[allow(clippy::useless_conversion, reason = "the width of these differs between systems")]
            (u64::from(blocks) * u64::from(disk.fragment_size()))
        };
        let usual = (bytes(disk.blocks()) / RESERVED_PART).min(MOST_RESERVED_BYTES);
        Ok(Space {
            free_bytes: bytes(disk.blocks_available()),
            reserve_bytes: self.reserve_bytes.unwrap_or(usual),
        })
    }

    /// None as long as so many more bytes can be written.
    pub fn low(&self, more_bytes: u64) -> anyhow::Result<Option<LowDisk>> {
        Ok(self.space()?.low(more_bytes))
    }
}

impl Space {
    /// None as long as so many more bytes can be written.
    pub fn low(self, more_bytes: u64) -> Option<LowDisk> {
        let is_low = self.free_bytes < self.reserve_bytes.saturating_add(more_bytes);
        is_low.then_some(LowDisk {
            free_bytes: self.free_bytes,
            reserve_bytes: self.reserve_bytes,
            more_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_free_is_nobodys() {
        let space = Space {
            free_bytes: 100,
            reserve_bytes: 60,
        };
        for (more_bytes, is_low) in [(0, false), (40, false), (41, true), (u64::MAX, true)] {
            assert_eq!(space.low(more_bytes).is_some(), is_low, "{more_bytes}");
        }
        assert!(space.low(41).unwrap().to_string().starts_with(
            "The disk of the data directory has 100 bytes free, 41 bytes are needed, and 60 bytes have to stay free. "
        ));
    }

    #[test]
    fn a_tenth_of_a_disk_stays_free_unless_somebody_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let space = Disk::of(dir.path(), None).space().unwrap();
        assert!((1..=MOST_RESERVED_BYTES).contains(&space.reserve_bytes), "{space:?}");
        let space = Disk::of(dir.path(), Some(7)).space().unwrap();
        assert_eq!(space.reserve_bytes, 7);
        assert!(Disk::of(dir.path(), Some(u64::MAX)).low(0).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_given_up_and_takes_one_thread_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, hangs) = Disk::hanging(dir.path());
        for _ in 0..3 {
            let soon = std::time::Duration::from_millis(1);
            assert!(tokio::time::timeout(soon, disk.look()).await.is_err());
        }
        assert_eq!(disk.looks.available_permits(), 0, "the first still looks, and no other");
        drop(hangs);
        assert_eq!(disk.look().await.unwrap().reserve_bytes, 0, "it is there again");
    }
}
