//! A backup: the store and the files that cannot be made anew, as one file. What can be made anew is not in it: sandboxes are
//! restored from their dumps.
//!
//! It is a zip archive: `store.pgdump`, as `pg_dump` writes it in its custom format; `key`, the key file, if it lies in the
//! data directory; `uploads/<id>`, the dumps of datasets; and last `manifest.json`, which says what is in the others.

pub mod archive;
pub mod format;
pub mod programs;

use std::path::PathBuf;

use crate::cluster::binaries::version_in_words;

/// Why there is no backup, or why one is not restored. Sentences; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("There is a file {} already. Choose another name, or remove that file.", .0.display())]
    Exists(PathBuf),
    #[error(
        "{} is not a backup of pgassay, or not a whole one: {reason}. Choose another file, or copy it again.",
        path.display()
    )]
    NotABackup { path: PathBuf, reason: String },
    #[error(
        "{} was changed after it was written, or was damaged: {reason}. Nothing of it is restored. Copy it again, or choose \
         an older one.",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "The backup was made by pgassay {made_by}, which is newer than this one ({own}). Restore it by that version or a \
         newer one.",
        own = env!("CARGO_PKG_VERSION")
    )]
    Newer { made_by: String },
    #[error(
        "The data directory {} is not empty. A backup is restored into one that is empty or not there yet: choose another \
         with --data-dir, or move away what lies there.",
        .0.display()
    )]
    DirectoryInUse(PathBuf),
    #[error(
        "The store of DATABASE_URL is not empty. A backup is restored into an empty database: make one (createdb), and name \
         it in DATABASE_URL."
    )]
    StoreInUse,
    #[error(
        "The key file {} holds another key than the backup. Move it away, or name another one with --key-file.",
        .0.display()
    )]
    OtherKey(PathBuf),
    #[error(
        "There is no {program} of PostgreSQL {} or newer on this machine, which the store needs. Install it (Debian and \
         Ubuntu: apt install postgresql-client-{}; Fedora: dnf install postgresql; macOS: brew install postgresql@{}), or \
         name its directory in PGASSAY_PG_BINDIR.",
        .major, .major, .major
    )]
    NoProgram { program: &'static str, major: u32 },
    #[error(
        "The backup is of a store on PostgreSQL {}, and the server for it here is {}. Restore it on version {} or newer.",
        version_in_words(*made_on),
        version_in_words(*found),
        made_on / 10_000
    )]
    OlderServer { made_on: u32, found: u32 },
    #[error("There is no room for the backup: the disk of {} is full. Nothing of it was kept.", .0.display())]
    DiskFull(PathBuf),
    #[error("Stopped on request. Nothing was kept.")]
    Stopped,
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}
