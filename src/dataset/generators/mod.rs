//! Data that nobody has to upload: a sample dump, restored like any other, and the tables of load tests.

pub mod load_tables;
pub mod sample;
