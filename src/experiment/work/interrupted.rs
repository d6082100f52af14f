//! Experiments that are stopped, and what a resumed one makes of what is there.

use tokio_util::sync::CancellationToken;

use super::tests::TWO_READS;
use super::tests::assert_all_finished;
use super::tests::assert_complete;
use super::tests::prepared;
use super::tests::segments;
use super::tests::shop;
use crate::app::worker;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::target::clone;
use crate::target::session::Admin;
use crate::testing::bench::Bench;
#[tokio::test]
async fn an_experiment_that_is_asked_to_stop_keeps_its_trials_and_leaves_no_clone() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries =
        format!("{TWO_READS}-- name: writer\ninsert into log values (1);\n-- name: slow\nselect pg_sleep(0.05);");
    let id = bench
        .launch(dataset_id, &queries, &["built_in", "none"], |form| {
            form.iterations = "1000".to_owned();
        })
        .await;
    tokio::join!(Box::pin(bench.work()), async {
        bench.recorded(id, 5).await;
        assert!(bench.house.experiments.stop(bench.house.viewer, id).await.unwrap());
    });
    let experiment = bench.experiment(id).await;
    assert_eq!(experiment.job.status, JobStatus::Cancelled);
    assert_eq!(
        experiment.job.message.as_deref(),
        Some("Stopped on request. The trials so far are kept.")
    );
    assert!(experiment.n_recorded >= 5 && experiment.n_recorded < experiment.n_trials);
    let n_summarised: i32 = bench.summaries(id).await.iter().map(|summary| summary.n).sum();
    assert_eq!(u64::try_from(n_summarised).unwrap(), experiment.n_recorded);
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);
    bench.close().await;
}

/// Runs until so many trials are stored, then ends as a process does that is told to.
pub(super) async fn interrupt_after(bench: &Bench, id: ExperimentId, n_trials: u64) {
    let shutdown = CancellationToken::new();
    tokio::join!(Box::pin(worker::work(&bench.house, &shutdown)), async {
        bench.recorded(id, n_trials).await;
        shutdown.cancel();
    });
    let experiment = bench.experiment(id).await;
    assert_eq!(experiment.job.status, JobStatus::Queued);
    assert!(experiment.n_recorded < experiment.n_trials);
}

#[tokio::test]
async fn an_interrupted_run_resumes_where_it_stopped() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let queries = format!("{TWO_READS}-- name: writer\ninsert into log values (1);");
    let id = bench
        .launch(dataset_id, &queries, &["built_in", "none"], |form| {
            form.iterations = "20".to_owned();
            form.warm_up = "1".to_owned();
        })
        .await;
    Box::pin(interrupt_after(&bench, id, 8)).await;
    let before = bench.trials(id).await;
    let sources_before: Vec<String> = prepared(&bench, id)
        .await
        .into_iter()
        .map(|source| source.snapshot_sha256)
        .collect();

    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_complete(&experiment, &trials);
    assert_all_finished(&trials);
    assert_eq!(trials[..before.len()], before, "what was stored is kept as it was");
    let segments = segments(&bench, id).await;
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[1].first_trial, i32::try_from(before.len()).unwrap());
    assert_eq!(
        segments[1].reason,
        format!("resumed after {} of {} trials", before.len(), trials.len())
    );
    let sources_after: Vec<String> = prepared(&bench, id)
        .await
        .into_iter()
        .map(|source| source.snapshot_sha256)
        .collect();
    assert_eq!(sources_after, sources_before);
    bench.close().await;
}

#[tokio::test]
async fn a_run_whose_clone_is_lost_goes_on_in_a_new_one_with_the_same_statistics() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let sources = ["built_in", "none", "random_targets:seed=7,low=1,high=10"];
    let id = bench
        .launch(dataset_id, TWO_READS, &sources, |form| {
            form.iterations = "20".to_owned();
        })
        .await;
    Box::pin(interrupt_after(&bench, id, 4)).await;
    let sandbox = bench.sandbox(dataset_id).await;
    let mut server = Admin::connect(&sandbox.address, "postgres").await.unwrap();
    clone::drop(&mut server, &clone::experiment_name(id)).await.unwrap();
    server.close().await;
    sandbox.stop().await.unwrap();

    let experiment = bench.finished(id).await;
    assert_complete(&experiment, &bench.trials(id).await);
    let segments = segments(&bench, id).await;
    assert!(segments[1].reason.ends_with("trials, in a new clone"), "{segments:?}");
    bench.close().await;
}
