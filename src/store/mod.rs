//! pgassay's own database: the only room that speaks to it, as free functions that callers compose in a transaction.
//!
//! Every function that reads or changes what somebody owns takes the [`Viewer`]; every write of a runner takes its
//! [`Lease`], and changes nothing when that lease is no longer the newest.

use std::io;
use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use futures_util::FutureExt as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;

use crate::model::ids::UserId;
use crate::model::user::Role;
use crate::model::user::Viewer;

pub mod audit;
pub mod backups;
pub mod benchmarks;
pub mod checks;
pub mod clock;
pub mod comparisons;
pub mod datasets;
pub mod experiments;
pub mod filing;
pub mod finding;
pub mod gauges;
pub mod held;
pub mod homes;
pub mod instruments;
pub mod invitations;
pub mod jobs;
pub mod levels;
pub mod limits;
pub mod links;
pub mod looks;
#[cfg(test)]
mod migrations;
pub mod plans;
mod pulse;
pub mod queue;
pub mod quotas;
pub mod restores;
pub mod segments;
pub mod servers;
pub mod sessions;
pub mod settings;
pub mod shares;
pub mod sources;
pub mod statistics_files;
pub mod summaries;
pub mod taxes;
pub mod tokens;
pub mod trials;
pub mod uploads;
pub mod users;
pub mod workers;
pub mod workloads;

/// What a store function may fail with: only faults, never refusals.
pub type Result<T> = std::result::Result<T, sqlx::Error>;

/// Whether the store could not be reached, or went away with the question: worth asking again. A write may have been
/// done all the same.
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // It ended before it had said whether it encrypts.
        sqlx::Error::Protocol(said) => said.contains("response from SSLRequest"),
        // A connection that fails, a server that stops, has crashed or is not yet up, and a session that was ended because
        // we were paused in a transaction.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || ["25P03", "57P01", "57P02", "57P03"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

/// Whether a text was to be stored or looked for that has a NUL in it: PostgreSQL knows none, neither in text nor in JSON,
/// and there is nothing else about a text of ours that it could refuse in these words.
pub fn is_nul(error: &sqlx::Error) -> bool {
    let codes = ["22021", "22P05"];
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| codes.contains(&code.as_ref())))
}

/// Whether what should be stored is there already.
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
}

/// How long a page waits for a connection before it says that the store is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: u32 = 12;
/// A connection that was idle is tried before it is used. One that does not answer within this time is replaced: somebody
/// in between may have forgotten it.
const TRIED_WITHIN: Duration = Duration::from_secs(1);

/// All steps from an empty database to the tables of today, oldest first.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The number of the newest migration.
pub fn schema_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Opens the store and brings its tables up to date. Safe when two processes start together: sqlx takes a lock.
pub async fn open(options: PgConnectOptions) -> anyhow::Result<PgPool> {
    let options = options.application_name("pgassay");
    let pool = PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // As sqlx does by itself, but it waits for the answer for ever.
        .test_before_acquire(false)
        .before_acquire(|conn, _| try_out(conn).boxed())
        .after_connect(|conn, _| prepare(conn).boxed())
        .connect_with(options.clone())
        .await?;
    pulse::feel(&pool, options);
    MIGRATIONS.run(&pool).await?;
    Ok(pool)
}

/// A transaction whose process is cut off holds what it has locked for so long and no longer. All that we do between two
/// statements of one is to move a file.
async fn prepare(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("set idle_in_transaction_session_timeout = '60s'")
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether a connection still answers; an error where it is broken.
async fn try_out(conn: &mut PgConnection) -> Result<bool> {
    match tokio::time::timeout(TRIED_WITHIN, conn.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

/// The account that everything belongs to where nobody signs in.
pub async fn local_viewer(conn: &mut PgConnection) -> Result<Viewer> {
    let user_id = sqlx::query_scalar!(r#"select id as "id: UserId" from users where is_local"#)
        .fetch_one(conn)
        .await?;
    Ok(Viewer::account(user_id, Role::Admin))
}

/// The version of the server that holds the store, as it names itself.
pub async fn server_version(conn: &mut PgConnection) -> Result<String> {
    sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#)
        .fetch_one(conn)
        .await
}

/// The sessions of every pgassay that uses this store.
pub async fn count_sessions(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "n!" from pg_stat_activity where application_name = 'pgassay'"#)
        .fetch_one(conn)
        .await
}

/// Sizes are stored as `bigint`; nothing we count comes near its end.
pub(crate) fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Counts come back as `bigint` and are never negative.
pub(crate) fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// The name of this store, by which others that use the same depot tell it from theirs.
pub async fn name(conn: &mut PgConnection) -> Result<String> {
    sqlx::query_scalar!(r#"select name::text as "name!" from store_names"#)
        .fetch_one(conn)
        .await
}

/// The store's clock, which all stored times are of.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(conn)
        .await
}
