//! Connections to a database under test: as superuser for our own catalog work, as the dataset's role for everything else.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;

use crate::model::dataset::Setting;
use crate::sql::ident;
use crate::target::ServerError;
use crate::target::execute::Health;

/// The superuser of every server that we start.
pub const SUPERUSER: &str = "postgres";

/// Where a sandbox listens, and as whom its dataset's statements run.
#[derive(Clone, Debug)]
pub struct Address {
    pub socket_dir: PathBuf,
    pub port: u16,
    pub role: Arc<RoleLogin>,
}

/// The dataset's own role with the password of this lease.
#[derive(Debug)]
pub struct RoleLogin {
    pub name: String,
    pub password: String,
}

impl Address {
    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(self.port)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .statement_cache_capacity(0)
            .disable_statement_logging()
    }
}

/// A superuser session: only for statements of our own that name nothing of the user's outside the catalogs.
pub struct Admin {
    pub conn: PgConnection,
}

impl Admin {
    /// Connects to `database` with `search_path=pg_catalog`.
    pub async fn connect(address: &Address, database: &str) -> anyhow::Result<Self> {
        let options = address
            .options(database)
            .username(SUPERUSER)
            .application_name("pgassay admin")
            .options([("search_path", "pg_catalog"), ("statement_timeout", "0")]);
        let conn = options
            .connect()
            .await
            .with_context(|| format!("connecting to {database} as superuser"))?;
        Ok(Self { conn })
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
        let version = sqlx::query_scalar("select version()").fetch_one(&mut self.conn).await;
        version.context("asking for the server's version")
    }

    /// The value of a setting; none when this server has no such setting.
    pub async fn setting(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        sqlx::query_scalar("select current_setting($1, true)")
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
}

impl Session {
    /// Connects to `database` as the dataset's role and applies `settings` in order.
    pub async fn connect(
        address: &Address,
        database: &str,
        application_name: &str,
        settings: &[Setting],
    ) -> Result<Self, OpenError> {
        let options = address
            .options(database)
            .username(&address.role.name)
            .password(&address.role.password)
            .application_name(application_name);
        let mut conn = options
            .connect()
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
        })
    }

    /// Takes back whatever a statement did to its session: settings, locks, temporary tables, sequences' last values.
    /// A session that cannot be reset is marked as gone, to be opened anew.
    pub(super) async fn reset(&mut self) {
        if self.health != Health::Alive {
            return;
        }
        let reset = async {
            sqlx::raw_sql("discard all")
                .execute(&mut self.conn)
                .await
                .map_err(anyhow::Error::from)?;
            // In one message: this happens after every trial, and each setting by itself would wait for two answers.
            // Safe: names and values are literals, and were accepted one by one when the session was opened.
            sqlx::raw_sql(AssertSqlSafe(set_together(&self.settings)))
                .execute(&mut self.conn)
                .await
                .map_err(anyhow::Error::from)
        };
        if reset.await.is_err() {
            self.health = Health::Gone;
        }
    }

    /// Ends the session in order.
    pub async fn close(self) {
        // A connection that cannot even be closed is gone, which is what was wanted.
        let _ = self.conn.close().await;
    }
}

/// Sets everything in order by one statement.
fn set_together(settings: &[Setting]) -> String {
    let calls: Vec<String> = settings
        .iter()
        .map(|Setting { name, value }| {
            let (name, value) = (ident::literal(name), ident::literal(value));
            format!("pg_catalog.set_config({name}, {value}, false)")
        })
        .collect();
    format!("select {}", calls.join(", "))
}

async fn apply_settings(conn: &mut PgConnection, settings: &[Setting]) -> Result<(), OpenError> {
    for Setting { name, value } in settings {
        let applied = sqlx::query("select pg_catalog.set_config($1, $2, false)")
            .bind(name)
            .bind(value)
            .persistent(false)
            .execute(&mut *conn)
            .await;
        if let Err(error) = applied {
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
