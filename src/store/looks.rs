//! What else went on while visits were measured.

use sqlx::PgConnection;

use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::look::LEAST_STEAL_MS;
use crate::model::look::Look;
use crate::model::look::LookCounts;
use crate::model::look::WAITING_SHARE;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_u64;

/// Keeps a look. Returns false when the lease is lost: nothing was stored. Kept twice, it is there once.
pub async fn insert(conn: &mut PgConnection, lease: &Lease, id: ExperimentId, look: &Look) -> Result<bool> {
    sqlx::query_scalar!(
        r#"with lease as (select from jobs where id = $2 and epoch = $3 and lease_owner = $4 and status = 'running'
                                           and lease_until > clock_timestamp()),
                added as (insert into looks (experiment_id, first_trial, last_trial, n_visits, took_ms,
                                             saw_checkpoint, n_autovacuum, n_sessions, cpu_wait_ms, io_wait_ms, steal_ms)
                          select $1, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 from lease
                          on conflict do nothing)
           select exists (select from lease) as "is_held!""#,
        id.0,
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        look.first_trial,
        look.last_trial,
        look.n_visits,
        look.took_ms,
        look.saw_checkpoint,
        look.n_autovacuum,
        look.n_sessions,
        look.cpu_wait_ms,
        look.io_wait_ms,
        look.steal_ms,
    )
    .fetch_one(conn)
    .await
}

/// The looks of an experiment, in the order of the schedule.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<Look>> {
    sqlx::query_as!(
        Look,
        "select l.first_trial, l.last_trial, l.n_visits, l.took_ms, l.saw_checkpoint, l.n_autovacuum, l.n_sessions,
                l.cpu_wait_ms, l.io_wait_ms, l.steal_ms
         from looks l join experiments e on e.id = l.experiment_id
         where l.experiment_id = $1 and may_see($2, e) order by l.first_trial",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The looks that cover any place of the schedule from `first` to `last`, in its order: for whoever does not want all of
/// them at once. No two looks cover the same place, so that the last one which begins before `first` is the only one to
/// reach into it.
pub async fn list_between(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    first: i32,
    last: i32,
) -> Result<Vec<Look>> {
    sqlx::query_as!(
        Look,
        "select l.first_trial, l.last_trial, l.n_visits, l.took_ms, l.saw_checkpoint, l.n_autovacuum, l.n_sessions,
                l.cpu_wait_ms, l.io_wait_ms, l.steal_ms
         from looks l join experiments e on e.id = l.experiment_id
         where l.experiment_id = $1 and may_see($2, e) and l.first_trial <= $4 and l.last_trial >= $3
           and l.first_trial >= coalesce((select max(first_trial) from looks
                                          where experiment_id = $1 and first_trial <= $3), 0)
         order by l.first_trial",
        id.0,
        viewer as Viewer,
        first,
        last,
    )
    .fetch_all(conn)
    .await
}

/// Behind how many visits there was a look, and during how many what was seen: the rule of [`Look::disturbances`], where
/// the rows are.
pub async fn count(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<LookCounts> {
    let row = sqlx::query!(
        r#"select coalesce(sum(n), 0) as "n_visits!",
                  coalesce(sum(n) filter (where checkpoint), 0) as "checkpoint!",
                  coalesce(sum(n) filter (where autovacuum), 0) as "autovacuum!",
                  coalesce(sum(n) filter (where sessions), 0) as "sessions!",
                  coalesce(sum(n) filter (where processor), 0) as "processor!",
                  coalesce(sum(n) filter (where disk), 0) as "disk!",
                  coalesce(sum(n) filter (where steal), 0) as "steal!"
           from (select l.n_visits as n, l.saw_checkpoint as checkpoint, l.n_autovacuum > 0 as autovacuum,
                        l.n_sessions > 0 as sessions,
                        l.cpu_wait_ms >= l.took_ms * $3 and l.cpu_wait_ms > 0 as processor,
                        l.io_wait_ms >= l.took_ms * $3 and l.io_wait_ms > 0 as disk,
                        l.steal_ms >= l.took_ms * $3 and l.steal_ms >= $4 as steal
                 from looks l join experiments e on e.id = l.experiment_id
                 where l.experiment_id = $1 and may_see($2, e)) seen"#,
        id.0,
        viewer as Viewer,
        WAITING_SHARE,
        LEAST_STEAL_MS,
    )
    .fetch_one(conn)
    .await?;
    Ok(LookCounts {
        n_visits: to_u64(row.n_visits),
        of: [
            row.checkpoint,
            row.autovacuum,
            row.sessions,
            row.processor,
            row.disk,
            row.steal,
        ]
        .map(to_u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::look::disturbances_of;
    use crate::model::look::tests::calm;
    use crate::store::trials;
    use crate::testing::world::World;

    #[tokio::test]
    async fn looks_are_counted_by_what_they_saw_and_mark_the_trials_of_their_visit() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["none"]).await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        let looks = [
            calm(0, 0),
            Look {
                saw_checkpoint: true,
                n_visits: 7,
                n_sessions: 2,
                steal_ms: Some(20.0),
                ..calm(1, 1)
            },
            Look {
                n_autovacuum: 1,
                cpu_wait_ms: Some(1.0),
                io_wait_ms: Some(9.0),
                ..calm(5, 9)
            },
        ];
        for look in looks.iter().chain(&looks) {
            assert!(insert(&mut conn, &lease, id, look).await.unwrap());
        }
        assert_eq!(list(&mut conn, world.viewer, id).await.unwrap(), looks);
        for (between, expected) in [
            ((0, 99), &looks[..]),
            ((1, 5), &looks[1..]),
            ((6, 7), &looks[2..]),
            ((2, 4), &[]),
        ] {
            let found = list_between(&mut conn, world.viewer, id, between.0, between.1).await;
            assert_eq!(found.unwrap(), expected, "{between:?}");
        }
        let counts = count(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!((counts.n_visits, counts.of), (9, [7, 1, 7, 1, 1, 7]));
        assert_eq!(
            counts,
            LookCounts::of(&looks),
            "the store counts as everybody else does"
        );

        let outcomes = [0, 1, 2].map(trials::tests::trial);
        assert!(trials::record(&mut conn, &lease, id, 1, &outcomes).await.unwrap());
        let stored = trials::list(&mut conn, world.viewer, id, None).await.unwrap();
        let marks: Vec<usize> = stored
            .iter()
            .map(|trial| disturbances_of(&looks, trial).len())
            .collect();
        assert_eq!(marks, [0, 3, 0]);

        let stale = Lease {
            epoch: lease.epoch - 1,
            ..lease
        };
        assert!(!insert(&mut conn, &stale, id, &calm(20, 21)).await.unwrap());
        let stranger = world.stranger().await;
        assert!(list(&mut conn, stranger, id).await.unwrap().is_empty());
        assert!(list_between(&mut conn, stranger, id, 0, 99).await.unwrap().is_empty());
        assert_eq!(count(&mut conn, stranger, id).await.unwrap(), LookCounts::default());
    }
}
