//! EXPLAIN in the forms that experiments use, and the outcome of a timed query.

use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::model::experiment::ClockKind;
use crate::model::trial::Outcome;
use crate::model::trial::Timing;
use crate::model::trial::TrialKind;
use crate::plan::Plan;
use crate::target::ServerError;
use crate::target::execute::Ran;
use crate::target::execute::Rows;
use crate::target::session::Session;

/// The plain plan: nothing is executed, so a query that would time out has one too.
const PLAIN: &str = "EXPLAIN (FORMAT JSON, SETTINGS) ";
/// The plan with what really happened, for estimates against actuals.
const ANALYZED: &str = "EXPLAIN (ANALYZE, BUFFERS, SETTINGS, TIMING OFF, FORMAT JSON) ";
/// The plain plan, in which every column stands behind the alias of its table.
const VERBOSE: &str = "EXPLAIN (VERBOSE, FORMAT JSON) ";
/// The same with the time of every node, which costs a look at the clock for every row of every node.
const CLOCKED: &str = "EXPLAIN (ANALYZE, BUFFERS, SETTINGS, TIMING ON, FORMAT JSON) ";
/// The plan with the time that planning took.
const PLANNED: &str = "EXPLAIN (FORMAT JSON, SUMMARY) ";
/// The server clock: execution without the cost of per-node timing.
const TIMED: &str = "EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) ";
/// The same with per-node timing, to tell what that costs.
const TAXED: &str = "EXPLAIN (ANALYZE, TIMING ON, BUFFERS OFF, FORMAT JSON) ";

/// `read_only_sql_transaction`: the query writes after all.
pub const READ_ONLY: &str = "25006";

/// How a query is run to learn what measuring costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is, all rows read and dropped.
    Plain,
    /// By the EXPLAIN of trials.
    TimingOff,
    /// By the same with a look at the clock for every row of every node.
    TimingOn,
}

impl Way {
    /// The way of a trial that is of the observer.
    pub fn of(kind: TrialKind) -> Option<Self> {
        match kind {
            TrialKind::Plain => Some(Self::Plain),
            TrialKind::TimingOff => Some(Self::TimingOff),
            TrialKind::TimingOn => Some(Self::TimingOn),
            TrialKind::WarmUp | TrialKind::Measured => None,
        }
    }
}

/// What a timed query came to.
#[derive(Debug)]
pub enum Timed {
    Outcome(Outcome),
    /// It tried to write in a read-only session: it must run in a clone of its own.
    Writes,
    Interrupted,
}

impl Session {
    /// The plan of `sql` without running it. Planning runs what the dump calls immutable, so it ends with a clean session.
    pub async fn explain(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.explain_alone(PLAIN, sql, limit, cancel).await
    }

    /// The same, with every table's schema and every column's table.
    pub async fn explain_verbose(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.explain_alone(VERBOSE, sql, limit, cancel).await
    }

    /// Plans statements without running them, which fills the catalog caches for them. All in one transaction, which ends
    /// with a clean session. Returns how many were planned: what comes behind one that went wrong was not.
    pub async fn plan_together(
        &mut self,
        statements: &[&str],
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<usize> {
        self.begin().await;
        let mut n_planned = 0;
        for sql in statements {
            if !matches!(self.explain_as(PLAIN, sql, limit, cancel).await?, Ran::Done(_)) {
                break;
            }
            n_planned += 1;
        }
        let wrote = self.clean(n_planned == statements.len()).await;
        Ok(if wrote { 0 } else { n_planned })
    }

    /// The plan of `sql` with the time that planning took, without running it.
    pub async fn explain_timed(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.explain_alone(PLANNED, sql, limit, cancel).await
    }

    /// The plan of `sql` with actual rows and buffers; runs it once.
    pub async fn explain_analyzed(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.explain_alone(ANALYZED, sql, limit, cancel).await
    }

    /// The plan with actual rows, buffers and times of all nodes; runs it once, slower than usual.
    pub async fn explain_clocked(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.explain_alone(CLOCKED, sql, limit, cancel).await
    }

    async fn explain_alone(
        &mut self,
        prefix: &str,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        self.begin().await;
        let ran = self.explain_as(prefix, sql, limit, cancel).await?;
        let wrote = self.clean(matches!(ran, Ran::Done(_))).await;
        Ok(match ran {
            Ran::Done(_) if wrote => Ran::Failed(ServerError {
                sqlstate: READ_ONLY.to_owned(),
                message: "it writes, although its transaction is read-only".to_owned(),
                position: None,
                is_fatal: false,
            }),
            ran => ran,
        })
    }

    async fn explain_as(
        &mut self,
        prefix: &str,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Ran<String>> {
        Ok(
            match self
                .execute(format!("{prefix}{sql}"), Rows::Text, limit, cancel)
                .await?
            {
                Ran::Done(answer) => Ran::Done(answer.text.context("EXPLAIN answered without a row")?),
                Ran::Failed(error) => Ran::Failed(error),
                Ran::TimedOut => Ran::TimedOut,
                Ran::Interrupted => Ran::Interrupted,
            },
        )
    }

    /// Runs `sql` once and times it by `clock`.
    pub async fn time(
        &mut self,
        sql: &str,
        clock: ClockKind,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Timed> {
        self.begin().await;
        let timed = self.time_alone(sql, clock, limit, cancel).await?;
        Ok(self.cleaned(timed).await)
    }

    /// Runs `sql` once in a way that tells what measuring costs. Each way is read from the same clock, the client's, around
    /// the whole statement: no other sees the plain query.
    pub async fn observe(
        &mut self,
        sql: &str,
        way: Way,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Timed> {
        self.begin().await;
        let timed = self.observe_alone(sql, way, limit, cancel).await?;
        Ok(self.cleaned(timed).await)
    }

    async fn observe_alone(
        &mut self,
        sql: &str,
        way: Way,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Timed> {
        let (statement, rows) = match way {
            Way::Plain => (sql.to_owned(), Rows::Drop),
            Way::TimingOff => (format!("{TIMED}{sql}"), Rows::Text),
            Way::TimingOn => (format!("{TAXED}{sql}"), Rows::Text),
        };
        let answer = match answered(self.execute(statement, rows, limit, cancel).await?, limit) {
            Ok(answer) => answer,
            Err(timed) => return Ok(timed),
        };
        let plan = answer.text.as_deref().map(read).transpose()?;
        let plan = plan.as_ref();
        Ok(Timed::Outcome(Outcome::Finished(Timing {
            execution_ms: answer.elapsed.as_secs_f64() * 1000.0,
            planning_ms: plan.and_then(|plan| plan.planning_ms),
            cost: plan.map(Plan::cost).filter(|cost| cost.is_finite()),
            server_ms: plan.and_then(|plan| plan.execution_ms),
        })))
    }

    /// The same, when the session has been made clean behind it.
    async fn cleaned(&mut self, timed: Timed) -> Timed {
        let wrote = self.clean(matches!(timed, Timed::Outcome(Outcome::Finished(_)))).await;
        match timed {
            Timed::Outcome(_) if wrote => Timed::Writes,
            timed => timed,
        }
    }

    async fn time_alone(
        &mut self,
        sql: &str,
        clock: ClockKind,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Timed> {
        let (planned, statement, rows) = match clock {
            ClockKind::Server => (None, format!("{TIMED}{sql}"), Rows::Text),
            // The client's clock cannot see planning, so the server is asked for it first, untimed.
            ClockKind::Client => match answered(self.explain_as(PLANNED, sql, limit, cancel).await?, limit) {
                Ok(text) => (Some(text), sql.to_owned(), Rows::Drop),
                Err(timed) => return Ok(timed),
            },
        };
        let answer = match answered(self.execute(statement, rows, limit, cancel).await?, limit) {
            Ok(answer) => answer,
            Err(timed) => return Ok(timed),
        };
        let plan = read(answer.text.as_deref().or(planned.as_deref()).unwrap_or_default())?;
        let execution_ms = match clock {
            ClockKind::Server => plan
                .execution_ms
                .context("the server's EXPLAIN holds no execution time")?,
            ClockKind::Client => answer.elapsed.as_secs_f64() * 1000.0,
        };
        Ok(Timed::Outcome(Outcome::Finished(Timing {
            execution_ms,
            planning_ms: plan.planning_ms,
            cost: Some(plan.cost()).filter(|cost| cost.is_finite()),
            server_ms: None,
        })))
    }
}

/// The answer; without one, what the trial came to.
fn answered<T>(ran: Ran<T>, limit: Duration) -> Result<T, Timed> {
    Err(match ran {
        Ran::Done(answer) => return Ok(answer),
        Ran::Failed(error) if error.sqlstate == READ_ONLY => Timed::Writes,
        Ran::Failed(error) => Timed::Outcome(Outcome::Failed {
            sqlstate: Some(error.sqlstate),
            message: error.message,
        }),
        Ran::TimedOut => Timed::Outcome(Outcome::TimedOut {
            limit_ms: limit.as_secs_f64() * 1000.0,
        }),
        Ran::Interrupted => Timed::Interrupted,
    })
}

fn read(explain: &str) -> anyhow::Result<Plan> {
    crate::plan::parse(explain).context("reading the server's EXPLAIN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench;
    use crate::testing::bench::Bench;

    #[tokio::test]
    async fn planning_together_stops_at_what_goes_wrong_and_leaves_a_clean_session() {
        let bench = Bench::open().await;
        // A constant call of it is made while the statement is planned.
        let dump = "create function public.forget() returns integer language plpgsql immutable as
                    $$ begin perform set_config('work_mem', '64kB', false); return 1; end $$;";
        let sandbox = bench.sandbox(bench.restored(dump).await).await;
        bench::open_clone(&sandbox, "planned").await.close().await;
        let session = Session::connect(&sandbox.address, "planned", "test", &[])
            .await
            .unwrap();
        let mut session = session.undoing_writes();
        let (limit, cancel) = (Duration::from_secs(20), CancellationToken::new());
        for (statements, n_planned) in [
            (["select public.forget()", "select 1 / 0", "select 1"], 1),
            (["select 1", "select 2; select 3", "select public.forget()"], 1),
            (["select 1", "select 2", "select public.forget()"], 3),
        ] {
            let planned = session.plan_together(&statements, limit, &cancel).await.unwrap();
            assert_eq!(planned, n_planned, "{statements:?}");
            let shown = session.execute("show work_mem".to_owned(), Rows::Text, limit, &cancel);
            let Ran::Done(answer) = shown.await.unwrap() else {
                panic!("show always answers");
            };
            assert_eq!(answer.text.as_deref(), Some("4MB"), "{statements:?}");
        }
        session.close().await;
        sandbox.stop().await.unwrap();
        bench.close().await;
    }
}
