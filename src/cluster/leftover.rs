//! Recognises what a crash left behind in a data directory, and servers that another pgassay runs.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::warn;

use crate::cluster::ClusterError;
use crate::cluster::Stop;
use crate::cluster::claim::Claim;
use crate::cluster::lock_file;
use crate::cluster::lock_file::LockFile;
use crate::cluster::process;

/// A killed process needs a moment to give back its memory.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// What was in a data directory, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No server and no lock file.
    Nothing,
    /// A lock file whose server is gone; it was removed.
    Stale,
    /// An orphaned server; it was stopped.
    Stopped { pid: u32 },
    /// Another living pgassay runs a server here; it was left alone.
    InUse,
}

/// A server that somebody else runs, for guests that want to connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub pid: u32,
    pub socket_dir: PathBuf,
}

/// Makes sure that no server works on these files, unless a living pgassay runs it.
pub async fn stop_leftover(data_dir: &Path, stop: Stop) -> Result<Found, ClusterError> {
    let data_dir = match fs::canonicalize(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        found => found.with_context(|| format!("looking for {}", data_dir.display()))?,
    };
    match Claim::take(&data_dir) {
        Ok(Some(claim)) => Ok(clear(&claim, &data_dir, stop).await?),
        Ok(None) => Ok(Found::InUse),
        // Somebody else has just removed it.
        Err(_) if !data_dir.exists() => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

/// The server that runs on these files and takes connections, if there is one.
pub fn running(data_dir: &Path) -> Result<Option<Running>, ClusterError> {
    let Ok(data_dir) = fs::canonicalize(data_dir) else {
        return Ok(None);
    };
    let found =
        lock_file::read(&data_dir).with_context(|| format!("reading the lock file in {}", data_dir.display()))?;
    let lock_file::Found::Written(LockFile {
        pid,
        socket_dir: Some(socket_dir),
        is_ready: true,
    }) = found
    else {
        return Ok(None);
    };
    let is_alive = process::serves(pid, &data_dir)?;
    Ok(is_alive.then(|| Running {
        pid: pid.as_raw().unsigned_abs(),
        socket_dir,
    }))
}

/// `stop_leftover` for who holds the claim. `data_dir` is canonical.
pub(super) async fn clear(_claim: &Claim, data_dir: &Path, stop: Stop) -> anyhow::Result<Found> {
    let lock_file =
        lock_file::read(data_dir).with_context(|| format!("reading the lock file in {}", data_dir.display()))?;
    let found = match lock_file {
        lock_file::Found::Absent => Found::Nothing,
        lock_file::Found::Unreadable => Found::Stale,
        lock_file::Found::Written(LockFile { pid, .. }) => {
            if process::serves(pid, data_dir)? {
                stop_orphan(pid, data_dir, stop).await?;
                Found::Stopped {
                    pid: pid.as_raw().unsigned_abs(),
                }
            } else {
                Found::Stale
            }
        }
    };
    kill_strays(data_dir).await?;
    if found == Found::Stale {
        warn!(data_dir = %data_dir.display(), "The last server in {} did not end in order", data_dir.display());
    }
    // Now nobody is left who could need it.
    lock_file::remove(data_dir).with_context(|| format!("removing the lock file in {}", data_dir.display()))?;
    Ok(found)
}

/// Kills the processes of a server whose postmaster is gone: a busy one does not notice for minutes, and Postgres does
/// not start while the shared memory is in use. Nothing is lost that the log would not bring back.
pub(super) async fn kill_strays(data_dir: &Path) -> anyhow::Result<()> {
    let strays = process::all_serving(data_dir)?;
    for pid in &strays {
        warn!(%pid, "Killing process {pid}, which outlived the server in {}", data_dir.display());
        process::signal(*pid, Signal::SIGKILL)?;
    }
    for pid in strays {
        tokio::time::timeout(KILLED_WITHIN, process::gone(pid, data_dir))
            .await
            .with_context(|| format!("process {pid} in {} does not die", data_dir.display()))??;
    }
    Ok(())
}

async fn stop_orphan(pid: Pid, data_dir: &Path, stop: Stop) -> anyhow::Result<()> {
    warn!(%pid, "Stopping server {pid}, which an earlier pgassay left in {}", data_dir.display());
    if !process::put_down(pid, stop, process::gone(pid, data_dir)).await? {
        bail!("server {pid} in {} does not stop", data_dir.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::process::Stdio;

    use super::*;

    fn lock_file_of(dir: &Path, pid: impl std::fmt::Display) -> PathBuf {
        let path = dir.join("postmaster.pid");
        fs::write(&path, format!("{pid}\n/x\n1\n5432\n/tmp/s\n\n 1 1\nready   \n")).unwrap();
        path
    }

    #[tokio::test]
    async fn a_directory_without_a_server_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent");
        assert_eq!(stop_leftover(&absent, Stop::Fast).await.unwrap(), Found::Nothing);
        assert_eq!(stop_leftover(dir.path(), Stop::Fast).await.unwrap(), Found::Nothing);
        assert_eq!(running(&absent).unwrap(), None);
    }

    #[tokio::test]
    async fn a_process_number_that_is_somebody_elses_now_is_stale_and_that_process_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        // It even works in the data directory, as a person's shell may.
        let mut bystander = Command::new("cat")
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let path = lock_file_of(dir.path(), bystander.id());

        assert_eq!(running(dir.path()).unwrap(), None);
        assert_eq!(stop_leftover(dir.path(), Stop::Fast).await.unwrap(), Found::Stale);
        assert!(!path.exists());
        drop(bystander.stdin.take());
        assert!(bystander.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_lock_file_cut_short_by_a_power_failure_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postmaster.pid");
        fs::write(&path, "").unwrap();
        assert_eq!(stop_leftover(dir.path(), Stop::Fast).await.unwrap(), Found::Stale);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_server_of_a_living_pgassay_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_file_of(dir.path(), 1);
        let _claim = Claim::take(dir.path()).unwrap().unwrap();
        assert_eq!(stop_leftover(dir.path(), Stop::Fast).await.unwrap(), Found::InUse);
        assert!(path.exists());
    }
}
