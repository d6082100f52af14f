//! How far a benchmark is, for people.

use chrono::DateTime;
use chrono::Utc;

use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;

/// Milliseconds that the levels which are not over will take, as they were asked for; what is loaded and prepared before
/// them comes on top. `now` is the store's.
pub fn left_ms(spec: &BenchmarkSpec, records: &[LevelRecord], now: DateTime<Utc>) -> u64 {
    let of_one_ms = spec.duration_ms.saturating_add(spec.warm_up_ms);
    let of_level = |level: &Level| {
        let attempts = records.iter().filter(|record| record.level == *level);
        let running = attempts
            .into_iter()
            .rfind(|record| record.status == LevelStatus::Running);
        let so_far = running.map(|record| now.signed_duration_since(record.started_at));
        let so_far_ms = so_far.map_or(0, |so_far| u64::try_from(so_far.num_milliseconds()).unwrap_or(0));
        of_one_ms.saturating_sub(so_far_ms)
    };
    left(spec, records).iter().map(of_level).sum()
}

/// The levels that have no end yet, in the order in which they run.
pub fn left(spec: &BenchmarkSpec, records: &[LevelRecord]) -> Vec<Level> {
    let mut levels = spec.levels();
    levels.retain(|level| !is_over(*level, records));
    levels
}

/// Whether a level is not run again.
fn is_over(level: Level, records: &[LevelRecord]) -> bool {
    let mut attempts = records.iter().filter(|record| record.level == level);
    attempts.any(|record| match record.status {
        LevelStatus::Finished | LevelStatus::Stopped | LevelStatus::Failed => true,
        LevelStatus::Running | LevelStatus::Interrupted => false,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::benchmark::form::BenchmarkForm;
    use crate::model::benchmark::LevelNotes;
    use crate::model::benchmark::Totals;

    fn spec() -> BenchmarkSpec {
        let form = BenchmarkForm {
            thread_counts: "2, 4, 8".to_owned(),
            test_duration: "10s".to_owned(),
            warm_up: "2s".to_owned(),
            ..BenchmarkForm::default()
        };
        form.parse(7, &[]).unwrap()
    }

    fn attempt(level: Level, status: LevelStatus, started_s: i64) -> LevelRecord {
        LevelRecord {
            level,
            attempt: 1,
            status,
            started_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(started_s),
            finished_at: None,
            measured_ms: None,
            totals: Totals::default(),
            latencies: None,
            notes: LevelNotes::default(),
        }
    }

    #[test]
    fn what_is_left_shrinks_while_a_level_runs_and_an_interrupted_one_counts_whole() {
        let (spec, now) = (spec(), DateTime::UNIX_EPOCH + TimeDelta::seconds(20));
        assert_eq!(left_ms(&spec, &[], now), 36_000);
        let levels = spec.levels();
        let first = attempt(levels[0], LevelStatus::Finished, 0);
        let second = attempt(levels[1], LevelStatus::Running, 15);
        let records = [first.clone(), second.clone()];
        assert_eq!(left_ms(&spec, &records, now), 12_000 - 5_000 + 12_000);
        let interrupted = LevelRecord {
            status: LevelStatus::Interrupted,
            ..second
        };
        assert_eq!(left_ms(&spec, &[first, interrupted], now), 24_000);
        let late = attempt(levels[2], LevelStatus::Running, -500);
        assert_eq!(
            left_ms(&spec, &[late], now),
            24_000,
            "a level that takes longer leaves nothing"
        );
        let over: Vec<LevelRecord> = levels
            .iter()
            .map(|level| attempt(*level, LevelStatus::Stopped, 0))
            .collect();
        assert_eq!(left_ms(&spec, &over, now), 0);
    }
}
