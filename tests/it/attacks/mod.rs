//! Attacks through the doors of the product: what a hostile dump or query tries, and what becomes of it.
//!
//! An attacker here has one upload of a dump and as many of queries as he likes. What he must not get: anything outside
//! his dataset's databases, a superuser to run his code, or another trial's numbers.

mod accounts;
mod destinations;
mod limits;
mod matrix;
mod origins;
mod planted;
mod secrets;
mod sessions;
mod shown;
mod web;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use nix::unistd::Uid;
use nix::unistd::User;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::pages::Plain;
use crate::scratch;
use crate::server::Server;
use crate::support::Cluster;
use crate::support::ask_store;

/// What cannot be stopped is given half a minute each time before its server is.
const PATIENCE: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Text that must never be seen outside the file that holds it.
const SECRET: &str = "CANARY-7d1f0c";

/// A served data directory, and what must not be touched beside it.
pub struct Ground {
    pub dir: PathBuf,
    /// The one server of all datasets, where there is one.
    pub shared: Option<Cluster>,
    pub plain: Plain,
    server: Server,
    n_requests: std::cell::Cell<u32>,
}

/// What became of an uploaded dump.
#[derive(Debug, Deserialize)]
pub struct Restore {
    pub id: i64,
    pub status: String,
    pub message: Option<String>,
    pub notes: Vec<Note>,
}

/// A line of a restore log.
#[derive(Debug, Deserialize)]
pub struct Note {
    pub line: i64,
    pub reason: String,
}

/// A query as it was read from its file.
#[derive(Debug, Deserialize)]
pub struct Query {
    pub label: String,
    pub refusal: Option<String>,
}

/// A stored trial.
#[derive(Debug, Deserialize)]
pub struct Trial {
    pub query: String,
    pub outcome: String,
    pub sqlstate: Option<String>,
    pub message: Option<String>,
}

impl Ground {
    /// Every dataset gets a server of its own.
    pub fn embedded() -> Self {
        Self::embedded_with(&[])
    }

    /// The same with more options.
    pub fn embedded_with(options: &[&str]) -> Self {
        Self::open(None, options)
    }

    /// All datasets share a server that trusts more than it should: others can prepare transactions and replicate, and
    /// it writes down what it is told, as JSON.
    pub fn shared() -> Self {
        Self::shared_with(&[])
    }

    /// The same with more options.
    pub fn shared_with(options: &[&str]) -> Self {
        let cluster = Cluster::with_passwords_and(&[
            "max_prepared_transactions = 10",
            "wal_level = logical",
            "logging_collector = on",
            "log_destination = jsonlog",
            "log_directory = log",
            "log_filename = server",
            "log_statement = all",
        ]);
        Self::open(Some(cluster), options)
    }

    fn open(shared: Option<Cluster>, more_options: &[&str]) -> Self {
        let dir = scratch::dir();
        let (secret, out) = (dir.join("secret"), dir.join("out"));
        fs::write(&secret, SECRET).unwrap();
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
        if Uid::effective().is_root() {
            let account = User::from_name("postgres").unwrap().unwrap();
            chown(&secret, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
        let url = shared.as_ref().map(Cluster::url);
        let mut options = url.as_ref().map_or(Vec::new(), |url| vec!["--sandbox-url", url]);
        options.extend(more_options);
        let server = Server::start_with(&dir.join("data"), &options);
        Self {
            shared,
            plain: Plain::of(&server),
            server,
            dir,
            n_requests: std::cell::Cell::new(0),
        }
    }

    /// With the places of this ground for `{secret}` and `{out}`.
    pub fn aimed(&self, text: &str) -> String {
        let place = |name: &str| self.dir.join(name).to_str().unwrap().to_owned();
        text.replace("{secret}", &place("secret"))
            .replace("{out}", &place("out"))
    }

    fn request_id(&self) -> String {
        self.n_requests.set(self.n_requests.get() + 1);
        format!("request {}", self.n_requests.get())
    }

    fn ask<T: DeserializeOwned>(&self, sql: &str) -> T {
        let sql = format!("select coalesce(json_agg(found), '[]') from ({sql}) found");
        let answer = ask_store(&self.dir.join("data"), &sql).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// The rows of a query of the store, each as its columns.
    pub fn rows<T: DeserializeOwned>(&self, sql: &str) -> Vec<T> {
        self.ask(sql)
    }

    /// Uploads a dump and waits until it is restored, well or not.
    pub async fn restore(&self, dump: impl Into<Vec<u8>>) -> Restore {
        let (status, place) = self
            .plain
            .upload("/upload/dump", &self.request_id(), "dump.sql", dump.into())
            .await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{place}");
        let id: i64 = place.trim_start_matches("/datasets/").parse().unwrap();
        self.settled(&format!("select job_id from datasets where id = {id}"))
            .await;
        let mut found = self.rows(&format!(
            "select d.id, j.status, j.message,
                    (select coalesce(json_agg(n order by n.position), '[]') from restore_notes n
                     where n.dataset_id = d.id) as notes
             from datasets d join jobs j on j.id = d.job_id where d.id = {id}"
        ));
        found.pop().unwrap()
    }

    /// A dataset of a dump that must be all right.
    pub async fn restored(&self, dump: impl Into<Vec<u8>>) -> i64 {
        let restore = self.restore(dump).await;
        assert_eq!(restore.status, "completed", "{restore:?}");
        restore.id
    }

    /// Uploads queries and returns the workload with what was read.
    pub async fn queries(&self, script: &str) -> (i64, Vec<Query>) {
        let (status, place) = self
            .plain
            .upload("/upload/queries", &self.request_id(), "queries.sql", script.into())
            .await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{place}");
        let id = place.trim_start_matches("/workloads/").parse().unwrap();
        let queries = self.rows(&format!(
            "select label, refusal from workload_queries where workload_id = {id} order by position"
        ));
        (id, queries)
    }

    /// Runs an experiment to its end and returns its id. `fields` are what differs from one round under one source.
    pub async fn experiment(&self, dataset: i64, workload: i64, fields: &[(&str, &str)]) -> i64 {
        let (request_id, dataset, workload) = (self.request_id(), dataset.to_string(), workload.to_string());
        let mut form = vec![
            ("request_id", request_id.as_str()),
            ("dataset", &dataset),
            ("workload", &workload),
            ("warm_up", "0"),
            ("seed", "1"),
        ];
        let has = |name: &str| fields.iter().any(|(field, _)| *field == name);
        for usual in [("stats_source", "none"), ("iterations", "1")] {
            if !has(usual.0) {
                form.push(usual);
            }
        }
        form.extend(fields);
        let (status, place) = self.plain.post("/experiment", &form).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{place}");
        let id = place.trim_start_matches("/results/").parse().unwrap();
        self.settled(&format!("select job_id from experiments where id = {id}"))
            .await;
        id
    }

    /// The trials of an experiment that went well as a whole, in the order of time.
    pub async fn trials(&self, dataset: i64, script: &str, fields: &[(&str, &str)]) -> Vec<Trial> {
        let (workload, _) = self.queries(script).await;
        let id = self.experiment(dataset, workload, fields).await;
        let ended: Vec<String> = self
            .rows(&format!(
                "select j.status || coalesce(': ' || j.message, '') as value
             from experiments e join jobs j on j.id = e.job_id where e.id = {id}"
            ))
            .into_iter()
            .map(|found: serde_json::Value| found["value"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ended, ["completed"]);
        self.rows(&format!(
            "select q.label as query, t.outcome, t.sqlstate, t.message
             from trials t join experiment_queries q using (experiment_id, query_idx)
             where t.experiment_id = {id} order by t.trial_idx"
        ))
    }

    /// Waits for the end of the job that the query `which` names.
    async fn settled(&self, which: &str) {
        let data_dir = self.dir.join("data");
        let sql = format!("select status in ('completed', 'failed', 'cancelled') from jobs where id = ({which})");
        let started = Instant::now();
        while ask_store(&data_dir, &sql).as_deref() != Some("t") {
            assert!(started.elapsed() < PATIENCE, "waited in vain for the end of a job");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Nothing has got out, and the server stops in order.
    pub fn assert_untouched(self) {
        let files: Vec<_> = fs::read_dir(self.dir.join("out")).unwrap().flatten().collect();
        assert!(files.is_empty(), "{files:?}");
        for table in [
            "restore_notes",
            "trials",
            "plans",
            "jobs",
            "workload_check_results",
            "summaries",
        ] {
            let sql = format!("select count(*) from {table} t where t::text like '%{SECRET}%'");
            let seen = ask_store(&self.dir.join("data"), &sql);
            assert_eq!(seen.as_deref(), Some("0"), "the secret is in {table}");
        }
        assert_eq!(self.server.stop(), Some(0));
    }
}
