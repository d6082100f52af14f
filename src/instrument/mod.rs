//! Instruments: questions about plans that are answered by trying. Each run is a job; what it finds out is stored step by
//! step, and a run that was interrupted goes on behind the last step.

mod bisect;
mod budget;
mod ddmin;
pub mod form;
pub mod likeness;
mod look;
mod lottery;
mod part;
mod regret;
mod saying;
pub mod service;
mod stand;
pub mod subject;
#[cfg(test)]
mod tests;
mod wish;
pub mod work;
