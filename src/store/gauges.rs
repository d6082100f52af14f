//! How much there is of what: for whoever watches over this pgassay. Asked often, so each question is cheap.

use sqlx::PgConnection;

use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::store::Result;
use crate::store::to_u64;

/// The last seconds may still be on their way to the store, so the rate is that of those before.
const ON_THEIR_WAY_S: f64 = 2.0;
const RATE_OVER_S: f64 = 5.0;

/// The numbers of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauges {
    /// None of those kinds and statuses of which there are none.
    pub jobs: Vec<(JobKind, JobStatus, u64)>,
    /// How long the job that waits longest has waited.
    pub oldest_wait_s: f64,
    /// Trials that were ever stored; no experiment is ever deleted.
    pub n_trials: u64,
    /// Of all levels of benchmarks that have ended.
    pub n_transactions: u64,
    pub transactions_per_second: f64,
}

/// Counts.
pub async fn read(conn: &mut PgConnection) -> Result<Gauges> {
    let jobs = sqlx::query!(
        r#"select kind as "kind: JobKind", status as "status: JobStatus", count(*) as "n!" from jobs group by 1, 2"#
    )
    .map(|row| (row.kind, row.status, to_u64(row.n)))
    .fetch_all(&mut *conn)
    .await?;
    let sums = sqlx::query!(
        r#"select coalesce(sum(n_recorded) filter (where kind = 'experiment'), 0)::bigint as "n_trials!",
                  coalesce(extract(epoch from clock_timestamp() - min(created_at) filter (where status = 'queued')), 0)
                      ::float8 as "oldest_wait_s!"
           from jobs"#
    )
    .fetch_one(&mut *conn)
    .await?;
    let n_transactions = sqlx::query_scalar!(
        r#"select coalesce(sum((totals->>'n_transactions')::bigint), 0)::bigint as "n!" from benchmark_levels"#
    )
    .fetch_one(&mut *conn)
    .await?;
    let transactions_per_second = sqlx::query_scalar!(
        r#"select coalesce(sum((s.totals->>'n_transactions')::bigint), 0)::float8 / $2 as "rate!"
           from benchmark_levels l join benchmark_seconds s using (benchmark_id, level_idx, attempt)
           where l.status = 'running'
             and s.started_at >= clock_timestamp() - make_interval(secs => $1 + $2)
             and s.started_at < clock_timestamp() - make_interval(secs => $1)"#,
        ON_THEIR_WAY_S,
        RATE_OVER_S,
    )
    .fetch_one(conn)
    .await?;
    Ok(Gauges {
        jobs,
        oldest_wait_s: sums.oldest_wait_s.max(0.0),
        n_trials: to_u64(sums.n_trials),
        n_transactions: to_u64(n_transactions),
        transactions_per_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn an_empty_store_has_nothing_of_anything() {
        let world = World::new().await;
        let gauges = read(&mut *world.conn().await).await.unwrap();
        let nothing = Gauges {
            jobs: Vec::new(),
            oldest_wait_s: 0.0,
            n_trials: 0,
            n_transactions: 0,
            transactions_per_second: 0.0,
        };
        assert_eq!(gauges, nothing);
    }

    #[tokio::test]
    async fn what_waits_runs_and_has_ended_is_counted_by_itself() {
        let world = World::new().await;
        world.job(JobKind::Benchmark).await;
        let waiting = world.job(JobKind::Experiment).await;
        world.job(JobKind::Experiment).await;
        world.claim("a").await.unwrap();
        let aged =
            sqlx::query("update jobs set created_at = created_at - interval '1 hour', n_recorded = 40 where id = $1")
                .bind(waiting.0)
                .execute(&world.pool)
                .await
                .unwrap();
        assert_eq!(aged.rows_affected(), 1);
        let mut gauges = read(&mut *world.conn().await).await.unwrap();
        gauges
            .jobs
            .sort_by_key(|(kind, status, _)| format!("{kind:?} {status:?}"));
        assert_eq!(
            gauges.jobs,
            [
                (JobKind::Benchmark, JobStatus::Running, 1),
                (JobKind::Experiment, JobStatus::Queued, 2)
            ]
        );
        assert_eq!(gauges.n_trials, 40);
        assert!((3600.0..3700.0).contains(&gauges.oldest_wait_s), "{gauges:?}");
    }

    #[tokio::test]
    async fn the_rate_is_that_of_the_last_whole_seconds_of_levels_that_run() {
        let world = World::new().await;
        for (benchmark, status) in [("runs", "running"), ("ended", "finished")] {
            sqlx::query(
                "with job as (insert into jobs (owner_id, kind) values ($1, 'benchmark') returning id),
                      b as (insert into benchmarks (owner_id, request_id, job_id, target_name, configuration, spec)
                            select $1, $2, id, 't', 'c', '{}' from job returning id),
                      l as (insert into benchmark_levels (benchmark_id, level_idx, attempt, epoch, n_clients, status, totals)
                            select id, 0, 0, 1, 1, $3::level_status, '{\"n_transactions\": 1000}' from b)
                 select id from b",
            )
            .bind(world.viewer.user_id.0)
            .bind(benchmark)
            .bind(status)
            .execute(&world.pool)
            .await
            .unwrap();
            sqlx::query(
                "insert into benchmark_seconds (benchmark_id, level_idx, attempt, share_idx, second_idx, started_at, span_ms,
                                                totals, n_connected, latencies, errors, generator_cpu_ms)
                 select b.id, 0, 0, 0, n, clock_timestamp() - make_interval(secs => 20.5 - n), 1000,
                        '{\"n_transactions\": 100}', 1, '', '[]', 0
                 from benchmarks b, generate_series(0, 20) as n where b.request_id = $1",
            )
            .bind(benchmark)
            .execute(&world.pool)
            .await
            .unwrap();
        }
        let gauges = read(&mut *world.conn().await).await.unwrap();
        assert!((gauges.transactions_per_second - 100.0).abs() < 1e-9, "{gauges:?}");
        assert_eq!(gauges.n_transactions, 2000);
    }
}
