//! What a share came to, as it is sent to the worker that puts the level together: a [`LevelReport`] as JSON, field by field,
//! times as whole seconds and nanoseconds, histograms as the bytes of `analysis::latency` in Base64. And how several become
//! one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize as _;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error as _;

use crate::analysis::latency::Latencies;
use crate::analysis::latency::bytes::DamagedLatencies;
use crate::benchmark::generator::Ended;
use crate::benchmark::generator::LevelReport;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::gaps;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::Totals;

pub fn serialize<S: Serializer>(latencies: &Latencies, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(latencies.to_bytes()))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Latencies, D::Error> {
    let bytes = STANDARD
        .decode(String::deserialize(deserializer)?)
        .map_err(D::Error::custom)?;
    Latencies::from_bytes(&bytes).map_err(D::Error::custom)
}

impl LevelReport {
    /// What is known of a share that could not say what it came to: the sum of its seconds that were stored.
    pub fn of_seconds(seconds: &[SecondRecord]) -> Result<Self, DamagedLatencies> {
        let mut report = Self {
            measured: Duration::ZERO,
            totals: Totals::default(),
            latencies: Latencies::new(),
            lag: Latencies::new(),
            programs: Vec::new(),
            errors: Vec::new(),
            connects: Latencies::new(),
            n_reconnects: 0,
            gaps: Vec::new(),
            n_late: 0,
            n_cut: 0,
            n_given_up: 0,
            given_up: Vec::new(),
            own_cpu: Duration::ZERO,
            generator_load: 0.0,
            ended: Ended::Stopped,
        };
        let mut errors = Errors::default();
        for second in seconds.iter().filter(|second| second.second_idx >= 0) {
            report.measured += from_ms(second.span_ms);
            report.totals += second.totals;
            report.latencies.merge(&Latencies::from_bytes(&second.latencies)?);
            report.own_cpu += from_ms(second.generator_cpu_ms);
            errors.merge(&Errors::from_counts(second.errors.clone()));
        }
        report.errors = errors.into_counts();
        Ok(report)
    }

    /// Adds what another share of the same level came to. The busiest generator is that of the level; it has ended as the
    /// share that came furthest.
    pub fn merge(&mut self, other: &Self) {
        self.measured = self.measured.max(other.measured);
        self.totals += other.totals;
        self.latencies.merge(&other.latencies);
        self.lag.merge(&other.lag);
        if self.programs.is_empty() {
            self.programs.clone_from(&other.programs);
        } else {
            for (here, there) in self.programs.iter_mut().zip(&other.programs) {
                here.merge(there);
            }
        }
        let mut errors = Errors::from_counts(std::mem::take(&mut self.errors));
        errors.merge(&Errors::from_counts(other.errors.clone()));
        self.errors = errors.into_counts();
        self.connects.merge(&other.connects);
        self.n_reconnects += other.n_reconnects;
        self.gaps = gaps::union([&self.gaps[..], &other.gaps[..]].concat());
        self.n_late += other.n_late;
        self.n_cut += other.n_cut;
        self.n_given_up += other.n_given_up;
        for sentence in &other.given_up {
            if !self.given_up.contains(sentence) {
                self.given_up.push(sentence.clone());
            }
        }
        self.own_cpu += other.own_cpu;
        self.generator_load = self.generator_load.max(other.generator_load);
        self.ended = further(self.ended, other.ended);
    }
}

fn from_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

/// The one of two ends that says more of the level: a limit that was reached, then that the time was up.
fn further(one: Ended, other: Ended) -> Ended {
    let rank = |ended| match ended {
        Ended::TooManyErrors => 3,
        Ended::Finished => 2,
        Ended::Stopped => 1,
        Ended::NoClientLeft => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::benchmark::generator::report::ProgramReport;
    use crate::model::benchmark::ErrorCount;
    use crate::model::benchmark::Gap;

    fn second(second_idx: i32, times_ms: &[u64]) -> SecondRecord {
        let mut latencies = Latencies::new();
        for ms in times_ms {
            latencies.record(Duration::from_millis(*ms));
        }
        SecondRecord {
            level_idx: 0,
            attempt: 1,
            share_idx: 1,
            second_idx,
            started_at: DateTime::UNIX_EPOCH,
            span_ms: 1000.0,
            totals: Totals {
                n_transactions: times_ms.len() as u64,
                n_failed: 1,
                ..Totals::default()
            },
            n_connected: 1,
            latencies: latencies.to_bytes(),
            errors: vec![ErrorCount {
                sqlstate: "40001".to_owned(),
                n: 1,
                example: "could not serialize".to_owned(),
            }],
            generator_cpu_ms: 100.0,
            server: None,
        }
    }

    fn report(times_ms: &[u64], ended: Ended) -> LevelReport {
        let mut report = LevelReport::of_seconds(&[second(-1, &[77]), second(0, times_ms), second(1, &[])]).unwrap();
        let mut program = ProgramReport::new([0, 2]);
        for ms in times_ms {
            program.whole.finished(Duration::from_millis(*ms));
            program.statements[1].part.finished(Duration::from_millis(*ms));
        }
        report.programs = vec![program];
        report.generator_load = 0.25;
        report.gaps = vec![Gap {
            from_ms: 10.0,
            to_ms: Some(20.0),
        }];
        report.ended = ended;
        report
    }

    #[test]
    fn a_report_comes_back_from_json_as_it_was() {
        let report = report(&[1, 2, 300], Ended::Finished);
        let sent = serde_json::to_value(&report).unwrap();
        assert_eq!(sent["latencies"].as_str().unwrap()[..5], STANDARD.encode(b"PGL1")[..5]);
        assert_eq!(serde_json::from_value::<LevelReport>(sent.clone()).unwrap(), report);
        let mut bent = sent;
        bent["latencies"] = "AAAA".into();
        assert!(serde_json::from_value::<LevelReport>(bent).is_err());
    }

    #[test]
    fn shares_together_are_as_if_one_worker_had_done_all() {
        let mut together = report(&[1, 2], Ended::Finished);
        together.merge(&report(&[3, 400], Ended::Stopped));
        let all = report(&[1, 2, 3, 400], Ended::Finished);
        assert_eq!(
            (&together.latencies, &together.programs),
            (&all.latencies, &all.programs)
        );
        assert_eq!(
            (together.totals.n_transactions, together.totals.n_failed),
            (4, 4),
            "of the warm-up none"
        );
        assert_eq!(
            (together.measured, together.ended),
            (Duration::from_secs(2), Ended::Finished)
        );
        assert_eq!(together.errors[0].n, 4);
        assert_eq!(together.gaps, all.gaps, "when both had no server it is one gap");
        assert_eq!(together.own_cpu, Duration::from_millis(400));
    }

    #[test]
    fn a_share_that_says_nothing_but_its_seconds_adds_what_they_hold() {
        let mut together = LevelReport::of_seconds(&[second(0, &[5, 6])]).unwrap();
        together.merge(&report(&[1], Ended::TooManyErrors));
        assert_eq!(together.totals.n_transactions, 3);
        assert_eq!(together.programs[0].whole.n, 1);
        assert_eq!(together.ended, Ended::TooManyErrors);
    }
}
