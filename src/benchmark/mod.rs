//! Benchmarks: from a wish to levels that were run, and what they came to.
//!
//! A spec names levels; for each the generator lets clients run programs against the target, second by second, and what
//! came of a second is stored before the next one ends.

pub mod estimate;
pub mod form;
pub mod generator;
mod journal;
mod level;
pub mod likeness;
mod load;
pub mod operations;
mod place;
pub mod program;
pub mod programs;
pub mod progress;
pub mod route;
pub mod service;
pub mod share;
mod sharing;
pub mod work;
