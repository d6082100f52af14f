//! The nouns of the product as plain values, shared by every other room.

pub mod benchmark;
pub mod chance;
pub mod dataset;
pub mod destination;
pub mod estimate;
pub mod experiment;
pub mod filing;
pub mod hashed;
pub mod ids;
pub mod instrument;
pub mod job;
pub mod limit;
pub mod look;
pub mod network;
pub mod quota;
pub mod server;
pub mod snapshot;
pub mod statistics_file;
pub mod text;
pub mod trial;
pub mod units;
pub mod upload;
pub mod user;
pub mod worker;
pub mod workload;
