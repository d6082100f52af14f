//! One connection by PostgreSQL's frontend/backend protocol 3.0, made for load: one write and one read for a statement
//! where its answer fits, buffers that are used again, results that are read over. No pool, no cache, no types, no task
//! and no lock of its own.

mod answer;
mod cancel;
mod connect;
mod dial;
mod incoming;
mod outgoing;
mod params;
mod rows;
mod said;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::io;
use std::sync::Arc;

use postgres_protocol::message::frontend;

use crate::target::ServerError;
use crate::target::wire::answer::Answer;
use crate::target::wire::answer::Then;
pub use crate::target::wire::cancel::Canceller;
pub use crate::target::wire::connect::ConnectError;
pub use crate::target::wire::dial::Dial;
pub use crate::target::wire::dial::Place;
use crate::target::wire::incoming::Incoming;
use crate::target::wire::outgoing::Outgoing;
pub use crate::target::wire::params::Params;
pub use crate::target::wire::rows::Rows;
use crate::target::wire::stream::Stream;
pub use crate::target::wire::tls::Binding;
pub use crate::target::wire::tls::Roots;
pub use crate::target::wire::tls::Tls;
pub use crate::target::wire::tls::TlsMode;
pub use crate::target::wire::url::UrlError;

/// What became of a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    Done,
    /// The session goes on, unless the error was fatal: then the next call is `Lost`.
    Failed(Box<ServerError>),
}

/// The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("the connection broke: {0}")]
    Broke(io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("what answers there is no PostgreSQL server: {0}")]
    Garbage(&'static str),
    /// It was lost before, or a call on it was dropped.
    #[error("the connection was given up before")]
    GivenUp,
}

/// Whether a session is in a transaction, as the server said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Idle,
    Open,
    /// Only a rollback is taken.
    Failed,
}

impl TransactionStatus {
    /// From the body of a `ReadyForQuery`.
    fn read(body: &[u8]) -> Option<Self> {
        match body {
            b"I" => Some(Self::Idle),
            b"T" => Some(Self::Open),
            b"E" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Whether the server waits for a Sync before it is ready again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Simple,
    Extended,
}

/// A connection. No call on it is cancel-safe: one that is dropped before its end leaves the connection good for nothing
/// but [`close`](Wire::close).
pub struct Wire {
    stream: Stream,
    incoming: Incoming,
    outgoing: Outgoing,
    answer: Answer,
    status: TransactionStatus,
    /// The last answer was heard to its end, so the next one belongs to the next statement.
    is_usable: bool,
    canceller: Arc<Canceller>,
}

impl Wire {
    /// Connects, and returns when the server is ready for a statement.
    pub async fn connect(dial: &Dial) -> Result<Self, ConnectError> {
        connect::connect(dial).await
    }

    /// Refuses a place that may not be reached, without going there.
    pub async fn check(dial: &Dial) -> Result<(), ConnectError> {
        connect::check(dial).await
    }

    /// Runs a text of one or several statements by the simple protocol.
    pub async fn simple(&mut self, sql: &str) -> Result<Ran, Lost> {
        let put = self.outgoing.simple(sql);
        self.exchange(put, Protocol::Simple, None).await
    }

    /// Runs a `COPY ... FROM STDIN` by the simple protocol, with these rows in its text format.
    pub async fn copy_in(&mut self, sql: &str, rows: &[u8]) -> Result<Ran, Lost> {
        let put = self.outgoing.simple(sql);
        self.exchange(put, Protocol::Simple, Some(rows)).await
    }

    /// Parses and runs one statement, which the server then forgets.
    pub async fn extended(&mut self, sql: &str, params: &Params) -> Result<Ran, Lost> {
        let put = self.outgoing.extended(sql, params, self.answer.keep_rows);
        self.exchange(put, Protocol::Extended, None).await
    }

    /// Parses one statement, to be run by its name. One that had the name is forgotten.
    pub async fn prepare(&mut self, name: &str, sql: &str) -> Result<Ran, Lost> {
        let put = self.outgoing.prepare(name, sql);
        self.exchange(put, Protocol::Extended, None).await
    }

    /// Runs a statement that was prepared on this connection.
    pub async fn prepared(&mut self, name: &str, params: &Params) -> Result<Ran, Lost> {
        let put = self.outgoing.prepared(name, params, self.answer.keep_rows);
        self.exchange(put, Protocol::Extended, None).await
    }

    /// Whether the names of columns and the first row are kept of each statement from now on. They are not at first.
    /// A row or names longer than 1 MB are not, and the statement is answered as failed.
    pub fn keep_rows(&mut self, keep_rows: bool) {
        self.answer.keep_rows = keep_rows;
    }

    /// What the last statement brought.
    pub fn rows(&self) -> Rows<'_> {
        Rows(&self.answer.rows)
    }

    /// Whether what is said on it can be read by nobody in between.
    pub fn uses_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// As it was behind the last statement.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    /// What stops the statement in hand from elsewhere, now or later.
    pub fn canceller(&self) -> Canceller {
        Canceller::clone(&self.canceller)
    }

    /// Ends the session in order. Does not wait for the server.
    pub async fn close(mut self) {
        frontend::terminate(self.outgoing.start());
        // A connection that cannot even be closed is gone, which is what was wanted.
        let _ = self.stream.send(self.outgoing.bytes()).await;
    }

    async fn exchange(
        &mut self,
        put: Result<(), ServerError>,
        protocol: Protocol,
        rows: Option<&[u8]>,
    ) -> Result<Ran, Lost> {
        if !self.is_usable {
            return Err(Lost::GivenUp);
        }
        self.answer.start();
        if let Err(refused) = put {
            return Ok(Ran::Failed(Box::new(refused)));
        }
        self.is_usable = false;
        let sent = self.stream.send(self.outgoing.bytes()).await;
        // Where nothing can be sent any more the server's last words may still be there to read.
        match (self.hear(protocol, rows).await, sent) {
            (Ok(status), _) => {
                self.status = status;
                self.is_usable = true;
            }
            (Err(_), _) if self.answer.failed.as_ref().is_some_and(|error| error.is_fatal) => {}
            (Err(Lost::Closed), Err(error)) => return Err(Lost::Broke(error)),
            (Err(lost), _) => return Err(lost),
        }
        Ok(self.answer.failed.take().map_or(Ran::Done, Ran::Failed))
    }

    /// Reads an answer to its end, and sends the rows if it asks for them.
    async fn hear(&mut self, protocol: Protocol, mut rows: Option<&[u8]>) -> Result<TransactionStatus, Lost> {
        loop {
            while let Some(message) = self.incoming.next(self.answer.keep_rows)? {
                match self.answer.take(&message)? {
                    Then::Listen => {}
                    Then::Leave => return Err(Lost::Closed),
                    Then::Ready(status) => return Ok(status),
                    Then::SendRows => {
                        if let Some(rows) = rows.take() {
                            self.outgoing.copy(rows);
                        } else {
                            self.answer.refuse_copy();
                            self.outgoing.no_copy(protocol == Protocol::Extended);
                        }
                        self.stream.send(self.outgoing.bytes()).await.map_err(Lost::Broke)?;
                    }
                }
            }
            self.incoming.fill(&mut self.stream).await?;
        }
    }
}
