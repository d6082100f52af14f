//! One client: a connection, and transactions one after the other.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::benchmark::generator::crew::Crew;
use crate::benchmark::generator::errors;
use crate::benchmark::program::Runner;
use crate::benchmark::program::Step;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Protocol;
use crate::model::chance::Chance;
use crate::target::ServerError;
use crate::target::wire::Canceller;
use crate::target::wire::ConnectError;
use crate::target::wire::Lost;
use crate::target::wire::Params;
use crate::target::wire::Ran;
use crate::target::wire::TransactionStatus;
use crate::target::wire::Wire;

/// How long a client waits before it tries again to connect; each time twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What a transaction may be tried again after: serialization failure and deadlock.
const RETRIED: [&str; 2] = ["40001", "40P01"];

/// What a client is at, for those who end the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It waits for its turn, or for a server, or is gone.
    Nothing,
    Transaction,
    /// A transaction that it was told to give up.
    Cut,
}

/// What others may know of a client.
pub struct Seat {
    pub doing: Cell<Doing>,
    /// Stops its statement.
    pub canceller: RefCell<Option<Canceller>>,
}

impl Seat {
    pub fn new() -> Self {
        Self {
            doing: Cell::new(Doing::Nothing),
            canceller: RefCell::new(None),
        }
    }
}

pub struct Client {
    crew: Rc<Crew>,
    seat: Rc<Seat>,
    wire: Option<Wire>,
    /// Whether it has lost its server, and how long it waits for the next try.
    away: Option<Duration>,
    /// Which statements of which programs this connection has prepared.
    is_prepared: Vec<Vec<bool>>,
    runner: Runner,
    params: Params,
    chance: Chance,
}

/// When a transaction was to begin, and when it did.
#[derive(Clone, Copy)]
struct Turn {
    intended: Duration,
    began: Duration,
}

/// What became of a transaction, or of one try.
enum Outcome {
    Finished,
    Failed(Box<ServerError>),
    Lost(Lost),
    NotConnected(ConnectError),
    /// The client cannot go on.
    GivenUp(String),
}

/// The client is done: the level is over, or it cannot go on.
struct Gone;

impl Client {
    /// A client with its connection, but where each transaction makes its own.
    pub fn new(crew: Rc<Crew>, seat: Rc<Seat>, client_id: u32, wire: Option<Wire>) -> Self {
        let prepared = &crew.prepared;
        let setup = &prepared.plan.setup;
        let mut client = Self {
            runner: Runner::new(prepared.linked.clone(), setup, client_id),
            chance: Chance::new(setup.seed, &[b"program", &client_id.to_be_bytes()]),
            is_prepared: Vec::new(),
            params: Params::new(),
            away: None,
            wire: None,
            seat,
            crew,
        };
        if let Some(wire) = wire {
            client.use_wire(wire);
        }
        client
    }

    /// Works until the level is over.
    pub async fn work(mut self) {
        let mut now = self.crew.now();
        while now < self.crew.end() {
            now = match self.turn(now).await {
                Ok(at) => at,
                Err(Gone) => break,
            };
        }
        if let Some(wire) = self.wire {
            wire.close().await;
        }
    }

    /// One transaction in its time; says when it is over.
    async fn turn(&mut self, now: Duration) -> Result<Duration, Gone> {
        let mut now = now;
        if let Some(wait) = self.away {
            now = self.come_back(now, wait).await;
        }
        let turn = match &self.crew.schedule {
            None => {
                // Whoever has an answer is heard first, as in pgbench: what a client sends wakes a backend, which may take our
                // processor while the answers of others lie there.
                if self.crew.has_others {
                    tokio::task::yield_now().await;
                    now = self.crew.now();
                    if now >= self.crew.end() {
                        return Err(Gone);
                    }
                }
                Turn {
                    intended: now,
                    began: now,
                }
            }
            Some(schedule) => {
                let intended = schedule.borrow_mut().next(now);
                if intended.n_skipped > 0 {
                    self.crew.recorder.borrow_mut().skipped(now, intended.n_skipped);
                }
                if intended.at >= self.crew.end() {
                    return Err(Gone);
                }
                if now < intended.at {
                    self.crew.sleep_until(intended.at).await;
                    now = self.crew.now();
                }
                Turn {
                    intended: intended.at,
                    began: now,
                }
            }
        };
        self.seat.doing.set(Doing::Transaction);
        let gone = self.transaction(turn, &mut now).await;
        self.seat.doing.set(Doing::Nothing);
        gone.map(|()| now)
    }

    /// Runs a transaction, and counts it. Leaves in `now` when it was over.
    async fn transaction(&mut self, turn: Turn, now: &mut Duration) -> Result<(), Gone> {
        let program_idx = self.crew.prepared.choose(&mut self.chance);
        let outcome = match self.connected(now).await {
            Ok(()) => self.tries(program_idx, turn, now).await,
            Err(error) => Outcome::NotConnected(error),
        };
        self.count(program_idx, turn, *now, &outcome);
        let is_lost = match outcome {
            Outcome::Finished => false,
            Outcome::Failed(error) => error.is_fatal || self.roll_back(now).await.is_err(),
            Outcome::Lost(_) | Outcome::NotConnected(_) => true,
            Outcome::GivenUp(sentence) => {
                self.crew.recorder.borrow_mut().given_up(sentence);
                self.crew.control.client_left(*now);
                self.drop_wire();
                return Err(Gone);
            }
        };
        if is_lost {
            self.drop_wire();
            self.lose_server(*now);
        } else if self.crew.prepared.plan.connection == ConnectionMode::PerTransaction {
            self.close_wire().await;
        }
        Ok(())
    }

    /// Tries a transaction as often as it may be.
    async fn tries(&mut self, program_idx: usize, turn: Turn, now: &mut Duration) -> Outcome {
        self.runner.start(program_idx);
        let mut n_tries = 1;
        loop {
            let outcome = self.one_try(program_idx, now).await;
            match &outcome {
                Outcome::Failed(error) if self.may_try_again(error, n_tries, turn, *now) => {}
                _ => return outcome,
            }
            if let Err(lost) = self.roll_back(now).await {
                return Outcome::Lost(lost);
            }
            n_tries += 1;
            self.crew.recorder.borrow_mut().retried(*now);
            self.runner.retry();
        }
    }

    fn may_try_again(&self, error: &ServerError, n_tries: u32, turn: Turn, now: Duration) -> bool {
        RETRIED.contains(&error.sqlstate.as_str())
            && n_tries < self.crew.prepared.plan.max_tries
            && now < self.crew.end()
            && self
                .crew
                .limit
                .is_none_or(|limit| now.saturating_sub(turn.intended) <= limit)
    }

    /// Goes through the program once.
    async fn one_try(&mut self, program_idx: usize, now: &mut Duration) -> Outcome {
        let mut has_waited = false;
        loop {
            let statement_idx = match self.runner.next() {
                Step::Statement(statement_idx) => statement_idx,
                Step::Sleep(time) => {
                    self.crew.sleep_until(self.crew.now() + time).await;
                    *now = self.crew.now();
                    has_waited = true;
                    continue;
                }
                Step::Failed(failure) => return self.given_up(program_idx, &failure),
                Step::Done => break,
            };
            let ran = self.send(program_idx, statement_idx).await;
            let began = std::mem::replace(now, self.crew.now());
            has_waited = true;
            let is_over = *now >= self.crew.end();
            match ran {
                Ok(Ran::Done) if is_over => {}
                Ok(Ran::Done) => {
                    let mut recorder = self.crew.recorder.borrow_mut();
                    recorder.statement(*now, program_idx, statement_idx, now.saturating_sub(began));
                }
                Ok(Ran::Failed(error)) => {
                    if !is_over {
                        self.crew
                            .recorder
                            .borrow_mut()
                            .statement_failed(*now, program_idx, statement_idx);
                    }
                    return Outcome::Failed(error);
                }
                Err(lost) => return Outcome::Lost(lost),
            }
            if let Err(outcome) = self.keep_row(program_idx, statement_idx) {
                return outcome;
            }
        }
        if !has_waited {
            // Programs that ask the server nothing must not keep others from it.
            tokio::task::yield_now().await;
            *now = self.crew.now();
        }
        if self.status() == TransactionStatus::Idle {
            Outcome::Finished
        } else {
            self.given_up(program_idx, &"it ended without ending its transaction")
        }
    }

    /// Sends a statement, prepared before if it is the first time.
    async fn send(&mut self, program_idx: usize, statement_idx: usize) -> Result<Ran, Lost> {
        let prepared = &self.crew.prepared;
        let statement = &prepared.linked.statements(program_idx)[statement_idx];
        let wire = self.wire.as_mut().ok_or(Lost::GivenUp)?;
        wire.keep_rows(statement.gset().is_some());
        if prepared.plan.protocol == Protocol::Simple {
            return wire.simple(self.runner.text(statement_idx)).await;
        }
        self.params.clear();
        for value in self.runner.params(statement_idx) {
            match value {
                Some(text) => self.params.push(text),
                None => self.params.push_null(),
            }
        }
        if prepared.plan.protocol == Protocol::Extended {
            return wire.extended(statement.parameterised(), &self.params).await;
        }
        let name = prepared.name(program_idx, statement_idx);
        let is_prepared = &mut self.is_prepared[program_idx][statement_idx];
        if !*is_prepared {
            match wire.prepare(name, statement.parameterised()).await? {
                Ran::Done => *is_prepared = true,
                failed @ Ran::Failed(_) => return Ok(failed),
            }
        }
        wire.prepared(name, &self.params).await
    }

    /// Gives the program the row of a statement with a `\gset`.
    fn keep_row(&mut self, program_idx: usize, statement_idx: usize) -> Result<(), Outcome> {
        let statement = &self.crew.prepared.linked.statements(program_idx)[statement_idx];
        let Some(wire) = self.wire.as_ref().filter(|_| statement.gset().is_some()) else {
            return Ok(());
        };
        let rows = wire.rows();
        let n_rows = usize::try_from(rows.count()).unwrap_or(usize::MAX);
        let columns: Vec<_> = rows.names().zip(rows.first()).collect();
        let columns = columns.iter().map(|(name, value)| (&**name, value.as_deref()));
        let kept = self.runner.gset(statement_idx, n_rows, columns);
        kept.map_err(|failure| self.given_up(program_idx, &failure))
    }

    fn given_up(&self, program_idx: usize, why: &dyn std::fmt::Display) -> Outcome {
        let name = &self.crew.prepared.plan.programs[program_idx].program.name;
        Outcome::GivenUp(format!("The program {name} cannot go on: {why}"))
    }

    /// Counts what became of a transaction.
    fn count(&self, program_idx: usize, turn: Turn, now: Duration, outcome: &Outcome) {
        let mut recorder = self.crew.recorder.borrow_mut();
        if now >= self.crew.end() {
            match self.seat.doing.get() {
                Doing::Cut => recorder.cut(),
                Doing::Transaction | Doing::Nothing => recorder.late(),
            }
            return;
        }
        match outcome {
            Outcome::Finished => {
                let lag = self
                    .crew
                    .schedule
                    .as_ref()
                    .map(|_| turn.began.saturating_sub(turn.intended));
                return recorder.finished(now, program_idx, now.saturating_sub(turn.intended), lag);
            }
            Outcome::Failed(error) => recorder.failed(now, program_idx, &error.sqlstate, error),
            Outcome::Lost(lost) => recorder.failed(now, program_idx, errors::LOST, lost),
            Outcome::NotConnected(error) => recorder.failed(now, program_idx, errors::sqlstate(error), error),
            // The sentence of the client says it all.
            Outcome::GivenUp(_) => return,
        }
        self.crew.control.count_failed(now);
    }

    /// Ends a transaction that is open.
    async fn roll_back(&mut self, now: &mut Duration) -> Result<(), Lost> {
        if self.status() == TransactionStatus::Idle {
            return Ok(());
        }
        let wire = self.wire.as_mut().ok_or(Lost::GivenUp)?;
        let ran = wire.simple("rollback").await?;
        *now = self.crew.now();
        match ran {
            Ran::Done => Ok(()),
            // Nothing sensible refuses that.
            Ran::Failed(_) => Err(Lost::GivenUp),
        }
    }

    fn status(&self) -> TransactionStatus {
        self.wire
            .as_ref()
            .map_or(TransactionStatus::Idle, Wire::transaction_status)
    }

    /// Makes the connection of a transaction that has its own.
    async fn connected(&mut self, now: &mut Duration) -> Result<(), ConnectError> {
        if self.wire.is_some() {
            return Ok(());
        }
        let began = self.crew.now();
        let connected = Wire::connect(&self.crew.dial).await;
        *now = self.crew.now();
        let wire = connected?;
        self.crew.recorder.borrow_mut().connected(now.saturating_sub(began));
        if self.away.take().is_some() {
            self.crew.recorder.borrow_mut().back(*now);
        }
        self.use_wire(wire);
        Ok(())
    }

    /// Waits a while, and goes on waiting where each transaction does not make its own connection anyway, until there is a
    /// server again.
    async fn come_back(&mut self, now: Duration, wait: Duration) -> Duration {
        let (mut now, mut wait) = (now, wait);
        loop {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                now = self.crew.now();
            }
            wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            self.away = Some(wait);
            if self.crew.prepared.plan.connection == ConnectionMode::PerTransaction {
                return now;
            }
            match self.connected(&mut now).await {
                Ok(()) => return now,
                Err(error) => {
                    let mut recorder = self.crew.recorder.borrow_mut();
                    recorder.refused(now, errors::sqlstate(&error), &error);
                }
            }
        }
    }

    fn use_wire(&mut self, wire: Wire) {
        let linked = &self.crew.prepared.linked;
        let n_programs = self.crew.prepared.plan.programs.len();
        self.is_prepared = (0..n_programs)
            .map(|idx| vec![false; linked.statements(idx).len()])
            .collect();
        *self.seat.canceller.borrow_mut() = Some(wire.canceller());
        self.wire = Some(wire);
    }

    fn drop_wire(&mut self) {
        if self.wire.take().is_some() {
            self.seat.canceller.borrow_mut().take();
            self.crew.recorder.borrow_mut().disconnected();
        }
    }

    async fn close_wire(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.seat.canceller.borrow_mut().take();
            self.crew.recorder.borrow_mut().disconnected();
            wire.close().await;
        }
    }

    /// The first try to come back is made at once.
    fn lose_server(&mut self, now: Duration) {
        if self.away.is_none() {
            self.away = Some(Duration::ZERO);
            self.crew.recorder.borrow_mut().away(now);
        }
    }
}
