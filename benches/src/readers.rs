//! Whether readers of pages disturb trials: A/A experiments alone and beside twenty readers, in turns.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::dump;
use crate::http;
use crate::http::Site;
use crate::machine::Scratch;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::trials::SERIES;
use crate::trials::query;

const N_RUNS: usize = 7;
const N_READERS: usize = 20;
/// Between two pages of one reader: a person who clicks without rest, or a tab that polls.
const PAUSE: Duration = Duration::from_millis(200);
/// At the default target both sources gather the same statistics, so any difference is noise.
const WISH: [(&str, &str); 5] = [
    ("stats_source", "built_in"),
    ("stats_source", "uniform_target"),
    ("uniform_target.target", "100"),
    ("iterations", "60"),
    ("warm_up", "1"),
];

/// Twenty threads that read pages until they are dropped.
struct Readers {
    stop: Arc<AtomicBool>,
    n_pages: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Readers {
    fn start(site: &Site) -> Self {
        let (stop, n_pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let reader = |n: usize| {
            let (stop, n_pages, site) = (Arc::clone(&stop), Arc::clone(&n_pages), site.clone());
            thread::spawn(move || {
                let pages = [
                    "/",
                    "/results",
                    "/results/1",
                    "/experiment",
                    "/results/1/chart.png?type=line&query=0",
                ];
                for page in pages.iter().cycle().skip(n) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    http::get(&site, page);
                    n_pages.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
            })
        };
        let threads = (0..N_READERS).map(reader).collect();
        Self { stop, n_pages, threads }
    }

    /// Ends them and returns how many pages they have read.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a reader reads to its end");
        }
        self.n_pages.load(Ordering::Relaxed)
    }
}

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("readers");
    let dir = scratch.path();
    let program = Program::start(&dir.join("data"));
    let dataset = program.restore(&dump::write(dir, "series.sql", SERIES));
    let workload = program.workload(&dump::write(dir, "query.sql", &format!("{};\n", query(40_000))));
    let measure = || {
        let id = program.experiment(&dataset, &workload, &WISH);
        let median_of = |source_idx: u32| {
            program.store_number(&format!(
                "select median_ms from summaries where experiment_id = {id} and source_idx = {source_idx}"
            ))
        };
        (median_of(0), median_of(1))
    };
    measure();
    let (mut alone, mut beside, mut n_pages) = (Vec::new(), Vec::new(), 0);
    for _ in 0..N_RUNS {
        alone.push(measure());
        let readers = Readers::start(&program.site);
        beside.push(measure());
        n_pages += readers.stop();
    }
    let difference = |pairs: &[(f64, f64)]| median(pairs.iter().map(|(a, b)| (a / b).ln().abs() * 100.0));
    let (quiet, busy) = (difference(&alone), difference(&beside));
    table.row(
        "an A/A experiment beside 20 readers: its two medians differ by",
        &format!("{busy:.2} %"),
        &format!("without readers: {quiet:.2} % ({n_pages} pages were read)"),
        "",
        "",
        "",
    );
    let levels: Vec<(f64, f64)> = beside
        .iter()
        .zip(&alone)
        .map(|((busy, _), (quiet, _))| (*busy, *quiet))
        .collect();
    table.pairs("a median beside 20 readers", "without readers", "ms", &levels, None);
}
