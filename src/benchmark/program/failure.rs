//! Why a program cannot go on.

use thiserror::Error;

/// A program that came to something it cannot do. It ends the client, as under pgbench: the same would happen again.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("line {line}: {reason}")]
pub struct Failure {
    /// Of the command, from 1.
    pub line: usize,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Error)]
pub enum Reason {
    #[error("the variable :{0} is not set")]
    Unset(Box<str>),
    #[error("the variable :{name} holds \"{text}\", which is no number, truth value or null")]
    NoValue { name: Box<str>, text: Box<str> },
    #[error("the variable :{name} holds \"{text}\", which is no time to sleep")]
    NoTime { name: Box<str>, text: Box<str> },
    #[error("{0} cannot be taken for {1}")]
    WrongType(&'static str, &'static str),
    #[error("the result of {0} is out of the range of 64-bit integers")]
    OutOfRange(&'static str),
    #[error("{0} does not fit into a 64-bit integer")]
    NoInt(f64),
    #[error("division by zero")]
    DivisionByZero,
    #[error("the range of random numbers is empty: {0} to {1}")]
    EmptyRange(i64, i64),
    #[error("the range of random numbers is too large: {0} to {1}")]
    LargeRange(i64, i64),
    #[error("the parameter of random_exponential is {0}; it has to be greater than 0")]
    Exponential(f64),
    #[error("the parameter of random_gaussian is {0}; it has to be at least 2")]
    Gaussian(f64),
    #[error("the parameter of random_zipfian is {0}; it has to be from 1.001 to 1000")]
    Zipfian(f64),
    #[error("the size that permute is given is {0}; it has to be greater than 0")]
    PermuteSize(i64),
    #[error("\\gset needs one row, and the query gave {0}")]
    NotOneRow(usize),
    #[error("\\gset cannot store the column \"{0}\": no variable can be called so")]
    ColumnName(Box<str>),
}
