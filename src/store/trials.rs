//! Trials: stored before the next one begins, by whoever holds the lease.

use sqlx::PgConnection;

use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::trial::Outcome;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::queue::LEASE_S;

/// Stores outcomes, counts them and renews the lease in one statement. Returns false when the lease is lost: nothing was stored.
pub async fn record(
    conn: &mut PgConnection,
    lease: &Lease,
    id: ExperimentId,
    segment_no: i32,
    outcomes: &[(Trial, Outcome)],
) -> Result<bool> {
    let mut rows = Columns::default();
    for (trial, outcome) in outcomes {
        rows.push(trial, outcome);
    }
    let done = sqlx::query!(
        r#"with lease as (
               update jobs set lease_until = clock_timestamp() + make_interval(secs => $4), interruptions = 0,
                               n_recorded = n_recorded + cardinality($7::integer[])
               where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
                 and lease_until > clock_timestamp()
               returning 1)
           insert into trials (experiment_id, trial_idx, kind, round, source_idx, query_idx, segment_no, epoch,
                               outcome, execution_ms, planning_ms, cost, server_ms, sqlstate, message)
           select $5, t.trial_idx, t.kind, t.round, t.source_idx, t.query_idx, $6, $2,
                  t.outcome, t.execution_ms, t.planning_ms, t.cost, t.server_ms, t.sqlstate, t.message
           from lease, unnest($7::integer[], $8::trial_kind[], $9::integer[], $10::integer[], $11::integer[],
                       $12::trial_outcome[], $13::float8[], $14::float8[], $15::float8[], $16::float8[], $17::text[],
                       $18::text[])
                       as t (trial_idx, kind, round, source_idx, query_idx,
                             outcome, execution_ms, planning_ms, cost, server_ms, sqlstate, message)"#,
        lease.job_id.0,
        lease.epoch,
        lease.owner,
        LEASE_S,
        id.0,
        segment_no,
        &rows.trial_idx,
        &rows.kind as &[TrialKind],
        &rows.round,
        &rows.source_idx,
        &rows.query_idx,
        &rows.outcome as &[OutcomeWord],
        &rows.execution_ms as &[Option<f64>],
        &rows.planning_ms as &[Option<f64>],
        &rows.cost as &[Option<f64>],
        &rows.server_ms as &[Option<f64>],
        &rows.sqlstate as &[Option<String>],
        &rows.message as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == outcomes.len() as u64)
}

/// Outcomes turned on their side, as `unnest` takes them.
#[derive(Default)]
struct Columns {
    trial_idx: Vec<i32>,
    kind: Vec<TrialKind>,
    round: Vec<i32>,
    source_idx: Vec<i32>,
    query_idx: Vec<i32>,
    outcome: Vec<OutcomeWord>,
    execution_ms: Vec<Option<f64>>,
    planning_ms: Vec<Option<f64>>,
    cost: Vec<Option<f64>>,
    server_ms: Vec<Option<f64>>,
    sqlstate: Vec<Option<String>>,
    message: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, trial: &Trial, outcome: &Outcome) {
        self.trial_idx.push(small(trial.trial_idx));
        self.kind.push(trial.kind);
        self.round.push(i32::try_from(trial.round).unwrap_or(i32::MAX));
        self.source_idx.push(small(trial.source_idx));
        self.query_idx.push(small(trial.query_idx));
        let (word, execution_ms, timing, sqlstate, message) = match outcome.clone() {
            Outcome::Finished(timing) => (
                OutcomeWord::Finished,
                Some(timing.execution_ms),
                Some(timing),
                None,
                None,
            ),
            Outcome::TimedOut { limit_ms } => (OutcomeWord::TimedOut, Some(limit_ms), None, None, None),
            Outcome::Failed { sqlstate, message } => (OutcomeWord::Failed, None, None, sqlstate, Some(message)),
        };
        self.outcome.push(word);
        self.execution_ms.push(execution_ms);
        self.planning_ms.push(timing.and_then(|timing| timing.planning_ms));
        self.cost.push(timing.and_then(|timing| timing.cost));
        self.server_ms.push(timing.and_then(|timing| timing.server_ms));
        self.sqlstate.push(sqlstate);
        self.message.push(message);
    }
}

/// Positions are bounded by the limit on trials, far below 2^31.
fn small(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The positions that are recorded: a resumed experiment does the rest.
pub async fn list_recorded(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<usize>> {
    let positions = sqlx::query_scalar!("select trial_idx from trials where experiment_id = $1", id.0)
        .fetch_all(conn)
        .await?;
    Ok(positions.into_iter().filter_map(|n| usize::try_from(n).ok()).collect())
}

/// All trials of an experiment, or those of one query, in the order of the schedule.
pub async fn list(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    query_idx: Option<i32>,
) -> Result<Vec<RecordedTrial>> {
    sqlx::query_as!(
        RecordedTrial,
        r#"select t.trial_idx, t.kind as "kind: TrialKind", t.round, t.source_idx, t.query_idx, t.segment_no,
                  t.outcome as "outcome: OutcomeWord", t.execution_ms, t.planning_ms, t.cost,
                  t.server_ms, t.message
           from trials t join experiments e on e.id = t.experiment_id
           where t.experiment_id = $1 and may_see($2, e) and ($3::integer is null or t.query_idx = $3)
           order by t.trial_idx"#,
        id.0,
        viewer as Viewer,
        query_idx,
    )
    .fetch_all(conn)
    .await
}

/// The next trials behind a position in the schedule, at most `limit`: for whoever does not want all of them at once.
pub async fn list_after(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    after: i32,
    limit: u32,
) -> Result<Vec<RecordedTrial>> {
    sqlx::query_as!(
        RecordedTrial,
        r#"select t.trial_idx, t.kind as "kind: TrialKind", t.round, t.source_idx, t.query_idx, t.segment_no,
                  t.outcome as "outcome: OutcomeWord", t.execution_ms, t.planning_ms, t.cost,
                  t.server_ms, t.message
           from trials t join experiments e on e.id = t.experiment_id
           where t.experiment_id = $1 and may_see($2, e) and t.trial_idx > $3
           order by t.trial_idx limit $4"#,
        id.0,
        viewer as Viewer,
        after,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
}

/// Seconds since the first trial of the newest segment, and the trials stored in it: what time left is guessed from.
pub async fn pace(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Option<(f64, i64)>> {
    let row = sqlx::query!(
        r#"select extract(epoch from clock_timestamp() - s.started_at)::float8 as "elapsed_s!",
                  (select count(*) from trials t
                   where t.experiment_id = s.experiment_id and t.segment_no = s.segment_no) as "n!"
           from segments s join experiments e on e.id = s.experiment_id
           where s.experiment_id = $1 and may_see($2, e)
           order by s.segment_no desc limit 1"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.elapsed_s, row.n)))
}

/// What a measured trial of this workload took on this dataset on average, in milliseconds; none before the first.
pub async fn mean_ms(
    conn: &mut PgConnection,
    viewer: Viewer,
    dataset_id: crate::model::ids::DatasetId,
    workload_id: crate::model::ids::WorkloadId,
) -> Result<Option<f64>> {
    sqlx::query_scalar!(
        "select avg(coalesce(t.execution_ms, 0) + coalesce(t.planning_ms, 0))
         from trials t join experiments e on e.id = t.experiment_id
         where e.id = (select max(e2.id) from experiments e2
                       where e2.dataset_id = $1 and e2.workload_id = $2 and may_see($3, e2)
                         and exists (select from trials t2 where t2.experiment_id = e2.id))",
        dataset_id.0,
        workload_id.0,
        viewer as Viewer,
    )
    .fetch_one(conn)
    .await
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::ids::JobId;
    use crate::model::trial::Timing;
    use crate::store::queue;
    use crate::testing::world::World;

    /// A measured trial that took a millisecond more than its position.
    pub fn trial(trial_idx: u32) -> (Trial, Outcome) {
        let trial = Trial {
            trial_idx: trial_idx as usize,
            kind: TrialKind::Measured,
            round: trial_idx + 1,
            source_idx: 0,
            query_idx: 0,
        };
        let timing = Timing {
            execution_ms: f64::from(trial_idx) + 1.0,
            planning_ms: Some(0.25),
            cost: Some(8.5),
            server_ms: Some(0.5),
        };
        (trial, Outcome::Finished(timing))
    }

    async fn running(world: &World) -> (ExperimentId, JobId, Lease) {
        let (experiment_id, job_id) = world.experiment("e", &["built_in"]).await;
        (experiment_id, job_id, world.claim("a").await.unwrap().lease)
    }

    #[tokio::test]
    async fn outcomes_come_back_as_they_were_stored() {
        let world = World::new().await;
        let (id, _, lease) = running(&world).await;
        let (second, third) = (trial(1).0, trial(2).0);
        let failed = Outcome::Failed {
            sqlstate: Some("22012".to_owned()),
            message: "division by zero".to_owned(),
        };
        let outcomes = [
            trial(0),
            (second, Outcome::TimedOut { limit_ms: 500.0 }),
            (third, failed),
        ];
        let mut conn = world.conn().await;
        assert!(record(&mut conn, &lease, id, 1, &outcomes).await.unwrap());

        let stored = list(&mut conn, world.viewer, id, None).await.unwrap();
        let shown: Vec<_> = stored
            .iter()
            .map(|trial| {
                (
                    trial.trial_idx,
                    trial.outcome,
                    trial.execution_ms,
                    trial.message.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (0, OutcomeWord::Finished, Some(1.0), None),
                (1, OutcomeWord::TimedOut, Some(500.0), None),
                (2, OutcomeWord::Failed, None, Some("division by zero")),
            ]
        );
        assert_eq!(
            (stored[0].planning_ms, stored[0].cost, stored[0].server_ms),
            (Some(0.25), Some(8.5), Some(0.5))
        );
        assert_eq!(list_recorded(&mut conn, id).await.unwrap().len(), 3);
        let experiment = crate::store::experiments::get(&mut conn, world.viewer, id)
            .await
            .unwrap();
        assert_eq!(experiment.unwrap().n_recorded, 3, "what pages show is what is stored");
    }

    #[tokio::test]
    async fn outcomes_that_are_written_together_are_stored_all_or_not_at_all() {
        let world = World::new().await;
        let (id, _, lease) = running(&world).await;
        let mut conn = world.conn().await;
        let twice = [trial(0), trial(1), trial(1)];
        assert!(record(&mut conn, &lease, id, 1, &twice).await.is_err());
        assert!(list_recorded(&mut conn, id).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_trial_is_stored_twice() {
        let world = World::new().await;
        let (id, _, lease) = running(&world).await;
        let mut conn = world.conn().await;
        assert!(record(&mut conn, &lease, id, 1, &[trial(0)]).await.unwrap());
        assert!(record(&mut conn, &lease, id, 1, &[trial(0)]).await.is_err());
        // Nor under another position: the same query under the same source in the same round is the same trial.
        let (again, outcome) = trial(0);
        let renamed = Trial { trial_idx: 9, ..again };
        assert!(record(&mut conn, &lease, id, 1, &[(renamed, outcome)]).await.is_err());
        assert_eq!(list_recorded(&mut conn, id).await.unwrap(), [0]);
        let experiment = crate::store::experiments::get(&mut conn, world.viewer, id)
            .await
            .unwrap();
        assert_eq!(experiment.unwrap().n_recorded, 1, "a refused write counts nothing");
    }

    #[tokio::test]
    async fn storing_an_outcome_renews_the_lease() {
        let world = World::new().await;
        let (id, job_id, lease) = running(&world).await;
        sqlx::query("update jobs set lease_until = clock_timestamp() + interval '5 s'")
            .execute(&world.pool)
            .await
            .unwrap();
        let mut conn = world.conn().await;
        record(&mut conn, &lease, id, 1, &[trial(0)]).await.unwrap();
        let left_s: f64 = sqlx::query_scalar(
            "select extract(epoch from lease_until - clock_timestamp())::float8 from jobs where id = $1",
        )
        .bind(job_id.0)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert!((10.0..=queue::LEASE_S).contains(&left_s), "{left_s}");
    }

    #[tokio::test]
    async fn another_persons_trials_are_not_there() {
        let world = World::new().await;
        let (id, _, lease) = running(&world).await;
        let mut conn = world.conn().await;
        record(&mut conn, &lease, id, 1, &[trial(0)]).await.unwrap();
        let stranger = world.stranger().await;
        assert!(list(&mut conn, stranger, id, None).await.unwrap().is_empty());
        assert!(list(&mut conn, world.viewer, id, Some(1)).await.unwrap().is_empty());
        assert_eq!(list(&mut conn, world.viewer, id, Some(0)).await.unwrap().len(), 1);
    }
}
