//! Works without pages until a signal says to stop: shares of the load of others, and, with PostgreSQL's programs, jobs that
//! can be done from the data directory.

use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::app::caretaker;
use crate::app::house::Guests;
use crate::app::house::House;
use crate::app::house::Programs;
use crate::app::membership;
use crate::app::serve;
use crate::app::worker;
use crate::config::Access;
use crate::config::HouseConfig;

/// What a worker is told that is told no store. Its own would be known to nobody.
pub const NO_STORE: &str = "A worker takes its work from a store that others use, too. Name it with --database-url or \
                            DATABASE_URL.";

/// Runs until the first signal, then stops in order; a second signal stops without waiting.
pub async fn work(config: &HouseConfig) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    serve::until_signalled(&shutdown, Box::pin(run(config, &shutdown))).await
}

async fn run(config: &HouseConfig, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let house = House::open_with(config, Programs::IfThere, Access::Local).await?;
    if !house.sandboxes.can_run() {
        warn!("PostgreSQL's server programs are not on this machine, so this worker makes load and does nothing else");
    }
    info!("pgassay {} works as {}", env!("CARGO_PKG_VERSION"), membership::name());
    tokio::join!(worker::work(&house, shutdown), caretaker::take_care(&house, shutdown));
    house.close(Guests::Leave).await?;
    info!("pgassay has stopped");
    Ok(())
}
