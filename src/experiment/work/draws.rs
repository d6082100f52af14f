//! Families of draws: plans of all, times of those that change a plan.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::interrupted::interrupt_after;
use super::tests::assert_all_finished;
use super::tests::prepared;
use crate::model::experiment::Experiment;
use crate::model::experiment::PlanRecord;
use crate::model::ids::ExperimentId;
use crate::report::data::ReportData;
use crate::report::table;
use crate::testing::bench::Bench;

/// A sample of 300 of the 20,000 rows misses the 25 that are not null in two of three runs.
const RARE: &str = "
create table big (id integer, kind integer);
insert into big select g, case when g % 800 = 0 then g * 7919 % 1000 end from generate_series(1, 20000) g;
create index on big (kind);
";
const QUERIES: &str =
    "-- name: rare\nselect * from big where kind is not null;\n-- name: all\nselect count(*) from big;\n";

/// Per query, the draws that are the first with their plan.
fn first_of_plan(plans: &[PlanRecord]) -> BTreeSet<(i32, i32)> {
    let mut first: BTreeMap<(i32, &str), i32> = BTreeMap::new();
    let mut plans: Vec<&PlanRecord> = plans.iter().collect();
    plans.sort_by_key(|plan| plan.source_idx);
    for plan in plans {
        let shape = (plan.query_idx, plan.fingerprint.as_deref().unwrap());
        first.entry(shape).or_insert(plan.source_idx);
    }
    first
        .into_iter()
        .map(|((query_idx, _), source_idx)| (source_idx, query_idx))
        .collect()
}

async fn timed(bench: &Bench, id: ExperimentId) -> BTreeSet<(i32, i32)> {
    let trials = bench.trials(id).await;
    assert_all_finished(&trials);
    trials.iter().map(|trial| (trial.source_idx, trial.query_idx)).collect()
}

async fn data(bench: &Bench, experiment: &Experiment) -> ReportData {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = ReportData::load(&mut conn, bench.house.viewer, experiment.id).await;
    data.unwrap().unwrap()
}

#[tokio::test]
async fn a_draw_is_timed_where_it_changes_the_plan_and_the_others_name_the_draw_that_stands_for_them() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(RARE).await;
    let id = bench
        .launch(dataset_id, QUERIES, &["draws:target=1,k=8"], |form| {
            form.iterations = "40".to_owned();
            form.warm_up = "1".to_owned();
        })
        .await;
    assert_eq!(
        bench.experiment(id).await.n_trials,
        8 * 2 * 41,
        "before plans are known"
    );
    Box::pin(interrupt_after(&bench, id, 5)).await;
    let before = bench.trials(id).await;
    let experiment = bench.finished(id).await;

    let plans = bench.plans(id).await;
    assert_eq!(plans.len(), 8 * 2, "plans of all draws");
    let expected = first_of_plan(&plans);
    assert!(expected.len() <= 5, "few shapes, many draws: {expected:?}");
    assert_eq!(timed(&bench, id).await, expected);
    let trials = bench.trials(id).await;
    assert_eq!(trials.len(), expected.len() * 41);
    assert_eq!(trials[..before.len()], before);
    assert_eq!(
        (experiment.n_trials, experiment.n_recorded),
        (trials.len() as u64, trials.len() as u64)
    );
    let checksums: BTreeSet<String> = prepared(&bench, id)
        .await
        .into_iter()
        .map(|source| source.snapshot_sha256)
        .collect();
    assert_eq!(checksums.len(), 8, "each draw is a sample of its own");

    let data = data(&bench, &experiment).await;
    for query in table::table(&data) {
        assert_eq!(query.rows.len(), 8, "every draw has its row");
        for row in &query.rows {
            let is_timed = expected.contains(&(row.source_idx, query.query_idx));
            assert_eq!(row.same_as.is_empty(), is_timed);
            let stand_in = query.rows.iter().find(|other| other.source == row.same_as);
            assert!(stand_in.is_none_or(|other| other.letter == row.letter && other.same_as.is_empty()));
            assert!(!row.letter.is_empty() && row.cost.exact.parse::<f64>().is_ok());
        }
    }
    bench.close().await;
}

#[tokio::test]
async fn all_draws_are_timed_if_that_is_asked_for() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(RARE).await;
    let id = bench
        .launch(dataset_id, QUERIES, &["draws:k=3,trials=all", "none"], |_| {})
        .await;
    let experiment = bench.finished(id).await;
    assert_eq!((experiment.n_trials, timed(&bench, id).await.len()), (4 * 2 * 2, 4 * 2));
    let summaries = bench.summaries(id).await;
    assert!(summaries.iter().all(|summary| summary.same_plan_as.is_none()));
    bench.close().await;
}
