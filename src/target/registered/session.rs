//! A session of our own on a registered server. What it runs names everything with its schema: the role's search path is
//! the server's business.

use std::borrow::Cow;
use std::time::Duration;
use std::time::Instant;

use crate::model::units::seconds_in_words;
use crate::target::ServerError;
use crate::target::wire::Canceller;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Lost;
use crate::target::wire::Ran;
use crate::target::wire::Wire;

/// How much longer than the server itself we wait for it to end a statement (`reliability.md` 7).
const GRACE: Duration = Duration::from_secs(2);
/// With which SQLSTATE it does.
const QUERY_CANCELED: &str = "57014";

/// An open session. An `Err` is the [`ServerError`] of a statement that was refused, or else the session is lost.
pub struct OwnSession {
    wire: Wire,
    /// What one statement may take; none where somebody else looks after that.
    limit: Option<Duration>,
}

/// A statement took longer than it may. The session is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {}", seconds_in_words(limit.as_secs_f64()))]
pub struct TooSlow {
    pub limit: Duration,
}

impl OwnSession {
    pub async fn open(dial: &Dial) -> Result<Self, ConnectError> {
        let mut wire = Wire::connect(dial).await?;
        wire.keep_rows(true);
        Ok(Self { wire, limit: None })
    }

    /// A session in which no statement takes longer than this: the server ends it, and where that does not answer we stop
    /// waiting and ask it to by another connection. Then the `Err` is [`TooSlow`].
    pub async fn open_within(dial: &Dial, limit: Duration) -> Result<Self, ConnectError> {
        let session = Self::open(dial).await?;
        let mut session = Self {
            limit: Some(limit),
            ..session
        };
        let set = format!("set statement_timeout = {}", limit.as_millis());
        match session.run(&set).await {
            // Not every server that speaks the protocol knows such a limit; ours holds all the same.
            Err(error) if !is_survived(&error) => Err(ConnectError::Silent {
                place: dial.place.to_string(),
                sentence: format!("{error:#}"),
            }),
            _ => Ok(session),
        }
    }

    /// Whether what is said can be read by nobody in between.
    pub fn uses_tls(&self) -> bool {
        self.wire.uses_tls()
    }

    /// Runs one statement or several.
    pub async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        let canceller = self.wire.canceller();
        bounded(self.limit, canceller, self.wire.simple(sql)).await
    }

    /// Runs a `COPY ... FROM STDIN` with these rows in its text format.
    pub async fn copy_in(&mut self, sql: &str, rows: &[u8]) -> anyhow::Result<()> {
        let canceller = self.wire.canceller();
        bounded(self.limit, canceller, self.wire.copy_in(sql, rows)).await
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

/// What a statement comes to within a limit.
async fn bounded(
    limit: Option<Duration>,
    canceller: Canceller,
    running: impl Future<Output = Result<Ran, Lost>>,
) -> anyhow::Result<()> {
    let Some(limit) = limit else {
        return said(running.await);
    };
    let began = Instant::now();
    match tokio::time::timeout(limit + GRACE, running).await {
        Ok(Ok(Ran::Failed(error))) if error.sqlstate == QUERY_CANCELED && began.elapsed() >= limit => {
            Err(TooSlow { limit }.into())
        }
        Ok(ran) => said(ran),
        Err(_) => {
            // Who does not answer the one may not answer the other.
            let _ = canceller.cancel().await;
            Err(TooSlow { limit }.into())
        }
    }
}

fn said(ran: Result<Ran, Lost>) -> anyhow::Result<()> {
    match ran? {
        Ran::Done => Ok(()),
        Ran::Failed(error) => Err((*error).into()),
    }
}
