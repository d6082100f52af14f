//! Connections to a database under test: as superuser for our own catalog work, as the dataset's role for everything else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::Row as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;

use crate::model::dataset::Setting;
use crate::model::destination::Destinations;
use crate::sql::ident;
use crate::target::ServerError;
use crate::target::execute::Health;
use crate::target::names::Names;
use crate::target::role;
use crate::target::secret::Password;
use crate::target::wire::Binding;
use crate::target::wire::Dial;
use crate::target::wire::Place;
use crate::target::wire::Roots;
use crate::target::wire::Tls;
use crate::target::wire::TlsMode;

/// A server that says nothing at all for so long is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// What a superuser session needs, whatever the server has it otherwise. On a shared server autovacuum may run: what
/// is not counted it leaves alone.
const ADMIN_SETTINGS: [(&str, &str); 5] = [
    ("search_path", "pg_catalog"),
    ("statement_timeout", "0"),
    ("lc_messages", "C"),
    ("password_encryption", "scram-sha-256"),
    ("track_counts", "off"),
];

/// What `DISCARD ALL` does, by its own documentation: that statement refuses to share a message with others. Whatever
/// transaction is open ends first; where none is, the server only remarks on it.
const DISCARD_ALL: &str = "rollback; close all; set session authorization default; reset all; deallocate all; \
                           unlisten *; select pg_catalog.pg_advisory_unlock_all(); discard plans; discard temp; \
                           discard sequences;";

/// Where a sandbox listens, and as whom its dataset's statements run.
#[derive(Clone)]
pub struct Address {
    /// The server, as its superuser.
    pub server: PgConnectOptions,
    pub names: Arc<Names>,
    /// Of the dataset's role, for this lease.
    pub password: Arc<str>,
}

impl Address {
    /// The address of a sandbox whose role has no password yet.
    pub fn new(server: PgConnectOptions, names: Names) -> Self {
        Self {
            server,
            names: Arc::new(names),
            password: Arc::from(""),
        }
    }

    /// Where load goes: `database`, as the sandbox calls it, as the dataset's role.
    pub fn dial(&self, database: &str) -> Dial {
        let port = self.server.get_port();
        let place = match self.server.get_socket() {
            Some(dir) => Place::Unix { dir: dir.clone(), port },
            None => Place::of(self.server.get_host(), port),
        };
        let mode = match self.server.get_ssl_mode() {
            PgSslMode::Disable => TlsMode::Disable,
            PgSslMode::Allow => TlsMode::Allow,
            PgSslMode::Prefer => TlsMode::Prefer,
            PgSslMode::Require => TlsMode::Require,
            PgSslMode::VerifyCa => TlsMode::VerifyCa,
            PgSslMode::VerifyFull => TlsMode::VerifyFull,
        };
        let url = self.server.to_url_lossy();
        let root_certificates = url.query_pairs().find(|(name, _)| name == "sslrootcert");
        let roots = root_certificates.map_or(Roots::Default, |(_, path)| Roots::File(PathBuf::from(&*path)));
        Dial {
            place,
            user: self.names.role.clone(),
            password: Password::Given(Arc::clone(&self.password)),
            database: self.names.on_server(database),
            tls: Tls::new(mode, roots, Binding::Preferred),
            application_name: "pgassay load".to_owned(),
            settings: Vec::new(),
            connect_timeout: CONNECT_LIMIT,
            // Of whoever runs pgassay.
            destinations: Destinations::anywhere(),
        }
    }

    /// Opens a session of the role in `database`, where it has to have the right already, and closes it.
    pub async fn try_role(&self, database: &str) -> sqlx::Result<()> {
        let options = self.options(database);
        let conn = open(&options.username(&self.names.role).password(&self.password)).await?;
        conn.close().await
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        self.server
            .clone()
            .database(&self.names.on_server(database))
            .statement_cache_capacity(0)
            .disable_statement_logging()
    }
}

/// A superuser session: only for statements of our own that name nothing of the user's outside the catalogs.
pub struct Admin {
    pub conn: PgConnection,
    pub names: Arc<Names>,
}

impl Admin {
    /// Connects to `database`, as the sandbox calls it, with `search_path=pg_catalog`.
    pub async fn connect(address: &Address, database: &str) -> anyhow::Result<Self> {
        let options = address
            .options(database)
            .application_name("pgassay admin")
            .options(ADMIN_SETTINGS);
        let conn = open(&options)
            .await
            .with_context(|| format!("connecting to {database} as superuser"))?;
        Ok(Self {
            conn,
            names: Arc::clone(&address.names),
        })
    }

    /// Runs statements of our own by the simple protocol.
    pub async fn run(&mut self, sql: String) -> anyhow::Result<()> {
        let shown = crate::model::text::shorten(&sql, 120);
        // Safe: built from constants and from names quoted by `sql::ident`.
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.conn)
            .await
            .with_context(|| format!("running {shown}"))?;
        Ok(())
    }

    /// The server's version, as it names itself at length.
    pub async fn version(&mut self) -> anyhow::Result<String> {
        let version = sqlx::query_scalar("select pg_catalog.version()")
            .fetch_one(&mut self.conn)
            .await;
        version.context("asking for the server's version")
    }

    /// Whether the server lets this session write its catalogs.
    pub async fn is_superuser(&mut self) -> anyhow::Result<bool> {
        sqlx::query_scalar("select rolsuper from pg_catalog.pg_roles where rolname = current_user")
            .fetch_one(&mut self.conn)
            .await
            .context("asking for our rights")
    }

    /// The value of a setting; none when this server has no such setting.
    pub async fn setting(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        sqlx::query_scalar("select pg_catalog.current_setting($1, true)")
            .bind(name)
            .fetch_one(&mut self.conn)
            .await
            .with_context(|| format!("asking for {name}"))
    }

    /// Ends the session in order.
    pub async fn close(self) {
        // A connection that cannot even be closed is gone, which is what was wanted.
        let _ = self.conn.close().await;
    }
}

/// Why a session could not be opened with the settings that were asked for.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("The setting {name} = {value} is refused by the server: {error}")]
    Setting {
        name: String,
        value: String,
        error: ServerError,
    },
    #[error(transparent)]
    Lost(#[from] anyhow::Error),
}

/// A session of the dataset's own role. Dedicated, never pooled: what a statement does to it dies with it.
pub struct Session {
    pub conn: PgConnection,
    /// The backend's process id: how the watchdog finds it.
    pub backend_pid: i32,
    pub address: Address,
    pub health: Health,
    settings: Vec<Setting>,
    writes: Writes,
}

/// What becomes of what a statement of a session writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Kept,
    Undone,
}

impl Session {
    /// Connects to `database`, as the sandbox calls it, as the dataset's role, which is first made what it was meant to
    /// be, and applies `settings` in order.
    pub async fn connect(
        address: &Address,
        database: &str,
        application_name: &str,
        settings: &[Setting],
    ) -> Result<Self, OpenError> {
        let mut server = Admin::connect(address, "postgres").await?;
        role::readmit(&mut server, &address.password, database).await?;
        server.close().await;
        let options = address
            .options(database)
            .username(&address.names.role)
            .password(&address.password)
            .application_name(application_name);
        let mut conn = open(&options)
            .await
            .with_context(|| format!("connecting to {database} as the dataset's role"))?;
        apply_settings(&mut conn, settings).await?;
        let backend_pid = sqlx::query_scalar("select pg_catalog.pg_backend_pid()")
            .persistent(false)
            .fetch_one(&mut conn)
            .await
            .context("asking for the backend's process id")?;
        Ok(Self {
            conn,
            backend_pid,
            address: address.clone(),
            settings: settings.to_vec(),
            health: Health::Alive,
            writes: Writes::Kept,
        })
    }

    /// From now on each statement runs in a transaction that is taken back: ANALYZE, REINDEX, CLUSTER and, up to version
    /// 15, large objects write in a read-only transaction, too.
    #[must_use]
    pub fn undoing_writes(mut self) -> Self {
        self.writes = Writes::Undone;
        self
    }

    /// Begins the transaction that [`undo`](Self::undo) ends.
    pub(super) async fn begin(&mut self) {
        if self.writes == Writes::Undone
            && self.health == Health::Alive
            && sqlx::raw_sql("begin").execute(&mut self.conn).await.is_err()
        {
            self.health = Health::Gone;
        }
    }

    /// Takes back what a statement wrote and whatever it did to its session: settings, locks, temporary tables,
    /// sequences' last values. Says whether one that `went_well` has written. A session that cannot be made clean is
    /// marked as gone, to be opened anew.
    pub(super) async fn clean(&mut self, went_well: bool) -> bool {
        if self.health != Health::Alive {
            return false;
        }
        let may_have_written = went_well && self.writes == Writes::Undone;
        let mut sql = String::new();
        if may_have_written {
            // The number of a transaction is given out when it first writes. After an error nothing can be asked.
            sql.push_str("select pg_catalog.pg_current_xact_id_if_assigned() is not null;");
        }
        sql.push_str(DISCARD_ALL);
        sql.push_str(&set_together(&self.settings));
        // In one message: this happens after every trial. Safe: constants and literals.
        match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.conn).await {
            Ok(rows) if may_have_written => rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)),
            Ok(_) => false,
            Err(_) => {
                self.health = Health::Gone;
                false
            }
        }
    }

    /// Has other settings in force from now on, in place of all that it had. A session that does not take them is marked as
    /// gone, to be opened anew, which says why.
    pub async fn wear(&mut self, settings: Vec<Setting>) {
        if self.settings != settings {
            self.settings = settings;
            self.clean(false).await;
        }
    }

    /// Ends the session in order.
    pub async fn close(self) {
        // A connection that cannot even be closed is gone, which is what was wanted.
        let _ = self.conn.close().await;
    }
}

async fn open(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let opened = tokio::time::timeout(CONNECT_LIMIT, options.connect()).await;
    opened.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// One after the other only when together is refused, to find out which it is.
async fn apply_settings(conn: &mut PgConnection, settings: &[Setting]) -> Result<(), OpenError> {
    if apply_together(conn, settings).await.is_ok() {
        return Ok(());
    }
    for setting in settings {
        let Setting { name, value } = setting;
        if let Err(error) = apply_together(conn, std::slice::from_ref(setting)).await {
            return Err(match ServerError::of(&error) {
                Some(error) => OpenError::Setting {
                    name: name.clone(),
                    value: value.clone(),
                    error,
                },
                None => OpenError::Lost(error.into()),
            });
        }
    }
    Ok(())
}

async fn apply_together(conn: &mut PgConnection, settings: &[Setting]) -> sqlx::Result<()> {
    // Safe: names and values are literals.
    let sql = AssertSqlSafe(set_together(settings));
    sqlx::raw_sql(sql).execute(conn).await?;
    Ok(())
}

/// Sets everything in order by one statement; none where there is nothing to set.
fn set_together(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let calls: Vec<String> = settings
        .iter()
        .map(|Setting { name, value }| {
            let (name, value) = (ident::literal(name), ident::literal(value));
            format!("pg_catalog.set_config({name}, {value}, false)")
        })
        .collect();
    format!("select {}", calls.join(", "))
}
