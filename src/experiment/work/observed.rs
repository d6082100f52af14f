//! What measuring costs, asked of a real server, and what else is seen at work.

use sqlx::Connection as _;

use super::interrupted::interrupt_after;
use super::tests::TWO_READS;
use super::tests::shop;
use crate::experiment::schedule;
use crate::experiment::summaries;
use crate::model::experiment::ExperimentSpec;
use crate::model::ids::ExperimentId;
use crate::model::look::Disturbance;
use crate::model::look::LookCounts;
use crate::model::look::disturbances_of;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;
use crate::report::data::ReportData;
use crate::report::observer;
use crate::store;
use crate::testing::bench::Bench;
use crate::testing::bench::PATIENCE;

async fn whole(bench: &Bench, id: ExperimentId) -> ReportData {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = ReportData::load_whole(&mut conn, bench.house.viewer, id, 0).await;
    data.unwrap().unwrap()
}

/// What is asked of one query, in its order.
fn asked_of(spec: &ExperimentSpec, query_idx: usize) -> Vec<Trial> {
    let mut trials = schedule::schedule(spec);
    trials.retain(|trial| {
        let is_asked = trial.kind.is_of_observer() || (trial.kind == TrialKind::WarmUp && trial.round > spec.warm_up);
        is_asked && trial.query_idx == query_idx
    });
    trials
}

#[tokio::test]
async fn what_measuring_costs_is_asked_of_queries_that_read_and_nothing_of_it_is_lost_or_asked_twice() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = format!(
        "{TWO_READS}-- name: writer\ninsert into log values (1);\n-- name: hidden_writer\nselect note();\n\
         -- name: endless\nselect pg_sleep(60);\n-- name: wrong\nselect 1 / 0;"
    );
    let id = bench
        .launch(dataset_id, &queries, &["built_in", "none"], |form| {
            form.observer = true;
            form.iterations = "5".to_owned();
            form.timeout = "100ms".to_owned();
        })
        .await;
    let n_others = 6 * 2 * 5;
    // In the middle of a round of the three ways.
    Box::pin(interrupt_after(&bench, id, n_others + 6)).await;
    let before = bench.trials(id).await;
    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_eq!(trials[..before.len()], before, "what was stored is kept as it was");
    assert_eq!(
        (experiment.n_trials, experiment.n_recorded),
        (n_others + 32, n_others + 32)
    );
    let observed = &trials[usize::try_from(n_others).unwrap()..];
    let places: Vec<usize> = observed
        .iter()
        .map(|trial| usize::try_from(trial.trial_idx).unwrap())
        .collect();
    let expected = [0, 1]
        .into_iter()
        .flat_map(|query_idx| asked_of(&experiment.spec, query_idx));
    assert_eq!(places, expected.map(|trial| trial.trial_idx).collect::<Vec<_>>());

    for trial in observed {
        assert_eq!(
            (trial.outcome, trial.source_idx),
            (OutcomeWord::Finished, 0),
            "{trial:?}"
        );
        let is_explained = matches!(trial.kind, TrialKind::TimingOff | TrialKind::TimingOn);
        assert_eq!(trial.server_ms.is_some(), is_explained, "{trial:?}");
        if let Some(server_ms) = trial.server_ms {
            assert!(server_ms > 0.0 && trial.execution_ms.unwrap() > server_ms, "{trial:?}");
        }
    }
    assert!(
        trials
            .iter()
            .all(|trial| trial.kind.is_of_observer() || trial.server_ms.is_none())
    );

    let data = whole(&bench, id).await;
    let rounds: Vec<(i32, i32)> = data.taxes.iter().map(|tax| (tax.query_idx, tax.n_rounds)).collect();
    assert_eq!(rounds, [(0, 5), (1, 5)]);
    assert!(
        data.taxes
            .iter()
            .all(|tax| tax.off_low.unwrap() <= tax.off_ratio && tax.off_ratio <= tax.off_high.unwrap())
    );
    assert!(
        data.summaries.iter().all(|summary| summary.n == 5),
        "no trial of it is summarised"
    );
    assert_eq!(
        observer::left_out(&data).unwrap(),
        "Left out, because they write, failed, or did not finish within the limit or before the experiment ended: writer, \
         hidden_writer, endless, wrong."
    );
    assert!(observer::method(&data).contains("each query ran 5 times in three ways under built_in"));
    for table in ["delete from summaries", "delete from taxes"] {
        sqlx::query(table).execute(&bench.house.pool).await.unwrap();
    }
    assert_eq!(summaries::catch_up(&bench.house.pool).await.unwrap(), 1);
    assert_eq!(whole(&bench, id).await.taxes, data.taxes);
    bench.close().await;
}

#[tokio::test]
async fn a_checkpoint_and_a_session_of_somebody_else_mark_the_trials_of_their_visit_and_no_others() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let id = bench
        .launch(dataset_id, TWO_READS, &["built_in", "none"], |form| {
            form.iterations = "1000".to_owned();
        })
        .await;
    let seen = async |is_awaited: fn(&LookCounts) -> bool| {
        let look = async {
            loop {
                let mut conn = bench.house.pool.acquire().await.unwrap();
                let counts = store::looks::count(&mut conn, bench.house.viewer, id).await.unwrap();
                if is_awaited(&counts) {
                    return counts;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap()
    };
    let ((), calm) = tokio::join!(Box::pin(bench.work()), async {
        let calm = seen(|counts| counts.n_visits > 0).await;
        let mut other = bench.intrude(dataset_id).await;
        sqlx::raw_sql("checkpoint").execute(&mut other).await.unwrap();
        seen(|counts| counts.of[0] > 0 && counts.of[2] > 0).await;
        other.close().await.unwrap();
        assert!(bench.house.experiments.stop(bench.house.viewer, id).await.unwrap());
        calm
    });
    let of = calm.of;
    assert_eq!((of[0], of[1], of[2]), (0, 0, 0), "our own sessions are nobody else's");
    let data = whole(&bench, id).await;
    assert_eq!(data.look_counts, LookCounts::of(&data.looks));
    let trials = bench.trials(id).await;
    let marked = |one: Disturbance| -> Vec<&RecordedTrial> {
        let is_marked = |trial: &&RecordedTrial| disturbances_of(&data.looks, trial).contains(&one);
        trials.iter().filter(is_marked).collect()
    };
    let by_checkpoint = marked(Disturbance::Checkpoint);
    let (first, last) = (
        by_checkpoint[0].trial_idx,
        by_checkpoint[by_checkpoint.len() - 1].trial_idx,
    );
    assert!(first % 2 == 0 && last % 2 == 1, "whole visits: {first} to {last}");
    assert!(
        first >= 2 * i32::try_from(calm.n_visits).unwrap(),
        "none before it: {first}"
    );
    assert_eq!(
        i32::try_from(by_checkpoint.len()).unwrap(),
        last - first + 1,
        "one stretch"
    );
    assert!(marked(Disturbance::Autovacuum).is_empty());
    bench.close().await;
}
