//! Composition and life: what is built at start, what is stopped at the end, and in which order.

pub mod house;
mod keeper;
pub mod sample;
pub mod serve;
pub mod telemetry;
pub mod worker;
