//! What belongs to somebody else and is shared can be read, and not changed: for whoever tries, it is not there.

use sqlx::PgPool;

use crate::auth::sharing;
use crate::model::filing::Filed;
use crate::model::user::Viewer;
use crate::web::error::Error;

/// Refuses what would change a thing of somebody else's.
pub(super) async fn require(pool: &PgPool, viewer: Viewer, thing: Filed) -> Result<(), Error> {
    let is_own = sharing::is_own(&mut *pool.acquire().await?, viewer, thing).await?;
    is_own.then_some(()).ok_or(Error::NotFound(match thing {
        Filed::Dataset(_) => "dataset",
        Filed::Workload(_) => "workload",
        Filed::Experiment(_) => "experiment",
        Filed::Instrument(_) => "instrument",
        Filed::Benchmark(_) => "benchmark",
    }))
}
