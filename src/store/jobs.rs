//! Jobs as people see them: what waits, what runs, what was asked to stop.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::DatasetPlace;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::JobId;
use crate::model::ids::ServerId;
use crate::model::ids::UserId;
use crate::model::ids::WorkloadId;
use crate::model::job::Interrupted;
use crate::model::job::Job;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::model::units::date;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::datasets::AWAY_AFTER_S;
use crate::store::quotas;
use crate::store::to_u64;

/// So much of the queue is read, however long it is: everybody who looks asks for it every other second.
const MOST_QUEUED: i64 = 100;

/// What runs and what waits, as far as it is read.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Its beginning, and the job that was asked after, in the order in which they will run: what runs comes first.
    pub jobs: Vec<QueuedJob>,
    /// How many there are in all.
    pub n_jobs: u64,
}

/// A job in the queue with the thing it works for, as far as the viewer may see that.
#[derive(Clone, Debug)]
pub struct QueuedJob {
    pub job: Job,
    /// Jobs that wait and come before it.
    pub n_before: u64,
    pub dataset: Option<(DatasetId, String)>,
    pub workload: Option<(WorkloadId, String)>,
    pub experiment_id: Option<ExperimentId>,
    pub instrument_id: Option<InstrumentId>,
    pub benchmark: Option<(BenchmarkId, String)>,
    /// The registered server that it needs for itself.
    pub server: Option<(ServerId, String)>,
    /// The machine without which a waiting job cannot begin, where that one is away.
    pub waits_for: Option<DatasetPlace>,
    /// As many jobs of its account run as may at a time: so many, of one that waits for that.
    pub held_at: Option<u64>,
    /// Trials planned and stored, of an experiment.
    pub n_trials: Option<i32>,
    pub n_recorded: i64,
}

/// The job in a row that has its columns, two of them under other names where what the job works for has such too.
macro_rules! job_of {
    ($row:ident, $id:ident, $created_at:ident) => {
        crate::model::job::Job {
            id: $row.$id,
            kind: $row.kind,
            status: $row.status,
            stage: $row.stage,
            progress: $row.progress.0,
            message: $row.message,
            cancel_requested: $row.cancel_requested,
            created_at: $row.$created_at,
            started_at: $row.started_at,
            finished_at: $row.finished_at,
            read_at: $row.read_at,
        }
    };
}
pub(crate) use job_of;

/// Puts a job at the end of the queue. `home` is the data directory that has to do it; without one it is done where the
/// dataset is that it is about, or anywhere.
pub async fn insert(conn: &mut PgConnection, viewer: Viewer, kind: JobKind, home: Option<&str>) -> Result<JobId> {
    sqlx::query_scalar!(
        r#"insert into jobs (owner_id, kind, home) values ($1, $2, $3) returning id as "id: JobId""#,
        viewer.user_id.0,
        kind as JobKind,
        home,
    )
    .fetch_one(conn)
    .await
}

/// Says which registered server a job that was just inserted needs for itself.
pub async fn set_server(conn: &mut PgConnection, id: JobId, server_id: ServerId) -> Result<()> {
    sqlx::query!("update jobs set server_id = $2 where id = $1", id.0, server_id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// One job; none when there is no such job for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<Option<Job>> {
    sqlx::query!(
        r#"select id as "id: JobId", kind as "kind: JobKind", status as "status: JobStatus", stage,
                  progress as "progress: Json<Progress>", message, cancel_requested,
                  created_at, started_at, finished_at, clock_timestamp() as "read_at!"
           from jobs j where id = $1 and may_see($2, j)"#,
        id.0,
        viewer as Viewer,
    )
    .map(|row| job_of!(row, id, created_at))
    .fetch_optional(conn)
    .await
}

/// What kept a job from going on, in order. Whether that may be seen is asked where there is anything: it takes longer than all
/// the rest, every page asks, and hardly a job was ever interrupted.
pub async fn list_interruptions(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<Vec<Interrupted>> {
    sqlx::query_as!(
        Interrupted,
        "select i.stage, i.reason, i.happened_at from interruptions i
         where i.job_id = $1 and (select may_see($2, j) from jobs j where j.id = i.job_id) order by i.id",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

macro_rules! stop_jobs {
    ($message:literal, $which:literal, $($parameter:tt)*) => {
        sqlx::query!(
            "update jobs j set cancel_requested = true,
                    status = case when status = 'queued' then 'cancelled'::job_status else status end,
                    message = case when status <> 'queued' then message "
                + $message
                + " end,
                    finished_at = case when status = 'queued' then clock_timestamp() else finished_at end
             where status in ('queued', 'running') and "
                + $which,
            $($parameter)*
        )
    };
}

/// Asks a job to stop: a waiting one is over at once, a running one is stopped by whoever runs it.
///
/// Returns false when there was nothing left to stop.
pub async fn request_cancel(conn: &mut PgConnection, viewer: Viewer, id: JobId) -> Result<bool> {
    let done = stop_jobs!(
        "when started_at is null then 'Stopped before it began.' else 'Stopped on request.'",
        "id = $1 and may_change($2, j)",
        id.0,
        viewer as Viewer,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Asks for all of an account's jobs to stop.
pub async fn request_cancel_of(conn: &mut PgConnection, owner: UserId) -> Result<()> {
    stop_jobs!(
        "else 'Stopped: an admin has shut out the account it belongs to.'",
        "owner_id = $1",
        owner.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for those of them to stop that need a registered server.
pub async fn request_cancel_on_servers_of(conn: &mut PgConnection, owner: UserId) -> Result<()> {
    stop_jobs!(
        "else 'Stopped: the account it belongs to may not use registered servers any more.'",
        "owner_id = $1 and server_id is not null",
        owner.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The beginning of what runs and what waits, whoever asked for it, and the job `of` wherever that stands. Of what the viewer
/// may not see there is only that it is there.
pub async fn list_unsettled(conn: &mut PgConnection, viewer: Viewer, of: Option<JobId>) -> Result<Queue> {
    let busy = quotas::list_busy(&mut *conn).await?;
    let rows = sqlx::query!(
        r#"with queue as (
               select id, row_number() over line as idx, count(*) over () as n_jobs,
                      count(*) filter (where status = 'queued') over line - (status = 'queued')::integer as n_before
               from jobs where status in ('queued', 'running')
               window line as (order by status desc, kind = 'check' desc, id))
           select q.n_jobs as "n_jobs!", q.n_before as "n_before!", j.id as "id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus",
                  case when own.is_seen then j.stage else '' end as "stage!",
                  case when own.is_seen then j.progress else '{}' end as "progress!: Json<Progress>",
                  case when own.is_seen then j.message end as message, j.cancel_requested,
                  j.created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!",
                  case when own.is_seen and may_see($1, d) then d.id end as "dataset_id: DatasetId",
                  case when own.is_seen and may_see($1, d) then d.name end as "dataset_name",
                  case when own.is_seen and may_see($1, w) then w.id end as "workload_id: WorkloadId",
                  case when own.is_seen and may_see($1, w) then w.name end as "workload_name",
                  case when own.is_seen then e.id end as "experiment_id: ExperimentId",
                  case when own.is_seen then e.n_trials end as "n_trials?",
                  case when own.is_seen then i.id end as "instrument_id: InstrumentId",
                  case when own.is_seen then b.id end as "benchmark_id: BenchmarkId",
                  case when own.is_seen then b.target_name end as "target_name",
                  case when own.is_seen then j.n_recorded else 0 end as "n_recorded!",
                  case when own.is_seen then s.id end as "server_id?: ServerId",
                  case when own.is_seen then s.name end as "server_name?",
                  case when own.is_seen then h.machine end as "machine?",
                  case when own.is_seen then h.seen_at end as "seen_at?", j.owner_id as "owner_id: UserId"
           from queue q join jobs j on j.id = q.id
           left join experiments e on e.job_id = j.id
           left join workload_checks c on c.job_id = j.id
           left join instruments i on i.job_id = j.id
           left join benchmarks b on b.job_id = j.id
           left join servers s on s.id = j.server_id
           left join datasets d on d.job_id = j.id or d.id in (e.dataset_id, c.dataset_id, i.dataset_id,
                                                                  b.dataset_id)
           left join workloads w on w.id = coalesce(e.workload_id, c.workload_id)
           cross join lateral (select coalesce(may_see($1, e), may_see($1, i), may_see($1, b),
                                               may_see($1, w) and may_see($1, d), may_see($1, d), false) as is_seen) own
           left join jobs r on r.id = d.job_id
           left join homes h on j.status = 'queued' and h.home = coalesce(j.home, r.home)
                                and h.seen_at < clock_timestamp() - make_interval(secs => $2)
           where q.idx <= $3 or q.id = $4
           order by q.idx"#,
        viewer as Viewer,
        AWAY_AFTER_S,
        MOST_QUEUED,
        of.map(|id| id.0),
    )
    .fetch_all(conn)
    .await?;
    let n_jobs = rows.first().map_or(0, |row| to_u64(row.n_jobs));
    let queued = rows.into_iter().map(|row| QueuedJob {
        n_before: to_u64(row.n_before),
        dataset: row.dataset_id.zip(row.dataset_name),
        workload: row.workload_id.zip(row.workload_name),
        experiment_id: row.experiment_id,
        instrument_id: row.instrument_id,
        benchmark: row.benchmark_id.zip(row.target_name),
        server: row.server_id.zip(row.server_name),
        waits_for: row.machine.zip(row.seen_at).map(|(machine, seen_at)| DatasetPlace {
            machine,
            seen_at,
            is_away: true,
        }),
        held_at: (row.status == JobStatus::Queued)
            .then(|| busy.iter().find(|busy| busy.account == row.owner_id))
            .flatten()
            .map(|busy| busy.most),
        n_trials: row.n_trials,
        n_recorded: row.n_recorded,
        job: job_of!(row, id, created_at),
    });
    Ok(Queue {
        jobs: queued.collect(),
        n_jobs,
    })
}

impl Queue {
    /// The job of this id, as long as it waits or runs.
    pub fn find(&self, id: JobId) -> Option<&QueuedJob> {
        self.jobs.iter().find(|queued| queued.job.id == id)
    }

    /// What runs.
    pub fn running(&self) -> impl Iterator<Item = &QueuedJob> {
        self.jobs
            .iter()
            .filter(|queued| queued.job.status == JobStatus::Running)
    }
}

impl QueuedJob {
    /// Which machine it waits for, as a sentence; none while that is not away.
    pub fn away_in_words(&self) -> Option<String> {
        let place = self.waits_for.as_ref()?;
        Some(format!(
            "It waits for the machine {}, which has its dataset and was last seen at {} UTC.",
            place.machine,
            date(place.seen_at)
        ))
    }

    /// What the job does, in a few words.
    pub fn in_words(&self) -> String {
        let dataset = self.dataset.as_ref().map_or("a dataset", |(_, name)| name);
        let workload = self.workload.as_ref().map_or("a workload", |(_, name)| name);
        match (self.job.kind, self.experiment_id) {
            (JobKind::Restore, _) => format!("restoring {dataset}"),
            (JobKind::Check, _) => format!("checking {workload} against {dataset}"),
            (JobKind::Experiment, Some(id)) => format!("experiment {id}"),
            (JobKind::Experiment, None) => "an experiment".to_owned(),
            (JobKind::Instrument, _) => match self.instrument_id {
                Some(id) => format!("instrument {id}"),
                None => "an instrument".to_owned(),
            },
            (JobKind::Benchmark, _) => match &self.benchmark {
                Some((id, _)) => format!("benchmark {id}"),
                None => "a benchmark".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::experiments;
    use crate::store::queue;
    use crate::store::queue::Renewal;
    use crate::testing::world::World;

    #[tokio::test]
    async fn only_the_owner_stops_a_job() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        assert!(!request_cancel(&mut conn, stranger, job_id).await.unwrap());
        assert!(get(&mut conn, stranger, job_id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_an_account_has_launched_stops_with_it_and_nothing_else_does() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        request_cancel_of(&mut conn, stranger.user_id).await.unwrap();
        let job = get(&mut conn, world.viewer, job_id).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Queued);
        request_cancel_of(&mut conn, world.viewer.user_id).await.unwrap();
        let job = get(&mut conn, world.viewer, job_id).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Cancelled);
    }

    #[tokio::test]
    async fn others_see_that_something_is_in_the_queue_and_not_what() {
        let world = World::new().await;
        world.experiment("shop", &["none"]).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        let own = list_unsettled(&mut conn, world.viewer, None).await.unwrap().jobs;
        let seen = list_unsettled(&mut conn, stranger, None).await.unwrap().jobs;
        assert!(own.iter().any(|queued| queued.experiment_id.is_some()));
        assert_eq!(own.len(), seen.len());
        for queued in &seen {
            assert!(queued.dataset.is_none() && queued.workload.is_none() && queued.experiment_id.is_none());
            assert_eq!((&*queued.job.stage, &queued.job.message), ("", &None));
        }
    }

    #[tokio::test]
    async fn the_queue_names_what_each_job_works_for() {
        let world = World::new().await;
        let (experiment_id, _) = world.experiment("e", &["built_in", "none"]).await;
        world.dataset("shop").await;
        world.claim("a").await.unwrap();
        let mut conn = world.conn().await;
        let words: Vec<String> = list_unsettled(&mut conn, world.viewer, None)
            .await
            .unwrap()
            .jobs
            .iter()
            .map(QueuedJob::in_words)
            .collect();
        assert_eq!(
            words,
            [format!("experiment {experiment_id}"), "restoring shop".to_owned()]
        );
        assert_eq!(
            experiments::newest_unsettled(&mut conn, world.viewer).await.unwrap(),
            Some(experiment_id)
        );
    }

    #[tokio::test]
    async fn of_a_queue_without_end_the_beginning_is_read_and_the_job_that_is_asked_after() {
        let world = World::new().await;
        let (_, running) = world.dataset("shop").await;
        world.claim("a").await.unwrap();
        let mut ids = vec![running];
        for _ in 0..150 {
            ids.push(world.job(JobKind::Experiment).await);
        }
        // A check takes a moment, and goes before everything that waits.
        let check = world.job(JobKind::Check).await;
        ids.insert(1, check);
        let mut conn = world.conn().await;
        for (of, n_read) in [(None, 100), (Some(ids[3]), 100), (Some(ids[140]), 101)] {
            let queue = list_unsettled(&mut conn, world.viewer, of).await.unwrap();
            assert_eq!((queue.jobs.len(), queue.n_jobs), (n_read, 152), "{of:?}");
            for (idx, queued) in queue.jobs[..100].iter().enumerate() {
                assert_eq!(
                    (queued.job.id, queued.n_before),
                    (ids[idx], idx.saturating_sub(1) as u64)
                );
            }
            let running: Vec<JobId> = queue.running().map(|queued| queued.job.id).collect();
            assert_eq!(running, [ids[0]]);
            let own = of.map(|id| queue.find(id).unwrap().n_before);
            assert_eq!(
                own,
                of.map(|id| ids.iter().position(|known| *known == id).unwrap() as u64 - 1)
            );
        }
    }

    #[tokio::test]
    async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_by_its_runner() {
        let world = World::new().await;
        let waiting = world.job(JobKind::Experiment).await;
        let mut conn = world.conn().await;
        assert!(request_cancel(&mut conn, world.viewer, waiting).await.unwrap());
        let settled = get(&mut conn, world.viewer, waiting).await.unwrap().unwrap();
        assert_eq!(settled.status, JobStatus::Cancelled);
        assert_eq!(settled.message.as_deref(), Some("Stopped before it began."));
        assert!(!request_cancel(&mut conn, world.viewer, waiting).await.unwrap());

        let put_back = world.job(JobKind::Experiment).await;
        let lease = world.claim("a").await.unwrap().lease;
        let shutdown = queue::Interruption::Shutdown;
        assert!(queue::release(&mut conn, &lease, "waiting", &shutdown).await.unwrap());
        assert!(request_cancel(&mut conn, world.viewer, put_back).await.unwrap());
        let settled = get(&mut conn, world.viewer, put_back).await.unwrap().unwrap();
        assert_eq!(settled.status, JobStatus::Cancelled);
        assert_eq!(settled.message.as_deref(), Some("Stopped on request."));

        let running = world.job(JobKind::Experiment).await;
        let lease = world.claim("a").await.unwrap().lease;
        assert!(request_cancel(&mut conn, world.viewer, running).await.unwrap());
        assert_eq!(
            get(&mut conn, world.viewer, running).await.unwrap().unwrap().status,
            JobStatus::Running
        );
        assert_eq!(queue::renew(&mut conn, &lease).await.unwrap(), Renewal::CancelRequested);
        assert!(
            queue::settle(&mut conn, &lease, JobStatus::Cancelled, Some("Stopped."))
                .await
                .unwrap()
        );
        assert_eq!(
            get(&mut conn, world.viewer, running).await.unwrap().unwrap().status,
            JobStatus::Cancelled
        );
    }
}
