//! The generator of load beside `pgbench -M prepared` on the same tables, in turns; and what viewers of a live page cost it.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::http;
use crate::machine::Scratch;
use crate::machine::cpu_seconds;
use crate::peer::Peer;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::table::verdict;

const N_RUNS: usize = 5;
const SECONDS: &str = "5";
/// pgbench's scale factor: a million accounts.
const SCALE: &str = "10";
const TABLE_ROWS: &str = "1000000";
const N_VIEWERS: usize = 200;
const VIEWED_SECONDS: &str = "10";
const N_VIEWED: usize = 5;

/// Our operation, and pgbench's script of the same.
const SCRIPTS: [(&str, &str); 2] = [("point_read", "select-only"), ("tpcb_like", "tpcb-like")];
const CLIENTS: [&str; 4] = ["1", "20", "40", "80"];

/// Transactions a second, and the 99th percentile of their latencies in milliseconds.
#[derive(Clone, Copy)]
struct Load {
    per_s: f64,
    p99_ms: f64,
}

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("load");
    let dir = scratch.path();
    let peer = Peer::start(&dir.join("peer"));
    peer.accounts("template", SCALE);
    let program = Program::start(&dir.join("data"));
    for (operation, script) in SCRIPTS {
        for n_clients in CLIENTS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..N_RUNS {
                ours.push(launch(&program, operation, n_clients, SECONDS));
                theirs.push(pgbench(&peer, script, n_clients));
            }
            compare(table, script, n_clients, &ours, &theirs);
        }
    }
}

fn compare(table: &mut Table, script: &str, n_clients: &str, ours: &[Load], theirs: &[Load]) {
    let pairs = || ours.iter().zip(theirs);
    let ratio = median(pairs().map(|(ours, theirs)| ours.per_s / theirs.per_s));
    table.row(
        &format!("{script}, {n_clients} clients: transactions a second"),
        &format!("{:.0}", median(ours.iter().map(|load| load.per_s))),
        &format!("pgbench -j 2: {:.0}", median(theirs.iter().map(|load| load.per_s))),
        &format!("{ratio:.2}"),
        "at least 1.00",
        verdict(Some(ratio >= 1.0)),
    );
    let ratio = median(pairs().map(|(ours, theirs)| ours.p99_ms / theirs.p99_ms));
    table.row(
        &format!("{script}, {n_clients} clients: p99"),
        &format!("{:.3} ms", median(ours.iter().map(|load| load.p99_ms))),
        &format!("pgbench: {:.3} ms", median(theirs.iter().map(|load| load.p99_ms))),
        &format!("{ratio:.2}"),
        "",
        "",
    );
}

/// One level of ours on tables of its own.
fn launch(program: &Program, operation: &str, n_clients: &str, seconds: &str) -> Load {
    let id = begin(program, operation, n_clients, seconds);
    program.wait_until_idle();
    loaded(program, &id)
}

fn begin(program: &Program, operation: &str, n_clients: &str, seconds: &str) -> String {
    let n = program.store("select count(*) from benchmarks");
    let duration = format!("{seconds}s");
    let request_id = format!("bench-{n}");
    let path = http::post(
        &program.site,
        "/benchmarks",
        &[
            ("request_id", &request_id),
            ("operation", operation),
            ("table_rows", TABLE_ROWS),
            ("thread_counts", n_clients),
            ("test_duration", &duration),
            ("warm_up", "1s"),
            ("quick", "on"),
        ],
    );
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn loaded(program: &Program, id: &str) -> Load {
    let per_s = program.store_number(&format!(
        "select (totals ->> 'n_transactions')::float8 * 1000 / measured_ms from benchmark_levels where benchmark_id = {id}"
    ));
    let results = http::text(&program.site, &format!("/api/benchmarks/{id}/results"));
    let p99_ms = results
        .split_once("\"p99_latency_ms\":")
        .and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
    Load {
        per_s,
        p99_ms: p99_ms.unwrap_or_else(|| panic!("no p99 in {results}")),
    }
}

/// One run of pgbench on a fresh copy of its tables, behind a second of warm-up as in ours. Of many short transactions a few
/// are logged: writing each of them would make pgbench the limit, and no backend would wait for a processor as it does
/// without.
fn pgbench(peer: &Peer, script: &str, n_clients: &str) -> Load {
    let n_threads = if n_clients == "1" { "1" } else { "2" };
    let logged = if script == "select-only" { "0.05" } else { "1" };
    let builtin = format!("{script}@1");
    let load = ["-b", &builtin, "-c", n_clients, "-j", n_threads];
    peer.fresh_copy("template", "run");
    peer.warm_up("run", &load);
    let logs = Scratch::new("pgbench-log");
    let prefix = logs.path().join("log").display().to_string();
    let output = peer
        .load("run", SECONDS, &load)
        .arg("-l")
        .arg(format!("--log-prefix={prefix}"))
        .arg(format!("--sampling-rate={logged}"))
        .output()
        .expect("pgbench runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let per_s = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    Load {
        per_s: per_s.unwrap_or_else(|| panic!("pgbench said {said}{}", String::from_utf8_lossy(&output.stderr))),
        p99_ms: p99_of_logs(&logs),
    }
}

/// By nearest rank, of the third column: microseconds.
fn p99_of_logs(logs: &Scratch) -> f64 {
    let mut times: Vec<f64> = Vec::new();
    for entry in std::fs::read_dir(logs.path()).expect("the logs are there") {
        let text = std::fs::read_to_string(entry.expect("a log").path()).expect("reading a log");
        let of_line = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
        times.extend(text.lines().filter_map(of_line));
    }
    times.sort_by(f64::total_cmp);
    let rank = (times.len() * 99).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN) / 1000.0
}

/// Two hundred listeners to one live page.
struct Viewers {
    stop: Arc<AtomicBool>,
    n_bytes: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Viewers {
    fn start(address: &str, id: &str) -> Self {
        let (stop, n_bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let viewer = |_| {
            let (stop, n_bytes) = (Arc::clone(&stop), Arc::clone(&n_bytes));
            let mut stream = TcpStream::connect(address).expect("pgassay listens");
            write!(
                stream,
                "GET /benchmarks/{id}/stream HTTP/1.1\r\nHost: {address}\r\n\r\n"
            )
            .expect("sending");
            let limit = Some(Duration::from_millis(500));
            stream.set_read_timeout(limit).expect("a limit that can be");
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    let mut buffer = vec![0_u8; 32 << 10];
                    while !stop.load(Ordering::Relaxed) {
                        match stream.read(&mut buffer) {
                            Ok(0) => return,
                            Ok(n) => {
                                n_bytes.fetch_add(n as u64, Ordering::Relaxed);
                            }
                            // Nothing came in time, or nothing comes any more: the word to stop tells.
                            Err(_) => {}
                        }
                    }
                })
                .expect("a thread for each viewer")
        };
        let threads = (0..N_VIEWERS).map(viewer).collect();
        Self { stop, n_bytes, threads }
    }

    /// Ends them and returns how much they were shown, in MB.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a viewer looks to the end");
        }
        self.n_bytes.load(Ordering::Relaxed) >> 20
    }
}

/// A level, whoever looks at it, and what pgassay took of the processors for all but the load itself, in seconds.
fn viewed(program: &Program, start: impl FnOnce(&str) -> Option<Viewers>, stop: impl FnOnce(Viewers)) -> (Load, f64) {
    let before_s = cpu_seconds(program.pid());
    let id = begin(program, "point_read", "20", VIEWED_SECONDS);
    let viewers = start(&id);
    program.wait_until_idle();
    if let Some(viewers) = viewers {
        stop(viewers);
    }
    let all_s = cpu_seconds(program.pid()) - before_s;
    let of_load = format!("select sum(generator_cpu_ms) / 1000 from benchmark_seconds where benchmark_id = {id}");
    (loaded(program, &id), all_s - program.store_number(&of_load))
}

/// The same level alone and beside viewers, in turns.
pub fn viewers(table: &mut Table) {
    let scratch = Scratch::new("viewers");
    let program = Program::start(&scratch.path().join("data"));
    let (mut alone, mut beside, mut shown_mb) = (Vec::new(), Vec::new(), 0);
    launch(&program, "point_read", "20", "2");
    let mut viewing_s = Vec::new();
    for _ in 0..N_VIEWED {
        let (load, alone_s) = viewed(&program, |_| None, |_| ());
        alone.push(load.per_s);
        let start = |id: &str| Some(Viewers::start(&program.site.address, id));
        let (load, beside_s) = viewed(&program, start, |viewers| shown_mb += viewers.stop());
        beside.push(load.per_s);
        viewing_s.push(beside_s - alone_s);
    }
    let level_s: f64 = VIEWED_SECONDS.parse().expect("a number");
    let n_processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let part = median(viewing_s.iter().copied()) / (level_s * n_processors as f64);
    table.row(
        &format!("{N_VIEWERS} viewers: pgassay's processor time for them"),
        &format!("{:.2} %", part * 100.0),
        "of what the machine has",
        "",
        "at most 2 %",
        verdict(Some(part <= 0.02)),
    );
    let ratio = median(beside.iter().zip(&alone).map(|(beside, alone)| beside / alone));
    table.row(
        &format!("20 clients beside {N_VIEWERS} viewers: transactions a second"),
        &format!("{:.0}", median(beside.iter().copied())),
        &format!(
            "without viewers: {:.0} ({shown_mb} MB were shown)",
            median(alone.iter().copied())
        ),
        &format!("{ratio:.3}"),
        "at least 0.98",
        verdict(Some(ratio >= 0.98)),
    );
}
