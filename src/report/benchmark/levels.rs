//! The table of levels: exact numbers for files, and the same as figures for pages.

use chrono::DateTime;
use chrono::Utc;

use crate::analysis::change::Reading;
use crate::analysis::sweep;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::Pace;
use crate::model::benchmark::Totals;
use crate::model::units::ms_in_words;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::figures;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::table::Figure;

/// The numbers of one level.
#[derive(Clone, Debug)]
pub struct LevelNumbers {
    pub level_idx: i32,
    pub label: String,
    pub n_clients: u32,
    pub source: Option<String>,
    /// Which attempt counts, from 1.
    pub attempt: i32,
    pub status: LevelStatus,
    pub started_at: DateTime<Utc>,
    pub measured_ms: Option<f64>,
    pub totals: Totals,
    pub n_unfinished: u64,
    pub throughput: Option<f64>,
    /// Of 95 percent; none where the seconds are too few for it.
    pub throughput_interval: Option<(f64, f64)>,
    pub mean_ms: Option<f64>,
    pub sd_ms: Option<f64>,
    pub min_ms: Option<f64>,
    /// As the reader chose them, in that order.
    pub percentiles_ms: Vec<Option<f64>>,
    pub max_ms: Option<f64>,
    /// 0 to 1: of the transactions that ended, and of those that were due.
    pub failed_share: Option<f64>,
    pub skipped_share: Option<f64>,
    pub lag_mean_ms: Option<f64>,
    pub lag_max_ms: Option<f64>,
    pub connect_mean_ms: Option<f64>,
    pub connect_max_ms: Option<f64>,
    pub n_reconnects: u64,
    /// 0 to 1.
    pub generator_load: Option<f64>,
    pub is_generator_limited: bool,
    /// Whether it keeps to the objective; none where there is none.
    pub is_met: Option<bool>,
    /// What a reader must know of it, in sentences.
    pub remarks: Vec<String>,
}

/// The numbers of every level that counts.
pub fn numbers(data: &BenchmarkData, percentiles: &Percentiles) -> Vec<LevelNumbers> {
    let of_level = |level| LevelNumbers::new(data, level, percentiles);
    data.levels.iter().map(of_level).collect()
}

impl LevelNumbers {
    fn new(data: &BenchmarkData, level: &LevelData, percentiles: &Percentiles) -> Self {
        let (record, latencies) = (&level.record, &level.latencies);
        let (totals, notes) = (record.totals, &record.notes);
        let attempts = data.attempts.iter();
        let n_attempts = attempts
            .filter(|attempt| attempt.level.level_idx == record.level.level_idx)
            .count();
        let percentile_ms = |percentile: &f64| latencies.percentile_ms(*percentile);
        let objective = data.benchmark.spec.objective;
        Self {
            level_idx: record.level.level_idx,
            label: level.label(),
            n_clients: record.level.n_clients,
            source: level.source.clone(),
            attempt: record.attempt,
            status: record.status,
            started_at: record.started_at,
            measured_ms: record.measured_ms,
            totals,
            n_unfinished: notes.n_unfinished,
            throughput: record.throughput(),
            throughput_interval: throughput(level).and_then(|reading| reading.interval()),
            mean_ms: latencies.mean_ms(),
            sd_ms: latencies.sd_ms(),
            min_ms: latencies.min_ms(),
            percentiles_ms: percentiles.as_slice().iter().map(percentile_ms).collect(),
            max_ms: latencies.max_ms(),
            failed_share: totals.failed_share(),
            skipped_share: skipped_share(totals),
            lag_mean_ms: notes.lag_mean_ms,
            lag_max_ms: notes.lag_max_ms,
            connect_mean_ms: notes.connect_mean_ms,
            connect_max_ms: notes.connect_max_ms,
            n_reconnects: notes.n_reconnects,
            generator_load: notes.generator_load,
            is_generator_limited: notes.is_generator_limited,
            is_met: objective.map(|objective| sweep::meets(objective, record)),
            remarks: remarks(data, level, n_attempts),
        }
    }
}

/// The throughput of a level over its seconds, with how sure it is.
pub fn throughput(level: &LevelData) -> Option<Reading> {
    let seconds = level.seconds.iter();
    Reading::throughput(seconds.map(|second| (second.totals.n_transactions, second.span_ms)))
}

/// Skipped ones among all that were due; none where none was.
fn skipped_share(totals: Totals) -> Option<f64> {
    let n_due = totals.n_transactions + totals.n_failed + totals.n_skipped;
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    (n_due > 0).then(|| totals.n_skipped as f64 / n_due as f64)
}

fn remarks(data: &BenchmarkData, level: &LevelData, n_attempts: usize) -> Vec<String> {
    let (record, notes) = (&level.record, &level.record.notes);
    let mut remarks = notes.remarks.clone();
    if record.status == LevelStatus::Stopped {
        remarks.push("It was stopped before its time was up; what it had measured until then counts.".to_owned());
    }
    if n_attempts > 1 {
        remarks.push(format!(
            "This is attempt {} of {n_attempts}; the others do not count.",
            record.attempt
        ));
    }
    if notes.is_generator_limited {
        remarks.push(
            "pgassay itself was the limit, not the server: its busiest thread had no time left. The server could do more."
                .to_owned(),
        );
    }
    if notes.statistics_moved {
        remarks.push("The planner's statistics changed while it ran.".to_owned());
    }
    remarks.extend(without_server(record));
    if level.latencies.n_above_an_hour() > 0 {
        remarks.push("Some transactions took more than an hour; in percentiles they count as an hour.".to_owned());
    }
    if let Pace::Rate { per_s, .. } = data.benchmark.spec.pace
        && record.throughput().is_some_and(|throughput| throughput < 0.95 * per_s)
    {
        remarks.push(format!(
            "It did not keep the rate of {per_s} transactions a second that was asked for."
        ));
    }
    remarks
}

/// When clients had no server; none where they always had one.
fn without_server(record: &LevelRecord) -> Option<String> {
    let gaps = &record.notes.gaps;
    let last = gaps.last()?;
    let end_ms = record.measured_ms.unwrap_or(last.from_ms);
    let lengths = gaps.iter().map(|gap| gap.to_ms.unwrap_or(end_ms) - gap.from_ms);
    let in_all = ms_in_words(lengths.sum::<f64>().max(0.0));
    let how_often = match gaps.len() {
        1 => "There was no server for a while".to_owned(),
        n => format!("{n} times there was no server for a while"),
    };
    let until = match last.to_ms {
        None if gaps.len() == 1 => ", until its end",
        None => ", the last time until its end",
        Some(_) => "",
    };
    Some(format!(
        "{how_often}{until}: {in_all} in all, which count as time of the level."
    ))
}

/// One level as a page shows it.
#[derive(Clone, Debug)]
pub struct LevelRow {
    pub label: String,
    pub n_clients: u32,
    pub source: Option<String>,
    /// `finished`, `stopped`.
    pub status: &'static str,
    pub operations: Figure,
    pub throughput: Figure,
    pub throughput_interval: Figure,
    pub mean: Figure,
    pub sd: Figure,
    pub min: Figure,
    /// As the reader chose them, in that order.
    pub percentiles: Vec<Figure>,
    pub max: Figure,
    pub errors: Figure,
    pub error_rate: Figure,
    pub retries: Figure,
    pub skipped: Figure,
    pub skipped_rate: Figure,
    pub lag_mean: Figure,
    pub lag_max: Figure,
    pub connect_mean: Figure,
    pub generator_load: Figure,
    pub is_met: Option<bool>,
    pub remarks: Vec<String>,
}

impl From<&LevelNumbers> for LevelRow {
    fn from(numbers: &LevelNumbers) -> Self {
        Self {
            label: numbers.label.clone(),
            n_clients: numbers.n_clients,
            source: numbers.source.clone(),
            status: numbers.status.word(),
            operations: figures::count(numbers.totals.n_transactions),
            throughput: figures::rate(numbers.throughput),
            throughput_interval: figures::rates(numbers.throughput_interval),
            mean: figures::time(numbers.mean_ms),
            sd: figures::time(numbers.sd_ms),
            min: figures::time(numbers.min_ms),
            percentiles: numbers.percentiles_ms.iter().map(|ms| figures::time(*ms)).collect(),
            max: figures::time(numbers.max_ms),
            errors: figures::count(numbers.totals.n_failed),
            error_rate: figures::share(numbers.failed_share),
            retries: figures::count(numbers.totals.n_retries),
            skipped: figures::count(numbers.totals.n_skipped),
            skipped_rate: figures::share(numbers.skipped_share),
            lag_mean: figures::time(numbers.lag_mean_ms),
            lag_max: figures::time(numbers.lag_max_ms),
            connect_mean: figures::time(numbers.connect_mean_ms),
            generator_load: figures::share(numbers.generator_load),
            is_met: numbers.is_met,
            remarks: numbers.remarks.clone(),
        }
    }
}

/// Every level that counts, as pages show it.
pub fn rows(data: &BenchmarkData, percentiles: &Percentiles) -> Vec<LevelRow> {
    numbers(data, percentiles).iter().map(LevelRow::from).collect()
}
