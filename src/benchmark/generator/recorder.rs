//! What the clients of one thread have done, counted where it happens: nothing here locks, and nothing allocates but at
//! the end of a second and where something failed.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::analysis::latency::Latencies;
use crate::benchmark::generator::cpu;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::gaps::Gaps;
use crate::benchmark::generator::gaps::Span;
use crate::benchmark::generator::report::ProgramReport;
use crate::benchmark::generator::report::SecondReport;
use crate::benchmark::generator::timeline::Timeline;

/// What a thread hands over when its clients are done.
#[derive(Debug, Default)]
pub struct ThreadReport {
    /// Of what is measured.
    pub programs: Vec<ProgramReport>,
    /// Before the load began.
    pub early_errors: Errors,
    pub connects: Latencies,
    pub n_reconnects: u64,
    pub gaps: Vec<Span>,
    pub n_late: u64,
    pub n_cut: u64,
    pub n_given_up: u32,
    pub given_up: Vec<String>,
    /// Processor time in what was measured.
    pub own_cpu: Duration,
}

/// Most different sentences of clients that could not go on.
const MOST_SENTENCES: usize = 5;

pub struct Recorder {
    timeline: Timeline,
    /// The second that is being counted.
    second: SecondReport,
    /// Where it ends.
    until: Duration,
    /// None when the level is over.
    seconds: Option<mpsc::Sender<SecondReport>>,
    cpu_before: Duration,
    n_connected: u32,
    gaps: Gaps,
    report: ThreadReport,
}

impl Recorder {
    /// Ready for what happens before the load begins. Whole seconds go to `seconds`, which must have room for all.
    pub fn new(timeline: Timeline, programs: Vec<ProgramReport>, seconds: mpsc::Sender<SecondReport>) -> Self {
        let first_idx = timeline.first_idx();
        Self {
            timeline,
            second: second(timeline, first_idx),
            until: timeline.to(first_idx),
            seconds: Some(seconds),
            cpu_before: Duration::ZERO,
            n_connected: 0,
            gaps: Gaps::default(),
            report: ThreadReport {
                programs,
                ..ThreadReport::default()
            },
        }
    }

    /// What went wrong before the load began.
    pub fn early_errors(&self) -> &Errors {
        &self.second.errors
    }

    /// The load begins: what was wrong until now belongs to no second.
    pub fn begin(&mut self) {
        self.report.early_errors = std::mem::take(&mut self.second.errors);
        self.cpu_before = cpu::of_this_thread();
    }

    /// A transaction came to its end.
    pub fn finished(&mut self, at: Duration, program_idx: usize, latency: Duration, lag: Option<Duration>) {
        self.reach(at);
        self.second.totals.n_transactions += 1;
        self.second.latencies.record(latency);
        if let Some(lag) = lag {
            self.second.lag.record(lag);
        }
        if self.is_measuring() {
            self.report.programs[program_idx].whole.finished(latency);
        }
    }

    /// A transaction ended in an error.
    pub fn failed(&mut self, at: Duration, program_idx: usize, sqlstate: &str, words: &impl Display) {
        self.reach(at);
        self.second.totals.n_failed += 1;
        self.second.errors.count(sqlstate, words);
        if self.is_measuring() {
            self.report.programs[program_idx].whole.n_failed += 1;
        }
    }

    /// A transaction is tried again.
    pub fn retried(&mut self, at: Duration) {
        self.reach(at);
        self.second.totals.n_retries += 1;
    }

    /// So many transactions were too late to be begun.
    pub fn skipped(&mut self, at: Duration, n_skipped: u64) {
        self.reach(at);
        self.second.totals.n_skipped += n_skipped;
    }

    /// A statement of a transaction came to its end.
    pub fn statement(&mut self, at: Duration, program_idx: usize, statement_idx: usize, latency: Duration) {
        self.reach(at);
        if self.is_measuring() {
            let program = &mut self.report.programs[program_idx];
            program.statements[statement_idx].part.finished(latency);
        }
    }

    /// A statement of a transaction ended in an error.
    pub fn statement_failed(&mut self, at: Duration, program_idx: usize, statement_idx: usize) {
        self.reach(at);
        if self.is_measuring() {
            let program = &mut self.report.programs[program_idx];
            program.statements[statement_idx].part.n_failed += 1;
        }
    }

    /// A connection was made.
    pub fn connected(&mut self, took: Duration) {
        self.n_connected += 1;
        self.report.connects.record(took);
    }

    /// A connection is no more.
    pub fn disconnected(&mut self) {
        self.n_connected -= 1;
    }

    /// A connection could not be made.
    pub fn refused(&mut self, at: Duration, sqlstate: &str, words: &impl Display) {
        self.reach(at);
        self.second.errors.count(sqlstate, words);
    }

    /// A client has lost its server.
    pub fn away(&mut self, at: Duration) {
        self.gaps.open(at);
    }

    /// A client has a server again.
    pub fn back(&mut self, at: Duration) {
        self.gaps.close(at);
        self.report.n_reconnects += 1;
    }

    /// A transaction came to its end after that of the level.
    pub fn late(&mut self) {
        self.report.n_late += 1;
    }

    /// A transaction was cut off.
    pub fn cut(&mut self) {
        self.report.n_cut += 1;
    }

    /// A client cannot go on.
    pub fn given_up(&mut self, sentence: String) {
        let ThreadReport {
            n_given_up, given_up, ..
        } = &mut self.report;
        *n_given_up += 1;
        if given_up.len() < MOST_SENTENCES && !given_up.contains(&sentence) {
            given_up.push(sentence);
        }
    }

    /// Hands over the seconds that are over `at` this moment, where nothing has ended since.
    pub fn reach(&mut self, at: Duration) {
        while at >= self.until && self.until < self.timeline.end() {
            self.hand_over(self.until);
        }
    }

    /// When there is a second to hand over.
    pub fn next_second(&self) -> Duration {
        self.until
    }

    /// The level ended at this moment: hands over the last second. What was counted behind it, by a clock that was read
    /// before the end was known, is late. From now on only what is late or cut is counted.
    pub fn end(&mut self, at: Duration) {
        self.reach(at);
        if self.second.from < at {
            self.hand_over(at);
        } else {
            self.report.n_late += self.second.totals.n_transactions + self.second.totals.n_failed;
        }
        self.until = Duration::MAX;
        self.seconds = None;
    }

    /// What there is to say at the end.
    pub fn take_report(&mut self) -> ThreadReport {
        let gaps = std::mem::take(&mut self.gaps).into_spans();
        ThreadReport {
            gaps,
            ..std::mem::take(&mut self.report)
        }
    }

    fn is_measuring(&self) -> bool {
        self.second.second_idx >= 0
    }

    fn hand_over(&mut self, until: Duration) {
        let next_idx = self.second.second_idx + 1;
        let mut over = std::mem::replace(&mut self.second, second(self.timeline, next_idx));
        self.until = self.timeline.to(next_idx);
        over.span = until.saturating_sub(over.from);
        over.n_connected = self.n_connected;
        let cpu_now = cpu::of_this_thread();
        over.own_cpu = cpu_now.saturating_sub(self.cpu_before);
        self.cpu_before = cpu_now;
        if over.second_idx >= 0 {
            self.report.own_cpu += over.own_cpu;
        }
        if let Some(seconds) = &self.seconds {
            // There is room for every second; nobody listens only where nobody waits for the level any more.
            let _ = seconds.try_send(over);
        }
    }
}

fn second(timeline: Timeline, second_idx: i32) -> SecondReport {
    let (from, to) = (timeline.from(second_idx), timeline.to(second_idx));
    SecondReport::new(second_idx, from, to.saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn recorder(warm_up_ms: u64, duration_ms: u64) -> (Recorder, mpsc::Receiver<SecondReport>) {
        let (send, receive) = mpsc::channel(100);
        let timeline = Timeline::new(ms(warm_up_ms), ms(duration_ms));
        (Recorder::new(timeline, vec![ProgramReport::new([0])], send), receive)
    }

    fn ended(mut recorder: Recorder, at_ms: u64) -> ThreadReport {
        recorder.end(ms(at_ms));
        recorder.take_report()
    }

    fn told(mut seconds: mpsc::Receiver<SecondReport>) -> Vec<(i32, u128, u64)> {
        let seconds = std::iter::from_fn(|| seconds.try_recv().ok());
        seconds
            .map(|second| (second.second_idx, second.span.as_millis(), second.totals.n_transactions))
            .collect()
    }

    #[test]
    fn a_transaction_counts_in_the_second_in_which_it_ended() {
        let (mut recorder, seconds) = recorder(1_000, 3_000);
        for at_ms in [0, 999, 1_000, 3_500] {
            recorder.statement(ms(at_ms), 0, 0, ms(1));
            recorder.finished(ms(at_ms), 0, ms(5), None);
        }
        let report = ended(recorder, 4_000);
        assert_eq!(told(seconds), [(-1, 1000, 2), (0, 1000, 1), (1, 1000, 0), (2, 1000, 1)]);
        let [program] = &report.programs[..] else { panic!("one program") };
        assert_eq!((program.whole.n, program.statements[0].part.n), (2, 2));
    }

    #[test]
    fn a_level_that_is_stopped_ends_with_a_short_second() {
        let (mut recorder, seconds) = recorder(0, 10_000);
        recorder.finished(ms(1_200), 0, ms(5), None);
        let report = ended(recorder, 1_300);
        assert_eq!(told(seconds), [(0, 1000, 0), (1, 300, 1)]);
        assert_eq!(report.n_late, 0);
    }

    #[test]
    fn what_was_counted_behind_the_end_is_late() {
        let (mut recorder, seconds) = recorder(0, 10_000);
        recorder.finished(ms(2_001), 0, ms(5), None);
        let report = ended(recorder, 1_999);
        assert_eq!(told(seconds), [(0, 1000, 0), (1, 1000, 0)]);
        assert_eq!(report.n_late, 1);
    }

    #[test]
    fn errors_before_the_load_belong_to_no_second() {
        let (mut recorder, mut seconds) = recorder(0, 1_000);
        recorder.refused(Duration::ZERO, "53300", &"too many connections");
        recorder.begin();
        let report = ended(recorder, 1_000);
        assert_eq!(report.early_errors.first().unwrap().n, 1);
        assert_eq!(seconds.try_recv().unwrap().errors, Errors::default());
    }
}
