//! Whether this pgassay can work just now, and what it has counted: for whoever watches over it. It looks, and changes
//! nothing.

pub mod readiness;
mod scrape;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use crate::files::disk::Disk;
use crate::metrics::Metrics;
use crate::target::lease::Sandboxes;

/// Who watches asks again in a moment, and does not wait for long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What is looked at.
#[derive(Clone)]
pub struct Condition {
    pub pool: PgPool,
    pub sandboxes: Sandboxes,
    /// The one of the data directory.
    pub disk: Disk,
    pub metrics: Metrics,
    /// Of PostgreSQL's programs here, what is known to be open to harm, in sentences.
    pub holes: Arc<[String]>,
}

impl Condition {
    /// Of a house that has counted nothing yet. `disk` is the one of the data directory.
    pub fn new(pool: &PgPool, sandboxes: &Sandboxes, disk: Disk) -> Self {
        Self {
            pool: pool.clone(),
            sandboxes: sandboxes.clone(),
            disk,
            metrics: Metrics::default(),
            holes: Arc::default(),
        }
    }
}
