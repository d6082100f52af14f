//! What is computed when an experiment settles, from a real one.

use crate::experiment::summaries;
use crate::experiment::work::tests::TWO_READS;
use crate::experiment::work::tests::prepared;
use crate::experiment::work::tests::shop;
use crate::model::ids::ExperimentId;
use crate::report::data::ReportData;
use crate::testing::bench::Bench;

async fn beside(bench: &Bench, id: ExperimentId, base_idx: i32) -> ReportData {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = ReportData::load_beside(&mut conn, bench.house.viewer, id, base_idx).await;
    data.unwrap().unwrap()
}

#[tokio::test]
async fn a_control_has_the_very_statistics_of_the_first_source_and_places_of_its_own() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let id = bench
        .launch(dataset_id, TWO_READS, &["built_in", "none"], |form| {
            form.control = true;
            form.iterations = "6".to_owned();
        })
        .await;
    let experiment = bench.finished(id).await;
    assert_eq!(experiment.spec.sources[2].label, "built_in again (control)");
    let prepared = prepared(&bench, id).await;
    assert_eq!(prepared[0].snapshot_sha256, prepared[2].snapshot_sha256);
    assert_ne!(prepared[0].snapshot_sha256, prepared[1].snapshot_sha256);
    let plans = bench.plans(id).await;
    let fingerprint = |source_idx: i32, query_idx: i32| {
        let mut of_pair = plans
            .iter()
            .filter(|plan| (plan.source_idx, plan.query_idx) == (source_idx, query_idx));
        of_pair.next().unwrap().fingerprint.clone()
    };
    for query_idx in [0, 1] {
        assert_eq!(fingerprint(0, query_idx), fingerprint(2, query_idx));
    }
    let n_of_control = bench
        .trials(id)
        .await
        .iter()
        .filter(|trial| trial.source_idx == 2)
        .count();
    assert_eq!(n_of_control, 12);
    bench.close().await;
}

#[tokio::test]
async fn every_two_sources_are_compared_and_the_numbers_can_be_made_again_from_the_trials() {
    let bench = Bench::open().await;
    let dataset_id = shop(&bench).await;
    let sources = ["built_in", "none", "uniform_target:target=5"];
    let id = bench
        .launch(dataset_id, TWO_READS, &sources, |form| form.iterations = "8".to_owned())
        .await;
    bench.finished(id).await;
    let (first, second) = (beside(&bench, id, 0).await, beside(&bench, id, 1).await);
    assert_eq!((first.family.len(), second.family.len()), (4, 4));
    assert_eq!((first.overall.len(), first.overall[0].1.n_rounds), (2, 8));
    let (there, back) = (first.compared(0, 1).unwrap(), second.compared(0, 0).unwrap());
    assert!((there.effect.ratio * back.effect.ratio - 1.0).abs() < 1e-12);
    assert_eq!(there.effect.n_rounds, 8);
    let summary = first.summary(0, 0).unwrap();
    assert!(summary.low_ms.unwrap() <= summary.median_ms.unwrap() && summary.median_ms <= summary.high_ms);
    assert!(summary.noise.is_some());
    let bytes: Vec<u64> = first
        .prepared
        .iter()
        .map(|prepared| prepared.statistics_bytes.unwrap())
        .collect();
    assert!(bytes[0] > bytes[2] && bytes[2] > 0 && bytes[1] == 0, "{bytes:?}");
    assert_eq!(beside(&bench, id, 99).await.base_idx, 0, "there is no such source");

    sqlx::query("delete from summaries")
        .execute(&bench.house.pool)
        .await
        .unwrap();
    assert_eq!(summaries::catch_up(&bench.house.pool).await.unwrap(), 1);
    let again = beside(&bench, id, 0).await;
    assert_eq!(
        (&again.summaries, &again.family, &again.overall),
        (&first.summaries, &first.family, &first.overall)
    );
    bench.close().await;
}
