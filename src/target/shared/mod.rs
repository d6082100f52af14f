//! The one server that all datasets share: looked at before it is used, and kept in order while it is.
//!
//! The server is somebody else's. Nothing of it is changed but that only superusers may still connect to its own
//! databases; what measuring needs goes with our sessions and roles. What is ours begins with the prefix of our data
//! directory ([`names`](crate::target::names)), and nothing else is ever ended or dropped, so that two data directories
//! can use one server. They do not wait for each other, though, unless they also have one store: a store lets one job
//! at a time run on a server, whichever machine runs it.

pub mod inspect;

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use tracing::info;
use tracing::warn;

use crate::model::ids::DatasetId;
use crate::sql::ident;
use crate::store;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::names;
use crate::target::names::Names;
use crate::target::names::SERVER_DATABASE;
use crate::target::names::Tenant;
use crate::target::role;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::shared::inspect::SharedError;
use crate::target::shared::inspect::inspect;
use crate::target::shared::inspect::read;

/// What people should know before they trust such a server.
pub const WARNING: &str = "All datasets share one PostgreSQL server (SANDBOX_URL). Whatever else runs there disturbs the \
                           times; a dump or a query can slow the server down or exhaust it for all of them; and a \
                           statement that cannot be stopped goes on until somebody restarts the server.";

/// How long a terminated session may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a job waits for a server that is away, as while it restarts, and how often it asks.
const AWAY_LIMIT: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Names the advisory lock under which two processes that start together open the server one after the other.
const OPENING: i64 = 0x0070_6761_7373_6179;

/// A session of the dataset has survived being terminated, and nothing stops a server that others share.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "A statement on {} obeys neither cancel nor terminate, and the server that it shares with others is \
     not stopped for it. The {} is set aside until that statement ends by itself, or until somebody restarts the \
     server of SANDBOX_URL.",
    tenant.in_words(),
    tenant.noun()
)]
pub struct Quarantined {
    pub tenant: Tenant,
}

/// A server that was found fit.
pub struct SharedServer {
    superuser: PgConnectOptions,
    /// The database of the URL, in which nothing is kept.
    own_database: String,
    prefix: String,
    system_identifier: String,
}

impl SharedServer {
    /// Inspects the server, tries whether a role gets in by its password, and closes the server's own databases to
    /// everybody but superusers.
    pub async fn open(url: &str, home: &str) -> Result<Self, SharedError> {
        let inspection = inspect(url, home).await?;
        let (superuser, own_database) = read(url)?;
        let server = Self {
            superuser,
            own_database,
            prefix: names::prefix(home),
            system_identifier: inspection.system_identifier,
        };
        warn!("{WARNING}");
        for note in &inspection.notes {
            warn!("{note}");
        }
        let mut admin = Admin::connect(&server.whole(), SERVER_DATABASE).await?;
        // Ends with the session. Nobody but superusers can come here to take it.
        admin
            .run(format!("select pg_catalog.pg_advisory_lock({OPENING})"))
            .await?;
        let open_to_all: Vec<String> = sqlx::query_scalar(
            "select datname::text from pg_catalog.pg_database
             where datname in ('postgres', 'template1', $1)
               and pg_catalog.has_database_privilege('public', oid, 'connect')",
        )
        .bind(&server.own_database)
        .fetch_all(&mut admin.conn)
        .await
        .context("looking at the rights to connect")?;
        for database in open_to_all {
            let database = ident::quote(&database);
            admin
                .run(format!("revoke all on database {database} from public"))
                .await?;
        }
        server.try_a_password(&mut admin).await?;
        admin.close().await;
        Ok(server)
    }

    /// Makes a role, lets it in, and drops it.
    async fn try_a_password(&self, admin: &mut Admin) -> Result<(), SharedError> {
        // Not below the prefix: a job that starts ends what is there.
        let names = Names::of_role(format!("trial_{}", self.prefix), &self.own_database);
        let role = ident::quote(&names.role);
        let mut address = Address::new(self.superuser.clone(), names);
        let mut trial = Admin::connect(&address, SERVER_DATABASE).await?;
        address.password = role::renew(&mut trial).await?.into();
        trial.close().await;
        admin
            .run(format!(
                "grant connect on database {} to {role}",
                ident::quote(&self.own_database)
            ))
            .await?;
        let let_in = address.try_role(SERVER_DATABASE).await;
        drop_role(admin, &address.names.role).await?;
        let_in.map_err(|error| {
            let said = ServerError::of(&error).map_or_else(|| error.to_string(), |said| said.message);
            SharedError::NoPasswords(said)
        })
    }

    /// What one measurement at a time runs on, however it is reached.
    pub fn machine(&self) -> String {
        format!("postgresql {}", self.system_identifier)
    }

    /// Whether it lets us in just now.
    pub async fn ping(&self) -> anyhow::Result<()> {
        Admin::connect(&self.whole(), SERVER_DATABASE).await?.close().await;
        Ok(())
    }

    /// Renews the tenant's role, and ends what an earlier runner of this data directory left running.
    pub async fn start(&self, tenant: Tenant) -> anyhow::Result<Address> {
        let mut address = self.address(tenant);
        let mut admin = connect_patiently(&address).await?;
        address.password = role::renew(&mut admin).await?.into();
        if !end_sessions(&mut admin, &self.prefix).await? {
            anyhow::ensure!(
                terminate(&mut admin, &address.names.role).await? == 0,
                Quarantined { tenant }
            );
            warn!("A statement on another dataset goes on, though it was terminated: it disturbs what is measured now");
        }
        admin.close().await;
        Ok(address)
    }

    /// Ends every session of a tenant. `Err` is a [`Quarantined`] when one of them does not end.
    pub async fn end_sessions(&self, tenant: Tenant) -> anyhow::Result<()> {
        let address = self.address(tenant);
        let mut admin = Admin::connect(&address, SERVER_DATABASE).await?;
        let have_ended = end_sessions(&mut admin, &address.names.role).await?;
        admin.close().await;
        anyhow::ensure!(have_ended, Quarantined { tenant });
        Ok(())
    }

    /// Whether the dataset's template is on the server.
    pub async fn is_there(&self, dataset_id: DatasetId) -> anyhow::Result<bool> {
        let mut admin = connect_patiently(&self.address(dataset_id)).await?;
        let is_there = clone::exists(&mut admin, &clone::template_name(dataset_id)).await?;
        admin.close().await;
        Ok(is_there)
    }

    /// Drops a tenant's databases and its role. What cannot be dropped now is swept at the next start.
    pub async fn remove(&self, tenant: Tenant) {
        let removing = async {
            let address = self.address(tenant);
            let mut admin = Admin::connect(&address, SERVER_DATABASE).await?;
            drop_all(&mut admin, &address.names.role).await?;
            admin.close().await;
            anyhow::Ok(())
        };
        if let Err(error) = removing.await {
            warn!(
                "What is of {} stays on the shared server until the next start: {error:#}",
                tenant.in_words()
            );
        }
    }

    /// Ends every session of this data directory, and drops what belongs to datasets that `keep` does not name.
    /// Returns how many were dropped.
    pub async fn sweep(&self, keep: &[DatasetId]) -> anyhow::Result<usize> {
        let mut admin = Admin::connect(&self.whole(), SERVER_DATABASE).await?;
        if !end_sessions(&mut admin, &self.prefix).await? {
            warn!("A statement of an earlier run goes on, though it was terminated");
        }
        let keep: BTreeSet<String> = keep.iter().map(|id| self.address(*id).names.role.clone()).collect();
        let found: Vec<String> = sqlx::query_scalar(
            "select pg_catalog.split_part(name, '_', 2)
             from (select datname::text from pg_catalog.pg_database
                   union select rolname::text from pg_catalog.pg_roles) found (name)
             where pg_catalog.starts_with(name, $1)
             group by 1",
        )
        .bind(&self.prefix)
        .fetch_all(&mut admin.conn)
        .await
        .context("looking for datasets on the shared server")?;
        let mut n_removed = 0;
        for role in found.into_iter().map(|rest| format!("w_{rest}")) {
            if keep.contains(&role) {
                continue;
            }
            match drop_all(&mut admin, &role).await {
                Ok(()) => n_removed += 1,
                Err(error) => warn!("{role} stays on the shared server: {error:#}"),
            }
        }
        admin.close().await;
        Ok(n_removed)
    }

    /// As seen by one tenant.
    fn address(&self, tenant: impl Into<Tenant>) -> Address {
        let names = Names::among_others(&self.prefix, tenant, &self.own_database);
        Address::new(self.superuser.clone(), names)
    }

    /// As seen by the data directory.
    fn whole(&self) -> Address {
        let names = Names::of_role(self.prefix.clone(), &self.own_database);
        Address::new(self.superuser.clone(), names)
    }
}

/// Waits for a server that is away: it may be restarting.
pub async fn connect_patiently(address: &Address) -> anyhow::Result<Admin> {
    let started = Instant::now();
    let mut is_told = false;
    loop {
        let error = match Admin::connect(address, SERVER_DATABASE).await {
            Ok(admin) => return Ok(admin),
            Err(error) => error,
        };
        let is_away = error.downcast_ref().is_some_and(store::is_away);
        if !is_away || started.elapsed() > AWAY_LIMIT {
            return Err(error.context("reaching the server"));
        }
        if !is_told {
            info!("A PostgreSQL server is away; waiting for it");
            is_told = true;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Ends the sessions of roles, and in databases, whose names begin with `prefix`. False when some go on all the same.
async fn end_sessions(admin: &mut Admin, prefix: &str) -> anyhow::Result<bool> {
    let started = Instant::now();
    loop {
        if terminate(admin, prefix).await? == 0 {
            return Ok(true);
        }
        if started.elapsed() > END_LIMIT {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells them to end, and returns how many there were.
async fn terminate(admin: &mut Admin, prefix: &str) -> anyhow::Result<i64> {
    sqlx::query_scalar(
        "select pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) from pg_catalog.pg_stat_activity
         where backend_type = 'client backend'
           and (pg_catalog.starts_with(usename::text, $1) or pg_catalog.starts_with(datname::text, $1))",
    )
    .bind(prefix)
    .fetch_one(&mut admin.conn)
    .await
    .context("ending sessions")
}

/// Drops the databases of a role, and the role.
async fn drop_all(admin: &mut Admin, role: &str) -> anyhow::Result<()> {
    let databases: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, $1 || '_')",
    )
    .bind(role)
    .fetch_all(&mut admin.conn)
    .await
    .context("looking for databases")?;
    for database in databases {
        let database = ident::quote(&database);
        admin
            .run(format!("drop database if exists {database} with (force)"))
            .await?;
    }
    drop_role(admin, role).await
}

async fn drop_role(admin: &mut Admin, role: &str) -> anyhow::Result<()> {
    let is_there: bool = sqlx::query_scalar("select exists (select from pg_catalog.pg_roles where rolname = $1)")
        .bind(role)
        .fetch_one(&mut admin.conn)
        .await
        .context("looking for a role")?;
    if is_there {
        let role = ident::quote(role);
        // Its rights on databases go first.
        admin.run(format!("drop owned by {role}; drop role {role}")).await?;
    }
    Ok(())
}
