//! Everything but the histograms in one JSON document, its shape named and numbered.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::benchmark::SecondRecord;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::levels;
use crate::report::benchmark::levels::LevelNumbers;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::server;
use crate::report::benchmark::server::ServerNumbers;
use crate::report::benchmark::statements;
use crate::report::benchmark::statements::StatementNumbers;

/// Changes when a reader of the old shape would stumble.
const SCHEMA: &str = "pgassay.benchmark/1";

pub(super) fn everything(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let servers = server::numbers(data);
    let mut levels = Vec::with_capacity(data.levels.len());
    for (level, numbers) in data.levels.iter().zip(levels::numbers(data, percentiles)) {
        let server = servers.iter().find(|server| server.level_idx == numbers.level_idx);
        let statements = statements::numbers(data, level, percentiles)?;
        levels.push(level_body(level, &numbers, &statements, server, percentiles));
    }
    let seconds = data.seconds.iter().map(|second| second_body(second, percentiles));
    let attempts = data.attempts.iter().map(|attempt| {
        json!({
            "level": attempt.level.level_idx + 1,
            "attempt": attempt.attempt,
            "n_clients": attempt.level.n_clients,
            "source": data.benchmark.spec.source_label(attempt.level.source_idx),
            "status": attempt.status,
            "started_at": attempt.started_at,
            "finished_at": attempt.finished_at,
            "totals": attempt.totals,
            "notes": attempt.notes,
        })
    });
    let document = json!({
        "schema": SCHEMA,
        "pgassay": env!("CARGO_PKG_VERSION"),
        "benchmark": benchmark(data),
        "percentiles": percentiles.as_slice(),
        "levels": levels,
        "attempts": attempts.collect::<Vec<Value>>(),
        "seconds": seconds.collect::<anyhow::Result<Vec<Value>>>()?,
    });
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn benchmark(data: &BenchmarkData) -> Value {
    let benchmark = &data.benchmark;
    json!({
        "id": benchmark.id,
        "status": benchmark.job.status,
        "message": benchmark.job.message,
        "headline": benchmark.headline,
        "is_objective_met": benchmark.is_met,
        "target": benchmark.target_name,
        "configuration": benchmark.configuration,
        "tags": benchmark.filing.tags.as_slice(),
        "memo": benchmark.filing.memo.as_str(),
        "spec": benchmark.spec,
        "environment": benchmark.environment,
        "load": benchmark.load,
        "created_at": benchmark.created_at,
        "started_at": benchmark.job.started_at,
        "finished_at": benchmark.job.finished_at,
    })
}

fn level_body(
    level: &LevelData,
    numbers: &LevelNumbers,
    statements: &[StatementNumbers],
    server: Option<&ServerNumbers>,
    percentiles: &Percentiles,
) -> Value {
    let interval = numbers.throughput_interval;
    json!({
        "level": numbers.level_idx + 1,
        "n_clients": numbers.n_clients,
        "source": numbers.source,
        "attempt": numbers.attempt,
        "status": numbers.status,
        "started_at": numbers.started_at,
        "measured_ms": numbers.measured_ms,
        "n_transactions": numbers.totals.n_transactions,
        "throughput_per_s": numbers.throughput,
        "throughput_low_per_s": interval.map(|(low, _)| low),
        "throughput_high_per_s": interval.map(|(_, high)| high),
        "mean_ms": numbers.mean_ms,
        "stddev_ms": numbers.sd_ms,
        "min_ms": numbers.min_ms,
        "percentiles_ms": by_percentile(percentiles, &numbers.percentiles_ms),
        "max_ms": numbers.max_ms,
        "n_failed": numbers.totals.n_failed,
        "failed_share": numbers.failed_share,
        "n_retries": numbers.totals.n_retries,
        "n_skipped": numbers.totals.n_skipped,
        "skipped_share": numbers.skipped_share,
        "n_unfinished": numbers.n_unfinished,
        "lag_mean_ms": numbers.lag_mean_ms,
        "lag_max_ms": numbers.lag_max_ms,
        "connect_mean_ms": numbers.connect_mean_ms,
        "connect_max_ms": numbers.connect_max_ms,
        "n_reconnects": numbers.n_reconnects,
        "generator_load": numbers.generator_load,
        "is_generator_limited": numbers.is_generator_limited,
        "is_objective_met": numbers.is_met,
        "remarks": numbers.remarks,
        "shares": level.record.notes.shares,
        "errors": level.record.notes.errors,
        "gaps": level.record.notes.gaps,
        "statements": statements.iter().map(|row| statement_body(row, percentiles)).collect::<Vec<Value>>(),
        "server": server.map(server_body),
    })
}

/// Times by the percentile that they are: `"p99.9": 12.5`.
fn by_percentile(percentiles: &Percentiles, times_ms: &[Option<f64>]) -> Map<String, Value> {
    let labels = percentiles.labels().into_iter();
    labels.zip(times_ms).map(|(label, ms)| (label, json!(ms))).collect()
}

fn statement_body(row: &StatementNumbers, percentiles: &Percentiles) -> Value {
    json!({
        "program": row.program,
        "command": row.command_idx.map(|idx| idx + 1),
        "statement": row.command_idx.map(|_| &row.text),
        "n": row.n,
        "n_failed": row.n_failed,
        "mean_ms": row.mean_ms,
        "stddev_ms": row.sd_ms,
        "percentiles_ms": by_percentile(percentiles, &row.percentiles_ms),
        "max_ms": row.max_ms,
        "time_share": row.time_share,
    })
}

fn server_body(server: &ServerNumbers) -> Value {
    let waits = server.waits.iter().map(|(class, n)| (class.clone(), json!(n)));
    json!({
        "n_seconds": server.n_seconds,
        "commits": server.commits,
        "rollbacks": server.rollbacks,
        "buffer_hit_share": server.hit_share,
        "blocks_read": server.blocks_read,
        "rows_read_per_s": server.rows_read_per_s,
        "rows_written_per_s": server.rows_written_per_s,
        "temp_bytes": server.temp_bytes,
        "deadlocks": server.deadlocks,
        "wal_bytes_per_s": server.wal_bytes_per_s,
        "wal_bytes_per_transaction": server.wal_bytes_per_transaction,
        "cpu_cores": server.cpu_cores,
        "cpu_ms_per_transaction": server.cpu_ms_per_transaction,
        "read_bytes_per_s": server.read_bytes_per_s,
        "written_bytes_per_s": server.written_bytes_per_s,
        "mean_waiting_sessions": waits.collect::<Map<String, Value>>(),
    })
}

fn second_body(second: &SecondRecord, percentiles: &Percentiles) -> anyhow::Result<Value> {
    let latencies = latencies(Some(&second.latencies))?;
    let times_ms: Vec<Option<f64>> = percentiles
        .as_slice()
        .iter()
        .map(|percentile| latencies.percentile_ms(*percentile))
        .collect();
    Ok(json!({
        "level": second.level_idx + 1,
        "attempt": second.attempt,
        "second": second.second_idx,
        "started_at": second.started_at,
        "span_ms": second.span_ms,
        "totals": second.totals,
        "mean_ms": latencies.mean_ms(),
        "percentiles_ms": by_percentile(percentiles, &times_ms),
        "max_ms": latencies.max_ms(),
        "n_connected": second.n_connected,
        "generator_cpu_ms": second.generator_cpu_ms,
        "errors": second.errors,
        "server": second.server,
    }))
}
