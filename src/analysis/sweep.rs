//! What a benchmark comes to as a whole: which attempts count, the best level in a sentence, and whether the objective was
//! met.

use crate::analysis::latency::Latencies;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::Objective;
use crate::model::units::counted as counted_in_words;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::model::units::three_digits;

/// The percentile that is said where no objective names another.
const USUAL_PERCENTILE: f64 = 95.0;

/// Of every level the attempt that counts, the last that finished or was stopped, in the order of the levels. The attempts
/// are in their order.
pub fn counted(attempts: &[LevelRecord]) -> Vec<&LevelRecord> {
    let of_levels = attempts.chunk_by(|a, b| a.level.level_idx == b.level.level_idx);
    of_levels
        .filter_map(|attempts| attempts.iter().rfind(|attempt| counts(attempt.status)))
        .collect()
}

/// Whether what an attempt with this end measured is the level's.
pub fn counts(status: LevelStatus) -> bool {
    match status {
        LevelStatus::Finished | LevelStatus::Stopped => true,
        LevelStatus::Running | LevelStatus::Failed | LevelStatus::Interrupted => false,
    }
}

/// The level with the highest throughput among those that count.
pub fn best(attempts: &[LevelRecord]) -> Option<&LevelRecord> {
    let levels = counted(attempts).into_iter();
    levels
        .filter(|level| level.throughput().is_some())
        .max_by(|a, b| f64::total_cmp(&a.throughput().unwrap_or(0.0), &b.throughput().unwrap_or(0.0)))
}

/// The best level in a sentence; none before a level counts.
pub fn headline(spec: &BenchmarkSpec, attempts: &[LevelRecord]) -> Option<String> {
    let best = best(attempts)?;
    let throughput = best.throughput()?;
    let clients = counted_in_words(best.level.n_clients.into(), "client", "clients");
    let under = spec.source_label(best.level.source_idx);
    let place = match under {
        Some(label) => format!("{clients} under {label}"),
        None => clients,
    };
    let n_levels = counted(attempts).len();
    let place = if n_levels > 1 {
        format!("Most at {place}")
    } else {
        format!("At {place}")
    };
    let percentile = spec
        .objective
        .map_or(USUAL_PERCENTILE, |objective| objective.percentile);
    let latency = match latencies(best).and_then(|latencies| latencies.percentile_ms(percentile)) {
        Some(ms) => format!(", p{percentile} {}", ms_in_words(ms)),
        None => String::new(),
    };
    let failed = match best.totals.failed_share() {
        Some(share) if share > 0.0 => format!(", {} failed", percent_in_words(share)),
        Some(_) | None => String::new(),
    };
    let objective = spec.objective.map_or_else(String::new, |objective| {
        let n_met = counted(attempts)
            .into_iter()
            .filter(|level| meets(objective, level))
            .count();
        match (n_met, n_levels) {
            (n_met, n_levels) if n_met == n_levels => format!("; {objective} was met"),
            (_, 1) => format!("; {objective} was not met"),
            (n_met, n_levels) => format!("; {objective} was met by {n_met} of {n_levels} levels"),
        }
    });
    let rate = rate_in_words(throughput);
    Some(format!(
        "{place}: {rate} transactions a second{latency}{failed}{objective}."
    ))
}

/// Whether every level that ended keeps to the objective; none where there is no objective, or before a level ended. A level
/// that could not be run does not.
pub fn is_met(spec: &BenchmarkSpec, attempts: &[LevelRecord]) -> Option<bool> {
    let objective = spec.objective?;
    let of_levels = attempts.chunk_by(|a, b| a.level.level_idx == b.level.level_idx);
    let verdicts = of_levels.filter_map(|attempts| {
        let last = attempts.last()?;
        let found = attempts.iter().rfind(|attempt| counts(attempt.status));
        match (found, last.status) {
            (Some(level), _) => Some(meets(objective, level)),
            (None, LevelStatus::Failed) => Some(false),
            (None, _) => None,
        }
    });
    verdicts.fold(None, |all, is_met| Some(all.unwrap_or(true) && is_met))
}

/// Whether one level keeps to an objective. Without any transaction it does not.
pub fn meets(objective: Objective, level: &LevelRecord) -> bool {
    let percentile_ms = latencies(level).and_then(|latencies| latencies.percentile_ms(objective.percentile));
    percentile_ms.is_some_and(|ms| ms < objective.below_ms)
}

/// What is stored of a level's latencies; none where nothing readable is.
fn latencies(level: &LevelRecord) -> Option<Latencies> {
    Latencies::from_bytes(level.latencies.as_deref()?).ok()
}

/// `0.52 %`, and never nothing for something.
pub fn percent_in_words(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.005 => "< 0.01 %".to_owned(),
        percent => format!("{} %", three_digits(percent)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::model::benchmark::Level;
    use crate::model::benchmark::LevelNotes;
    use crate::model::benchmark::Totals;

    /// An attempt whose transactions all took so long, so many in ten seconds.
    fn attempt(level_idx: i32, attempt: i32, status: LevelStatus, n: u64, latency_ms: u64) -> LevelRecord {
        let mut latencies = Latencies::new();
        (0..n).for_each(|_| latencies.record(Duration::from_millis(latency_ms)));
        LevelRecord {
            level: Level {
                level_idx,
                n_clients: 10 * (level_idx.unsigned_abs() + 1),
                source_idx: None,
            },
            attempt,
            status,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: None,
            measured_ms: counts(status).then_some(10_000.0),
            totals: Totals {
                n_transactions: n,
                ..Totals::default()
            },
            latencies: counts(status).then(|| latencies.to_bytes()),
            notes: LevelNotes::default(),
        }
    }

    fn spec(objective: &str) -> BenchmarkSpec {
        let objective = match objective {
            "" => serde_json::Value::Null,
            below_ms => serde_json::json!({"percentile": 95.0, "below_ms": below_ms.parse::<f64>().unwrap()}),
        };
        serde_json::from_value(serde_json::json!({
            "target": {"kind": "generated", "table_rows": 1000, "batch_size": 100, "loading": "copy"},
            "mix": {"operation": "update", "keys": "uniform", "programs": []},
            "n_clients": [10, 20], "duration_ms": 10_000, "warm_up_ms": 0, "pace": {"kind": "closed"},
            "protocol": "prepared", "connection": "per_client", "max_tries": 1, "statement_timeout_ms": 0,
            "autovacuum": true, "settings": [], "seed": 1, "objective": objective,
        }))
        .unwrap()
    }

    #[test]
    fn the_last_attempt_that_ended_by_itself_or_was_stopped_counts() {
        use LevelStatus::Failed;
        use LevelStatus::Finished;
        use LevelStatus::Interrupted;
        use LevelStatus::Running;
        use LevelStatus::Stopped;
        let attempts = [
            attempt(0, 1, Interrupted, 0, 1),
            attempt(0, 2, Finished, 50, 1),
            attempt(0, 3, Interrupted, 0, 1),
            attempt(1, 1, Failed, 0, 1),
            attempt(2, 1, Stopped, 90, 1),
            attempt(3, 1, Running, 0, 1),
        ];
        let found: Vec<(i32, i32)> = counted(&attempts)
            .into_iter()
            .map(|level| (level.level.level_idx, level.attempt))
            .collect();
        assert_eq!(found, [(0, 2), (2, 1)]);
        assert_eq!(best(&attempts).map(|level| level.level.level_idx), Some(2));
        assert!(best(&attempts[3..4]).is_none() && headline(&spec(""), &attempts[3..4]).is_none());
    }

    #[test]
    fn the_headline_says_the_best_level_and_what_became_of_the_objective() {
        let mut attempts = vec![attempt(0, 1, LevelStatus::Finished, 1_234, 16)];
        assert_eq!(
            headline(&spec(""), &attempts).unwrap(),
            "At 10 clients: 123 transactions a second, p95 16.0 ms."
        );
        attempts.push(attempt(1, 1, LevelStatus::Finished, 20_000, 32));
        attempts[1].totals.n_failed = 5;
        assert_eq!(
            headline(&spec("20"), &attempts).unwrap(),
            "Most at 20 clients: 2\u{2009}000 transactions a second, p95 32.0 ms, 0.02 % failed; p95 < 20 ms was met by 1 of 2 \
             levels."
        );
        assert!(
            headline(&spec("50"), &attempts)
                .unwrap()
                .ends_with("; p95 < 50 ms was met.")
        );
    }

    #[test]
    fn an_objective_is_met_when_every_level_that_ended_keeps_to_it() {
        let quick = attempt(0, 1, LevelStatus::Finished, 10, 5);
        let slow = attempt(1, 1, LevelStatus::Finished, 10, 25);
        let empty = attempt(1, 1, LevelStatus::Finished, 0, 0);
        let failed = attempt(1, 1, LevelStatus::Failed, 0, 0);
        let running = attempt(1, 1, LevelStatus::Running, 0, 0);
        let met = |attempts: &[&LevelRecord]| {
            let attempts: Vec<LevelRecord> = attempts.iter().map(|attempt| (*attempt).clone()).collect();
            is_met(&spec("20"), &attempts)
        };
        assert_eq!(is_met(&spec(""), std::slice::from_ref(&quick)), None);
        assert_eq!(met(&[]), None);
        assert_eq!(met(&[&running]), None);
        assert_eq!(met(&[&quick, &running]), Some(true));
        for other in [&slow, &empty, &failed] {
            assert_eq!(met(&[&quick, other]), Some(false));
        }
    }

    #[test]
    fn a_share_is_never_said_to_be_nothing_when_it_is_something() {
        for (share, words) in [
            (0.0, "0 %"),
            (0.000_01, "< 0.01 %"),
            (0.009_9, "0.99 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent_in_words(share), words);
        }
    }
}
