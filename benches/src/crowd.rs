//! Two hundred people who read results, each signed in, while an experiment is measured: how long their pages take, and
//! whether the trials take longer for it.
//!
//! Rounds of three experiments that are all the same: one alone, another alone, and one beside the readers, in an order that
//! rotates from round to round. What the two that ran alone differ by is noise (A/A), and what the third differs by from the
//! first is measured in the same way, as often, and as close in time.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use crate::browser::Browser;
use crate::dump;
use crate::http;
use crate::http::Site;
use crate::machine::Scratch;
use crate::machine::cpu_seconds;
use crate::machine::cpu_seconds_with_children;
use crate::machine::repository;
use crate::percentiles::exact_ms;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::table::number;
use crate::table::verdict;
use crate::trials::SERIES;
use crate::trials::query;

/// Between two pages of one reader, on average and at most: negative exponential, as TPC-W 1.8 has it for people in a shop
/// (clause 5.3.1.1).
const THINK_MEAN_S: f64 = 7.0;
const THINK_MOST_S: f64 = 70.0;
/// Asks for the least of everything, which shows on a busy machine, too, that it works, and measures nothing.
const SMOKE_VARIABLE: &str = "PGASSAY_BENCH_SMOKE";
/// What a page may take where all are counted together (issue 6).
const PAGE_P99_MS: f64 = 100.0;

const PASSWORD: &str = "seven purple kettles sing";
/// The pages are those of settled experiments on the sample: twelve queries, under as many sources as these.
const READ: [&[(&str, &str)]; 6] = [
    &[("stats_source", "built_in"), ("stats_source", "none")],
    &[("stats_source", "built_in"), ("stats_source", "random_targets")],
    &[
        ("stats_source", "none"),
        ("stats_source", "built_in"),
        ("stats_source", "stale"),
    ],
    &[
        ("stats_source", "built_in"),
        ("stats_source", "none"),
        ("stats_source", "perturbed"),
        ("stats_source", "extended"),
    ],
    &[("stats_source", "built_in"), ("stats_source", "extended")],
    &[("stats_source", "uniform_target"), ("stats_source", "none")],
];
const N_QUERIES: usize = 12;
/// At the default target both sources gather the same statistics; all their trials are one sample here.
const MEASURED: [(&str, &str); 4] = [
    ("stats_source", "built_in"),
    ("stats_source", "uniform_target"),
    ("uniform_target.target", "100"),
    ("warm_up", "1"),
];

/// How much of everything.
struct Size {
    n_readers: usize,
    n_rounds: usize,
    /// Of the experiment that is measured, which has two sources: about ten seconds.
    iterations: &'static str,
    /// Of those that are read.
    iterations_read: &'static str,
}

const REAL: Size = Size {
    n_readers: 200,
    n_rounds: 9,
    iterations: "600",
    iterations_read: "10",
};
const SMOKE: Size = Size {
    n_readers: 5,
    n_rounds: 1,
    iterations: "60",
    iterations_read: "1",
};

/// What the readers of one experiment have seen.
#[derive(Default)]
struct Seen {
    pages_us: Vec<u64>,
    pictures_us: Vec<u64>,
    /// Pages and pictures that did not come.
    n_missed: usize,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.pages_us.extend(other.pages_us);
        self.pictures_us.extend(other.pictures_us);
        self.n_missed += other.n_missed;
    }
}

/// Says to all readers when it is over.
#[derive(Default)]
struct End {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl End {
    fn come(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits, and returns whether it is over.
    fn came_within(&self, time: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_over, time, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Chance from a seed: xorshift (Marsaglia 2003), which is plenty for who clicks when.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % n
    }

    fn think(&mut self) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "53 bits of chance")]
        let share = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64((-share.ln() * THINK_MEAN_S).min(THINK_MOST_S))
    }
}

/// Everybody who has come in, with a browser each.
struct Crowd {
    browsers: Vec<(Browser, Chance)>,
    experiments: Vec<String>,
}

impl Crowd {
    /// Accounts that make themselves, from as many addresses: from one, ten an hour are let in.
    fn sign_in(program: &Program, n_readers: usize, experiments: Vec<String>) -> Self {
        http::post(
            &program.site,
            "/admin/settings/registration",
            &[("registration", "open")],
        );
        let nobody = Site {
            cookie: None,
            ..program.site.clone()
        };
        let reader = |n: usize| {
            let (name, from) = (format!("reader{n}"), format!("192.0.2.{}", n + 1));
            let cookie = http::enter(&nobody, "/register", &from, &[("name", &name), ("password", PASSWORD)]);
            let site = Site {
                cookie: Some(cookie),
                ..nobody.clone()
            };
            (Browser::new(site, from), Chance(0x9e37_79b9_7f4a_7c15 ^ (n as u64 + 1)))
        };
        Self {
            browsers: (0..n_readers).map(reader).collect(),
            experiments,
        }
    }

    /// Lets all of them read while a task is done.
    fn beside<T>(&mut self, task: impl FnOnce() -> T) -> (T, Seen) {
        let (end, all) = (End::default(), Mutex::new(Seen::default()));
        let experiments = &self.experiments;
        let done = thread::scope(|scope| {
            for (browser, chance) in &mut self.browsers {
                let (end, all) = (&end, &all);
                let reading = move || {
                    let mut own = Seen::default();
                    read(browser, chance, experiments, end, &mut own);
                    all.lock().unwrap_or_else(PoisonError::into_inner).add(own);
                };
                let thread = thread::Builder::new().stack_size(256 * 1024);
                thread.spawn_scoped(scope, reading).expect("a thread for each reader");
            }
            let done = task();
            end.come();
            done
        });
        (done, all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads page after page until it is over: the list, and of one experiment its results, another chart, the plans and a query.
fn read(browser: &mut Browser, chance: &mut Chance, experiments: &[String], end: &End, seen: &mut Seen) {
    let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    loop {
        let id = &experiments[chance.below(experiments.len())];
        let query = chance.below(N_QUERIES);
        let kind = ["line", "box", "cdf"][chance.below(3)];
        for page in [
            "/results".to_owned(),
            format!("/results/{id}"),
            format!("/results/{id}?type={kind}&query={query}"),
            format!("/results/{id}/plans"),
            format!("/results/{id}/queries/{query}"),
        ] {
            if end.came_within(chance.think()) {
                return;
            }
            let look = browser.get(&page);
            seen.pages_us.push(micros(look.took));
            seen.n_missed += usize::from(!look.is_good);
            if let Some(picture) = browser.new_picture(&look) {
                let look = browser.get(&picture);
                seen.pictures_us.push(micros(look.took));
                seen.n_missed += usize::from(!look.is_good);
            }
        }
    }
}

/// One experiment: the middle and the 95th percentile of its trials, and what was taken of the processors meanwhile.
#[derive(Clone, Copy)]
struct Measured {
    median_ms: f64,
    p95_ms: f64,
    pgassay_s: f64,
    store_s: f64,
    readers_s: f64,
}

fn measure(program: &Program, dataset: &str, workload: &str, iterations: &str) -> Measured {
    let cpu = || {
        let store = cpu_seconds_with_children(program.store_pid());
        [cpu_seconds(program.pid()), store, cpu_seconds(std::process::id())]
    };
    let before = cpu();
    let wish = [&MEASURED[..], &[("iterations", iterations)]].concat();
    let id = program.experiment(dataset, workload, &wish);
    let [pgassay_s, store_s, readers_s] = cpu();
    let percentile = |share: f64| {
        program.store_number(&format!(
            "select percentile_cont({share}) within group (order by execution_ms) from trials
             where experiment_id = {id} and kind = 'measured'"
        ))
    };
    Measured {
        median_ms: percentile(0.5),
        p95_ms: percentile(0.95),
        pgassay_s: pgassay_s - before[0],
        store_s: store_s - before[1],
        readers_s: readers_s - before[2],
    }
}

/// The three experiments of a round.
struct Round {
    alone: Measured,
    alone_again: Measured,
    beside: Measured,
}

pub fn run(table: &mut Table) {
    let is_smoke = std::env::var_os(SMOKE_VARIABLE).is_some();
    let size = if is_smoke { SMOKE } else { REAL };
    let scratch = Scratch::new("crowd");
    let dir = scratch.path();
    let program = start(dir);
    let experiments = settle_what_is_read(&program, size.iterations_read);
    let mut crowd = Crowd::sign_in(&program, size.n_readers, experiments);
    let dataset = program.restore(&dump::write(dir, "series.sql", SERIES));
    let workload = program.workload(&dump::write(dir, "query.sql", &format!("{};\n", query(40_000))));
    let alone = || measure(&program, &dataset, &workload, size.iterations);
    alone();
    let (mut rounds, mut seen) = (Vec::new(), Seen::default());
    for round_idx in 0..size.n_rounds {
        let mut measured: [Option<Measured>; 3] = [None; 3];
        for place in 0..3 {
            let which = (round_idx + place) % 3;
            measured[which] = Some(if which == 2 {
                let (measured, of_this) = crowd.beside(alone);
                seen.add(of_this);
                measured
            } else {
                alone()
            });
        }
        if let [Some(alone), Some(alone_again), Some(beside)] = measured {
            rounds.push(Round {
                alone,
                alone_again,
                beside,
            });
        }
    }
    say_pages(table, size.n_readers, &rounds, &mut seen);
    let beside = format!("beside {} readers, against alone", size.n_readers);
    say_trials(table, &format!("median of the trials {beside}"), &rounds, |measured| {
        measured.median_ms
    });
    say_trials(table, &format!("p95 of the trials {beside}"), &rounds, |measured| {
        measured.p95_ms
    });
}

/// A pgassay at which people sign in, behind a proxy on this machine, and its admin.
fn start(dir: &std::path::Path) -> Program {
    let password = dump::write(dir, "password", PASSWORD);
    let mut program = Program::start_with(
        &dir.join("data"),
        &[
            ("PGASSAY_ACCESS", "required"),
            ("PGASSAY_TRUSTED_PROXIES", "127.0.0.1"),
            ("PGASSAY_ADMIN_NAME", "ada"),
            (
                "PGASSAY_ADMIN_PASSWORD_FILE",
                password.to_str().expect("a path of ours"),
            ),
        ],
    );
    let ada = [("name", "ada"), ("password", PASSWORD)];
    program.site.cookie = Some(http::enter(&program.site, "/login", "192.0.2.0", &ada));
    program
}

/// Experiments on the sample that everybody may read, and that will not change any more.
fn settle_what_is_read(program: &Program, iterations: &str) -> Vec<String> {
    let dataset = program.restore(&repository("samples/dump.sql"));
    let workload = program.workload(&repository("samples/queries.sql"));
    let one = |sources: &&[(&str, &str)]| {
        let wish = [*sources, &[("iterations", iterations), ("warm_up", "1")]].concat();
        let id = program.experiment(&dataset, &workload, &wish);
        http::post(
            &program.site,
            &format!("/results/{id}/sharing"),
            &[("with", "everybody")],
        );
        id
    };
    READ.iter().map(one).collect()
}

fn say_pages(table: &mut Table, n_readers: usize, rounds: &[Round], seen: &mut Seen) {
    seen.pages_us.sort_unstable();
    seen.pictures_us.sort_unstable();
    let [p50, p95, p99, most] = [50.0, 95.0, 99.0, 100.0].map(|percent| exact_ms(&seen.pages_us, percent));
    let n_pages = seen.pages_us.len();
    table.row(
        &format!("{n_readers} readers of results beside a running experiment: p99 of their pages"),
        &format!("{} ms", number(p99)),
        &format!(
            "p50 {}, p95 {}, longest {} ms, of {n_pages} pages, {} did not come; a new page {THINK_MEAN_S:.0} s after the \
             last, on average",
            number(p50),
            number(p95),
            number(most),
            seen.n_missed
        ),
        "",
        &format!("{PAGE_P99_MS:.0} ms"),
        verdict(Some(p99 <= PAGE_P99_MS && seen.n_missed == 0)),
    );
    table.row(
        &format!("{n_readers} readers: p99 of the charts in their pages"),
        &format!("{} ms", number(exact_ms(&seen.pictures_us, 99.0))),
        &format!("{} charts, each asked for once by each reader", seen.pictures_us.len()),
        "",
        "",
        "",
    );
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let n_pages_of_one = n_pages as f64 / rounds.len() as f64;
    let per_page = |of: fn(&Measured) -> f64| {
        let ms = median(
            rounds
                .iter()
                .map(|round| (of(&round.beside) - of(&round.alone)) * 1000.0),
        );
        number(ms / n_pages_of_one)
    };
    table.row(
        "processor time for a page with its charts",
        &format!("{} ms", per_page(|measured| measured.pgassay_s)),
        &format!(
            "and of the store {} ms; the readers themselves take {} ms, on the same machine",
            per_page(|measured| measured.store_s),
            per_page(|measured| measured.readers_s)
        ),
        "",
        "",
        "",
    );
}

/// Ratios in the same rounds: beside readers and alone, and alone twice. More than noise is a middle beyond all but the
/// outermost of what two that ran alone differ by.
fn say_trials(table: &mut Table, what: &str, rounds: &[Round], of: fn(&Measured) -> f64) {
    let ratios = |of_round: fn(&Round) -> &Measured| -> Vec<f64> {
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|round| of(of_round(round)) / of(&round.alone))
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let (moved, noise) = (ratios(|round| &round.beside), ratios(|round| &round.alone_again));
    let spread = |ratios: &[f64]| format!("{:.3} to {:.3}", low(ratios), high(ratios));
    let ratio = median(moved.iter().copied());
    table.row(
        what,
        &format!(
            "{} ms, {} of its ratios",
            number(median(rounds.iter().map(|round| of(&round.beside)))),
            spread(&moved)
        ),
        &format!(
            "alone {} ms; alone twice {:.3}, {}",
            number(median(rounds.iter().map(|round| of(&round.alone)))),
            median(noise.iter().copied()),
            spread(&noise)
        ),
        &format!("{ratio:.3}"),
        &format!("within {}", spread(&noise)),
        // Of one round there is no spread.
        verdict((rounds.len() > 2).then(|| low(&noise) <= ratio && ratio <= high(&noise))),
    );
}

/// The second smallest, where there are enough.
fn low(sorted: &[f64]) -> f64 {
    sorted[usize::from(sorted.len() > 4)]
}

/// The second largest, where there are enough.
fn high(sorted: &[f64]) -> f64 {
    sorted[sorted.len() - 1 - usize::from(sorted.len() > 4)]
}
