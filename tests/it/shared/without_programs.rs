//! A machine without a single program of PostgreSQL: both servers are somebody else's.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use reqwest::StatusCode;

use crate::pages::Plain;
use crate::server::Server;
use crate::shared::Ground;
use crate::shared::custom_archive;
use crate::shared::launch;
use crate::support;
use crate::support::Cluster;

/// Where Debian has them.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// `pgassay` where neither `PATH` nor the usual place has a program, which takes a mount of its own.
fn pgassay(args: &[&str], data_dir: &Path) -> Command {
    let plain = support::pgassay(args);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.arg(format!(
        "mount -t tmpfs nothing {PROGRAMS} && PATH=/nowhere exec \"$0\" \"$@\""
    ));
    command.arg(plain.get_program()).args(plain.get_args());
    command.arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    command.env_remove("PGASSAY_PG_BINDIR");
    command
}

/// Says loudly where this process may not mount.
fn may_hide_programs() -> bool {
    let hidden = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "nothing", PROGRAMS])
        .stdin(Stdio::null())
        .output();
    let may = hidden.as_ref().is_ok_and(|output| output.status.success());
    if !may {
        println!("SKIPPED, nothing was tested: the programs of this machine cannot be hidden: {hidden:?}");
    }
    may
}

#[tokio::test]
async fn with_both_servers_given_no_program_is_needed_but_for_archives() {
    if !may_hide_programs() {
        return;
    }
    let (ground, store) = (Ground::new(), Cluster::start());
    let archive = custom_archive(&ground);
    let (store_url, sandbox_url) = (store.socket_url(), ground.cluster.url());
    let servers = ["--database-url", &store_url, "--sandbox-url", &sandbox_url];

    let doctor = pgassay(&["doctor"], &ground.data_dir).args(servers).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    for words in [
        "no server programs here, and none are needed",
        "there is no pg_restore here, so only plain dumps are taken",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }

    let mut serve = pgassay(&["serve", "--listen", "127.0.0.1:0"], &ground.data_dir);
    serve.args(servers);
    let server = Server::run(serve);
    let plain = Plain::of(&server);
    let (status, said) = plain.upload("/upload/dump", "r1", "dump.custom", archive).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("pg_restore"), "{said}");
    let dump = fs::read(support::sample("dump.sql")).unwrap();
    plain.upload("/upload/dump", "r2", "dump.sql", dump).await;
    let queries = b"select count(*) from orders join customer using (customer_id)".to_vec();
    plain.upload("/upload/queries", "r3", "queries.sql", queries).await;
    let ends = |kind: &str| {
        support::wait_for(kind, || {
            let status = store
                .ask(&format!("select status from jobs where kind = '{kind}'"))
                .concat();
            (!["", "queued", "running"].contains(&&*status)).then_some(status)
        })
    };
    assert_eq!(ends("restore"), "completed");
    launch(&plain, "r4", "1", "1", "30s").await;
    assert_eq!(ends("experiment"), "completed");
    let outcomes = "select outcome || ' ' || count(*) from trials group by outcome";
    assert_eq!(store.ask(outcomes), ["finished 4"]);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn without_programs_a_server_that_is_not_given_is_missed_in_words() {
    if !may_hide_programs() {
        return;
    }
    let (ground, store) = (Ground::new(), Cluster::start());
    for given in [
        ["--database-url", &store.socket_url()],
        ["--sandbox-url", &ground.cluster.url()],
    ] {
        let mut serve = pgassay(&["serve", "--listen", "127.0.0.1:0"], &ground.data_dir);
        let output = serve.args(given).output().unwrap();
        let said = support::stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("No PostgreSQL server was found on this machine"),
            "{said}"
        );
    }
}
