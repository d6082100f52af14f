//! Looking at a benchmark once a second: what is read again, what is kept from the look before, and what is said of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sqlx::PgConnection;
use sqlx::PgPool;

use super::Frame;
use super::LevelRow;
use super::LiveView;
use super::SecondRow;
use super::Tile;
use super::picture;
use super::picture::Picture;
use super::picture::Series;
use super::seconds;
use super::seconds::Second;
use super::seconds::Stretch;
use super::seconds::Times;
use crate::analysis::sweep::percent_in_words;
use crate::benchmark::progress;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::ids::BenchmarkId;
use crate::model::job::Interrupted;
use crate::model::job::JobStatus;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::model::units::seconds_in_words;
use crate::model::user::Viewer;
use crate::report::benchmark::data::label;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::data::merge_shares;
use crate::report::benchmark::data::sent_by_all;
use crate::store;
use crate::web::pages::queue;
use crate::web::view;

/// Seconds that are kept: what charts go back, and a little.
const KEPT: usize = 320;
/// How far back is read at first from the newest second that there is, and later from the newest that is known: workers report
/// a second at different moments. In seconds; half of one lies between two.
const FIRST_S: f64 = 319.5;
const LAST_S: f64 = 14.5;
/// Seconds that the tiles are over.
const TILE_SECONDS: usize = 5;
/// Seconds in the table.
const ROWS: usize = 30;

/// What is known of a benchmark from the looks before.
pub struct Look {
    viewer: Viewer,
    id: BenchmarkId,
    seconds: BTreeMap<Place, Second>,
    /// By level and attempt. What is over never changes.
    over: BTreeMap<(i32, i32), LevelRow>,
}

/// A second's place in time: level, attempt, second.
type Place = (i32, i32, i32);

fn place(record: &SecondRecord) -> Place {
    (record.level_idx, record.attempt, record.second_idx)
}

/// What the store says at one moment.
struct Read {
    benchmark: Benchmark,
    waiting: String,
    records: Vec<LevelRecord>,
    last: Vec<SecondRecord>,
    interruptions: Vec<Interrupted>,
}

impl Look {
    pub fn new(viewer: Viewer, id: BenchmarkId) -> Self {
        Self {
            viewer,
            id,
            seconds: BTreeMap::new(),
            over: BTreeMap::new(),
        }
    }

    /// Looks once; none when there is no such benchmark.
    pub async fn frame(&mut self, pool: &PgPool) -> anyhow::Result<Option<Frame>> {
        let read = {
            let mut conn = pool.acquire().await?;
            self.read(&mut conn).await?
        };
        let Some(read) = read else { return Ok(None) };
        self.keep(&read)?;
        let view = self.view(&read)?;
        Ok(Some(Frame::new(title(self.id, &view), &view)?))
    }

    async fn read(&self, conn: &mut PgConnection) -> anyhow::Result<Option<Read>> {
        let (viewer, id) = (self.viewer, self.id);
        let Some(benchmark) = store::benchmarks::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        let waiting = match benchmark.job.status {
            JobStatus::Queued => {
                let jobs = store::jobs::list_unsettled(&mut *conn, viewer, Some(benchmark.job.id)).await?;
                queue::waits_for(&jobs, benchmark.job.id)
            }
            _ => String::new(),
        };
        let records = store::levels::list(&mut *conn, viewer, id).await?;
        // What waited while the store was away comes late, and all at once.
        let newest = self.seconds.values().map(|second| second.started_at).max();
        let span_s = newest.map_or(FIRST_S, |_| LAST_S);
        let last = store::levels::list_last_seconds(&mut *conn, viewer, id, newest, span_s).await?;
        let is_running = records.iter().any(|record| record.status == LevelStatus::Running);
        let last = merge_shares(if is_running { sent_by_all(last) } else { last })?;
        let interruptions = store::jobs::list_interruptions(conn, viewer, benchmark.job.id).await?;
        Ok(Some(Read {
            benchmark,
            waiting,
            records,
            last,
            interruptions,
        }))
    }

    /// Takes over what is new.
    fn keep(&mut self, read: &Read) -> anyhow::Result<()> {
        for record in &read.last {
            // Read again, because the share of another worker may have come.
            self.seconds.insert(place(record), Second::new(record)?);
        }
        while self.seconds.len() > KEPT {
            self.seconds.pop_first();
        }
        for record in read
            .records
            .iter()
            .filter(|record| record.status != LevelStatus::Running)
        {
            if let Entry::Vacant(entry) = self.over.entry((record.level.level_idx, record.attempt)) {
                entry.insert(level_row(&read.benchmark.spec, record)?);
            }
        }
        Ok(())
    }

    fn view(&self, read: &Read) -> anyhow::Result<LiveView> {
        let Read {
            benchmark,
            waiting,
            records,
            last,
            interruptions,
        } = read;
        let (job, spec) = (&benchmark.job, &benchmark.spec);
        let running = records.iter().rfind(|record| record.status == LevelStatus::Running);
        let newest = last.last();
        let is_of_it = newest.zip(running).is_some_and(|(newest, running)| {
            (newest.level_idx, newest.attempt) == (running.level.level_idx, running.attempt)
        });
        let stretch = seconds::last_stretch(last, TILE_SECONDS)?.filter(|_| is_of_it);
        let is_warm_up = newest.is_some_and(|record| record.second_idx < 0);
        let left_ms = progress::left_ms(spec, records, job.read_at);
        let is_running = job.status == JobStatus::Running;
        let seconds: Vec<Second> = self.seconds.values().cloned().collect();
        Ok(LiveView {
            is_settled: job.status.is_settled(),
            status: job.status.word(),
            class: view::status_class(job.status),
            is_stopping: job.cancel_requested && is_running,
            waiting: waiting.clone(),
            stage: match running {
                Some(record) => level_in_hand(spec, record),
                None => job.stage.clone(),
            },
            detail: match running {
                Some(_) => String::new(),
                None => job.progress.detail.clone(),
            },
            percent: match running {
                Some(_) => view::percent(spec.running_ms().saturating_sub(left_ms), spec.running_ms()),
                None => view::percent(job.progress.done, job.progress.total),
            },
            elapsed: job.elapsed_s().map(seconds_in_words).unwrap_or_default(),
            left: if is_running { in_words(left_ms) } else { String::new() },
            over: stretch
                .as_ref()
                .map(|stretch| over_what(stretch, is_warm_up))
                .unwrap_or_default(),
            tiles: stretch.as_ref().map(tiles).unwrap_or_default(),
            pictures: pictures(spec, &seconds),
            seconds: seconds
                .iter()
                .rev()
                .take(ROWS)
                .map(|second| second_row(spec, second))
                .collect(),
            levels: self.over.values().cloned().collect(),
            interruptions: interruptions.iter().map(Interrupted::in_words).collect(),
        })
    }
}

/// What stands in the tab: the state, the level and what is left.
fn title(id: BenchmarkId, view: &LiveView) -> String {
    let mut parts = vec![view.status.to_owned()];
    if view.waiting.is_empty() && !view.is_settled {
        parts.push(view.stage.clone());
        if !view.left.is_empty() {
            parts.push(format!("{} left", view.left));
        }
    }
    format!("{}: benchmark {id}", parts.join(", "))
}

fn in_words(ms: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown in two digits")]
    let seconds = ms as f64 / 1000.0;
    seconds_in_words(seconds)
}

/// `level 2 of 3: 4 clients under none`.
fn level_in_hand(spec: &BenchmarkSpec, record: &LevelRecord) -> String {
    let n_levels = spec.levels().len();
    format!(
        "level {} of {n_levels}: {}",
        record.level.level_idx + 1,
        level_in_words(spec, record.level, record.attempt)
    )
}

/// `4 clients under none, attempt 2`.
fn level_in_words(spec: &BenchmarkSpec, level: Level, attempt: i32) -> String {
    let mut words = label(level.n_clients, spec.source_label(level.source_idx));
    if attempt > 1 {
        words.extend([", attempt ", &attempt.to_string()]);
    }
    words
}

fn over_what(stretch: &Stretch, is_warm_up: bool) -> String {
    let seconds = match stretch.n_seconds {
        1 => "Over the last second".to_owned(),
        n => format!("Over the last {n} seconds"),
    };
    if is_warm_up {
        format!("{seconds} of the warm-up, which does not count")
    } else {
        format!("{seconds} of the level that runs")
    }
}

fn tiles(stretch: &Stretch) -> Vec<Tile> {
    let time = |name, value: fn(&Times) -> f64| Tile {
        name,
        value: stretch
            .times
            .as_ref()
            .map_or_else(none, |times| ms_in_words(value(times))),
        unit: "",
    };
    vec![
        Tile {
            name: "Throughput",
            value: rate_in_words(stretch.throughput),
            unit: "a second",
        },
        time("Mean latency", |times| times.mean_ms),
        time("p95", |times| times.p95_ms),
        time("p99", |times| times.p99_ms),
        Tile {
            name: "Errors",
            value: match stretch.failed_share {
                Some(share) => percent_in_words(share),
                None => none(),
            },
            unit: "",
        },
    ]
}

fn none() -> String {
    "–".to_owned()
}

fn pictures(spec: &BenchmarkSpec, seconds: &[Second]) -> Vec<Picture> {
    const THROUGHPUT: [Series; 1] = [Series {
        name: "Transactions",
        class: "l0",
        value: |second| Some(second.throughput()),
    }];
    const LATENCIES: [Series; 3] = [
        Series {
            name: "p50",
            class: "l0",
            value: |second| second.times.map(|times| times.p50_ms),
        },
        Series {
            name: "p95",
            class: "l1",
            value: |second| second.times.map(|times| times.p95_ms),
        },
        Series {
            name: "p99",
            class: "l2",
            value: |second| second.times.map(|times| times.p99_ms),
        },
    ];
    const FAILURES: [Series; 1] = [Series {
        name: "Failed",
        class: "l2",
        value: |second| Some(second.failures()),
    }];
    let levels = spec.levels();
    let level = |second: &Second| {
        let place = usize::try_from(second.level_idx).ok();
        let level = place.and_then(|idx| levels.get(idx));
        level
            .map(|level| level_in_words(spec, *level, second.attempt))
            .unwrap_or_default()
    };
    let charts = [
        picture::picture(
            "Throughput, transactions a second",
            seconds,
            &THROUGHPUT,
            rate_in_words,
            level,
        ),
        picture::picture("Latency", seconds, &LATENCIES, ms_in_words, level),
        picture::picture("Errors a second", seconds, &FAILURES, rate_in_words, level),
    ];
    charts.into_iter().flatten().collect()
}

fn second_row(spec: &BenchmarkSpec, second: &Second) -> SecondRow {
    let time = |value: fn(&Times) -> f64| {
        let times = second.times.as_ref();
        times.map_or_else(none, |times| ms_in_words(value(times)))
    };
    let place = usize::try_from(second.level_idx).ok();
    let level = place.and_then(|idx| spec.levels().get(idx).copied());
    let clients = level.map_or_else(none, |level| grouped(level.n_clients.into()));
    SecondRow {
        time: picture::clock(second.started_at),
        level: if second.second_idx < 0 {
            format!("{clients}, warm-up")
        } else {
            clients
        },
        n_connected: grouped(second.n_connected.into()),
        throughput: rate_in_words(second.throughput()),
        mean: time(|times| times.mean_ms),
        p95: time(|times| times.p95_ms),
        p99: time(|times| times.p99_ms),
        n_failed: grouped(second.totals.n_failed),
        n_retries: grouped(second.totals.n_retries),
        n_skipped: grouped(second.totals.n_skipped),
    }
}

fn level_row(spec: &BenchmarkSpec, record: &LevelRecord) -> anyhow::Result<LevelRow> {
    let times = Times::of(&latencies(record.latencies.as_deref())?);
    let time = |value: fn(&Times) -> f64| times.as_ref().map_or_else(none, |times| ms_in_words(value(times)));
    Ok(LevelRow {
        level: level_in_words(spec, record.level, record.attempt),
        status: record.status.word(),
        class: level_class(record.status),
        n_transactions: grouped(record.totals.n_transactions),
        throughput: record.throughput().map_or_else(none, rate_in_words),
        mean: time(|times| times.mean_ms),
        p95: time(|times| times.p95_ms),
        p99: time(|times| times.p99_ms),
        n_failed: grouped(record.totals.n_failed),
    })
}

/// The class of an attempt's mark.
fn level_class(status: LevelStatus) -> &'static str {
    match status {
        LevelStatus::Running => "running",
        LevelStatus::Finished => "good",
        LevelStatus::Stopped => "stopped",
        LevelStatus::Failed => "bad",
        LevelStatus::Interrupted => "warn",
    }
}
