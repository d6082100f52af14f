//! The log: to standard error, at a level that `PGASSAY_LOG` sets.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// What is logged unless `PGASSAY_LOG` says otherwise. Notices of a server come from uploads and are not for the log.
const DEFAULT: &str = "info,sqlx=warn,sqlx::postgres::notice=off";

/// Begins to log. A second call changes nothing.
pub fn start(default: Option<&str>) {
    let filter = EnvFilter::try_from_env("PGASSAY_LOG").unwrap_or_else(|_| EnvFilter::new(default.unwrap_or(DEFAULT)));
    let subscriber = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only a second call can fail.
    let _ = subscriber.try_init();
}
