//! A regret over two plans of one query.

use crate::analysis::summary::Quantile;
use crate::instrument::tests::die_behind;
use crate::instrument::tests::finished;
use crate::instrument::tests::form;
use crate::instrument::tests::launch;
use crate::instrument::tests::stored;
use crate::model::instrument::Findings;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::regret::RegretReport;
use crate::testing::bench::Bench;

/// Without statistics the planner loops over `big` by its index once for each of very many rows; with them it hashes.
const LOOPING: &str = "
create table big (id integer primary key, filler text);
insert into big select g, repeat('x', 50) from generate_series(1, 30000) g;
create table chosen (id integer, kind integer);
insert into chosen select g, 1 from generate_series(1, 30000) g;
";

/// It has an annex, and instruments leave it and its twin alone.
const SCRIPT: &str = "custom_sql:script=set enable_indexscan = off";

#[tokio::test]
async fn a_regret_runs_every_plan_and_finds_the_best() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(LOOPING).await;
    let queries = "-- name: differing\nselect count(b.filler) from chosen c join big b on b.id = c.id where c.kind = 1;\n\
                   -- name: same\nselect count(*) from big;\n\
                   -- name: writing\nupdate chosen set kind = 2 where id = 1;\n";
    let experiment_id = bench
        .launch(dataset_id, queries, &["built_in", SCRIPT, "none"], |form| {
            form.iterations = "1".to_owned();
        })
        .await;
    bench.finished(experiment_id).await;
    let experiment = experiment_id.to_string();
    let apart = [
        ("experiment", &*experiment),
        ("query", "differing"),
        ("from", "0"),
        ("to", "1"),
    ];
    let refused = launch(&bench, &form("bisect", "bisect", &apart)).await.unwrap_err();
    assert!(
        refused.starts_with("custom_sql: it ran in a clone of its own"),
        "{refused}"
    );
    let fields = [("experiment", &*experiment), ("rounds", "3")];
    let id = launch(&bench, &form("regret", "regret", &fields)).await.unwrap();
    let instrument = finished(&bench, id).await;
    let data = stored(&bench, id).await;
    let Some(Findings::Regret(findings)) = instrument.result.clone() else {
        panic!("{:?}", instrument.result);
    };
    let report = RegretReport::new(&data, &findings).unwrap();
    assert_eq!(
        (report.writers.as_slice(), report.queries.len()),
        (&["writing".to_owned()][..], 1)
    );
    let query = &report.queries[0];
    assert_eq!(query.label, "differing");
    assert_eq!(
        query.plans.iter().map(|plan| plan.n).collect::<Vec<usize>>(),
        [3, 3],
        "warming up does not count"
    );
    assert!(
        query
            .plans
            .iter()
            .all(|plan| plan.median.is_some() && plan.message.is_empty())
    );
    // Whichever is faster here: the best has no regret, the other the ratio of the medians.
    let best = query.plans.iter().position(|plan| plan.is_best).unwrap();
    let [fast, slow] = [best, 1 - best].map(|idx| match query.plans[idx].median {
        Some(Quantile::At(ms)) => ms,
        other => panic!("{other:?}"),
    });
    assert!(fast <= slow);
    let regrets: Vec<f64> = query
        .choices
        .iter()
        .map(|choice| choice.regret.unwrap().factor)
        .collect();
    assert!((regrets[best] - 1.0).abs() < 1e-12 && (regrets[1 - best] - slow / fast).abs() < 1e-12);
    assert_eq!((report.sources[best].n_best, report.sources[1 - best].n_best), (1, 0));
    assert_eq!(report.sheet().rows.len(), 2);
    // Two looks; then two plans in each of four rounds.
    assert_eq!(data.steps.len(), 2 + 2 * 4);

    // As if pgassay had died behind its fifth step: nothing runs twice, and nothing is left out.
    die_behind(&bench, 5).await;
    finished(&bench, id).await;
    let data_again = stored(&bench, id).await;
    assert_eq!(data_again.steps[..5], data.steps[..5]);
    let turn = |step: &serde_json::Value| {
        (
            step["round"].clone(),
            step["query_idx"].clone(),
            step["fingerprint"].clone(),
        )
    };
    let turns = |data: &InstrumentData| data.steps.iter().map(turn).collect::<Vec<_>>();
    assert_eq!(turns(&data_again), turns(&data));
    let message = launch(
        &bench,
        &form("regret", "r", &[("experiment", &*experiment), ("rounds", "0")]),
    )
    .await;
    assert!(
        message
            .unwrap_err()
            .starts_with("This takes a whole number from 1 to 1000")
    );
    bench.close().await;
}
