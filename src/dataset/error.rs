//! Why a restore fails, in words for the person who has the file.

use crate::dataset::encoding::EncodingError;
use crate::sql::split::SplitError;
use crate::target::OUT_OF_DISK;
use crate::target::ServerError;
use crate::target::session::OpenError;

/// Why a restore does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{0}")]
    Sentence(String),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    #[error("{what} in line {line} failed. The server says: {error}")]
    Statement {
        what: String,
        line: u64,
        error: ServerError,
    },
    #[error("\\{command} in line {line} is a command of psql that is not allowed in a dump. pgassay never runs psql.")]
    PsqlCommand { command: String, line: u64 },
    #[error(
        "The dump holds a second database, {name} (line {line}), beside {first}. Make a dump of one database: \
         pg_dump {first}."
    )]
    SecondDatabase { first: String, name: String, line: u64 },
    #[error(transparent)]
    Lost(#[from] anyhow::Error),
}

impl From<OpenError> for RestoreError {
    fn from(error: OpenError) -> Self {
        Self::Lost(error.into())
    }
}

/// `foreign_key_violation`.
const FOREIGN_KEY: &str = "23503";

/// `disk_full`.
const DISK_FULL: &str = "53100";

/// Whether the server failed for want of memory, disk or connections, or because the system under it failed.
pub fn is_about_the_machine(error: &ServerError) -> bool {
    error.sqlstate.starts_with("53") || error.sqlstate.starts_with("58")
}

/// Says what helps where the disk is full.
pub fn with_disk_hint(mut error: ServerError) -> ServerError {
    if error.sqlstate == DISK_FULL {
        error.message = format!("{}. That is, {OUT_OF_DISK}", error.message);
    }
    error
}

/// Says what a broken foreign key has to do with triggers that could not be switched off.
pub fn with_trigger_hint(mut error: ServerError, keeps_triggers: Option<u64>) -> ServerError {
    if let (FOREIGN_KEY, Some(line)) = (error.sqlstate.as_str(), keeps_triggers) {
        error.message = format!(
            "{}. The dump wanted to switch foreign keys off (DISABLE TRIGGER in line {line}), which only a superuser may; \
             make it without --disable-triggers, with schema and data in one file",
            error.message
        );
    }
    error
}
