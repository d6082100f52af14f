//! A running `pgassay serve` on a fresh data directory, its store, and what it does when it is asked.

use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use crate::http;
use crate::http::Site;
use crate::machine::repository;
use crate::machine::tool;

/// Dropping it stops it in order.
pub struct Program {
    child: Child,
    data_dir: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
    pub site: Site,
}

impl Program {
    /// Where nobody signs in.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// With settings of its own; what the environment says to others is not for it.
    pub fn start_with(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        let binary = repository("target/release/pgassay");
        let mut command = Command::new(&binary);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PGASSAY_")) {
            command.env_remove(name);
        }
        let mut child = command
            .env_remove("DATABASE_URL")
            .env_remove("SANDBOX_URL")
            .env("PGASSAY_LOG", "info,pgassay=debug,sqlx=warn,sqlx::postgres::notice=off")
            .envs(settings.iter().copied())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}; make build makes it", binary.display()));
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("serves http://")?.1.trim().to_owned()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let reading = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                reading.lock().expect("nobody panics with the log").push(line);
            }
        });
        Self {
            child,
            data_dir: data_dir.to_owned(),
            log,
            site: Site {
                address: address.expect("pgassay serves"),
                cookie: None,
            },
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The newest line of the log that holds `text`.
    pub fn logged(&self, text: &str) -> Option<String> {
        let log = self.log.lock().expect("nobody panics with the log");
        log.iter().rev().find(|line| line.contains(text)).cloned()
    }

    /// The directory of the embedded store's socket.
    pub fn socket_dir(&self) -> String {
        let status = std::fs::read_to_string(self.data_dir.join("store/postmaster.pid")).expect("the store runs");
        status.lines().nth(4).expect("its socket").to_owned()
    }

    /// The first process of the embedded store.
    pub fn store_pid(&self) -> u32 {
        let status = std::fs::read_to_string(self.data_dir.join("store/postmaster.pid")).expect("the store runs");
        let pid = status.lines().next().and_then(|line| line.trim().parse().ok());
        pid.expect("its process")
    }

    /// A client of the embedded store.
    pub fn store_client(&self, name: &str) -> Command {
        let mut command = tool(name);
        command.args(["-U", "postgres", "-h", &self.socket_dir()]);
        command
    }

    /// Asks the store; the answer without its line end.
    pub fn store(&self, sql: &str) -> String {
        let output = self
            .store_client("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql])
            .output()
            .expect("psql runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {complaint}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn store_number(&self, sql: &str) -> f64 {
        let answer = self.store(sql);
        answer.parse().unwrap_or_else(|_| panic!("{sql} answers {answer}"))
    }

    /// In one session of the store: a psql for each look would take more time from what is measured than it may.
    pub fn wait_until_idle(&self) {
        self.store(
            "do $$ begin
                 while exists (select from public.jobs where status in ('queued', 'running')) loop
                     perform pg_catalog.pg_sleep(0.1);
                 end loop;
             end $$",
        );
        let failed = self.store("select string_agg(message, '; ') from jobs where status = 'failed'");
        assert!(failed.is_empty(), "{failed}");
    }

    /// Uploads a dump, waits for its restore, and returns the dataset's id.
    pub fn restore(&self, dump: &Path) -> String {
        let path = http::upload(&self.site, "/upload/dump", "dump", dump);
        self.wait_until_idle();
        last_segment(&path)
    }

    pub fn delete_dataset(&self, id: &str) {
        http::post(&self.site, &format!("/datasets/{id}/delete"), &[]);
    }

    /// Adds queries and returns the workload's id.
    pub fn workload(&self, file: &Path) -> String {
        last_segment(&http::upload(&self.site, "/upload/queries", "queries.sql", file))
    }

    /// Launches an experiment, waits for its end, and returns its id.
    pub fn experiment(&self, dataset: &str, workload: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("dataset", dataset), ("workload", workload), ("order", "randomized")];
        pairs.extend(more);
        let n = self.store("select count(*) from experiments");
        let request_id = format!("bench-{n}");
        pairs.push(("request_id", &request_id));
        let path = http::post(&self.site, "/experiment", &pairs);
        self.wait_until_idle();
        last_segment(&path)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        if told.is_ok_and(|status| status.success()) {
            // Whatever its end was, it has ended.
            let _ = self.child.wait();
        }
    }
}

fn last_segment(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
