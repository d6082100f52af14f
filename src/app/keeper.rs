//! Keeps the embedded store running: one that ends by itself is started again, on the same files and the same socket.
//!
//! What was in hand meanwhile is lost to its runner and goes on when its lease has lapsed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;
use tracing::info;

use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::server::Server;
use crate::cluster::site::Site;

/// Between attempts to start a store that does not start.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The store of this process. When the runtime ends without [`StoreKeeper::stop`], the server is told to go at once.
pub struct StoreKeeper {
    stop: CancellationToken,
    keeping: JoinHandle<anyhow::Result<()>>,
}

impl StoreKeeper {
    /// Takes over a server that runs.
    pub fn new(site: Arc<Site>, spec: ServerSpec, server: Server) -> Self {
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(site, spec, server, stop.clone()));
        Self { stop, keeping }
    }

    /// Stops the store in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.keeping.await.context("keeping the store")?
    }
}

async fn keep(site: Arc<Site>, spec: ServerSpec, first: Server, stop: CancellationToken) -> anyhow::Result<()> {
    let mut running = Some(first);
    loop {
        match running.take() {
            Some(server) => tokio::select! {
                () = stop.cancelled() => return Ok(server.stop(Stop::Fast).await?),
                status = server.exited() => error!("The store has ended with {status}; it is started again"),
            },
            None => match Server::start(&site, &spec).await {
                Ok(server) => {
                    info!("The store runs again");
                    running = Some(server);
                }
                Err(error) => {
                    error!("The store does not start: {:#}", anyhow::Error::new(error));
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(TRY_AGAIN_AFTER) => {}
                    }
                }
            },
        }
    }
}
