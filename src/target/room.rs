//! How much disk a sandbox may take: eighty bytes of SQL can fill one.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::files::disk::Disk;
use crate::files::disk::LowDisk;
use crate::model::units::bytes_in_words;
use crate::target::ServerError;
use crate::target::session::Admin;

/// A server writes about 120 MB a second (`reliability.md` 7), so a limit is passed by little.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the databases of a sandbox may take.
#[derive(Clone, Debug)]
pub struct Room {
    /// Not known of a server that somebody else runs.
    pub disk: Option<Disk>,
    pub max_database_bytes: u64,
}

/// Why nothing more may be written. A sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    #[error(transparent)]
    Disk(#[from] LowDisk),
    #[error(
        "The database grew beyond the limit of {}. A larger limit is set by PGASSAY_MAX_DATABASE_BYTES.",
        bytes_in_words(*limit_bytes)
    )]
    Database { limit_bytes: u64 },
}

impl Shortage {
    /// As the server says that a limit of its own is passed (`configuration_limit_exceeded`).
    pub fn as_server_error(self) -> ServerError {
        ServerError {
            sqlstate: "53400".to_owned(),
            message: self.to_string(),
            position: None,
            is_fatal: false,
        }
    }
}

impl Room {
    /// Refuses, by an `Err` that is a [`Shortage`], what would write so many more bytes than the disk has to give.
    pub fn require(&self, more_bytes: u64) -> anyhow::Result<()> {
        match self.low_disk(more_bytes)? {
            Some(low) => Err(Shortage::from(low).into()),
            None => Ok(()),
        }
    }

    /// None as long as the database, as the sandbox calls it, may grow.
    pub async fn shortage(&self, server: &mut Admin, database: &str) -> anyhow::Result<Option<Shortage>> {
        if let Some(low) = self.low_disk(0)? {
            return Ok(Some(low.into()));
        }
        let size_bytes: Option<i64> = sqlx::query_scalar(
            "select pg_catalog.pg_database_size(oid) from pg_catalog.pg_database where datname = $1",
        )
        .bind(server.names.on_server(database))
        .persistent(false)
        .fetch_optional(&mut server.conn)
        .await
        .context("asking for the size of a database")?;
        let limit_bytes = self.max_database_bytes;
        let is_beyond = size_bytes.is_some_and(|size| u64::try_from(size).is_ok_and(|size| size > limit_bytes));
        Ok(is_beyond.then_some(Shortage::Database { limit_bytes }))
    }

    fn low_disk(&self, more_bytes: u64) -> anyhow::Result<Option<LowDisk>> {
        self.disk.as_ref().map_or(Ok(None), |disk| disk.low(more_bytes))
    }
}

/// Looks after what a statement takes while it runs, from its second second on. A shorter one is left alone.
pub struct Watch {
    room: Room,
    /// The database that the statement may write to, and a session beside it.
    written: Option<(Admin, String)>,
}

impl Watch {
    /// Over a statement that writes nothing but temporary files: the server is not asked for anything.
    pub fn of_reading(room: &Room) -> Self {
        Self {
            room: room.clone(),
            written: None,
        }
    }

    /// Over a statement that may write to `database`. `server` is a session that is connected to another one.
    pub fn of_writing(room: &Room, server: Admin, database: &str) -> Self {
        Self {
            room: room.clone(),
            written: Some((server, database.to_owned())),
        }
    }

    /// Waits for what runs, and cancels `stop`, which is for it to obey, when it may not go on. Of a statement that may
    /// write the reason then stands beside its answer. One that reads has not used up the disk, so it does not count: the
    /// reason is an `Err` that is a [`Shortage`].
    pub async fn over<T>(
        &mut self,
        stop: &CancellationToken,
        running: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, Option<Shortage>)> {
        let mut running = pin!(running);
        let shortage = tokio::select! {
            ran = &mut running => return Ok((ran?, None)),
            shortage = self.wait_for_shortage() => shortage,
        };
        stop.cancel();
        let answer = running.await?;
        match self.written {
            Some(_) => Ok((answer, Some(shortage))),
            None => Err(shortage.into()),
        }
    }

    async fn wait_for_shortage(&mut self) -> Shortage {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look().await {
                Ok(Some(shortage)) => return shortage,
                Ok(None) => {}
                // What the statement does may be what keeps others from looking. Its time is limited all the same.
                Err(error) => warn!("What a statement takes of the disk could not be looked at: {error:#}"),
            }
        }
    }

    async fn look(&mut self) -> anyhow::Result<Option<Shortage>> {
        match &mut self.written {
            Some((server, database)) => self.room.shortage(server, database).await,
            None => Ok(self.room.low_disk(0)?.map(Shortage::from)),
        }
    }
}
