//! Programs in pgbench's script language, read as pgbench 15 to 18 read them: SQL, and commands that begin with a backslash.
//!
//! Nothing here runs. The language is described under "Custom Scripts" in <https://www.postgresql.org/docs/15/pgbench.html>;
//! where that is silent, pgbench itself (`src/bin/pgbench`) was asked, and the tests of `benchmark::program` ask it again.

mod blocks;
mod command;
mod error;
mod expression;
mod grammar;
mod missing;
mod reader;
mod statement;
mod token;
mod variable;
pub mod weight;

pub use crate::sql::pgbench::expression::Expr;
pub use crate::sql::pgbench::expression::Function;
pub use crate::sql::pgbench::expression::MAX_ARGUMENTS;
pub use crate::sql::pgbench::expression::Value;
pub use crate::sql::pgbench::reader::parse;
pub use crate::sql::pgbench::variable::Place;
pub use crate::sql::pgbench::variable::VariableUse;
pub use crate::sql::pgbench::variable::is_variable_name;

/// Variables that every client has without anybody setting them.
pub const AUTOMATIC: [&str; 4] = ["client_id", DEFAULT_SEED, "random_seed", "scale"];

/// The variable that `hash` and `permute` take for a seed where none is given.
pub const DEFAULT_SEED: &str = "default_seed";

/// A transaction in pgbench's language: what one file of it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub name: String,
    /// At least one. Each `\if` has its `\endif`, and the others of its kind stand where they may.
    pub commands: Vec<Command>,
}

/// One SQL command or one backslash command.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Where it begins, from 1.
    pub line: u64,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Sql(Statement),
    Set { variable: String, expr: Expr },
    Sleep { time: SleepTime, unit: SleepUnit },
    If(Expr),
    Elif(Expr),
    Else,
    Endif,
}

/// An SQL command as it is sent, but for its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Without the comments and blanks in front of it and without its semicolon; `;` where there is nothing else, by which
    /// pgbench's users measure the bare round trip. `\;` has become `;`.
    pub text: String,
    /// Whether `\;` parts several queries in it, which only the simple protocol can send.
    pub is_compound: bool,
    /// What looks like `:name` in it, from left to right.
    pub variables: Vec<VariableUse>,
    /// The prefix of its `\gset`, if it has one: the last query gives one row, whose columns become variables.
    pub gset: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SleepTime {
    /// No time at all where it is negative.
    Constant(i64),
    /// What this variable holds when the program gets there.
    Variable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepUnit {
    Microseconds,
    Milliseconds,
    Seconds,
}

#[cfg(test)]
mod tests;
