//! What a process does on the side for as long as it runs: clears away what others have left here, in the store, and in the
//! depot.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::app::house::House;
use crate::store;

/// How often it looks for what others have left here; and after so many times in the depot.
const EVERY: Duration = Duration::from_mins(1);
const DEPOT_EVERY: u32 = 60;

/// Takes care until `shutdown`.
pub async fn take_care(house: &House, shutdown: &CancellationToken) {
    let taking_care = async {
        for n in 1_u32.. {
            // What lay here when the process began was looked at then.
            tokio::time::sleep(EVERY).await;
            if let Err(error) = round(house, n).await {
                warn!("What lies about could not be cleared away: {error:#}");
            }
        }
    };
    shutdown.run_until_cancelled(taking_care).await;
}

async fn round(house: &House, n: u32) -> anyhow::Result<()> {
    let n_strays = house.remove_strays().await?;
    if n_strays > 0 {
        info!("Removed {n_strays} sandboxes of datasets that are not here any more");
    }
    let mut conn = house.pool.acquire().await?;
    store::limits::sweep(&mut conn).await?;
    store::sessions::sweep(&mut conn).await?;
    store::tokens::sweep(&mut conn).await?;
    store::links::sweep(&mut conn).await?;
    store::invitations::sweep(&mut conn).await?;
    store::audit::sweep(&mut conn).await?;
    store::gauges::add_up(&mut conn).await?;
    drop(conn);
    let n_given_up = house.sweep_uploads().await?;
    if n_given_up > 0 {
        info!("Removed {n_given_up} uploads of which nothing more arrived for a day");
    }
    if n.is_multiple_of(DEPOT_EVERY) {
        let n_files = house.tidy_depot().await?;
        if n_files > 0 {
            info!("Removed {n_files} files of no dataset from the depot");
        }
    }
    Ok(())
}
