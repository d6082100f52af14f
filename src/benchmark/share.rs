//! Makes the share of a level that this worker is asked for: connects its clients, waits for the word to begin, and sends
//! back what came of it.
//!
//! A share ends by itself when its level does. It ends before, within a second or so, when the worker that asked for it says
//! so, when that worker's lease is held no more, and when this process is told to end.

use std::time::Duration;

use anyhow::Context as _;
use chrono::DateTime;
use chrono::Utc;
use futures_util::FutureExt as _;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::benchmark::generator;
use crate::benchmark::generator::GeneratorError;
use crate::benchmark::generator::LevelReport;
use crate::benchmark::generator::Ready;
use crate::benchmark::generator::SecondReport;
use crate::benchmark::load;
use crate::benchmark::load::Clients;
use crate::benchmark::load::Origin;
use crate::benchmark::programs;
use crate::benchmark::route;
use crate::model::benchmark::ShareState;
use crate::model::benchmark::ShareStatus;
use crate::server::Servers;
use crate::store;
use crate::store::clock::StoreClock;
use crate::store::held;
use crate::store::shares;
use crate::store::shares::Offer;

/// How often a worker looks how its share stands.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Seconds that wait to be stored while the store is away.
const MOST_WAITING: usize = 64;

/// What a share has to say that was told to end with its process.
const LEFT: &str = "Its worker was told to end.";

/// What a share has to say that never began.
const CALLED_OFF: &str = "It was called off before it began.";

/// Makes a share, from the offer to its end, whatever that is.
pub async fn run(pool: &PgPool, servers: &Servers, offer: &Offer, shutdown: &CancellationToken) {
    let key = offer.key;
    let share = Share {
        pool,
        offer,
        shutdown,
        stop: CancellationToken::new(),
    };
    info!(
        benchmark.id = %key.attempt.benchmark_id,
        "Share {} of benchmark {}: {} clients", key.share_idx, key.attempt.benchmark_id, offer.n_clients
    );
    let ended = match share.make(servers).await {
        Ok(None) => share.settle(ShareStatus::Failed, None, Some(CALLED_OFF)).await,
        Ok(Some(report)) => {
            let message = shutdown.is_cancelled().then_some(LEFT);
            share.settle(ShareStatus::Done, Some(&report), message).await
        }
        Err(error) => {
            share
                .settle(ShareStatus::Failed, None, Some(&format!("The reason: {error:#}.")))
                .await
        }
    };
    if let Err(error) = ended {
        warn!("The end of a share could not be recorded: {error:#}");
    }
}

struct Share<'a> {
    pool: &'a PgPool,
    offer: &'a Offer,
    shutdown: &'a CancellationToken,
    /// Ends the load.
    stop: CancellationToken,
}

/// The word to begin.
struct Begin {
    at: DateTime<Utc>,
    n_connected_in_all: u32,
}

impl Share<'_> {
    /// What it came to; none where it is not wanted any more. An `Err` is why it could not be made.
    async fn make(&self, servers: &Servers) -> anyhow::Result<Option<Value>> {
        let Offer {
            key,
            spec,
            first_client,
            n_clients,
            ..
        } = self.offer;
        let programs = programs::read(spec)?;
        let clients = Clients {
            first: *first_client,
            n: *n_clients,
        };
        let dial = route::dial(servers, self.offer).await?;
        let ready = match generator::connect(dial, load::plan(spec, &programs, clients)).await {
            Ok(ready) => ready,
            Err(GeneratorError::NoConnection(why)) => anyhow::bail!("no client could connect: {why}"),
            Err(GeneratorError::Fault(error)) => return Err(error),
        };
        let mut conn = self.pool.acquire().await?;
        let clock = StoreClock::read(&mut conn).await?;
        let error_ms = clock.offset().error_ms;
        let is_wanted = shares::connected(&mut conn, *key, ready.n_connected(), error_ms).await?;
        drop(conn);
        if !is_wanted {
            return Ok(None);
        }
        let Some(begin) = self.word_to_begin().await? else {
            return Ok(None);
        };
        let report = self.load(ready, &begin, clock).await?;
        Ok(Some(
            serde_json::to_value(report).context("writing what a share came to")?,
        ))
    }

    /// Waits for it; none where it will not come.
    async fn word_to_begin(&self) -> anyhow::Result<Option<Begin>> {
        loop {
            let state = self.state().await?;
            let Some(state) = state.filter(|state| self.goes_on(*state)) else {
                return Ok(None);
            };
            if let (Some(at), Some(n_connected_in_all)) = (state.begin_at, state.n_connected_in_all) {
                return Ok(Some(Begin { at, n_connected_in_all }));
            }
            tokio::select! {
                () = self.shutdown.cancelled() => anyhow::bail!("its worker was told to end"),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn goes_on(&self, state: ShareState) -> bool {
        state.is_held && !state.is_stopped && !state.status.is_over() && !self.shutdown.is_cancelled()
    }

    async fn state(&self) -> store::Result<Option<ShareState>> {
        shares::state(&mut *self.pool.acquire().await?, self.offer.key).await
    }

    /// Makes load until it is over, and stores its seconds.
    async fn load(&self, ready: Ready, begin: &Begin, clock: StoreClock) -> anyhow::Result<LevelReport> {
        let origin = Origin {
            key: self.offer.key.attempt,
            share_idx: self.offer.key.share_idx,
            began_at: begin.at,
        };
        let (sender, seconds) = mpsc::channel(MOST_WAITING);
        let ready = ready.among(begin.n_connected_in_all);
        let load = tokio::spawn(ready.run(clock.instant(begin.at), self.stop.clone(), sender));
        let stored = tokio::select! {
            stored = self.store_seconds(origin, seconds) => stored,
            never = self.watch() => match never {},
        };
        if stored.is_err() {
            self.stop.cancel();
        }
        let report = load.await.context("waiting for the generator")?;
        stored?;
        match report {
            Ok(report) => Ok(report),
            Err(GeneratorError::NoConnection(why)) => anyhow::bail!("no client could connect: {why}"),
            Err(GeneratorError::Fault(error)) => Err(error),
        }
    }

    async fn store_seconds(&self, origin: Origin, mut seconds: mpsc::Receiver<SecondReport>) -> anyhow::Result<()> {
        while let Some(second) = seconds.recv().await {
            let second = origin.record(&second, None);
            let store = || {
                async {
                    let mut conn = self.pool.acquire().await?;
                    Ok(shares::record_second(&mut conn, self.offer.key, &second).await?)
                }
                .boxed()
            };
            if !held::patiently(store).await? {
                self.stop.cancel();
            }
        }
        Ok(())
    }

    /// Ends the load when it is not wanted any more, or when nobody can say so any more.
    async fn watch(&self) -> std::convert::Infallible {
        let mut seen_at = std::time::Instant::now();
        loop {
            tokio::select! {
                () = self.shutdown.cancelled(), if !self.stop.is_cancelled() => self.stop.cancel(),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.state().await {
                Ok(state) => {
                    seen_at = std::time::Instant::now();
                    if !state.is_some_and(|state| self.goes_on(state)) {
                        self.stop.cancel();
                    }
                }
                // The lease of the one who asked lapses meanwhile, and nobody can tell that it has not.
                Err(error) if seen_at.elapsed().as_secs_f64() > store::queue::LEASE_S => {
                    warn!("The store was away for too long, and a share of a level ends: {error}");
                    self.stop.cancel();
                }
                Err(_) => {}
            }
        }
    }

    async fn settle(&self, status: ShareStatus, report: Option<&Value>, message: Option<&str>) -> anyhow::Result<bool> {
        let settle = || {
            async move {
                let mut conn = self.pool.acquire().await?;
                Ok(shares::settle(&mut conn, self.offer.key, status, report, message).await?)
            }
            .boxed()
        };
        held::patiently(settle).await
    }
}
