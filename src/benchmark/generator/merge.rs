//! Puts together what the threads of a level have counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::analysis::latency::Latencies;
use crate::benchmark::generator::control::Control;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::gaps;
use crate::benchmark::generator::plan::Prepared;
use crate::benchmark::generator::recorder::ThreadReport;
use crate::benchmark::generator::report::LevelReport;
use crate::benchmark::generator::report::SecondReport;
use crate::model::benchmark::Totals;

pub struct Merger {
    n_threads: usize,
    /// Seconds that some threads have handed over and others have not, and how many have.
    open: BTreeMap<i32, (SecondReport, usize)>,
    totals: Totals,
    latencies: Latencies,
    lag: Latencies,
    errors: Errors,
}

impl Merger {
    pub fn new(n_threads: usize) -> Self {
        Self {
            n_threads,
            open: BTreeMap::new(),
            totals: Totals::default(),
            latencies: Latencies::new(),
            lag: Latencies::new(),
            errors: Errors::default(),
        }
    }

    /// Takes one thread's second; what is complete with it, in order.
    pub fn add(&mut self, second: SecondReport) -> Vec<SecondReport> {
        let second_idx = second.second_idx;
        match self.open.get_mut(&second_idx) {
            None => {
                self.open.insert(second_idx, (second, 1));
            }
            Some((together, n)) => {
                together.merge(&second);
                *n += 1;
            }
        }
        let mut complete = Vec::new();
        while let Some(entry) = self.open.first_entry().filter(|entry| entry.get().1 == self.n_threads) {
            let (second, _) = entry.remove();
            self.sum_up(&second);
            complete.push(second);
        }
        complete
    }

    /// What no other thread will add to any more, in order.
    pub fn rest(&mut self) -> Vec<SecondReport> {
        let rest: Vec<SecondReport> = std::mem::take(&mut self.open)
            .into_values()
            .map(|(second, _)| second)
            .collect();
        for second in &rest {
            self.sum_up(second);
        }
        rest
    }

    fn sum_up(&mut self, second: &SecondReport) {
        if second.second_idx >= 0 {
            self.totals += second.totals;
            self.latencies.merge(&second.latencies);
            self.lag.merge(&second.lag);
            self.errors.merge(&second.errors);
        }
    }

    /// The level, when all threads are done.
    pub fn finish(self, threads: &[ThreadReport], prepared: &Prepared, control: &Control) -> LevelReport {
        let measured_from = prepared.timeline.measured_from();
        let measured = control.end().saturating_sub(measured_from);
        let mut errors = self.errors;
        let mut programs = prepared.program_reports();
        let mut connects = Latencies::new();
        let mut given_up: Vec<String> = Vec::new();
        let mut spans = Vec::new();
        for thread in threads {
            errors.merge(&thread.early_errors);
            connects.merge(&thread.connects);
            spans.extend(&thread.gaps);
            for (here, there) in programs.iter_mut().zip(&thread.programs) {
                here.merge(there);
            }
            for sentence in &thread.given_up {
                if !given_up.contains(sentence) {
                    given_up.push(sentence.clone());
                }
            }
        }
        let busiest = threads.iter().map(|thread| thread.own_cpu).max().unwrap_or_default();
        LevelReport {
            measured,
            totals: self.totals,
            latencies: self.latencies,
            lag: self.lag,
            programs,
            errors: errors.into_counts(),
            connects,
            n_reconnects: threads.iter().map(|thread| thread.n_reconnects).sum(),
            gaps: gaps::together(spans, measured_from),
            n_late: threads.iter().map(|thread| thread.n_late).sum(),
            n_cut: threads.iter().map(|thread| thread.n_cut).sum(),
            n_given_up: threads.iter().map(|thread| thread.n_given_up).sum(),
            given_up,
            own_cpu: threads.iter().map(|thread| thread.own_cpu).sum(),
            generator_load: load(busiest, measured),
            ended: control.ended(),
        }
    }
}

/// A share of one processor; nothing where nothing was measured.
fn load(busy: Duration, measured: Duration) -> f64 {
    if measured.is_zero() {
        return 0.0;
    }
    (busy.as_secs_f64() / measured.as_secs_f64()).min(1.0)
}
