//! One attempt at one level: the generator runs, and each second is stored as it ends.

mod record;
mod running;

use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use chrono::DateTime;
use chrono::Utc;
use tokio::sync::mpsc;

use crate::benchmark::generator;
use crate::benchmark::generator::GeneratorError;
use crate::benchmark::generator::LevelReport;
use crate::benchmark::generator::SecondReport;
use crate::benchmark::generator::Weighted;
use crate::benchmark::journal::Journal;
use crate::benchmark::level::running::LOOK_LIMIT;
use crate::benchmark::level::running::Running;
use crate::benchmark::load;
use crate::benchmark::load::Clients;
use crate::benchmark::load::Origin;
use crate::benchmark::place::Place;
use crate::benchmark::route::ONLY_HERE;
use crate::benchmark::sharing::Gathered;
use crate::benchmark::sharing::Sharing;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::Generators;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::ShareNote;
use crate::model::benchmark::ShareStatus;
use crate::model::benchmark::StatementRecord;
use crate::model::job::Progress;
use crate::server::Servers;
use crate::store::held::HeldJob;
use crate::store::held::StopReason;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;
use crate::target::trouble::Trouble;

/// Seconds that wait to be stored while the store is away.
const MOST_WAITING: usize = 64;

/// How often it is asked whether there is room for what the load writes, in seconds.
const LOOK_EVERY: i32 = 5;

/// How often the other workers are looked at while the load goes on.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// How long a server may tell nothing, and end no transaction, before it counts as lost.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How long it may take to read the planner's statistics when the load is over.
const STATISTICS_LIMIT: Duration = Duration::from_mins(1);

/// An attempt that is about to be made.
pub(super) struct Attempt<'a> {
    pub job: &'a HeldJob,
    pub benchmark: &'a Benchmark,
    pub servers: &'a Servers,
    pub programs: &'a [Weighted],
    pub level: Level,
    /// For people: which of how many levels it is.
    pub stage: &'a str,
}

impl Attempt<'_> {
    /// Makes the attempt and stores its end. `Stopped` when the job should not go on behind it.
    pub async fn run(&self, place: &mut Place) -> Result<(), Trouble> {
        let making = async {
            let database = place.database(self.job, self.level).await?;
            let statistics = place.statistics(&database).await?;
            Ok::<_, Trouble>((database, statistics))
        };
        let (database, statistics) = tokio::select! {
            made = making => made?,
            // What is left of it goes with the place.
            () = self.job.stop_token().cancelled() => return Err(Trouble::Stopped),
        };
        let (key, began_at) = self.begin().await?;
        let mut sharing = self.offer(place, key, &database).await?;
        let all = Clients {
            first: 0,
            n: self.level.n_clients,
        };
        let clients = sharing.as_ref().map_or(all, Sharing::own);
        let plan = load::plan(&self.benchmark.spec, self.programs, clients);
        let mut ready = match generator::connect(place.dial(&database), plan).await {
            Ok(ready) => ready,
            Err(GeneratorError::NoConnection(why)) => {
                if let Some(sharing) = &sharing {
                    sharing.stop().await?;
                }
                if place.has_ended() {
                    return Err(self.lost(key).await);
                }
                return self.fail(key, &why).await;
            }
            Err(GeneratorError::Fault(error)) => return Err(error.into()),
        };
        let n_left_out = clients.n.saturating_sub(ready.n_connected());
        // Before the moment at which the load begins: nothing may come between that and its first transaction.
        let counters = tokio::time::timeout(LOOK_LIMIT, place.counters(&database)).await;
        let (at, began_at) = match &mut sharing {
            Some(sharing) => {
                let begin = sharing.begin(ready.n_connected()).await?;
                ready = ready.among(begin.n_connected);
                (begin.at, begin.began_at)
            }
            None => (Instant::now(), began_at),
        };
        let stop = self.job.stop_token().child_token();
        let mut running = Running {
            origin: Origin {
                key,
                share_idx: 0,
                began_at,
            },
            // A server that does not tell now is asked again.
            counters: counters.ok().and_then(Result::ok),
            database,
            sharing,
            heard_at: Instant::now(),
            n_left_out,
            stop: stop.clone(),
            shortage: None,
            is_lost: false,
        };
        let (sender, seconds) = mpsc::channel(MOST_WAITING);
        let load = tokio::spawn(ready.run(at, stop, sender));
        self.follow(place, &mut running, seconds).await?;
        let report = load.await.context("waiting for the generator")?;
        if let Some(counters) = running.counters.take() {
            counters.close().await;
        }
        match report {
            Ok(report) => self.end(place, running, report, &statistics).await,
            Err(GeneratorError::NoConnection(why)) => self.fail(key, &why).await,
            Err(GeneratorError::Fault(error)) => Err(error.into()),
        }
    }

    /// Stores the seconds until the last one, and keeps an eye on the other workers.
    async fn follow(
        &self,
        place: &Place,
        running: &mut Running<'_>,
        mut seconds: mpsc::Receiver<SecondReport>,
    ) -> Result<(), Trouble> {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        loop {
            tokio::select! {
                second = seconds.recv() => match second {
                    Some(second) => self.second(place, running, second).await?,
                    None => return Ok(()),
                },
                _ = watch.tick(), if running.sharing.is_some() => self.watch(running).await?,
            }
        }
    }

    /// Notices who is lost, and ends the level when too many transactions have failed in all.
    async fn watch(&self, running: &mut Running<'_>) -> Result<(), Trouble> {
        if let Some(sharing) = &mut running.sharing
            && sharing.look(self.benchmark.spec.max_errors).await?
        {
            running.stop.cancel();
        }
        if let Some(sharing) = &running.sharing
            && running.stop.is_cancelled()
        {
            sharing.stop().await?;
        }
        Ok(())
    }

    /// The number of the attempt, and the moment by the store's clock.
    async fn begin(&self) -> Result<(AttemptKey, DateTime<Utc>), Trouble> {
        match self.journal().begin(self.level).await? {
            Some(begun) => Ok(begun),
            None => Err(self.replaced()),
        }
    }

    /// Asks the other workers for their shares; none where this one makes all of the load.
    async fn offer(&self, place: &Place, key: AttemptKey, database: &str) -> Result<Option<Sharing<'_>>, Trouble> {
        match self.benchmark.spec.generators {
            Generators::Here => Ok(None),
            Generators::All => {
                let route = place.route(database);
                let route = route.ok_or_else(|| Trouble::Sentence(ONLY_HERE.to_owned()))?;
                Ok(Some(
                    Sharing::offer(self.job, self.servers, key, self.level, &route).await?,
                ))
            }
        }
    }

    fn journal(&self) -> Journal<'_> {
        Journal {
            pool: &self.job.pool,
            lease: &self.job.lease,
            benchmark_id: self.benchmark.id,
        }
    }

    /// Somebody else works on the job.
    fn replaced(&self) -> Trouble {
        self.job.lose();
        Trouble::Stopped
    }

    /// Stores a second, says how far it is, and sees to it that there is room for more.
    async fn second(&self, place: &Place, running: &mut Running<'_>, report: SecondReport) -> Result<(), Trouble> {
        let server = running.look(place, &report).await;
        let second = running.origin.record(&report, server);
        if !self.journal().second(&second).await? {
            return Err(self.replaced());
        }
        let total = Duration::from_millis(self.benchmark.spec.duration_ms + self.benchmark.spec.warm_up_ms);
        let progress = Progress {
            done: (report.from + report.span).as_secs(),
            total: total.as_secs(),
            unit: "seconds".to_owned(),
            detail: self.detail(running.sharing.as_ref()),
            n_rows: 0,
        };
        self.job.set_progress(self.stage, &progress).await?;
        if report.second_idx % LOOK_EVERY == 0 {
            running.ask_for_room().await;
        }
        if place.has_ended() || running.heard_at.elapsed() > LONGEST_SILENCE {
            running.is_lost = true;
        }
        if running.is_lost || running.shortage.is_some() {
            running.stop.cancel();
        }
        Ok(())
    }

    /// `40 clients of 2 workers under built_in`.
    fn detail(&self, sharing: Option<&Sharing<'_>>) -> String {
        let n = self.level.n_clients;
        let workers = sharing.map(Sharing::in_words).unwrap_or_default();
        let clients = format!("{n} {}{workers}", if n == 1 { "client" } else { "clients" });
        match self.benchmark.spec.source_label(self.level.source_idx) {
            Some(label) => format!("{clients} under {label}"),
            None => clients,
        }
    }

    /// Stores what came of it.
    async fn end(
        &self,
        place: &Place,
        running: Running<'_>,
        report: LevelReport,
        statistics: &str,
    ) -> Result<(), Trouble> {
        let key = running.origin.key;
        let interrupted = match self.job.stop_reason() {
            Some(StopReason::LeaseLost) => return Err(Trouble::Stopped),
            Some(StopReason::Shutdown) => true,
            Some(StopReason::Requested) | None => running.is_lost || place.has_ended(),
        };
        if interrupted {
            if let Some(sharing) = &running.sharing {
                sharing.stop().await?;
            }
            let notes = record::notes(&report);
            let end = LevelEnd {
                status: LevelStatus::Interrupted,
                ..record::end(&report, &notes, None)
            };
            self.store(key, &end, &[]).await?;
            return Err(match self.job.stop_reason() {
                Some(_) => Trouble::Stopped,
                None => Trouble::Lost(anyhow::anyhow!("the server under load has ended, or stands still")),
            });
        }
        let Gathered {
            report,
            notes: shares,
            remarks,
        } = match &running.sharing {
            Some(sharing) => sharing.gather(report).await?,
            None => Gathered::alone(report),
        };
        let mut notes = record::notes(&report);
        notes.remarks.extend(remarks);
        let of_others = shares.iter().skip(1).filter(|share| share.status == ShareStatus::Done);
        let n_left_out = running.n_left_out + of_others.map(ShareNote::n_left_out).sum::<u32>();
        notes.shares = shares;
        if n_left_out > 0 {
            notes.remarks.insert(
                0,
                format!(
                    "{n_left_out} of {} clients could not connect and took no part; the errors say why.",
                    self.level.n_clients
                ),
            );
        }
        // A server that is away now, or stands still, is found out by whatever comes next.
        let after = tokio::time::timeout(STATISTICS_LIMIT, place.statistics(&running.database)).await;
        if let Ok(Ok(after)) = after {
            notes.statistics_moved = after != statistics;
        }
        if let Some(shortage) = &running.shortage {
            notes.remarks.insert(0, shortage.clone());
        }
        let latencies = report.latencies.to_bytes();
        let end = record::end(&report, &notes, Some(&latencies));
        self.store(key, &end, &record::statements(key, &report)).await?;
        match (self.job.stop_reason(), running.shortage) {
            (Some(_), _) => Err(Trouble::Stopped),
            (None, Some(shortage)) => Err(Trouble::Sentence(shortage)),
            (None, None) => Ok(()),
        }
    }

    /// Stores that it could not be run at all.
    async fn fail(&self, key: AttemptKey, why: &str) -> Result<(), Trouble> {
        let notes = LevelNotes {
            remarks: vec![format!("No client could connect: {why}.")],
            ..LevelNotes::default()
        };
        self.store(key, &LevelEnd::unmeasured(LevelStatus::Failed, &notes), &[])
            .await
    }

    /// Stores that the server was lost before anything could be measured.
    async fn lost(&self, key: AttemptKey) -> Trouble {
        let notes = LevelNotes::default();
        let end = LevelEnd::unmeasured(LevelStatus::Interrupted, &notes);
        match self.store(key, &end, &[]).await {
            Ok(()) => Trouble::Lost(anyhow::anyhow!("the server under load has ended")),
            Err(trouble) => trouble,
        }
    }

    async fn store(&self, key: AttemptKey, end: &LevelEnd<'_>, statements: &[StatementRecord]) -> Result<(), Trouble> {
        if self.journal().finish(key, end, statements).await? {
            Ok(())
        } else {
            Err(self.replaced())
        }
    }
}
