//! How much one restore may take, and the watch over it.

use std::time::Duration;

use crate::config::LimitsConfig;
use crate::dataset::error::RestoreError;
use crate::model::units::grouped;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::room::LOOK_EVERY;
use crate::target::room::Shortage;
use crate::target::session::Admin;

/// A dump can hurt its server so that nobody can ask it anything, by taking all locks for one. It may for so many looks.
const MOST_MISSES: u32 = 20;

/// `invalid_catalog_name`: the database is made with the first statement that needs one.
const NO_DATABASE: &str = "3D000";

/// How much one restore may take. What passes a limit fails the restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreLimits {
    /// The text of the dump, unpacked.
    pub expanded_bytes: u64,
    /// Tables, indexes, views and sequences.
    pub n_objects: u64,
    pub time: Duration,
}

impl RestoreLimits {
    pub fn of(config: &LimitsConfig) -> Self {
        Self {
            expanded_bytes: config.max_expanded_bytes,
            n_objects: config.max_objects,
            time: Duration::from_secs(config.max_restore_minutes * 60),
        }
    }
}

/// The database that a dump is restored into, as it grows.
pub struct Growth<'a> {
    sandbox: &'a Sandbox,
    database: String,
    limits: RestoreLimits,
}

impl<'a> Growth<'a> {
    pub fn new(sandbox: &'a Sandbox, limits: RestoreLimits) -> Self {
        Self {
            sandbox,
            database: clone::template_name(sandbox.tenant),
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
        let mut admin = match Admin::connect(&self.sandbox.address, &self.database).await {
            Ok(admin) => admin,
            Err(error) if is_no_database(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let asked = self.ask(&mut admin).await;
        admin.close().await;
        let (shortage, n_objects) = asked?;
        if let Some(shortage) = shortage {
            return Err(RestoreError::Sentence(shortage.to_string()));
        }
        if u64::try_from(n_objects).is_ok_and(|n_objects| n_objects > self.limits.n_objects) {
            return Err(RestoreError::Sentence(format!(
                "The dump makes more than {} tables, indexes, views and sequences. A larger limit is set by \
                 PGASSAY_MAX_OBJECTS.",
                grouped(self.limits.n_objects)
            )));
        }
        Ok(())
    }

    async fn ask(&self, admin: &mut Admin) -> anyhow::Result<(Option<Shortage>, i64)> {
        let shortage = self.sandbox.room.shortage(admin, &self.database).await?;
        // Tables bring indexes and TOAST tables along; what lies in pg_toast (OID 99) is not counted.
        let n_objects = sqlx::query_scalar(
            "select pg_catalog.count(*) from pg_catalog.pg_class where oid >= 16384 and relnamespace <> 99",
        )
        .persistent(false)
        .fetch_one(&mut admin.conn)
        .await?;
        Ok((shortage, n_objects))
    }
}

fn is_no_database(error: &anyhow::Error) -> bool {
    let server = ServerError::among(error);
    server.is_some_and(|server| server.sqlstate == NO_DATABASE)
}
