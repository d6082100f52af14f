//! Stories about benchmarks: asked for, begun and measured, without anything that runs.

use std::time::Duration;

use chrono::DateTime;
use chrono::TimeDelta;

use crate::analysis::latency::Latencies;
use crate::auth::quota::QuotaKeeper;
use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::service::Benchmarks;
use crate::config::Access;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::StatementRecord;
use crate::model::benchmark::Totals;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::store;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;
use crate::testing::world::World;

/// A form whose benchmark has levels of 2 and 4 clients, ten seconds each.
pub fn form(request_id: &str) -> BenchmarkForm {
    BenchmarkForm {
        request_id: request_id.to_owned(),
        thread_counts: "2, 4".to_owned(),
        test_duration: "10s".to_owned(),
        warm_up: "1s".to_owned(),
        seed: "7".to_owned(),
        ..BenchmarkForm::default()
    }
}

/// A form whose benchmark is over soon: levels of a second on a thousand rows.
pub fn quick(thread_counts: &str) -> BenchmarkForm {
    BenchmarkForm {
        table_rows: "1000".to_owned(),
        thread_counts: thread_counts.to_owned(),
        test_duration: "1s".to_owned(),
        warm_up: "0".to_owned(),
        quick: true,
        ..form("quick")
    }
}

/// Latencies of `n` transactions that took a millisecond, and one in ten that took `slow_ms`.
pub fn latencies(n: u64, slow_ms: u64) -> Latencies {
    let mut latencies = Latencies::new();
    for idx in 0..n {
        latencies.record(Duration::from_millis(if idx % 10 == 9 { slow_ms } else { 1 }));
    }
    latencies
}

impl World {
    /// The benchmark that a form asks for; its job waits in the queue.
    pub async fn benchmark(&self, form: &BenchmarkForm) -> BenchmarkId {
        let benchmarks = Benchmarks {
            pool: self.pool.clone(),
            quotas: QuotaKeeper::new(Access::Local),
        };
        benchmarks.launch(self.viewer, form).await.unwrap()
    }

    /// Begins another attempt at a level of a claimed benchmark.
    pub async fn begin_level(&self, lease: &Lease, id: BenchmarkId, level: Level) -> AttemptKey {
        let attempt = store::levels::begin(&mut *self.conn().await, lease, id, level)
            .await
            .unwrap();
        AttemptKey {
            benchmark_id: id,
            level_idx: level.level_idx,
            attempt: attempt.unwrap(),
        }
    }

    /// A second in which `n` transactions ended, as [`latencies`] has them, and one failed.
    pub async fn second(&self, lease: &Lease, key: AttemptKey, second_idx: i32, n: u64) {
        self.share_of_second(lease, key, 0, second_idx, n).await;
    }

    /// The same of one of several workers.
    pub async fn share_of_second(&self, lease: &Lease, key: AttemptKey, share_idx: i32, second_idx: i32, n: u64) {
        let second = SecondRecord {
            level_idx: key.level_idx,
            attempt: key.attempt,
            share_idx,
            second_idx,
            started_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::from(100 * key.level_idx + second_idx)),
            span_ms: 1000.0,
            totals: Totals {
                n_transactions: n,
                n_failed: 1,
                ..Totals::default()
            },
            n_connected: 2,
            latencies: latencies(n, 20).to_bytes(),
            errors: Vec::new(),
            generator_cpu_ms: 5.0,
            server: None,
        };
        let mut conn = self.conn().await;
        let is_stored = store::levels::record_second(&mut conn, lease, key.benchmark_id, &second).await;
        assert!(is_stored.unwrap());
    }

    /// Ends an attempt that had `n` transactions in `n_s` seconds.
    pub async fn end_level(&self, lease: &Lease, key: AttemptKey, status: LevelStatus, n: u64, n_s: u32) {
        let latencies = latencies(n, 20).to_bytes();
        let end = LevelEnd {
            status,
            measured_ms: Some(f64::from(n_s) * 1000.0),
            totals: Totals {
                n_transactions: n,
                n_failed: u64::from(n_s),
                ..Totals::default()
            },
            latencies: Some(&latencies),
            notes: &LevelNotes::default(),
        };
        let statements = [None, Some(1)].map(|command_idx| StatementRecord {
            level_idx: key.level_idx,
            attempt: key.attempt,
            program_idx: 0,
            command_idx,
            n,
            n_failed: 0,
            latencies: latencies.clone(),
        });
        let mut conn = self.conn().await;
        assert!(
            store::levels::finish(&mut conn, lease, key, &end, &statements)
                .await
                .unwrap()
        );
    }

    /// Runs a whole benchmark with so many transactions a second at its levels, one after the other, and settles it.
    pub async fn measured(&self, form: &BenchmarkForm, throughputs: &[u64]) -> BenchmarkId {
        let id = self.benchmark(form).await;
        let lease = self.claim("a").await.unwrap().lease;
        let mut conn = self.conn().await;
        let spec = store::benchmarks::get(&mut conn, self.viewer, id)
            .await
            .unwrap()
            .unwrap()
            .spec;
        for (level, throughput) in spec.levels().into_iter().zip(throughputs) {
            let key = self.begin_level(&lease, id, level).await;
            for second_idx in 0..10 {
                self.second(&lease, key, second_idx, *throughput).await;
            }
            self.end_level(&lease, key, LevelStatus::Finished, throughput * 10, 10)
                .await;
        }
        let said = format!("Best of request {}.", form.request_id);
        let is_met = spec.objective.map(|_| false);
        store::benchmarks::set_headline(&mut conn, &lease, id, &said, is_met)
            .await
            .unwrap();
        let settled = store::queue::settle(&mut conn, &lease, JobStatus::Completed, None).await;
        assert!(settled.unwrap());
        id
    }
}
