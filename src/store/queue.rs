//! Claim, lease, rescue: how one machine works on one job at a time, and how nothing is lost with a dead process.
//!
//! All times are the store's own clock. A lease is renewed by every write of its runner; when it lapses the job goes
//! back into the queue, and the epoch that the next claim draws fences the old runner off.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::JobId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::store::Result;

/// Seconds for which a claim or a renewal holds.
pub const LEASE_S: f64 = 20.0;
/// After so many interruptions without anything recorded in between, a job is given up.
pub const MAX_INTERRUPTIONS: i32 = 3;

/// A job that was just claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: Lease,
    pub kind: JobKind,
    pub owner_id: crate::model::ids::UserId,
}

/// What the store says when a lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    Held,
    /// Somebody asked the job to stop.
    CancelRequested,
    /// The lease lapsed or passed to another runner: stop, write nothing.
    Lost,
}

/// Puts jobs whose lease has lapsed back into the queue, and gives up those that were interrupted too often.
/// Returns how many there were.
///
/// A lease that ends later than any lease can was given before the store's clock was put back, and counts as lapsed.
pub async fn rescue(conn: &mut PgConnection) -> Result<u64> {
    requeue_lapsed(conn, None, "pgassay was silent for too long").await
}

/// As [`rescue`], for the jobs of a data directory that this process has just taken over: their runner is dead,
/// whatever its lease says.
pub async fn rescue_home(conn: &mut PgConnection, home: &str) -> Result<u64> {
    requeue_lapsed(conn, Some(home), "pgassay ended without a word").await
}

async fn requeue_lapsed(conn: &mut PgConnection, home: Option<&str>, reason: &str) -> Result<u64> {
    let done = sqlx::query!(
        "with lapsed as (
             select id, stage from jobs
             where status = 'running'
               and (lease_until not between clock_timestamp() and clock_timestamp() + make_interval(secs => 2 * $4::float8)
                    or home = $1)
             for update),
         requeued as (
             update jobs set host = null, lease_owner = null, lease_until = null, epoch = epoch + 1,
                    interruptions = interruptions + 1,
                    status = case when cancel_requested then 'cancelled'::job_status
                                  when interruptions + 1 >= $2 then 'failed' else 'queued' end,
                    message = case when cancel_requested then 'Stopped on request.'
                                   when interruptions + 1 >= $2
                                   then format('Given up: interrupted %s times without a result in between.', $2::integer)
                                   else message end,
                    finished_at = case when cancel_requested or interruptions + 1 >= $2 then clock_timestamp() end,
                    stage = 'interrupted'
             where id in (select id from lapsed))
         insert into interruptions (job_id, stage, reason) select id, stage, $3 from lapsed",
        home,
        MAX_INTERRUPTIONS,
        reason,
        LEASE_S,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Claims the next job of the data directory `home` for this machine; none when nothing waits or the machine is busy.
/// A check is quick and goes first, but not before its own dataset is restored.
pub async fn claim(conn: &mut PgConnection, home: &str, host: &str, owner: &str) -> Result<Option<Claimed>> {
    let claimed = sqlx::query!(
        r#"update jobs set status = 'running', host = $2, lease_owner = $3, epoch = epoch + 1,
                  lease_until = clock_timestamp() + make_interval(secs => $4),
                  started_at = coalesce(started_at, clock_timestamp())
           where id = (
               select id from jobs
               where status = 'queued' and home = $1 and not cancel_requested
                 and not exists (select 1 from jobs busy where busy.status = 'running' and busy.host = $2)
                 and not exists (
                     select 1 from workload_checks c
                     join datasets d on d.id = c.dataset_id join jobs restore on restore.id = d.job_id
                     where c.job_id = jobs.id and restore.status in ('queued', 'running'))
               order by kind = 'check' desc, id
               limit 1 for update skip locked)
           returning id as "id: JobId", kind as "kind: JobKind", epoch, owner_id as "owner_id: crate::model::ids::UserId""#,
        home,
        host,
        owner,
        LEASE_S,
    )
    .fetch_optional(conn)
    .await;
    match claimed {
        Ok(row) => Ok(row.map(|row| Claimed {
            lease: Lease {
                job_id: row.id,
                epoch: row.epoch,
                owner: owner.to_owned(),
            },
            kind: row.kind,
            owner_id: row.owner_id,
        })),
        // Another process of this machine was quicker; the unique index on the host decided.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renews a lease, as the heartbeat of a job does.
pub async fn renew(conn: &mut PgConnection, lease: &Lease) -> Result<Renewal> {
    let cancel_requested = sqlx::query_scalar!(
        "update jobs set lease_until = clock_timestamp() + make_interval(secs => $4)
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running' and lease_until > clock_timestamp()
         returning cancel_requested",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match cancel_requested {
        None => Renewal::Lost,
        Some(true) => Renewal::CancelRequested,
        Some(false) => Renewal::Held,
    })
}

/// Notes where a running job stands. Returns false when the lease is lost.
pub async fn set_progress(conn: &mut PgConnection, lease: &Lease, stage: &str, progress: &Progress) -> Result<bool> {
    let done = sqlx::query!(
        "update jobs set stage = $4, progress = $5, lease_until = clock_timestamp() + make_interval(secs => $6)
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        stage,
        Json(progress) as _,
        LEASE_S,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a job for good. Returns false when the lease is lost, and then nothing was changed.
pub async fn settle(conn: &mut PgConnection, lease: &Lease, status: JobStatus, message: Option<&str>) -> Result<bool> {
    let done = sqlx::query!(
        "update jobs set status = $4, message = $5, finished_at = clock_timestamp(), stage = 'done',
                host = null, lease_owner = null, lease_until = null
         where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        status as JobStatus,
        message,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a job back into the queue, unless it was asked to stop meanwhile. Returns false when the lease is lost.
pub async fn release(conn: &mut PgConnection, lease: &Lease, stage: &str, why: &Interruption) -> Result<bool> {
    let done = sqlx::query!(
        "with held as (
             select id, stage from jobs
             where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
             for update),
         noted as (
             insert into interruptions (job_id, stage, reason) select id, stage, $6 from held where $6::text is not null)
         update jobs set status = case when cancel_requested then 'cancelled'::job_status else 'queued' end,
                message = case when cancel_requested then 'Stopped on request.' else message end,
                finished_at = case when cancel_requested then clock_timestamp() end,
                stage = $4, interruptions = interruptions + $5,
                host = null, lease_owner = null, lease_until = null
         where id in (select id from held)",
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        stage,
        i32::from(matches!(why, Interruption::Lost(_))),
        why.in_words(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why a runner puts its job back into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// This process is told to end.
    Shutdown,
    /// Another pgassay, which worked on the job before, still holds what it needs.
    Busy,
    /// A server was lost, in words. It counts: see [`MAX_INTERRUPTIONS`].
    Lost(String),
}

impl Interruption {
    /// None when nothing was interrupted.
    fn in_words(&self) -> Option<&str> {
        match self {
            Self::Shutdown => Some("pgassay was told to stop"),
            Self::Busy => None,
            Self::Lost(words) => Some(words),
        }
    }
}

/// How often a job was interrupted since something was last recorded for it.
pub async fn interruptions(conn: &mut PgConnection, lease: &Lease) -> Result<i32> {
    sqlx::query_scalar!("select interruptions from jobs where id = $1", lease.job_id.0)
        .fetch_one(conn)
        .await
}

/// Whether this store has ever had work for a data directory.
pub async fn knows_home(conn: &mut PgConnection, home: &str) -> Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from jobs where home = $1) as "knows!""#, home)
        .fetch_one(conn)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::Job;
    use crate::store::checks;
    use crate::store::experiments;
    use crate::store::jobs;
    use crate::store::trials;
    use crate::testing::world::HOME;
    use crate::testing::world::World;

    fn lost() -> Interruption {
        Interruption::Lost("its server was lost".to_owned())
    }

    async fn job(world: &World, id: JobId) -> Job {
        jobs::get(&mut *world.conn().await, world.viewer, id)
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn a_machine_works_on_one_job_at_a_time_and_another_machine_on_the_next() {
        let world = World::new().await;
        let first = world.job(JobKind::Restore).await;
        let second = world.job(JobKind::Experiment).await;

        let claimed = world.claim("a").await.unwrap();
        assert_eq!((claimed.lease.job_id, claimed.kind), (first, JobKind::Restore));
        assert!(world.claim("a").await.is_none());
        assert_eq!(world.claim("b").await.unwrap().lease.job_id, second);
        assert!(world.claim("c").await.is_none());
    }

    #[tokio::test]
    async fn many_claims_at_once_give_a_machine_one_job() {
        let world = World::new().await;
        for _ in 0..8 {
            world.job(JobKind::Experiment).await;
        }
        let claims = futures_util::future::join_all((0..8).map(|_| world.claim("a"))).await;
        assert_eq!(claims.iter().flatten().count(), 1);
    }

    #[tokio::test]
    async fn jobs_of_another_data_directory_are_left_to_who_holds_it() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        jobs::insert(&mut conn, world.viewer, JobKind::Restore, "elsewhere")
            .await
            .unwrap();
        assert!(world.claim("a").await.is_none());
        assert!(knows_home(&mut conn, "elsewhere").await.unwrap());
        assert!(!knows_home(&mut conn, HOME).await.unwrap());
    }

    #[tokio::test]
    async fn checks_go_before_what_takes_long() {
        let world = World::new().await;
        world.job(JobKind::Restore).await;
        let check = world.job(JobKind::Check).await;
        assert_eq!(world.claim("a").await.unwrap().lease.job_id, check);
    }

    #[tokio::test]
    async fn a_check_waits_for_the_restore_of_its_dataset() {
        let world = World::new().await;
        let (dataset_id, restore) = world.dataset("shop").await;
        let workload_id = world.workload("queries", "select 1").await;
        let check = world.job(JobKind::Check).await;
        let mut conn = world.conn().await;
        checks::replace(&mut conn, world.viewer, workload_id, dataset_id, check)
            .await
            .unwrap();
        let restoring = world.claim("a").await.unwrap().lease;
        assert_eq!(restoring.job_id, restore);
        assert!(settle(&mut conn, &restoring, JobStatus::Failed, None).await.unwrap());
        assert_eq!(world.claim("a").await.unwrap().lease.job_id, check);
    }

    #[tokio::test]
    async fn a_lapsed_job_goes_back_into_the_queue_and_its_old_runner_is_fenced_off() {
        let world = World::new().await;
        let (experiment_id, job_id) = world.experiment("e", &["built_in"]).await;
        let old = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        assert_eq!(rescue(&mut conn).await.unwrap(), 0, "a held lease is left alone");
        world.lapse(job_id).await;
        assert_eq!(renew(&mut conn, &old).await.unwrap(), Renewal::Lost);
        assert_eq!(rescue(&mut conn).await.unwrap(), 1);
        let new = world.claim("a").await.unwrap().lease;
        assert!(new.epoch > old.epoch);

        // The same runner's name does not help: only the newest epoch writes.
        assert_eq!(old.owner, new.owner);
        let trial = trials::tests::trial(0);
        let stored = trials::record(&mut conn, &old, experiment_id, 1, &[trial]).await;
        assert!(!stored.unwrap());
        assert!(!settle(&mut conn, &old, JobStatus::Failed, None).await.unwrap());
        assert!(!release(&mut conn, &old, "", &lost()).await.unwrap());
        assert!(
            !set_progress(&mut conn, &old, "stale", &Progress::default())
                .await
                .unwrap()
        );
        assert_eq!(renew(&mut conn, &old).await.unwrap(), Renewal::Lost);

        assert!(
            trials::list_recorded(&mut conn, experiment_id)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(job(&world, job_id).await.status, JobStatus::Running);
        assert_eq!(renew(&mut conn, &new).await.unwrap(), Renewal::Held);
    }

    #[tokio::test]
    async fn a_lease_that_has_lapsed_stores_nothing_even_before_the_rescue() {
        let world = World::new().await;
        let (experiment_id, job_id) = world.experiment("e", &["built_in"]).await;
        let lease = world.claim("a").await.unwrap().lease;
        world.lapse(job_id).await;
        let mut conn = world.conn().await;
        let stored = trials::record(&mut conn, &lease, experiment_id, 1, &[trials::tests::trial(0)]).await;
        assert!(!stored.unwrap());
    }

    #[tokio::test]
    async fn a_lease_from_before_the_clock_was_put_back_does_not_hold_for_an_hour() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        world.claim("a").await.unwrap();
        let mut conn = world.conn().await;
        assert_eq!(rescue(&mut conn).await.unwrap(), 0);
        sqlx::query("update jobs set lease_until = lease_until + interval '1 h'")
            .execute(&world.pool)
            .await
            .unwrap();
        assert_eq!(rescue(&mut conn).await.unwrap(), 1);
        assert_eq!(job(&world, job_id).await.status, JobStatus::Queued);
    }

    #[tokio::test]
    async fn every_interruption_is_noted_with_what_it_interrupted() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        let mut conn = world.conn().await;
        for why in [lost(), Interruption::Busy, Interruption::Shutdown] {
            let lease = world.claim("a").await.unwrap().lease;
            set_progress(&mut conn, &lease, "measuring", &Progress::default())
                .await
                .unwrap();
            assert!(release(&mut conn, &lease, "waiting", &why).await.unwrap());
        }
        world.claim("a").await.unwrap();
        assert_eq!(rescue_home(&mut conn, HOME).await.unwrap(), 1);
        let noted = jobs::list_interruptions(&mut conn, world.viewer, job_id).await.unwrap();
        let words: Vec<(&str, &str)> = noted.iter().map(|n| (n.stage.as_str(), n.reason.as_str())).collect();
        assert_eq!(
            words,
            [
                ("measuring", "its server was lost"),
                ("measuring", "pgassay was told to stop"),
                ("waiting", "pgassay ended without a word"),
            ]
        );
        let stranger = world.stranger().await;
        assert!(
            jobs::list_interruptions(&mut conn, stranger, job_id)
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_data_directory_that_changes_hands_takes_its_jobs_back_at_once() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        world.claim("a").await.unwrap();
        let mut conn = world.conn().await;
        assert_eq!(rescue_home(&mut conn, "elsewhere").await.unwrap(), 0);
        assert_eq!(rescue_home(&mut conn, HOME).await.unwrap(), 1);
        assert_eq!(job(&world, job_id).await.status, JobStatus::Queued);
    }

    #[tokio::test]
    async fn a_job_that_is_interrupted_three_times_without_a_result_is_given_up() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        for attempt in 1..=MAX_INTERRUPTIONS {
            assert!(world.claim("a").await.is_some(), "attempt {attempt}");
            world.lapse(job_id).await;
            rescue(&mut *world.conn().await).await.unwrap();
        }
        let job = job(&world, job_id).await;
        assert_eq!(job.status, JobStatus::Failed);
        assert_eq!(
            job.message.as_deref(),
            Some("Given up: interrupted 3 times without a result in between.")
        );
        assert!(job.finished_at.is_some());
        assert!(world.claim("a").await.is_none());
    }

    #[tokio::test]
    async fn a_stored_trial_wipes_interruptions_out_and_a_shutdown_is_none() {
        let world = World::new().await;
        let (experiment_id, job_id) = world.experiment("e", &["built_in"]).await;
        let mut conn = world.conn().await;
        for attempt in 0..5 {
            let lease = world.claim("a").await.unwrap().lease;
            assert_eq!(interruptions(&mut conn, &lease).await.unwrap(), i32::from(attempt > 0));
            let trial = trials::tests::trial(attempt);
            let stored = trials::record(&mut conn, &lease, experiment_id, 1, &[trial]).await;
            assert!(stored.unwrap());
            assert_eq!(interruptions(&mut conn, &lease).await.unwrap(), 0);
            world.lapse(job_id).await;
            rescue(&mut conn).await.unwrap();
        }
        for _ in 0..5 {
            let lease = world.claim("a").await.unwrap().lease;
            assert!(
                release(&mut conn, &lease, "waiting", &Interruption::Shutdown)
                    .await
                    .unwrap()
            );
        }
        let lease = world.claim("a").await.unwrap().lease;
        assert_eq!(interruptions(&mut conn, &lease).await.unwrap(), 1);
        assert!(release(&mut conn, &lease, "lost", &lost()).await.unwrap());
        let lease = world.claim("a").await.unwrap().lease;
        assert_eq!(interruptions(&mut conn, &lease).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_by_its_runner() {
        let world = World::new().await;
        let waiting = world.job(JobKind::Experiment).await;
        let mut conn = world.conn().await;
        assert!(jobs::request_cancel(&mut conn, world.viewer, waiting).await.unwrap());
        let settled = job(&world, waiting).await;
        assert_eq!(settled.status, JobStatus::Cancelled);
        assert_eq!(settled.message.as_deref(), Some("Stopped before it began."));
        assert!(!jobs::request_cancel(&mut conn, world.viewer, waiting).await.unwrap());

        let running = world.job(JobKind::Experiment).await;
        let lease = world.claim("a").await.unwrap().lease;
        assert!(jobs::request_cancel(&mut conn, world.viewer, running).await.unwrap());
        assert_eq!(job(&world, running).await.status, JobStatus::Running);
        assert_eq!(renew(&mut conn, &lease).await.unwrap(), Renewal::CancelRequested);
        assert!(
            settle(&mut conn, &lease, JobStatus::Cancelled, Some("Stopped."))
                .await
                .unwrap()
        );
        assert_eq!(job(&world, running).await.status, JobStatus::Cancelled);
    }

    #[tokio::test]
    async fn a_cancelled_job_whose_runner_has_died_is_cancelled_and_not_run_again() {
        let world = World::new().await;
        for is_released in [false, true] {
            let job_id = world.job(JobKind::Experiment).await;
            let lease = world.claim("a").await.unwrap().lease;
            let mut conn = world.conn().await;
            jobs::request_cancel(&mut conn, world.viewer, job_id).await.unwrap();
            if is_released {
                release(&mut conn, &lease, "lost", &Interruption::Busy).await.unwrap();
            } else {
                world.lapse(job_id).await;
                rescue(&mut conn).await.unwrap();
            }
            assert_eq!(job(&world, job_id).await.status, JobStatus::Cancelled, "{is_released}");
            assert!(world.claim("a").await.is_none());
        }
    }

    #[tokio::test]
    async fn a_settled_job_frees_its_machine_and_never_changes_again() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        assert!(settle(&mut conn, &lease, JobStatus::Completed, None).await.unwrap());
        assert!(
            !settle(&mut conn, &lease, JobStatus::Failed, Some("late"))
                .await
                .unwrap()
        );
        assert_eq!(job(&world, job_id).await.status, JobStatus::Completed);
        world.job(JobKind::Restore).await;
        assert!(world.claim("a").await.is_some());
    }

    #[tokio::test]
    async fn only_the_owner_stops_a_job() {
        let world = World::new().await;
        let job_id = world.job(JobKind::Experiment).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        assert!(!jobs::request_cancel(&mut conn, stranger, job_id).await.unwrap());
        assert!(jobs::get(&mut conn, stranger, job_id).await.unwrap().is_none());
        assert!(jobs::list_unsettled(&mut conn, stranger).await.unwrap().is_empty());
        assert_eq!(jobs::list_unsettled(&mut conn, world.viewer).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_queue_names_what_each_job_works_for() {
        let world = World::new().await;
        let (experiment_id, _) = world.experiment("e", &["built_in", "none"]).await;
        world.dataset("shop").await;
        world.claim("a").await.unwrap();
        let mut conn = world.conn().await;
        let words: Vec<String> = jobs::list_unsettled(&mut conn, world.viewer)
            .await
            .unwrap()
            .iter()
            .map(jobs::QueuedJob::in_words)
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
}
