//! What a server did from one second of a load test to the next: its counters, who waits for what, and, where the server is
//! ours, what its processes took of the machine.

use std::ops::AddAssign;
use std::path::Path;

use anyhow::Context as _;
use sqlx::Row as _;

use crate::model::benchmark::ServerSecond;
use crate::model::benchmark::WaitCount;
use crate::sql::ident;
use crate::target::registered::session::OwnSession;
use crate::target::registered::session::is_survived;
use crate::target::room::Room;
use crate::target::room::Shortage;
use crate::target::session::Admin;

/// Counters since the server was started. Those of WAL are where it is written to, so that no right is needed.
const COUNTERS: &str = "\
select xact_commit, xact_rollback, blks_hit, blks_read, tup_returned + tup_fetched as rows_read,
       tup_inserted + tup_updated + tup_deleted as rows_written, temp_bytes, deadlocks,
       case when pg_catalog.pg_is_in_recovery() then null
            else pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint end as wal_bytes
from pg_catalog.pg_stat_database where datname = $1";

/// The first eight of them, for a guest.
const GUEST_COUNTERS: &str = "\
select xact_commit, xact_rollback, blks_hit, blks_read, tup_returned + tup_fetched,
       tup_inserted + tup_updated + tup_deleted, temp_bytes, deadlocks
from pg_catalog.pg_stat_database where datname = ";
/// The last of them. Some servers that speak PostgreSQL's protocol have no such WAL.
const GUEST_WAL: &str = "\
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint";

/// What active sessions wait for; those that wait for nothing are at work.
const WAITS: &str = "\
select coalesce(wait_event_type, 'CPU') as class, pg_catalog.count(*)::integer as n
from pg_catalog.pg_stat_activity
where datname = $1 and backend_type = 'client backend' and state = 'active' and pid <> pg_catalog.pg_backend_pid()
group by 1 order by 2 desc, 1";

/// What active sessions wait for, in one line: a guest may see those of its own role only.
const GUEST_WAITS: &str = "\
select pg_catalog.string_agg(class || ' ' || n, ',' order by n desc, class)
from (select coalesce(wait_event_type, 'CPU') as class, pg_catalog.count(*) as n
      from pg_catalog.pg_stat_activity
      where backend_type = 'client backend' and state = 'active' and pid <> pg_catalog.pg_backend_pid() and datname = ";

/// Reads the counters of one database again and again, in a session of its own.
pub struct Counters {
    eye: Eye,
    before: Moment,
}

/// Who looks.
enum Eye {
    Host(Host),
    Guest(Guest),
}

/// The superuser of a sandbox.
struct Host {
    admin: Admin,
    room: Room,
    /// As the sandbox calls it.
    database: String,
    /// Of the server, where its processes can be seen.
    postmaster_pid: Option<u32>,
}

/// Whoever a registered server lets in, who may not see everything, or find everything there.
struct Guest {
    session: OwnSession,
    /// As a literal.
    database: String,
}

/// Totals at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Moment {
    counts: [Option<i64>; 9],
    /// None where the processes cannot be seen.
    taken: Option<Taken>,
}

/// What processes have taken since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Taken {
    cpu_ticks: u64,
    read_bytes: u64,
    written_bytes: u64,
}

impl AddAssign for Taken {
    fn add_assign(&mut self, other: Self) {
        self.cpu_ticks += other.cpu_ticks;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
    }
}

impl Counters {
    /// Looks for the first time, so that the next look has something to compare with.
    pub async fn open(admin: Admin, room: &Room, database: &str, postmaster_pid: Option<u32>) -> anyhow::Result<Self> {
        Self::begin(Eye::Host(Host {
            admin,
            room: room.clone(),
            database: database.to_owned(),
            postmaster_pid,
        }))
        .await
    }

    /// The same of a database on a registered server. What that does not tell is left out.
    pub async fn of_registered(session: OwnSession, database: &str) -> anyhow::Result<Self> {
        let database = ident::literal(database);
        Self::begin(Eye::Guest(Guest { session, database })).await
    }

    async fn begin(mut eye: Eye) -> anyhow::Result<Self> {
        let before = eye.look().await?;
        Ok(Self { eye, before })
    }

    /// What happened since the last look.
    pub async fn second(&mut self) -> anyhow::Result<ServerSecond> {
        let now = self.eye.look().await?;
        let mut second = between(&self.before, &now);
        second.waits = self.eye.waits().await?;
        self.before = now;
        Ok(second)
    }

    /// Why the load must not go on; none as long as its database may grow. In the session that is open anyway: another one
    /// would be one more process beside those under load. Of a registered server nothing is known.
    pub async fn shortage(&mut self) -> anyhow::Result<Option<Shortage>> {
        match &mut self.eye {
            Eye::Host(host) => host.room.shortage(&mut host.admin, &host.database).await,
            Eye::Guest(_) => Ok(None),
        }
    }

    /// Ends the session.
    pub async fn close(self) {
        match self.eye {
            Eye::Host(host) => host.admin.close().await,
            Eye::Guest(guest) => guest.session.close().await,
        }
    }
}

impl Eye {
    async fn look(&mut self) -> anyhow::Result<Moment> {
        match self {
            Self::Host(host) => host.look().await,
            Self::Guest(guest) => guest.look().await,
        }
    }

    async fn waits(&mut self) -> anyhow::Result<Vec<WaitCount>> {
        match self {
            Self::Host(host) => host.waits().await,
            Self::Guest(guest) => guest.waits().await,
        }
    }
}

impl Host {
    async fn look(&mut self) -> anyhow::Result<Moment> {
        let row = sqlx::query(COUNTERS)
            .bind(self.admin.names.on_server(&self.database))
            .fetch_one(&mut self.admin.conn)
            .await
            .context("reading the counters of the database")?;
        let mut counts = [None; 9];
        for (idx, count) in counts.iter_mut().enumerate() {
            *count = row.try_get(idx).context("reading a counter")?;
        }
        Ok(Moment {
            counts,
            taken: self.postmaster_pid.and_then(taken),
        })
    }

    async fn waits(&mut self) -> anyhow::Result<Vec<WaitCount>> {
        let waits = sqlx::query(WAITS)
            .bind(self.admin.names.on_server(&self.database))
            .fetch_all(&mut self.admin.conn)
            .await
            .context("asking what sessions wait for")?;
        let waits = waits.iter().map(|row| {
            let n: i32 = row.get("n");
            WaitCount {
                class: row.get("class"),
                n: n.unsigned_abs(),
            }
        });
        Ok(waits.collect())
    }
}

impl Guest {
    async fn look(&mut self) -> anyhow::Result<Moment> {
        let mut counts = [None; 9];
        let sql = format!("{GUEST_COUNTERS}{}", self.database);
        let told = match self.session.row(&sql).await {
            Err(error) if is_survived(&error) => Vec::new(),
            told => told?,
        };
        let number = |text: &Option<String>| text.as_ref()?.parse().ok();
        for (count, text) in counts.iter_mut().zip(&told) {
            *count = number(text);
        }
        counts[8] = number(&self.session.ask_if_told(GUEST_WAL).await?);
        Ok(Moment { counts, taken: None })
    }

    async fn waits(&mut self) -> anyhow::Result<Vec<WaitCount>> {
        let sql = format!("{GUEST_WAITS}{} group by 1) waits", self.database);
        let told = self.session.ask_if_told(&sql).await?.unwrap_or_default();
        let waits = told.split(',').filter_map(|wait| {
            let (class, n) = wait.rsplit_once(' ')?;
            Some(WaitCount {
                class: class.to_owned(),
                n: n.parse().ok()?,
            })
        });
        Ok(waits.collect())
    }
}

fn between(before: &Moment, now: &Moment) -> ServerSecond {
    // Counters begin anew when the server does.
    let more = |idx: usize| {
        let (before, now) = (before.counts[idx]?, now.counts[idx]?);
        Some(now - before).filter(|more| *more >= 0)
    };
    let taken = |what: fn(&Taken) -> u64| {
        let (before, now) = (before.taken.as_ref().map(what)?, now.taken.as_ref().map(what)?);
        now.checked_sub(before)
    };
    let bytes = |what| taken(what).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    ServerSecond {
        commits: more(0),
        rollbacks: more(1),
        blocks_hit: more(2),
        blocks_read: more(3),
        rows_read: more(4),
        rows_written: more(5),
        temp_bytes: more(6),
        deadlocks: more(7),
        wal_bytes: more(8),
        waits: Vec::new(),
        #[expect(clippy::cast_precision_loss, reason = "ticks of one second")]
        cpu_ms: taken(|taken| taken.cpu_ticks).map(|ticks| ticks as f64 * MS_PER_TICK),
        read_bytes: bytes(|taken| taken.read_bytes),
        written_bytes: bytes(|taken| taken.written_bytes),
    }
}

/// `/proc` counts in hundredths of a second: `USER_HZ`, which is 100 wherever Linux runs a PostgreSQL (proc(5)).
const MS_PER_TICK: f64 = 10.0;

/// What the processes of a server have taken: its first one, the children of that, and those that have ended. Of ended
/// children the system adds up what they took with their parent, here the first one. None where it does not tell.
fn taken(postmaster_pid: u32) -> Option<Taken> {
    let mut sum = of_process(postmaster_pid, Of::ItselfAndEndedChildren)?;
    let children = std::fs::read_to_string(format!("/proc/{postmaster_pid}/task/{postmaster_pid}/children")).ok()?;
    for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        if let Some(taken) = of_process(child, Of::Itself) {
            sum += taken;
        }
    }
    Some(sum)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Itself,
    ItselfAndEndedChildren,
}

fn of_process(pid: u32, of: Of) -> Option<Taken> {
    let dir = Path::new("/proc").join(pid.to_string());
    let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
    // Behind the name, which stands in brackets and may hold anything: the state is field 3, utime, stime, cutime and cstime
    // are 14 to 17 (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let last = match of {
        Of::Itself => 15,
        Of::ItselfAndEndedChildren => 17,
    };
    let ticks = (14..=last).map(|number: usize| fields.get(number - 3)?.parse::<u64>().ok());
    // It holds what ended children took as well.
    let io = std::fs::read_to_string(dir.join("io")).unwrap_or_default();
    let bytes = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    Some(Taken {
        cpu_ticks: ticks.sum::<Option<u64>>()?,
        read_bytes: bytes("read_bytes:").unwrap_or(0),
        written_bytes: bytes("write_bytes:").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_the_difference_of_two_moments_and_a_restart_is_no_negative_one() {
        let moment = |commits, wal, cpu_ticks| Moment {
            counts: [Some(commits), Some(0), None, None, None, None, None, None, Some(wal)],
            taken: Some(Taken {
                cpu_ticks,
                read_bytes: 0,
                written_bytes: 4096 * cpu_ticks,
            }),
        };
        let second = between(&moment(100, 5000, 50), &moment(160, 4000, 59));
        assert_eq!(
            (second.commits, second.wal_bytes, second.blocks_hit),
            (Some(60), None, None)
        );
        assert_eq!((second.cpu_ms, second.written_bytes), (Some(90.0), Some(9 * 4096)));
        let restarted = between(&moment(160, 4000, 59), &moment(3, 5000, 2));
        assert_eq!((restarted.commits, restarted.cpu_ms), (None, None));
    }

    #[test]
    fn what_a_process_took_stays_counted_when_it_has_ended() {
        let own = std::process::id();
        let before = taken(own).unwrap();
        let spins = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh").args(["-c", spins]).status().unwrap();
        assert!(status.success());
        assert!(taken(own).unwrap().cpu_ticks > before.cpu_ticks);
    }
}
