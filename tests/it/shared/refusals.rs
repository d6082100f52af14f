//! Servers that cannot be shared, and what is said of each.

use std::fs;
use std::path::Path;

use crate::pages::Plain;
use crate::scratch;
use crate::shared::Ground;
use crate::shared::launch;
use crate::support;
use crate::support::Cluster;

/// Both commands refuse the URL with these words and exit code 1, and start nothing.
fn assert_refused(data_dir: &Path, url: &str, words: &str) {
    for command in ["serve", "doctor"] {
        let mut refused = support::pgassay(&[command, "--data-dir"]);
        refused.arg(data_dir).args(["--sandbox-url", url]);
        if command == "serve" {
            refused.args(["--listen", "127.0.0.1:0"]);
        }
        let output = refused.output().unwrap();
        let said = format!(
            "{}{}",
            support::stderr(&output),
            String::from_utf8_lossy(&output.stdout)
        );
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains(words), "{command}: {words} in {said}");
        assert!(!said.contains("hush-hush"), "{command} keeps passwords: {said}");
    }
    assert!(!data_dir.join("store").exists());
}

#[test]
fn a_server_that_cannot_be_shared_is_refused_in_words() {
    let ground = Ground::new();
    let (cluster, data_dir, url) = (&ground.cluster, &ground.data_dir, ground.cluster.url());
    cluster.ask("create role guest login password 'hush-hush'");
    for (url, words) in [
        ("hush-hush@nowhere", "SANDBOX_URL cannot be read"),
        ("postgres://postgres:hush-hush@127.0.0.1:1/postgres", "does not answer"),
        (
            &cluster.url_of("postgres", "hush-hush", "postgres"),
            "password authentication failed",
        ),
        (
            &cluster.url_of("guest", "hush-hush", "postgres"),
            "The user guest of SANDBOX_URL is not a superuser",
        ),
    ] {
        assert_refused(data_dir, url, words);
    }
    cluster.ask("create database accounts");
    assert_refused(data_dir, &url, "holds what is not pgassay's: the databases accounts");
    cluster.ask("drop database accounts");
    cluster.ask("create table kept (a integer)");
    assert_refused(data_dir, &url, "tables in the database postgres, public.kept for one");
    cluster.ask("drop table kept");

    let said = ground.doctor();
    for words in [
        "at SANDBOX_URL, with 0 datasets",
        "All datasets share one",
        "without a password (trust)",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let changed = cluster.ask("select datname from pg_database where datacl is not null and not datistemplate");
    assert_eq!(changed, Vec::<String>::new(), "looking changes nothing");
    let only_superusers = "local all all trust\nhost all postgres 127.0.0.1/32 scram-sha-256\n";
    fs::write(cluster.dir.join("data/pg_hba.conf"), only_superusers).unwrap();
    cluster.reload();
    let mut serve = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let output = serve.arg(data_dir).args(["--sandbox-url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = support::stderr(&output);
    assert!(
        said.contains("does not let a role in by its password: no pg_hba.conf entry"),
        "{said}"
    );
    let limits = cluster.ask("select datname from pg_database where datconnlimit <> -1");
    assert_eq!(limits, Vec::<String>::new(), "trying changes nothing but rights");
    let roles = cluster.ask("select rolname from pg_roles where rolname ~ '^(w|trial)_'");
    assert_eq!(roles, Vec::<String>::new(), "what tried it is gone");
}

#[test]
fn a_standby_is_refused_in_words() {
    let mut cluster = Cluster::with_passwords();
    cluster.become_standby();
    assert_refused(
        &scratch::dir(),
        &cluster.url(),
        "SANDBOX_URL is a standby, which cannot be written to",
    );
}

#[test]
fn a_server_whose_databases_are_in_another_encoding_is_refused_in_words() {
    // Any server can be made like this where the system has the locale, which every Linux has.
    if !cfg!(target_os = "linux") {
        return;
    }
    let cluster = Cluster::with_passwords_made_by(&["-E", "SQL_ASCII", "--locale=C.UTF-8"]);
    let words = "SANDBOX_URL are made in SQL_ASCII; pgassay needs one that was made with UTF8";
    assert_refused(&scratch::dir(), &cluster.url(), words);
}

/// In the C locale a server makes databases of any encoding, so its own is nobody's concern.
#[tokio::test]
async fn the_main_job_is_done_on_a_server_that_has_neither_locale_nor_encoding() {
    let ground = Ground::on(Cluster::with_passwords_made_by(&["-E", "SQL_ASCII", "--locale=C"]));
    let server = ground.serve();
    let plain = Plain::of(&server);
    let dump = "create table t (a text); insert into t values ('\u{e9}t\u{e9}');";
    plain.upload("/upload/dump", "r1", "dump.sql", dump.into()).await;
    let queries = "select 1 / (count(*) filter (where length(a) = 3)) from t";
    plain
        .upload("/upload/queries", "r2", "queries.sql", queries.into())
        .await;
    ground.wait_for_status("restore", 1, "completed");
    launch(&plain, "r3", "1", "1", "30s").await;
    ground.wait_for_status("experiment", 1, "completed");
    let outcomes = "select string_agg(distinct outcome || coalesce(message, ''), ';') from trials";
    assert_eq!(ground.ask(outcomes).as_deref(), Some("finished"));
    assert_eq!(server.stop(), Some(0));
}
