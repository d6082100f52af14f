//! Asks the server whether a statement could run, without running or planning it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::target::execute::Ran;
use crate::target::execute::Rows;
use crate::target::session::Session;

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    Ready,
    /// `position` counts characters of the statement from 1.
    Broken {
        message: String,
        position: Option<usize>,
    },
    Interrupted,
}

/// Named so that nothing of a dump could be meant.
const NAME: &str = "pgassay_check";

impl Session {
    /// Parses `sql` and looks up what it names by SQL's own PREPARE: a `describe` of the driver would ask further
    /// questions in the user's search path.
    pub async fn prepare(
        &mut self,
        sql: &str,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Prepared> {
        let prefix = format!("PREPARE {NAME} AS ");
        let prepared = self
            .execute(format!("{prefix}{sql}"), Rows::Drop, limit, cancel)
            .await?;
        match prepared {
            Ran::Done(_) => {}
            Ran::Failed(error) => {
                let position = error.position.map(|position| position.saturating_sub(prefix.len()));
                return Ok(Prepared::Broken {
                    message: error.message,
                    position,
                });
            }
            Ran::TimedOut => {
                return Ok(Prepared::Broken {
                    message: "the server did not answer in time".to_owned(),
                    position: None,
                });
            }
            Ran::Interrupted => return Ok(Prepared::Interrupted),
        }
        match self
            .execute(format!("DEALLOCATE {NAME}"), Rows::Drop, limit, cancel)
            .await?
        {
            Ran::Interrupted => Ok(Prepared::Interrupted),
            Ran::Done(_) | Ran::Failed(_) | Ran::TimedOut => Ok(Prepared::Ready),
        }
    }
}
