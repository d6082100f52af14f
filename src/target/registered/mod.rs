//! A server that an admin registered: how it is reached, what it says of itself, and sessions there for statements of our
//! own. We are guests: nothing of it is changed but what [`schema`] makes and drops.

pub mod schema;
pub mod session;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;

use crate::model::destination::Destinations;
use crate::model::server::PasswordSource;
use crate::model::server::ServerReport;
use crate::model::server::ShownPlace;
use crate::model::text::capitalised;
use crate::target::registered::session::OwnSession;
use crate::target::secret::Password;
use crate::target::secret::Secret;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Place;
use crate::target::wire::UrlError;
use crate::target::wire::Wire;

/// Statements that do nothing, whose middle time is the round trip.
const N_ROUND_TRIPS: usize = 21;
/// What a server may take to say what it is, once it has let us in.
const TEST_LIMIT: Duration = Duration::from_secs(20);

/// What a statement of ours may take on a server that others use: it asks for what the server has at hand.
pub const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// And one that loads rows, makes a key over them, or cleans up behind them.
pub const LOAD_LIMIT: Duration = Duration::from_hours(1);

/// What may be seen of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub place: ShownPlace,
    pub has_password: bool,
}

/// Reads an address, `postgresql://user:password@host:port/database?name=value`.
pub fn read(url: &str) -> Result<Shown, UrlError> {
    let dial = Dial::from_url(url)?;
    let (host, port) = match dial.place {
        Place::Unix { dir, port } => (dir.display().to_string(), port),
        Place::Tcp { host, port } => (host, port),
    };
    Ok(Shown {
        place: ShownPlace {
            host,
            port,
            database: dial.database,
            user: dial.user,
            tls_mode: dial.tls.mode.word().to_owned(),
        },
        has_password: matches!(dial.password, Password::Given(_)),
    })
}

/// Refuses an address that leads where nothing may be reached. The error is for people; no password stands in it.
pub async fn check(url: &str, destinations: Destinations) -> Result<(), String> {
    let mut dial = Dial::from_url(url).map_err(|error| error.to_string())?;
    dial.destinations = destinations;
    Wire::check(&dial).await.map_err(|error| in_words(&error))
}

/// A server as connections are made to it. All that are made share one way to the password.
#[derive(Clone, Debug)]
pub struct Registered {
    dial: Dial,
    statement_limit: Duration,
}

impl Registered {
    /// From an unsealed address. `secrets` is the directory that a secret lies in; `destinations` are what may be reached,
    /// whatever the address says.
    pub fn new(
        url: &str,
        password: &PasswordSource,
        secrets: &Path,
        destinations: Destinations,
    ) -> Result<Self, UrlError> {
        let mut dial = Dial::from_url(url)?;
        dial.destinations = destinations;
        if let PasswordSource::Secret(name) = password {
            dial.password = Password::Secret(Secret::new(secrets, name));
        }
        Ok(Self {
            dial,
            statement_limit: STATEMENT_LIMIT,
        })
    }

    /// The same server, where no statement of our own may take longer than this.
    pub fn within(self, statement_limit: Duration) -> Self {
        Self {
            statement_limit,
            ..self
        }
    }

    /// How a connection is made under this name, with these settings over those of the address.
    pub fn dial(&self, application_name: &str, settings: impl IntoIterator<Item = (String, String)>) -> Dial {
        let mut dial = self.dial.clone();
        application_name.clone_into(&mut dial.application_name);
        dial.settings.extend(settings);
        dial
    }

    /// The database of its address.
    pub fn database(&self) -> &str {
        &self.dial.database
    }

    /// A session for statements of our own, which name everything with its schema.
    pub async fn session(&self) -> Result<OwnSession, ConnectError> {
        OwnSession::open_within(&self.dial("pgassay", []), self.statement_limit).await
    }

    /// Drops a schema of ours there, and all that is in it.
    pub async fn drop_schema(&self, name: &str) -> anyhow::Result<()> {
        let mut session = self
            .session()
            .await
            .map_err(|error| anyhow::anyhow!(in_words(&error)))?;
        let dropped = schema::drop(&mut session, name).await;
        session.close().await;
        dropped
    }

    /// Tries to reach the server, and asks what it is. The error is for people: what happened, and what to do.
    pub async fn test(&self) -> Result<ServerReport, String> {
        let limit = self.statement_limit.min(TEST_LIMIT);
        let session = OwnSession::open_within(&self.dial("pgassay", []), limit).await;
        let mut session = session.map_err(|error| in_words(&error))?;
        let asked = tokio::time::timeout(TEST_LIMIT, report(&mut session)).await;
        session.close().await;
        match asked {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => Err(format!(
                "The server let us in, and then did not say what it is: {error:#}."
            )),
            Err(_) => Err(format!(
                "The server let us in, and then did not answer simple questions within {} s.",
                TEST_LIMIT.as_secs()
            )),
        }
    }
}

/// What a server says of itself.
pub async fn report(session: &mut OwnSession) -> anyhow::Result<ServerReport> {
    asked(session).await.context("asking what the server is")
}

async fn asked(session: &mut OwnSession) -> anyhow::Result<ServerReport> {
    let round_trip_ms = round_trip_ms(session).await?;
    let version = session.ask("select version()").await?;
    let mut told = async |sql: &str| session.ask_if_told(sql).await;
    let flag = |text: Option<String>| text.map(|text| text == "t");
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let may_create = "select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";
    let may_create = flag(told(may_create).await?);
    let sees_all = flag(told("select pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')").await?);
    let is_superuser = flag(told("select rolsuper from pg_catalog.pg_roles where rolname = current_user").await?);
    let max_connections = number(told("select pg_catalog.current_setting('max_connections')").await?);
    let n_connections = number(told("select pg_catalog.sum(numbackends) from pg_catalog.pg_stat_database").await?);
    let is_replica = flag(told("select pg_catalog.pg_is_in_recovery()").await?);
    let autovacuum = told("select pg_catalog.current_setting('autovacuum')").await?;
    Ok(ServerReport {
        version: version.unwrap_or_default(),
        uses_tls: session.uses_tls(),
        round_trip_ms,
        may_create,
        sees_all,
        is_superuser,
        max_connections,
        n_connections,
        is_replica,
        autovacuum,
    })
}

async fn round_trip_ms(session: &mut OwnSession) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(N_ROUND_TRIPS);
    for _ in 0..N_ROUND_TRIPS {
        let began = Instant::now();
        session.run("select 1").await?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[N_ROUND_TRIPS / 2].as_secs_f64() * 1000.0)
}

/// Why there is no connection, for people, and what may help.
pub fn in_words(error: &ConnectError) -> String {
    let help = match error {
        ConnectError::Refused(said) => match &*said.sqlstate {
            "28P01" => " Check the user and the password, or the secret that it comes from.",
            "28000" => {
                " Check the user, the TLS mode, and whether the server's pg_hba.conf lets that user in from this machine."
            }
            "3D000" => " Check the name of the database in the address.",
            "53300" => " All connections that the server allows this user are taken; end some, or raise the limit.",
            "57P03" => " Try again when it has started.",
            "08P01" | "0A000" => {
                " A connection pooler may stand in front that does not pass settings on; give the address of the server \
                 itself."
            }
            _ => "",
        },
        ConnectError::Away { .. } => {
            " Check host and port, whether the server runs and listens there, and whether a firewall or a list of allowed \
             addresses lets this machine through."
        }
        ConnectError::Lost { .. } => " Check whether it is a PostgreSQL server that listens at that port.",
        ConnectError::Silent { .. } => {
            " A connection pooler may stand in front that has no connection to spare; look there, and at the server itself."
        }
        ConnectError::Unmet(_) => "",
    };
    format!("{}.{help}", capitalised(&error.to_string()))
}
