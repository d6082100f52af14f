//! What the server answers to one statement, message by message.

use crate::target::ServerError;
use crate::target::wire::Lost;
use crate::target::wire::TransactionStatus;
use crate::target::wire::incoming::MOST_KEPT_BYTES;
use crate::target::wire::incoming::Message;
use crate::target::wire::rows::RowSet;
use crate::target::wire::said;

/// `feature_not_supported`
const NOT_SUPPORTED: &str = "0A000";
/// `program_limit_exceeded`
const TOO_LONG: &str = "54000";

/// What has come of an answer so far.
#[derive(Default)]
pub struct Answer {
    pub keep_rows: bool,
    pub rows: RowSet,
    /// The result in hand has come to its end: the next row is of another statement.
    is_over: bool,
    pub failed: Option<Box<ServerError>>,
}

/// What there is to do after a message.
pub enum Then {
    Listen,
    /// The server waits for rows.
    SendRows,
    /// The server ends the session.
    Leave,
    /// The answer is complete.
    Ready(TransactionStatus),
}

impl Answer {
    /// Before the next statement.
    pub fn start(&mut self) {
        self.rows.clear();
        self.is_over = false;
        self.failed = None;
    }

    pub fn take(&mut self, message: &Message<'_>) -> Result<Then, Lost> {
        match message.tag {
            b'D' => {
                self.begin();
                self.rows.n_rows += 1;
                if self.keep_rows && self.rows.n_rows == 1 {
                    self.keep(message, RowSet::keep_first)?;
                }
            }
            b'C' | b'I' => {
                self.begin();
                self.is_over = true;
            }
            b'Z' => {
                let status = TransactionStatus::read(message.body);
                return status
                    .map(Then::Ready)
                    .ok_or(Lost::Garbage("it is ready in no known state"));
            }
            // Parsed, bound, closed; notices, settings, notifications; parameters, no columns; rows that are copied to us.
            b'1'..=b'3' | b'N' | b'S' | b'A' | b't' | b'n' | b'd' | b'c' => {}
            b'T' => {
                self.begin();
                if self.keep_rows {
                    self.keep(message, RowSet::keep_names)?;
                }
            }
            b'E' => {
                let error = said::server_error(message.body);
                let is_fatal = error.is_fatal;
                self.fail(error);
                if is_fatal {
                    return Ok(Then::Leave);
                }
            }
            b'G' => return Ok(Then::SendRows),
            b'H' => self.fail(copy_refused()),
            _ => return Err(Lost::Garbage("it answers a statement with what is no answer")),
        }
        Ok(Then::Listen)
    }

    /// The server waits for rows that nobody has.
    pub fn refuse_copy(&mut self) {
        self.fail(copy_refused());
    }

    /// Puts the result before this one aside.
    fn begin(&mut self) {
        if self.is_over {
            self.is_over = false;
            self.rows.clear();
        }
    }

    fn keep(&mut self, message: &Message<'_>, keep: impl FnOnce(&mut RowSet, &[u8]) -> bool) -> Result<(), Lost> {
        if !message.is_whole {
            let most_mb = MOST_KEPT_BYTES >> 20;
            self.fail(refused(
                TOO_LONG,
                &format!("the row is longer than the {most_mb} MB that are kept of one"),
            ));
        } else if !keep(&mut self.rows, message.body) {
            return Err(Lost::Garbage("it sends a row that is none"));
        }
        Ok(())
    }

    /// The first error is the reason of all others but of one that ends the session.
    fn fail(&mut self, error: ServerError) {
        if self.failed.is_none() || error.is_fatal {
            self.failed = Some(Box::new(error));
        }
    }
}

fn copy_refused() -> ServerError {
    refused(
        NOT_SUPPORTED,
        "COPY from or to the client does not go with load: there are no rows here to copy, and no place",
    )
}

fn refused(sqlstate: &str, message: &str) -> ServerError {
    ServerError {
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        position: None,
        is_fatal: false,
    }
}
