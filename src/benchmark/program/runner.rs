//! One client's way through its programs.

use std::sync::Arc;
use std::time::Duration;

use crate::benchmark::program::evaluate::evaluate;
use crate::benchmark::program::evaluate::is_true;
use crate::benchmark::program::failure::Failure;
use crate::benchmark::program::failure::Reason;
use crate::benchmark::program::linked::Act;
use crate::benchmark::program::linked::Linked;
use crate::benchmark::program::linked::Time;
use crate::benchmark::program::number;
use crate::benchmark::program::random::Random;
use crate::benchmark::program::variables::Slot;
use crate::benchmark::program::variables::Variables;
use crate::sql::pgbench::DEFAULT_SEED;
use crate::sql::pgbench::SleepUnit;
use crate::sql::pgbench::Value;
use crate::sql::pgbench::is_variable_name;

/// What is the same for all clients of a benchmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// All random numbers come from it.
    pub seed: u64,
    /// The variable `scale`: how many times the size of pgbench's smallest tables.
    pub scale: i64,
    /// Further variables with their values as text. They win over the automatic ones of the same name.
    pub definitions: Vec<(String, String)>,
}

/// What a client has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send the statement of this index of the program, and give its row to [`Runner::gset`] if it has a `\gset`.
    Statement(usize),
    Sleep(Duration),
    /// The program is at its end. One without SQL comes here at once, so whoever repeats it has to let others go first.
    Done,
    Failed(Failure),
}

/// One client: its variables, its random numbers, and where it is in its program.
#[derive(Debug)]
pub struct Runner {
    linked: Arc<Linked>,
    variables: Variables,
    random: Random,
    /// As it was when the program began.
    random_at_start: Random,
    program_idx: usize,
    /// The next one.
    instruction_idx: usize,
    /// A statement, or the name of a variable, in the making.
    buffer: String,
}

impl Runner {
    /// `client_id` counts from 0 over all clients of a level, on whatever machine they are.
    pub fn new(linked: Arc<Linked>, setup: &Setup, client_id: u32) -> Self {
        let mut runner = Self {
            variables: Variables::new(linked.names()),
            random: Random::of_client(setup.seed, client_id),
            random_at_start: Random::of_client(setup.seed, client_id),
            program_idx: 0,
            instruction_idx: 0,
            buffer: String::new(),
            linked,
        };
        // The same for every client and every level, so that keys that are hashes are as hot in each of them.
        let default_seed = Random::from_seed(!setup.seed).bits();
        runner.preset("client_id", i64::from(client_id));
        runner.preset(DEFAULT_SEED, default_seed.cast_signed());
        runner.preset("random_seed", setup.seed.cast_signed());
        runner.preset("scale", setup.scale);
        for (name, text) in &setup.definitions {
            if let Some(slot) = runner.linked.slot(name) {
                runner.variables.set_text(slot, text);
            }
        }
        runner
    }

    fn preset(&mut self, name: &str, value: i64) {
        if let Some(slot) = self.linked.slot(name) {
            self.variables.set(slot, Value::Int(value));
        }
    }

    /// Begins a program. Variables hold what the programs before have left in them.
    pub fn start(&mut self, program_idx: usize) {
        self.random_at_start.clone_from(&self.random);
        self.program_idx = program_idx;
        self.instruction_idx = 0;
    }

    /// Begins the same program again, with the same random numbers. Variables are not taken back, as under pgbench.
    pub fn retry(&mut self) {
        self.random.clone_from(&self.random_at_start);
        self.instruction_idx = 0;
    }

    /// Works on to the next thing that takes time.
    pub fn next(&mut self) -> Step {
        let linked = Arc::clone(&self.linked);
        let instructions = &linked.program(self.program_idx).instructions;
        while let Some(instruction) = instructions.get(self.instruction_idx) {
            self.instruction_idx += 1;
            match self.act(&instruction.act) {
                Ok(None) => {}
                Ok(Some(step)) => return step,
                Err(reason) => {
                    return Step::Failed(Failure {
                        line: instruction.line,
                        reason,
                    });
                }
            }
        }
        Step::Done
    }

    fn act(&mut self, act: &Act) -> Result<Option<Step>, Reason> {
        match act {
            Act::Statement(statement_idx) => return Ok(Some(Step::Statement(*statement_idx))),
            Act::Sleep(time, unit) => return Ok(Some(Step::Sleep(self.sleep(time, *unit)?))),
            Act::Set(slot, expr) => {
                let value = evaluate(expr, &mut self.variables, &mut self.random)?;
                self.variables.set(*slot, value);
            }
            Act::Unless(condition, target) => {
                if !is_true(evaluate(condition, &mut self.variables, &mut self.random)?) {
                    self.instruction_idx = *target;
                }
            }
            Act::Jump(target) => self.instruction_idx = *target,
        }
        Ok(None)
    }

    fn sleep(&mut self, time: &Time, unit: SleepUnit) -> Result<Duration, Reason> {
        let time = match time {
            Time::Constant(time) => *time,
            Time::Variable(slot) => self.time(*slot)?,
        };
        let microseconds = time.saturating_mul(match unit {
            SleepUnit::Microseconds => 1,
            SleepUnit::Milliseconds => 1000,
            SleepUnit::Seconds => 1_000_000,
        });
        Ok(Duration::from_micros(u64::try_from(microseconds).unwrap_or_default()))
    }

    fn time(&mut self, slot: Slot) -> Result<i64, Reason> {
        self.variables.make_text(slot);
        let name = || self.variables.name(slot).into();
        let Some(text) = self.variables.text(slot) else {
            return Err(Reason::Unset(name()));
        };
        let time = number::leading_int(text);
        if time == 0 && !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(Reason::NoTime {
                name: name(),
                text: text.into(),
            });
        }
        Ok(time)
    }

    /// A statement of the program with the values of its variables in it, for the simple protocol. What has the looks of
    /// a variable, and is none or is not set, stays as it is.
    pub fn text(&mut self, statement_idx: usize) -> &str {
        let statement = &self.linked.statements(self.program_idx)[statement_idx];
        if statement.uses.is_empty() {
            return statement.text();
        }
        self.buffer.clear();
        let mut copied = 0;
        for used in &statement.uses {
            self.variables.make_text(used.slot);
            if let Some(text) = self.variables.text(used.slot) {
                self.buffer.push_str(&statement.text()[copied..used.start]);
                self.buffer.push_str(text);
                copied = used.end;
            }
        }
        self.buffer.push_str(&statement.text()[copied..]);
        &self.buffer
    }

    /// The parameters of a statement of the program, for the other protocols: texts, or NULL for a variable that is not set
    /// or has come to null.
    pub fn params(&mut self, statement_idx: usize) -> impl Iterator<Item = Option<&str>> {
        let slots = &self.linked.statements(self.program_idx)[statement_idx].parameters;
        for slot in slots {
            self.variables.make_text(*slot);
        }
        let variables = &self.variables;
        slots
            .iter()
            .map(|slot| variables.text(*slot).filter(|_| !variables.is_null(*slot)))
    }

    /// Stores the row of a statement with a `\gset`: `columns` are names and values, `n_rows` is how many rows there were.
    pub fn gset<'a>(
        &mut self,
        statement_idx: usize,
        n_rows: usize,
        columns: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), Failure> {
        let statement = &self.linked.statements(self.program_idx)[statement_idx];
        let failure = |reason| Failure {
            line: statement.line,
            reason,
        };
        if n_rows != 1 {
            return Err(failure(Reason::NotOneRow(n_rows)));
        }
        for (name, value) in columns {
            self.buffer.clear();
            self.buffer.push_str(statement.gset().unwrap_or_default());
            self.buffer.push_str(name);
            match self.linked.slot(&self.buffer) {
                Some(slot) => self.variables.set_text(slot, value.unwrap_or_default()),
                None if is_variable_name(&self.buffer) => {}
                None => return Err(failure(Reason::ColumnName(name.into()))),
            }
        }
        Ok(())
    }
}
