//! How much one restore may take, and the watch over it: eighty bytes of SQL can fill a disk.

use std::time::Duration;

use crate::config::LimitsConfig;
use crate::dataset::error::RestoreError;
use crate::model::ids::DatasetId;
use crate::model::units::bytes_in_words;
use crate::model::units::grouped;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::session::Address;
use crate::target::session::Admin;

/// A server writes about 120 MB a second (`reliability.md` 7), so a limit is passed by little.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A dump can hurt its server so that nobody can ask it anything, by taking all locks for one. It may for so many looks.
const MOST_MISSES: u32 = 20;

/// `invalid_catalog_name`: the database is made with the first statement that needs one.
const NO_DATABASE: &str = "3D000";

/// How much one restore may take. What passes a limit fails the restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreLimits {
    /// The text of the dump, unpacked.
    pub expanded_bytes: u64,
    pub database_bytes: u64,
    /// Tables, indexes, views and sequences.
    pub n_objects: u64,
    pub time: Duration,
}

impl RestoreLimits {
    pub fn of(config: &LimitsConfig) -> Self {
        Self {
            expanded_bytes: config.max_expanded_bytes,
            database_bytes: config.max_database_bytes,
            n_objects: config.max_objects,
            time: Duration::from_secs(config.max_restore_minutes * 60),
        }
    }
}

/// The database that a dump is restored into, as it grows.
pub struct Growth<'a> {
    address: &'a Address,
    database: String,
    limits: RestoreLimits,
}

impl<'a> Growth<'a> {
    pub fn new(address: &'a Address, dataset_id: DatasetId, limits: RestoreLimits) -> Self {
        Self {
            address,
            database: clone::template_name(dataset_id),
            limits,
        }
    }

    /// Looks every second, and returns when the restore may not go on; never otherwise.
    pub async fn watch(&self) -> RestoreError {
        let mut n_misses = 0;
        loop {
            match self.check().await {
                Ok(()) => n_misses = 0,
                Err(RestoreError::Lost(_)) if n_misses < MOST_MISSES => n_misses += 1,
                Err(error) => return error,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Refuses a database that is beyond its limits. One that is not there yet is not.
    pub async fn check(&self) -> Result<(), RestoreError> {
        let mut admin = match Admin::connect(self.address, &self.database).await {
            Ok(admin) => admin,
            Err(error) if is_no_database(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // Tables bring indexes and TOAST tables along; what lies in pg_toast (OID 99) is not counted.
        let asked: sqlx::Result<(i64, i64)> = sqlx::query_as(
            "select pg_catalog.pg_database_size(pg_catalog.current_database()),
                    (select pg_catalog.count(*) from pg_catalog.pg_class c
                     where c.oid >= 16384 and c.relnamespace <> 99)",
        )
        .persistent(false)
        .fetch_one(&mut admin.conn)
        .await;
        admin.close().await;
        let (size_bytes, n_objects) = asked.map_err(anyhow::Error::new)?;
        let is_beyond = |value: i64, limit: u64| u64::try_from(value).is_ok_and(|value| value > limit);
        if is_beyond(size_bytes, self.limits.database_bytes) {
            return Err(RestoreError::Sentence(format!(
                "The database grew beyond the limit of {}. A larger limit is set by PGASSAY_MAX_DATABASE_BYTES.",
                bytes_in_words(self.limits.database_bytes)
            )));
        }
        if is_beyond(n_objects, self.limits.n_objects) {
            return Err(RestoreError::Sentence(format!(
                "The dump makes more than {} tables, indexes, views and sequences. A larger limit is set by \
                 PGASSAY_MAX_OBJECTS.",
                grouped(self.limits.n_objects)
            )));
        }
        Ok(())
    }
}

fn is_no_database(error: &anyhow::Error) -> bool {
    let server = error.chain().find_map(|cause| ServerError::of(cause.downcast_ref()?));
    server.is_some_and(|server| server.sqlstate == NO_DATABASE)
}
