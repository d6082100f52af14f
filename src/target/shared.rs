//! The one server that all datasets share: looked at before it is used, and kept in order while it is.
//!
//! The server is somebody else's. Nothing of it is changed but that only superusers may still connect to its own
//! databases; what measuring needs goes with our sessions and roles. What is ours begins with the tag of our data
//! directory ([`names`](crate::target::names)), and nothing else is ever ended or dropped, so that two data directories
//! can use one server. They do not wait for each other, though, unless they also have one store: a store lets one job
//! at a time run on a server, whichever machine runs it.

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use tracing::info;
use tracing::warn;

use crate::cluster::binaries;
use crate::model::ids::DatasetId;
use crate::model::units::counted;
use crate::sql::ident;
use crate::store;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::names;
use crate::target::names::Names;
use crate::target::names::SERVER_DATABASE;
use crate::target::role;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::session::OpenError;
use crate::target::session::Session;

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
/// `invalid_catalog_name`
const NO_SUCH_DATABASE: &str = "3D000";
/// `insufficient_privilege`
const NO_PRIVILEGE: &str = "42501";

/// Why a server cannot be shared. Sentences for the person who set `SANDBOX_URL`; none holds the password.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    #[error("SANDBOX_URL cannot be read: {0}. It looks like postgres://user:password@host:5432/postgres.")]
    Unreadable(sqlx::Error),
    #[error("The server of SANDBOX_URL does not answer: {0}. Check the address and the password, and that it runs.")]
    Away(String),
    #[error("The server of SANDBOX_URL is PostgreSQL {0}; pgassay needs {oldest} or newer.", oldest = binaries::OLDEST_MAJOR)]
    TooOld(String),
    #[error(
        "The user {0} of SANDBOX_URL is not a superuser. Copying databases, roles and planner statistics need one: give \
         the URL of a superuser, on a server that holds nothing else."
    )]
    NotSuperuser(String),
    #[error("The server of SANDBOX_URL is a standby, which cannot be written to. Give the URL of its primary.")]
    Standby,
    #[error(
        "The server of SANDBOX_URL holds what is not pgassay's: {0}. A dump is code, and this server is where it runs: \
         give the URL of a server that holds nothing else."
    )]
    NotEmpty(String),
    #[error(
        "The databases of the server of SANDBOX_URL are made in {0}; pgassay needs one that was made with UTF8 \
         (initdb --encoding=UTF8)."
    )]
    Encoding(String),
    #[error(
        "The server of SANDBOX_URL does not let a role in by its password: {0}. Its pg_hba.conf needs a line like \
         `host all all samehost scram-sha-256` for the address of pgassay."
    )]
    NoPasswords(String),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// A session of the dataset has survived being terminated, and nothing stops a server that others share.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "A statement on dataset {dataset_id} obeys neither cancel nor terminate, and the server that it shares with others is \
     not stopped for it. The dataset is set aside until that statement ends by itself, or until somebody restarts the \
     server of SANDBOX_URL."
)]
pub struct Quarantined {
    pub dataset_id: DatasetId,
}

/// What was found out about a server that can be shared.
#[derive(Debug)]
pub struct Inspection {
    /// As people write it: `15.20`.
    pub version: String,
    /// How many datasets of this data directory are on it.
    pub n_datasets: usize,
    /// Sentences about what works and should be known.
    pub notes: Vec<String>,
    system_identifier: String,
}

/// A server that was found fit.
pub struct SharedServer {
    superuser: PgConnectOptions,
    /// The database of the URL, in which nothing is kept.
    own_database: String,
    tag: String,
    system_identifier: String,
}

/// Looks whether the server of `url` can be shared, and changes nothing. `home` is the name of our data directory.
pub async fn inspect(url: &str, home: &str) -> Result<Inspection, SharedError> {
    let (superuser, own_database) = read(url)?;
    let tag = names::tag(home);
    let server = Address::new(superuser, Names::of_role(tag.clone(), &own_database));
    let connected = Admin::connect(&server, SERVER_DATABASE).await;
    let mut admin = connected.map_err(|error| match sqlstate(&error).as_deref() {
        // What a superuser session sets, nobody else may.
        Some(NO_PRIVILEGE) => SharedError::NotSuperuser(server.server.get_username().to_owned()),
        _ => away(error),
    })?;
    let version = check_server(&mut admin).await?;
    let (system_identifier, databases, trusts): (String, Vec<String>, bool) = sqlx::query_as(
        "select (select system_identifier::text from pg_catalog.pg_control_system()),
                array(select datname::text from pg_catalog.pg_database
                      where datname not in ('postgres', 'template0', 'template1') order by 1),
                exists (select from pg_catalog.pg_hba_file_rules where auth_method = 'trust')",
    )
    .fetch_one(&mut admin.conn)
    .await
    .context("looking at the shared server")?;
    admin.close().await;
    let foreign: Vec<&str> = databases
        .iter()
        .map(String::as_str)
        .filter(|name| *name != own_database && !names::is_of_some_pgassay(name))
        .collect();
    if !foreign.is_empty() {
        return Err(SharedError::NotEmpty(format!("the databases {}", foreign.join(", "))));
    }
    for database in BTreeSet::from([own_database.as_str(), SERVER_DATABASE]) {
        check_empty(&server.server, database).await?;
    }
    let (ours, others): (Vec<&String>, Vec<&String>) = databases
        .iter()
        .filter(|name| names::is_of_some_pgassay(name))
        .partition(|name| name.starts_with(&tag));
    let mut notes = Vec::new();
    notes.extend(binaries::known_holes(version.number));
    if !others.is_empty() {
        notes.push(format!(
            "The server also holds {} of another pgassay. Unless both have one store they do not wait for each other, \
             and disturb each other's times.",
            counted(others.len() as u64, "database", "databases")
        ));
    }
    if trusts {
        notes.push(
            "Its pg_hba.conf lets some users in without a password (trust): whoever reaches it that way can be anybody."
                .to_owned(),
        );
    }
    Ok(Inspection {
        version: version.words,
        n_datasets: ours.iter().filter(|name| names::is_template(name)).count(),
        notes,
        system_identifier,
    })
}

fn read(url: &str) -> Result<(PgConnectOptions, String), SharedError> {
    let options: PgConnectOptions = url.parse().map_err(SharedError::Unreadable)?;
    let own_database = options.get_database().unwrap_or(SERVER_DATABASE).to_owned();
    Ok((options, own_database))
}

fn away(error: anyhow::Error) -> SharedError {
    let said = error.downcast_ref::<sqlx::Error>();
    match said.map(|error| (error, ServerError::of(error))) {
        Some((_, Some(server))) => SharedError::Away(server.message),
        Some((error, None)) => SharedError::Away(error.to_string()),
        None => SharedError::Fault(error),
    }
}

struct Version {
    number: u32,
    words: String,
}

/// Whether the server can do what is needed, and we with it.
async fn check_server(admin: &mut Admin) -> Result<Version, SharedError> {
    let (number, words, user, is_superuser, is_standby, encoding): (i32, String, String, bool, bool, Option<String>) =
        sqlx::query_as(
            "select pg_catalog.current_setting('server_version_num')::integer,
                    pg_catalog.current_setting('server_version'), current_user::text,
                    (select rolsuper from pg_catalog.pg_roles where rolname = current_user),
                    pg_catalog.pg_is_in_recovery(),
                    (select pg_catalog.pg_encoding_to_char(encoding)::text from pg_catalog.pg_database
                     where datname = 'template0' and datcollate not in ('C', 'POSIX'))",
        )
        .fetch_one(&mut admin.conn)
        .await
        .context("asking the shared server what it is")?;
    let number = u32::try_from(number).context("a version is positive")?;
    if number / 10_000 < binaries::OLDEST_MAJOR {
        return Err(SharedError::TooOld(words));
    }
    if !is_superuser {
        return Err(SharedError::NotSuperuser(user));
    }
    if is_standby {
        return Err(SharedError::Standby);
    }
    match encoding {
        Some(encoding) if encoding != "UTF8" => Err(SharedError::Encoding(encoding)),
        _ => Ok(Version { number, words }),
    }
}

/// Tables in a database that everybody has belong to somebody. It need not be there.
async fn check_empty(superuser: &PgConnectOptions, database: &str) -> Result<(), SharedError> {
    let address = Address::new(superuser.clone(), Names::of_role(String::new(), database));
    let mut admin = match Admin::connect(&address, SERVER_DATABASE).await {
        Ok(admin) => admin,
        Err(error) if sqlstate(&error).as_deref() == Some(NO_SUCH_DATABASE) => return Ok(()),
        Err(error) => return Err(away(error)),
    };
    let table: Option<String> = sqlx::query_scalar(
        "select n.nspname || '.' || c.relname
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and not exists (select from pg_catalog.pg_depend d
                           where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
                             and d.deptype = 'e')
         order by 1 limit 1",
    )
    .fetch_optional(&mut admin.conn)
    .await
    .context("looking for tables")?;
    admin.close().await;
    table.map_or(Ok(()), |table| {
        Err(SharedError::NotEmpty(format!(
            "tables in the database {database}, {table} for one"
        )))
    })
}

fn sqlstate(error: &anyhow::Error) -> Option<String> {
    Some(ServerError::of(error.downcast_ref::<sqlx::Error>()?)?.sqlstate)
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
            tag: names::tag(home),
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
        let names = Names::of_role(format!("{}trial", self.tag), &self.own_database);
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
        let let_in = Session::connect(&address, SERVER_DATABASE, "pgassay trial", &[]).await;
        let refusal = match let_in {
            Ok(session) => {
                session.close().await;
                None
            }
            Err(error) => Some(error),
        };
        drop_role(admin, &address.names.role).await?;
        match refusal {
            None => Ok(()),
            Some(OpenError::Lost(error)) => match away(error) {
                SharedError::Away(said) => Err(SharedError::NoPasswords(said)),
                other => Err(other),
            },
            Some(error) => Err(anyhow::Error::new(error).into()),
        }
    }

    /// What one measurement at a time runs on, however it is reached.
    pub fn machine(&self) -> String {
        format!("postgresql {}", self.system_identifier)
    }

    /// Renews the dataset's role, and ends what an earlier runner of this data directory left running.
    pub async fn start(&self, dataset_id: DatasetId) -> anyhow::Result<Address> {
        let mut address = self.address(dataset_id);
        let mut admin = connect_patiently(&address).await?;
        // First the password, so that what is ended stays away.
        address.password = role::renew(&mut admin).await?.into();
        if !end_sessions(&mut admin, &self.tag).await? {
            anyhow::ensure!(
                terminate(&mut admin, &address.names.role).await? == 0,
                Quarantined { dataset_id }
            );
            warn!("A statement on another dataset goes on, though it was terminated: it disturbs what is measured now");
        }
        admin.close().await;
        Ok(address)
    }

    /// Ends every session of a dataset. `Err` is a [`Quarantined`] when one of them does not end.
    pub async fn end_sessions(&self, dataset_id: DatasetId) -> anyhow::Result<()> {
        let address = self.address(dataset_id);
        let mut admin = Admin::connect(&address, SERVER_DATABASE).await?;
        let have_ended = end_sessions(&mut admin, &address.names.role).await?;
        admin.close().await;
        anyhow::ensure!(have_ended, Quarantined { dataset_id });
        Ok(())
    }

    /// Whether the dataset's template is on the server.
    pub async fn is_there(&self, dataset_id: DatasetId) -> anyhow::Result<bool> {
        let mut admin = connect_patiently(&self.address(dataset_id)).await?;
        let is_there = clone::exists(&mut admin, &clone::template_name(dataset_id)).await?;
        admin.close().await;
        Ok(is_there)
    }

    /// Drops a dataset's databases and its role. What cannot be dropped now is swept at the next start.
    pub async fn remove(&self, dataset_id: DatasetId) {
        let removing = async {
            let address = self.address(dataset_id);
            let mut admin = Admin::connect(&address, SERVER_DATABASE).await?;
            drop_all(&mut admin, &address.names.role).await?;
            admin.close().await;
            anyhow::Ok(())
        };
        if let Err(error) = removing.await {
            warn!("Dataset {dataset_id} stays on the shared server until the next start: {error:#}");
        }
    }

    /// Ends every session of this data directory, and drops what belongs to datasets that `keep` does not name.
    /// Returns how many were dropped.
    pub async fn sweep(&self, keep: &[DatasetId]) -> anyhow::Result<usize> {
        let mut admin = Admin::connect(&self.whole(), SERVER_DATABASE).await?;
        if !end_sessions(&mut admin, &self.tag).await? {
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
        .bind(&self.tag)
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

    /// As seen by one dataset.
    fn address(&self, dataset_id: DatasetId) -> Address {
        let names = Names::among_others(&self.tag, dataset_id, &self.own_database);
        Address::new(self.superuser.clone(), names)
    }

    /// As seen by the data directory.
    fn whole(&self) -> Address {
        let names = Names::of_role(self.tag.clone(), &self.own_database);
        Address::new(self.superuser.clone(), names)
    }
}

/// Waits for a server that is away: it may be restarting.
async fn connect_patiently(address: &Address) -> anyhow::Result<Admin> {
    let started = Instant::now();
    let mut is_told = false;
    loop {
        let error = match Admin::connect(address, SERVER_DATABASE).await {
            Ok(admin) => return Ok(admin),
            Err(error) => error,
        };
        let is_away = error.downcast_ref().is_some_and(store::is_away);
        if !is_away || started.elapsed() > AWAY_LIMIT {
            return Err(error.context("reaching the shared server"));
        }
        if !is_told {
            info!("The shared server is away; waiting for it");
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
