//! A benchmark of two levels as its runner would have stored it, with everything that can happen to one.

mod beside;
mod charts;
mod files;
mod tables;

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;

use crate::analysis::latency::Latencies;
use crate::analysis::sweep;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::ErrorCount;
use crate::model::benchmark::Gap;
use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::Generators;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::Loading;
use crate::model::benchmark::MixSpec;
use crate::model::benchmark::Objective;
use crate::model::benchmark::Operation;
use crate::model::benchmark::Pace;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::Protocol;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::model::benchmark::StatementRecord;
use crate::model::benchmark::TargetSpec;
use crate::model::benchmark::Totals;
use crate::model::benchmark::WaitCount;
use crate::model::dataset::Setting;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::report::benchmark::BenchmarkData;
use crate::store;
use crate::store::benchmarks::NewBenchmark;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;
use crate::store::queue;
use crate::testing::world::World;

/// Seconds of each level, without its warm-up.
const N_SECONDS: i32 = 12;

const PROGRAM: &str = "\\set aid random(1, 100000)\nselect abalance\nfrom pgbench_accounts where aid = :aid;\n";

pub(super) fn spec() -> BenchmarkSpec {
    BenchmarkSpec {
        target: TargetSpec::Generated(GeneratedSpec {
            table_rows: 150_000,
            batch_size: 1000,
            loading: Loading::Copy,
        }),
        mix: MixSpec {
            operation: Operation::PointRead,
            keys: KeyDistribution::Uniform,
            programs: vec![ProgramText {
                name: "point read".to_owned(),
                text: PROGRAM.to_owned(),
                weight: 1,
                is_plain_sql: false,
            }],
            variables: Vec::new(),
        },
        sources: Vec::new(),
        n_clients: vec![2, 4],
        duration_ms: 12_000,
        warm_up_ms: 1000,
        pace: Pace::Closed,
        protocol: Protocol::Prepared,
        connection: ConnectionMode::PerClient,
        max_tries: 1,
        max_errors: None,
        statement_timeout_ms: 0,
        autovacuum: true,
        settings: Vec::new(),
        seed: 7,
        generators: Generators::Here,
        is_quick: false,
        objective: Some(Objective {
            percentile: 95.0,
            below_ms: 0.0015,
        }),
    }
}

/// What a story differs in.
pub(super) struct Story {
    pub name: &'static str,
    pub spec: BenchmarkSpec,
    /// Added to every latency of every level, in nanoseconds.
    pub later_ns: u64,
    pub server: &'static str,
}

impl Story {
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            spec: spec(),
            later_ns: 0,
            server: "15.20",
        }
    }
}

/// So many transactions of `from_ns` + 1 to `from_ns` + 100 nanoseconds, which the histogram counts one by one.
fn latencies(n: u64, from_ns: u64) -> Latencies {
    let mut latencies = Latencies::new();
    for idx in 0..n {
        latencies.record(Duration::from_nanos(from_ns + 1 + idx % 100));
    }
    latencies
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn totals(n_transactions: u64, n_failed: u64) -> Totals {
    Totals {
        n_transactions,
        n_failed,
        ..Totals::default()
    }
}

fn conflicts(n: u64) -> Vec<ErrorCount> {
    vec![ErrorCount {
        sqlstate: "40001".to_owned(),
        n,
        example: "could not serialize access, \"really\"".to_owned(),
    }]
}

/// What one level does in one second.
fn second(story: &Story, level_idx: i32, second_idx: i32) -> SecondRecord {
    let more = [0, 10, 20][usize::try_from(second_idx.rem_euclid(3)).unwrap()];
    let (n, from_ns) = if level_idx == 0 {
        (100, 1000)
    } else {
        (190 + more, 1500)
    };
    SecondRecord {
        level_idx,
        attempt: 1,
        share_idx: 0,
        second_idx,
        started_at: at(i64::from(level_idx * 100 + second_idx)),
        span_ms: 1000.0,
        totals: totals(n, u64::from(level_idx == 0)),
        n_connected: if level_idx == 0 { 2 } else { 4 },
        latencies: latencies(n, from_ns + story.later_ns).to_bytes(),
        errors: if level_idx == 0 { conflicts(1) } else { Vec::new() },
        generator_cpu_ms: 250.0,
        server: (level_idx == 1).then(|| ServerSecond {
            commits: i64::try_from(n).ok(),
            blocks_hit: Some(990),
            blocks_read: Some(10),
            wal_bytes: Some(2_000_000),
            cpu_ms: Some(1500.0),
            waits: [("CPU", 2), ("Lock", 1)]
                .map(|(class, n)| WaitCount {
                    class: class.to_owned(),
                    n,
                })
                .to_vec(),
            ..ServerSecond::default()
        }),
    }
}

/// Stores a benchmark that came to its end: the first level was interrupted once, and one second of it was seen by two
/// workers; the server was away for a moment in the second.
pub(super) async fn stored(world: &World, story: &Story) -> BenchmarkId {
    let job_id = world.job(JobKind::Benchmark).await;
    let new = NewBenchmark {
        request_id: story.name.to_owned(),
        dataset_id: None,
        target_name: "generated tables, 150,000 rows".to_owned(),
        configuration: "the same".to_owned(),
        spec: story.spec.clone(),
    };
    let conn = &mut *world.conn().await;
    let id = store::benchmarks::insert(conn, world.viewer, &new, job_id)
        .await
        .unwrap();
    let lease = world.claim("here").await.unwrap().lease;
    let environment = [Setting {
        name: "server".to_owned(),
        value: story.server.to_owned(),
    }];
    store::benchmarks::set_environment(conn, &lease, id, &environment, None)
        .await
        .unwrap();
    let runner = Runner { world, lease, id };
    runner.interrupted(story).await;
    runner.first(story).await;
    runner.second(story).await;
    let attempts = store::levels::list(conn, world.viewer, id).await.unwrap();
    let headline = sweep::headline(&story.spec, &attempts).unwrap();
    let is_met = sweep::is_met(&story.spec, &attempts);
    store::benchmarks::set_headline(conn, &runner.lease, id, &headline, is_met)
        .await
        .unwrap();
    let is_settled = queue::settle(conn, &runner.lease, JobStatus::Completed, None).await;
    assert!(is_settled.unwrap());
    id
}

struct Runner<'a> {
    world: &'a World,
    lease: Lease,
    id: BenchmarkId,
}

impl Runner<'_> {
    async fn begin(&self, story: &Story, level_idx: usize) -> i32 {
        let level = story.spec.levels()[level_idx];
        let conn = &mut *self.world.conn().await;
        let attempt = store::levels::begin(conn, &self.lease, self.id, level).await;
        attempt.unwrap().unwrap()
    }

    async fn record(&self, second: &SecondRecord) {
        let conn = &mut *self.world.conn().await;
        let is_held = store::levels::record_second(conn, &self.lease, self.id, second).await;
        assert!(is_held.unwrap());
    }

    async fn finish(&self, level_idx: i32, attempt: i32, end: &LevelEnd<'_>, statements: &[StatementRecord]) {
        let key = AttemptKey {
            benchmark_id: self.id,
            level_idx,
            attempt,
        };
        let conn = &mut *self.world.conn().await;
        let is_held = store::levels::finish(conn, &self.lease, key, end, statements).await;
        assert!(is_held.unwrap());
    }

    async fn interrupted(&self, story: &Story) {
        let attempt = self.begin(story, 0).await;
        for second_idx in 0..3 {
            self.record(&second(story, 0, second_idx)).await;
        }
        let notes = LevelNotes::default();
        let end = LevelEnd::unmeasured(LevelStatus::Interrupted, &notes);
        self.finish(0, attempt, &end, &[]).await;
    }

    async fn first(&self, story: &Story) {
        let attempt = self.begin(story, 0).await;
        for second_idx in -1..N_SECONDS {
            let whole = SecondRecord {
                attempt,
                ..second(story, 0, second_idx)
            };
            if second_idx == 5 {
                for share in shares(&whole, 1000 + story.later_ns) {
                    self.record(&share).await;
                }
            } else {
                self.record(&whole).await;
            }
        }
        let bytes = latencies(1200, 1000 + story.later_ns).to_bytes();
        let notes = LevelNotes {
            errors: conflicts(12),
            connect_mean_ms: Some(1.5),
            connect_max_ms: Some(2.5),
            generator_load: Some(0.25),
            ..LevelNotes::default()
        };
        let end = LevelEnd {
            status: LevelStatus::Finished,
            measured_ms: Some(12_000.0),
            totals: totals(1200, 12),
            latencies: Some(&bytes),
            notes: &notes,
        };
        self.finish(0, attempt, &end, &statements(attempt, &bytes)).await;
    }

    async fn second(&self, story: &Story) {
        let attempt = self.begin(story, 1).await;
        for second_idx in 0..N_SECONDS {
            self.record(&second(story, 1, second_idx)).await;
        }
        let bytes = latencies(2400, 1500 + story.later_ns).to_bytes();
        let notes = LevelNotes {
            gaps: vec![Gap {
                from_ms: 4000.0,
                to_ms: Some(4500.0),
            }],
            generator_load: Some(0.95),
            is_generator_limited: true,
            ..LevelNotes::default()
        };
        let end = LevelEnd {
            status: LevelStatus::Finished,
            measured_ms: Some(12_000.0),
            totals: totals(2400, 0),
            latencies: Some(&bytes),
            notes: &notes,
        };
        self.finish(1, attempt, &end, &[]).await;
    }
}

/// The whole transaction and its one statement, which is its second command.
fn statements(attempt: i32, bytes: &[u8]) -> [StatementRecord; 2] {
    [None, Some(1)].map(|command_idx| StatementRecord {
        level_idx: 0,
        attempt,
        program_idx: 0,
        command_idx,
        n: 1200,
        n_failed: 12,
        latencies: bytes.to_vec(),
    })
}

/// A second of the first level as two workers saw it, each half of it.
fn shares(whole: &SecondRecord, from_ns: u64) -> [SecondRecord; 2] {
    [0, 1].map(|share_idx| {
        let mut half = Latencies::new();
        for idx in 0..50 {
            half.record(Duration::from_nanos(from_ns + 1 + 2 * idx + u64::from(share_idx == 1)));
        }
        SecondRecord {
            share_idx,
            totals: totals(50, u64::from(share_idx == 0)),
            n_connected: 1,
            latencies: half.to_bytes(),
            errors: if share_idx == 0 { conflicts(1) } else { Vec::new() },
            generator_cpu_ms: 125.0,
            ..whole.clone()
        }
    })
}

pub(super) async fn load(world: &World, id: BenchmarkId) -> BenchmarkData {
    let data = BenchmarkData::load(&mut *world.conn().await, world.viewer, id).await;
    data.unwrap().unwrap()
}

/// The story without a twist.
pub(super) async fn usual() -> BenchmarkData {
    let world = World::new().await;
    let id = stored(&world, &Story::named("usual")).await;
    load(&world, id).await
}
