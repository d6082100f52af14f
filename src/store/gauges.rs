//! How much there is of what: for whoever watches over this pgassay. Asked often, so each question is cheap: what is over was
//! counted when it ended, and of the rest there is little.

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

struct Row {
    kind: JobKind,
    /// None of what levels came to.
    status: Option<JobStatus>,
    n_jobs: i64,
    n_recorded: i64,
    n_transactions: i64,
}

/// So many sums there are at most, one for each kind and state; as few rows are left alone.
const FEW: i64 = 16;

/// Counts. What ends meanwhile is counted once: it is one statement that counts both what is over and what is not.
pub async fn read(conn: &mut PgConnection) -> Result<Gauges> {
    let rows = sqlx::query_as!(
        Row,
        r#"select kind as "kind!: JobKind", status as "status: JobStatus", sum(n_jobs)::bigint as "n_jobs!",
                  sum(n_recorded)::bigint as "n_recorded!", sum(n_transactions)::bigint as "n_transactions!"
           from (select kind, status, n_jobs, n_recorded, n_transactions from tallies
                 union all
                 select kind, status, 1, n_recorded, 0 from jobs where status in ('queued', 'running')) counted
           group by kind, status"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let trials = rows.iter().filter(|row| row.kind == JobKind::Experiment);
    let n_trials = trials.map(|row| row.n_recorded).sum();
    let n_transactions = rows.iter().map(|row| row.n_transactions).sum();
    let jobs = rows.iter().filter(|row| row.n_jobs > 0);
    let jobs = jobs
        .filter_map(|row| Some((row.kind, row.status?, to_u64(row.n_jobs))))
        .collect();
    let oldest_wait_s = sqlx::query_scalar!(
        r#"select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as "oldest_wait_s!"
           from jobs where status = 'queued'"#
    )
    .fetch_one(&mut *conn)
    .await?;
    // A moment that is the same for the whole statement, so that an index leads to it.
    let transactions_per_second = sqlx::query_scalar!(
        r#"select coalesce(sum((s.totals->>'n_transactions')::bigint), 0)::float8 / $2 as "rate!"
           from benchmark_levels l join benchmark_seconds s using (benchmark_id, level_idx, attempt)
           where l.status = 'running'
             and s.started_at >= statement_timestamp() - make_interval(secs => $1 + $2)
             and s.started_at < statement_timestamp() - make_interval(secs => $1)"#,
        ON_THEIR_WAY_S,
        RATE_OVER_S,
    )
    .fetch_one(conn)
    .await?;
    Ok(Gauges {
        jobs,
        oldest_wait_s: oldest_wait_s.max(0.0),
        n_trials: to_u64(n_trials),
        n_transactions: to_u64(n_transactions),
        transactions_per_second,
    })
}

/// Adds up what was counted change by change, so that there is little to read. Whatever is counted meanwhile stays as it is.
pub async fn add_up(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!(
        "with counted as (delete from tallies where (select count(*) from tallies) > $1
                          returning kind, status, n_jobs, n_recorded, n_transactions)
         insert into tallies (kind, status, n_jobs, n_recorded, n_transactions)
         select kind, status, sum(n_jobs), sum(n_recorded), sum(n_transactions) from counted group by kind, status",
        FEW,
    )
    .execute(conn)
    .await?;
    Ok(())
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

    /// As whoever reads everything counts it.
    async fn counted(world: &World) -> (Vec<(JobKind, JobStatus, i64)>, i64, i64) {
        let jobs = sqlx::query_as("select kind, status, count(*) from jobs group by 1, 2 order by 1, 2");
        let trials = "select coalesce(sum(n_recorded), 0)::bigint from jobs where kind = 'experiment'";
        let done = "select coalesce(sum((totals->>'n_transactions')::bigint), 0)::bigint from benchmark_levels";
        (
            jobs.fetch_all(&world.pool).await.unwrap(),
            sqlx::query_scalar(trials).fetch_one(&world.pool).await.unwrap(),
            sqlx::query_scalar(done).fetch_one(&world.pool).await.unwrap(),
        )
    }

    #[tokio::test]
    async fn whatever_becomes_of_jobs_and_levels_all_are_counted_once() {
        let world = World::new().await;
        let look = async || {
            let mut conn = world.conn().await;
            let gauges = read(&mut conn).await.unwrap();
            let mut jobs: Vec<_> = gauges.jobs.iter().map(|(k, s, n)| (*k, *s, n.cast_signed())).collect();
            let (expected, n_trials, n_transactions) = counted(&world).await;
            jobs.sort_by_key(|job| expected.iter().position(|known| known == job));
            assert_eq!(jobs, expected);
            assert_eq!(
                (gauges.n_trials, gauges.n_transactions),
                (to_u64(n_trials), to_u64(n_transactions))
            );
            add_up(&mut conn).await.unwrap();
            let again = read(&mut conn).await.unwrap();
            assert_eq!(
                (again.n_trials, again.n_transactions),
                (gauges.n_trials, gauges.n_transactions)
            );
            let n_rows: i64 = sqlx::query_scalar("select count(*) from tallies")
                .fetch_one(&mut *conn)
                .await
                .unwrap();
            assert!(n_rows <= 16, "{n_rows}");
        };
        let levels = "insert into benchmark_levels (benchmark_id, level_idx, attempt, epoch, n_clients, status, totals)
            select b.id, n, 0, 1, 1, 'running', '{}' from benchmarks b, generate_series(1, 5) as n";
        let benchmarks = "with j as (insert into jobs (owner_id, kind) values (1, 'benchmark') returning id)
            insert into benchmarks (owner_id, request_id, job_id, target_name, configuration, spec)
            select 1, id::text, id, 't', 'c', '{}' from j";
        for sql in [
            "insert into jobs (owner_id, kind, n_recorded)
             select 1, case when n % 2 = 0 then 'restore' else 'experiment' end::job_kind, n % 7 from generate_series(1, 60) as n",
            "update jobs set status = 'running', n_recorded = n_recorded + 1 where id % 3 = 0",
            "update jobs set status = 'completed', n_recorded = n_recorded + 1 where id % 9 = 0",
            "update jobs set status = 'failed', message = 'No.' where id % 10 = 1",
            // What is said again counts once.
            "update jobs set status = status, stage = 'over'",
            "update jobs set n_recorded = n_recorded + 5 where status = 'running'",
            "insert into jobs (owner_id, kind, status, n_recorded) values (1, 'experiment', 'cancelled', 3)",
            "delete from jobs where id % 5 = 0",
            benchmarks,
            levels,
            "update benchmark_levels set status = 'finished', totals = '{\"n_transactions\": 100}' where level_idx > 2",
            "update benchmark_levels set status = 'interrupted' where level_idx = 2",
            "update benchmark_levels set totals = '{\"n_transactions\": 50}' where level_idx = 4",
            "delete from benchmark_levels where level_idx = 3",
            "delete from benchmarks",
        ] {
            let done = sqlx::query(sql).execute(&world.pool).await.unwrap();
            assert!(done.rows_affected() > 0, "{sql}");
            look().await;
        }
    }
}
