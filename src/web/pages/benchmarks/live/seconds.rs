//! The seconds of a running benchmark as live pages show them, and the last few of them as one.

use chrono::DateTime;
use chrono::Utc;

use crate::analysis::latency::Latencies;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::Totals;
use crate::report::benchmark::data::latencies;

/// One second of all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    pub level_idx: i32,
    pub attempt: i32,
    /// Below 0 during the warm-up.
    pub second_idx: i32,
    pub started_at: DateTime<Utc>,
    pub span_ms: f64,
    pub totals: Totals,
    pub n_connected: u32,
    /// None where nothing came to its end.
    pub times: Option<Times>,
}

/// How long the transactions of some time took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

impl Times {
    /// None of none.
    pub fn of(latencies: &Latencies) -> Option<Self> {
        Some(Self {
            mean_ms: latencies.mean_ms()?,
            p50_ms: latencies.percentile_ms(50.0)?,
            p95_ms: latencies.percentile_ms(95.0)?,
            p99_ms: latencies.percentile_ms(99.0)?,
        })
    }
}

impl Second {
    /// Transactions a second.
    pub fn throughput(&self) -> f64 {
        per_s(self.totals.n_transactions, self.span_ms)
    }

    /// Failed transactions a second.
    pub fn failures(&self) -> f64 {
        per_s(self.totals.n_failed, self.span_ms)
    }
}

/// Some seconds as one: how many transactions a second, and how long they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub n_seconds: usize,
    pub throughput: f64,
    /// Failed ones among all, 0 to 1; none where nothing ended.
    pub failed_share: Option<f64>,
    pub times: Option<Times>,
}

impl Second {
    /// A second of all workers together.
    pub fn new(record: &SecondRecord) -> anyhow::Result<Self> {
        Ok(Self {
            level_idx: record.level_idx,
            attempt: record.attempt,
            second_idx: record.second_idx,
            started_at: record.started_at,
            span_ms: record.span_ms,
            totals: record.totals,
            n_connected: record.n_connected,
            times: Times::of(&latencies(Some(&record.latencies))?),
        })
    }
}

/// The last full seconds of the attempt that the last record belongs to, at most `n`; of its measured part, or of its
/// warm-up as long as that is all there is. None without any.
pub fn last_stretch(records: &[SecondRecord], n: usize) -> anyhow::Result<Option<Stretch>> {
    let Some(last) = records.last() else { return Ok(None) };
    let is_warm_up = last.second_idx < 0;
    let own = records
        .iter()
        .rev()
        .filter(|record| (record.level_idx, record.attempt) == (last.level_idx, last.attempt))
        .filter(|record| (record.second_idx < 0) == is_warm_up && record.span_ms >= HALF_MS);
    let (mut n_seconds, mut span_ms) = (0, 0.0);
    let (mut totals, mut together) = (Totals::default(), Latencies::new());
    for record in own.take(n) {
        n_seconds += 1;
        span_ms += record.span_ms;
        totals += record.totals;
        together.merge(&latencies(Some(&record.latencies))?);
    }
    Ok((n_seconds > 0).then(|| Stretch {
        n_seconds,
        throughput: per_s(totals.n_transactions, span_ms),
        failed_share: totals.failed_share(),
        times: Times::of(&together),
    }))
}

/// Less of a second says too little about it.
const HALF_MS: f64 = 500.0;

fn per_s(n: u64, span_ms: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let n = n as f64;
    if span_ms > 0.0 { n * 1000.0 / span_ms } else { 0.0 }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;

    /// A second in which transactions took these milliseconds.
    pub fn record(level_idx: i32, second_idx: i32, times_ms: &[u64]) -> SecondRecord {
        let mut latencies = Latencies::new();
        for ms in times_ms {
            latencies.record(Duration::from_millis(*ms));
        }
        SecondRecord {
            level_idx,
            attempt: 1,
            share_idx: 0,
            second_idx,
            started_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::from(100 * level_idx + second_idx)),
            span_ms: 1000.0,
            totals: Totals {
                n_transactions: times_ms.len() as u64,
                n_failed: 1,
                ..Totals::default()
            },
            n_connected: 2,
            latencies: latencies.to_bytes(),
            errors: Vec::new(),
            generator_cpu_ms: 1.0,
            server: None,
        }
    }

    /// As live pages keep them.
    pub fn of_records(records: &[SecondRecord]) -> Vec<Second> {
        records.iter().map(|record| Second::new(record).unwrap()).collect()
    }

    #[test]
    fn the_last_stretch_is_of_the_level_that_runs_and_of_full_seconds() {
        let mut records = vec![record(0, 8, &[100; 50]), record(1, -1, &[50])];
        let warm_up = last_stretch(&records, 5).unwrap().unwrap();
        assert_eq!(
            (warm_up.n_seconds, warm_up.throughput),
            (1, 1.0),
            "its own, not the level before"
        );
        records.extend((0..4).map(|idx| record(1, idx, &[10, 10])));
        let mut cut = record(1, 4, &[70]);
        cut.span_ms = 20.0;
        records.push(cut);
        let stretch = last_stretch(&records, 3).unwrap().unwrap();
        assert_eq!((stretch.n_seconds, stretch.throughput), (3, 2.0));
        assert!(stretch.times.unwrap().p99_ms < 11.0, "{stretch:?}");
        assert_eq!(stretch.failed_share, Some(3.0 / 9.0));
        assert!(last_stretch(&[], 5).unwrap().is_none());
    }

    #[test]
    fn a_second_in_which_nothing_ended_has_no_times_and_its_failures_count() {
        let second = Second::new(&record(0, 3, &[])).unwrap();
        assert_eq!((second.times, second.throughput(), second.failures()), (None, 0.0, 1.0));
        let second = Second::new(&record(0, 3, &[1, 1, 1, 9])).unwrap();
        let times = second.times.unwrap();
        assert!((times.mean_ms - 3.0).abs() < 1e-9 && times.p99_ms > 8.9, "{times:?}");
    }
}
