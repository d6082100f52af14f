//! Experiments on a real sandbox, from the claim to the stored numbers.

use crate::experiment::schedule;
use crate::model::experiment::Experiment;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::Segment;
use crate::model::experiment::SummaryRecord;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::workload::QueryClass;
use crate::store;
use crate::target::clone;
use crate::testing::bench::Bench;

const SHOP: &str = "
create table things (id integer primary key, kind integer, name text);
insert into things select g, g % 10, 'thing ' || g from generate_series(1, 2000) g;
create index on things (kind);
create table log (id integer primary key);
create function note() returns integer language sql volatile as 'insert into public.log values (1) returning 1';
";

/// Fails if anything was ever written into the clone in which it runs.
const LOG_IS_EMPTY: &str = "-- name: log_is_empty\nselect 1 / (count(*) = 0)::integer from log;\n";

pub(super) const TWO_READS: &str = "-- name: of_a_kind\nselect count(*) from things where kind = 3;\n\
                         -- name: by_name\nselect max(name) from things;\n";

pub(super) async fn shop(bench: &Bench) -> DatasetId {
    bench.restored(SHOP).await
}

pub(super) async fn segments(bench: &Bench, id: ExperimentId) -> Vec<Segment> {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    store::segments::list(&mut conn, bench.house.viewer, id).await.unwrap()
}

pub(super) async fn prepared(bench: &Bench, id: ExperimentId) -> Vec<PreparedSource> {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    store::sources::list_prepared(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
}

async fn classes(bench: &Bench, id: ExperimentId) -> Vec<QueryClass> {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let queries = store::experiments::list_queries(&mut conn, bench.house.viewer, id).await;
    queries.unwrap().into_iter().map(|query| query.class).collect()
}

fn place(trial: &RecordedTrial) -> (i32, TrialKind, i32, i32, i32) {
    (
        trial.trial_idx,
        trial.kind,
        trial.round,
        trial.source_idx,
        trial.query_idx,
    )
}

/// Every planned trial is stored, once, in the order of the schedule.
pub(super) fn assert_complete(experiment: &Experiment, trials: &[RecordedTrial]) {
    let planned = schedule::schedule(&experiment.spec);
    assert_eq!(experiment.n_trials, planned.len() as u64);
    let planned: Vec<_> = planned
        .iter()
        .map(|trial| {
            let small = |n: usize| i32::try_from(n).unwrap();
            (
                small(trial.trial_idx),
                trial.kind,
                i32::try_from(trial.round).unwrap(),
                small(trial.source_idx),
                small(trial.query_idx),
            )
        })
        .collect();
    assert_eq!(trials.iter().map(place).collect::<Vec<_>>(), planned);
}

pub(super) fn assert_all_finished(trials: &[RecordedTrial]) {
    for trial in trials {
        assert_eq!(trial.outcome, OutcomeWord::Finished, "{trial:?}");
    }
}

#[tokio::test]
async fn every_planned_trial_is_stored_once_in_the_order_of_the_schedule() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let id = bench
        .launch(dataset_id, TWO_READS, &["built_in", "none"], |form| {
            form.iterations = "3".to_owned();
            form.warm_up = "1".to_owned();
        })
        .await;
    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_eq!(trials.len(), 2 * 2 * (3 + 1));
    assert_complete(&experiment, &trials);
    assert_all_finished(&trials);
    assert!(trials.iter().all(|trial| trial.execution_ms.unwrap() > 0.0));
    let segments = segments(&bench, id).await;
    assert_eq!((segments.len(), segments[0].reason.as_str()), (1, "start"));
    assert_eq!(bench.plans(id).await.len(), 4);
    assert!(experiment.environment.iter().any(|pair| pair.name == "server"));
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);
    bench.close().await;
}

#[tokio::test]
async fn a_query_that_writes_runs_in_clones_of_its_own_and_leaves_the_others_as_they_were() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    // The key refuses a second run in the same database.
    let queries = format!(
        "-- name: once\ninsert into log values (1);\n-- name: all\nupdate things set kind = kind + 1;\n{LOG_IS_EMPTY}"
    );
    for clock in ["server", "client"] {
        let id = bench
            .launch(dataset_id, &queries, &["built_in", "none"], |form| {
                form.iterations = "3".to_owned();
                form.clock = clock.to_owned();
            })
            .await;
        let experiment = bench.finished(id).await;
        let trials = bench.trials(id).await;
        assert_complete(&experiment, &trials);
        assert_all_finished(&trials);
    }
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);
    bench.close().await;
}

#[tokio::test]
async fn a_select_that_turns_out_to_write_is_treated_as_a_writer() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = format!("-- name: notes\nselect note();\n{LOG_IS_EMPTY}");
    let id = bench.launch(dataset_id, &queries, &["built_in"], |_| {}).await;
    assert_eq!(classes(&bench, id).await, [QueryClass::Reads, QueryClass::Reads]);
    bench.finished(id).await;
    assert_eq!(classes(&bench, id).await, [QueryClass::Writes, QueryClass::Reads]);
    assert_all_finished(&bench.trials(id).await);
    bench.close().await;
}

#[tokio::test]
async fn what_a_query_does_to_its_session_does_not_reach_the_next_one() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = "select set_config('statement_timeout', '20', false); select pg_sleep(0.1);";
    let id = bench.launch(dataset_id, queries, &["built_in"], |_| {}).await;
    bench.finished(id).await;
    assert_all_finished(&bench.trials(id).await);
    for plan in bench.plans(id).await {
        assert_eq!(plan.message, None, "the plans were looked at in a clean session, too");
    }
    bench.close().await;
}

#[tokio::test]
async fn a_query_that_runs_out_of_time_is_slower_than_the_limit() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = format!("-- name: slow\nselect pg_sleep(30);\n{LOG_IS_EMPTY}");
    for clock in ["server", "client"] {
        let id = bench
            .launch(dataset_id, &queries, &["built_in"], |form| {
                form.timeout = "50ms".to_owned();
                form.clock = clock.to_owned();
            })
            .await;
        bench.finished(id).await;
        let summaries = bench.summaries(id).await;
        let slow = &summaries[0];
        assert_eq!((slow.n, slow.n_timed_out, slow.n_finished), (2, 2, 0), "{clock}");
        assert_eq!((slow.median_ms, slow.median_is_above), (Some(50.0), true));
        assert_eq!((slow.mean_ms, slow.stddev_ms), (None, None));
        assert!(slow.plan_letter.is_some(), "a query that times out has a plan");
        assert_eq!(summaries[1].n_finished, 2);
    }
    bench.close().await;
}

#[tokio::test]
async fn a_query_that_fails_spoils_its_own_numbers_only() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = "-- name: when_run\nselect 1 / (kind - 3) from things;\n-- name: when_planned\nselect 1 / 0;\n\
                   -- name: suicidal\nselect pg_terminate_backend(pg_backend_pid());\n\
                   -- name: unknown\nselect * from nowhere;\n-- name: fine\nselect count(*) from things;\n";
    let id = bench.launch(dataset_id, queries, &["built_in", "none"], |_| {}).await;
    let experiment = bench.finished(id).await;
    assert_complete(&experiment, &bench.trials(id).await);
    let summaries = bench.summaries(id).await;
    assert_eq!(summaries.len(), 10);
    for (query_idx, message) in [
        (0, "division by zero"),
        (1, "division by zero"),
        (2, "permission denied for function pg_terminate_backend"),
        (3, "relation \"nowhere\" does not exist"),
    ] {
        for summary in summaries.iter().filter(|summary| summary.query_idx == query_idx) {
            assert_eq!((summary.n_failed, summary.n_finished), (2, 0), "{query_idx}");
            assert_eq!((summary.median_ms, summary.mean_ms), (None, None));
            assert_eq!(summary.message.as_deref(), Some(message));
        }
    }
    for summary in summaries.iter().filter(|summary| summary.query_idx == 4) {
        assert_eq!((summary.n_failed, summary.n_finished), (0, 2));
        assert!(summary.median_ms.is_some());
    }
    bench.close().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_order_and_the_same_random_targets() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let mut runs = Vec::new();
    for (seed, targets_seed) in [("11", "7"), ("11", "7"), ("12", "8")] {
        let source = format!("random_targets:seed={targets_seed}");
        let id = bench
            .launch(dataset_id, TWO_READS, &["built_in", &source], |form| {
                form.seed = seed.to_owned();
                form.iterations = "6".to_owned();
            })
            .await;
        bench.finished(id).await;
        let order: Vec<_> = bench.trials(id).await.iter().map(place).collect();
        let prepared = prepared(&bench, id).await;
        let targets = prepared[1].targets.clone();
        assert!(prepared[0].targets.is_empty());
        assert_eq!(targets.len(), 4, "a target for every column");
        runs.push((order, targets, prepared[1].snapshot_sha256.clone()));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0].0, runs[2].0);
    assert_ne!(runs[0].1, runs[2].1);
    bench.close().await;
}

/// Mean and sample standard deviation as a school book has them.
fn by_hand(times_ms: &[f64]) -> (f64, f64) {
    let n = f64::from(u32::try_from(times_ms.len()).unwrap());
    let mean = times_ms.iter().sum::<f64>() / n;
    let squares: f64 = times_ms.iter().map(|ms| (ms - mean) * (ms - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn assert_summary(summary: &SummaryRecord, trials: &[RecordedTrial]) {
    let mut times_ms: Vec<f64> = trials
        .iter()
        .filter(|trial| trial.kind == TrialKind::Measured)
        .filter(|trial| (trial.source_idx, trial.query_idx) == (summary.source_idx, summary.query_idx))
        .map(|trial| trial.execution_ms.unwrap())
        .collect();
    let (mean, stddev) = by_hand(&times_ms);
    assert!(is_near(summary.mean_ms.unwrap(), mean), "{summary:?}");
    assert!(is_near(summary.stddev_ms.unwrap(), stddev), "{summary:?}");
    times_ms.sort_by(f64::total_cmp);
    assert_eq!(times_ms.len(), 7);
    assert_eq!(summary.median_ms, Some(times_ms[3]));
    assert_eq!(summary.min_ms, Some(times_ms[0]));
    // Seven values have six gaps, of which 95 % are 5.7.
    let p95 = times_ms[5] + 0.7 * (times_ms[6] - times_ms[5]);
    assert!(is_near(summary.p95_ms.unwrap(), p95), "{summary:?}");
    assert_eq!((summary.n, summary.n_finished), (7, 7));
}

#[tokio::test]
async fn the_stored_numbers_follow_from_the_stored_trials() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let id = bench
        .launch(dataset_id, TWO_READS, &["built_in", "none"], |form| {
            form.iterations = "7".to_owned();
            form.warm_up = "2".to_owned();
        })
        .await;
    bench.finished(id).await;
    let (trials, summaries) = (bench.trials(id).await, bench.summaries(id).await);
    assert_eq!(summaries.len(), 4);
    for summary in &summaries {
        assert_summary(summary, &trials);
    }
    bench.close().await;
}

#[tokio::test]
async fn statistics_change_the_plans_of_the_sample() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(include_str!("../../../samples/dump.sql")).await;
    let queries = include_str!("../../../samples/queries.sql");
    let id = bench
        .launch(dataset_id, queries, &["built_in", "none"], |form| {
            form.iterations = "1".to_owned();
        })
        .await;
    let experiment = bench.finished(id).await;
    assert_eq!(experiment.spec.query_positions.len(), 12);
    assert_all_finished(&bench.trials(id).await);
    let summaries = bench.summaries(id).await;
    let letter = |query_idx: i32, source_idx: i32| {
        summaries
            .iter()
            .find(|summary| (summary.query_idx, summary.source_idx) == (query_idx, source_idx))
            .and_then(|summary| summary.plan_letter.clone())
            .unwrap()
    };
    let n_changed = (0..12).filter(|idx| letter(*idx, 0) != letter(*idx, 1)).count();
    assert!(n_changed >= 4, "{n_changed} plans change");
    bench.close().await;
}

#[tokio::test]
async fn a_setting_that_the_server_refuses_ends_the_experiment_with_its_words() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let id = bench
        .launch(dataset_id, TWO_READS, &["built_in"], |form| {
            form.settings = "work_mem = much".to_owned();
        })
        .await;
    bench.work().await;
    let experiment = bench.experiment(id).await;
    assert_eq!(experiment.job.status, JobStatus::Failed);
    assert_eq!(
        experiment.job.message.as_deref(),
        Some(
            "The setting work_mem = much is refused by the server: invalid value for parameter \"work_mem\": \"much\""
        )
    );
    bench.close().await;
}
