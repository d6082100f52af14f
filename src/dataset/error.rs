//! Why a restore fails, in words for the person who has the file.

use crate::dataset::encoding::EncodingError;
use crate::model::units::bytes_in_words;
use crate::sql::split::SplitError;
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

impl RestoreError {
    /// A compressed file that cannot be unpacked to its end; `place` is empty or begins with a space.
    pub fn damaged_compression(place: &str, error: &std::io::Error) -> Self {
        Self::Sentence(format!("The compressed file is cut off or damaged{place}: {error}."))
    }

    /// A dump of which more comes out than is allowed.
    pub fn expands_too_far(max_expanded_bytes: u64) -> Self {
        Self::Sentence(format!(
            "The dump expands to more than the limit of {}. A larger limit is set by PGASSAY_MAX_EXPANDED_BYTES.",
            bytes_in_words(max_expanded_bytes)
        ))
    }

    /// The same, with what was being done when it was found out; nothing is added when that is not known.
    pub fn during(self, detail: &str) -> Self {
        match self {
            Self::Sentence(sentence) if !detail.is_empty() => {
                Self::Sentence(format!("{sentence} It was at: {detail}."))
            }
            other => other,
        }
    }
}

impl From<OpenError> for RestoreError {
    fn from(error: OpenError) -> Self {
        Self::Lost(error.into())
    }
}

/// `foreign_key_violation`.
const FOREIGN_KEY: &str = "23503";

/// What a dump wanted and did not get, in case something fails for want of it.
#[derive(Debug, Default)]
pub struct Wanting {
    /// The line of the first statement that would have switched off foreign keys.
    pub keeps_triggers: Option<u64>,
    /// Extensions that a sandbox does not have.
    pub extensions: Vec<String>,
    /// The major version of the server that the dump was made from.
    pub made_from: Option<u32>,
    /// The major version of the server here.
    pub server: Option<u32>,
}

impl Wanting {
    /// The server's words, with what may lie behind them.
    pub fn explain(&self, mut error: ServerError) -> ServerError {
        // Undefined tables, types, functions and the like; syntax errors are of the same class.
        let is_unknown = error.sqlstate.starts_with("42");
        let behind = match (error.sqlstate.as_str(), self.keeps_triggers, &*self.extensions) {
            (FOREIGN_KEY, Some(line), _) => format!(
                "The dump wanted to switch foreign keys off (DISABLE TRIGGER in line {line}), which only a superuser \
                 may; make it without --disable-triggers, with schema and data in one file"
            ),
            (_, _, [_, ..]) if is_unknown => format!(
                "The dump wants what is not available in a sandbox: the extension {}",
                self.extensions.join(", ")
            ),
            _ => match (self.made_from, self.server) {
                (Some(made_from), Some(server)) if is_unknown && made_from > server => format!(
                    "The dump was made from PostgreSQL {made_from}, and the server here is {server}: a dump can hold \
                     what an older server does not know"
                ),
                _ => return error,
            },
        };
        error.message = format!("{}. {behind}", error.message);
        error
    }
}

/// Whether the server failed for want of memory, disk or connections, or because the system under it failed.
pub fn is_about_the_machine(error: &ServerError) -> bool {
    error.sqlstate.starts_with("53") || error.sqlstate.starts_with("58")
}

/// Of errors that end a session: the server is being stopped, has crashed, or is not up yet.
const SERVER_GOES: [&str; 3] = ["57P01", "57P02", "57P03"];

/// What the server has against a statement of a dump; `Err` when the session is gone with it.
pub fn refusal(error: sqlx::Error) -> Result<ServerError, RestoreError> {
    match ServerError::of(&error) {
        Some(server) if !server.is_fatal => Ok(server),
        Some(server) if !SERVER_GOES.contains(&server.sqlstate.as_str()) => Err(RestoreError::Sentence(format!(
            "The server ended the session of the restore. It says: {server}"
        ))),
        // The only thing that the server may ask for and that was not looked out for: the data of a COPY.
        None if matches!(error, sqlx::Error::Protocol(_)) => Err(RestoreError::Sentence(
            "pgassay and the server disagree on where a statement of this dump ends. standard_conforming_strings may be \
             set by SET only, not by a function or a block."
                .to_owned(),
        )),
        _ => Err(anyhow::Error::new(error).context("restoring").into()),
    }
}
