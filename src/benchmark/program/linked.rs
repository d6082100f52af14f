//! The programs of a benchmark made ready to be run by many clients: names of variables have become slots, blocks jumps.

use std::collections::HashMap;

use crate::benchmark::program::variables::Slot;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Expr;
use crate::sql::pgbench::Place;
use crate::sql::pgbench::Program;
use crate::sql::pgbench::SleepTime;
use crate::sql::pgbench::SleepUnit;
use crate::sql::pgbench::Statement;

/// The programs of a mix. A client has one set of variables for all of them.
#[derive(Debug)]
pub struct Linked {
    programs: Vec<LinkedProgram>,
    slots: HashMap<Box<str>, Slot>,
}

#[derive(Debug)]
pub struct LinkedProgram {
    pub(super) instructions: Vec<Instruction>,
    pub(super) statements: Vec<LinkedStatement>,
}

#[derive(Debug)]
pub(super) struct Instruction {
    pub line: u64,
    pub act: Act,
}

#[derive(Debug)]
pub(super) enum Act {
    /// The statement of this index.
    Statement(usize),
    Set(Slot, Expr<Slot>),
    Sleep(Time, SleepUnit),
    /// Goes on at this instruction unless the condition holds.
    Unless(Expr<Slot>, usize),
    Jump(usize),
}

#[derive(Debug)]
pub(super) enum Time {
    Constant(i64),
    Variable(Slot),
}

/// A statement, ready for each protocol.
#[derive(Debug)]
pub struct LinkedStatement {
    /// With its variables as they are written.
    text: String,
    /// Where in it variables stand that the simple protocol replaces, from left to right.
    pub(super) uses: Vec<SlotUse>,
    parameterised: String,
    /// The variables of `$1`, `$2` and so on.
    pub(super) parameters: Vec<Slot>,
    gset: Option<Box<str>>,
    pub(super) line: u64,
}

#[derive(Debug)]
pub(super) struct SlotUse {
    pub slot: Slot,
    pub start: usize,
    pub end: usize,
}

impl Linked {
    pub fn new<'a>(programs: impl IntoIterator<Item = &'a Program>) -> Self {
        let mut slots = Slots::default();
        Self {
            programs: programs.into_iter().map(|program| link(program, &mut slots)).collect(),
            slots: slots.0,
        }
    }

    /// The statements of a program, in their order.
    pub fn statements(&self, program_idx: usize) -> &[LinkedStatement] {
        &self.programs[program_idx].statements
    }

    pub(super) fn program(&self, program_idx: usize) -> &LinkedProgram {
        &self.programs[program_idx]
    }

    /// Nothing if no program speaks of such a variable.
    pub(super) fn slot(&self, name: &str) -> Option<Slot> {
        self.slots.get(name).copied()
    }

    /// The names of all variables in the order of their slots.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        let mut names: Vec<(usize, Box<str>)> = self.slots.iter().map(|(name, slot)| (slot.0, name.clone())).collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

impl LinkedStatement {
    /// As it stands in the program, to be shown.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For the extended protocol and for a prepared statement: `$1`, `$2`, ... in place of variables, one for each time
    /// that one is used, as under pgbench. Between quotes and in comments a variable stays what it is.
    pub fn parameterised(&self) -> &str {
        &self.parameterised
    }

    /// The prefix of its `\gset`: the columns of its one row are to be given to `Runner::gset`.
    pub fn gset(&self) -> Option<&str> {
        self.gset.as_deref()
    }
}

#[derive(Default)]
struct Slots(HashMap<Box<str>, Slot>);

impl Slots {
    fn of(&mut self, name: &str) -> Slot {
        let next = Slot(self.0.len());
        *self.0.entry(name.into()).or_insert(next)
    }
}

fn link(program: &Program, slots: &mut Slots) -> LinkedProgram {
    let mut linked = LinkedProgram {
        instructions: Vec::new(),
        statements: Vec::new(),
    };
    let mut blocks: Vec<Block> = Vec::new();
    for command in &program.commands {
        let here = linked.instructions.len();
        let act = match &command.action {
            Action::Sql(statement) => {
                linked.statements.push(link_statement(statement, command.line, slots));
                Act::Statement(linked.statements.len() - 1)
            }
            Action::Set { variable, expr } => Act::Set(slots.of(variable), link_expr(expr, slots)),
            Action::Sleep { time, unit } => {
                let time = match time {
                    SleepTime::Constant(time) => Time::Constant(*time),
                    SleepTime::Variable(name) => Time::Variable(slots.of(name)),
                };
                Act::Sleep(time, *unit)
            }
            Action::If(condition) => {
                blocks.push(Block {
                    condition: Some(here),
                    exits: Vec::new(),
                });
                Act::Unless(link_expr(condition, slots), UNKNOWN)
            }
            Action::Elif(condition) => {
                let condition = link_expr(condition, slots);
                let next = linked.end_branch(blocks.last_mut(), command.line);
                if let Some(block) = blocks.last_mut() {
                    block.condition = Some(next);
                }
                Act::Unless(condition, UNKNOWN)
            }
            Action::Else => {
                linked.end_branch(blocks.last_mut(), command.line);
                continue;
            }
            Action::Endif => {
                if let Some(block) = blocks.pop() {
                    for jump in block.exits.into_iter().chain(block.condition) {
                        linked.instructions[jump].act.aim(here);
                    }
                }
                continue;
            }
        };
        linked.instructions.push(Instruction {
            line: command.line,
            act,
        });
    }
    linked
}

/// Where a jump goes whose end is not reached yet.
const UNKNOWN: usize = usize::MAX;

/// An `\if` that is open.
struct Block {
    /// The jump over the branch in hand, where that has a condition.
    condition: Option<usize>,
    /// The jumps out of the branches before.
    exits: Vec<usize>,
}

impl LinkedProgram {
    /// Ends a branch with a jump out of its block, and lets the one in front of it jump over it. Says where the next begins.
    fn end_branch(&mut self, block: Option<&mut Block>, line: u64) -> usize {
        let exit = self.instructions.len();
        self.instructions.push(Instruction {
            line,
            act: Act::Jump(UNKNOWN),
        });
        if let Some(block) = block {
            block.exits.push(exit);
            if let Some(condition) = block.condition.take() {
                self.instructions[condition].act.aim(exit + 1);
            }
        }
        exit + 1
    }
}

impl Act {
    fn aim(&mut self, at: usize) {
        if let Act::Unless(_, target) | Act::Jump(target) = self {
            *target = at;
        }
    }
}

fn link_expr(expr: &Expr, slots: &mut Slots) -> Expr<Slot> {
    expr.map(&mut |name| slots.of(name))
}

fn link_statement(statement: &Statement, line: u64, slots: &mut Slots) -> LinkedStatement {
    let mut uses = Vec::new();
    let mut parameters = Vec::new();
    let mut parameterised = String::new();
    let mut copied = 0;
    for used in &statement.variables {
        let slot = slots.of(&used.name);
        uses.push(SlotUse {
            slot,
            start: used.start,
            end: used.end,
        });
        if used.place == Place::Sql {
            parameters.push(slot);
            parameterised.push_str(&statement.text[copied..used.start]);
            parameterised.push('$');
            parameterised.push_str(&parameters.len().to_string());
            copied = used.end;
        }
    }
    parameterised.push_str(&statement.text[copied..]);
    LinkedStatement {
        text: statement.text.clone(),
        uses,
        parameterised,
        parameters,
        gset: statement.gset.as_deref().map(Box::from),
        line,
    }
}
