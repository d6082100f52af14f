//! What is read, and the tables that are made of it.

use super::Story;
use super::load;
use super::stored;
use super::usual;
use crate::model::benchmark::LevelStatus;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Detail;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::chart::ChartKind;
use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::chart;
use crate::report::benchmark::levels;
use crate::report::benchmark::server;
use crate::report::benchmark::statements;
use crate::testing::world::World;

#[tokio::test]
async fn the_last_attempt_counts_and_seconds_of_several_workers_are_one() {
    let world = World::new().await;
    let id = stored(&world, &Story::named("read")).await;
    let data = load(&world, id).await;
    let statuses: Vec<LevelStatus> = data.attempts.iter().map(|attempt| attempt.status).collect();
    let finished = LevelStatus::Finished;
    assert_eq!(statuses, [LevelStatus::Interrupted, finished, finished]);
    let counted: Vec<(i32, usize)> = data
        .levels
        .iter()
        .map(|level| (level.record.attempt, level.seconds.len()))
        .collect();
    assert_eq!(counted, [(2, 12), (1, 12)]);
    // Three of the interrupted attempt, one of a warm-up, and twelve of each level.
    assert_eq!(data.seconds.len(), 28);
    let (shared, usual) = (&data.levels[0].seconds[5], &data.levels[0].seconds[4]);
    assert_eq!((shared.totals, shared.n_connected), (usual.totals, usual.n_connected));
    assert_eq!((&shared.latencies, &shared.errors), (&usual.latencies, &usual.errors));
    assert!((shared.generator_cpu_ms - usual.generator_cpu_ms).abs() < 1e-9);
    assert!(data.uncounted().is_empty());

    let conn = &mut *world.conn().await;
    let short = BenchmarkData::load_with(conn, world.viewer, id, Detail::InShort).await;
    let short = short.unwrap().unwrap();
    assert!(short.seconds.iter().all(|second| second.latencies.is_empty()));
    // As text: where a line breaks there is no number, which equals nothing.
    let shown = |data: &BenchmarkData| {
        let kinds = ChartKind::ALL.into_iter().filter(|kind| !kind.is_of_seconds());
        let charts: Vec<_> = kinds
            .map(|kind| chart(data, kind, &ChartWish::default()).unwrap())
            .collect();
        let numbers = levels::numbers(data, &Percentiles::default());
        format!("{numbers:?}{:?}{charts:?}", server::numbers(data))
    };
    assert_eq!(shown(&short), shown(&data), "less is read, and the same is shown");

    let stranger = world.stranger().await;
    let nothing = BenchmarkData::load(&mut *world.conn().await, stranger, id).await;
    assert!(nothing.unwrap().is_none());
}

#[tokio::test]
async fn levels_have_the_numbers_that_were_measured_and_their_remarks() {
    let data = usual().await;
    let percentiles = Percentiles::parse("50,95,99.9").unwrap();
    let [first, second] = &levels::numbers(&data, &percentiles)[..] else {
        panic!("two levels");
    };
    assert_eq!(first.throughput, Some(100.0));
    let (low, high) = first.throughput_interval.unwrap();
    assert!(
        (low - 100.0).abs() < 1e-9 && (high - 100.0).abs() < 1e-9,
        "every second was the same"
    );
    // 1001 to 1100 ns, each twelve times.
    assert_eq!(first.percentiles_ms, [Some(0.001_05), Some(0.001_095), Some(0.0011)]);
    assert_eq!((first.min_ms, first.max_ms), (Some(0.001_001), Some(0.0011)));
    assert!((first.mean_ms.unwrap() - 0.001_050_5).abs() < 1e-12);
    assert!((first.failed_share.unwrap() - 12.0 / 1212.0).abs() < 1e-12);
    assert_eq!((first.is_met, second.is_met), (Some(true), Some(false)));
    assert_eq!(first.remarks, ["This is attempt 2 of 2; the others do not count."]);
    let (low, high) = second.throughput_interval.unwrap();
    assert!(low < 200.0 && 200.0 < high, "{low} {high}");
    assert!(
        second.remarks[0].contains("pgassay itself was the limit"),
        "{:?}",
        second.remarks
    );
    assert!(second.remarks[1].contains("no server"), "{:?}", second.remarks);

    let rows = levels::rows(&data, &percentiles);
    assert_eq!(
        (rows[0].label.as_str(), rows[0].throughput.shown.as_str()),
        ("2 clients", "100")
    );
    assert_eq!(
        (rows[0].error_rate.shown.as_str(), rows[0].errors.exact.as_str()),
        ("0.99 %", "12")
    );
    assert_eq!(rows[0].percentiles.len(), 3);
    let headline = data.benchmark.headline.as_deref().unwrap();
    assert_eq!(
        headline,
        "Most at 4 clients: 200 transactions a second, p95 1.59 µs; p95 < 0.0015 ms was met by 1 of 2 levels."
    );
    assert_eq!(data.benchmark.is_met, Some(false));
}

#[tokio::test]
async fn statements_errors_and_the_server_are_summed_up_by_level() {
    let data = usual().await;
    let rows = statements::rows(&data, &data.levels[0], &Percentiles::default()).unwrap();
    assert_eq!((rows[0].is_whole, rows[0].program.as_str()), (true, "point read"));
    assert_eq!(rows[1].text, "select abalance\nfrom pgbench_accounts where aid = :aid");
    assert_eq!(
        (rows[1].n.exact.as_str(), rows[1].errors.exact.as_str()),
        ("1200", "12")
    );
    assert_eq!(rows[1].time_share.shown, "100 %");
    let errors = statements::errors(&data);
    assert_eq!(
        (errors.len(), errors[0].sqlstate.as_str(), errors[0].n),
        (1, "40001", 12)
    );

    let [server] = &server::numbers(&data)[..] else {
        panic!("the server was seen in one level");
    };
    assert_eq!((server.level.as_str(), server.n_seconds), ("4 clients", 12));
    assert_eq!(server.hit_share, Some(0.99));
    assert_eq!(server.wal_bytes_per_s, Some(2e6));
    assert_eq!(server.wal_bytes_per_transaction, Some(1e4));
    assert_eq!(server.cpu_cores, Some(1.5));
    assert_eq!(server.cpu_ms_per_transaction, Some(7.5));
    assert_eq!(server.waits, [("CPU".to_owned(), 2.0), ("Lock".to_owned(), 1.0)]);
    assert_eq!(
        (server.temp_bytes, server.read_bytes_per_s),
        (None, None),
        "nobody saw them"
    );
    assert_eq!(server::rows(&data)[0].waits, "CPU 2.00, Lock 1.00");
}
