//! Benchmarks on real sandboxes, from the form to the stored levels.

use sqlx::AssertSqlSafe;

use crate::analysis::latency::Latencies;
use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::operations;
use crate::benchmark::operations::Shape;
use crate::dataset::statistics_file::Arrived;
use crate::dataset::statistics_file::Deleted;
use crate::experiment::service::LaunchError;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::Operation;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::StatementRecord;
use crate::model::benchmark::Totals;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::store::benchmarks;
use crate::store::levels;
use crate::testing;
use crate::testing::bench::Bench;
use crate::testing::bench::PATIENCE;

/// In batches of which the last is not full.
fn quick(thread_counts: &str) -> BenchmarkForm {
    BenchmarkForm {
        batch_size: "300".to_owned(),
        ..testing::benchmarks::quick(thread_counts)
    }
}

/// What is stored of a benchmark that has run to its end.
struct Ran {
    benchmark: Benchmark,
    levels: Vec<LevelRecord>,
    seconds: Vec<SecondRecord>,
}

async fn stored(bench: &Bench, id: BenchmarkId) -> Ran {
    let (mut conn, viewer) = (bench.house.pool.acquire().await.unwrap(), bench.house.viewer);
    Ran {
        benchmark: benchmarks::get(&mut conn, viewer, id).await.unwrap().unwrap(),
        levels: levels::list(&mut conn, viewer, id).await.unwrap(),
        seconds: levels::list_seconds(&mut conn, viewer, id).await.unwrap(),
    }
}

async fn statements(bench: &Bench, id: BenchmarkId) -> Vec<StatementRecord> {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    levels::list_statements(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
}

async fn run(bench: &Bench, form: &BenchmarkForm) -> Ran {
    let id = bench.house.benchmarks.launch(bench.house.viewer, form).await.unwrap();
    bench.work().await;
    let ran = stored(bench, id).await;
    let job = &ran.benchmark.job;
    assert_eq!(job.status, JobStatus::Completed, "{:?}", job.message);
    ran
}

async fn execute(bench: &Bench, sql: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&bench.house.pool).await;
    done.unwrap();
}

impl Ran {
    /// Of one attempt, as its seconds have it.
    fn sum(&self, level: &LevelRecord) -> Totals {
        let of_it = self.seconds.iter().filter(|second| {
            let is_of_level = second.level_idx == level.level.level_idx && second.attempt == level.attempt;
            is_of_level && second.second_idx >= 0
        });
        of_it.fold(Totals::default(), |mut sum, second| {
            sum += second.totals;
            sum
        })
    }
}

#[tokio::test]
async fn every_transaction_of_a_level_is_in_its_seconds_its_histogram_and_its_statements() {
    let bench = Bench::open().await;
    let ran = run(&bench, &quick("1, 2")).await;
    let n_clients: Vec<u32> = ran.levels.iter().map(|level| level.level.n_clients).collect();
    assert_eq!(n_clients, [1, 2]);
    let statements = statements(&bench, ran.benchmark.id).await;
    for level in &ran.levels {
        assert_eq!((level.status, level.attempt), (LevelStatus::Finished, 1));
        assert!(
            level.totals.n_transactions > 0 && level.totals.n_failed == 0,
            "{level:?}"
        );
        assert_eq!(ran.sum(level), level.totals);
        let latencies = Latencies::from_bytes(level.latencies.as_deref().unwrap()).unwrap();
        assert_eq!(latencies.len(), level.totals.n_transactions);
        let of_level = statements.iter().filter(|one| one.level_idx == level.level.level_idx);
        let told: Vec<(Option<i32>, u64)> = of_level.map(|one| (one.command_idx, one.n)).collect();
        let n = level.totals.n_transactions;
        assert_eq!(told, [(None, n), (Some(1), n)], "the \\set is no statement");
        assert!(!level.notes.statistics_moved);
    }
    let commits: i64 = ran
        .seconds
        .iter()
        .filter_map(|second| second.server.as_ref()?.commits)
        .sum();
    assert!(commits > 0, "{:?}", ran.seconds);
    let load = ran.benchmark.load.unwrap();
    // Accounts, tellers, a branch.
    assert_eq!(load.n_rows, 1000 + 10 + 1);
    let headline = ran.benchmark.headline.unwrap();
    assert!(headline.contains("transactions a second"), "{headline}");
    let left: Vec<_> = std::fs::read_dir(bench.house.layout.sandboxes()).unwrap().collect();
    assert!(left.is_empty(), "generated tables go with their benchmark: {left:?}");
    bench.close().await;
}

/// The built-in programs, all as one mix.
fn all_operations() -> Vec<GivenProgram> {
    let all = Operation::ALL
        .into_iter()
        .zip([KeyDistribution::Uniform, KeyDistribution::Zipf].into_iter().cycle());
    let programs = all.filter_map(|(operation, keys)| {
        let shape = Shape {
            keys,
            read_percent: 50,
            insert_rows: 10,
        };
        let programs = operations::programs(operation, shape)?;
        let named = programs.into_iter().map(move |program| GivenProgram {
            name: format!("{} as {}", program.name, operation.word()),
            weight: String::new(),
            text: program.text,
        });
        Some(named)
    });
    programs.flatten().collect()
}

#[tokio::test]
async fn every_built_in_program_runs_on_the_tables_it_is_made_for_however_they_are_loaded() {
    let bench = Bench::open().await;
    let ran = run(
        &bench,
        &BenchmarkForm {
            operation: "programs".to_owned(),
            programs: all_operations(),
            loading: "insert".to_owned(),
            protocol: "extended".to_owned(),
            max_tries: "10".to_owned(),
            ..quick("3")
        },
    )
    .await;
    let level = &ran.levels[0];
    assert_eq!(level.notes.errors, [], "{:?}", level.notes);
    let statements = statements(&bench, ran.benchmark.id).await;
    let never_ran: Vec<_> = statements.iter().filter(|one| one.n == 0).collect();
    assert!(never_ran.is_empty(), "{never_ran:?}");
    bench.close().await;
}

const DUMP: &str = "create table part (id integer primary key, kind integer);
insert into part select n, n % 10 from generate_series(1, 20000) n;";

#[tokio::test]
async fn a_dataset_is_under_load_with_each_source_in_turn_and_nothing_is_left_of_it() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(DUMP).await;
    let workload_id = bench
        .workload("-- name: kinds\nselect count(*) from part where kind = 3;\n-- name: one\nselect * from part where id = 77;\n")
        .await;
    let pairs = [
        ("request_id", "sources"),
        ("target", "dataset"),
        ("dataset", &dataset_id.to_string()),
        ("operation", "workload"),
        ("workload", &workload_id.to_string()),
        ("thread_counts", "1, 2"),
        ("test_duration", "1s"),
        ("warm_up", "0"),
        ("quick", "on"),
        ("autovacuum", "on"),
        ("stats_source", "none"),
        ("stats_source", "built_in"),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ran = run(&bench, &BenchmarkForm::from_pairs(pairs.to_vec())).await;
    let order: Vec<(u32, Option<i32>)> = ran
        .levels
        .iter()
        .map(|level| (level.level.n_clients, level.level.source_idx))
        .collect();
    assert_eq!(order, [(1, Some(0)), (1, Some(1)), (2, Some(1)), (2, Some(0))]);
    for level in &ran.levels {
        assert!(
            level.totals.n_transactions > 0 && level.totals.n_failed == 0,
            "{level:?}"
        );
        assert!(!level.notes.statistics_moved, "{level:?}");
    }
    let left = bench.databases(dataset_id).await;
    assert_eq!(left, [format!("t_{dataset_id}")]);
    bench.close().await;
}

#[tokio::test]
async fn a_level_that_was_cut_off_is_tried_again_and_finished_ones_are_not() {
    let bench = Bench::open().await;
    let first = run(&bench, &quick("1, 2")).await;
    // As if pgassay had died in the middle of the second level.
    let id = first.benchmark.id;
    execute(
        &bench,
        format!(
            "update benchmark_levels set status = 'running', finished_at = null, measured_ms = null, latencies = null
             where benchmark_id = {id} and level_idx = 1;
             delete from benchmark_statements where benchmark_id = {id} and level_idx = 1;
             update jobs set status = 'queued', finished_at = null where kind = 'benchmark';"
        ),
    )
    .await;
    bench.work().await;
    let again = stored(&bench, id).await;
    assert_eq!(again.benchmark.job.status, JobStatus::Completed);
    let ends: Vec<(i32, i32, LevelStatus)> = again
        .levels
        .iter()
        .map(|level| (level.level.level_idx, level.attempt, level.status))
        .collect();
    assert_eq!(
        ends,
        [
            (0, 1, LevelStatus::Finished),
            (1, 1, LevelStatus::Interrupted),
            (1, 2, LevelStatus::Finished),
        ]
    );
    assert_eq!(again.levels[0], first.levels[0], "a finished level stays as it is");
    assert!(
        again
            .seconds
            .iter()
            .any(|second| (second.level_idx, second.attempt) == (1, 1)),
        "what an interrupted attempt measured is kept"
    );
    assert_eq!(again.sum(&again.levels[2]), again.levels[2].totals);
    bench.close().await;
}

#[tokio::test]
async fn a_level_that_nobody_can_connect_for_says_so_and_fails_the_benchmark_if_it_is_the_only_one() {
    let bench = Bench::open().await;
    let form = BenchmarkForm {
        settings: "work_mem = plenty".to_owned(),
        ..quick("2")
    };
    let id = bench.house.benchmarks.launch(bench.house.viewer, &form).await.unwrap();
    bench.work().await;
    let ran = stored(&bench, id).await;
    let message = ran.benchmark.job.message.unwrap();
    assert_eq!(ran.benchmark.job.status, JobStatus::Failed);
    assert!(
        message.contains("No client could connect") && message.contains("work_mem"),
        "{message}"
    );
    assert_eq!(ran.levels[0].status, LevelStatus::Failed);
    bench.close().await;
}

#[tokio::test]
async fn a_benchmark_that_is_stopped_keeps_what_was_measured_and_leaves_nothing_behind() {
    let bench = Bench::open().await;
    let form = BenchmarkForm {
        test_duration: "60s".to_owned(),
        ..quick("2")
    };
    let (benchmarks, viewer) = (&bench.house.benchmarks, bench.house.viewer);
    let id = benchmarks.launch(viewer, &form).await.unwrap();
    let stopping = async {
        while stored(&bench, id).await.seconds.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(benchmarks.stop(viewer, id).await.unwrap());
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(bench.work(), stopping) })
        .await
        .unwrap();
    let ran = stored(&bench, id).await;
    assert_eq!(ran.benchmark.job.status, JobStatus::Cancelled);
    let level = &ran.levels[0];
    assert_eq!(level.status, LevelStatus::Stopped);
    assert!(
        level.totals.n_transactions > 0 && ran.sum(level) == level.totals,
        "{level:?}"
    );
    assert!(ran.benchmark.headline.is_some(), "what was measured is said");
    let left: Vec<_> = std::fs::read_dir(bench.house.layout.sandboxes()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    bench.close().await;
}

/// Each query fails, and only then, where what its name says is so.
const SIGNS: &str = "-- name: imported
select 1 / (coalesce((select n_distinct from pg_stats where attname = 'kind'), 0) <> 7)::integer;
-- name: set
select 1 / (current_setting('enable_seqscan') <> 'off')::integer;
-- name: dropped
select 1 / (to_regclass('public.part_kind') is not null)::integer;
-- name: made
select 1 / (to_regclass('public.part_both') is null)::integer;
";

const STATISTICS: &str = r#"{"pgassay_statistics": 1,
    "relations": [{"schemaname": "public", "relname": "part", "relpages": 10, "reltuples": 70000, "relallvisible": 0}],
    "columns": [{"schemaname": "public", "tablename": "part", "attname": "kind", "inherited": false, "null_frac": 0,
                 "avg_width": 4, "n_distinct": 7}]}"#;

#[tokio::test]
async fn imported_statistics_and_scripts_are_in_force_for_the_levels_of_their_source_and_no_others() {
    let bench = Bench::open().await;
    let (viewer, datasets) = (bench.house.viewer, &bench.house.datasets);
    let dataset_id = bench
        .restored(&format!("{DUMP} create index part_kind on part (kind);"))
        .await;
    let arrived = Arrived {
        request_id: "statistics".to_owned(),
        file_name: "production.json".to_owned(),
        bytes: STATISTICS.as_bytes().to_vec(),
    };
    let file_id = datasets.add_statistics(viewer, dataset_id, arrived).await.unwrap();
    let workload_id = bench.workload(SIGNS).await;
    let (dataset, workload) = (dataset_id.to_string(), workload_id.to_string());
    let form = |file: &str| {
        let pairs = [
            ("request_id", "sources"),
            ("target", "dataset"),
            ("dataset", &*dataset),
            ("operation", "workload"),
            ("workload", &*workload),
            ("thread_counts", "1"),
            ("test_duration", "1s"),
            ("warm_up", "0"),
            ("quick", "on"),
            ("stats_source", "imported"),
            ("imported.file", file),
            ("stats_source", "custom_sql"),
            (
                "custom_sql.script",
                "set enable_seqscan = off; drop index part_kind; create index part_both on part (kind, id);",
            ),
            ("stats_source", "none"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        BenchmarkForm::from_pairs(pairs.to_vec())
    };
    let refused = bench.house.benchmarks.check(viewer, &form("other.json")).await;
    assert!(
        matches!(&refused, Err(LaunchError::Refused(errors)) if errors[0].field == "imported.file"),
        "{refused:?}"
    );
    let id = bench
        .house
        .benchmarks
        .launch(viewer, &form("production.json"))
        .await
        .unwrap();
    let deleted = datasets.delete_statistics(viewer, file_id).await.unwrap();
    assert!(matches!(deleted, Deleted::InUse), "a benchmark that waits needs it");
    bench.work().await;
    let ran = stored(&bench, id).await;
    assert_eq!(
        ran.benchmark.job.status,
        JobStatus::Completed,
        "{:?}",
        ran.benchmark.job.message
    );

    let statements = statements(&bench, id).await;
    for (level, expected) in ran.levels.iter().zip([
        &[true, false, false, false][..],
        // On top of the first source.
        &[true, true, true, true],
        &[false; 4],
    ]) {
        let of_level = statements.iter().filter(|one| one.level_idx == level.level.level_idx);
        let whole = of_level.filter(|one| one.command_idx.is_none());
        let signs: Vec<bool> = whole
            .map(|one| {
                assert!((one.n == 0) != (one.n_failed == 0), "always or never: {one:?}");
                one.n_failed > 0
            })
            .collect();
        assert_eq!(signs, expected, "{level:?}");
    }
    let left = bench.databases(dataset_id).await;
    assert_eq!(left, [format!("t_{dataset_id}")]);
    bench.close().await;
}

#[tokio::test]
async fn what_a_killed_process_had_made_for_a_benchmark_goes_where_no_dataset_was_ever_restored() {
    let bench = Bench::open().await;
    let sandboxes = bench.house.layout.sandboxes();
    for name in ["b7", "12"] {
        std::fs::create_dir_all(sandboxes.join(name).join("base")).unwrap();
    }
    assert_eq!(bench.house.sandboxes.sweep_scratch().await.unwrap(), 1);
    assert!(!sandboxes.join("b7").exists());
    // Whose dataset that is, this store cannot say.
    assert!(sandboxes.join("12").exists());
    bench.close().await;
}
