//! All datasets on one server that somebody else runs (`SANDBOX_URL`): the main job, what becomes of it when things go
//! wrong, and what is left afterwards.

mod refusals;
mod without_programs;

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;

use nix::sys::signal::Signal;
use reqwest::StatusCode;

use crate::pages::Plain;
use crate::scratch;
use crate::server::Server;
use crate::support;
use crate::support::Cluster;
use crate::support::SOURCES;
use crate::support::ask_store;
use crate::support::wait_for;

/// The last one lists databases of others that its role may connect to.
const QUERIES: &str = "-- name: slow\nselect pg_sleep(0.05);\n-- name: joins\nselect count(*) from orders join customer \
                       using (customer_id);\n-- name: writes\ndelete from payment where amount < 10;\n-- name: reach\n\
                       select datname from pg_database where datallowconn and has_database_privilege(oid, 'connect') \
                       and not starts_with(datname, current_user);\n";
/// Beside the usual ones, so that there are more databases to reach.
const FOURTH_SOURCE: [&str; 2] = ["--source", "uniform_target:target=5"];
/// Four queries under four sources, three rounds and one to warm up.
const N_TRIALS: &str = "64";

/// A shared server, and a data directory that uses it.
struct Ground {
    cluster: Cluster,
    dir: PathBuf,
    data_dir: PathBuf,
}

impl Ground {
    fn new() -> Self {
        Self::on(Cluster::with_passwords())
    }

    fn on(cluster: Cluster) -> Self {
        let dir = scratch::dir();
        fs::write(dir.join("queries.sql"), QUERIES).unwrap();
        Self {
            cluster,
            data_dir: dir.join("data"),
            dir,
        }
    }

    fn serve(&self) -> Server {
        Server::start_with(&self.data_dir, &["--sandbox-url", &self.cluster.url()])
    }

    /// What is said of a server and a machine that will do.
    fn doctor(&self) -> String {
        let mut doctor = support::pgassay(&["doctor", "--data-dir"]);
        doctor.arg(&self.data_dir).args(["--sandbox-url", &self.cluster.url()]);
        let output = doctor.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut bad = said.lines().filter(|line| line.starts_with("BAD"));
        assert!(bad.all(|line| line.contains("known security holes")), "{said}");
        said
    }

    /// A run of which some trials are stored and many are not.
    fn run_to_the_middle(&self) -> Running {
        let queries = self.dir.join("queries.sql");
        let mut run = support::run(
            &self.data_dir,
            &support::sample("dump.sql"),
            &queries,
            &[&SOURCES[..], &FOURTH_SOURCE].concat(),
        );
        run.args(["--iterations", "3", "--seed", "3", "--sandbox-url", &self.cluster.url()]);
        let run = Running(run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_for("some trials", || {
            let failures =
                self.ask("select string_agg(kind || ': ' || message, '; ') from jobs where status = 'failed'");
            assert!(failures.as_deref().is_none_or(str::is_empty), "{failures:?}");
            let n_trials: u32 = self.ask("select count(*) from trials")?.parse().ok()?;
            (n_trials >= 10).then_some(())
        });
        run
    }

    /// Asks the store.
    fn ask(&self, sql: &str) -> Option<String> {
        ask_store(&self.data_dir, sql)
    }

    /// Exactly the planned trials of the first experiment, each once, all of them good, in two segments.
    fn assert_complete(&self) {
        let answers = |sql: &str| self.ask(sql).unwrap();
        let trials = "from trials where experiment_id = 1";
        assert_eq!(answers(&format!("select count(*) {trials}")), N_TRIALS);
        assert_eq!(
            answers(&format!(
                "select count(distinct (kind, round, source_idx, query_idx)) {trials}"
            )),
            N_TRIALS
        );
        let outcomes = "string_agg(distinct outcome || ' ' || coalesce(message, ''), ';')";
        assert_eq!(answers(&format!("select {outcomes} {trials}")).trim(), "finished");
        assert_eq!(
            answers(
                "select string_agg(left(reason, 7), ' ' order by segment_no) from segments where experiment_id = 1"
            ),
            "start resumed"
        );
    }

    /// The databases and roles on the server that did not come with it.
    fn left_on_server(&self) -> Vec<String> {
        self.cluster.ask(
            "select datname from pg_database where datname not in ('postgres', 'template0', 'template1')
             union all select rolname from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres' order by 1",
        )
    }

    fn wait_for_status(&self, kind: &str, n_jobs: usize, expected: &str) {
        wait_for("the end of a job", || {
            let statuses = self.ask(&format!(
                "select string_agg(status::text, ' ' order by id) from jobs where kind = '{kind}'"
            ))?;
            let statuses: Vec<&str> = statuses.split(' ').collect();
            let last = *statuses.get(n_jobs - 1)?;
            let is_settled = !["queued", "running"].contains(&last);
            assert!(!is_settled || last == expected, "{kind}: {statuses:?}");
            is_settled.then_some(())
        });
    }
}

/// A run that is killed where a test fails before its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn launch(plain: &Plain, request_id: &str, dataset: &str, workload: &str, timeout: &str) {
    let wish = [
        ("request_id", request_id),
        ("dataset", dataset),
        ("workload", workload),
        ("stats_source", "built_in"),
        ("stats_source", "none"),
        ("iterations", "2"),
        ("warm_up", "0"),
        ("timeout", timeout),
    ];
    let (status, said) = plain.post("/experiment", &wish).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{said}");
}

/// A custom archive of the sample, made on the cluster and gone from it afterwards.
fn custom_archive(ground: &Ground) -> Vec<u8> {
    let path = ground.dir.join("dump.custom");
    ground.cluster.ask("create database shop");
    let mut psql = ground.cluster.client("psql");
    psql.args(["-d", "shop", "-Xq", "-v", "ON_ERROR_STOP=1", "-f"]);
    assert!(psql.arg(support::sample("dump.sql")).output().unwrap().status.success());
    let mut pg_dump = ground.cluster.client("pg_dump");
    pg_dump.args(["-d", "shop", "--format=custom", "--file"]);
    assert!(pg_dump.arg(&path).status().unwrap().success());
    ground.cluster.ask("drop database shop");
    fs::read(path).unwrap()
}

/// What psql says to a role that would look into a database.
fn look_in(ground: &Ground, role: &str, database: &str) -> String {
    let url = ground.cluster.url_of(role, "secret", database);
    let output = support::tool("psql")
        .args(["-XAtqc", "select 'in'", &url])
        .output()
        .unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        support::stderr(&output)
    )
}

#[tokio::test]
async fn the_main_job_is_done_on_a_shared_server_and_nothing_is_left_of_it() {
    let ground = Ground::new();
    for eager in ["autovacuum_naptime = '1s'", "autovacuum_analyze_threshold = 5"] {
        ground.cluster.ask(&format!("alter system set {eager}"));
    }
    ground.cluster.reload();
    let archive = custom_archive(&ground);

    // A run that is killed, and what it has never come to clean up.
    let mut run = ground.run_to_the_middle();
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    let role = ground
        .cluster
        .ask("select rolname from pg_roles where starts_with(rolname, 'w_')")
        .concat();
    let (prefix, orphan, foreign) = (&role[..10], format!("{}aaaaaaaa", &role[..10]), "w_zzzzzzzzzzzzzzzz");
    for name in [orphan.as_str(), foreign] {
        ground.cluster.ask(&format!("create role {name}"));
        ground.cluster.ask(&format!("create database {name}_t_9"));
        ground
            .cluster
            .ask(&format!("grant connect on database {name}_t_9 to {name}"));
    }
    let server = ground.serve();
    ground.wait_for_status("experiment", 1, "completed");
    ground.assert_complete();
    assert_eq!(
        ground.left_on_server(),
        [
            role.clone(),
            format!("{role}_t_1"),
            foreign.to_owned(),
            format!("{foreign}_t_9")
        ],
        "orphans of this data directory are swept, clones are dropped, and what is another's stays"
    );
    let said = ground.doctor();
    for words in [
        "with 1 dataset\n",
        "The server also holds 1 database of another pgassay",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    ground.cluster.ask(&format!("drop database {foreign}_t_9"));
    ground.cluster.ask(&format!("drop role {foreign}"));

    // A second dataset beside the first, through the pages.
    let plain = Plain::of(&server);
    let (_, dataset) = plain.upload("/upload/dump", "r1", "dump.custom", archive).await;
    assert_eq!(dataset, "/datasets/2");
    ground.wait_for_status("restore", 2, "completed");
    for dataset in ["1", "2"] {
        plain.post("/workloads/1/check", &[("dataset", dataset)]).await;
    }
    ground.wait_for_status("check", 2, "completed");
    launch(&plain, "r2", "2", "1", "30s").await;
    ground.wait_for_status("experiment", 2, "completed");
    for page in ["/datasets/2", "/results/2"] {
        assert!(
            plain
                .page(page)
                .await
                .contains("All datasets share one PostgreSQL server"),
            "{page}"
        );
    }
    let analyzed = "select distinct (p.analyzed::json->0->'Plan'->>'Actual Rows')::numeric::integer from plans p
                    join experiment_queries q using (experiment_id, query_idx) where q.label = 'reach' and experiment_id = 2";
    assert_eq!(
        ground.ask(analyzed).unwrap(),
        "0",
        "no query sees a database of others that it could enter"
    );

    neither_dataset_reaches_the_other(&ground, prefix);
    no_dataset_uses_up_the_connections(&ground, &role);
    autovacuum_analyzes_no_dataset(&ground);

    for dataset in ["1", "2"] {
        let (_, leads_to) = plain.post(&format!("/datasets/{dataset}/delete"), &[]).await;
        assert_eq!(leads_to, "/datasets");
    }
    assert_eq!(ground.left_on_server(), Vec::<String>::new());
    assert_eq!(server.stop(), Some(0));
}

/// Even with a password that it knows, each role gets into its own databases only.
fn neither_dataset_reaches_the_other(ground: &Ground, prefix: &str) {
    let roles = ground.cluster.ask(&format!(
        "select rolname from pg_roles where starts_with(rolname, '{prefix}')"
    ));
    let desks = ground
        .cluster
        .ask("select datname from pg_database where datname ~ '_d_[12]$'");
    assert_eq!((roles.len(), desks.len()), (2, 2), "{roles:?} {desks:?}");
    for role in &roles {
        ground.cluster.ask(&format!("alter role {role} password 'secret'"));
        for database in desks.iter().map(String::as_str).chain(["postgres", "template1"]) {
            let said = look_in(ground, role, database);
            if database.starts_with(role) {
                assert_eq!(said, "in\n");
            } else {
                assert!(
                    said.contains("permission denied for database"),
                    "{role} {database}: {said}"
                );
            }
        }
    }
    let rights = ground.cluster.ask(
        "select datname from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
         where grantee = 0 and datname <> 'template0'",
    );
    assert_eq!(rights, Vec::<String>::new(), "nothing is open to everybody");
}

/// With the password that it was given just before, a role gets forty sessions of the server's hundred.
fn no_dataset_uses_up_the_connections(ground: &Ground, role: &str) {
    let database = format!("{role}_d_1");
    let url = ground.cluster.url_of(role, "secret", &database);
    let mut sessions: Vec<Running> = (0..40)
        .map(|_| {
            let mut psql = support::tool("psql");
            psql.args(["-Xqc", "select pg_sleep(600)", &url]);
            Running(psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        })
        .collect();
    let n_sessions = format!("select count(*) from pg_stat_activity where usename = '{role}' and state = 'active'");
    wait_for("forty sessions", || {
        (ground.cluster.ask(&n_sessions) == ["40"]).then_some(())
    });
    let said = look_in(ground, role, &database);
    assert!(said.contains("too many connections for role"), "{said}");
    sessions.clear();
    wait_for("their end", || (ground.cluster.ask(&n_sessions) == ["0"]).then_some(()));
}

/// However eager it is: statistics that come by themselves would be measured in place of a source's.
fn autovacuum_analyzes_no_dataset(ground: &Ground) {
    ground.cluster.ask("create table control (a integer)");
    for n_analyzed in 1..=2 {
        ground
            .cluster
            .ask("insert into control select generate_series(1, 1000)");
        wait_for("autovacuum", || {
            let looks = "select autoanalyze_count from pg_stat_user_tables where relname = 'control'";
            (ground.cluster.ask(looks).concat().parse::<i32>().unwrap() >= n_analyzed).then_some(())
        });
    }
    ground.cluster.ask("drop table control");
    let databases = ground
        .cluster
        .ask("select datname from pg_database where datname ~ '^w_.*_[td]_[12]$'");
    assert_eq!(databases.len(), 4, "{databases:?}");
    for database in databases {
        ground
            .cluster
            .ask(&format!("alter database {database} allow_connections true"));
        let of_tables = "select count(*) from pg_statistic where starelid >= 16384";
        assert_eq!(ground.cluster.ask_in(&database, of_tables), ["0"], "{database}");
    }
}

#[test]
fn a_shared_server_that_crashes_costs_no_trial() {
    let mut ground = Ground::new();
    let mut run = ground.run_to_the_middle();
    let server_id = ground
        .cluster
        .ask("select 'postgresql ' || system_identifier from pg_control_system()");
    let host = ground.ask("select host from jobs where status = 'running'");
    assert_eq!(
        host.as_ref(),
        server_id.first(),
        "one job at a time, on whatever machine"
    );
    ground.cluster.crash_and_recover();
    let status = wait_for("the run to end", || run.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let server = ground.serve();
    ground.assert_complete();
    assert_eq!(ground.left_on_server().len(), 2, "a role and its template");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_dataset_that_is_elsewhere_is_missed_in_words_and_swept_when_it_was_deleted_meanwhile() {
    let ground = Ground::new();
    let dump = b"create table t (a integer);".to_vec();
    let message = "select message from jobs where kind = 'experiment' order by id desc limit 1";

    let shared = ground.serve();
    let plain = Plain::of(&shared);
    plain.upload("/upload/dump", "r1", "dump.sql", dump.clone()).await;
    plain
        .upload(
            "/upload/queries",
            "r2",
            "queries.sql",
            b"select count(*) from t".to_vec(),
        )
        .await;
    ground.wait_for_status("restore", 1, "completed");
    assert_eq!(shared.stop(), Some(0));

    let own = Server::start(&ground.data_dir);
    let plain = Plain::of(&own);
    launch(&plain, "r3", "1", "1", "1s").await;
    ground.wait_for_status("experiment", 1, "failed");
    assert!(ground.ask(message).unwrap().contains("not on this machine any more"));
    plain.post("/datasets/1/delete", &[]).await;
    plain.upload("/upload/dump", "r4", "dump.sql", dump).await;
    ground.wait_for_status("restore", 2, "completed");
    assert!(!plain.page("/datasets/2").await.contains("share one PostgreSQL server"));
    assert_eq!(own.stop(), Some(0));

    let shared = ground.serve();
    assert_eq!(ground.left_on_server(), Vec::<String>::new());
    launch(&Plain::of(&shared), "r5", "2", "1", "1s").await;
    ground.wait_for_status("experiment", 2, "failed");
    assert!(
        ground
            .ask(message)
            .unwrap()
            .contains("is not on the server of SANDBOX_URL")
    );
    assert_eq!(shared.stop(), Some(0));
}

#[tokio::test]
async fn a_statement_that_nothing_ends_sets_its_dataset_aside_until_it_has_ended() {
    let ground = Ground::new();
    let server = ground.serve();
    let plain = Plain::of(&server);
    let dump = b"create table t (a integer); insert into t values (1);".to_vec();
    plain.upload("/upload/dump", "r1", "dump.sql", dump).await;
    // Quick when it is explained, slow when it is run: the last of its trials is the one that is stopped.
    let queries = b"select count(*) from t, pg_sleep(20) where a = 1".to_vec();
    plain.upload("/upload/queries", "r2", "queries.sql", queries).await;
    ground.wait_for_status("restore", 1, "completed");
    launch(&plain, "r3", "1", "1", "1s").await;
    let pid: u32 = wait_for("the statement", || {
        let running = "select pid from pg_stat_activity where state = 'active' and starts_with(usename, 'w_')
                       and query ~ 'ANALYZE.*pg_sleep'";
        ground.cluster.ask(running).first()?.parse().ok()
    });
    // A process that is stopped obeys no signal of its server.
    support::send(pid, Signal::SIGSTOP);
    ground.wait_for_status("experiment", 1, "failed");
    let message = "select message from jobs where kind = 'experiment' order by id desc limit 1";
    assert!(
        ground
            .ask(message)
            .unwrap()
            .contains("obeys neither cancel nor terminate")
    );
    assert!(plain.page("/results/1").await.contains("The dataset is set aside"));

    launch(&plain, "r4", "1", "1", "1s").await;
    ground.wait_for_status("experiment", 2, "failed");
    assert!(ground.ask(message).unwrap().contains("The dataset is set aside"));

    support::send(pid, Signal::SIGCONT);
    launch(&plain, "r5", "1", "1", "1s").await;
    ground.wait_for_status("experiment", 3, "completed");
    plain.post("/datasets/1/delete", &[]).await;
    assert_eq!(ground.left_on_server(), Vec::<String>::new());
    assert_eq!(server.stop(), Some(0));
}
