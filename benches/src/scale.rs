//! One level by 1, 2 and 4 workers, all on this machine: what sharing itself costs, and what it asks of the store.

use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::http;
use crate::machine::Scratch;
use crate::machine::repository;
use crate::peer::Peer;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;

const N_RUNS: usize = 3;
const SECONDS: f64 = 10.0;
const N_CLIENTS: &str = "40";
const WORKERS: [usize; 3] = [1, 2, 4];
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A `pgassay worker` on the store of a program. Dropping it stops it.
struct Worker(Child);

impl Worker {
    fn start(program: &Program, data_dir: &Path, key_file: &Path) -> Self {
        let socket_dir = program.socket_dir();
        let child = Command::new(repository("target/release/pgassay"))
            .args(["worker", "--data-dir"])
            .arg(data_dir)
            .arg("--key-file")
            .arg(key_file)
            .arg("--database-url")
            .arg(format!("postgres://postgres@localhost/postgres?host={socket_dir}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("make build makes it"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        if told.is_ok_and(|status| status.success()) {
            // Whatever its end was, it has ended.
            let _ = self.0.wait();
        }
    }
}

/// What one level came to.
struct Shared {
    per_s: f64,
    p99_ms: f64,
    /// Of the store, while it ran.
    commits_per_s: f64,
    wal_bytes_per_s: f64,
    /// Of the busiest generator, 0 to 1.
    generator_load: f64,
    clock_error_ms: f64,
}

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("scale");
    let dir = scratch.path();
    let peer = Peer::start(&dir.join("peer"));
    peer.empty_database("load");
    let data_dir = dir.join("data");
    let program = Program::start(&data_dir);
    http::post(
        &program.site,
        "/servers",
        &[("name", "peer"), ("address", &peer.url("load")), ("secret", "")],
    );
    let server_id = program.store("select max(id) from servers");
    let mut workers = Vec::new();
    for n_workers in WORKERS {
        while workers.len() + 1 < n_workers {
            let own_dir = dir.join(format!("worker-{}", workers.len()));
            workers.push(Worker::start(&program, &own_dir, &data_dir.join("key")));
        }
        while program.store("select count(*) from workers where left_at is null") != n_workers.to_string() {
            thread::sleep(LOOK_EVERY);
        }
        let runs: Vec<Shared> = (0..N_RUNS).map(|_| level(&program, &server_id)).collect();
        let of = |what: fn(&Shared) -> f64| median(runs.iter().map(what));
        table.row(
            &format!("{N_CLIENTS} clients, {n_workers} workers on one machine: transactions a second"),
            &format!("{:.0}", of(|run| run.per_s)),
            &format!(
                "p99 {:.3} ms; busiest generator {:.0} %; clocks agree within {:.3} ms",
                of(|run| run.p99_ms),
                of(|run| run.generator_load) * 100.0,
                of(|run| run.clock_error_ms)
            ),
            "",
            "",
            "",
        );
        table.row(
            &format!("the store with {n_workers} workers: commits a second"),
            &format!("{:.1}", of(|run| run.commits_per_s)),
            &format!("{:.1} kB of WAL a second", of(|run| run.wal_bytes_per_s) / 1e3),
            "",
            "",
            "",
        );
    }
}

/// Commits of the store, and its place in the WAL.
fn of_store(program: &Program) -> (f64, f64) {
    let commits = "select xact_commit from pg_stat_database where datname = 'postgres'";
    let wal = "select pg_current_wal_lsn() - '0/0'::pg_lsn";
    (program.store_number(commits), program.store_number(wal))
}

fn level(program: &Program, server_id: &str) -> Shared {
    let n = program.store("select count(*) from benchmarks");
    let path = http::post(
        &program.site,
        "/benchmarks",
        &[
            ("request_id", &format!("scale-{n}")),
            ("target", "server"),
            ("server", server_id),
            ("operation", "point_read"),
            ("table_rows", "100000"),
            ("thread_counts", N_CLIENTS),
            ("test_duration", &format!("{SECONDS}s")),
            ("warm_up", "1s"),
            ("workers", "all"),
        ],
    );
    let id = path.rsplit('/').next().unwrap_or_default();
    let has_begun = format!("select count(*) > 0 from benchmark_seconds where benchmark_id = {id}");
    while program.store(&has_begun) != "t" {
        thread::sleep(LOOK_EVERY);
    }
    let before = of_store(program);
    thread::sleep(Duration::from_secs_f64(SECONDS - 3.0));
    let after = of_store(program);
    program.wait_until_idle();
    let number = |what: &str| {
        program.store_number(&format!(
            "select {what} from benchmark_levels where benchmark_id = {id}"
        ))
    };
    let results = http::text(&program.site, &format!("/api/benchmarks/{id}/results"));
    let p99_ms = results
        .split_once("\"p99_latency_ms\":")
        .and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
    Shared {
        per_s: number("(totals ->> 'n_transactions')::float8 * 1000 / measured_ms"),
        p99_ms: p99_ms.unwrap_or_else(|| panic!("no p99 in {results}")),
        commits_per_s: (after.0 - before.0) / (SECONDS - 3.0),
        wal_bytes_per_s: (after.1 - before.1) / (SECONDS - 3.0),
        generator_load: number("(notes ->> 'generator_load')::float8"),
        clock_error_ms: number(
            "(select max((share ->> 'clock_error_ms')::float8) from jsonb_array_elements(notes -> 'shares') share)",
        ),
    }
}
