//! Who is watched: one publisher for each benchmark that somebody looks at, however many look.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::Stream;
use futures_util::StreamExt as _;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Frame;
use super::look::Look;
use crate::model::ids::BenchmarkId;
use crate::model::ids::UserId;
use crate::model::user::Viewer;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks that nobody saw before a publisher ends. Those who poll come and go.
const LINGERS: u32 = 5;

/// None until the first look.
type Newest = Option<Arc<Frame>>;
type Key = (UserId, BenchmarkId);

/// The publishers at work. Each reads the store once a second and draws what it read once; it ends when nobody has looked
/// for a while, when the benchmark has settled or is gone, and with the house.
#[derive(Clone)]
pub struct Watches {
    pool: PgPool,
    shutdown: CancellationToken,
    open: Arc<Mutex<HashMap<Key, watch::Sender<Newest>>>>,
}

impl Watches {
    pub fn new(pool: PgPool, shutdown: CancellationToken) -> Self {
        Self {
            pool,
            shutdown,
            open: Arc::default(),
        }
    }

    /// Every frame from now on, the newest first, without those that a slow reader was too late for. Ends with the publisher.
    pub fn frames(&self, viewer: Viewer, id: BenchmarkId) -> impl Stream<Item = Arc<Frame>> + use<> {
        WatchStream::new(self.follow(viewer, id)).filter_map(std::future::ready)
    }

    /// The newest frame; none where the benchmark is gone or the house is being closed.
    pub async fn frame(&self, viewer: Viewer, id: BenchmarkId) -> Option<Arc<Frame>> {
        let mut frames = std::pin::pin!(self.frames(viewer, id));
        frames.next().await
    }

    /// Listens to the publisher of a benchmark, which is started when there is none.
    fn follow(&self, viewer: Viewer, id: BenchmarkId) -> watch::Receiver<Newest> {
        let key = (viewer.user_id, id);
        match self.lock().entry(key) {
            Entry::Occupied(entry) => entry.get().subscribe(),
            Entry::Vacant(entry) => {
                let (sender, receiver) = watch::channel(None);
                entry.insert(sender.clone());
                let watches = self.clone();
                tokio::spawn(async move {
                    watches.publish(viewer, id, &sender).await;
                });
                receiver
            }
        }
    }

    async fn publish(&self, viewer: Viewer, id: BenchmarkId, sender: &watch::Sender<Newest>) {
        let key = (viewer.user_id, id);
        let mut look = Look::new(viewer, id);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_unseen = 0;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            n_unseen = if sender.receiver_count() == 0 { n_unseen + 1 } else { 0 };
            if n_unseen > LINGERS && self.close_unseen(key, sender) {
                return;
            }
            match look.frame(&self.pool).await {
                Ok(Some(frame)) => {
                    let is_settled = frame.is_settled;
                    sender.send_replace(Some(Arc::new(frame)));
                    if is_settled {
                        break;
                    }
                }
                Ok(None) => break,
                // Viewers keep what they have until the store is back.
                Err(error) => warn!(benchmark.id = %id, "Benchmark {id} could not be looked at: {error:#}"),
            }
        }
        self.lock().remove(&key);
    }

    /// Ends a publisher that nobody listens to. False when somebody has just come.
    fn close_unseen(&self, key: Key, sender: &watch::Sender<Newest>) -> bool {
        let mut open = self.lock();
        let is_unseen = sender.receiver_count() == 0;
        if is_unseen {
            open.remove(&key);
        }
        is_unseen
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<Newest>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
