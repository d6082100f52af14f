//! The database under test: sessions, timed statements, clones, and the lease that turns a dataset into a sandbox.
//!
//! Superuser sessions ([`Admin`](session::Admin)) see `pg_catalog` only and never run a statement that came from an
//! upload; everything else runs as the dataset's own role ([`Session`](session::Session)).

pub mod clone;
pub mod counters;
pub mod execute;
pub mod explain;
pub mod lease;
pub mod looking;
pub mod names;
pub mod open_files;
pub mod prepare;
pub mod registered;
pub mod role;
pub mod room;
pub mod secret;
pub mod session;
pub mod shared;
pub mod trouble;
pub mod wire;

use sqlx::postgres::PgDatabaseError;

use crate::cluster::limits::PRIVATE_BYTES;
use crate::target::registered::session::TooSlow;
use crate::target::role::TEMP_FILE_LIMIT;
use crate::target::room::Shortage;
use crate::target::shared::Quarantined;

/// What a full disk does to a server, and what helps.
pub const OUT_OF_DISK: &str = "the disk that holds the datasets is full; free some space on it, or delete datasets that \
                               are not needed";

/// How the system says that a disk is full, in the servers' language.
const NO_SPACE: &str = "No space left on device";

/// What has to be put right before another try makes sense, where that is why something failed. A sentence.
pub fn to_be_put_right(error: &anyhow::Error) -> Option<String> {
    let quarantined = error.downcast_ref::<Quarantined>().map(Quarantined::to_string);
    let too_slow = error.downcast_ref::<TooSlow>().map(|_| {
        format!(
            "The registered server is too slow: {error:#}. See there what it is busy with or waits for (pg_stat_activity shows \
             it), and try again when that is over."
        )
    });
    let short = || error.downcast_ref::<Shortage>().map(Shortage::to_string);
    quarantined.or(too_slow).or_else(short)
}

/// What a server said about a statement, for people, with what is behind it where a limit of the sandbox is; never our
/// own chain of causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    pub sqlstate: String,
    pub message: String,
    /// Characters into the statement, from 1.
    pub position: Option<usize>,
    /// The server closed the session with this error.
    pub is_fatal: bool,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServerError {}

impl ServerError {
    /// The server's words among the causes of `error`.
    pub fn among(error: &anyhow::Error) -> Option<Self> {
        error.chain().find_map(|cause| match cause.downcast_ref::<Self>() {
            Some(said) => Some(said.clone()),
            None => Self::of(cause.downcast_ref()?),
        })
    }

    /// The server's words in `error`, if it is the server that spoke.
    pub fn of(error: &sqlx::Error) -> Option<Self> {
        let sqlx::Error::Database(error) = error else {
            return None;
        };
        let error = error.try_downcast_ref::<PgDatabaseError>()?;
        let position = match error.position() {
            Some(sqlx::postgres::PgErrorPosition::Original(position)) => Some(position),
            _ => None,
        };
        let is_fatal = matches!(
            error.severity(),
            sqlx::postgres::PgSeverity::Fatal | sqlx::postgres::PgSeverity::Panic
        );
        Some(Self::new(
            error.code(),
            error.message(),
            error.detail(),
            position,
            is_fatal,
        ))
    }

    /// From the fields of what the server sent.
    fn new(sqlstate: &str, message: &str, detail: Option<&str>, position: Option<usize>, is_fatal: bool) -> Self {
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        let behind = what_is_behind(sqlstate, message)
            .map(|behind| format!(". {behind}"))
            .unwrap_or_default();
        Self {
            sqlstate: sqlstate.to_owned(),
            message: format!("{message}{detail}{behind}"),
            position,
            is_fatal,
        }
    }
}

/// The limit that a statement has met, by SQLSTATE, and what helps.
fn what_is_behind(sqlstate: &str, message: &str) -> Option<String> {
    Some(match sqlstate {
        "53100" => format!("That is, {OUT_OF_DISK}"),
        "53200" if message.contains("shared memory") => {
            "The server's table of locks is full, which has room for thousands of them".to_owned()
        }
        "53200" => format!(
            "A process of a server that pgassay starts may take {} GB beside its shared memory",
            PRIVATE_BYTES >> 30
        ),
        "53400" => format!(
            "Sorting, hashing or a large result may take {TEMP_FILE_LIMIT} of temporary files; with more work_mem, or with \
             fewer rows at once, it takes less"
        ),
        _ => return None,
    })
}
