//! From stored numbers to what people take away: tables, charts, exports.

pub mod benchmark;
pub mod beside;
pub mod bodies;
pub mod chart;
pub mod charts;
pub mod compared;
pub mod costs;
pub mod data;
pub mod disturbed;
pub mod document;
pub mod estimates;
pub mod export;
pub mod instruments;
pub mod made;
pub mod observer;
pub mod sources;
pub mod surroundings;
pub mod table;
