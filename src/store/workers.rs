//! Workers: who takes work from this store, and whether they are still there.

use sqlx::PgConnection;

use crate::model::ids::JobId;
use crate::model::ids::WorkerId;
use crate::model::job::JobKind;
use crate::model::worker::ClockOffset;
use crate::model::worker::NewWorker;
use crate::model::worker::SILENCE_S;
use crate::model::worker::Worker;
use crate::store::Result;

/// A worker that has been gone for so long is removed.
const FORGOTTEN_AFTER_S: f64 = 3600.0;

/// Notes that a process takes work from now on, and forgets those that are long gone.
pub async fn register(conn: &mut PgConnection, new: &NewWorker) -> Result<WorkerId> {
    sqlx::query!(
        "delete from workers where greatest(heartbeat_at, left_at) < clock_timestamp() - make_interval(secs => $1)",
        FORGOTTEN_AFTER_S,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        r#"insert into workers (name, machine, version, n_processors, can_run_sandboxes, home, clock_offset_ms,
                                clock_error_ms)
           values ($1, $2, $3, $4, $5, $6, $7, $8) returning id as "id: WorkerId""#,
        new.name,
        new.machine,
        new.version,
        i32::try_from(new.n_processors).unwrap_or(i32::MAX),
        new.can_run_sandboxes,
        new.home,
        new.clock.offset_ms,
        new.clock.error_ms,
    )
    .fetch_one(conn)
    .await
}

/// Takes leave for those of a data directory, all of which are dead: somebody has come who found nobody there.
pub async fn bury(conn: &mut PgConnection, home: &str) -> Result<()> {
    sqlx::query!(
        "update workers set left_at = clock_timestamp() where home = $1 and left_at is null",
        home,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A sign of life. One that was forgotten is noted again.
pub async fn beat(conn: &mut PgConnection, id: WorkerId, own: &NewWorker) -> Result<()> {
    sqlx::query!(
        "insert into workers (id, name, machine, version, n_processors, can_run_sandboxes, home, clock_offset_ms,
                              clock_error_ms)
         overriding system value values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (id) do update set heartbeat_at = clock_timestamp(), left_at = null,
                                        clock_offset_ms = excluded.clock_offset_ms,
                                        clock_error_ms = excluded.clock_error_ms",
        id.0,
        own.name,
        own.machine,
        own.version,
        i32::try_from(own.n_processors).unwrap_or(i32::MAX),
        own.can_run_sandboxes,
        own.home,
        own.clock.offset_ms,
        own.clock.error_ms,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a worker has ended in order.
pub async fn leave(conn: &mut PgConnection, id: WorkerId) -> Result<()> {
    sqlx::query!("update workers set left_at = clock_timestamp() where id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Selects workers; the tail says which.
macro_rules! select_workers {
    ($tail:literal $(, $bind:expr)* $(,)?) => {
        sqlx::query!(
            r#"select w.id as "id: WorkerId", w.name, w.machine, w.version, w.n_processors, w.can_run_sandboxes, w.home,
                      w.started_at, w.heartbeat_at, w.clock_offset_ms, w.clock_error_ms, w.left_at,
                      clock_timestamp() as "read_at!"
               from workers w "# + $tail
            $(, $bind)*
        )
        .map(|row| Worker {
            id: row.id,
            about: NewWorker {
                name: row.name,
                machine: row.machine,
                version: row.version,
                n_processors: row.n_processors.unsigned_abs(),
                can_run_sandboxes: row.can_run_sandboxes,
                home: row.home,
                clock: ClockOffset {
                    offset_ms: row.clock_offset_ms,
                    error_ms: row.clock_error_ms,
                },
            },
            started_at: row.started_at,
            heartbeat_at: row.heartbeat_at,
            left_at: row.left_at,
            read_at: row.read_at,
        })
    };
}

/// All that are not forgotten, those that are here first, each in the order in which they came.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Worker>> {
    select_workers!(
        "where greatest(w.heartbeat_at, w.left_at) >= clock_timestamp() - make_interval(secs => $1)
         order by w.left_at is not null or w.heartbeat_at < clock_timestamp() - make_interval(secs => $2), w.id",
        FORGOTTEN_AFTER_S,
        SILENCE_S,
    )
    .fetch_all(conn)
    .await
}

/// Those that can make a share of the load of a job: they are here, of this version of pgassay, and nothing else is measured
/// on their machines.
pub async fn list_free(conn: &mut PgConnection, job_id: JobId, version: &str) -> Result<Vec<Worker>> {
    select_workers!(
        "where w.left_at is null and w.heartbeat_at >= clock_timestamp() - make_interval(secs => $1) and w.version = $2
           and not exists (
               select from jobs j
               where j.status = 'running' and j.id <> $3
                 and (j.host = w.machine
                      or j.lease_owner in (select near.name from workers near where near.machine = w.machine)))
           and not exists (
               select from benchmark_shares s join jobs j on j.id = s.job_id join workers near on near.id = s.worker_id
               where near.machine = w.machine and s.status in ('offered', 'connected', 'running')
                 and j.status = 'running' and j.epoch = s.epoch and j.id <> $3)
         order by w.id",
        SILENCE_S,
        version,
        job_id.0,
    )
    .fetch_all(conn)
    .await
}

/// What a worker is at work on, of whosoever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A job, in a few words: `benchmark`.
    Job {
        kind: JobKind,
    },
    Share {
        n_clients: u32,
    },
}

/// What the workers do at the moment, each with its worker.
pub async fn list_doing(conn: &mut PgConnection) -> Result<Vec<(WorkerId, Doing)>> {
    let jobs = sqlx::query!(
        r#"select w.id as "id: WorkerId", j.kind as "kind: JobKind"
           from jobs j join workers w on w.name = j.lease_owner and w.left_at is null
           where j.status = 'running'"#,
    )
    .map(|row| (row.id, Doing::Job { kind: row.kind }))
    .fetch_all(&mut *conn)
    .await?;
    let shares = sqlx::query!(
        r#"select s.worker_id as "id!: WorkerId", s.n_clients
           from benchmark_shares s join jobs j on j.id = s.job_id
           where s.worker_id is not null and s.share_idx > 0 and s.status in ('offered', 'connected', 'running')
             and j.status = 'running' and j.epoch = s.epoch"#,
    )
    .map(|row| {
        let n_clients = row.n_clients.unsigned_abs();
        (row.id, Doing::Share { n_clients })
    })
    .fetch_all(conn)
    .await?;
    Ok([jobs, shares].concat())
}
