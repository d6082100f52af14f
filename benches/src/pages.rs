//! Pages and charts over a store of 1,000,000 trials in 10,000 experiments, by the server's own clock.

use crate::http;
use crate::machine::Scratch;
use crate::machine::memory_mb;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;

const N_RUNS: usize = 21;
/// The rows, straight into the store: three experiments with 100,000, 10,000 and 100 trials, and 9,997 with 89.
const SEED: &str = include_str!("seed.sql");

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("pages");
    let program = Program::start(&scratch.path().join("data"));
    program.store(SEED);
    program.store("vacuum (analyze)");
    let pages = [
        ("list of results", "/results", Some(10.0)),
        ("list of results by dataset", "/results?sort=dataset", Some(10.0)),
        ("list of results, page 300", "/results?page=300", Some(10.0)),
        ("dashboard", "/", Some(10.0)),
        ("results page, 89 trials", "/results/77", Some(10.0)),
        ("results page, 10,000 trials", "/results/2", Some(10.0)),
        ("results page, 100,000 trials", "/results/1", Some(10.0)),
    ];
    for (what, path, budget) in pages {
        let times = (0..N_RUNS).map(|_| timing(&program, path, "total"));
        table.single(what, "ms", median(times), budget);
    }
    for (what, id, budget) in [
        ("100", 3, Some(10.0)),
        ("10,000", 2, Some(10.0)),
        ("100,000", 1, Some(25.0)),
    ] {
        // Another size each time, so that no answer comes from the cache.
        let path = |n: usize| format!("/results/{id}/chart.png?type=line&query=0&w={}", 880 + n);
        let drawn = (0..N_RUNS).map(|n| timing(&program, &path(n), "draw"));
        table.single(
            &format!("chart of {what} points, PNG included"),
            "ms",
            median(drawn),
            budget,
        );
        let whole = (N_RUNS..2 * N_RUNS).map(|n| timing(&program, &path(n), "total"));
        table.single(
            &format!("chart of {what} points, read from the store and drawn"),
            "ms",
            median(whole),
            None,
        );
    }
    table.single(
        "most resident while showing pages and charts",
        "MB",
        memory_mb(program.pid(), "VmHWM"),
        Some(128.0),
    );
}

fn timing(program: &Program, path: &str, part: &str) -> f64 {
    let answer = http::get(&program.site, path);
    assert!(answer.status == 200 && answer.n_bytes > 0, "{path}: {}", answer.status);
    answer
        .timing_ms(part)
        .unwrap_or_else(|| panic!("{path} does not say how long {part} took"))
}
