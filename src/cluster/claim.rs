//! Says which pgassay runs the cluster in a directory, by a lock that the kernel drops when that pgassay dies.
//!
//! The lock is on the directory itself, so there is no lock file to leave behind, and it holds between containers
//! that share the directory, where process numbers mean nothing. No server inherits it: an orphaned server is one
//! whose directory can be claimed.

use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;

use anyhow::Context;
use tracing::warn;

use crate::cluster::ClusterError;

/// While it lives, no other pgassay (and no other part of this one) starts, stops or cleans up the cluster.
#[derive(Debug)]
pub struct Claim {
    directory: File,
}

impl Claim {
    /// `None` when somebody else holds it.
    pub fn take(data_dir: &Path) -> Result<Option<Self>, ClusterError> {
        let directory = File::open(data_dir).with_context(|| format!("opening {}", data_dir.display()))?;
        match directory.try_lock() {
            Ok(()) => Ok(Some(Self { directory })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(anyhow::Error::new(error)
                .context(format!("locking {}", data_dir.display()))
                .into()),
        }
    }
}

impl Drop for Claim {
    /// Closing would do, but for a child that another thread is just forking: until it has become its program, it holds
    /// the lock as well.
    fn drop(&mut self) {
        if let Err(error) = self.directory.unlock() {
            warn!("A data directory could not be unlocked: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_claimed_once_until_the_claim_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let claim = Claim::take(dir.path()).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(dir.path()).unwrap().is_none());
        drop(claim);
        assert!(Claim::take(dir.path()).unwrap().is_some());
    }
}
