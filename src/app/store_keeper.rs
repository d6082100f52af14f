//! Keeps the embedded store running: one that dies is started again on the same files, which lose nothing committed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;
use tracing::warn;

use crate::cluster;
use crate::cluster::ClusterError;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::server::Server;
use crate::cluster::site::Site;

/// Between attempts to start a store that does not start.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A store that is kept running until it is stopped.
pub struct StoreKeeper {
    pub socket_dir: PathBuf,
    stop: CancellationToken,
    keeping: JoinHandle<Result<(), ClusterError>>,
}

impl StoreKeeper {
    /// Starts the store, made first when it is not there.
    pub async fn start(site: Arc<Site>, spec: ServerSpec) -> Result<Self, ClusterError> {
        cluster::initdb::prepare(&site, &spec).await?;
        let server = Server::start(&site, &spec).await?;
        let socket_dir = server.socket_dir().to_owned();
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(site, spec, server, stop.clone()));
        Ok(Self {
            socket_dir,
            stop,
            keeping,
        })
    }

    /// Stops the store in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.keeping.await??)
    }
}

async fn keep(
    site: Arc<Site>,
    spec: ServerSpec,
    mut server: Server,
    stop: CancellationToken,
) -> Result<(), ClusterError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return server.stop(Stop::Fast).await,
            status = server.exited() => warn!("The store has died ({status}) and is started again"),
        }
        // Gives the files free.
        drop(server);
        server = loop {
            match Server::start(&site, &spec).await {
                Ok(server) => break server,
                Err(error) => error!("The store does not start: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        };
    }
}
