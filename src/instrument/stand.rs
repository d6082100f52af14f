//! What an instrument works on: one sandbox, one clone, a superuser session for the statistics and a session of the
//! dataset's role for the queries.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::instrument::look::Look;
use crate::model::dataset::Setting;
use crate::model::experiment::ClockKind;
use crate::model::ids::InstrumentId;
use crate::model::instrument::ColumnName;
use crate::model::instrument::InstrumentSpec;
use crate::model::instrument::RunOutcome;
use crate::model::snapshot::Piece;
use crate::model::snapshot::Snapshot;
use crate::model::snapshot::StatisticsObject;
use crate::model::trial::Outcome;
use crate::snapshot::apply;
use crate::snapshot::apply::LeftOut;
use crate::snapshot::capture;
use crate::snapshot::mixture::Parked;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine::Pristine;
use crate::source::analyze;
use crate::source::objects;
use crate::target::clone;
use crate::target::execute::Health;
use crate::target::execute::Ran;
use crate::target::execute::Rows;
use crate::target::explain::Timed;
use crate::target::lease::Sandbox;
use crate::target::room::Watch;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// After so many swaps the catalogs are vacuumed.
const VACUUM_EVERY: usize = 100;
/// How often a query is planned to learn how long that takes.
const PLANNED_TIMES: usize = 3;

/// An open stand. Whatever the end is, [`Stand::close`] drops its clone.
pub struct Stand {
    pub sandbox: Sandbox,
    pub lot: Lot,
    pub admin: Admin,
    id: InstrumentId,
    settings: Vec<Setting>,
    limit: Duration,
    session: Option<Session>,
    /// The role's session that analyzes, and at which target.
    analyst: Option<(u32, Session)>,
    pristine: Pristine,
    /// Something may still run in the sandbox, so it is stopped at once.
    is_abandoned: bool,
    n_swaps: usize,
}

impl Stand {
    /// Makes a clone of the sandbox's dataset, with the statistics objects that an experiment's sources had made. What
    /// instruments that died have left there is dropped first.
    pub async fn open(
        sandbox: Sandbox,
        id: InstrumentId,
        spec: &InstrumentSpec,
        objects: &[StatisticsObject],
    ) -> Result<Self, Trouble> {
        let mut server = Admin::connect(&sandbox.address, "postgres").await?;
        for name in clone::list(&mut server).await? {
            if clone::is_made_anew(&name) {
                clone::drop(&mut server, &name).await?;
            }
        }
        let template = clone::template_name(sandbox.tenant);
        let name = clone::instrument_name(id);
        clone::create(&mut server, &sandbox.room, &template, &name).await?;
        server.close().await;
        make_objects(&sandbox, &name, objects).await?;
        let mut admin = Admin::connect(&sandbox.address, &name).await?;
        let mut settings = spec.settings.clone();
        settings.push(Setting {
            name: "statement_timeout".to_owned(),
            value: spec.timeout_ms.to_string(),
        });
        settings.push(Setting {
            name: "default_transaction_read_only".to_owned(),
            value: "on".to_owned(),
        });
        Ok(Self {
            pristine: Pristine::remember(&mut admin).await?,
            analyst: None,
            is_abandoned: false,
            lot: Lot::open(&mut admin).await?,
            sandbox,
            admin,
            id,
            settings,
            limit: Duration::from_millis(spec.timeout_ms),
            session: None,
            n_swaps: 0,
        })
    }

    /// Writes a snapshot from its text, parks it, and returns it as this clone has it, with what could not be written.
    pub async fn park(&mut self, source_idx: usize, snapshot: &Snapshot) -> anyhow::Result<(Snapshot, Vec<LeftOut>)> {
        let mut writer = self.connect(&[]).await?;
        let left_out = apply::apply(&mut self.admin, &mut writer, &self.lot, snapshot).await?;
        writer.close().await;
        let written = capture::capture(&mut self.admin).await?;
        self.lot.park(&mut self.admin, source_idx).await?;
        Ok((written, left_out))
    }

    /// Puts a parked snapshot in force.
    pub async fn swap_in(&mut self, parked: Parked<'_>) -> anyhow::Result<()> {
        self.lot
            .swap_in(&mut self.admin, parked.source_idx, parked.snapshot)
            .await?;
        self.swapped().await
    }

    /// Runs a query under what is in force, and times it by the server's clock.
    pub async fn time(&mut self, sql: &str, stop: &CancellationToken) -> Result<RunOutcome, Trouble> {
        let limit = self.limit;
        let mut watch = Watch::of_reading(&self.sandbox.room);
        let stop = stop.child_token();
        let session = self.session().await?;
        let timing = session.time(sql, ClockKind::Server, limit, &stop);
        let (timed, _) = watch.over(&stop, timing).await?;
        self.recover()?;
        Ok(match timed {
            Timed::Outcome(Outcome::Finished(timing)) => RunOutcome::Finished {
                execution_ms: timing.execution_ms,
            },
            Timed::Outcome(Outcome::TimedOut { limit_ms }) => RunOutcome::TimedOut { limit_ms },
            Timed::Outcome(Outcome::Failed { message, .. }) => RunOutcome::Failed { message },
            Timed::Writes => RunOutcome::Failed {
                message: "it writes, and instruments only run queries that read".to_owned(),
            },
            Timed::Interrupted => return Err(Trouble::Stopped),
        })
    }

    /// Puts a mixture in force.
    pub async fn mix(&mut self, base: Parked<'_>, donor: Parked<'_>, taken: &[&Piece]) -> anyhow::Result<()> {
        self.lot
            .swap_in_mixture(&mut self.admin, base, donor, taken)
            .await
            .context("mixing statistics")?;
        self.swapped().await
    }

    async fn swapped(&mut self) -> anyhow::Result<()> {
        self.n_swaps += 1;
        if self.n_swaps.is_multiple_of(VACUUM_EVERY) {
            self.lot.vacuum(&mut self.admin).await?;
        }
        Ok(())
    }

    /// Analyzes everything from the pristine state, as the dataset's role, and returns how long that took.
    pub async fn draw(&mut self, target: u32, stop: &CancellationToken) -> Result<Duration, Trouble> {
        self.pristine.reset(&mut self.admin, &self.lot).await?;
        self.swapped().await?;
        if self.analyst.as_ref().is_none_or(|(known, _)| *known != target) {
            self.analyst = Some((target, self.connect(&[default_at(target)]).await?));
        }
        self.analyze(stop).await
    }

    /// By the analyst's session, which is open.
    async fn analyze(&mut self, stop: &CancellationToken) -> Result<Duration, Trouble> {
        let (_, analyst) = self.analyst.as_mut().context("the analyst's session is open")?;
        let started = Instant::now();
        tokio::select! {
            analyzed = analyze::analyze_all(&mut analyst.conn) => {
                analyzed.map_err(|error| Trouble::of_source("ANALYZE", error))?;
            }
            () = stop.cancelled() => {
                self.is_abandoned = true;
                return Err(Trouble::Stopped);
            }
        }
        Ok(started.elapsed())
    }

    /// How long planning a query takes, in milliseconds: the least of a few times, with warm caches. None where it has no
    /// plan.
    pub async fn planning_ms(&mut self, sql: &str, stop: &CancellationToken) -> Result<Option<f64>, Trouble> {
        let mut least: Option<f64> = None;
        for _ in 0..PLANNED_TIMES {
            let limit = self.limit;
            let ran = self.session().await?.explain_timed(sql, limit, stop).await?;
            self.recover()?;
            if let Look::Plan(seen) = Look::of(ran)?
                && let Some(ms) = seen.plan.planning_ms
            {
                least = Some(least.map_or(ms, |least| least.min(ms)));
            }
        }
        Ok(least)
    }

    /// Takes all statistics away, and parks that there are none.
    pub async fn park_nothing(&mut self, place: usize) -> anyhow::Result<Snapshot> {
        self.pristine.reset(&mut self.admin, &self.lot).await?;
        let nothing = capture::capture(&mut self.admin).await?;
        self.lot.park(&mut self.admin, place).await?;
        Ok(nothing)
    }

    /// The targets that columns of the dataset have of their own.
    pub fn own_targets(&self) -> BTreeMap<ColumnName, u32> {
        let targets = self.pristine.targets().iter().map(|target| {
            let name = ColumnName {
                schema: target.schema.clone(),
                table: target.table.clone(),
                column: target.column.clone(),
            };
            (name, target.target.unsigned_abs())
        });
        targets.collect()
    }

    /// As [`draw`](Self::draw) with these targets for some columns and the default target for all others, whatever target of
    /// its own the dataset gives a column.
    pub async fn draw_with(
        &mut self,
        targets: &BTreeMap<ColumnName, u32>,
        default_target: u32,
        stop: &CancellationToken,
    ) -> Result<Duration, Trouble> {
        self.pristine.reset(&mut self.admin, &self.lot).await?;
        self.analyst = Some((default_target, self.connect(&[default_at(default_target)]).await?));
        let (_, analyst) = self.analyst.as_mut().context("a session that was just opened")?;
        analyze::set_targets(&mut analyst.conn, |column| {
            let name = ColumnName {
                schema: column.schema.clone(),
                table: column.table.clone(),
                column: column.column.clone(),
            };
            targets.get(&name).copied().unwrap_or(default_target)
        })
        .await?;
        self.analyze(stop).await
    }

    /// The plan of a query with what happened when it was run once under its time limit.
    pub async fn run_once(&mut self, sql: &str, stop: &CancellationToken) -> Result<Look, Trouble> {
        let limit = self.limit;
        let mut watch = Watch::of_reading(&self.sandbox.room);
        let stop = stop.child_token();
        let session = self.session().await?;
        let (ran, _) = watch.over(&stop, session.explain_analyzed(sql, limit, &stop)).await?;
        self.recover()?;
        Look::of(ran)
    }

    /// What one value of one row is, as text, asked as the dataset's role; none where the answer takes too long or fails.
    pub async fn ask(&mut self, sql: String, stop: &CancellationToken) -> Result<Option<String>, Trouble> {
        let limit = self.limit;
        let ran = self.session().await?.execute(sql, Rows::Text, limit, stop).await?;
        self.recover()?;
        match ran {
            Ran::Done(answer) => Ok(answer.text),
            Ran::Failed(_) | Ran::TimedOut => Ok(None),
            Ran::Interrupted => Err(Trouble::Stopped),
        }
    }

    /// The plan of a query under what is in force. It is not run.
    pub async fn look(&mut self, sql: &str, stop: &CancellationToken) -> Result<Look, Trouble> {
        let limit = self.limit;
        let ran = self.session().await?.explain(sql, limit, stop).await?;
        self.recover()?;
        Look::of(ran)
    }

    /// A session of the role in the clone.
    async fn connect(&self, settings: &[Setting]) -> Result<Session, Trouble> {
        let name = format!("pgassay instrument {}", self.id);
        let database = clone::instrument_name(self.id);
        Ok(Session::connect(&self.sandbox.address, &database, &name, settings).await?)
    }

    async fn session(&mut self) -> Result<&mut Session, Trouble> {
        if self.session.is_none() {
            let session = self.connect(&self.settings).await?;
            self.session = Some(session.undoing_writes());
        }
        Ok(self.session.as_mut().context("a session that was just opened")?)
    }

    /// Looks after a session that a statement left unusable.
    fn recover(&mut self) -> Result<(), Trouble> {
        match self.session.as_ref().map(|session| session.health) {
            None | Some(Health::Alive) => Ok(()),
            Some(Health::Gone) => {
                self.session = None;
                Ok(())
            }
            Some(Health::Stuck) => Err(Trouble::Sentence(
                "A statement obeyed neither its time limit nor a cancel, so its server was stopped.".to_owned(),
            )),
        }
    }

    /// Drops the clone and stops the sandbox.
    pub async fn close(mut self) -> anyhow::Result<()> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.health == Health::Stuck)
        {
            return self.sandbox.kill().await;
        }
        let analyst = self.analyst.take().map(|(_, analyst)| analyst);
        for session in self.session.take().into_iter().chain(analyst) {
            session.close().await;
        }
        self.admin.close().await;
        let mut server = Admin::connect(&self.sandbox.address, "postgres").await?;
        clone::drop(&mut server, &clone::instrument_name(self.id)).await?;
        server.close().await;
        self.sandbox.stop().await
    }
}

/// A clone's objects never change while statistics are parked in it, so they are made first.
async fn make_objects(sandbox: &Sandbox, name: &str, objects: &[StatisticsObject]) -> Result<(), Trouble> {
    if objects.is_empty() {
        return Ok(());
    }
    let mut session = Session::connect(&sandbox.address, name, "pgassay instrument", &[]).await?;
    for object in objects {
        if let Err(reason) = objects::create(&mut session.conn, object).await? {
            return Err(Trouble::Sentence(format!(
                "The statistics object {} of the experiment cannot be made again: {reason}.",
                object.name
            )));
        }
    }
    session.close().await;
    Ok(())
}

fn default_at(target: u32) -> Setting {
    Setting {
        name: "default_statistics_target".to_owned(),
        value: target.to_string(),
    }
}
