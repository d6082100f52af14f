//! Percentiles beside those of `pgbench -l` under the same fixed rate, in turns; and what pgassay's histogram makes of
//! pgbench's own latencies beside their exact order statistics.

use std::process::Stdio;
use std::time::Duration;

use crate::http;
use crate::latency::Latencies;
use crate::latency::PRECISION;
use crate::machine::Scratch;
use crate::peer::Peer;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::table::verdict;

const N_RUNS: usize = 5;
const SECONDS: &str = "10";
/// Far below what either can do, so that both wait for the server and not for a processor.
const PER_S: &str = "1000";
const CLIENTS: &str = "20";
/// pgbench's scale factor: a million accounts.
const SCALE: &str = "10";
const TABLE_ROWS: &str = "1000000";

/// What both say of the same load.
const SHOWN: [&str; 3] = ["50", "95", "99"];
/// What histogram and order statistics are compared at.
const COMPARED: [f64; 9] = [1.0, 10.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("percentiles");
    let dir = scratch.path();
    let peer = Peer::start(&dir.join("peer"));
    peer.accounts("template", SCALE);
    let program = Program::start(&dir.join("data"));
    let (mut ours, mut theirs, mut worst) = (Vec::new(), Vec::new(), 0.0_f64);
    for run_idx in 0..N_RUNS {
        ours.push(launch(&program, run_idx));
        let times_us = pgbench(&peer);
        theirs.push(SHOWN.map(|percentile| exact_ms(&times_us, percentile.parse().expect("a number"))));
        worst = worst.max(largest_difference(&times_us));
    }
    for (idx, percentile) in SHOWN.iter().enumerate() {
        let pairs: Vec<(f64, f64)> = ours
            .iter()
            .zip(&theirs)
            .map(|(ours, theirs)| (ours[idx], theirs[idx]))
            .collect();
        let what = format!("point reads at {PER_S} a second, {CLIENTS} clients: p{percentile}");
        table.pairs(&what, "pgbench -R -l", "ms", &pairs, None);
    }
    let n_transactions = median(ours.iter().map(|ours| ours[SHOWN.len()]));
    table.row(
        "pgbench's latencies in pgassay's histogram: largest difference of a percentile",
        &format!("{:.4} %", worst * 100.0),
        &format!("their exact order statistics, about {n_transactions:.0} transactions a run"),
        "",
        &format!("at most {} %", PRECISION * 100.0),
        verdict(Some(worst <= PRECISION)),
    );
}

/// One level of ours: its percentiles in milliseconds, and how many transactions they are of.
fn launch(program: &Program, run_idx: usize) -> [f64; SHOWN.len() + 1] {
    let (duration, request_id) = (format!("{SECONDS}s"), format!("percentiles-{run_idx}"));
    let path = http::post(
        &program.site,
        "/benchmarks",
        &[
            ("request_id", &request_id),
            ("operation", "point_read"),
            ("table_rows", TABLE_ROWS),
            ("thread_counts", CLIENTS),
            ("test_duration", &duration),
            ("warm_up", "1s"),
            ("rate", PER_S),
        ],
    );
    program.wait_until_idle();
    let levels = http::text(&program.site, &format!("{path}/levels.csv?p={}", SHOWN.join(",")));
    let mut lines = levels.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let (heads, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let number = |name: &str| -> f64 {
        let place = heads.iter().position(|head| *head == name);
        let value = place.and_then(|place| row.get(place)?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {levels}"))
    };
    let [p50, p95, p99] = SHOWN.map(|percentile| number(&format!("p{percentile}_ms")));
    [p50, p95, p99, number("n_transactions")]
}

/// One run of pgbench on a fresh copy of its tables, behind a second of warm-up as in ours: the latency of each transaction
/// from its intended start, in microseconds, in ascending order.
fn pgbench(peer: &Peer) -> Vec<u64> {
    let load = ["-b", "select-only@1", "-c", CLIENTS, "-j", "2", "-R", PER_S];
    peer.fresh_copy("template", "run");
    peer.warm_up("run", &load);
    let logs = Scratch::new("pgbench-log");
    let prefix = logs.path().join("log").display().to_string();
    let ran = peer
        .load("run", SECONDS, &load)
        .arg("-l")
        .arg(format!("--log-prefix={prefix}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(ran.is_ok_and(|status| status.success()), "pgbench failed");
    let mut times_us: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(logs.path()).expect("the logs are there") {
        let text = std::fs::read_to_string(entry.expect("a log").path()).expect("reading a log");
        // client, transaction, time, script, second, microsecond, lag
        times_us.extend(
            text.lines()
                .filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()),
        );
    }
    times_us.sort_unstable();
    times_us
}

/// By nearest rank, in milliseconds.
pub fn exact_ms(times_us: &[u64], percent: f64) -> f64 {
    let n = times_us.len();
    // From hundredths of a percent, by whole numbers: 99.9 / 100 is not 0.999.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "percentiles are small"
    )]
    let rank = ((percent * 100.0).round() as usize * n).div_ceil(10_000).max(1);
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a short time")]
    let exact = times_us.get(rank - 1).copied().unwrap_or_default() as f64;
    exact / 1000.0
}

/// By how much, as a share, a percentile of the histogram lies from the exact one, at worst.
fn largest_difference(times_us: &[u64]) -> f64 {
    let mut latencies = Latencies::new();
    for time_us in times_us {
        latencies.record(Duration::from_micros(*time_us));
    }
    let of_one = |percent: f64| {
        let (found, exact) = (latencies.percentile_ms(percent), exact_ms(times_us, percent));
        found.map_or(f64::INFINITY, |found| (found - exact).abs() / exact)
    };
    COMPARED.into_iter().map(of_one).fold(0.0, f64::max)
}
