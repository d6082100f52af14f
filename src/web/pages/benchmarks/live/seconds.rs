//! The seconds of a running benchmark as live pages show them: what all workers did in one second put together.

use chrono::DateTime;
use chrono::Utc;

use crate::analysis::latency::Latencies;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::Totals;

/// Which second of which attempt.
pub type SecondKey = (i32, i32, i32);

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
    /// None where nothing came to its end, or where what is stored cannot be read.
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
    pub fn key(&self) -> SecondKey {
        (self.level_idx, self.attempt, self.second_idx)
    }

    /// Transactions a second.
    pub fn throughput(&self) -> f64 {
        per_s(self.totals.n_transactions, self.span_ms)
    }

    /// Failed transactions a second.
    pub fn failures(&self) -> f64 {
        per_s(self.totals.n_failed, self.span_ms)
    }
}

/// The seconds that records tell of, in their order; records of one second lie beside each other.
pub fn of_records(records: &[SecondRecord]) -> Vec<Second> {
    let same = |a: &SecondRecord, b: &SecondRecord| key(a) == key(b);
    records
        .chunk_by(same)
        .filter_map(|shares| second(shares, merged(shares).as_ref()))
        .collect()
}

/// Some seconds as one: how many transactions a second, and how long they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub n_seconds: usize,
    pub throughput: f64,
    pub failures: f64,
    /// Failed ones among all, 0 to 1; none where nothing ended.
    pub failed_share: Option<f64>,
    pub times: Option<Times>,
}

/// The last full seconds of the attempt that the last record belongs to, at most `n`; of its measured part, or of its
/// warm-up as long as that is all there is. None without any.
pub fn last_stretch(records: &[SecondRecord], n: usize) -> Option<Stretch> {
    let last = records.last()?;
    let is_warm_up = last.second_idx < 0;
    let mut own: Vec<&SecondRecord> = records
        .iter()
        .filter(|record| (record.level_idx, record.attempt) == (last.level_idx, last.attempt))
        .filter(|record| (record.second_idx < 0) == is_warm_up && record.span_ms >= HALF_MS)
        .collect();
    let newest = own.last()?.second_idx;
    own.retain(|record| usize::try_from(newest - record.second_idx).is_ok_and(|back| back < n));
    let own: Vec<SecondRecord> = own.into_iter().cloned().collect();
    let seconds = of_records(&own);
    let span_ms: f64 = seconds.iter().map(|second| second.span_ms).sum();
    let totals = sum(&own);
    Some(Stretch {
        n_seconds: seconds.len(),
        throughput: per_s(totals.n_transactions, span_ms),
        failures: per_s(totals.n_failed, span_ms),
        failed_share: totals.failed_share(),
        times: merged(&own).as_ref().and_then(Times::of),
    })
}

/// Less of a second says too little about it.
const HALF_MS: f64 = 500.0;

fn key(record: &SecondRecord) -> SecondKey {
    (record.level_idx, record.attempt, record.second_idx)
}

fn second(shares: &[SecondRecord], latencies: Option<&Latencies>) -> Option<Second> {
    let first = shares.first()?;
    Some(Second {
        level_idx: first.level_idx,
        attempt: first.attempt,
        second_idx: first.second_idx,
        started_at: shares.iter().map(|share| share.started_at).min()?,
        span_ms: shares.iter().map(|share| share.span_ms).fold(0.0, f64::max),
        totals: sum(shares),
        n_connected: shares.iter().map(|share| share.n_connected).sum(),
        times: latencies.and_then(Times::of),
    })
}

/// None where one of them cannot be read.
fn merged(records: &[SecondRecord]) -> Option<Latencies> {
    let mut merged = Latencies::new();
    for record in records {
        merged.merge(&Latencies::from_bytes(&record.latencies).ok()?);
    }
    Some(merged)
}

fn sum(records: &[SecondRecord]) -> Totals {
    let mut sum = Totals::default();
    for Totals {
        n_transactions,
        n_failed,
        n_retries,
        n_skipped,
    } in records.iter().map(|record| record.totals)
    {
        sum.n_transactions += n_transactions;
        sum.n_failed += n_failed;
        sum.n_retries += n_retries;
        sum.n_skipped += n_skipped;
    }
    sum
}

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
    pub fn record(level_idx: i32, second_idx: i32, share_idx: i32, times_ms: &[u64]) -> SecondRecord {
        let mut latencies = Latencies::new();
        for ms in times_ms {
            latencies.record(Duration::from_millis(*ms));
        }
        SecondRecord {
            level_idx,
            attempt: 1,
            share_idx,
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

    #[test]
    fn the_shares_of_a_second_are_one_second() {
        let seconds = of_records(&[
            record(0, 0, 0, &[1, 1, 1]),
            record(0, 0, 1, &[9]),
            record(0, 1, 0, &[2]),
        ]);
        assert_eq!(seconds.len(), 2);
        assert_eq!((seconds[0].totals.n_transactions, seconds[0].n_connected), (4, 4));
        let times = seconds[0].times.unwrap();
        assert!((times.mean_ms - 3.0).abs() < 1e-9 && times.p99_ms > 8.9, "{times:?}");
        assert!((seconds[0].throughput() - 4.0).abs() < 1e-9 && (seconds[1].failures() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_stretch_is_of_the_level_that_runs_and_of_full_seconds() {
        let mut records = vec![record(0, 8, 0, &[100; 50]), record(1, -1, 0, &[50])];
        let warm_up = last_stretch(&records, 5).unwrap();
        assert_eq!((warm_up.n_seconds, warm_up.throughput), (1, 1.0), "its own, not the level before");
        records.extend((0..4).map(|idx| record(1, idx, 0, &[10, 10])));
        let mut cut = record(1, 4, 0, &[70]);
        cut.span_ms = 20.0;
        records.push(cut);
        let stretch = last_stretch(&records, 3).unwrap();
        assert_eq!((stretch.n_seconds, stretch.throughput), (3, 2.0));
        assert!(stretch.times.unwrap().p99_ms < 11.0, "{stretch:?}");
        assert_eq!(stretch.failed_share, Some(3.0 / 9.0));
        assert!(last_stretch(&[], 5).is_none());
    }

    #[test]
    fn what_cannot_be_read_has_no_times_and_is_still_counted() {
        let mut broken = record(0, 0, 0, &[1]);
        broken.latencies.truncate(9);
        let seconds = of_records(&[broken]);
        assert_eq!((seconds[0].times, seconds[0].totals.n_transactions), (None, 1));
    }
}
