//! One statement under a time limit, with a watchdog behind the server's own timeout.
//!
//! When [`Session::execute`] returns, no statement of ours runs on the server: the server's `statement_timeout` ends
//! it, or a cancel, or a terminate. Where none of these helps the session says that it is stuck, and its owner stops
//! the sandbox.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use crate::target::ServerError;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::session::Session;

/// How long after the server's own timeout the watchdog waits before it cancels.
const CANCEL_AFTER: Duration = Duration::from_secs(2);
/// How long a cancelled statement may take to end, and a terminated one.
const TERMINATE_AFTER: Duration = Duration::from_secs(5);
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);

/// `query_canceled`: the server's timeout, or our cancel.
const QUERY_CANCELED: &str = "57014";

/// What state a statement left its session in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Alive,
    /// The server ended it; another can be opened.
    Gone,
    /// Its backend obeys neither cancel nor terminate: only stopping the server ends it.
    Stuck,
}

/// What became of a statement. A lost target is an `Err` instead.
#[derive(Debug)]
pub enum Ran<T> {
    Done(T),
    /// The server refused it or it failed; the session lives on unless the error was fatal.
    Failed(ServerError),
    TimedOut,
    /// We were asked to stop.
    Interrupted,
}

/// A statement's answer with the time it took as this process saw it.
#[derive(Debug)]
pub struct Answer {
    /// The first column of the rows, as text, when it was asked for.
    pub text: Option<String>,
    pub elapsed: Duration,
}

/// What to keep of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Read and drop all rows.
    Drop,
    /// The first column of all rows, joined by line ends: what EXPLAIN answers.
    Text,
}

impl Session {
    /// Runs one statement by the extended protocol, which refuses a second one.
    ///
    /// `limit` is the server's timeout as it was set on the session; the watchdog acts a little later.
    /// `Err` means that the target is lost: the connection broke. Look at `health` before the session is used again.
    pub async fn execute(
        &mut self,
        sql: String,
        rows: Rows,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<Answer>> {
        if cancel.is_cancelled() {
            return Ok(Ran::Interrupted);
        }
        let backend_pid = self.backend_pid;
        let address = self.address.clone();
        let started = Instant::now();
        let running = async {
            // Not ours: the text of a query under test, as one statement, under the dataset's restricted role.
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            let mut stream = query.fetch(&mut self.conn);
            let mut text: Option<String> = None;
            while let Some(row) = stream.try_next().await? {
                if rows == Rows::Text {
                    let line = row.try_get_raw(0)?.as_str().map_err(sqlx::Error::Decode)?.to_owned();
                    text = Some(text.map_or(line.clone(), |text| format!("{text}\n{line}")));
                }
            }
            Ok(Answer {
                text,
                elapsed: started.elapsed(),
            })
        };
        let mut running = Box::pin(running);
        let (cut_off, ran) = tokio::select! {
            result = &mut running => (None, Some(result)),
            () = cancel.cancelled() => (Some(Ran::Interrupted), None),
            () = tokio::time::sleep(limit + CANCEL_AFTER) => (Some(Ran::TimedOut), None),
        };
        let Some(cut_off) = cut_off else {
            drop(running);
            let ran = self.settle(ran.context("a statement that ended has a result")?)?;
            if self.health == Health::Gone {
                // That a session was ended is an outcome. That its server was is not, and looks the same from here.
                let server = Admin::connect(&self.address, "postgres").await;
                server.context("the server is gone")?.close().await;
            }
            return Ok(ran);
        };
        let health = stop_backend(&address, backend_pid, &mut running).await?;
        drop(running);
        self.health = health;
        Ok(cut_off)
    }

    fn settle(&mut self, result: Result<Answer, sqlx::Error>) -> anyhow::Result<Ran<Answer>> {
        let error = match result {
            Ok(answer) => return Ok(Ran::Done(answer)),
            Err(error) => error,
        };
        match (ServerError::of(&error), error) {
            (Some(server), _) if server.sqlstate == QUERY_CANCELED => Ok(Ran::TimedOut),
            (Some(server), _) => {
                if server.is_fatal {
                    self.health = Health::Gone;
                }
                Ok(Ran::Failed(server))
            }
            // A value that this client cannot read is the statement's failure, not the connection's.
            (None, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => Ok(Ran::Failed(ServerError {
                sqlstate: "XX000".to_owned(),
                message: "the answer cannot be read as text".to_owned(),
                position: None,
                is_fatal: false,
            })),
            (None, error) => Err(anyhow::Error::new(error).context("the connection to the server broke")),
        }
    }
}

/// Cancels, then terminates the backend until `running` ends. A server that lets nobody in to do so is as good as stuck:
/// a statement can use up what a new session needs.
async fn stop_backend<T>(
    address: &Address,
    backend_pid: i32,
    mut running: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
) -> anyhow::Result<Health> {
    let Ok(mut admin) = Admin::connect(address, "postgres").await else {
        return Ok(Health::Stuck);
    };
    for (function, patience) in [
        ("pg_cancel_backend", TERMINATE_AFTER),
        ("pg_terminate_backend", GIVE_UP_AFTER),
    ] {
        admin
            .run(format!("select pg_catalog.{function}({backend_pid})"))
            .await?;
        if let Ok(result) = tokio::time::timeout(patience, &mut running).await {
            admin.close().await;
            let survived = match result {
                Ok(_) => true,
                Err(error) => ServerError::of(&error).is_some_and(|server| !server.is_fatal),
            };
            return Ok(if survived { Health::Alive } else { Health::Gone });
        }
    }
    Ok(Health::Stuck)
}
