//! Benchmarks beside each other, and after each other.

use super::Story;
use super::load;
use super::spec;
use super::stored;
use crate::analysis::change::Verdict;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Protocol;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Detail;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::compare;
use crate::report::benchmark::compare::LineRow;
use crate::report::benchmark::readings::Measure;
use crate::report::benchmark::trend;
use crate::report::chart::Scale;
use crate::store;
use crate::testing::world::World;

/// The usual story, and one in which everything takes 200 nanoseconds more on another server.
async fn two() -> (World, Vec<BenchmarkData>) {
    let world = World::new().await;
    let base = stored(&world, &Story::named("base")).await;
    let later = Story {
        later_ns: 200,
        server: "16.16",
        spec: BenchmarkSpec {
            protocol: Protocol::Simple,
            ..spec()
        },
        ..Story::named("later")
    };
    let later = stored(&world, &later).await;
    let sides = vec![load(&world, base).await, load(&world, later).await];
    (world, sides)
}

#[tokio::test]
async fn levels_are_compared_with_a_verdict_and_what_differs_is_said() {
    let (_, sides) = two().await;
    let percentiles = Percentiles::parse("50,95").unwrap();
    let found = compare::compare(&sides, &percentiles).unwrap();
    assert!(found.left_out.is_empty(), "{:?}", found.left_out);
    let said: Vec<(String, Measure, Verdict)> = found
        .lines
        .iter()
        .map(|line| (line.level.clone(), line.measure, line.judgement.verdict))
        .collect();
    let (throughput, p50, p95) = (
        Measure::Throughput,
        Measure::Percentile(50.0),
        Measure::Percentile(95.0),
    );
    let mut expected = Vec::new();
    for level in ["2 clients", "4 clients"] {
        expected.push((level.to_owned(), throughput, Verdict::NoDifference));
        expected.push((level.to_owned(), p50, Verdict::Slower));
        expected.push((level.to_owned(), p95, Verdict::Slower));
    }
    assert_eq!(said, expected);
    let row = LineRow::from(&found.lines[1]);
    assert_eq!(
        (row.base.shown.as_str(), row.other.shown.as_str()),
        ("1.05 µs", "1.25 µs")
    );
    assert_eq!(
        (row.ratio.shown.as_str(), row.difference.shown.as_str()),
        ("1.19×", "+0.20 µs")
    );
    assert!(row.ratio_interval.shown.starts_with("1.19× to 1.19×"), "{row:?}");

    let (different, n_same) = compare::differences(&sides);
    let names: Vec<&str> = different.iter().map(|fact| fact.name.as_str()).collect();
    assert_eq!(names, ["Protocol", "server"]);
    assert_eq!(different[1].values, ["15.20", "16.16"]);
    assert!(n_same > 10, "{n_same}");
    let warnings = compare::warnings(&sides, &different).join(" ");
    for words in [
        "different protocols",
        "different versions of PostgreSQL",
        "limit of benchmark 1 with 4 clients",
    ] {
        assert!(warnings.contains(words), "{words}: {warnings}");
    }
    let chart = compare::chart(&sides, p50, Scale::Linear);
    assert_eq!(chart.series[1].points, [(2.0, 0.001_25), (4.0, 0.001_75)]);
    assert_eq!(chart.series[1].source.label, "2");
}

#[tokio::test]
async fn what_only_one_of_them_has_is_left_out_and_said() {
    let (_, mut sides) = two().await;
    sides[0].levels.truncate(1);
    let last = sides[1].levels.remove(1);
    sides[1].levels[0].record.level.n_clients = 3;
    sides[1].levels.push(last);
    let found = compare::compare(&sides, &Percentiles::default()).unwrap();
    assert!(found.lines.is_empty());
    let said: Vec<(&str, &str)> = found
        .left_out
        .iter()
        .map(|left_out| (left_out.level.as_str(), left_out.why))
        .collect();
    assert_eq!(
        said,
        [
            ("2 clients", "only the baseline has this level"),
            ("3 clients", "the baseline has no such level"),
            ("4 clients", "the baseline has no such level"),
        ]
    );
}

#[tokio::test]
async fn a_configuration_is_followed_over_time() {
    let (world, sides) = two().await;
    let conn = &mut *world.conn().await;
    let history = trend::load(conn, world.viewer, "the same", 10, Detail::Whole)
        .await
        .unwrap();
    let ids: Vec<i64> = history.iter().map(|data| data.benchmark.id.0).collect();
    assert_eq!(ids, [1, 2], "the oldest first");
    let percentiles = Percentiles::parse("95").unwrap();
    let rows = trend::rows(&history, &percentiles).unwrap();
    let first = &rows[0].levels[0];
    assert!(
        first.values.iter().all(|value| value.change.is_none()),
        "nothing was before it"
    );
    let second = &rows[1].levels[0].values[1];
    assert_eq!(
        (second.measure, second.value),
        (Measure::Percentile(95.0), Some(0.001_295))
    );
    let (change, judgement) = second.change.unwrap();
    assert_eq!((change.base, judgement.verdict), (0.001_095, Verdict::Slower));
    let compared = compare::compare(&sides, &percentiles).unwrap();
    assert_eq!(compared.lines[1].change, change, "both pages say the same");
    let chart = trend::chart(&history, Measure::Throughput, Scale::Linear);
    assert_eq!(chart.series[1].points, [(1.0, 200.0), (2.0, 200.0)]);

    let listed = store::benchmarks::list_by_configuration(conn, world.viewer, "the same", 10)
        .await
        .unwrap();
    let sparks = trend::sparks(conn, world.viewer, &listed, 10).await.unwrap();
    assert_eq!(
        (sparks[0].throughputs.as_slice(), sparks[0].delta()),
        (&[200.0, 200.0][..], Some(0.0))
    );
    assert_eq!(
        (sparks[1].throughputs.as_slice(), sparks[1].delta()),
        (&[200.0][..], None)
    );
    let stranger = world.stranger().await;
    assert!(
        trend::load(conn, stranger, "the same", 10, Detail::Whole)
            .await
            .unwrap()
            .is_empty()
    );
}
