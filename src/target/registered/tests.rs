//! Registered servers as guests see them: by TCP, with TLS, with few rights.

use std::path::Path;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::cluster::SUPERUSER;
use crate::model::server::SecretName;
use crate::target::registered::session::TooSlow;
use crate::testing;
use crate::testing::foreign::PASSWORD;
use crate::testing::foreign::foreign;
use crate::testing::scratch;

fn registered(url: &str) -> Registered {
    Registered::new(
        url,
        &PasswordSource::Stored,
        Path::new("/nowhere"),
        Destinations::anywhere(),
    )
    .unwrap()
}

/// A session as the server's superuser, by its socket.
async fn superuser() -> OwnSession {
    let foreign = foreign();
    let (dir, port) = (foreign.socket_dir.display(), foreign.port);
    let url = format!("postgresql://{SUPERUSER}@/postgres?host={dir}&port={port}");
    registered(&url).session().await.unwrap()
}

#[tokio::test]
async fn a_test_tells_what_the_server_is_in_every_tls_mode() {
    let authority = foreign().authority.display();
    for (mode, uses_tls) in [
        ("disable", false),
        ("allow", false),
        ("prefer", true),
        ("require", true),
        ("verify-ca", true),
        ("verify-full", true),
    ] {
        let verifies = mode.starts_with("verify");
        let roots = if verifies {
            format!("&sslrootcert={authority}")
        } else {
            String::new()
        };
        let url = foreign().url("scrammer", &format!("sslmode={mode}{roots}"));
        assert_eq!(read(&url).unwrap().place.tls_mode, mode);
        let report = registered(&url).test().await.unwrap();
        assert_eq!(report.uses_tls, uses_tls, "{mode}");
        assert!(report.round_trip_ms > 0.0);
    }
    let report = registered(&foreign().url("scrammer", "")).test().await.unwrap();
    assert!(report.version.starts_with("PostgreSQL"), "{report:?}");
    assert_eq!((report.may_create, report.is_superuser), (Some(false), Some(false)));
    assert_eq!((report.sees_all, report.is_replica), (Some(true), Some(false)));
    assert!(report.max_connections > report.n_connections && report.n_connections > Some(0));
    assert_eq!(report.autovacuum.as_deref(), Some("on"));
}

#[tokio::test]
async fn why_there_is_no_connection_comes_with_what_to_do() {
    let strange = foreign().stranger.display();
    for (url, says) in [
        (foreign().url("nobody", ""), "pg_hba.conf"),
        (foreign().url("guarded", "sslmode=disable"), "TLS mode"),
        (foreign().url("scrammer", "dbname=nowhere"), "name of the database"),
        (
            foreign().url("scrammer", "password=s3cret"),
            "Check the user and the password",
        ),
        (
            foreign().url("scrammer", &format!("sslmode=verify-ca&sslrootcert={strange}")),
            "TLS",
        ),
        ("postgresql://me:s3cret@127.0.0.1:1/d".to_owned(), "Check host and port"),
        (
            "postgresql://me:s3cret@/d?host=/nowhere".to_owned(),
            "Check host and port",
        ),
    ] {
        let error = registered(&url).test().await.unwrap_err();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("s3cret") && !error.contains(PASSWORD), "{error}");
    }
}

#[tokio::test]
async fn a_command_gives_the_password_and_is_asked_once_for_many() {
    let dir = scratch::dir();
    let name = SecretName::parse("token").unwrap();
    testing::command(
        &dir.join("token"),
        &format!("echo run >> {}/runs; printf '%s\\n' '{PASSWORD}'", dir.display()),
    );
    let url = format!("postgresql://scrammer@localhost:{}/postgres", foreign().port);
    let registered = Registered::new(&url, &PasswordSource::Secret(name), &dir, Destinations::anywhere()).unwrap();
    let n_runs = || std::fs::read_to_string(dir.join("runs")).unwrap().lines().count();
    registered.test().await.unwrap();
    assert_eq!(n_runs(), 1);
    let dial = registered.dial("pgassay", []);
    let connecting = (0..8).map(|_| OwnSession::open(&dial));
    for session in futures_util::future::join_all(connecting).await {
        session.unwrap().close().await;
    }
    assert_eq!(n_runs(), 2);
}

#[tokio::test]
async fn our_schema_goes_with_all_that_works_in_it() {
    let mut admin = superuser().await;
    schema::make(&mut admin, "ours \"1\"").await.unwrap();
    schema::make(&mut admin, "ours \"1\"").await.unwrap();
    admin.run("create table \"ours \"\"1\"\"\".t (a int)").await.unwrap();
    admin
        .copy_in("copy \"ours \"\"1\"\"\".t from stdin", b"1\n2\n3\n")
        .await
        .unwrap();
    let sum = admin.ask("select sum(a) from \"ours \"\"1\"\"\".t").await.unwrap();
    assert_eq!(sum.as_deref(), Some("6"));
    let error = admin
        .copy_in("copy \"ours \"\"1\"\"\".t from stdin", b"one\n")
        .await
        .unwrap_err();
    assert!(session::is_survived(&error), "{error:#}");

    let foreign = foreign();
    let (dir, port) = (foreign.socket_dir.display(), foreign.port);
    let url = format!("postgresql://{SUPERUSER}@/postgres?host={dir}&port={port}");
    let mut client = OwnSession::open(&registered(&url).dial("ours \"1\"", []))
        .await
        .unwrap();
    client.run("begin; lock table \"ours \"\"1\"\"\".t").await.unwrap();
    schema::drop(&mut admin, "ours \"1\"").await.unwrap();
    assert!(client.run("select 1").await.is_err(), "the client's session was ended");
    let left = admin
        .ask("select count(*) from pg_namespace where nspname like 'ours%'")
        .await
        .unwrap();
    assert_eq!(left.as_deref(), Some("0"));
    schema::drop(&mut admin, "ours \"1\"").await.unwrap();
    assert_eq!(admin.ask_if_told("select no_such_function()").await.unwrap(), None);
    admin.close().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_by_the_server() {
    let url = foreign().url("scrammer", "");
    let server = registered(&url).within(Duration::from_millis(200));
    let mut session = server.session().await.unwrap();
    session.run("select pg_sleep(0.001)").await.unwrap();
    let error = session.run("select pg_sleep(600), 'too slow'").await.unwrap_err();
    let limit = Duration::from_millis(200);
    assert_eq!(error.downcast_ref::<TooSlow>(), Some(&TooSlow { limit }), "{error:#}");
    session.close().await;
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%''too slow''%'
                   and pid <> pg_backend_pid()";
    assert_eq!(superuser().await.ask(running).await.unwrap().as_deref(), Some("0"));
    // What somebody else ends is no matter of time.
    let mut session = registered(&url).session().await.unwrap();
    let pid = session.ask("select pg_backend_pid()").await.unwrap().unwrap();
    let ending = async {
        let mut admin = superuser().await;
        let sql = format!("select state = 'active' and pg_cancel_backend(pid) from pg_stat_activity where pid = {pid}");
        while admin.ask(&sql).await.unwrap().as_deref() != Some("t") {}
    };
    let (ran, ()) = tokio::join!(session.run("select pg_sleep(600)"), ending);
    assert!(session::is_survived(&ran.unwrap_err()));
}

/// Lets everybody in, takes so many statements, and says nothing to any other.
async fn silent(n_statements: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let lets_in = &b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..];
        let takes = &b"C\0\0\0\x08SET\0Z\0\0\0\x05I"[..];
        for says in std::iter::once(lets_in).chain(std::iter::repeat_n(takes, n_statements)) {
            assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
            client.write_all(says).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    format!("postgresql://me@127.0.0.1:{port}/d?sslmode=disable")
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_says_nothing_any_more() {
    let limit = Duration::from_millis(1);
    let server = registered(&silent(1).await).within(limit);
    let mut session = server.session().await.unwrap();
    let error = report(&mut session).await.unwrap_err();
    assert_eq!(error.downcast_ref::<TooSlow>(), Some(&TooSlow { limit }), "{error:#}");
    let sentence = crate::target::to_be_put_right(&error).unwrap();
    assert!(
        sentence.contains("asking what the server is: no answer within") && sentence.contains("pg_stat_activity"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_server_that_lets_us_in_and_takes_nothing_is_not_said_to_be_out_of_reach() {
    let server = registered(&silent(0).await).within(Duration::from_millis(1));
    let said = server.test().await.unwrap_err();
    assert!(
        said.contains("lets us in, and then: no answer within")
            && said.contains("pooler")
            && !said.contains("firewall"),
        "{said}"
    );
}
