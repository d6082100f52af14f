//! Runs programs in pgbench's language, but for their SQL: works out what is next, and with what values. It asks no server.
//!
//! What a program computes is what pgbench 15 computes, to the bit: values, messages apart, and random numbers too, so that
//! a benchmark of a seed draws what `pgbench --random-seed` draws. The tests put the two side by side.

mod double;
mod evaluate;
mod failure;
mod function;
mod hash;
mod linked;
mod number;
mod random;
mod runner;
mod variables;

pub use self::failure::Failure;
pub use self::linked::Linked;
pub use self::linked::LinkedStatement;
pub use self::runner::Runner;
pub use self::runner::Setup;
pub use self::runner::Step;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
