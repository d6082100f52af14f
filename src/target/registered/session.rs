//! A session of our own on a registered server. What it runs names everything with its schema: the role's search path is
//! the server's business.

use std::borrow::Cow;

use crate::target::ServerError;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Lost;
use crate::target::wire::Ran;
use crate::target::wire::Wire;

/// An open session. An `Err` is the [`ServerError`] of a statement that was refused, or else the session is lost.
pub struct OwnSession {
    wire: Wire,
}

impl OwnSession {
    pub async fn open(dial: &Dial) -> Result<Self, ConnectError> {
        let mut wire = Wire::connect(dial).await?;
        wire.keep_rows(true);
        Ok(Self { wire })
    }

    /// Whether what is said can be read by nobody in between.
    pub fn uses_tls(&self) -> bool {
        self.wire.uses_tls()
    }

    /// Runs one statement or several.
    pub async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        said(self.wire.simple(sql).await)
    }

    /// Runs a `COPY ... FROM STDIN` with these rows in its text format.
    pub async fn copy_in(&mut self, sql: &str, rows: &[u8]) -> anyhow::Result<()> {
        said(self.wire.copy_in(sql, rows).await)
    }

    /// The first row that a statement brings; nothing where it brings none.
    pub async fn row(&mut self, sql: &str) -> anyhow::Result<Vec<Option<String>>> {
        self.run(sql).await?;
        let values = self.wire.rows().first();
        Ok(values.map(|value| value.map(Cow::into_owned)).collect())
    }

    /// The first value of the first row.
    pub async fn ask(&mut self, sql: &str) -> anyhow::Result<Option<String>> {
        Ok(self.row(sql).await?.into_iter().next().flatten())
    }

    /// As [`ask`](Self::ask); also none where the server does not know what is asked, or does not tell us.
    pub async fn ask_if_told(&mut self, sql: &str) -> anyhow::Result<Option<String>> {
        match self.ask(sql).await {
            Err(error) if is_survived(&error) => Ok(None),
            answer => answer,
        }
    }

    /// Ends the session in order.
    pub async fn close(self) {
        self.wire.close().await;
    }
}

/// Whether an error is the server's about a statement, and the session goes on.
pub fn is_survived(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ServerError>().is_some_and(|said| !said.is_fatal)
}

fn said(ran: Result<Ran, Lost>) -> anyhow::Result<()> {
    match ran? {
        Ran::Done => Ok(()),
        Ran::Failed(error) => Err((*error).into()),
    }
}
