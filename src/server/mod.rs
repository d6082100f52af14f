//! Registered servers: what an admin can do with them, and the way from a stored one to a connection.
//!
//! An address comes in by a form, is sealed, and is shown to nobody again.

pub mod form;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tracing::info;
use tracing::warn;

use crate::experiment::fields::FieldError;
use crate::model::destination::Destinations;
use crate::model::ids::JobId;
use crate::model::ids::ServerId;
use crate::model::server::RegisteredServer;
use crate::model::server::ServerTest;
use crate::model::server::TestOutcome;
use crate::model::user::Viewer;
use crate::server::form::Entry;
use crate::server::form::ServerForm;
use crate::store;
use crate::store::servers::NewServer;
use crate::store::servers::Way;
use crate::target::registered;
use crate::target::registered::Registered;
use crate::vault::Vault;
use crate::vault::VaultError;

/// Of the name of a data directory, in the names of schemas.
const HOME_CHARS: usize = 8;

/// Why a server is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// The person can put it right, field by field.
    #[error("The server cannot be registered like this.")]
    Refused(Vec<FieldError>),
    #[error("There is no such server, or not any more.")]
    NotFound,
    /// A sentence.
    #[error("{0}")]
    InUse(String),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for ServersError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// The door to registered servers.
#[derive(Clone)]
pub struct Servers {
    pub pool: PgPool,
    pub vault: Arc<Vault>,
    /// The directory that secrets lie in.
    pub secrets: PathBuf,
    /// The name of the data directory.
    pub home: String,
    /// Where servers may be, as whoever runs pgassay has listed it; none where nothing is said of it.
    pub listed: Option<Destinations>,
    /// Whether people sign in here, so that whoever registers servers need not be who runs pgassay.
    pub is_shared: bool,
    /// What a statement of our own may take on any of them, but for those that load rows.
    pub statement_limit: Duration,
}

impl Servers {
    /// What all our schemas begin with.
    pub fn prefix(&self) -> String {
        let home: String = self.home.chars().take(HOME_CHARS).collect();
        format!("pgassay_{home}")
    }

    /// The viewer's servers, by name.
    pub async fn list(&self, viewer: Viewer) -> store::Result<Vec<RegisteredServer>> {
        let mut conn = self.pool.acquire().await?;
        store::servers::list(&mut conn, viewer).await
    }

    /// One server; none when there is no such server for this viewer.
    pub async fn get(&self, viewer: Viewer, id: ServerId) -> store::Result<Option<RegisteredServer>> {
        let mut conn = self.pool.acquire().await?;
        store::servers::get(&mut conn, viewer, id).await
    }

    /// The viewer's server of that name.
    pub async fn find_by_name(&self, viewer: Viewer, name: &str) -> store::Result<Option<RegisteredServer>> {
        let mut conn = self.pool.acquire().await?;
        store::servers::find_by_name(&mut conn, viewer, name).await
    }

    /// Registers what the form asks for.
    pub async fn add(&self, viewer: Viewer, form: &ServerForm) -> Result<ServerId, ServersError> {
        let entry = form.parse(None).map_err(ServersError::Refused)?;
        self.check(&entry.address).await?;
        let mut conn = self.pool.acquire().await?;
        let id = store::servers::next_id(&mut conn).await?;
        let new = self.seal(id, &entry)?;
        match store::servers::insert(&mut conn, viewer, id, &new).await {
            Ok(()) => Ok(id),
            Err(error) if store::is_duplicate(&error) => Err(name_is_taken(&entry.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a server what the form asks for; its address stays as it is where the form has none.
    pub async fn change(&self, viewer: Viewer, id: ServerId, form: &ServerForm) -> Result<(), ServersError> {
        let way = self.way(viewer, id).await?;
        // What was sealed with a key that is lost can be entered anew.
        let keeps_address = form.address.trim().is_empty();
        let stored = keeps_address.then(|| self.unseal(id, &way.sealed)).transpose()?;
        let entry = form.parse(stored.as_deref()).map_err(ServersError::Refused)?;
        let new = self.seal(id, &entry)?;
        if !keeps_address {
            self.check(&entry.address).await?;
            // Behind it nobody would know how to get there.
            self.drop_left_schemas(Some(id), None).await?;
        }
        let mut conn = self.pool.acquire().await?;
        match store::servers::update(&mut conn, viewer, id, &new).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServersError::InUse(
                "A benchmark runs on this server. Change it when that has ended.".to_owned(),
            )),
            Err(error) if store::is_duplicate(&error) => Err(name_is_taken(&entry.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tries to reach a server, and notes what it says of itself.
    pub async fn test(&self, viewer: Viewer, id: ServerId) -> Result<ServerTest, ServersError> {
        let way = self.way(viewer, id).await?;
        let outcome = match self.open(id, &way).await?.test().await {
            Ok(report) => TestOutcome::Reached(report),
            Err(message) => TestOutcome::Failed { message },
        };
        let mut conn = self.pool.acquire().await?;
        let test = ServerTest {
            tested_at: store::now(&mut conn).await?,
            outcome,
        };
        store::servers::note_test(&mut conn, viewer, id, &way.sealed, &test).await?;
        Ok(test)
    }

    /// Forgets a server. What ran on it keeps its results.
    pub async fn delete(&self, viewer: Viewer, id: ServerId) -> Result<(), ServersError> {
        self.way(viewer, id).await?;
        // Behind it nobody would know how to get there.
        self.drop_left_schemas(Some(id), None).await?;
        let mut conn = self.pool.acquire().await?;
        if store::servers::delete(&mut conn, viewer, id).await? {
            return Ok(());
        }
        Err(ServersError::InUse(
            "A benchmark waits for this server or runs on it. Stop that first, or delete the server when it has ended."
                .to_owned(),
        ))
    }

    /// A server as connections are made to it.
    pub async fn registered(&self, viewer: Viewer, id: ServerId) -> Result<Registered, ServersError> {
        self.open(id, &self.way(viewer, id).await?).await
    }

    /// Drops the schemas of ours that were left behind, on all servers or on one, as far as they can be reached; the others
    /// are tried again. A server on which a job runs that is not `own` is left in peace: that may be measuring.
    pub async fn drop_left_schemas(&self, id: Option<ServerId>, own: Option<JobId>) -> store::Result<()> {
        let left = store::servers::list_left_schemas(&mut *self.pool.acquire().await?, id, own).await?;
        for left in left {
            let (server_id, name) = (left.server_id, &left.name);
            let dropping = async { self.open(server_id, &left.way).await?.drop_schema(name).await };
            match dropping.await {
                Ok(()) => {
                    let mut conn = self.pool.acquire().await?;
                    store::servers::forget_schema(&mut conn, server_id, name).await?;
                    info!(server.id = %server_id, "The schema {name} that was left on server {server_id} is dropped");
                }
                Err(error) => {
                    warn!(server.id = %server_id, "The schema {name} is still on server {server_id}: {error:#}");
                }
            }
        }
        Ok(())
    }

    async fn way(&self, viewer: Viewer, id: ServerId) -> Result<Way, ServersError> {
        let mut conn = self.pool.acquire().await?;
        let way = store::servers::way(&mut conn, viewer, id).await?;
        way.ok_or(ServersError::NotFound)
    }

    async fn open(&self, id: ServerId, way: &Way) -> Result<Registered, ServersError> {
        let address = self.unseal(id, &way.sealed)?;
        let destinations = self.destinations().await?;
        let registered = Registered::new(&address, &way.password, &self.secrets, destinations);
        let registered = registered.context("reading a stored address")?;
        Ok(registered.within(self.statement_limit))
    }

    /// Where servers may be. Where people sign in and nothing is said of it, nowhere: an admin of pages is not who decides
    /// what can be reached from this machine.
    async fn destinations(&self) -> store::Result<Destinations> {
        if let Some(listed) = &self.listed {
            return Ok(listed.clone());
        }
        let is_shared = self.is_shared || store::users::has_admin(&mut *self.pool.acquire().await?).await?;
        Ok(if is_shared {
            Destinations::nowhere()
        } else {
            Destinations::anywhere()
        })
    }

    async fn check(&self, address: &str) -> Result<(), ServersError> {
        let checked = registered::check(address, self.destinations().await?).await;
        checked.map_err(|message| ServersError::Refused(vec![FieldError::new("address", message)]))
    }

    fn seal(&self, id: ServerId, entry: &Entry) -> Result<NewServer, ServersError> {
        Ok(NewServer {
            name: entry.name.clone(),
            place: entry.place.clone(),
            password: entry.password.clone(),
            sealed: self.vault.seal(&about(id), entry.address.as_bytes())?,
        })
    }

    fn unseal(&self, id: ServerId, sealed: &[u8]) -> Result<String, ServersError> {
        let address = self.vault.unseal(&about(id), sealed)?;
        Ok(String::from_utf8(address).map_err(|_| anyhow::anyhow!("a sealed address that is no text"))?)
    }
}

/// What a sealed address is about.
fn about(id: ServerId) -> String {
    format!("server {id}")
}

fn name_is_taken(name: &str) -> ServersError {
    let message = format!("There is a server called {name} already. Choose another name.");
    ServersError::Refused(vec![FieldError::new("name", message)])
}

#[cfg(test)]
mod tests;
