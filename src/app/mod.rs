//! Composition and life: what is built at start, what is stopped at the end, and in which order.

pub mod backup;
mod caretaker;
pub mod door;
pub mod house;
pub mod membership;
pub mod restore;
pub mod sample;
pub mod serve;
pub mod store_keeper;
pub mod telemetry;
mod tools;
pub mod without_pages;
pub mod worker;
