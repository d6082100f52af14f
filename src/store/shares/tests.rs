use chrono::DateTime;

use super::*;
use crate::analysis::latency::Latencies;
use crate::model::benchmark::Totals;
use crate::model::worker::ClockOffset;
use crate::model::worker::NewWorker;
use crate::store;
use crate::store::queue::Claimed;
use crate::store::queue::Reach;
use crate::store::workers;
use crate::testing::benchmarks;
use crate::testing::world::HOME;
use crate::testing::world::World;

fn worker(machine: &str, process: u32) -> NewWorker {
    NewWorker {
        name: format!("{machine}:{process}"),
        machine: machine.to_owned(),
        version: "1".to_owned(),
        n_processors: 2,
        can_run_sandboxes: true,
        home: HOME.to_owned(),
        clock: ClockOffset {
            offset_ms: 0.0,
            error_ms: 0.1,
        },
    }
}

/// A level that runs, and a worker that is asked for half of its four clients.
struct Story {
    world: World,
    claimed: Claimed,
    key: AttemptKey,
    worker_id: WorkerId,
}

impl Story {
    async fn begin() -> Self {
        let world = World::new().await;
        let id = world.benchmark(&benchmarks::form("shared")).await;
        let claimed = world.claim("host").await.unwrap();
        let mut conn = world.conn().await;
        let spec = store::benchmarks::get(&mut conn, world.viewer, id)
            .await
            .unwrap()
            .unwrap()
            .spec;
        let key = world.begin_level(&claimed.lease, id, spec.levels()[1]).await;
        let worker_id = workers::register(&mut conn, &worker("elsewhere", 7)).await.unwrap();
        let share = |share_idx: i32, worker_id| NewShare {
            share_idx,
            worker_id,
            first_client: 2 * share_idx.unsigned_abs(),
            n_clients: 2,
            route: (share_idx > 0).then(|| b"sealed".to_vec()),
        };
        let shares = [share(0, None), share(1, Some(worker_id))];
        assert!(offer(&mut conn, &claimed.lease, key, &shares).await.unwrap());
        Self {
            world,
            claimed,
            key,
            worker_id,
        }
    }

    async fn conn(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.world.conn().await
    }

    fn share(&self, share_idx: i32) -> ShareKey {
        ShareKey {
            attempt: self.key,
            share_idx,
            epoch: self.claimed.lease.epoch,
        }
    }

    /// Both have connected, and begin.
    async fn both_begin(&self) {
        let mut conn = self.conn().await;
        assert!(connected(&mut conn, self.share(0), 2, 0.1).await.unwrap());
        assert!(connected(&mut conn, self.share(1), 1, 0.2).await.unwrap());
        let at = begin(&mut conn, &self.claimed.lease, self.key, 2.0)
            .await
            .unwrap()
            .unwrap();
        let state = state(&mut conn, self.share(1)).await.unwrap().unwrap();
        let expected = ShareState {
            status: ShareStatus::Running,
            is_held: true,
            is_stopped: false,
            begin_at: Some(at),
            n_connected_in_all: Some(3),
        };
        assert_eq!(state, expected);
    }

    fn second(&self, second_idx: i32) -> SecondRecord {
        SecondRecord {
            level_idx: self.key.level_idx,
            attempt: self.key.attempt,
            share_idx: 1,
            second_idx,
            started_at: DateTime::UNIX_EPOCH,
            span_ms: 1000.0,
            totals: Totals {
                n_failed: 3,
                ..Totals::default()
            },
            n_connected: 1,
            latencies: Latencies::new().to_bytes(),
            errors: Vec::new(),
            generator_cpu_ms: 1.0,
            server: None,
        }
    }
}

#[tokio::test]
async fn a_share_is_offered_taken_run_and_reported() {
    let story = Story::begin().await;
    let mut conn = story.conn().await;
    let offer = next_offer(&mut conn, story.worker_id).await.unwrap().unwrap();
    assert_eq!((offer.first_client, offer.n_clients, offer.key.share_idx), (2, 2, 1));
    let owner = Viewer::owner(story.world.viewer.user_id);
    assert_eq!((&*offer.route, offer.viewer), (&b"sealed"[..], owner));
    story.both_begin().await;
    assert!(
        next_offer(&mut conn, story.worker_id).await.unwrap().is_none(),
        "it is taken"
    );
    for second_idx in [0, 1, 1] {
        let second = story.second(second_idx);
        assert!(
            record_second(&mut conn, offer.key, &second).await.unwrap(),
            "twice is as good as once"
        );
    }
    assert_eq!(count_failed(&mut conn, story.key).await.unwrap(), 6);
    let report = serde_json::json!({ "measured": 2 });
    assert!(
        settle(&mut conn, offer.key, ShareStatus::Done, Some(&report), None)
            .await
            .unwrap()
    );
    let rows = list(&mut conn, story.key).await.unwrap();
    let told: Vec<(ShareStatus, u32, bool)> = rows
        .iter()
        .map(|row| (row.status, row.n_connected, row.is_gone))
        .collect();
    assert_eq!(told, [(ShareStatus::Running, 2, true), (ShareStatus::Done, 1, false)]);
    assert_eq!(rows[1].report, Some(report));
    put_away(&mut conn, story.key).await.unwrap();
    assert_eq!(list(&mut conn, story.key).await.unwrap()[1].report, None);
}

#[tokio::test]
async fn nothing_is_taken_of_a_share_that_was_given_up_or_whose_lease_is_lost() {
    let story = Story::begin().await;
    let mut conn = story.conn().await;
    story.both_begin().await;
    let share = story.share(1);
    lose(&mut conn, &story.claimed.lease, story.key, 1, "silent")
        .await
        .unwrap();
    assert!(!record_second(&mut conn, share, &story.second(0)).await.unwrap());
    assert!(!settle(&mut conn, share, ShareStatus::Done, None, None).await.unwrap());
    let rows = list(&mut conn, story.key).await.unwrap();
    assert_eq!(
        (rows[1].status, rows[1].message.as_deref()),
        (ShareStatus::Lost, Some("silent"))
    );

    let story = Story::begin().await;
    let mut conn = story.conn().await;
    story.both_begin().await;
    let stop_asked = stop(&mut conn, &story.claimed.lease, story.key).await;
    stop_asked.unwrap();
    assert!(state(&mut conn, story.share(1)).await.unwrap().unwrap().is_stopped);
    sqlx::raw_sql("update jobs set lease_until = clock_timestamp() - interval '1 s'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert!(!state(&mut conn, story.share(1)).await.unwrap().unwrap().is_held);
    assert!(
        !record_second(&mut conn, story.share(1), &story.second(0))
            .await
            .unwrap()
    );
    assert!(list_seconds_of(&mut conn, &story).await.is_empty());
}

async fn list_seconds_of(conn: &mut PgConnection, story: &Story) -> Vec<SecondRecord> {
    let seconds = store::levels::list_seconds(conn, story.world.viewer, story.key.benchmark_id).await;
    seconds.unwrap()
}

#[tokio::test]
async fn who_is_asked_is_here_of_this_version_and_measures_nothing_else() {
    let story = Story::begin().await;
    let mut conn = story.conn().await;
    let free = async |conn: &mut PgConnection, job_id| {
        let free = workers::list_free(conn, job_id, "1").await.unwrap();
        free.into_iter()
            .map(|worker| worker.about.name)
            .collect::<Vec<String>>()
    };
    let own = story.claimed.lease.job_id;
    let other_job = crate::model::ids::JobId(own.0 + 1);
    assert_eq!(free(&mut conn, own).await, ["elsewhere:7"]);
    assert!(
        free(&mut conn, other_job).await.is_empty(),
        "it makes a share of another job"
    );
    let beside = workers::register(&mut conn, &worker("host", 8)).await.unwrap();
    assert_eq!(
        free(&mut conn, own).await,
        ["elsewhere:7", "host:8"],
        "a job does not keep itself from it"
    );
    assert!(free(&mut conn, other_job).await.is_empty(), "its machine is busy");
    let old = NewWorker {
        version: "0".to_owned(),
        ..worker("third", 9)
    };
    workers::register(&mut conn, &old).await.unwrap();
    assert_eq!(free(&mut conn, own).await.len(), 2);
    workers::leave(&mut conn, beside).await.unwrap();
    assert_eq!(free(&mut conn, own).await, ["elsewhere:7"]);
    sqlx::raw_sql("update workers set heartbeat_at = heartbeat_at - interval '21 s'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert!(free(&mut conn, own).await.is_empty());
    workers::bury(&mut conn, "another home").await.unwrap();
    workers::beat(&mut conn, story.worker_id, &worker("elsewhere", 7))
        .await
        .unwrap();
    assert_eq!(free(&mut conn, own).await, ["elsewhere:7"], "it was only slow");
    workers::bury(&mut conn, HOME).await.unwrap();
    assert!(free(&mut conn, own).await.is_empty(), "its successor knows better");
    workers::beat(&mut conn, story.worker_id, &worker("elsewhere", 7))
        .await
        .unwrap();

    let claim = store::queue::claim(&mut conn, HOME, Reach::OwnDumps, "elsewhere", "elsewhere:7")
        .await
        .unwrap();
    assert!(claim.is_none());
    story.world.benchmark(&benchmarks::form("next")).await;
    let claim = store::queue::claim(&mut conn, HOME, Reach::OwnDumps, "elsewhere", "elsewhere:7")
        .await
        .unwrap();
    assert!(claim.is_none(), "a machine that makes a share takes no job");
    lose(&mut conn, &story.claimed.lease, story.key, 1, "silent")
        .await
        .unwrap();
    let claim = store::queue::claim(&mut conn, HOME, Reach::OwnDumps, "elsewhere", "elsewhere:7")
        .await
        .unwrap();
    assert!(claim.is_some());
}

#[tokio::test]
async fn a_worker_that_is_long_gone_is_forgotten_and_one_that_comes_back_is_known_again() {
    let story = Story::begin().await;
    let mut conn = story.conn().await;
    sqlx::raw_sql("update workers set heartbeat_at = heartbeat_at - interval '2 h'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert!(workers::list(&mut conn).await.unwrap().is_empty());
    let next = workers::register(&mut conn, &worker("other", 1)).await.unwrap();
    workers::beat(&mut conn, story.worker_id, &worker("elsewhere", 7))
        .await
        .unwrap();
    let ids: Vec<WorkerId> = workers::list(&mut conn)
        .await
        .unwrap()
        .iter()
        .map(|worker| worker.id)
        .collect();
    assert_eq!(ids, [story.worker_id, next]);
    let doing = workers::list_doing(&mut conn).await.unwrap();
    assert_eq!(doing, [], "who was forgotten has lost its share");
}
