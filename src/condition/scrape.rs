//! What is looked at when somebody asks for the numbers: cheaply, and not for long.

use std::time::Duration;

use anyhow::Context as _;
use tracing::debug;

use crate::condition::ANSWER_WITHIN;
use crate::condition::Condition;
use crate::metrics::Connections;
use crate::metrics::Seen;
use crate::metrics::SeenDisk;
use crate::metrics::SeenSandboxes;
use crate::metrics::SeenStore;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::store::gauges;
use crate::store::gauges::Gauges;

impl Condition {
    /// All numbers, as Prometheus reads them. What does not answer in time is left out.
    pub async fn exposition(&self) -> anyhow::Result<String> {
        let (store, sandboxes, disk) = tokio::join!(self.seen_store(), self.seen_sandboxes(), self.seen_disk());
        let n_idle = self.pool.num_idle() as u64;
        let seen = Seen {
            store,
            connections: Connections {
                n_busy: u64::from(self.pool.size()).saturating_sub(n_idle),
                n_idle,
                n_most: u64::from(self.pool.options().get_max_connections()),
            },
            sandboxes,
            disk,
        };
        self.metrics.exposition(&seen).context("writing the metrics")
    }

    async fn seen_store(&self) -> Option<SeenStore> {
        let asked = async { gauges::read(&mut *self.pool.acquire().await?).await };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(gauges)) => Some(seen(&gauges)),
            Ok(Err(error)) => {
                debug!("The store's numbers could not be had: {error}");
                None
            }
            Err(_) => None,
        }
    }

    async fn seen_sandboxes(&self) -> Option<SeenSandboxes> {
        match tokio::time::timeout(ANSWER_WITHIN, self.sandboxes.count()).await {
            Ok(Ok(count)) => count.map(|count| SeenSandboxes {
                n_running: count.n_running,
                n_stopped: count.n_stopped,
            }),
            Ok(Err(error)) => {
                debug!("The sandboxes could not be counted: {error:#}");
                None
            }
            Err(_) => None,
        }
    }

    async fn seen_disk(&self) -> Option<SeenDisk> {
        let looked = tokio::time::timeout(ANSWER_WITHIN, self.disk.look()).await;
        let space = looked.ok()?.ok()?;
        Some(SeenDisk {
            free_bytes: space.free_bytes,
            reserve_bytes: space.reserve_bytes,
        })
    }
}

/// Of every kind and status there is a number, so that a first job is seen as one more than none.
fn seen(gauges: &Gauges) -> SeenStore {
    let mut jobs = Vec::new();
    for kind in JobKind::ALL {
        for status in JobStatus::ALL {
            let counted = gauges.jobs.iter().find(|(k, s, _)| *k == kind && *s == status);
            let n_jobs = counted.map_or(0, |(_, _, n_jobs)| *n_jobs);
            jobs.push((kind.name().to_owned(), status.name().to_owned(), n_jobs));
        }
    }
    SeenStore {
        jobs,
        oldest_wait: Duration::from_secs_f64(gauges.oldest_wait_s),
        n_trials: gauges.n_trials,
        n_transactions: gauges.n_transactions,
        transactions_per_second: gauges.transactions_per_second,
    }
}
