//! The log: to standard error, at a level that `PGASSAY_LOG` sets.

use std::io::IsTerminal as _;

use tracing::warn;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Says what is logged: a level, and levels of single modules, as in `DEFAULT`.
const VARIABLE: &str = "PGASSAY_LOG";

/// What is logged unless `PGASSAY_LOG` says otherwise. Notices of a server come from uploads and are not for the log.
const DEFAULT: &str = "info,sqlx=warn,sqlx::postgres::notice=off";

/// Begins to log. A second call changes nothing.
pub fn start(default: Option<&str>) {
    let default = default.unwrap_or(DEFAULT);
    let asked_for = std::env::var(VARIABLE).ok();
    let (levels, error) = match asked_for.as_deref().unwrap_or(default).parse::<Targets>() {
        Ok(levels) => (levels, None),
        Err(error) => (default.parse().expect("our own defaults are legal"), Some(error)),
    };
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only a second call can fail.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .try_init();
    if let Some(error) = error {
        warn!("{VARIABLE} is not understood, so it is as if it were {default}: {error}");
    }
}
