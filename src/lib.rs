//! pgassay
mod analysis;
mod app;
mod cli;
mod cluster;
mod config;
mod dataset;
mod experiment;
mod files;
mod model;
mod plan;
mod report;
mod snapshot;
mod source;
mod sql;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod web;
mod workload;

/// Runs the command line.
pub async fn run() -> std::process::ExitCode {
    cli::main().await
}
