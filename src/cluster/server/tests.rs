//! Real servers: started, stopped, killed, and found again.

use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use tempfile::TempDir;

use super::*;
use crate::cluster::SUPERUSER;
use crate::cluster::binaries::Binaries;
use crate::cluster::initdb::prepare;
use crate::cluster::leftover::Found;
use crate::cluster::leftover::running;
use crate::cluster::leftover::stop_leftover;

/// A data root of its own for one test.
struct Ground {
    root: TempDir,
    site: Site,
}

impl Ground {
    async fn open() -> Self {
        let root = tempfile::tempdir().unwrap();
        // Root's servers run as somebody else, who has to get in.
        fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let binaries = Binaries::find(crate::testing::pg_bindir().as_deref()).await.unwrap();
        let site = Site::open(binaries, root.path()).unwrap();
        Self { root, site }
    }

    fn spec(&self, kind: Kind) -> ServerSpec {
        let name = match kind {
            Kind::Store => "store",
            Kind::Sandbox => "s1",
        };
        ServerSpec {
            data_dir: self.root.path().join(name),
            socket_name: name.to_owned(),
            kind,
            settings: Vec::new(),
        }
    }

    async fn start(&self, kind: Kind) -> Result<Server, ClusterError> {
        let spec = self.spec(kind);
        prepare(&self.site, &spec).await.unwrap();
        Server::start(&self.site, &spec).await
    }

    fn psql(&self, server: &Server, role: &str) -> Command {
        let mut psql = Command::new(crate::testing::client(&self.site.binaries, "psql"));
        psql.args(["-XAtw", "-d", "template1", "-U", role, "-h"])
            .arg(server.socket_dir());
        psql
    }

    fn query(&self, server: &Server, role: &str, sql: &str) -> Output {
        self.psql(server, role).args(["-c", sql]).output().unwrap()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A failed test may have left it; the parent holds nothing else.
        let _ = self
            .site
            .sockets
            .make("last")
            .map(|dir| fs::remove_dir_all(dir.parent().unwrap()));
    }
}

fn is_alive(data_dir: &Path) -> bool {
    !process::all_serving(&data_dir.canonicalize().unwrap())
        .unwrap()
        .is_empty()
}

#[tokio::test]
async fn a_sandbox_starts_lets_only_the_superuser_in_and_stops_without_a_trace() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Sandbox).await.unwrap();
    let data_dir = server.data_dir.clone();
    let socket_dir = server.socket_dir().to_owned();

    let sql = "select current_setting('autovacuum'), current_setting('listen_addresses'), \
               pg_encoding_to_char(encoding) from pg_database where datname = 'template1'";
    let answer = ground.query(&server, SUPERUSER, sql);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "off||UTF8\n", "{answer:?}");
    assert!(!ground.query(&server, "ws", "select 1").status.success());
    let seen = running(&data_dir).unwrap().unwrap();
    assert_eq!((seen.pid, seen.socket_dir), (server.pid(), socket_dir.clone()));

    let exited = server.exited();
    server.stop(Stop::Immediate).await.unwrap();
    exited.await;
    assert!(!is_alive(&data_dir));
    assert!(!socket_dir.exists());
    assert_eq!(running(&data_dir).unwrap(), None);
}

#[tokio::test]
async fn the_store_stops_in_order_and_leaves_nothing_to_recover() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Store).await.unwrap();
    let data_dir = server.data_dir.clone();
    server.stop(Stop::Fast).await.unwrap();
    assert_eq!(stop_leftover(&data_dir, Stop::Fast).await.unwrap(), Found::Nothing);
    let log = fs::read_to_string(data_dir.join("server.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
}

#[tokio::test]
async fn the_processes_of_a_sandbox_are_held_to_an_address_space() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Sandbox).await.unwrap();
    // Elsewhere there is no tool, and no such file to see its work in.
    if limits::prlimit().is_some() {
        let expected = limits::address_space_bytes(limits::sandbox_shared_buffers_bytes()).to_string();
        let text = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max address space")).unwrap();
        assert_eq!(line.split_whitespace().nth(4), Some(expected.as_str()), "{line}");
    }
    server.stop(Stop::Immediate).await.unwrap();
}

#[tokio::test]
async fn while_a_server_runs_no_second_one_starts_on_its_files() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Sandbox).await.unwrap();
    let refusal = ground.start(Kind::Sandbox).await.unwrap_err();
    assert!(matches!(refusal, ClusterError::InUse(_)), "{refusal:?}");
    let found = stop_leftover(&server.data_dir, Stop::Immediate).await.unwrap();
    assert_eq!(found, Found::InUse);
    assert!(ground.query(&server, SUPERUSER, "select 1").status.success());
    server.stop(Stop::Immediate).await.unwrap();
}

#[tokio::test]
async fn after_a_kill_of_the_server_with_a_busy_session_it_starts_again() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Sandbox).await.unwrap();
    assert!(
        ground
            .query(&server, SUPERUSER, "create table kept ()")
            .status
            .success()
    );
    // A busy session does not look whether its postmaster lives, and holds the shared memory.
    let mut busy = ground
        .psql(&server, SUPERUSER)
        .args(["-c", "do $$ begin raise notice 'busy'; loop end loop; end $$"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notice = String::new();
    BufReader::new(busy.stderr.take().unwrap())
        .read_line(&mut notice)
        .unwrap();
    assert!(notice.contains("busy"), "{notice}");

    process::signal(server.postmaster.pid, Signal::SIGKILL).unwrap();
    assert_eq!(server.exited().await.signal(), Some(9));
    assert!(
        is_alive(&server.data_dir),
        "the session should have outlived its postmaster"
    );
    drop(server);

    let server = ground.start(Kind::Sandbox).await.unwrap();
    busy.wait().unwrap();
    assert!(ground.query(&server, SUPERUSER, "table kept").status.success());
    server.stop(Stop::Immediate).await.unwrap();
}

#[tokio::test]
async fn an_orphaned_server_is_recognised_and_stopped() {
    let ground = Ground::open().await;
    let Server {
        postmaster,
        _claim: claim,
        data_dir,
        ..
    } = ground.start(Kind::Store).await.unwrap();
    // A killed pgassay stops nothing, and its claim goes with it.
    let pid = postmaster.pid.as_raw().unsigned_abs();
    std::mem::forget(postmaster);
    drop(claim);

    assert_eq!(running(&data_dir).unwrap().unwrap().pid, pid);
    let found = stop_leftover(&data_dir, Stop::Fast).await.unwrap();
    assert_eq!(found, Found::Stopped { pid });
    assert!(!is_alive(&data_dir));
    let log = fs::read_to_string(data_dir.join("server.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
}

#[tokio::test]
async fn a_start_takes_the_place_of_an_orphan() {
    let ground = Ground::open().await;
    let Server {
        postmaster,
        _claim: claim,
        ..
    } = ground.start(Kind::Sandbox).await.unwrap();
    let orphan = postmaster.pid;
    std::mem::forget(postmaster);
    drop(claim);

    let server = ground.start(Kind::Sandbox).await.unwrap();
    assert!(!process::serves(orphan, &server.data_dir).unwrap());
    assert!(ground.query(&server, SUPERUSER, "select 1").status.success());
    server.stop(Stop::Immediate).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_goes_by_itself() {
    let ground = Ground::open().await;
    let server = ground.start(Kind::Sandbox).await.unwrap();
    let exited = server.exited();
    drop(server);
    exited.await;
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_what_it_wrote() {
    let ground = Ground::open().await;
    let spec = ground.spec(Kind::Store);
    prepare(&ground.site, &spec).await.unwrap();
    fs::write(spec.data_dir.join("postgresql.conf"), "no_such_setting = on\n").unwrap();
    let refusal = Server::start(&ground.site, &spec).await.unwrap_err().to_string();
    assert!(refusal.contains("no_such_setting"), "{refusal}");
}

#[tokio::test]
async fn files_of_another_major_version_are_refused() {
    let ground = Ground::open().await;
    let spec = ground.spec(Kind::Store);
    fs::create_dir(&spec.data_dir).unwrap();
    fs::write(spec.data_dir.join("PG_VERSION"), "9.6\n").unwrap();
    let refusal = Server::start(&ground.site, &spec).await.unwrap_err();
    assert!(matches!(refusal, ClusterError::OtherVersion { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_data_root_closed_to_the_servers_user_is_named() {
    let ground = Ground::open().await;
    fs::set_permissions(ground.root.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let prepared = prepare(&ground.site, &ground.spec(Kind::Store)).await;
    if ground.site.account.is_some() {
        let refusal = prepared.unwrap_err();
        assert!(matches!(refusal, ClusterError::Closed { .. }), "{refusal:?}");
    } else {
        prepared.unwrap();
    }
}

#[tokio::test]
async fn a_long_log_is_put_aside_and_only_new_words_are_shown() {
    let ground = Ground::open().await;
    let dir = ground.root.path();
    let open = || Log::open(&ground.site, dir).unwrap();

    open().file.write_all(b"old words\n").unwrap();
    let mut log = open();
    log.file.write_all(b"new words\n").unwrap();
    assert_eq!(log.tail().unwrap(), "new words");

    log.file.set_len(LOG_CAP_BYTES + 1).unwrap();
    assert_eq!(open().start_bytes, 0);
    assert!(dir.join("server.log.1").exists());
}
