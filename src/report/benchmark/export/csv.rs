//! Comma-separated values: a header line, units in the names, a dot in numbers.

use chrono::DateTime;
use chrono::SecondsFormat;
use chrono::Utc;
use csv::Writer;

use crate::analysis::sweep;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::levels;
use crate::report::benchmark::levels::LevelNumbers;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::server;
use crate::report::benchmark::statements as statement_table;
use crate::report::export::csv::number;
use crate::report::export::csv::text;

/// A row for each level that counts.
pub(super) fn levels(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let mut csv = Writer::from_writer(Vec::new());
    let mut heads = strings(&[
        "level",
        "n_clients",
        "source",
        "attempt",
        "status",
        "started_at",
        "measured_ms",
        "n_transactions",
        "throughput_per_s",
        "throughput_low_per_s",
        "throughput_high_per_s",
        "mean_ms",
        "stddev_ms",
        "min_ms",
    ]);
    heads.extend(percentile_heads(percentiles));
    heads.extend(strings(&[
        "max_ms",
        "n_failed",
        "failed_share",
        "n_retries",
        "n_skipped",
        "skipped_share",
        "n_unfinished",
        "lag_mean_ms",
        "lag_max_ms",
        "connect_mean_ms",
        "connect_max_ms",
        "n_reconnects",
        "generator_load",
        "is_generator_limited",
        "is_objective_met",
        "buffer_hit_share",
        "wal_bytes_per_s",
        "server_cpu_cores",
        "remarks",
    ]));
    csv.write_record(&heads)?;
    let servers = server::numbers(data);
    for level in levels::numbers(data, percentiles) {
        let server = servers.iter().find(|server| server.level_idx == level.level_idx);
        let mut row = level_row(&level);
        row.extend([
            number(server.and_then(|server| server.hit_share)),
            number(server.and_then(|server| server.wal_bytes_per_s)),
            number(server.and_then(|server| server.cpu_cores)),
            text(&level.remarks.join(" ")),
        ]);
        csv.write_record(&row)?;
    }
    Ok(csv.into_inner()?)
}

fn level_row(level: &LevelNumbers) -> Vec<String> {
    let interval = level.throughput_interval;
    let mut row = vec![
        (level.level_idx + 1).to_string(),
        level.n_clients.to_string(),
        text(level.source.as_deref().unwrap_or_default()),
        level.attempt.to_string(),
        level.status.word().to_owned(),
        moment(level.started_at),
        number(level.measured_ms),
        level.totals.n_transactions.to_string(),
        number(level.throughput),
        number(interval.map(|(low, _)| low)),
        number(interval.map(|(_, high)| high)),
        number(level.mean_ms),
        number(level.sd_ms),
        number(level.min_ms),
    ];
    row.extend(level.percentiles_ms.iter().map(|ms| number(*ms)));
    row.extend([
        number(level.max_ms),
        level.totals.n_failed.to_string(),
        number(level.failed_share),
        level.totals.n_retries.to_string(),
        level.totals.n_skipped.to_string(),
        number(level.skipped_share),
        level.n_unfinished.to_string(),
        number(level.lag_mean_ms),
        number(level.lag_max_ms),
        number(level.connect_mean_ms),
        number(level.connect_max_ms),
        level.n_reconnects.to_string(),
        number(level.generator_load),
        level.is_generator_limited.to_string(),
        level.is_met.map(|is_met| is_met.to_string()).unwrap_or_default(),
    ]);
    row
}

/// A row for each second of each attempt, also of those that do not count.
pub(super) fn seconds(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let mut csv = Writer::from_writer(Vec::new());
    let mut heads = strings(&[
        "level",
        "n_clients",
        "source",
        "attempt",
        "counts",
        "second",
        "started_at",
        "span_ms",
        "n_transactions",
        "mean_ms",
    ]);
    heads.extend(percentile_heads(percentiles));
    heads.extend(strings(&[
        "max_ms",
        "n_failed",
        "n_retries",
        "n_skipped",
        "n_connected",
        "generator_cpu_ms",
        "errors",
    ]));
    heads.extend(strings(&SERVER_HEADS));
    csv.write_record(&heads)?;
    for second in &data.seconds {
        let is_its = |attempt: &&crate::model::benchmark::LevelRecord| {
            (attempt.level.level_idx, attempt.attempt) == (second.level_idx, second.attempt)
        };
        let Some(attempt) = data.attempts.iter().find(is_its) else {
            continue;
        };
        let source = data.benchmark.spec.source_label(attempt.level.source_idx);
        let is_counted = data.level(second.level_idx).is_some_and(|level| {
            level.record.attempt == second.attempt && sweep::counts(attempt.status) && second.second_idx >= 0
        });
        let mut row = vec![
            (second.level_idx + 1).to_string(),
            attempt.level.n_clients.to_string(),
            text(source.unwrap_or_default()),
            second.attempt.to_string(),
            is_counted.to_string(),
        ];
        row.extend(second_row(second, percentiles)?);
        csv.write_record(&row)?;
    }
    Ok(csv.into_inner()?)
}

fn second_row(second: &SecondRecord, percentiles: &Percentiles) -> anyhow::Result<Vec<String>> {
    let latencies = latencies(Some(&second.latencies))?;
    let totals = second.totals;
    let mut row = vec![
        second.second_idx.to_string(),
        moment(second.started_at),
        second.span_ms.to_string(),
        totals.n_transactions.to_string(),
        number(latencies.mean_ms()),
    ];
    let percentiles = percentiles.as_slice().iter();
    row.extend(percentiles.map(|percentile| number(latencies.percentile_ms(*percentile))));
    let errors = second.errors.iter();
    let errors: Vec<String> = errors.map(|error| format!("{}: {}", error.sqlstate, error.n)).collect();
    row.extend([
        number(latencies.max_ms()),
        totals.n_failed.to_string(),
        totals.n_retries.to_string(),
        totals.n_skipped.to_string(),
        second.n_connected.to_string(),
        second.generator_cpu_ms.to_string(),
        text(&errors.join("; ")),
    ]);
    row.extend(server_cells(second.server.as_ref()));
    Ok(row)
}

const SERVER_HEADS: [&str; 13] = [
    "server_commits",
    "server_rollbacks",
    "server_blocks_hit",
    "server_blocks_read",
    "server_rows_read",
    "server_rows_written",
    "server_temp_bytes",
    "server_deadlocks",
    "server_wal_bytes",
    "server_cpu_ms",
    "server_read_bytes",
    "server_written_bytes",
    "server_waits",
];

fn server_cells(server: Option<&ServerSecond>) -> [String; 13] {
    let Some(server) = server else {
        return Default::default();
    };
    let count = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let waits = server.waits.iter();
    let waits: Vec<String> = waits.map(|wait| format!("{}: {}", wait.class, wait.n)).collect();
    [
        count(server.commits),
        count(server.rollbacks),
        count(server.blocks_hit),
        count(server.blocks_read),
        count(server.rows_read),
        count(server.rows_written),
        count(server.temp_bytes),
        count(server.deadlocks),
        count(server.wal_bytes),
        number(server.cpu_ms),
        count(server.read_bytes),
        count(server.written_bytes),
        text(&waits.join("; ")),
    ]
}

/// A row for each bucket of each level's histogram, as it is stored. The chosen percentiles do not matter.
pub(super) fn histogram(data: &BenchmarkData, _percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let mut csv = Writer::from_writer(Vec::new());
    csv.write_record([
        "level",
        "n_clients",
        "source",
        "lowest_ns",
        "highest_ns",
        "n",
        "n_up_to",
    ])?;
    for level in &data.levels {
        let mut n_up_to = 0;
        for bucket in level.latencies.raw() {
            n_up_to += bucket.n;
            csv.write_record([
                (level.record.level.level_idx + 1).to_string(),
                level.record.level.n_clients.to_string(),
                text(level.source.as_deref().unwrap_or_default()),
                bucket.lowest_ns.to_string(),
                bucket.highest_ns.to_string(),
                bucket.n.to_string(),
                n_up_to.to_string(),
            ])?;
        }
    }
    Ok(csv.into_inner()?)
}

/// A row for each program and each statement in each level.
pub(super) fn statements(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let mut csv = Writer::from_writer(Vec::new());
    let mut heads = strings(&[
        "level",
        "n_clients",
        "source",
        "program",
        "command",
        "statement",
        "n",
        "n_failed",
        "mean_ms",
        "stddev_ms",
    ]);
    heads.extend(percentile_heads(percentiles));
    heads.extend(strings(&["max_ms", "time_share"]));
    csv.write_record(&heads)?;
    for level in &data.levels {
        for statement in statement_table::numbers(data, level, percentiles)? {
            let command = statement.command_idx.map(|idx| (idx + 1).to_string());
            let mut row = vec![
                (level.record.level.level_idx + 1).to_string(),
                level.record.level.n_clients.to_string(),
                text(level.source.as_deref().unwrap_or_default()),
                text(&statement.program),
                command.unwrap_or_default(),
                text(&statement.text),
                statement.n.to_string(),
                statement.n_failed.to_string(),
                number(statement.mean_ms),
                number(statement.sd_ms),
            ];
            row.extend(statement.percentiles_ms.iter().map(|ms| number(*ms)));
            row.extend([number(statement.max_ms), number(statement.time_share)]);
            csv.write_record(&row)?;
        }
    }
    Ok(csv.into_inner()?)
}

/// `p99.9_ms`.
fn percentile_heads(percentiles: &Percentiles) -> impl Iterator<Item = String> {
    percentiles.labels().into_iter().map(|label| format!("{label}_ms"))
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
