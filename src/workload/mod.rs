//! Workloads: a script becomes labelled queries, and a check says which of them can run on a dataset.

pub mod check;
pub mod read;
pub mod service;
