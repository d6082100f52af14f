//! Turns a dataset's id into a running sandbox: the one place that starts and stops them, and that knows where they are.
//!
//! A sandbox is a server of its own that runs for as long as the job that needs it (starting one takes a tenth of a
//! second, so none is kept waiting), or a part of the one server that all datasets share.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use nix::unistd::AccessFlags;
use nix::unistd::access;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;

use crate::cluster;
use crate::cluster::ClusterError;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::leftover::Found;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::files::removal;
use crate::model::dataset::Setting;
use crate::model::ids::DatasetId;
use crate::target::NO_SPACE;
use crate::target::names::Names;
use crate::target::names::Tenant;
use crate::target::role;
use crate::target::room::Room;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::shared;
use crate::target::shared::SharedServer;

/// Starts sandboxes in one place.
#[derive(Clone)]
pub struct Sandboxes {
    place: Place,
    pub room: Room,
}

#[derive(Clone)]
enum Place {
    /// A cluster of its own for each dataset, in a directory below `root`; none can be started without a site.
    Clusters { site: Option<Arc<Site>>, root: PathBuf },
    /// One server, not started by us, for all of them.
    Shared(Arc<SharedServer>),
}

/// How many sandboxes there are that are servers of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxCount {
    pub n_running: u64,
    pub n_stopped: u64,
}

/// The running sandbox of one tenant. Dropping one that is a cluster stops it without waiting.
pub struct Sandbox {
    pub tenant: Tenant,
    pub address: Address,
    pub room: Room,
    server: Running,
}

enum Running {
    Cluster(Server),
    Shared(Arc<SharedServer>),
}

impl Sandboxes {
    /// A cluster for each dataset. `root` is the directory that holds a data directory for each of them. Without a site,
    /// which takes PostgreSQL's programs, there are none.
    pub fn clusters(site: Option<Arc<Site>>, root: PathBuf, room: Room) -> Self {
        Self {
            place: Place::Clusters { site, root },
            room,
        }
    }

    /// All datasets on one server, of whose disk nothing is known.
    pub fn shared(server: SharedServer, max_database_bytes: u64) -> Self {
        Self {
            place: Place::Shared(Arc::new(server)),
            room: Room {
                disk: None,
                max_database_bytes,
            },
        }
    }

    /// Whether any can be started.
    pub fn can_run(&self) -> bool {
        match &self.place {
            Place::Clusters { site, .. } => site.is_some(),
            Place::Shared(_) => true,
        }
    }

    /// What keeps sandboxes from being started just now, and what to do about it, in sentences; none when nothing does.
    pub async fn trouble(&self) -> Option<String> {
        match &self.place {
            Place::Clusters { site, root } => {
                let Some(site) = site else {
                    return Some(ClusterError::NoBinaries.to_string());
                };
                let server = site.binaries().tool("postgres");
                if !server.is_file() {
                    return Some(format!(
                        "{} is not there any more. Install PostgreSQL again, or name another one in PGASSAY_PG_BINDIR, and \
                         start pgassay anew.",
                        server.display()
                    ));
                }
                let error = access(root, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).err()?;
                Some(format!(
                    "{} cannot be written to ({error}). See that its disk is mounted, and that it belongs to the user who \
                     runs pgassay.",
                    root.display()
                ))
            }
            Place::Shared(server) => match server.ping().await {
                Ok(()) => None,
                Err(_) => Some(
                    "The server of SANDBOX_URL does not answer. Nothing is lost: it is waited for. See that it runs."
                        .to_owned(),
                ),
            },
        }
    }

    /// How many there are; not known of a server that datasets share.
    pub async fn count(&self) -> anyhow::Result<Option<SandboxCount>> {
        let Place::Clusters { root, .. } = &self.place else {
            return Ok(None);
        };
        let root = root.clone();
        let counting = tokio::task::spawn_blocking(move || count(&root));
        counting.await.context("counting sandboxes")?.map(Some)
    }

    /// What one measurement at a time runs on: this machine, or the shared server, whichever machine asks.
    pub fn machine(&self) -> String {
        match &self.place {
            Place::Clusters { .. } => this_machine(),
            Place::Shared(server) => server.machine(),
        }
    }

    /// What people should know about datasets that share a server; none when each has its own.
    pub fn warning(&self) -> Option<&'static str> {
        match self.place {
            Place::Clusters { .. } => None,
            Place::Shared(_) => Some(shared::WARNING),
        }
    }

    /// Starts the sandbox of a dataset, made first when it is not there, and renews the dataset's role. Nothing of an
    /// earlier runner is left running in it.
    ///
    /// The caller holds the job that works on this dataset, so nobody else starts it. An `Err` may be a
    /// [`Quarantined`](shared::Quarantined). Whether there is room on its disk is not asked: a start also removes what an
    /// earlier one has left.
    pub async fn start(&self, dataset_id: DatasetId) -> anyhow::Result<Sandbox> {
        self.start_with(dataset_id, &[]).await
    }

    /// As [`start`](Self::start), of whatever tenant, with these settings of the server in place of the usual ones. A server
    /// that datasets share keeps its own.
    pub async fn start_with(&self, tenant: impl Into<Tenant>, settings: &[Setting]) -> anyhow::Result<Sandbox> {
        let tenant = tenant.into();
        let (address, server) = match &self.place {
            Place::Clusters { site, root } => {
                let site = site.as_ref().ok_or(ClusterError::NoBinaries)?;
                let mut spec = spec(root, tenant);
                spec.settings = settings.to_vec();
                let (address, server) = start_cluster(site, &spec, tenant).await?;
                (address, Running::Cluster(server))
            }
            Place::Shared(server) => (server.start(tenant).await?, Running::Shared(Arc::clone(server))),
        };
        Ok(Sandbox {
            tenant,
            address,
            room: self.room.clone(),
            server,
        })
    }

    /// The datasets of which something is here. What is on a shared server is not looked for: it is swept at the next start.
    pub async fn list(&self) -> anyhow::Result<Vec<DatasetId>> {
        let Place::Clusters { root, .. } = &self.place else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::new();
        let mut entries = tokio::fs::read_dir(root).await.context("looking for sandboxes")?;
        while let Some(entry) = entries.next_entry().await? {
            ids.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<DatasetId>().ok()),
            );
        }
        Ok(ids)
    }

    /// Whether something of the dataset is here.
    pub async fn is_there(&self, dataset_id: DatasetId) -> anyhow::Result<bool> {
        match &self.place {
            Place::Clusters { root, .. } => Ok(spec(root, dataset_id.into()).data_dir.exists()),
            Place::Shared(server) => server.is_there(dataset_id).await,
        }
    }

    /// What to say of a dataset that is not here.
    pub fn what_is_gone(&self, dataset_name: &str) -> String {
        match self.place {
            Place::Clusters { .. } => format!(
                "The files of the dataset {dataset_name} are not on this machine any more. Upload its dump again."
            ),
            Place::Shared(_) => format!(
                "The dataset {dataset_name} is not on the server of SANDBOX_URL. Upload its dump again, or unset \
                 SANDBOX_URL if it was restored without."
            ),
        }
    }

    /// Stops whatever runs in a sandbox and removes it. Returns false when it stays, because a living process holds it.
    pub async fn remove(&self, tenant: impl Into<Tenant>) -> anyhow::Result<bool> {
        let tenant = tenant.into();
        let root = match &self.place {
            Place::Clusters { root, .. } => root,
            Place::Shared(server) => {
                server.remove(tenant).await;
                return Ok(true);
            }
        };
        let data_dir = spec(root, tenant).data_dir;
        if cluster::leftover::stop_leftover(&data_dir, Stop::Immediate).await? == Found::InUse {
            return Ok(false);
        }
        remove_files(&data_dir).await?;
        Ok(true)
    }

    /// Stops what a crash left running in the clusters of datasets, and removes those of others: of benchmarks on generated
    /// tables. Returns how many were removed.
    pub async fn sweep_scratch(&self) -> anyhow::Result<usize> {
        match &self.place {
            Place::Clusters { .. } => self.sweep(&self.list().await?).await,
            Place::Shared(_) => Ok(0),
        }
    }

    /// Stops what a crash left running in every sandbox, and removes those that `keep` does not name.
    /// Returns how many were removed.
    pub async fn sweep(&self, keep: &[DatasetId]) -> anyhow::Result<usize> {
        let root = match &self.place {
            Place::Clusters { root, .. } => root,
            Place::Shared(server) => return server.sweep(keep).await,
        };
        let mut n_removed = 0;
        let mut entries = tokio::fs::read_dir(root).await.context("looking for sandboxes")?;
        while let Some(entry) = entries.next_entry().await? {
            if cluster::leftover::stop_leftover(&entry.path(), Stop::Immediate).await? == Found::InUse {
                continue;
            }
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !id.is_some_and(|id| keep.contains(&id)) {
                remove_files(&entry.path()).await?;
                n_removed += 1;
            }
        }
        Ok(n_removed)
    }
}

/// Looks at the lock file of each server.
fn count(root: &Path) -> anyhow::Result<SandboxCount> {
    let mut counted = SandboxCount::default();
    for entry in std::fs::read_dir(root).context("looking for sandboxes")? {
        let path = entry.context("looking for sandboxes")?.path();
        if cluster::leftover::running(&path)?.is_some() {
            counted.n_running += 1;
        } else if path.is_dir() {
            counted.n_stopped += 1;
        }
    }
    Ok(counted)
}

/// The name of the machine that this process runs on.
pub fn this_machine() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

async fn start_cluster(site: &Arc<Site>, spec: &ServerSpec, tenant: Tenant) -> anyhow::Result<(Address, Server)> {
    cluster::initdb::prepare(site, spec).await?;
    let server = Server::start(site, spec).await?;
    let superuser = PgConnectOptions::new_without_pgpass()
        .socket(server.socket_dir())
        .port(cluster::PORT)
        .username(cluster::SUPERUSER)
        .ssl_mode(PgSslMode::Disable);
    let mut address = Address::new(superuser, Names::alone(tenant));
    let mut admin = Admin::connect(&address, "postgres").await?;
    address.password = role::renew(&mut admin).await?.into();
    role::admit(&mut admin).await?;
    admin.close().await;
    Ok((address, server))
}

/// Nobody who matters is at work in them any more.
async fn remove_files(data_dir: &Path) -> anyhow::Result<()> {
    removal::remove_dir(data_dir)
        .await
        .with_context(|| format!("removing {}", data_dir.display()))
}

fn spec(root: &Path, tenant: Tenant) -> ServerSpec {
    ServerSpec {
        data_dir: root.join(tenant.to_string()),
        socket_name: format!("s{tenant}"),
        kind: Kind::Sandbox,
        settings: Vec::new(),
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
    /// The first process of its server; not known of a server that somebody else runs.
    pub fn postmaster_pid(&self) -> Option<u32> {
        match &self.server {
            Running::Cluster(server) => Some(server.pid()),
            Running::Shared(_) => None,
        }
    }

    /// Whether its server has ended by itself; not known of a server that somebody else runs.
    pub fn has_ended(&self) -> bool {
        match &self.server {
            Running::Cluster(server) => server.has_exited(),
            Running::Shared(_) => false,
        }
    }

    /// Whether the server has run out of disk since it started; not known of a server that somebody else runs.
    pub fn is_out_of_disk(&self) -> bool {
        match &self.server {
            Running::Cluster(server) => server.log().contains(NO_SPACE),
            Running::Shared(_) => false,
        }
    }

    /// Whether its server holds other datasets too. Such a server may be on another machine, which does not tell.
    pub fn is_shared(&self) -> bool {
        match self.server {
            Running::Cluster(_) => false,
            Running::Shared(_) => true,
        }
    }

    /// What people should know about datasets that share a server; none when this one has its own.
    pub fn warning(&self) -> Option<&'static str> {
        self.is_shared().then_some(shared::WARNING)
    }

    /// Ends every session in it, and stops the server in order if it is the sandbox's own.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.end(Stop::Fast).await
    }

    /// Ends it at once, whatever its sessions do. Nothing committed is lost. On a shared server the `Err` is a
    /// [`Quarantined`](shared::Quarantined) when a session does not end.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.end(Stop::Immediate).await
    }

    async fn end(self, stop: Stop) -> anyhow::Result<()> {
        match self.server {
            Running::Cluster(server) => Ok(server.stop(stop).await?),
            Running::Shared(server) => server.end_sessions(self.tenant).await,
        }
    }
}
