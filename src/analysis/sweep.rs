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
