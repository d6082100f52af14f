//! Turns a dataset's id into a running sandbox: the one place that starts and stops them.
//!
//! A sandbox runs for as long as the job that needs it. Starting one takes a tenth of a second, so none is kept waiting.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cluster;
use crate::cluster::ClusterError;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::leftover::Found;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::model::ids::DatasetId;
use crate::target::NO_SPACE;
use crate::target::role;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::session::RoleLogin;

/// Starts sandboxes below one data directory.
#[derive(Clone)]
pub struct Sandboxes {
    site: Arc<Site>,
    root: PathBuf,
}

/// The running server of one dataset. Dropping it stops the server without waiting.
pub struct Sandbox {
    pub dataset_id: DatasetId,
    pub address: Address,
    server: Server,
}

impl Sandboxes {
    /// `root` is the directory that holds a data directory for each sandbox.
    pub fn new(site: Arc<Site>, root: PathBuf) -> Self {
        Self { site, root }
    }

    /// Starts the sandbox of a dataset, made first when it is not there, and renews the dataset's role.
    ///
    /// The caller holds the job that works on this dataset, so nobody else starts it.
    pub async fn start(&self, dataset_id: DatasetId) -> anyhow::Result<Sandbox> {
        let spec = self.spec(dataset_id);
        cluster::initdb::prepare(&self.site, &spec).await?;
        let server = Server::start(&self.site, &spec).await?;
        let mut address = Address {
            socket_dir: server.socket_dir().to_owned(),
            port: cluster::PORT,
            role: Arc::new(RoleLogin {
                name: String::new(),
                password: String::new(),
            }),
        };
        let mut admin = Admin::connect(&address, "postgres").await?;
        address.role = Arc::new(role::renew(&mut admin, dataset_id).await?);
        admin.close().await;
        Ok(Sandbox {
            dataset_id,
            address,
            server,
        })
    }

    /// Whether the dataset has files here.
    pub fn is_there(&self, dataset_id: DatasetId) -> bool {
        self.spec(dataset_id).data_dir.exists()
    }

    /// Stops whatever runs on a sandbox's files and removes them.
    pub async fn remove(&self, dataset_id: DatasetId) -> anyhow::Result<()> {
        let data_dir = self.spec(dataset_id).data_dir;
        if !data_dir.exists() {
            return Ok(());
        }
        cluster::leftover::stop_leftover(&data_dir, Stop::Immediate).await?;
        tokio::fs::remove_dir_all(&data_dir)
            .await
            .with_context(|| format!("removing {}", data_dir.display()))
    }

    /// Stops what a crash left running in every sandbox, and removes the files of those that `keep` does not name.
    /// Returns how many were removed.
    pub async fn sweep(&self, keep: &[DatasetId]) -> anyhow::Result<usize> {
        let mut n_removed = 0;
        let mut entries = tokio::fs::read_dir(&self.root).await.context("looking for sandboxes")?;
        while let Some(entry) = entries.next_entry().await? {
            if cluster::leftover::stop_leftover(&entry.path(), Stop::Immediate).await? == Found::InUse {
                continue;
            }
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !id.is_some_and(|id| keep.contains(&id)) {
                tokio::fs::remove_dir_all(entry.path())
                    .await
                    .context("removing an orphaned sandbox")?;
                n_removed += 1;
            }
        }
        Ok(n_removed)
    }

    fn spec(&self, dataset_id: DatasetId) -> ServerSpec {
        ServerSpec {
            data_dir: self.root.join(dataset_id.to_string()),
            socket_name: format!("s{dataset_id}"),
            kind: Kind::Sandbox,
        }
    }
}

/// What a job waits for whose sandbox is held by another pgassay.
pub const IN_USE: &str = "waiting for another pgassay to leave its server";

/// Whether a sandbox could not be started because another pgassay still holds it.
pub fn is_in_use(error: &anyhow::Error) -> bool {
    let is_in_use = |cause: &ClusterError| matches!(cause, ClusterError::InUse(_));
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_in_use))
}

impl Sandbox {
    /// Whether the server has run out of disk since it started.
    pub fn is_out_of_disk(&self) -> bool {
        self.server.log().contains(NO_SPACE)
    }

    /// What the server keeps in memory for all sessions.
    pub fn shared_buffers_bytes(&self) -> u64 {
        self.server.shared_buffers_bytes()
    }

    /// Stops the server in order; sessions are ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.stop(Stop::Fast).await?)
    }

    /// Stops the server at once, whatever its sessions do. Nothing committed is lost.
    pub async fn kill(self) -> anyhow::Result<()> {
        Ok(self.server.stop(Stop::Immediate).await?)
    }
}
