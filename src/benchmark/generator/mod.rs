//! Makes load: the clients of one level, or of one share of it, on threads of their own, and counts what comes of it.
//!
//! What a client does for a transaction takes no lock, and no memory that it has not got already. Transactions that take
//! longer than the level are in no number but those of [`LevelReport::n_late`] and [`LevelReport::n_cut`].

mod alarm;
mod client;
mod control;
mod cpu;
mod crew;
mod errors;
mod gaps;
mod merge;
mod pace;
mod plan;
mod recorder;
mod report;
mod sheet;
#[cfg(test)]
mod tests;
mod timeline;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::benchmark::generator::control::Control;
use crate::benchmark::generator::crew::Begin;
use crate::benchmark::generator::crew::Orders;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::merge::Merger;
use crate::benchmark::generator::plan::Prepared;
use crate::benchmark::generator::recorder::ThreadReport;
use crate::target::wire::Dial;

pub use self::plan::LevelPlan;
pub use self::plan::Weighted;
pub use self::report::Ended;
pub use self::report::LevelReport;
pub use self::report::SecondReport;

/// Why a level could not be run.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    #[error("No client could connect: {0}")]
    NoConnection(String),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// Clients that are connected and wait for the word to begin. Dropped, they go.
pub struct Ready {
    prepared: Arc<Prepared>,
    control: Arc<Control>,
    crews: Vec<ReadyCrew>,
    seconds: mpsc::Receiver<SecondReport>,
    n_connected: u32,
    /// Its part of the level's rate, 0 to 1.
    part: f64,
}

struct ReadyCrew {
    n_connected: u32,
    begin: oneshot::Sender<Begin>,
    done: oneshot::Receiver<ThreadReport>,
}

/// Connects all clients of a level. Those that are refused are left out and counted; without any there is no level.
/// Dropped, it ends at once.
pub async fn connect(dial: Dial, plan: LevelPlan) -> Result<Ready, GeneratorError> {
    let prepared = Arc::new(Prepared::new(plan));
    let plan = &prepared.plan;
    let control = Arc::new(Control::new(prepared.timeline.end(), plan.max_errors));
    let dial = Arc::new(dial);
    let n_threads = n_threads(plan.n_clients);
    // Room for all that every thread will send, so that none ever waits; it is taken as it is used.
    let n_seconds = prepared
        .timeline
        .n_seconds()
        .saturating_add(1)
        .saturating_mul(n_threads as usize);
    let (send_second, seconds) = mpsc::channel(n_seconds.clamp(1, tokio::sync::Semaphore::MAX_PERMITS));
    let mut mustering = Vec::new();
    for thread_idx in 0..n_threads {
        let (send_muster, muster) = oneshot::channel();
        let (send_begin, begin) = oneshot::channel();
        let (send_done, done) = oneshot::channel();
        let bound = |idx: u32| {
            let offset = u64::from(plan.n_clients) * u64::from(idx) / u64::from(n_threads);
            plan.first_client + u32::try_from(offset).expect("no more than there are clients")
        };
        let orders = Orders {
            dial: Arc::clone(&dial),
            prepared: Arc::clone(&prepared),
            control: Arc::clone(&control),
            client_ids: bound(thread_idx)..bound(thread_idx + 1),
            seconds: send_second.clone(),
            ready: send_muster,
            begin,
            done: send_done,
        };
        std::thread::Builder::new()
            .name(format!("load {thread_idx}"))
            .spawn(move || {
                if let Err(error) = crew::run(orders) {
                    tracing::error!("A thread that makes load ended: {error}");
                }
            })
            .context("starting a thread that makes load")?;
        mustering.push((muster, send_begin, done));
    }
    let mut crews = Vec::new();
    let mut errors = Errors::default();
    for (muster, begin, done) in mustering {
        let muster = muster.await.context("connecting clients")?;
        errors.merge(&muster.errors);
        crews.push(ReadyCrew {
            n_connected: muster.n_connected,
            begin,
            done,
        });
    }
    let n_connected = crews.iter().map(|crew| crew.n_connected).sum();
    if n_connected == 0 {
        let why = errors.first().map(|error| error.example.clone());
        return Err(GeneratorError::NoConnection(
            why.unwrap_or_else(|| "there are none".to_owned()),
        ));
    }
    Ok(Ready {
        prepared,
        control,
        crews,
        seconds,
        n_connected,
        part: 1.0,
    })
}

impl Ready {
    /// Clients that are connected.
    pub fn n_connected(&self) -> u32 {
        self.n_connected
    }

    /// The same as a share of a level by so many connected clients in all: a rate is split among them.
    pub fn among(mut self, n_connected_in_all: u32) -> Self {
        self.part = f64::from(self.n_connected) / f64::from(n_connected_in_all.max(self.n_connected));
        self
    }

    /// Makes load from `at` on. Seconds are sent as they end; where they are not taken they wait, and the load does not.
    ///
    /// After `stop` it returns within a second, or when the seconds have been taken. Where nobody takes them any more, and
    /// where it is dropped, the level is stopped.
    pub async fn run(
        mut self,
        at: Instant,
        stop: CancellationToken,
        seconds: mpsc::Sender<SecondReport>,
    ) -> Result<LevelReport, GeneratorError> {
        self.control.set_n_clients(self.n_connected);
        let stop = stop.child_token();
        let stop_if_dropped = stop.clone().drop_guard();
        let mut merger = Merger::new(self.crews.len());
        let mut reports = Vec::new();
        for crew in self.crews {
            let begin = Begin {
                at,
                share: self.part * f64::from(crew.n_connected) / f64::from(self.n_connected),
                stop: stop.clone(),
            };
            crew.begin.send(begin).ok().context("beginning to make load")?;
            reports.push(crew.done);
        }
        while let Some(second) = self.seconds.recv().await {
            for second in merger.add(second) {
                if seconds.send(second).await.is_err() {
                    stop.cancel();
                }
            }
        }
        for second in merger.rest() {
            // Whoever does not listen has stopped it.
            let _ = seconds.send(second).await;
        }
        let mut threads = Vec::new();
        for report in reports {
            threads.push(report.await.context("waiting for a thread that makes load")?);
        }
        drop(stop_if_dropped);
        Ok(merger.finish(&threads, &self.prepared, &self.control))
    }
}

/// One for each processor, and none without clients.
fn n_threads(n_clients: u32) -> u32 {
    let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
    n_clients.min(u32::try_from(n_processors).unwrap_or(u32::MAX))
}
