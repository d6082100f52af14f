//! What commands share that work in a house: opening and closing it, progress on a terminal, how they end.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::app::house::Guests;
use crate::app::house::House;
use crate::app::serve;
use crate::app::worker;
use crate::config::HouseConfig;
use crate::experiment::service::LaunchError;
use crate::model::text::for_terminal;
use crate::model::text::shorten;

/// How a run ends, other than well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The arguments cannot be.
    #[error("{0}")]
    Arguments(String),
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<LaunchError> for RunError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Refused(fields) => {
                let messages: Vec<String> = fields.into_iter().map(|field| field.message).collect();
                Self::Arguments(messages.join("\n"))
            }
            LaunchError::Fault(error) => Self::Failed(error),
        }
    }
}

/// How often progress is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many looks in a row may fail before the store is taken for lost; each waits for a connection, too.
pub const MAX_FAILED_LOOKS: u32 = 8;

/// Opens the house, works on what is queued, and does `task` meanwhile; a signal ends it early. Everything that was started
/// is stopped again.
pub async fn in_house(
    config: &HouseConfig,
    task: impl AsyncFnOnce(&House) -> Result<(), RunError>,
) -> Result<(), RunError> {
    in_house_to_the_end(config, async |house| {
        tokio::select! {
            result = task(house) => result,
            left = signalled() => Err(left),
        }
    })
    .await
}

/// How a command ends that is told to.
pub async fn signalled() -> RunError {
    match serve::stop_signal().await {
        Ok(name) => RunError::Failed(anyhow::anyhow!(
            "{name} received; the next serve or run on this data directory goes on with it"
        )),
        Err(error) => RunError::Failed(error),
    }
}

/// The same for a task that answers to signals itself.
pub async fn in_house_to_the_end<T>(
    config: &HouseConfig,
    task: impl AsyncFnOnce(&House) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let house = Arc::new(House::open(config).await?);
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let (house, shutdown) = (Arc::clone(&house), shutdown.clone());
        async move { worker::work(&house, &shutdown).await }
    });
    let result = task(&house).await;
    shutdown.cancel();
    let closing = async {
        working.await.context("the worker")?;
        match Arc::try_unwrap(house) {
            Ok(house) => house.close(Guests::WaitFor).await,
            // Dropping what is left tells the servers that we started to go, too.
            Err(_) => Ok(()),
        }
    };
    tokio::select! {
        closed = closing => closed?,
        // The same again: without waiting.
        signal = serve::stop_signal() => { signal?; }
    }
    result
}

/// A fresh number for a form: every command means something new.
pub fn request_id() -> anyhow::Result<String> {
    use rand::TryRng as _;
    let mut bytes = [0_u8; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A line that is written over and over on a terminal, and not at all elsewhere.
pub struct ProgressLine {
    is_terminal: bool,
}

impl ProgressLine {
    const WIDTH: usize = 24;

    pub fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows where things stand: so much of `total`.
    pub fn show(&mut self, text: &str, done: u64, total: u64) {
        if !self.is_terminal {
            return;
        }
        let filled = usize::try_from(u128::from(done.min(total)) * Self::WIDTH as u128 / u128::from(total.max(1)));
        let filled = filled.unwrap_or(0);
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(Self::WIDTH - filled));
        eprint!("\r\x1b[2K{bar} {}", shorten(&for_terminal(text), 90));
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.is_terminal {
            eprint!("\r\x1b[2K");
        }
    }
}
