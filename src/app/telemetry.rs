//! The log: to standard error, at a level that `PGASSAY_LOG` sets, for people or for programs.

use std::io::IsTerminal as _;
use std::panic;
use std::panic::PanicHookInfo;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing::warn;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogConfig;
use crate::config::LogFormat;

/// Says what is logged: a level, and levels of single modules, as in `DEFAULT`.
const VARIABLE: &str = "PGASSAY_LOG";

/// What is logged unless `PGASSAY_LOG` says otherwise. Notices of a server come from uploads and are not for the log.
const DEFAULT: &str = "info,sqlx=warn,sqlx::postgres::notice=off";

/// The lines about requests that were answered.
const REQUESTS: &str = "pgassay::requests";

/// Begins to log. A second call changes nothing.
pub fn start(default: Option<&str>, config: LogConfig) {
    let default = default.unwrap_or(DEFAULT);
    let asked_for = std::env::var(VARIABLE).ok();
    let (mut levels, error) = match asked_for.as_deref().unwrap_or(default).parse::<Targets>() {
        Ok(levels) => (levels, None),
        Err(error) => (default.parse().expect("our own defaults are legal"), Some(error)),
    };
    if config.log_requests {
        levels = levels.with_target(REQUESTS, LevelFilter::DEBUG);
    }
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .with_target(true)
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    // Only a second call can fail.
    let begun = tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .try_init();
    if begun.is_ok() && config.log_format == LogFormat::Json {
        // What is not JSON would be lost on whoever reads this.
        panic::set_hook(Box::new(log_panic));
    }
    if let Some(error) = error {
        warn!("{VARIABLE} is not understood, so it is as if it were {default}: {error}");
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    error!(
        "A part of pgassay panicked at {place}: {}",
        panic.payload_as_str().unwrap_or("without a word")
    );
}
