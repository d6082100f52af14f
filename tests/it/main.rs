//! The product from outside: its binary, its pages, a real browser, and the rules of its house.

mod access;
mod accounts;
mod admin;
mod api;
mod attacks;
mod backups;
mod bad_input;
mod benchmarks;
mod browser;
mod bundles;
mod cli;
mod conformance;
#[cfg(feature = "cloud")]
mod depot;
mod docker;
mod faults;
mod help;
mod instruments;
mod kill;
mod lists;
mod operations;
mod pages;
mod registered;
#[path = "../../src/testing/scratch.rs"]
mod scratch;
mod server;
#[path = "../../src/testing/servers.rs"]
mod servers;
mod shared;
mod sharing;
mod sources;
mod statistics_files;
mod support;
mod tidy;
mod versions;
mod workers;
