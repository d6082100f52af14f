//! What a process does on the side for as long as it runs: says that it is there, and clears away what others have left.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::app::house::House;

/// How often it says that it is there.
const EVERY: Duration = Duration::from_secs(10);
/// After so many times it looks for what others have left here, and in the depot.
const STRAYS_EVERY: u32 = 6;
const DEPOT_EVERY: u32 = 360;

/// Takes care until `shutdown`.
pub async fn take_care(house: &House, shutdown: &CancellationToken) {
    let taking_care = async {
        for n in 0_u32.. {
            if let Err(error) = round(house, n).await {
                warn!("What lies about could not be cleared away: {error:#}");
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = taking_care => {}
        () = shutdown.cancelled() => {}
    }
}

async fn round(house: &House, n: u32) -> anyhow::Result<()> {
    house.note_presence().await?;
    if n.is_multiple_of(STRAYS_EVERY) {
        let n_strays = house.remove_strays().await?;
        if n_strays > 0 {
            info!("Removed {n_strays} sandboxes of datasets that are not here any more");
        }
    }
    if n.is_multiple_of(DEPOT_EVERY) {
        let n_files = house.tidy_depot().await?;
        if n_files > 0 {
            info!("Removed {n_files} files of no dataset from the depot");
        }
    }
    Ok(())
}
