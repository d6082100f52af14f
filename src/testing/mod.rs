//! What tests stand on: a real store with a database for every test, stories about rows, and a whole house to work in.
//!
//! Nothing needs to be set up: the first test that asks starts the server, and [`scratch`] takes it away. What a test has for
//! itself goes before that, with the test: [`belongings`].

pub mod belongings;
pub mod bench;
pub mod benchmarks;
pub mod clone;
pub mod foreign;
pub mod scratch;
pub mod servers;
pub mod world;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;

use crate::cluster;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::binaries::Binaries;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::model::dataset::Setting;
use crate::store;

/// The migrated database that every test's own is copied from.
const TEMPLATE: &str = "migrated";

/// The socket directory of this process's store.
static STORE: LazyLock<PathBuf> = LazyLock::new(start_store);

/// The server programs that this run of the tests is about: `make test-servers` names one version after the other.
pub fn pg_bindir() -> Option<PathBuf> {
    std::env::var_os("PGASSAY_PG_BINDIR").map(PathBuf::from)
}

/// Every version of servers there is to test on, this machine's own (`None`) first; the one that was named if one was.
pub fn bindirs() -> Vec<Option<PathBuf>> {
    let mut bindirs = vec![pg_bindir()];
    if servers::ARE_HERE && pg_bindir().is_none() {
        bindirs.extend(servers::SERVERS.map(|major| Some(servers::bindir(major))));
    }
    bindirs
}

/// The version of those servers, or of this machine's own.
pub async fn server_version_num() -> u32 {
    Binaries::find(pg_bindir().as_deref()).await.unwrap().version_num
}

/// A client program: the server's own, or where the servers come without, the one in the path.
pub fn client(binaries: &Binaries, name: &str) -> PathBuf {
    Some(binaries.tool(name))
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// An empty, migrated store of its own for one test.
pub async fn database() -> PgPool {
    store::open(store_options(&new_database().await)).await.unwrap()
}

/// The address of such a store, as `DATABASE_URL` takes it.
pub async fn database_url() -> String {
    let host = STORE.display();
    format!(
        "postgres://{}@localhost/{}?host={host}",
        cluster::SUPERUSER,
        new_database().await
    )
}

async fn new_database() -> String {
    static N_DATABASES: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", N_DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut conn = store_options("postgres").connect().await.unwrap();
    // Safe: a constant and a number. Its files are copied, which takes half as long as writing all that is in them.
    let sql = AssertSqlSafe(format!("create database {name} template {TEMPLATE} strategy file_copy"));
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    belongings::database(&name);
    name
}

/// How to reach a database of the store's server.
pub fn store_options(database: &str) -> PgConnectOptions {
    options(&STORE, database)
}

/// How to reach one of our servers as its superuser.
pub fn options(socket_dir: &std::path::Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(cluster::PORT)
        .username(cluster::SUPERUSER)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// Makes a file that can be run, by a shell that has closed it again: one that another thread's child still holds open for
/// writing cannot be.
pub fn command(path: &std::path::Path, script: &str) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 700 \"$0\""]);
    assert!(shell.arg(path).arg(script).status().unwrap().success());
}

/// The server lives in a thread and a runtime of its own: those of a test end with the test.
fn start_store() -> PathBuf {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async move {
            let root = scratch::dir();
            let site = Site::open(Binaries::find(pg_bindir().as_deref()).await.unwrap(), &root).unwrap();
            let spec = ServerSpec {
                data_dir: root.join("store"),
                socket_name: "store".to_owned(),
                kind: Kind::Store,
                // Nothing of it outlives the process.
                settings: vec![Setting {
                    name: "fsync".to_owned(),
                    value: "off".to_owned(),
                }],
            };
            cluster::initdb::prepare(&site, &spec).await.unwrap();
            let server = Server::start(&site, &spec).await.unwrap();
            let mut conn = options(server.socket_dir(), "postgres").connect().await.unwrap();
            let sql = AssertSqlSafe(format!("create database {TEMPLATE}"));
            sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            let pool = store::open(options(server.socket_dir(), TEMPLATE)).await.unwrap();
            pool.close().await;
            send.send(server.socket_dir().to_owned()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().unwrap()
}
