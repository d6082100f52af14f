//! The product from outside, by its command line, and the rules of its house.

mod cli;
mod kill;
#[path = "../../src/testing/scratch.rs"]
mod scratch;
mod support;
mod tidy;
