//! Postgres servers that we start ourselves: the store's, and one of its own for every dataset.
//! It starts, finds again and stops processes; it never speaks SQL to them.
//!
//! What it promises: a server listens on a Unix socket only; it is our direct child; a data directory is complete or
//! absent; no second server ever runs on the same files. The last one rests on two locks: Postgres's own
//! `postmaster.pid`, and a claim on the directory that lives and dies with this process.
//!
//! In order: [`binaries::Binaries::find`], [`site::Site::open`] once; for each server [`initdb::prepare`] and
//! [`server::Server::start`]. Guests of a server that another pgassay runs ask [`leftover::running`].

pub mod binaries;
mod claim;
pub mod initdb;
pub mod leftover;
pub mod limits;
mod lock_file;
pub mod privileges;
mod process;
pub mod server;
mod settings;
pub mod site;
mod sockets;

use std::path::Path;
use std::path::PathBuf;

use sha2::Digest;
use sha2::Sha256;

use crate::model::dataset::Setting;

/// Names the socket file and nothing else, as no server of ours listens on TCP.
pub const PORT: u16 = 5432;

/// The only superuser of our clusters; the operating system's word for who we are opens it, no password does.
pub const SUPERUSER: &str = "postgres";

/// What a server is for, which decides its settings, its limits and who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own database: only we connect.
    Store,
    /// The cluster of one dataset: everything in it may be hostile, and it is measured.
    Sandbox,
}

/// One server that we want.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Where its files are, below the data root.
    pub data_dir: PathBuf,
    /// Names the socket's directory, so it is short (`store`, `s12`) and unique below the data root.
    pub socket_name: String,
    pub kind: Kind,
    /// Settings of the server in place of the usual ones.
    pub settings: Vec<Setting>,
}

/// How a server is asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, then a checkpoint is written. Falls back to `Immediate` after ten seconds.
    Fast,
    /// Everything ends at once and the next start recovers from the log. Nothing committed is lost.
    Immediate,
}

/// Why a server of ours cannot be had. All but `Fault` are sentences for the person who started pgassay.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "No PostgreSQL server was found on this machine. Install one (Debian and Ubuntu: `apt install postgresql`; \
         Fedora: `dnf install postgresql-server`; macOS: `brew install postgresql@17`), or name its directory in \
         PGASSAY_PG_BINDIR."
    )]
    NoBinaries,
    #[error(
        "{dir} holds no PostgreSQL server: `postgres` and `initdb` are expected in PGASSAY_PG_BINDIR.",
        dir = .0.display()
    )]
    NotABindir(PathBuf),
    #[error(
        "The PostgreSQL in {bindir} is version {version}; pgassay needs {oldest} or newer.",
        bindir = .bindir.display(),
        oldest = binaries::OLDEST_MAJOR
    )]
    TooOld { bindir: PathBuf, version: String },
    #[error("PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`.")]
    NoAccount,
    #[error("User {0} has no name on this machine; PostgreSQL needs one to know who connects.")]
    NamelessUser(u32),
    #[error(
        "PostgreSQL runs here as user `{account}`, who may not enter {dir}. Choose another data directory, or open \
         that one with `chmod o+x`.",
        dir = .dir.display()
    )]
    Closed { dir: PathBuf, account: String },
    #[error(
        "{path} is {length} bytes long; the path of a Unix socket has at most {most}.",
        path = .path.display(),
        length = .path.as_os_str().len(),
        most = sockets::LONGEST_PATH
    )]
    SocketPathTooLong { path: PathBuf },
    #[error(
        "{dir} is not a directory that belongs to us alone, so no socket is put there. Please remove it.",
        dir = .0.display()
    )]
    SocketDirTaken(PathBuf),
    #[error("Another pgassay is running the server in {dir}.", dir = .0.display())]
    InUse(PathBuf),
    #[error(
        "{data_dir} was made by PostgreSQL {made_by}, and the server found is {found}. Name one of version {made_by} \
         in PGASSAY_PG_BINDIR.",
        data_dir = .data_dir.display()
    )]
    OtherVersion {
        data_dir: PathBuf,
        made_by: String,
        found: String,
    },
    #[error("PostgreSQL did not start in {data_dir}: {reason}\n{log}", data_dir = .data_dir.display())]
    DidNotStart {
        data_dir: PathBuf,
        reason: String,
        /// The last lines that the server wrote.
        log: String,
    },
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// Eight hex digits that stand for a path where there is no room for the path.
fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..4])
}
