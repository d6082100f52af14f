//! One level by several workers, as the one that does the benchmark sees it: it asks those that are free, gives all of them
//! the word to begin at one moment of the store's clock, notices who is lost, and puts together what came of it.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use chrono::DateTime;
use chrono::Utc;
use futures_util::FutureExt as _;

use crate::benchmark::generator::Ended;
use crate::benchmark::generator::LevelReport;
use crate::benchmark::load;
use crate::benchmark::load::Clients;
use crate::benchmark::route::Route;
use crate::model::benchmark::Level;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ShareNote;
use crate::model::benchmark::ShareStatus;
use crate::model::units::seconds_in_words;
use crate::server::Servers;
use crate::store::clock::StoreClock;
use crate::store::held::HeldJob;
use crate::store::held::StopReason;
use crate::store::held::patiently;
use crate::store::levels;
use crate::store::levels::AttemptKey;
use crate::store::shares;
use crate::store::shares::NewShare;
use crate::store::shares::ShareKey;
use crate::store::shares::ShareRow;
use crate::store::workers;
use crate::target::trouble::Trouble;

/// How long workers may take to connect their clients.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long workers may take to send what came of it. One that is gone is noticed before.
const SAID_WITHIN: Duration = Duration::from_secs(30);

/// Seconds from the word to begin until the load begins: every worker hears of it meanwhile.
const LEAD_S: f64 = 2.0;

/// How often the others are looked at while nothing goes on here.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who makes the load of one attempt at a level.
pub(super) struct Sharing<'a> {
    job: &'a HeldJob,
    key: AttemptKey,
    level: Level,
    /// In the order of their shares; the first is this worker.
    partners: Vec<Partner>,
    began_at: Option<DateTime<Utc>>,
    is_over_limit: bool,
}

struct Partner {
    worker: String,
    clients: Clients,
}

/// The word to begin.
pub(super) struct Begin {
    pub at: Instant,
    /// The same moment by the store's clock.
    pub began_at: DateTime<Utc>,
    /// Clients of all shares.
    pub n_connected: u32,
}

/// What all shares came to.
pub(super) struct Gathered {
    pub report: LevelReport,
    pub notes: Vec<ShareNote>,
    /// What a reader must know, in sentences.
    pub remarks: Vec<String>,
}

impl Gathered {
    /// What a level came to that was not shared.
    pub fn alone(report: LevelReport) -> Self {
        Self {
            report,
            notes: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

impl<'a> Sharing<'a> {
    /// Asks all workers that are free to make a share of a level, and takes the first share.
    pub async fn offer(
        job: &'a HeldJob,
        servers: &Servers,
        key: AttemptKey,
        level: Level,
        route: &Route,
    ) -> Result<Self, Trouble> {
        let mut conn = job.conn().await?;
        let own_name = &job.lease.owner;
        let free = workers::list_free(&mut conn, job.lease.job_id, env!("CARGO_PKG_VERSION")).await?;
        let (own, others): (Vec<_>, Vec<_>) = free.into_iter().partition(|worker| worker.about.name == *own_name);
        let own = (own.last().map(|worker| worker.id), own_name.clone());
        let others = others.into_iter().map(|worker| (Some(worker.id), worker.about.name));
        let asked: Vec<_> = std::iter::once(own).chain(others).collect();
        let parts = split(level.n_clients, asked.len());
        let (mut new, mut partners) = (Vec::new(), Vec::new());
        for (share_idx, ((worker_id, worker), clients)) in (0_i32..).zip(asked.into_iter().zip(parts)) {
            let sealed = (share_idx > 0)
                .then(|| route.seal(servers, key, share_idx))
                .transpose()?;
            new.push(NewShare {
                share_idx,
                worker_id,
                first_client: clients.first,
                n_clients: clients.n,
                route: sealed,
            });
            partners.push(Partner { worker, clients });
        }
        if !shares::offer(&mut conn, &job.lease, key, &new).await? {
            job.lose();
            return Err(Trouble::Stopped);
        }
        Ok(Self {
            job,
            key,
            level,
            partners,
            began_at: None,
            is_over_limit: false,
        })
    }

    /// The clients of this worker.
    pub fn own(&self) -> Clients {
        self.partners[0].clients
    }

    /// ` of 3 workers`; nothing where it is one.
    pub fn in_words(&self) -> String {
        match self.partners.len() {
            1 => String::new(),
            n => format!(" of {n} workers"),
        }
    }

    /// Waits until the others are ready, and gives the word to begin. Those that are not ready in time are left out.
    pub async fn begin(&mut self, n_connected: u32) -> Result<Begin, Trouble> {
        let clock = StoreClock::read(&mut *self.job.conn().await?).await?;
        let error_ms = clock.offset().error_ms;
        let own = self.share_key(0);
        shares::connected(&mut *self.job.conn().await?, own, n_connected, error_ms).await?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let rows = self.rows().await?;
            let waiting = rows.iter().filter(|row| row.status == ShareStatus::Offered);
            let waiting: Vec<&ShareRow> = waiting.collect();
            if waiting.is_empty() || self.job.stop_reason().is_some() {
                break;
            }
            for row in waiting {
                if row.is_gone {
                    self.lose(row, "It was lost before the level began.").await?;
                } else if Instant::now() > deadline {
                    self.lose(row, &format!("It was not ready within {} s.", READY_WITHIN.as_secs()))
                        .await?;
                }
            }
            self.pause().await;
        }
        let mut conn = self.job.conn().await?;
        let began_at = shares::begin(&mut conn, &self.job.lease, self.key, LEAD_S).await?;
        let Some(began_at) = began_at else {
            self.job.lose();
            return Err(Trouble::Stopped);
        };
        self.began_at = Some(began_at);
        let rows = shares::list(&mut conn, self.key).await?;
        let running = rows.iter().filter(|row| row.status == ShareStatus::Running);
        Ok(Begin {
            at: clock.instant(began_at),
            began_at,
            n_connected: running.map(|row| row.n_connected).sum(),
        })
    }

    /// Looks at the others while the load goes on. True when too many transactions have failed in all.
    pub async fn look(&mut self, max_errors: Option<u64>) -> Result<bool, Trouble> {
        for row in self.rows().await? {
            if row.status == ShareStatus::Running && row.share_idx > 0 && row.is_gone {
                self.lose(&row, "It gave no sign of life any more.").await?;
            }
        }
        if let Some(max_errors) = max_errors {
            self.is_over_limit = patiently(|| self.n_failed().boxed()).await? >= max_errors;
        }
        Ok(self.is_over_limit)
    }

    /// Asks the others to end.
    pub async fn stop(&self) -> Result<(), Trouble> {
        Ok(patiently(|| self.try_stop().boxed()).await?)
    }

    async fn try_stop(&self) -> anyhow::Result<()> {
        let mut conn = self.job.conn().await?;
        Ok(shares::stop(&mut conn, &self.job.lease, self.key).await?)
    }

    async fn n_failed(&self) -> anyhow::Result<u64> {
        let mut conn = self.job.conn().await?;
        Ok(shares::count_failed(&mut conn, self.key).await?)
    }

    /// Puts together what this worker has measured and what the others say; waits for them.
    pub async fn gather(&self, own: LevelReport) -> Result<Gathered, Trouble> {
        if own.ended != Ended::Finished || self.job.stop_reason().is_some() {
            self.stop().await?;
        }
        let rows = self.settled().await?;
        let viewer = self.job.viewer;
        let mut conn = self.job.conn().await?;
        let seconds = if rows.iter().all(|row| row.share_idx == 0 || row.report.is_some()) {
            Vec::new()
        } else {
            levels::list_seconds_after(&mut conn, viewer, self.key, i32::MIN).await?
        };
        let mut gathered = Gathered {
            notes: vec![self.note(&rows[0], &own, None)],
            report: own,
            remarks: Vec::new(),
        };
        for row in &rows[1..] {
            let of_it: Vec<SecondRecord> = seconds
                .iter()
                .filter(|second| second.share_idx == row.share_idx)
                .cloned()
                .collect();
            let part = match &row.report {
                Some(report) => serde_json::from_value(report.clone()).context("reading what a share came to")?,
                None => LevelReport::of_seconds(&of_it).context("reading the seconds of a share")?,
            };
            // One that is whole has gone on for as long as the others.
            let lasted_ms = match row.status {
                ShareStatus::Done if row.message.is_none() => None,
                ShareStatus::Done => Some(load::ms(part.measured)),
                _ => self.lasted_ms(&of_it),
            };
            gathered.remarks.extend(self.remark(row, lasted_ms));
            gathered.notes.push(self.note(row, &part, lasted_ms));
            gathered.report.merge(&part);
        }
        if self.is_over_limit {
            gathered.report.ended = Ended::TooManyErrors;
        }
        if self.partners.len() == 1 && self.level.n_clients > 1 {
            let alone = "No other worker was free when it began, so one worker made all of the load.";
            gathered.remarks.push(alone.to_owned());
        }
        shares::put_away(&mut conn, self.key).await?;
        Ok(gathered)
    }

    /// All shares, when they are over.
    async fn settled(&self) -> Result<Vec<ShareRow>, Trouble> {
        let mut conn = self.job.conn().await?;
        shares::settle(&mut conn, self.share_key(0), ShareStatus::Done, None, None).await?;
        drop(conn);
        let deadline = Instant::now() + SAID_WITHIN;
        loop {
            let rows = self.rows().await?;
            let running: Vec<&ShareRow> = rows.iter().filter(|row| !row.status.is_over()).collect();
            if running.is_empty() {
                return Ok(rows);
            }
            if self.job.stop_reason() == Some(StopReason::LeaseLost) {
                return Err(Trouble::Stopped);
            }
            for row in running {
                if row.status == ShareStatus::Offered {
                    self.lose(row, "It was not ready when the level ended.").await?;
                } else if row.is_gone {
                    self.lose(row, "It gave no sign of life any more.").await?;
                } else if Instant::now() > deadline {
                    self.lose(row, "It did not say in time what its share came to.").await?;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All shares; waits for a store that is away.
    async fn rows(&self) -> Result<Vec<ShareRow>, Trouble> {
        Ok(patiently(|| self.try_rows().boxed()).await?)
    }

    async fn try_rows(&self) -> anyhow::Result<Vec<ShareRow>> {
        let mut conn = self.job.conn().await?;
        Ok(shares::list(&mut conn, self.key).await?)
    }

    async fn lose(&self, row: &ShareRow, why: &str) -> Result<(), Trouble> {
        Ok(patiently(|| self.try_lose(row, why).boxed()).await?)
    }

    async fn try_lose(&self, row: &ShareRow, why: &str) -> anyhow::Result<()> {
        let mut conn = self.job.conn().await?;
        Ok(shares::lose(&mut conn, &self.job.lease, self.key, row.share_idx, why).await?)
    }

    async fn pause(&self) {
        tokio::select! {
            () = self.job.stop_token().cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    fn share_key(&self, share_idx: i32) -> ShareKey {
        ShareKey {
            attempt: self.key,
            share_idx,
            epoch: self.job.lease.epoch,
        }
    }

    /// From the beginning of the load to the end of the last second that was stored; none where it never began.
    fn lasted_ms(&self, seconds: &[SecondRecord]) -> Option<f64> {
        let (last, began_at) = (seconds.last()?, self.began_at?);
        let before = last
            .started_at
            .signed_duration_since(began_at)
            .to_std()
            .unwrap_or_default();
        Some(load::ms(before) + last.span_ms)
    }

    fn worker(&self, share_idx: i32) -> &Partner {
        let idx = usize::try_from(share_idx).unwrap_or_default();
        &self.partners[idx]
    }

    fn note(&self, row: &ShareRow, report: &LevelReport, lasted_ms: Option<f64>) -> ShareNote {
        ShareNote {
            share_idx: row.share_idx,
            worker: self.worker(row.share_idx).worker.clone(),
            status: row.status,
            n_clients: row.n_clients,
            n_connected: row.n_connected,
            n_transactions: report.totals.n_transactions,
            generator_load: (row.status == ShareStatus::Done).then_some(report.generator_load),
            clock_error_ms: row.clock_error_ms,
            lasted_ms,
            message: row.message.clone(),
        }
    }

    /// `1 of 3 workers, web-1:7 with 20 of 60 clients, was lost 12 s after the start.`
    fn remark(&self, row: &ShareRow, lasted_ms: Option<f64>) -> Option<String> {
        let what = match (row.status, lasted_ms) {
            (ShareStatus::Done, None) => return None,
            (ShareStatus::Done, Some(_)) => "ended its part",
            (ShareStatus::Failed, _) => "failed",
            (_, _) => "was lost",
        };
        let when = match lasted_ms {
            Some(ms) => format!("{} after the start", seconds_in_words(ms / 1e3)),
            None => "before the start".to_owned(),
        };
        let why = row.message.as_deref().unwrap_or_default();
        Some(format!(
            "1 of {} workers, {} with {} of {} clients, {what} {when}. {why}",
            self.partners.len(),
            self.worker(row.share_idx).worker,
            row.n_clients,
            self.level.n_clients,
        ))
    }
}

/// So many clients in as many parts as there are workers, none of them empty, none more than one larger than another.
fn split(n_clients: u32, n_workers: usize) -> Vec<Clients> {
    let n_parts = u32::try_from(n_workers).unwrap_or(u32::MAX).clamp(1, n_clients.max(1));
    let bound = |idx: u32| {
        let bound = u64::from(n_clients) * u64::from(idx) / u64::from(n_parts);
        u32::try_from(bound).expect("no more than there are clients")
    };
    let part = |idx| Clients {
        first: bound(idx),
        n: bound(idx + 1) - bound(idx),
    };
    (0..n_parts).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_split_so_that_each_is_somewhere_once() {
        for (n_clients, n_workers, sizes) in [
            (60, 3, vec![20, 20, 20]),
            (7, 3, vec![2, 2, 3]),
            (2, 5, vec![1, 1]),
            (1, 1, vec![1]),
        ] {
            let parts = split(n_clients, n_workers);
            assert_eq!(parts.iter().map(|part| part.n).collect::<Vec<u32>>(), sizes);
            let ends = parts.iter().map(|part| part.first + part.n);
            assert!(
                parts
                    .iter()
                    .skip(1)
                    .map(|part| part.first)
                    .eq(ends.take(parts.len() - 1))
            );
        }
    }
}
