//! What programs are told of benchmarks and their levels.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::job::JobStatus;
use crate::report::benchmark::data;
use crate::report::benchmark::percentiles::Percentiles;
use crate::web::api::body::seconds_of;
use crate::web::view::rfc3339;

/// A benchmark with what is known of it so far.
#[derive(Serialize, ToSchema)]
pub(super) struct BenchmarkBody {
    id: BenchmarkId,
    /// The levels: how many clients at a time.
    thread_counts: Vec<u32>,
    /// null on a dataset, and so is `batch_size`.
    table_rows: Option<u64>,
    /// Seconds of each level.
    #[schema(value_type = f64)]
    test_duration: Number,
    batch_size: Option<u32>,
    /// `pending`, `running`, `completed` or `failed`; `state` and `message` say more.
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// Of the levels that are over.
    results: Vec<ResultBody>,
    /// The word that pages show: a benchmark that somebody stopped is `stopped` here and `failed` above.
    state: &'static str,
    /// Why it failed or was stopped.
    message: Option<String>,
    /// What was put under load, in words.
    target: String,
    dataset: Option<DatasetId>,
    /// What each client does.
    operation: &'static str,
    /// How statements are sent.
    protocol: &'static str,
    /// Levels are shorter than ten seconds: good for a look.
    quick: bool,
    /// What every level should keep to.
    objective: Option<String>,
    /// null where there is no objective, or before the end.
    objective_met: Option<bool>,
    /// The number that stands for the whole, in words.
    headline: Option<String>,
}

impl BenchmarkBody {
    /// `levels` are all attempts at the benchmark's levels.
    pub fn new(benchmark: &Benchmark, levels: &[LevelRecord]) -> anyhow::Result<Self> {
        let (spec, job) = (&benchmark.spec, &benchmark.job);
        let generated = spec.target.generated();
        let is_settled = job.status.is_settled();
        Ok(Self {
            id: benchmark.id,
            thread_counts: spec.n_clients.clone(),
            table_rows: generated.map(|generated| generated.table_rows),
            test_duration: seconds_of(spec.duration_ms),
            batch_size: generated.map(|generated| generated.batch_size),
            status: status_word(job.status),
            created_at: rfc3339(benchmark.created_at),
            completed_at: job.finished_at.filter(|_| is_settled).map(rfc3339),
            results: results(spec, levels, None)?,
            state: job.status.word(),
            message: job.message.clone(),
            target: benchmark.target_name.clone(),
            dataset: benchmark.dataset_id,
            operation: spec.mix.operation.word(),
            protocol: spec.protocol.word(),
            quick: spec.is_quick,
            objective: spec.objective.map(|objective| objective.to_string()),
            objective_met: benchmark.is_met,
            headline: benchmark.headline.clone(),
        })
    }
}

/// One of the four words that programs know.
pub(super) fn status_word(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "pending",
        JobStatus::Running => "running",
        JobStatus::Completed => "completed",
        JobStatus::Failed | JobStatus::Cancelled => "failed",
    }
}

/// What one level came to.
#[derive(Serialize, ToSchema)]
pub(super) struct ResultBody {
    thread_count: u32,
    duration_sec: f64,
    total_operations: u64,
    throughput_ops_sec: f64,
    /// null where not one operation came to its end, and so are the percentiles.
    avg_latency_ms: Option<f64>,
    p95_latency_ms: Option<f64>,
    p99_latency_ms: Option<f64>,
    error_count: u64,
    error_rate_pct: f64,
    /// The label of the statistics source, where the benchmark has several.
    source: Option<String>,
    /// `finished`, `stopped` before its time, or `failed` altogether.
    status: &'static str,
    /// What else a reader must know, in sentences.
    remarks: Vec<String>,
    /// Those that were asked for, by their names: `p99.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    percentiles_ms: Option<BTreeMap<String, Option<f64>>>,
}

/// The results of the levels that are over, in the order in which they ran, with further percentiles where they are wished
/// for.
pub(super) fn results(
    spec: &BenchmarkSpec,
    levels: &[LevelRecord],
    percentiles: Option<&Percentiles>,
) -> anyhow::Result<Vec<ResultBody>> {
    over(levels)
        .map(|record| ResultBody::new(spec, record, percentiles))
        .collect()
}

/// The last attempt at each level that is over.
pub(super) fn over(levels: &[LevelRecord]) -> impl Iterator<Item = &LevelRecord> {
    let of_levels = levels.chunk_by(|a, b| a.level.level_idx == b.level.level_idx);
    of_levels.filter_map(|attempts| attempts.iter().rfind(|attempt| is_over(attempt.status)))
}

fn is_over(status: LevelStatus) -> bool {
    match status {
        LevelStatus::Finished | LevelStatus::Stopped | LevelStatus::Failed => true,
        LevelStatus::Running | LevelStatus::Interrupted => false,
    }
}

impl ResultBody {
    fn new(spec: &BenchmarkSpec, record: &LevelRecord, percentiles: Option<&Percentiles>) -> anyhow::Result<Self> {
        let latencies = data::latencies(record.latencies.as_deref())?;
        let totals = record.totals;
        let percentiles_ms = percentiles.map(|percentiles| {
            let values = percentiles.as_slice().iter();
            let values = values.map(|percentile| latencies.percentile_ms(*percentile));
            percentiles.labels().into_iter().zip(values).collect()
        });
        Ok(Self {
            thread_count: record.level.n_clients,
            duration_sec: record.measured_ms.unwrap_or(0.0) / 1000.0,
            total_operations: totals.n_transactions,
            throughput_ops_sec: record.throughput().unwrap_or(0.0),
            avg_latency_ms: latencies.mean_ms(),
            p95_latency_ms: latencies.percentile_ms(95.0),
            p99_latency_ms: latencies.percentile_ms(99.0),
            error_count: totals.n_failed,
            error_rate_pct: totals.failed_share().unwrap_or(0.0) * 100.0,
            source: spec.source_label(record.level.source_idx).map(str::to_owned),
            status: record.status.word(),
            remarks: record.notes.remarks.clone(),
            percentiles_ms,
        })
    }
}
