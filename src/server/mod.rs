//! Registered servers: what an admin can do with them, and the way from a stored one to a connection.
//!
//! An address comes in by a form, is sealed, and is shown to nobody again.

pub mod form;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::PgPool;
use tracing::info;
use tracing::warn;

use crate::experiment::fields::FieldError;
use crate::model::ids::ServerId;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::model::server::ServerTest;
use crate::model::server::TestOutcome;
use crate::model::user::Viewer;
use crate::server::form::Entry;
use crate::server::form::ServerForm;
use crate::store;
use crate::store::servers::NewServer;
use crate::target::registered::Registered;
use crate::target::registered::in_words;
use crate::target::registered::schema;
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
        let (_, address) = self.address(viewer, id).await?;
        let entry = form.parse(Some(&address)).map_err(ServersError::Refused)?;
        let new = self.seal(id, &entry)?;
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
        let mut conn = self.pool.acquire().await?;
        let sealed = store::servers::sealed(&mut conn, viewer, id).await?;
        let sealed = sealed.ok_or(ServersError::NotFound)?;
        drop(conn);
        let outcome = match self.registered(viewer, id).await?.1.test().await {
            Ok(report) => TestOutcome::Reached(report),
            Err(message) => TestOutcome::Failed { message },
        };
        let mut conn = self.pool.acquire().await?;
        let test = ServerTest {
            tested_at: store::now(&mut conn).await?,
            outcome,
        };
        store::servers::note_test(&mut conn, viewer, id, &sealed, &test).await?;
        Ok(test)
    }

    /// Forgets a server. What ran on it keeps its results.
    pub async fn delete(&self, viewer: Viewer, id: ServerId) -> Result<(), ServersError> {
        // Behind it nobody would know how to get there.
        self.drop_left_schemas(Some(id)).await?;
        let mut conn = self.pool.acquire().await?;
        if store::servers::delete(&mut conn, viewer, id).await? {
            return Ok(());
        }
        if store::servers::get(&mut conn, viewer, id).await?.is_none() {
            return Err(ServersError::NotFound);
        }
        Err(ServersError::InUse(
            "A benchmark waits for this server or runs on it. Stop that first, or delete the server when it has ended."
                .to_owned(),
        ))
    }

    /// A server, and the way to connections.
    pub async fn registered(
        &self,
        viewer: Viewer,
        id: ServerId,
    ) -> Result<(RegisteredServer, Registered), ServersError> {
        let (server, address) = self.address(viewer, id).await?;
        let registered = self.connect_by(&address, &server.password)?;
        Ok((server, registered))
    }

    /// Drops the schemas of ours that were left behind, on all servers or on one, as far as they can be reached; the others
    /// are tried again.
    pub async fn drop_left_schemas(&self, id: Option<ServerId>) -> Result<(), ServersError> {
        let left = store::servers::list_left_schemas(&mut *self.pool.acquire().await?, id).await?;
        for left in left {
            let (server_id, name) = (left.server_id, &left.name);
            let address = self.unseal(server_id, &left.sealed)?;
            let registered = self.connect_by(&address, &left.password)?;
            let dropping = async {
                let mut session = registered.session().await.map_err(|error| in_words(&error))?;
                let dropped = schema::drop(&mut session, name).await;
                session.close().await;
                dropped.map_err(|error| format!("{error:#}."))
            };
            match dropping.await {
                Ok(()) => {
                    let mut conn = self.pool.acquire().await?;
                    store::servers::forget_schema(&mut conn, server_id, name).await?;
                    info!(server.id = %server_id, "The schema {name} that was left on server {server_id} is dropped");
                }
                Err(why) => {
                    warn!(server.id = %server_id, "The schema {name} is still on server {server_id}: {why}");
                }
            }
        }
        Ok(())
    }

    async fn address(&self, viewer: Viewer, id: ServerId) -> Result<(RegisteredServer, String), ServersError> {
        let mut conn = self.pool.acquire().await?;
        let server = store::servers::get(&mut conn, viewer, id).await?;
        let sealed = store::servers::sealed(&mut conn, viewer, id).await?;
        let (server, sealed) = server.zip(sealed).ok_or(ServersError::NotFound)?;
        Ok((server, self.unseal(id, &sealed)?))
    }

    fn connect_by(&self, address: &str, password: &PasswordSource) -> Result<Registered, ServersError> {
        let registered = Registered::new(address, password, &self.secrets);
        Ok(registered.context("reading a stored address")?)
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
