//! What else goes on at a server and its machine, seen between visits: nothing of it is asked while a trial is timed.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use sqlx::Row as _;

use crate::target::session::Admin;

/// Every number is that of one moment, but for the sessions: those count that have begun a statement since the look
/// before. Checkpoints are told by where the newest lies, which the server keeps in a file and not among its statistics,
/// and by whether the process that writes them has more to do than to wait.
const LOOK: &str = "\
select (select c.checkpoint_lsn::text from pg_catalog.pg_control_checkpoint() c),
       coalesce(pg_catalog.bool_or(a.backend_type = 'checkpointer' and a.wait_event_type is distinct from 'Activity'), false),
       pg_catalog.count(*) filter (where a.backend_type = 'autovacuum worker')::integer,
       pg_catalog.count(*) filter (where a.backend_type = 'client backend' and a.application_name not like 'pgassay%'
                          and (a.state = 'active' or a.query_start > pg_catalog.to_timestamp($1)))::integer,
       extract(epoch from pg_catalog.clock_timestamp())::float8
from pg_catalog.pg_stat_activity a";

/// Where the target runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On this machine, whose pressure then counts.
    Here,
    /// Perhaps on another one.
    Elsewhere,
}

/// What was seen at one moment.
#[derive(Clone, Debug)]
pub struct Sight {
    at: Instant,
    /// The same by the server's clock, in seconds.
    server_s: f64,
    checkpoint: String,
    is_checkpointing: bool,
    n_autovacuum: i32,
    n_sessions: i32,
    machine: Machine,
}

/// What happened between two sights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub took_ms: f64,
    /// A checkpoint began, ended or was under way.
    pub saw_checkpoint: bool,
    pub n_autovacuum: i32,
    /// Sessions that are not ours and ran a statement.
    pub n_sessions: i32,
    /// Over all processes of the machine; none where that is not known.
    pub cpu_wait_ms: Option<f64>,
    pub io_wait_ms: Option<f64>,
    pub steal_ms: Option<f64>,
}

/// Totals since the machine was started, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Machine {
    cpu_wait_ms: Option<f64>,
    io_wait_ms: Option<f64>,
    steal_ms: Option<f64>,
}

impl Sight {
    /// Looks around: one query, and three small files where the target runs here.
    pub async fn take(admin: &mut Admin, place: Where, before: Option<&Self>) -> anyhow::Result<Self> {
        let row = sqlx::query(LOOK)
            .bind(before.map(|before| before.server_s))
            .fetch_one(&mut admin.conn)
            .await
            .context("looking at what else the server does")?;
        let machine = match place {
            Where::Here => Machine::look(),
            Where::Elsewhere => Machine::default(),
        };
        Ok(Self {
            at: Instant::now(),
            checkpoint: row.try_get(0)?,
            is_checkpointing: row.try_get(1)?,
            n_autovacuum: row.try_get(2)?,
            n_sessions: row.try_get(3)?,
            server_s: row.try_get(4)?,
            machine,
        })
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }

    /// What happened since an earlier sight.
    pub fn since(&self, before: &Self) -> Seen {
        let grown = |of: fn(&Machine) -> Option<f64>| Some((of(&self.machine)? - of(&before.machine)?).max(0.0));
        Seen {
            took_ms: (self.at - before.at).as_secs_f64() * 1000.0,
            saw_checkpoint: self.checkpoint != before.checkpoint || self.is_checkpointing || before.is_checkpointing,
            n_autovacuum: self.n_autovacuum.max(before.n_autovacuum),
            n_sessions: self.n_sessions,
            cpu_wait_ms: grown(|machine| machine.cpu_wait_ms),
            io_wait_ms: grown(|machine| machine.io_wait_ms),
            steal_ms: grown(|machine| machine.steal_ms),
        }
    }
}

impl Machine {
    /// As Linux tells it; other systems do not.
    fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu_wait_ms: waited_ms(&read("/proc/pressure/cpu")),
            io_wait_ms: waited_ms(&read("/proc/pressure/io")),
            steal_ms: stolen_ms(&read("/proc/stat")),
        }
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`: microseconds in which at least one process waited.
fn waited_ms(pressure: &str) -> Option<f64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    let total_us: f64 = some.rsplit_once("total=")?.1.trim().parse().ok()?;
    Some(total_us / 1000.0)
}

/// The eighth number of the first line, in hundredths of a second.
fn stolen_ms(stat: &str) -> Option<f64> {
    let ticks: f64 = stat.lines().next()?.split_ascii_whitespace().nth(8)?.parse().ok()?;
    Some(ticks * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench;
    use crate::testing::bench::Bench;

    #[test]
    fn pressure_and_stolen_time_are_read_as_linux_writes_them() {
        let pressure =
            "some avg10=1.23 avg60=0.10 avg300=0.01 total=2500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9";
        assert_eq!(waited_ms(pressure), Some(2.5));
        assert_eq!(waited_ms(""), None);
        let stat = "cpu  10 20 30 40 50 60 70 8 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(stolen_ms(stat), Some(80.0));
        assert_eq!(stolen_ms("intr 1"), None);
    }

    /// The process that writes checkpoints waits a moment after a server was started, and after CHECKPOINT has returned.
    async fn once_idle(admin: &mut Admin, mut sight: Sight) -> Sight {
        while sight.is_checkpointing {
            sight = Sight::take(admin, Where::Here, Some(&sight)).await.unwrap();
        }
        sight
    }

    #[tokio::test]
    async fn a_checkpoint_and_the_sessions_of_others_are_seen_and_our_own_are_not() {
        let bench = Bench::open().await;
        let sandbox = bench
            .sandbox(bench.restored("create table t (id integer);").await)
            .await;
        let mut admin = bench::open_clone(&sandbox, "looked_at").await;
        let first = Sight::take(&mut admin, Where::Here, None).await.unwrap();
        let first = once_idle(&mut admin, first).await;
        let second = Sight::take(&mut admin, Where::Elsewhere, Some(&first)).await.unwrap();
        let seen = second.since(&first);
        assert_eq!((seen.saw_checkpoint, seen.n_autovacuum, seen.n_sessions), (false, 0, 0));
        assert_eq!(seen.cpu_wait_ms, None, "nothing is known of another machine");

        let mut other = Admin::connect(&sandbox.address, "looked_at").await.unwrap();
        other.run("set application_name = 'psql'".to_owned()).await.unwrap();
        other.run("checkpoint".to_owned()).await.unwrap();
        let third = Sight::take(&mut admin, Where::Here, Some(&second)).await.unwrap();
        let seen = third.since(&second);
        assert_eq!((seen.saw_checkpoint, seen.n_sessions), (true, 1));
        let idle = once_idle(&mut admin, third).await;
        let later = Sight::take(&mut admin, Where::Here, Some(&idle)).await.unwrap();
        let seen = later.since(&idle);
        assert_eq!(
            (seen.saw_checkpoint, seen.n_sessions),
            (false, 0),
            "neither is going on"
        );
        for session in [other, admin] {
            session.close().await;
        }
        sandbox.stop().await.unwrap();
        bench.close().await;
    }
}
