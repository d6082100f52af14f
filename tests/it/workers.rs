//! Several processes on one store: they share the load of a level, are lost in the middle of it, and never do one thing twice.

use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::pages::Plain;
use crate::scratch;
use crate::server::Server;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

/// What is under load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    /// A server that was registered.
    Registered,
    /// That of `SANDBOX_URL`.
    Shared,
}

/// A store, a server under load, and processes with data directories of their own.
struct Ground {
    store: Cluster,
    cluster: Cluster,
    dir: PathBuf,
    under: Under,
}

/// A `pgassay worker`; killed where a test fails before its end.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker {
    /// As it is known to the others.
    fn name(&self) -> String {
        let machine = nix::unistd::gethostname().unwrap().into_string().unwrap();
        format!("{machine}:{}", self.0.id())
    }
}

impl Ground {
    fn new(under: Under) -> Self {
        Self {
            store: Cluster::start(),
            cluster: Cluster::with_passwords(),
            dir: scratch::dir(),
            under,
        }
    }

    fn command(&self, args: &[&str], name: &str) -> Command {
        let mut command = support::pgassay(args);
        command.arg("--data-dir").arg(self.dir.join(name));
        command.args(["--database-url", &self.store.socket_url()]);
        if self.under == Under::Shared {
            command.args(["--sandbox-url", &self.cluster.url()]);
        }
        command.arg("--key-file").arg(self.dir.join("key"));
        command
    }

    fn serve(&self, name: &str) -> Server {
        Server::run(self.command(&["serve", "--listen", "127.0.0.1:0"], name))
    }

    fn worker(&self, name: &str) -> Worker {
        let mut worker = self.command(&["worker"], name);
        Worker(worker.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// From now on what is launched is done by the processes of this data directory, although any could.
    fn keep_jobs_at(&self, name: &str) {
        let home = std::fs::read_to_string(self.dir.join(name).join("home-id")).unwrap();
        self.ask(&format!(
            "create function keep() returns trigger language plpgsql
             as 'begin new.home := ''{}''; return new; end';
             create trigger keep before insert on jobs for each row execute function keep()",
            home.trim()
        ));
    }

    fn ask(&self, sql: &str) -> String {
        self.store.ask(sql).join("\n")
    }

    /// Returns when the store says so.
    fn wait_until(&self, what: &str, sql: &str) {
        wait_for(what, || (self.ask(sql) == "t").then_some(()));
    }

    fn wait_for_workers(&self, n: usize) {
        let here = format!(
            "select count(*) = {n} from workers
             where left_at is null and heartbeat_at > clock_timestamp() - interval '20 s'"
        );
        self.wait_until("the workers", &here);
    }

    /// As if a worker had given no sign of life since long ago. Only of one that is dead, or it says that it lives.
    fn age(&self, worker: &Worker) {
        let name = worker.name();
        self.ask(&format!(
            "update workers set heartbeat_at = heartbeat_at - interval '20 s' where name = '{name}'"
        ));
    }

    /// Sessions that make load.
    fn n_clients(&self) -> String {
        let load = "select count(*) from pg_stat_activity where application_name ~ '^pgassay( load|_.*_b[0-9]+$)'";
        self.cluster.ask(load).concat()
    }

    /// What each share of a level has stored of what was measured: seconds and transactions.
    fn seconds(&self, benchmark: &Value) -> String {
        self.ask(&format!(
            "select string_agg(format('%s:%s', share_idx, n), ' ' order by share_idx) from (
                 select share_idx, count(*) as n from benchmark_seconds
                 where benchmark_id = {benchmark} and second_idx >= 0 and attempt = 1 group by share_idx) s"
        ))
    }

    /// That all transactions of the seconds of an attempt are in its level.
    fn assert_whole(&self, benchmark: &Value, attempt: u32) {
        let sums = self.ask(&format!(
            "select l.status, (l.totals ->> 'n_transactions')::bigint
                    = (select sum((s.totals ->> 'n_transactions')::bigint) from benchmark_seconds s
                       where s.benchmark_id = l.benchmark_id and s.attempt = l.attempt and s.second_idx >= 0)
             from benchmark_levels l where l.benchmark_id = {benchmark} and l.attempt = {attempt}"
        ));
        assert!(sums.ends_with("|t"), "{sums}");
    }
}

async fn post(server: &Server, address: &str, body: &Value) -> Value {
    let request = reqwest::Client::new()
        .post(format!("{}{address}", server.url))
        .header("content-type", "application/json")
        .body(body.to_string());
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

/// A benchmark of one level that all workers make the load of.
async fn start(ground: &Ground, server: &Server, n_clients: u32, duration: &str) -> Value {
    let mut wish = json!({
        "thread_counts": [n_clients], "table_rows": 1000, "test_duration": duration, "warm_up": 0, "quick": true,
        "operation": "point_read", "workers": "all",
    });
    if ground.under == Under::Registered {
        wish["target"] = "server".into();
        wish["server"] = "theirs".into();
    }
    let started = post(server, "/api/benchmarks/start", &wish).await;
    assert!(started["id"].is_number(), "{started}");
    started["id"].clone()
}

#[tokio::test]
async fn a_level_is_shared_by_processes_and_goes_on_without_those_that_are_lost() {
    let ground = Ground::new(Under::Registered);
    let server = ground.serve("a");
    ground.keep_jobs_at("a");
    let (first, second) = (ground.worker("b"), ground.worker("c"));
    ground.wait_for_workers(3);
    let plain = Plain::of(&server);
    let entry = [("name", "theirs"), ("address", &*ground.cluster.url()), ("secret", "")];
    let (status, said) = plain.post("/servers", &entry).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{said}");
    let page = plain.page("/workers").await;
    assert!(page.contains(&first.name()) && page.contains(&second.name()), "{page}");

    // All the way: everything that any of them did is in the level.
    let whole = start(&ground, &server, 7, "2s").await;
    ground.wait_until("the end", &finished(&whole));
    assert_eq!(ground.seconds(&whole), "0:2 1:2 2:2");
    ground.assert_whole(&whole, 1);
    let began = format!(
        "select count(distinct started_at) = 1 from benchmark_seconds where benchmark_id = {whole} and second_idx = 0"
    );
    assert_eq!(ground.ask(&began), "t", "all begin at one moment");
    let statements = format!(
        "select s.n = (l.totals ->> 'n_transactions')::bigint from benchmark_statements s
         join benchmark_levels l using (benchmark_id) where l.benchmark_id = {whole} and s.command_idx = -1"
    );
    assert_eq!(ground.ask(&statements), "t");
    let export: Value = serde_json::from_str(&plain.page(&format!("/benchmarks/{whole}/export.json")).await).unwrap();
    let shares = export["levels"][0]["shares"].as_array().unwrap();
    let told: Vec<(&str, u64)> = shares
        .iter()
        .map(|share| {
            (
                share["status"].as_str().unwrap(),
                share["n_connected"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("done", 2), ("done", 2), ("done", 3)]);
    let page = plain.page(&format!("/benchmarks/{whole}")).await;
    assert!(
        page.contains("Where the load came from") && page.contains(&first.name()),
        "{page}"
    );

    // One dies, one is told to end.
    let lacking = start(&ground, &server, 6, "60s").await;
    wait_for("load of all", || {
        (ground.seconds(&lacking).split(' ').count() == 3).then_some(())
    });
    let (first_name, second_name) = (first.name(), second.name());
    let mut first = first;
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    ground.age(&first);
    let share_of = |name: &str| {
        format!(
            "select s.status in ('lost', 'done') from benchmark_shares s join workers w on w.id = s.worker_id
             where s.benchmark_id = {lacking} and w.name = '{name}'"
        )
    };
    ground.wait_until("the loss", &share_of(&first_name));
    let mut second = second;
    support::send(second.0.id(), Signal::SIGTERM);
    assert_eq!(second.0.wait().unwrap().code(), Some(0));
    ground.wait_until("the leave", &share_of(&second_name));
    let (status, _) = plain.post(&format!("/benchmarks/{lacking}/stop"), &[]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    ground.wait_until("the end", &settled(&lacking));
    ground.assert_whole(&lacking, 1);
    let page = plain.page(&format!("/benchmarks/{lacking}")).await;
    for said in [
        format!("1 of 3 workers, {first_name} with 2 of 6 clients, was lost"),
        format!("1 of 3 workers, {second_name} with 2 of 6 clients, ended its part"),
        "Its worker was told to end".to_owned(),
    ] {
        assert!(page.contains(&said), "{said} in {page}");
    }
    let csv = plain.page(&format!("/benchmarks/{lacking}/levels.csv")).await;
    assert!(csv.contains("was lost"), "{csv}");
    assert_eq!(ground.n_clients(), "0");
    let left = ground
        .cluster
        .ask("select nspname from pg_namespace where nspname ~ '^pgassay'");
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(server.stop(), Some(0));
}

fn finished(benchmark: &Value) -> String {
    format!("select j.status = 'completed' from jobs j join benchmarks b on b.job_id = j.id where b.id = {benchmark}")
}

fn settled(benchmark: &Value) -> String {
    format!(
        "select j.status in ('completed', 'cancelled') from jobs j join benchmarks b on b.job_id = j.id
         where b.id = {benchmark}"
    )
}

#[tokio::test]
async fn shares_end_with_the_one_who_asked_and_the_level_is_tried_again_behind_it() {
    let ground = Ground::new(Under::Shared);
    let server = ground.serve("a");
    ground.keep_jobs_at("a");
    let worker = ground.worker("b");
    ground.wait_for_workers(2);
    let id = start(&ground, &server, 4, "5s").await;
    wait_for("load of both", || {
        (ground.seconds(&id).split(' ').count() == 2).then_some(())
    });
    server.kill();
    // Its lease would lapse in a while.
    ground.ask("update jobs set lease_until = clock_timestamp() where status = 'running'");
    wait_for("the end of the load", || (ground.n_clients() == "0").then_some(()));

    let server = ground.serve("a");
    ground.wait_until("the end", &finished(&id));
    let attempts = format!(
        "select string_agg(status::text, ' ' order by attempt) from benchmark_levels where benchmark_id = {id}"
    );
    assert_eq!(ground.ask(&attempts), "interrupted finished");
    ground.assert_whole(&id, 2);
    let again =
        format!("select count(*) from benchmark_shares where benchmark_id = {id} and attempt = 2 and status = 'done'");
    assert_eq!(ground.ask(&again), "2", "the worker {} shares again", worker.name());
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn several_serve_processes_on_one_store_never_run_one_thing_twice() {
    let ground = Ground::new(Under::Shared);
    let (one, other) = (ground.serve("a"), ground.serve("b"));
    let quick = json!({
        "thread_counts": [1], "table_rows": 1000, "test_duration": 1, "warm_up": 0, "quick": true, "operation": "point_read",
    });
    for server in [&one, &other, &one, &other] {
        post(server, "/api/benchmarks/start", &quick).await;
    }
    ground.wait_until(
        "the end of all",
        "select count(*) = 4 from jobs where status = 'completed'",
    );
    // Each claim draws an epoch, and each try at a level a number.
    assert_eq!(ground.ask("select distinct epoch from jobs"), "1");
    assert_eq!(ground.ask("select count(*), max(attempt) from benchmark_levels"), "4|1");
    let overlaps = "select count(*) from jobs a join jobs b on a.id < b.id
                    and (a.started_at, a.finished_at) overlaps (b.started_at, b.finished_at)";
    assert_eq!(ground.ask(overlaps), "0", "they are under load one after the other");
    assert_eq!((one.stop(), other.stop()), (Some(0), Some(0)));
}

#[test]
fn a_worker_is_told_a_store() {
    let output = support::pgassay(&["worker", "--data-dir"])
        .arg(scratch::dir())
        .output()
        .unwrap();
    let said = support::stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--database-url"), "{said}");
}
