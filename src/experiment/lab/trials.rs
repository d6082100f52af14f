//! How a lab runs the trials of a schedule: a visit begins with a swap and with planning, and a trial is one statement.

use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::Lab;
use crate::experiment::runner::Executor;
use crate::experiment::runner::Next;
use crate::experiment::writers;
use crate::model::look::Look;
use crate::model::trial::Outcome;
use crate::model::trial::Trial;
use crate::target::execute::Health;
use crate::target::execute::Ran;
use crate::target::explain::Timed;
use crate::target::explain::Way;
use crate::target::looking::Seen;
use crate::target::looking::Sight;
use crate::target::looking::Where;
use crate::target::room::Watch;

/// A look takes about a millisecond with the commit that keeps it, so short visits share one.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Executor for Lab {
    async fn begin_visit(&mut self, visit: &[Trial], cancel: &CancellationToken) -> anyhow::Result<bool> {
        let Some(first) = visit.first() else { return Ok(true) };
        self.sandbox()?.room.require(0)?;
        if self.sight.is_none() {
            self.look_around().await?;
        }
        self.swap_in(first.source_idx).await?;
        self.plan_visit(visit, cancel).await?;
        Ok(!cancel.is_cancelled())
    }

    async fn execute(&mut self, trial: &Trial, cancel: &CancellationToken) -> anyhow::Result<Option<Outcome>> {
        let sql = self
            .queries
            .get(trial.query_idx)
            .context("a query of the schedule")?
            .sql
            .clone();
        let way = Way::of(trial.kind);
        if !self.is_writer(trial.query_idx) {
            self.swap_in(trial.source_idx).await?;
            // Both for a session or a server that a statement before has cost.
            if !self.plan_untimed(trial.query_idx, cancel).await? {
                return Ok(None);
            }
            let in_clone = (self.clone_in_hand()?.0, trial.query_idx);
            if self.cold.remove(&in_clone) {
                let (_, health) = self.time_reading(&sql, way, cancel).await?;
                self.recover(health).await?;
            }
            let (timed, health) = self.time_reading(&sql, way, cancel).await?;
            self.recover(health).await?;
            if health == Health::Stuck {
                // It would cost the server again.
                self.cold.remove(&in_clone);
            }
            if !matches!(timed, Timed::Outcome(Outcome::Finished(_))) {
                self.doubt_statistics();
            }
            match timed {
                Timed::Outcome(outcome) => return Ok(Some(outcome)),
                Timed::Interrupted => return Ok(None),
                Timed::Writes => self.note_writer(trial.query_idx),
            }
        }
        if way.is_some() {
            return Ok(Some(Outcome::Failed {
                sqlstate: None,
                message: "it writes, so it is not asked what measuring it costs".to_owned(),
            }));
        }
        let (timed, health) = writers::time(self, trial.source_idx, &sql, cancel).await?;
        self.recover(health).await?;
        Ok(match timed {
            Timed::Outcome(outcome) => Some(outcome),
            Timed::Interrupted => None,
            Timed::Writes => Some(Outcome::Failed {
                sqlstate: None,
                message: "the query cannot write, even in a clone of its own".to_owned(),
            }),
        })
    }

    async fn end_visit(&mut self, visit: &[Trial], next: Next) -> anyhow::Result<Option<Look>> {
        let (Some(first), Some(last)) = (visit.first(), visit.last()) else {
            return Ok(None);
        };
        let (first_trial, n_before) = self.unseen.unwrap_or((first.trial_idx, 0));
        self.unseen = Some((first_trial, n_before + 1));
        if next == Next::Visit && self.sight.as_ref().is_some_and(|sight| sight.age() < LOOK_EVERY) {
            return Ok(None);
        }
        self.unseen = None;
        let Some(seen) = self.look_around().await? else {
            return Ok(None);
        };
        Ok(Some(Look {
            first_trial: i32::try_from(first_trial).context("few trials")?,
            last_trial: i32::try_from(last.trial_idx).context("few trials")?,
            n_visits: n_before + 1,
            took_ms: seen.took_ms,
            saw_checkpoint: seen.saw_checkpoint,
            n_autovacuum: seen.n_autovacuum,
            n_sessions: seen.n_sessions,
            cpu_wait_ms: seen.cpu_wait_ms,
            io_wait_ms: seen.io_wait_ms,
            steal_ms: seen.steal_ms,
        }))
    }

    fn take_restart(&mut self) -> Option<String> {
        let said = "its server was restarted to end a statement that nothing else could end";
        std::mem::take(&mut self.is_restarted).then(|| said.to_owned())
    }
}

impl Lab {
    /// What has happened beside us since this was asked last; none the first time, and after a restart.
    async fn look_around(&mut self) -> anyhow::Result<Option<Seen>> {
        let place = if self.sandbox()?.is_shared() {
            Where::Elsewhere
        } else {
            Where::Here
        };
        let before = self.sight.take();
        let opened = self.opened().await?;
        let admin = opened.admin.as_mut().context("the superuser session is open")?;
        let sight = Sight::take(admin, place, before.as_ref()).await?;
        let seen = before.map(|before| sight.since(&before));
        self.sight = Some(sight);
        Ok(seen)
    }

    /// Plans the queries of a visit together. Those that were not are planned each before its trial.
    async fn plan_visit(&mut self, visit: &[Trial], cancel: &CancellationToken) -> anyhow::Result<()> {
        // Opens it where there is none, which has planned nothing.
        self.session().await?;
        let (number, clone) = self.clone_in_hand()?;
        // Nothing empties the caches of the only source. Of several, one that follows itself is planned again without
        // need, so that its visit begins as all others do.
        if clone.n_sources > 1 {
            clone.planned.clear();
        }
        let planned = &self.clones.get(number).context("the clone of a source")?.planned;
        let unplanned: Vec<usize> = visit
            .iter()
            .map(|trial| trial.query_idx)
            .filter(|query_idx| !self.is_writer(*query_idx) && !planned.contains(query_idx))
            .collect();
        if unplanned.is_empty() {
            return Ok(());
        }
        let limit = self.limit();
        let queries = unplanned.iter().filter_map(|query_idx| self.queries.get(*query_idx));
        let statements: Vec<&str> = queries.map(|query| query.sql.as_str()).collect();
        let clone = self.clones.get_mut(number).context("the clone of a source")?;
        let session = clone.session.as_mut().context("the role's session is open")?;
        let n_planned = session.plan_together(&statements, limit, cancel).await?;
        let health = session.health;
        clone.planned.extend(&unplanned[..n_planned]);
        if n_planned < unplanned.len() {
            self.doubt_statistics();
        }
        self.recover(health).await
    }

    /// Plans a query once in the open session, unless that has happened; false when it was cancelled. Whatever is
    /// wrong with the query, its trial will say again.
    async fn plan_untimed(&mut self, query_idx: usize, cancel: &CancellationToken) -> anyhow::Result<bool> {
        let sql = self
            .queries
            .get(query_idx)
            .context("a query of the schedule")?
            .sql
            .clone();
        let limit = self.limit();
        // A session that is opened anew has planned nothing.
        self.session().await?;
        if self.clone_in_hand()?.1.planned.contains(&query_idx) {
            return Ok(true);
        }
        let session = self.session().await?;
        let planned = session.explain(&sql, limit, cancel).await?;
        let health = session.health;
        self.clone_in_hand()?.1.planned.insert(query_idx);
        if !matches!(planned, Ran::Done(_)) {
            self.doubt_statistics();
        }
        self.recover(health).await?;
        Ok(!matches!(planned, Ran::Interrupted))
    }

    async fn time_reading(
        &mut self,
        sql: &str,
        way: Option<Way>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<(Timed, Health)> {
        let (clock, limit, stop) = (self.spec.clock, self.limit(), cancel.child_token());
        let mut watch = Watch::of_reading(&self.sandbox()?.room);
        let session = self.session().await?;
        // A shortage is an `Err` here: this statement has not used up the disk.
        let timing = async {
            match way {
                None => session.time(sql, clock, limit, &stop).await,
                Some(way) => session.observe(sql, way, limit, &stop).await,
            }
        };
        let (timed, _) = watch.over(&stop, timing).await?;
        Ok((timed, session.health))
    }
}
