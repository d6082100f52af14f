//! Sources that make more than ANALYZE does, through a whole experiment and over the loss of its clone.

use super::interrupted::interrupt_after;
use super::tests::assert_all_finished;
use super::tests::assert_complete;
use super::tests::prepared;
use super::tests::segments;
use crate::target::clone;
use crate::target::session::Admin;
use crate::testing::bench::Bench;

const PEOPLE: &str = "
create table customer (id integer primary key, city_id integer, country_id integer);
insert into customer select g, g % 200, g % 200 / 10 from generate_series(1, 4000) g;
";
const QUERIES: &str = "-- name: of_a_city\nselect * from customer where city_id = 7 and country_id = 0;\n";

#[tokio::test]
async fn every_source_goes_on_in_a_new_clone_and_extended_ones_find_their_objects_there() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(PEOPLE).await;
    let sources = [
        "perturbed:seed=7,kinds=n_distinct+row_counts",
        "built_in",
        "extended",
        "extended:kinds=mcv,cap=1",
        "stale:fraction=50",
    ];
    let id = bench
        .launch(dataset_id, QUERIES, &sources, |form| {
            form.iterations = "30".to_owned();
        })
        .await;
    Box::pin(interrupt_after(&bench, id, 4)).await;
    let before = prepared(&bench, id).await;
    let sandbox = bench.sandbox(dataset_id).await;
    let mut server = Admin::connect(&sandbox.address, "postgres").await.unwrap();
    clone::drop(&mut server, &clone::experiment_name(id)).await.unwrap();
    server.close().await;
    sandbox.stop().await.unwrap();

    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_complete(&experiment, &trials);
    assert_all_finished(&trials);
    let reason = &segments(&bench, id).await[1].reason;
    assert!(reason.ends_with("in a new clone"), "{reason}");
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);

    let whats: Vec<Vec<&str>> = before
        .iter()
        .map(|source| source.notes.iter().map(|note| note.about.as_str()).collect())
        .collect();
    assert!(whats[0].contains(&"public.customer"), "{whats:?}");
    assert!(whats[1].is_empty(), "{whats:?}");
    assert_eq!(whats[2], ["public.customer (city_id, country_id)"]);
    assert_eq!(whats[4], ["public.customer"]);
    let n_objects: Vec<usize> = before.iter().map(|source| source.objects.len()).collect();
    assert_eq!(n_objects, [0, 0, 1, 1, 0]);
    // It starts from the very statistics of the source beside it: the columns that it did not hit are the same.
    let snapshots = bench.snapshots(id).await;
    let same = |idx: usize, other: usize, column: &str| {
        let of = |idx: usize| {
            let columns = &snapshots[idx].columns;
            columns
                .iter()
                .find(|found| found.column == column)
                .unwrap()
                .gathered
                .slots
                .clone()
        };
        of(idx) == of(other)
    };
    assert!(same(0, 1, "city_id") && !same(4, 1, "id"));
    let fills = |idx: usize| -> Vec<&str> {
        let extended = &snapshots[idx].extended;
        extended.iter().map(|object| object.name.as_str()).collect()
    };
    assert_eq!(
        (fills(1), fills(2), fills(3)),
        (vec![], vec!["pgassay_2_1"], vec!["pgassay_3_1"])
    );
    bench.close().await;
}
