//! Segments: the stretches of an experiment that ran without interruption.

use sqlx::PgConnection;

use crate::model::experiment::Segment;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::store::Result;

/// Opens a new segment and returns its number, from 1; none when the lease is lost. Asked again under the same lease for
/// the same first trial, it is the same segment: the answer before may have been lost.
pub async fn insert(
    conn: &mut PgConnection,
    lease: &Lease,
    id: ExperimentId,
    first_trial: usize,
    reason: &str,
) -> Result<Option<i32>> {
    sqlx::query_scalar!(
        r#"with lease as (select from jobs where id = $5 and epoch = $2 and status = 'running'),
                known as (select segment_no from segments
                          where experiment_id = $1 and epoch = $2 and first_trial = $3),
                added as (insert into segments (experiment_id, segment_no, epoch, first_trial, reason)
                          select $1, (select count(*) + 1 from segments where experiment_id = $1), $2, $3, $4
                          from lease where not exists (select from known)
                          returning segment_no)
           select segment_no as "segment_no!" from lease, known union all select segment_no from added"#,
        id.0,
        lease.epoch,
        i32::try_from(first_trial).unwrap_or(i32::MAX),
        reason,
        lease.job_id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The segments of an experiment, in order.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<Segment>> {
    sqlx::query_as!(
        Segment,
        "select s.segment_no, s.first_trial, s.reason, s.started_at
         from segments s join experiments e on e.id = s.experiment_id
         where s.experiment_id = $1 and may_see($2, e) order by s.segment_no",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn segments_are_numbered_from_one() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["none"]).await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        for (n, first_trial, reason) in [(1, 0, "start"), (2, 1, "resumed after 1 of 2 trials")] {
            let segment_no = insert(&mut conn, &lease, id, first_trial, reason).await;
            assert_eq!(segment_no.unwrap(), Some(n));
        }
        let segments = list(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(segments[1].reason, "resumed after 1 of 2 trials");
    }

    #[tokio::test]
    async fn a_segment_whose_answer_was_lost_is_not_opened_twice() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["none"]).await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        for _ in 0..2 {
            let segment_no = insert(&mut conn, &lease, id, 0, "start").await;
            assert_eq!(segment_no.unwrap(), Some(1));
        }
        assert_eq!(list(&mut conn, world.viewer, id).await.unwrap().len(), 1);
        // A runner that was replaced learns so, also about what it has opened itself.
        sqlx::query("update jobs set epoch = epoch + 1")
            .execute(&world.pool)
            .await
            .unwrap();
        let segment_no = insert(&mut conn, &lease, id, 0, "start").await;
        assert_eq!(segment_no.unwrap(), None);
    }
}
