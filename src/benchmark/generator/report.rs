//! What load came to: second by second, and for the whole level.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::analysis::latency::Latencies;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::sheet;
use crate::model::benchmark::ErrorCount;
use crate::model::benchmark::Gap;
use crate::model::benchmark::Totals;

/// What ended in one second. A transaction belongs to the second in which it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondReport {
    /// From 0 in what is measured; those of the warm-up are below.
    pub second_idx: i32,
    /// When it began, from the beginning of the load, warm-up included.
    pub from: Duration,
    /// A second, but for the last one, and the first one of a warm-up.
    pub span: Duration,
    pub totals: Totals,
    /// Of the transactions that came to their end: failed ones have none.
    pub latencies: Latencies,
    /// How late they began, at a rate; empty in a closed loop.
    pub lag: Latencies,
    /// Of transactions and of connections.
    pub errors: Errors,
    /// Clients with a connection, at its end.
    pub n_connected: u32,
    /// Processor time of the threads that make the load.
    pub own_cpu: Duration,
}

impl SecondReport {
    pub fn new(second_idx: i32, from: Duration, span: Duration) -> Self {
        Self {
            second_idx,
            from,
            span,
            totals: Totals::default(),
            latencies: Latencies::new(),
            lag: Latencies::new(),
            errors: Errors::default(),
            n_connected: 0,
            own_cpu: Duration::ZERO,
        }
    }

    /// Adds the same second of other clients.
    pub fn merge(&mut self, other: &Self) {
        self.totals += other.totals;
        self.latencies.merge(&other.latencies);
        self.lag.merge(&other.lag);
        self.errors.merge(&other.errors);
        self.n_connected += other.n_connected;
        self.own_cpu += other.own_cpu;
    }
}

/// Why a level was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its time was up.
    Finished,
    /// By whoever asked for it.
    Stopped,
    TooManyErrors,
    /// No client was left: [`given_up`](LevelReport::given_up) says why.
    NoClientLeft,
}

/// What a level came to, without its warm-up unless it is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelReport {
    /// How long was measured; nothing where it was stopped in the warm-up.
    pub measured: Duration,
    pub totals: Totals,
    #[serde(with = "sheet")]
    pub latencies: Latencies,
    #[serde(with = "sheet")]
    pub lag: Latencies,
    /// In the order of the plan.
    pub programs: Vec<ProgramReport>,
    /// Of transactions and of connections, those made before the load included; the most frequent first.
    pub errors: Vec<ErrorCount>,
    /// How long it took to make connections, with those made before the load and in the warm-up.
    #[serde(with = "sheet")]
    pub connects: Latencies,
    /// Connections that were lost and made again, with those of the warm-up.
    pub n_reconnects: u64,
    pub gaps: Vec<Gap>,
    /// Transactions that were begun before the end, came to theirs shortly after, and count nowhere else.
    pub n_late: u64,
    /// Transactions that were cut off after the end, and count nowhere else.
    pub n_cut: u64,
    /// Clients that could not go on, and what they said: each sentence once.
    pub n_given_up: u32,
    pub given_up: Vec<String>,
    /// Processor time of the threads that made the load.
    pub own_cpu: Duration,
    /// The processor time of the busiest of those threads over the time that was measured, 0 to 1.
    pub generator_load: f64,
    pub ended: Ended,
}

impl LevelReport {
    /// Above this the generator, and not the server, is taken to have been the limit.
    const LIMITING_LOAD: f64 = 0.9;

    pub fn is_generator_limited(&self) -> bool {
        self.generator_load > Self::LIMITING_LOAD
    }
}

/// What one program came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramReport {
    pub whole: Part,
    /// One for each SQL command, in order.
    pub statements: Vec<StatementReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatementReport {
    /// Its place among all commands of the program.
    pub command_idx: usize,
    pub part: Part,
}

/// A program or a statement of it: how often, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// That came to their end.
    pub n: u64,
    pub n_failed: u64,
    #[serde(with = "sheet")]
    pub latencies: Latencies,
}

impl Part {
    pub fn finished(&mut self, latency: Duration) {
        self.n += 1;
        self.latencies.record(latency);
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.n_failed += other.n_failed;
        self.latencies.merge(&other.latencies);
    }
}

impl ProgramReport {
    /// Nothing yet, of a program whose SQL commands stand at these places.
    pub fn new(command_idxs: impl IntoIterator<Item = usize>) -> Self {
        let statement = |command_idx| StatementReport {
            command_idx,
            part: Part::default(),
        };
        Self {
            whole: Part::default(),
            statements: command_idxs.into_iter().map(statement).collect(),
        }
    }

    /// Adds what the same program came to elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        for (here, there) in self.statements.iter_mut().zip(&other.statements) {
            here.part.merge(&there.part);
        }
    }
}
