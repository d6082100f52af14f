//! Reads `postmaster.pid`, in which a server writes who it is and whether it is ready.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use nix::unistd::Pid;

/// What a server wrote. It proves nothing: the server may be gone and its process number somebody else's.
#[derive(Debug, PartialEq, Eq)]
pub struct LockFile {
    pub pid: Pid,
    /// `None` until the server listens.
    pub socket_dir: Option<PathBuf>,
    pub is_ready: bool,
}

/// What is at the place of the lock file.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Absent,
    /// Empty or cut short: the machine went down while it was written.
    Unreadable,
    Written(LockFile),
}

pub fn read(data_dir: &Path) -> io::Result<Found> {
    match fs::read(data_dir.join("postmaster.pid")) {
        Ok(bytes) => Ok(match parse(&String::from_utf8_lossy(&bytes)) {
            Some(lock_file) => Found::Written(lock_file),
            None => Found::Unreadable,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Absent),
        Err(error) => Err(error),
    }
}

/// Removing the lock file of a living server lets a second one in: the caller has proved that there is none.
pub fn remove(data_dir: &Path) -> io::Result<()> {
    match fs::remove_file(data_dir.join("postmaster.pid")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The lines, by `LOCK_FILE_LINE_*` of Postgres's `miscadmin.h`: pid (negative for a single-user server), data
/// directory, start time, port, socket directory, listen address, shared memory, status.
fn parse(text: &str) -> Option<LockFile> {
    let lines: Vec<&str> = text.lines().collect();
    let pid: i32 = lines.first()?.trim().parse().ok()?;
    let pid = pid.checked_abs().filter(|pid| *pid > 0)?;
    let socket_dir = lines.get(4).filter(|line| !line.is_empty());
    Some(LockFile {
        pid: Pid::from_raw(pid),
        socket_dir: socket_dir.map(PathBuf::from),
        is_ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ready_server_is_read_with_its_socket() {
        let text = "4711\n/data/store\n1700000000\n5432\n/tmp/pgassay-0a0b0c0d/store\n\n 1234 0\nready   \n";
        let expected = LockFile {
            pid: Pid::from_raw(4711),
            socket_dir: Some(PathBuf::from("/tmp/pgassay-0a0b0c0d/store")),
            is_ready: true,
        };
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn a_starting_server_is_not_ready() {
        for text in [
            "4711\n/data/store\n1700000000\n5432\n",
            "4711\n/data/store\n1700000000\n5432\n/tmp/s\n\n 1234 0\nstarting\n",
            "4711\n/data/store\n1700000000\n5432\n/tmp/s\n\n 1234 0\nstopping\n",
        ] {
            assert!(!parse(text).unwrap().is_ready, "{text:?}");
        }
    }

    #[test]
    fn a_single_user_server_counts_by_its_process() {
        assert_eq!(parse("-4711\n/data\n").unwrap().pid, Pid::from_raw(4711));
    }

    #[test]
    fn nothing_that_could_signal_a_group_is_taken_for_a_process() {
        for text in ["", "\n", "0\n", "-0\n", "x\n", "-2147483648\n", "99999999999\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_only_to_a_positive_process(text in ".{0,40}\n{0,9}.{0,9}") {
            if let Some(lock_file) = parse(&text) {
                prop_assert!(lock_file.pid.as_raw() > 0);
            }
        }
    }
}
