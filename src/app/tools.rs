//! What a house is opened with: PostgreSQL's programs, and the sandboxes that they serve.

use std::sync::Arc;

use tracing::warn;

use crate::app::house::Programs;
use crate::cluster::ClusterError;
use crate::cluster::binaries::Binaries;
use crate::cluster::site::Site;
use crate::config::HouseConfig;
use crate::dataset::pg_restore::PgRestore;
use crate::files::disk::Disk;
use crate::files::layout::Layout;
use crate::target::lease::Sandboxes;
use crate::target::room::Room;
use crate::target::shared::SharedServer;

/// PostgreSQL's programs on this machine.
pub struct Tools {
    site: Option<Arc<Site>>,
    pub pg_restore: Option<PgRestore>,
    /// What they are known to let through.
    pub holes: Vec<String>,
}

impl Tools {
    /// Looks for them where the configuration says, or where they are commonly put.
    pub async fn find(config: &HouseConfig, layout: &Layout) -> anyhow::Result<Self> {
        let binaries = match Binaries::find(config.pg_bindir.as_deref()).await {
            Ok(binaries) => Some(binaries),
            // Servers that somebody else runs need no programs here.
            Err(ClusterError::NoBinaries) => None,
            Err(error) => return Err(error.into()),
        };
        let pg_restore = PgRestore::newest(binaries.as_ref().map(|binaries| &*binaries.bindir)).await;
        let of_servers = binaries.as_ref().and_then(Binaries::known_holes);
        let holes: Vec<String> = of_servers
            .into_iter()
            .chain(pg_restore.as_ref().and_then(PgRestore::known_holes))
            .collect();
        for hole in &holes {
            warn!("{hole}");
        }
        let site = binaries.map(|binaries| Site::open(binaries, layout.root()));
        Ok(Self {
            site: site.transpose()?.map(Arc::new),
            pg_restore,
            holes,
        })
    }

    /// What servers are started with; an error where there are no programs.
    pub fn site(&self) -> Result<Arc<Site>, ClusterError> {
        self.site.clone().ok_or(ClusterError::NoBinaries)
    }

    /// Servers of our own, or databases on the one that the configuration names.
    pub async fn sandboxes(
        &self,
        config: &HouseConfig,
        programs: Programs,
        layout: &Layout,
        home: &str,
    ) -> anyhow::Result<Sandboxes> {
        let limits = &config.limits;
        if let Some(url) = config.sandbox_url() {
            let server = SharedServer::open(url, home).await?;
            return Ok(Sandboxes::shared(server, limits.max_database_bytes));
        }
        let room = Room {
            disk: Some(Disk::of(&layout.sandboxes(), limits.disk_reserve_bytes)),
            max_database_bytes: limits.max_database_bytes,
        };
        let site = match programs {
            Programs::Needed => Some(self.site()?),
            Programs::IfThere => self.site.clone(),
        };
        Ok(Sandboxes::clusters(site, layout.sandboxes(), room))
    }
}
