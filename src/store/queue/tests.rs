//! The queue on a real store: who works on what, and what becomes of a job whose runner is gone.

use super::*;
use crate::model::job::Job;
use crate::store::checks;
use crate::store::homes;
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
    jobs::insert(&mut conn, world.viewer, JobKind::Restore, Some("elsewhere"))
        .await
        .unwrap();
    assert!(world.claim("a").await.is_none());
    assert!(homes::is_known(&mut conn, "elsewhere").await.unwrap());
    assert!(!homes::is_known(&mut conn, HOME).await.unwrap());
    jobs::insert(&mut conn, world.viewer, JobKind::Benchmark, None)
        .await
        .unwrap();
    world.claim("a").await.unwrap();
    homes::note(&mut conn, HOME, "here").await.unwrap();
    assert!(
        !homes::is_known(&mut conn, HOME).await.unwrap(),
        "work that can be done anywhere"
    );
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
async fn a_restore_of_the_depot_is_anybodys_until_it_is_claimed_and_its_dataset_has_a_home_from_then_on() {
    let world = World::new().await;
    let (id, restore) = world.dataset("shop").await;
    let workload_id = world.workload("queries", "select 1").await;
    let mut conn = world.conn().await;
    for sql in ["update jobs set home = null", "update datasets set is_in_depot = true"] {
        sqlx::query(sql).execute(&mut *conn).await.unwrap();
    }
    let check = jobs::insert(&mut conn, world.viewer, JobKind::Check, None)
        .await
        .unwrap();
    checks::replace(&mut conn, world.viewer, workload_id, id, check)
        .await
        .unwrap();

    assert!(world.claim_of("one", Reach::OwnDumps, "a").await.is_none());
    let restoring = world.claim_of("one", Reach::Depot, "a").await.unwrap().lease;
    assert_eq!(restoring.job_id, restore);
    assert!(
        world.claim_of("two", Reach::Depot, "b").await.is_none(),
        "it is not restored yet"
    );
    // Put back, it is still its own.
    assert!(release(&mut conn, &restoring, "lost", &lost()).await.unwrap());
    assert!(world.claim_of("two", Reach::Depot, "b").await.is_none());
    let restoring = world.claim_of("one", Reach::OwnDumps, "a").await.unwrap().lease;
    assert!(settle(&mut conn, &restoring, JobStatus::Completed, None).await.unwrap());

    assert!(
        world.claim_of("two", Reach::Depot, "b").await.is_none(),
        "the dataset is elsewhere"
    );
    assert_eq!(
        world.claim_of("one", Reach::OwnDumps, "a").await.unwrap().lease.job_id,
        check
    );
}

#[tokio::test]
async fn work_on_no_dataset_is_done_by_whoever_comes_first_also_after_an_interruption() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let job_id = jobs::insert(&mut conn, world.viewer, JobKind::Benchmark, None)
        .await
        .unwrap();
    let lease = world.claim_of("one", Reach::OwnDumps, "a").await.unwrap().lease;
    assert!(release(&mut conn, &lease, "lost", &lost()).await.unwrap());
    let lease = world.claim_of("two", Reach::OwnDumps, "b").await.unwrap().lease;
    assert_eq!(lease.job_id, job_id);
    // Its runner has died, and only the data directory in which it ran knows that at once.
    assert_eq!(rescue_home(&mut conn, "one").await.unwrap(), 0);
    assert_eq!(rescue_home(&mut conn, "two").await.unwrap(), 1);
}
