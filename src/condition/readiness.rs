//! Whether work can be done: the store answers, sandboxes can be started, the disk has room.

use crate::condition::ANSWER_WITHIN;
use crate::condition::Condition;
use crate::store;

/// One thing that work needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// What is wrong and what to do about it, in sentences; none when nothing is.
    pub trouble: Option<String>,
}

impl Condition {
    /// Looks at everything that work needs. It takes no longer than two seconds.
    pub async fn readiness(&self) -> Vec<Check> {
        let (store, sandboxes, disk) = tokio::join!(self.store(), self.sandboxes(), self.disk());
        vec![
            check("store", store),
            check("sandboxes", sandboxes),
            check("disk", disk),
        ]
    }

    async fn store(&self) -> Option<String> {
        let asked = async { store::now(&mut *self.pool.acquire().await?).await };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(_)) => None,
            Ok(Err(_)) | Err(_) => Some(
                "The store does not answer. Nothing is lost: it is waited for. See that its PostgreSQL runs and has \
                 connections to give, and that DATABASE_URL names it, if that is set."
                    .to_owned(),
            ),
        }
    }

    async fn sandboxes(&self) -> Option<String> {
        match tokio::time::timeout(ANSWER_WITHIN, self.sandboxes.trouble()).await {
            Ok(trouble) => trouble,
            Err(_) => Some("The server of SANDBOX_URL does not answer in time. See that it runs.".to_owned()),
        }
    }

    async fn disk(&self) -> Option<String> {
        match tokio::time::timeout(ANSWER_WITHIN, self.disk.look()).await {
            Ok(Ok(space)) => space.low(0).map(|low| format!("Nothing is taken in or run. {low}")),
            Ok(Err(error)) => Some(format!(
                "The disk of the data directory cannot be looked at ({error:#}). See that it is there and mounted."
            )),
            Err(_) => Some(
                "The disk of the data directory does not answer in time. See that it works, and where it is on the network \
                 that its server is there."
                    .to_owned(),
            ),
        }
    }
}

fn check(name: &'static str, trouble: Option<String>) -> Check {
    Check { name, trouble }
}
