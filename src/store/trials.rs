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

/// Stores outcomes and renews the lease in one statement. Returns false when the lease is lost: nothing was stored.
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
               update jobs set lease_until = clock_timestamp() + make_interval(secs => $4), interruptions = 0
               where id = $1 and epoch = $2 and lease_owner = $3 and status = 'running'
                 and lease_until > clock_timestamp()
               returning 1)
           insert into trials (experiment_id, trial_idx, kind, round, source_idx, query_idx, segment_no, epoch,
                               outcome, execution_ms, planning_ms, cost, sqlstate, message)
           select $5, t.trial_idx, t.kind, t.round, t.source_idx, t.query_idx, $6, $2,
                  t.outcome, t.execution_ms, t.planning_ms, t.cost, t.sqlstate, t.message
           from lease, unnest($7::integer[], $8::trial_kind[], $9::integer[], $10::integer[], $11::integer[],
                       $12::trial_outcome[], $13::float8[], $14::float8[], $15::float8[], $16::text[], $17::text[])
                       as t (trial_idx, kind, round, source_idx, query_idx,
                             outcome, execution_ms, planning_ms, cost, sqlstate, message)"#,
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
        let (word, execution_ms, planning_ms, cost, sqlstate, message) = match outcome.clone() {
            Outcome::Finished(timing) => (
                OutcomeWord::Finished,
                Some(timing.execution_ms),
                timing.planning_ms,
                timing.cost,
                None,
                None,
            ),
            Outcome::TimedOut { limit_ms } => (OutcomeWord::TimedOut, Some(limit_ms), None, None, None, None),
            Outcome::Failed { sqlstate, message } => (OutcomeWord::Failed, None, None, None, sqlstate, Some(message)),
        };
        self.outcome.push(word);
        self.execution_ms.push(execution_ms);
        self.planning_ms.push(planning_ms);
        self.cost.push(cost);
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
                  t.outcome as "outcome: OutcomeWord", t.execution_ms, t.planning_ms, t.cost, t.message
           from trials t join experiments e on e.id = t.experiment_id
           where t.experiment_id = $1 and e.owner_id = $2 and ($3::integer is null or t.query_idx = $3)
           order by t.trial_idx"#,
        id.0,
        viewer.user_id.0,
        query_idx,
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
           where s.experiment_id = $1 and e.owner_id = $2
           order by s.segment_no desc limit 1"#,
        id.0,
        viewer.user_id.0,
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
                       where e2.dataset_id = $1 and e2.workload_id = $2 and e2.owner_id = $3
                         and exists (select from trials t2 where t2.experiment_id = e2.id))",
        dataset_id.0,
        workload_id.0,
        viewer.user_id.0,
    )
    .fetch_one(conn)
    .await
}
