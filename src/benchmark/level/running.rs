//! An attempt while it runs, and the questions its server is asked meanwhile.

use std::time::Duration;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::benchmark::generator::SecondReport;
use crate::benchmark::load::Origin;
use crate::benchmark::place::Place;
use crate::benchmark::sharing::Sharing;
use crate::model::benchmark::ServerSecond;
use crate::target::counters::Counters;

/// How long it may take to tell what it did. One that stands still is not waited for: seconds would go by unstored.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// What is known while an attempt runs.
pub(super) struct Running<'a> {
    pub origin: Origin,
    pub database: String,
    pub counters: Option<Counters>,
    /// None where this worker makes all of the load.
    pub sharing: Option<Sharing<'a>>,
    /// When the server was last seen alive.
    pub heard_at: Instant,
    /// Clients of this worker that could not connect.
    pub n_left_out: u32,
    pub stop: CancellationToken,
    /// Why it must not go on, in a sentence.
    pub shortage: Option<String>,
    pub is_lost: bool,
}

impl Running<'_> {
    /// What the server did in the last second; none while it does not tell. One that ends transactions is alive, whether it
    /// tells or not.
    pub async fn look(&mut self, place: &Place, report: &SecondReport) -> Option<ServerSecond> {
        if report.totals.n_transactions > 0 {
            self.heard_at = Instant::now();
        }
        let looking = async {
            let counters = match self.counters.take() {
                Some(counters) => counters,
                None => place.counters(&self.database).await?,
            };
            let counters = self.counters.insert(counters);
            counters.second().await
        };
        let looked = tokio::time::timeout(LOOK_LIMIT, looking).await;
        match looked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", LOOK_LIMIT.as_secs()))) {
            Ok(second) => {
                self.heard_at = Instant::now();
                Some(second)
            }
            Err(error) => {
                warn!("The server under load does not tell what it does: {error:#}");
                self.counters = None;
                None
            }
        }
    }

    /// Asks whether the load may go on. A server that does not tell is asked again.
    pub async fn ask_for_room(&mut self) {
        let Some(counters) = &mut self.counters else {
            return;
        };
        let asking = counters.shortage();
        match tokio::time::timeout(LOOK_LIMIT, asking).await {
            Ok(Ok(shortage)) => self.shortage = shortage.map(|shortage| shortage.to_string()),
            // An answer that comes later must not be taken for that to another question.
            Ok(Err(_)) | Err(_) => self.counters = None,
        }
    }
}
