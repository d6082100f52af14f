//! What the server did while a level ran, summed up over its seconds.

use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::data::seen;
use crate::report::benchmark::figures;
use crate::report::table::Figure;

/// What the server did in one level. What a server or our rights do not tell is none.
#[derive(Clone, Debug)]
pub struct ServerNumbers {
    pub level_idx: i32,
    pub level: String,
    /// Seconds in which it was seen.
    pub n_seconds: usize,
    pub commits: Option<i64>,
    pub rollbacks: Option<i64>,
    /// Blocks found in shared buffers, of all that were asked for; 0 to 1.
    pub hit_share: Option<f64>,
    pub blocks_read: Option<i64>,
    pub rows_read_per_s: Option<f64>,
    pub rows_written_per_s: Option<f64>,
    pub temp_bytes: Option<i64>,
    pub deadlocks: Option<i64>,
    /// Of the whole server.
    pub wal_bytes_per_s: Option<f64>,
    pub wal_bytes_per_transaction: Option<f64>,
    /// Processors that it kept busy, on average.
    pub cpu_cores: Option<f64>,
    pub cpu_ms_per_transaction: Option<f64>,
    pub read_bytes_per_s: Option<f64>,
    pub written_bytes_per_s: Option<f64>,
    /// Sessions that waited for each class of things, on average, the most first; those at work are `CPU`.
    pub waits: Vec<(String, f64)>,
}

/// The numbers of every level during which the server was seen.
pub fn numbers(data: &BenchmarkData) -> Vec<ServerNumbers> {
    let levels = data.levels.iter();
    levels
        .filter(|level| seen(&level.seconds).next().is_some())
        .map(ServerNumbers::new)
        .collect()
}

impl ServerNumbers {
    fn new(level: &LevelData) -> Self {
        let seconds = &level.seconds;
        let sum = |of: fn(&ServerSecond) -> Option<i64>| sum(seconds, of);
        let per_s = |of: fn(&ServerSecond) -> Option<f64>| per(seconds, of, |second| second.span_ms / 1000.0);
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let per_transaction =
            |of: fn(&ServerSecond) -> Option<f64>| per(seconds, of, |second| second.totals.n_transactions as f64);
        Self {
            level_idx: level.record.level.level_idx,
            level: level.label(),
            n_seconds: seen(seconds).count(),
            commits: sum(|server| server.commits),
            rollbacks: sum(|server| server.rollbacks),
            hit_share: sum(|server| server.blocks_hit)
                .zip(sum(|server| server.blocks_read))
                .and_then(|(hit, read)| hit_share(hit, read)),
            blocks_read: sum(|server| server.blocks_read),
            rows_read_per_s: per_s(|server| number(server.rows_read)),
            rows_written_per_s: per_s(|server| number(server.rows_written)),
            temp_bytes: sum(|server| server.temp_bytes),
            deadlocks: sum(|server| server.deadlocks),
            wal_bytes_per_s: per_s(|server| number(server.wal_bytes)),
            wal_bytes_per_transaction: per_transaction(|server| number(server.wal_bytes)),
            cpu_cores: per_s(|server| server.cpu_ms).map(|ms| ms / 1000.0),
            cpu_ms_per_transaction: per_transaction(|server| server.cpu_ms),
            read_bytes_per_s: per_s(|server| number(server.read_bytes)),
            written_bytes_per_s: per_s(|server| number(server.written_bytes)),
            waits: waits(seconds),
        }
    }
}

/// Blocks found in shared buffers, of all that were asked for; none where none was.
pub fn hit_share(hit: i64, read: i64) -> Option<f64> {
    let asked = hit + read;
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    (asked > 0).then(|| hit as f64 / asked as f64)
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn number(count: Option<i64>) -> Option<f64> {
    count.map(|count| count as f64)
}

/// Over the seconds that tell it; none where no second does.
fn sum(seconds: &[SecondRecord], of: fn(&ServerSecond) -> Option<i64>) -> Option<i64> {
    let mut told = seen(seconds).filter_map(|(_, server)| of(server)).peekable();
    told.peek()?;
    Some(told.sum())
}

/// A sum over the seconds that tell it, over another sum of the same seconds.
fn per(
    seconds: &[SecondRecord],
    of: fn(&ServerSecond) -> Option<f64>,
    what: impl Fn(&SecondRecord) -> f64,
) -> Option<f64> {
    let told = seconds.iter().filter_map(|second| {
        let value = of(second.server.as_ref()?)?;
        Some((value, what(second)))
    });
    let (above, below) = told.fold((0.0, 0.0), |(above, below), (value, what)| {
        (above + value, below + what)
    });
    (below > 0.0).then(|| above / below)
}

fn waits(seconds: &[SecondRecord]) -> Vec<(String, f64)> {
    let n_seconds = seen(seconds).count();
    let mut waits: Vec<(String, u64)> = Vec::new();
    for wait in seen(seconds).flat_map(|(_, server)| &server.waits) {
        match waits.iter_mut().find(|(class, _)| *class == wait.class) {
            Some((_, n)) => *n += u64::from(wait.n),
            None => waits.push((wait.class.clone(), wait.n.into())),
        }
    }
    waits.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mean = |n: u64| n as f64 / n_seconds as f64;
    waits.into_iter().map(|(class, n)| (class, mean(n))).collect()
}

/// The classes of things that sessions waited for in any of these seconds, the most frequent first.
pub fn classes(seconds: &[SecondRecord]) -> Vec<String> {
    waits(seconds).into_iter().map(|(class, _)| class).collect()
}

/// What the server did in one level, as a page shows it.
#[derive(Clone, Debug)]
pub struct ServerRow {
    pub level: String,
    pub hit_share: Figure,
    pub blocks_read: Figure,
    pub rows_read: Figure,
    pub rows_written: Figure,
    pub wal_per_s: Figure,
    pub wal_per_transaction: Figure,
    pub cpu_cores: Figure,
    pub cpu_per_transaction: Figure,
    pub read_per_s: Figure,
    pub written_per_s: Figure,
    pub temp: Figure,
    pub deadlocks: Figure,
    pub rollbacks: Figure,
    /// `Lock 3.20, IO 1.10`: sessions on average.
    pub waits: String,
}

impl From<&ServerNumbers> for ServerRow {
    fn from(numbers: &ServerNumbers) -> Self {
        let count = |n: Option<i64>| figures::rate(number(n));
        let waits = numbers.waits.iter();
        let waits = waits.map(|(class, n)| format!("{class} {}", crate::model::units::three_digits(*n)));
        Self {
            level: numbers.level.clone(),
            hit_share: figures::share(numbers.hit_share),
            blocks_read: count(numbers.blocks_read),
            rows_read: figures::rate(numbers.rows_read_per_s),
            rows_written: figures::rate(numbers.rows_written_per_s),
            wal_per_s: figures::bytes(numbers.wal_bytes_per_s),
            wal_per_transaction: figures::bytes(numbers.wal_bytes_per_transaction),
            cpu_cores: figures::rate(numbers.cpu_cores),
            cpu_per_transaction: figures::time_with_unit(numbers.cpu_ms_per_transaction),
            read_per_s: figures::bytes(numbers.read_bytes_per_s),
            written_per_s: figures::bytes(numbers.written_bytes_per_s),
            temp: figures::bytes(number(numbers.temp_bytes)),
            deadlocks: count(numbers.deadlocks),
            rollbacks: count(numbers.rollbacks),
            waits: waits.collect::<Vec<String>>().join(", "),
        }
    }
}

/// Every level during which the server was seen, as pages show it.
pub fn rows(data: &BenchmarkData) -> Vec<ServerRow> {
    numbers(data).iter().map(ServerRow::from).collect()
}
