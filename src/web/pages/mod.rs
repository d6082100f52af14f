//! One file for each page with its fragments.

mod account;
mod admin;
pub mod benchmarks;
mod chart;
pub mod chart_cache;
mod chart_tables;
mod chart_view;
mod compare;
mod dashboard;
mod datasets;
mod experiment;
mod filing;
mod health;
mod help;
mod instruments;
mod lists;
mod notes;
mod picture;
mod plans;
mod progress;
mod query;
mod queue;
mod restore_log;
mod results;
mod servers;
mod sharing;
mod sign_in;
mod statistics_files;
mod upload;
mod workers;
mod workloads;

use axum::Router;

use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(health::router())
        .merge(dashboard::router())
        .merge(queue::router())
        .merge(upload::router())
        .merge(datasets::router())
        .merge(statistics_files::router())
        .merge(workloads::router())
        .merge(experiment::router())
        .merge(results::router())
        .merge(query::router())
        .merge(plans::router())
        .merge(chart::router())
        .merge(compare::router())
        .merge(help::router())
        .merge(instruments::router())
        .merge(benchmarks::router())
        .merge(servers::router())
        .merge(filing::router())
        .merge(sharing::router())
        .merge(workers::router())
        .merge(sign_in::router())
        .merge(account::router())
        .merge(admin::router())
}
