//! A PostgreSQL server with the settings of a sandbox, for the programs that pgassay is measured beside.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::machine::postgres_account;
use crate::machine::tool;

/// As `cluster::settings` and `cluster::limits` give them to sandboxes; fsync stays on in both.
const SETTINGS: &str = "listen_addresses = ''\nautovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\n\
                        max_wal_size = 4GB\nmax_prepared_transactions = 0\nmax_connections = 100\n\
                        client_connection_check_interval = 1s\nmax_worker_processes = 8\n";

/// Dropping it stops it at once.
pub struct Peer {
    dir: PathBuf,
    postmaster: Child,
}

impl Peer {
    pub fn start(dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("making a directory");
        let account = postgres_account();
        if let Some((user, group)) = account {
            chown(dir, Some(user), Some(group)).expect("giving it away");
        }
        let as_account = |mut command: Command| {
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command
                .current_dir(dir)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let data_dir = dir.join("data");
        let made = as_account(tool("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data_dir)
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb failed");
        let configuration = format!(
            "{SETTINGS}shared_buffers = {}MB\nunix_socket_directories = '{}'\n",
            shared_buffers_mb(),
            dir.display()
        );
        let file = data_dir.join("postgresql.auto.conf");
        fs::write(&file, configuration).expect("writing settings");
        let postmaster = as_account(tool("postgres"))
            .arg("-D")
            .arg(&data_dir)
            .spawn()
            .expect("postgres starts");
        let peer = Self {
            dir: dir.to_owned(),
            postmaster,
        };
        while !peer
            .client("psql")
            .args(["-Xqc", "select 1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
        {
            thread::sleep(Duration::from_millis(50));
        }
        peer
    }

    /// A client program that knows where the server is.
    pub fn client(&self, name: &str) -> Command {
        let mut command = tool(name);
        command.args(["-U", "postgres", "-h"]).arg(&self.dir);
        command
    }

    /// The superuser's URL of a database.
    pub fn url(&self, database: &str) -> String {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@{dir}/{database}")
    }

    pub fn sql(&self, database: &str, sql: &[&str]) {
        let mut psql = self.client("psql");
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", database]);
        for statement in sql {
            psql.args(["-c", statement]);
        }
        assert!(
            psql.stderr(Stdio::null()).status().is_ok_and(|status| status.success()),
            "{sql:?}"
        );
    }

    /// An empty database in place of the one before, and a server with nothing left to write.
    pub fn empty_database(&self, name: &str) {
        self.sql(
            "postgres",
            &[
                &format!("drop database if exists {name}"),
                &format!("create database {name} template template0"),
                "checkpoint",
            ],
        );
    }

    /// A database with pgbench's tables, to be copied. From now on there is autovacuum, as in the sandbox of a benchmark.
    pub fn accounts(&self, name: &str, scale: &str) {
        self.sql(
            "postgres",
            &["alter system set autovacuum = on", "select pg_reload_conf()"],
        );
        self.empty_database(name);
        let made = self
            .client("pgbench")
            .args(["-i", "-q", "-s", scale, name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "pgbench -i failed");
    }

    /// A copy of a database in place of the one before, as every level of a benchmark begins with one: by files, so that its
    /// pages are not in the server's memory yet.
    pub fn fresh_copy(&self, of: &str, name: &str) {
        self.sql(
            "postgres",
            &[
                &format!("drop database if exists {name}"),
                &format!("create database {name} template {of} strategy file_copy"),
                "checkpoint",
            ],
        );
    }

    /// pgbench with prepared statements for so many seconds; whatever else it is to do is in `load`.
    pub fn load(&self, database: &str, seconds: &str, load: &[&str]) -> Command {
        let mut pgbench = self.client("pgbench");
        pgbench
            .args(["-n", "-M", "prepared", "-T", seconds])
            .args(load)
            .arg(database);
        pgbench
    }

    /// A second of load that is not measured.
    pub fn warm_up(&self, database: &str, load: &[&str]) {
        let mut pgbench = self.load(database, "1", load);
        let ran = pgbench.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(ran.is_ok_and(|status| status.success()), "pgbench failed");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let told = Command::new("kill")
            .args(["-QUIT", &self.postmaster.id().to_string()])
            .status();
        if told.is_ok_and(|status| status.success()) {
            // Whatever its end was, it has ended.
            let _ = self.postmaster.wait();
        }
    }
}

/// An eighth of memory between 128 MB and 1 GB.
fn shared_buffers_mb() -> u64 {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb = memory
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    (kb.unwrap_or(0) / 1024 / 8).clamp(128, 1024)
}

/// How long a program takes, in seconds; it has to succeed.
pub fn seconds(command: &mut Command) -> f64 {
    let started = Instant::now();
    let output = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("the program runs");
    let took = started.elapsed().as_secs_f64();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}
