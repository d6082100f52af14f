//! What changes about the benchmarks of a viewer, once a second: one reader of the store writes it on a board, and any
//! number of listeners read it there. Who is slow misses what was on the board in between, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::PgPool;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::benchmark::progress;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::ids::BenchmarkId;
use crate::model::ids::UserId;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::report::benchmark::data;
use crate::store;
use crate::store::levels::AttemptKey;
use crate::web::api::answers;
use crate::web::api::answers::ResultBody;

/// Half of the connections that the door lets in.
const MOST_LISTENERS: usize = 256;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long a benchmark that has ended stays on the board: longer than any listener may take for a message.
const ENDED_WITHIN_S: f64 = 30.0;
/// So many seconds may still change: several workers do not store the same second at once.
const SECONDS_IN_MOTION: i32 = 5;

/// The boards of all viewers who have listeners.
#[derive(Clone)]
pub struct Updates {
    pool: PgPool,
    shutdown: CancellationToken,
    boards: Arc<Mutex<HashMap<UserId, watch::Receiver<Arc<Board>>>>>,
    room: Arc<Semaphore>,
}

/// The state of every benchmark that is not over, or has not been for long.
#[derive(Debug, Default)]
struct Board {
    /// Grows with every change; 0 before the first look.
    version: u64,
    notes: Vec<Note>,
}

/// The newest message of one benchmark.
#[derive(Clone, Debug)]
struct Note {
    id: BenchmarkId,
    /// Of the board, when this was written.
    version: u64,
    is_settled: bool,
    text: Utf8Bytes,
}

/// Hears of the benchmarks of one viewer.
pub struct Listener {
    board: watch::Receiver<Arc<Board>>,
    /// The version up to which everything is known; none at the beginning.
    known: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl Updates {
    pub fn new(pool: PgPool, shutdown: CancellationToken) -> Self {
        Self {
            pool,
            shutdown,
            boards: Arc::default(),
            room: Arc::new(Semaphore::new(MOST_LISTENERS)),
        }
    }

    /// Starts to listen; none when there are too many listeners already.
    pub fn listen(&self, viewer: Viewer) -> Option<Listener> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = boards.get(&viewer.user_id).filter(|board| board.has_changed().is_ok());
        let mut board = if let Some(board) = kept {
            board.clone()
        } else {
            let (sender, board) = watch::channel(Arc::default());
            boards.insert(viewer.user_id, board.clone());
            tokio::spawn(write(self.clone(), viewer, sender));
            board
        };
        // Whatever stands there is news to whoever has just come.
        board.mark_changed();
        Some(Listener {
            board,
            known: None,
            _place: place,
        })
    }

    /// Takes the board of a viewer away if nobody reads it.
    fn is_unread(&self, viewer: Viewer, sender: &watch::Sender<Arc<Board>>) -> bool {
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        // One receiver is in the list.
        let is_unread = sender.receiver_count() <= 1;
        if is_unread {
            boards.remove(&viewer.user_id);
        }
        is_unread
    }
}

impl Listener {
    /// The next messages: at first one for each benchmark that is not over, then one for each that has changed. None when
    /// there will be no more.
    pub async fn next(&mut self) -> Option<Vec<Utf8Bytes>> {
        loop {
            self.board.changed().await.ok()?;
            let board = Arc::clone(&self.board.borrow_and_update());
            if board.version == 0 {
                continue;
            }
            let is_news = |note: &&Note| match self.known {
                Some(known) => note.version > known,
                None => !note.is_settled,
            };
            let news: Vec<Utf8Bytes> = board
                .notes
                .iter()
                .filter(is_news)
                .map(|note| note.text.clone())
                .collect();
            self.known = Some(board.version);
            if !news.is_empty() {
                return Some(news);
            }
        }
    }
}

/// A listener who has one message to hear, and what keeps its board.
#[cfg(test)]
pub fn with_one_message(text: String) -> (impl Send + 'static, Listener) {
    let note = Note {
        id: BenchmarkId(1),
        version: 1,
        is_settled: false,
        text: text.into(),
    };
    let (sender, mut board) = watch::channel(Arc::new(Board {
        version: 1,
        notes: vec![note],
    }));
    board.mark_changed();
    let room = Arc::new(Semaphore::new(1));
    let listener = Listener {
        board,
        known: None,
        _place: room.try_acquire_owned().unwrap(),
    };
    (sender, listener)
}

/// Keeps a board up to date as long as somebody reads it.
async fn write(updates: Updates, viewer: Viewer, sender: watch::Sender<Arc<Board>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writer = Writer::default();
    loop {
        tokio::select! {
            () = updates.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if updates.is_unread(viewer, &sender) {
            return;
        }
        match writer.look(&updates.pool, viewer).await {
            Ok(notes) => {
                sender.send_if_modified(|board| put_up(board, notes));
            }
            // The next look may see it again; meanwhile nothing changes.
            Err(error) => warn!("Benchmarks could not be looked at for their listeners: {error:#}"),
        }
    }
}

/// What has to be remembered from one look to the next.
#[derive(Default)]
struct Writer {
    tallies: HashMap<BenchmarkId, Tally>,
}

/// The errors of the attempt that runs.
#[derive(Clone, Copy, Default)]
struct Tally {
    /// Level and number of the attempt.
    attempt: (i32, i32),
    /// The last second that is counted in.
    second_idx: i32,
    n_failed: u64,
}

/// What a message says.
#[derive(Serialize)]
struct Message {
    r#type: &'static str,
    benchmark_id: BenchmarkId,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    status: &'static str,
    /// Percent of the time that all levels take.
    progress: f64,
    /// Clients of the level that runs; none when none does.
    current_thread: Option<u32>,
    /// Operations in the last second, and their mean in milliseconds.
    throughput: f64,
    avg_latency: Option<f64>,
    /// Failed operations of all levels so far.
    error_count: u64,
    results: Vec<ResultBody>,
}

impl Writer {
    /// The messages of all current benchmarks, as they are now; versions come later.
    async fn look(&mut self, pool: &PgPool, viewer: Viewer) -> anyhow::Result<Vec<Note>> {
        let mut conn = pool.acquire().await?;
        let benchmarks = store::benchmarks::list_current(&mut conn, viewer, ENDED_WITHIN_S).await?;
        let ids: Vec<BenchmarkId> = benchmarks.iter().map(|benchmark| benchmark.id).collect();
        self.tallies.retain(|id, _| ids.contains(id));
        let levels = store::levels::list_of_several(&mut conn, viewer, &ids).await?;
        let mut notes = Vec::new();
        for benchmark in &benchmarks {
            let own = levels.iter().filter(|(id, _)| *id == benchmark.id);
            let own: Vec<LevelRecord> = own.map(|(_, level)| level.clone()).collect();
            let data = self.data(&mut conn, viewer, benchmark, &own).await?;
            let message = Message {
                r#type: "benchmark_update",
                benchmark_id: benchmark.id,
                data,
            };
            notes.push(Note {
                id: benchmark.id,
                version: 0,
                is_settled: benchmark.job.status.is_settled(),
                text: serde_json::to_string(&message)?.into(),
            });
        }
        Ok(notes)
    }

    async fn data(
        &mut self,
        conn: &mut PgConnection,
        viewer: Viewer,
        benchmark: &Benchmark,
        levels: &[LevelRecord],
    ) -> anyhow::Result<Data> {
        let is_running = benchmark.job.status == JobStatus::Running;
        let running = levels
            .iter()
            .rfind(|level| is_running && level.status == LevelStatus::Running);
        let mut told = Data {
            status: answers::status_word(benchmark.job.status),
            progress: percent(benchmark, levels),
            current_thread: running.map(|level| level.level.n_clients),
            throughput: 0.0,
            avg_latency: None,
            error_count: answers::over(levels).map(|level| level.totals.n_failed).sum(),
            results: answers::results(&benchmark.spec, levels, None)?,
        };
        if let Some(level) = running {
            let tally = self.tallies.entry(benchmark.id).or_default();
            let attempt = (level.level.level_idx, level.attempt);
            if tally.attempt != attempt {
                *tally = Tally {
                    attempt,
                    // The warm-up is shown and not counted.
                    second_idx: i32::MIN,
                    n_failed: 0,
                };
            }
            let key = AttemptKey {
                benchmark_id: benchmark.id,
                level_idx: attempt.0,
                attempt: attempt.1,
            };
            let seconds = store::levels::list_seconds_after(conn, viewer, key, tally.second_idx).await?;
            told.error_count += tally.n_failed + n_failed(&seconds);
            tally.count_in(&seconds);
            if let Some(last) = data::merge_shares(data::sent_by_all(seconds))?.pop() {
                told.throughput = throughput(&last);
                told.avg_latency = data::latencies(Some(&last.latencies))?.mean_ms();
            }
        }
        Ok(told)
    }
}

/// Puts messages on a board, with a new version where they differ from what stands there. Returns whether any does.
fn put_up(board: &mut Arc<Board>, mut notes: Vec<Note>) -> bool {
    let version = board.version + 1;
    for note in &mut notes {
        let is_old = |old: &&Note| old.id == note.id && old.text == note.text;
        note.version = board.notes.iter().find(is_old).map_or(version, |old| old.version);
    }
    let is_news = board.version == 0 || notes.iter().any(|note| note.version == version);
    *board = Arc::new(Board {
        version: if is_news { version } else { board.version },
        notes,
    });
    is_news
}

impl Tally {
    /// Counts seconds in that will not change any more, so that they need not be read again.
    fn count_in(&mut self, seconds: &[SecondRecord]) {
        let Some(last) = seconds.last() else { return };
        let until = last.second_idx.saturating_sub(SECONDS_IN_MOTION);
        let n_still = seconds.partition_point(|second| second.second_idx <= until);
        self.n_failed += n_failed(&seconds[..n_still]);
        self.second_idx = self.second_idx.max(until);
    }
}

/// Failed operations of seconds that are measured.
fn n_failed(seconds: &[SecondRecord]) -> u64 {
    let measured = seconds.iter().filter(|second| second.second_idx >= 0);
    measured.map(|second| second.totals.n_failed).sum()
}

/// Operations a second.
fn throughput(second: &SecondRecord) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let n = second.totals.n_transactions as f64;
    if second.span_ms > 0.0 {
        n * 1000.0 / second.span_ms
    } else {
        0.0
    }
}

/// How much of the time that all levels take has passed.
fn percent(benchmark: &Benchmark, levels: &[LevelRecord]) -> f64 {
    if benchmark.job.status == JobStatus::Completed {
        return 100.0;
    }
    let now = benchmark.job.finished_at.unwrap_or(benchmark.job.read_at);
    let total_ms = benchmark.spec.running_ms().max(1);
    let left_ms = progress::left_ms(&benchmark.spec, levels, now).min(total_ms);
    #[expect(clippy::cast_precision_loss, reason = "rounded to a tenth")]
    let share = (total_ms - left_ms) as f64 / total_ms as f64;
    (share * 1000.0).round() / 10.0
}
