//! What is hurt, and what must be true of it afterwards.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;

use crate::faults::http;
use crate::faults::http::Answer;
use crate::faults::http::Upload;
use crate::scratch;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

/// Long enough in every phase to be met there: an index whose function sleeps makes the restore and every ANALYZE take
/// more than a second.
pub const DUMP: &str = "
create function public.slowly(n integer) returns integer language plpgsql immutable as $$
begin perform pg_catalog.pg_sleep(0.03); return n; end $$;
create table public.item (id integer primary key, price integer);
insert into public.item select n, n % 10 from generate_series(1, 50) as n;
create index item_slowly on public.item (public.slowly(id));
create table public.big (id integer primary key, n integer);
insert into public.big select n, n % 7 from generate_series(1, 2000) as n;
";
/// The same without the sleeps.
pub const QUICK_DUMP: &str = "
create table public.item (id integer primary key, price integer);
insert into public.item select n, n % 10 from generate_series(1, 50) as n;
create table public.big (id integer primary key, n integer);
insert into public.big select n, n % 7 from generate_series(1, 2000) as n;
";
pub const N_ROWS: &str = "2050";
pub const QUERIES: &str = "-- name: slow\nselect pg_sleep(0.1), count(*) from item;\n-- name: joins\nselect count(*) from \
                           item a join big b on a.id = b.n;\n-- name: writes\ndelete from big where n = 3;\n";
const SOURCES: [&str; 3] = ["built_in", "none", "random_targets"];
const N_QUERIES: u32 = 3;

/// A `pgassay serve`.
pub struct Serve {
    pub child: Child,
    pub address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Serve {
    pub fn start(data_dir: &Path, environment: &[(String, String)]) -> Self {
        let mut command = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command
            .arg(data_dir)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        // Read to the end, so that the pipe never fills.
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                lines
                    .map_while(Result::ok)
                    .for_each(|line| log.lock().unwrap().push(line));
            }
        });
        let address = wait_for("pgassay to serve", || {
            let log = log.lock().unwrap();
            let (_, address) = log.iter().find_map(|line| line.split_once("serves http://"))?;
            // A line for programs goes on behind it.
            let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
            Some(address[..end.unwrap_or(address.len())].to_owned())
        });
        Self { child, address, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and insists that it stops in order.
    pub fn stop(mut self) {
        support::send(self.pid(), Signal::SIGTERM);
        let status = wait_for("pgassay to stop", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.address, self.log.lock().unwrap().join("\n"));
        }
        // Only where a test has failed is there anything left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory, the store it belongs to, and the process that serves it.
pub struct Ground {
    pub data_dir: PathBuf,
    environment: Vec<(String, String)>,
    store: PathBuf,
    serve: Option<Serve>,
    n_requests: u32,
    /// The limit of one trial, as the form takes it.
    pub timeout: &'static str,
}

impl Ground {
    pub fn open() -> Self {
        Self::open_with(&[], |_| {})
    }

    /// With settings of its own. `prepare` may do something to the data directory before pgassay sees it.
    pub fn open_with(environment: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        let data_dir = scratch::dir().join("data");
        fs::create_dir(&data_dir).unwrap();
        prepare(&data_dir);
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::at(data_dir.clone(), data_dir.join("store"), environment.collect())
    }

    /// Its store is a database of somebody else's server.
    pub fn on(cluster: &Cluster) -> Self {
        Self::on_url(cluster, &cluster.socket_url())
    }

    /// The same, reached by this URL.
    pub fn on_url(cluster: &Cluster, url: &str) -> Self {
        Self::with_environment(cluster, vec![("DATABASE_URL".to_owned(), url.to_owned())])
    }

    /// A data directory that somebody has made.
    pub fn of(data_dir: PathBuf) -> Self {
        let store = data_dir.join("store");
        Self::at(data_dir, store, Vec::new())
    }

    /// The same with a store of somebody else's.
    pub fn of_with(data_dir: PathBuf, cluster: &Cluster, database_url: &str) -> Self {
        let environment = vec![("DATABASE_URL".to_owned(), database_url.to_owned())];
        Self::at(data_dir, cluster.dir.join("data"), environment)
    }

    /// In whatever environment, with the store in a cluster that this names.
    pub fn with_environment(cluster: &Cluster, environment: Vec<(String, String)>) -> Self {
        let data_dir = scratch::dir().join("data");
        Self::at(data_dir, cluster.dir.join("data"), environment)
    }

    fn at(data_dir: PathBuf, store: PathBuf, environment: Vec<(String, String)>) -> Self {
        let serve = Serve::start(&data_dir, &environment);
        Self {
            data_dir,
            environment,
            store,
            serve: Some(serve),
            n_requests: 0,
            timeout: "60s",
        }
    }

    pub fn serve(&self) -> &Serve {
        self.serve.as_ref().unwrap()
    }

    pub fn address(&self) -> &str {
        &self.serve().address
    }

    /// Kills pgassay and starts it again.
    pub fn kill_and_start(&mut self) {
        self.serve.take().unwrap().kill();
        self.serve = Some(Serve::start(&self.data_dir, &self.environment));
    }

    /// Stops pgassay in order and starts it again.
    pub fn stop_and_start(&mut self) {
        self.serve.take().unwrap().stop();
        self.serve = Some(Serve::start(&self.data_dir, &self.environment));
    }

    pub fn ask(&self, sql: &str) -> Option<String> {
        support::ask_server(&self.store, sql)
    }

    /// What the store answers, which is there.
    pub fn answer(&self, sql: &str) -> String {
        wait_for("the store's answer", || self.ask(sql))
    }

    pub fn store_pid(&self) -> u32 {
        wait_for("the store", || support::postmaster(&self.store)).0
    }

    pub fn sandbox(&self, dataset: &str) -> PathBuf {
        self.data_dir.join("sandboxes").join(dataset)
    }

    pub fn ask_sandbox(&self, dataset: &str, sql: &str) -> Option<String> {
        support::ask_server(&self.sandbox(dataset), sql)
    }

    /// Waits until somebody sleeps in a function in the sandbox under this name.
    pub fn wait_for_sleeper(&self, dataset: &str, application: &str) {
        let sql = format!(
            "select count(*) from pg_stat_activity where application_name like '{application}' and wait_event = 'PgSleep'"
        );
        wait_for(application, || (self.ask_sandbox(dataset, &sql)? != "0").then_some(()));
    }

    pub fn page(&self, path: &str) -> String {
        let answer = wait_for(path, || {
            http::get(self.address(), path).filter(|answer| answer.status != 503)
        });
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub fn request_id(&mut self) -> String {
        self.n_requests += 1;
        // Two of them may share a store.
        format!("request-{}-of-{}", self.n_requests, self.serve().pid())
    }

    fn upload(&mut self, path: &str, name: &str, text: &str) -> String {
        let request_id = self.request_id();
        let upload = Upload::begin(self.address(), path, &request_id, name, text.as_bytes());
        id_of(&upload.finish().unwrap())
    }

    /// Uploads a dump and returns the number of its dataset.
    pub fn upload_dump(&mut self, text: &str) -> String {
        self.upload("/upload/dump", "dump.sql", text)
    }

    pub fn upload_queries(&mut self, text: &str) -> String {
        self.upload("/upload/queries", "queries.sql", text)
    }

    /// Queues an experiment under three sources and returns its number.
    pub fn launch(&mut self, dataset: &str, workload: &str, warm_up: u32, iterations: u32) -> String {
        let request_id = self.request_id();
        self.launch_through(self.address(), &request_id, dataset, workload, warm_up, iterations)
    }

    /// The same by the pages of any process that serves this data directory.
    pub fn launch_through(
        &self,
        address: &str,
        request_id: &str,
        dataset: &str,
        workload: &str,
        warm_up: u32,
        iterations: u32,
    ) -> String {
        let (warm_up, iterations) = (warm_up.to_string(), iterations.to_string());
        let mut wish = vec![
            ("request_id", request_id),
            ("dataset", dataset),
            ("workload", workload),
            ("warm_up", &warm_up),
            ("iterations", &iterations),
            ("timeout", self.timeout),
            ("seed", "3"),
            ("random_targets.seed", "7"),
        ];
        wish.extend(SOURCES.map(|source| ("stats_source", source)));
        id_of(&http::post(address, "/experiment", &wish).unwrap())
    }

    /// The status of the job that a dataset or an experiment has.
    pub fn status(&self, table: &str, id: &str) -> Option<String> {
        self.ask(&format!(
            "select j.status from jobs j join {table} x on x.job_id = j.id where x.id = {id}"
        ))
    }

    pub fn wait_for_end(&self, table: &str, id: &str) {
        self.wait_for_status(table, id, "completed");
    }

    pub fn wait_for_status(&self, table: &str, id: &str, wanted: &str) {
        wait_for(&format!("{table} {id} to be {wanted}"), || {
            let status = self.status(table, id)?;
            let is_settled = !matches!(status.as_str(), "queued" | "running");
            assert!(!is_settled || status == wanted, "{status}: {}", self.message(table, id));
            is_settled.then_some(())
        });
    }

    pub fn message(&self, table: &str, id: &str) -> String {
        self.answer(&format!(
            "select message from jobs j join {table} x on x.job_id = j.id where x.id = {id}"
        ))
    }

    /// Waits until so many trials of a kind are stored.
    pub fn wait_for_trials(&self, experiment: &str, kind: &str, n_trials: u32) {
        let sql = format!("select count(*) from trials where experiment_id = {experiment} and kind = '{kind}'");
        wait_for(&format!("{n_trials} {kind} trials"), || {
            let n_stored: u32 = self.ask(&sql)?.parse().ok()?;
            (n_stored >= n_trials).then_some(())
        });
    }

    /// How often a dataset or an experiment was interrupted, and by what.
    pub fn interruptions(&self, table: &str, id: &str) -> Vec<String> {
        let said = self.answer(&format!(
            "select i.stage || ': ' || i.reason from interruptions i join {table} x using (job_id) where x.id = {id} \
             order by i.id"
        ));
        said.lines().map(str::to_owned).collect()
    }

    /// Exactly the planned trials, each once, all of them good, summarised.
    pub fn assert_complete(&self, experiment: &str, warm_up: u32, iterations: u32) {
        let n_pairs = N_QUERIES * 3;
        let n_trials = (n_pairs * (warm_up + iterations)).to_string();
        let of = format!("where experiment_id = {experiment}");
        assert_eq!(
            self.answer(&format!("select n_trials from experiments where id = {experiment}")),
            n_trials
        );
        assert_eq!(self.answer(&format!("select count(*) from trials {of}")), n_trials);
        let distinct = "count(distinct (kind, round, source_idx, query_idx))";
        assert_eq!(self.answer(&format!("select {distinct} from trials {of}")), n_trials);
        let outcomes = "string_agg(distinct outcome || coalesce(' ' || message, ''), ';')";
        assert_eq!(self.answer(&format!("select {outcomes} from trials {of}")), "finished");
        assert_eq!(
            self.answer(&format!("select count(*) from summaries {of} and n = {iterations}")),
            n_pairs.to_string()
        );
        assert_eq!(
            self.answer("select count(*) from jobs where status in ('queued', 'running')"),
            "0"
        );
    }

    /// A dataset that nothing works on: no process, and in its sandbox what belongs there and nothing else.
    pub fn assert_at_rest(&self, dataset: &str) {
        let sandbox = self.sandbox(dataset);
        wait_for("the sandbox to end", || {
            let processes = support::processes_of(&sandbox);
            processes.is_empty().then_some(())
        });
        let template = format!("t_{dataset}");
        assert_eq!(
            at_rest(&sandbox, "select datname from pg_database order by 1"),
            ["postgres", &template, "template0", "template1"]
        );
        let role = format!("w_{dataset}");
        assert_eq!(
            at_rest(
                &sandbox,
                "select rolname from pg_roles where rolname !~ '^pg_' order by 1"
            ),
            ["postgres", &role, "ws"]
        );
    }

    /// What was given up is gone with its server.
    pub fn assert_no_sandbox(&self, dataset: &str) {
        let sandbox = self.sandbox(dataset);
        wait_for("the sandbox to be gone", || (!sandbox.exists()).then_some(()));
        assert_eq!(support::processes_of(&sandbox), Vec::<String>::new());
    }

    /// The files of uploads and sandboxes are those of these datasets.
    pub fn assert_files(&self, datasets: &[&str]) {
        for dir in ["uploads/incoming", "uploads/parts"] {
            assert_eq!(names(&self.data_dir.join(dir)), Vec::<String>::new(), "{dir}");
        }
        assert_eq!(names(&self.data_dir.join("sandboxes")), datasets);
        let uploads = names(&self.data_dir.join("uploads"));
        assert_eq!(uploads, [datasets, &["incoming", "parts"]].concat());
    }

    /// Stops in order, and looks for what is left.
    pub fn close(mut self) {
        self.serve.take().unwrap().stop();
        assert_eq!(support::processes_of(&self.data_dir), Vec::<String>::new());
    }
}

/// Tells threads that it is over, also where a test ends by failing.
pub struct EndsWith<'a>(pub &'a AtomicBool);

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The number at the end of where an answer leads.
pub fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.location().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The names in a directory, in order.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Asks the files of a server that does not run.
fn at_rest(server: &Path, sql: &str) -> Vec<String> {
    let mut postgres = support::as_account(support::tool("postgres"), Path::new("/"));
    postgres.args(["--single", "-D"]).arg(server).arg("postgres");
    let mut child = postgres.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{sql}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let values = said
        .lines()
        .filter_map(|line| line.split_once(" = \"")?.1.split_once('"'));
    values.map(|(value, _)| value.to_owned()).collect()
}

/// A session of another hand in a database of a server.
pub fn session(server: &Path, database: &str, sql: &str) -> Child {
    let (_, socket_dir) = support::postmaster(server).unwrap();
    let mut psql: Command = support::tool("psql");
    psql.args(["-XAtq", "-U", "postgres", "-d", database, "-c", sql, "-h"]);
    psql.arg(socket_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    psql.spawn().unwrap()
}
