//! Experiments: from a wish to recorded trials and their numbers.
//!
//! A spec becomes a schedule (pure), the runner walks the schedule through an executor and writes every outcome into a
//! journal before it goes on, and a settled experiment gets its summaries and comparisons.

mod annexes;
pub mod comparisons;
pub mod environment;
pub mod estimate;
pub mod explaining;
pub mod fields;
pub mod form;
pub mod headline;
pub mod journal;
pub mod lab;
pub mod likeness;
mod observer;
pub mod preparing;
pub mod preview;
pub mod progress;
pub mod runner;
pub mod schedule;
pub mod service;
pub mod summaries;
mod timed;
pub mod work;
pub mod writers;
