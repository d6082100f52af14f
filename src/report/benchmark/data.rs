//! Everything that is stored of one benchmark, read once for a page, a chart or a file.

use anyhow::Context as _;
use sqlx::PgConnection;

use crate::analysis::latency::Latencies;
use crate::analysis::sweep;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::ErrorCount;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::model::benchmark::StatementRecord;
use crate::model::ids::BenchmarkId;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::store;

/// What is stored.
#[derive(Clone, Debug)]
pub struct BenchmarkData {
    pub benchmark: Benchmark,
    /// Every attempt at every level, in their order.
    pub attempts: Vec<LevelRecord>,
    /// The levels of which an attempt counts, in the order in which they ran.
    pub levels: Vec<LevelData>,
    /// The seconds of all attempts in the order in which they passed, warm-up included; each once, whoever saw it. Read in
    /// short, they have no latencies.
    pub seconds: Vec<SecondRecord>,
}

/// How much of a benchmark is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Whole,
    /// Without the latencies of single seconds, which take longer than all else, and of which few pages show anything.
    InShort,
}

/// One level by the attempt that counts: the last that finished or was stopped.
#[derive(Clone, Debug)]
pub struct LevelData {
    pub record: LevelRecord,
    /// The label of its source; none where the benchmark has no sources.
    pub source: Option<String>,
    pub latencies: Latencies,
    /// What is measured, without the warm-up.
    pub seconds: Vec<SecondRecord>,
    pub statements: Vec<StatementRecord>,
}

impl LevelData {
    /// `20 clients`, or `20 clients under none`.
    pub fn label(&self) -> String {
        label(self.record.level.n_clients, self.source.as_deref())
    }

    /// What makes it the same level in another benchmark.
    pub fn key(&self) -> (u32, Option<&str>) {
        (self.record.level.n_clients, self.source.as_deref())
    }
}

/// `20 clients`, or `20 clients under none`.
pub fn label(n_clients: u32, source: Option<&str>) -> String {
    let clients = counted(n_clients.into(), "client", "clients");
    match source {
        Some(source) => format!("{clients} under {source}"),
        None => clients,
    }
}

impl BenchmarkData {
    /// Reads all of it; none when there is no such benchmark for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> anyhow::Result<Option<Self>> {
        Self::load_with(conn, viewer, id, Detail::Whole).await
    }

    /// Reads as much as is asked for.
    pub async fn load_with(
        conn: &mut PgConnection,
        viewer: Viewer,
        id: BenchmarkId,
        detail: Detail,
    ) -> anyhow::Result<Option<Self>> {
        let Some(benchmark) = store::benchmarks::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        let attempts = store::levels::list(&mut *conn, viewer, id).await?;
        let seconds = match detail {
            Detail::Whole => store::levels::list_seconds(&mut *conn, viewer, id).await?,
            Detail::InShort => store::levels::list_seconds_in_short(&mut *conn, viewer, id).await?,
        };
        let statements = store::levels::list_statements(&mut *conn, viewer, id).await?;
        Self::new(benchmark, attempts, seconds, &statements).map(Some)
    }

    /// Puts the stored pieces together.
    fn new(
        benchmark: Benchmark,
        attempts: Vec<LevelRecord>,
        seconds: Vec<SecondRecord>,
        statements: &[StatementRecord],
    ) -> anyhow::Result<Self> {
        let seconds = merge_shares(seconds)?;
        let levels = sweep::counted(&attempts).into_iter().map(|record| {
            let (level_idx, attempt) = (record.level.level_idx, record.attempt);
            Ok(LevelData {
                source: benchmark.spec.source_label(record.level.source_idx).map(str::to_owned),
                latencies: latencies(record.latencies.as_deref())?,
                seconds: seconds
                    .iter()
                    .filter(|second| (second.level_idx, second.attempt) == (level_idx, attempt))
                    .filter(|second| second.second_idx >= 0)
                    .cloned()
                    .collect(),
                statements: statements
                    .iter()
                    .filter(|statement| (statement.level_idx, statement.attempt) == (level_idx, attempt))
                    .cloned()
                    .collect(),
                record: record.clone(),
            })
        });
        Ok(Self {
            levels: levels.collect::<anyhow::Result<Vec<LevelData>>>()?,
            benchmark,
            attempts,
            seconds,
        })
    }

    /// The level in this place of the order, if an attempt at it counts.
    pub fn level(&self, level_idx: i32) -> Option<&LevelData> {
        self.levels
            .iter()
            .find(|level| level.record.level.level_idx == level_idx)
    }

    /// What became of the levels that have no attempt that counts, in sentences.
    pub fn uncounted(&self) -> Vec<String> {
        let of_levels = self.attempts.chunk_by(|a, b| a.level.level_idx == b.level.level_idx);
        of_levels
            .filter_map(|attempts| {
                let last = attempts.last()?;
                let label = label(
                    last.level.n_clients,
                    self.benchmark.spec.source_label(last.level.source_idx),
                );
                let said = last.notes.remarks.join(" ");
                let is_counted = attempts.iter().any(|attempt| sweep::counts(attempt.status));
                (!is_counted).then(|| format!("{label}: {}. {said}", last.status.word()).trim().to_owned())
            })
            .collect()
    }
}

/// What stored bytes say; nothing where there are none yet.
pub fn latencies(bytes: Option<&[u8]>) -> anyhow::Result<Latencies> {
    let latencies = bytes.map_or_else(|| Ok(Latencies::new()), Latencies::from_bytes);
    latencies.context("reading stored latencies")
}

/// Newest seconds that are not shown until every worker has sent them.
const MOST_HELD_BACK: i32 = 3;

/// Seconds by which it is told how many workers send: the newest, and as many before.
pub const SECONDS_TOLD_BY: i32 = 2 * MOST_HELD_BACK;

/// Seconds of a level that runs without the newest of them, where fewer workers have sent those than others shortly before:
/// half of a second would pass for a slow one. A worker that sends nothing any more holds back no more than a few. The
/// records come as the store lists them.
pub fn sent_by_all(mut seconds: Vec<SecondRecord>) -> Vec<SecondRecord> {
    let key = |second: &SecondRecord| (second.level_idx, second.attempt, second.second_idx);
    let counts: Vec<usize> = seconds.chunk_by(|a, b| key(a) == key(b)).map(<[_]>::len).collect();
    let recent = counts.iter().rev().take(SECONDS_TOLD_BY.unsigned_abs() as usize);
    let n_workers = recent.copied().max().unwrap_or(0);
    let held_back = counts
        .iter()
        .rev()
        .take(MOST_HELD_BACK.unsigned_abs() as usize)
        .take_while(|n| **n < n_workers);
    let n_held_back: usize = held_back.sum();
    seconds.truncate(seconds.len() - n_held_back);
    seconds
}

/// Makes one of what several workers did in the same second. The records come as the store lists them.
pub fn merge_shares(seconds: Vec<SecondRecord>) -> anyhow::Result<Vec<SecondRecord>> {
    let mut merged: Vec<SecondRecord> = Vec::with_capacity(seconds.len());
    for second in seconds {
        let key = |second: &SecondRecord| (second.level_idx, second.attempt, second.second_idx);
        match merged.last_mut().filter(|last| key(last) == key(&second)) {
            Some(last) => add_share(last, second)?,
            None => merged.push(second),
        }
    }
    Ok(merged)
}

fn add_share(whole: &mut SecondRecord, share: SecondRecord) -> anyhow::Result<()> {
    if !whole.latencies.is_empty() {
        let mut together = latencies(Some(&whole.latencies))?;
        together.merge(&latencies(Some(&share.latencies))?);
        whole.latencies = together.to_bytes();
    }
    whole.started_at = whole.started_at.min(share.started_at);
    whole.span_ms = whole.span_ms.max(share.span_ms);
    whole.totals += share.totals;
    whole.n_connected += share.n_connected;
    whole.generator_cpu_ms += share.generator_cpu_ms;
    for error in share.errors {
        add_errors(&mut whole.errors, error);
    }
    // Whoever saw the server saw all of it.
    whole.server = whole.server.take().or(share.server);
    Ok(())
}

/// Counts errors to those of the same kind.
fn add_errors(errors: &mut Vec<ErrorCount>, more: ErrorCount) {
    match errors.iter_mut().find(|error| error.sqlstate == more.sqlstate) {
        Some(error) => error.n += more.n,
        None => errors.push(more),
    }
}

/// What the server did in the seconds in which it was seen, each with its length in milliseconds.
pub fn seen(seconds: &[SecondRecord]) -> impl Iterator<Item = (f64, &ServerSecond)> {
    seconds
        .iter()
        .filter_map(|second| Some((second.span_ms, second.server.as_ref()?)))
}
