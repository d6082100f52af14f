//! The house without its doors: data directory, store, sandboxes and services.

use std::fs::File;
use std::fs::TryLockError;
use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tracing::info;
use tracing::warn;

use crate::app::store_keeper::StoreKeeper;
use crate::app::tools::Tools;
use crate::auth::accounts::Accounts;
use crate::auth::password::Hasher;
use crate::auth::quota::QuotaKeeper;
use crate::benchmark::service::Benchmarks;
use crate::cluster;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::privileges::Account;
use crate::cluster::site::Site;
use crate::condition::Condition;
use crate::config::Access;
use crate::config::HouseConfig;
use crate::dataset::growth::RestoreLimits;
use crate::dataset::pg_restore::PgRestore;
use crate::dataset::service::Datasets;
use crate::dataset::work::Restorer;
use crate::experiment::service::Experiments;
use crate::files::depot::Depot;
use crate::files::disk::Disk;
use crate::files::dumps::Dumps;
use crate::files::layout::Layout;
use crate::instrument::service::Instruments;
use crate::model::ids::DatasetId;
use crate::model::user::Viewer;
use crate::server::Servers;
use crate::store;
use crate::store::queue::Reach;
use crate::target::lease;
use crate::target::lease::Sandboxes;
use crate::target::registered::STATEMENT_LIMIT;
use crate::vault::Vault;
use crate::web::state::Services;
use crate::workload::service::Workloads;

/// What is in the depot and in no dataset is still on its way, for so long. Clocks differ, too.
const UPLOADED_WITHIN: TimeDelta = TimeDelta::days(1);

/// Where root keeps its data when the wished-for place is closed to the user who runs the servers.
const FALLBACK_DATA_DIR: &str = "/var/lib/pgassay";

/// Everything that serves and commands need. Stopped in order by [`House::close`].
pub struct House {
    pub pool: PgPool,
    pub viewer: Viewer,
    pub layout: Layout,
    pub dumps: Dumps,
    pub home: String,
    pub datasets: Datasets,
    pub workloads: Workloads,
    pub experiments: Experiments,
    pub instruments: Instruments,
    pub servers: Servers,
    pub accounts: Accounts,
    pub benchmarks: Benchmarks,
    pub restorer: Restorer,
    pub condition: Condition,
    pub sandboxes: Sandboxes,
    /// The embedded store, when this process started it.
    store: Option<StoreKeeper>,
    /// Held as long as this process is the master of the data directory.
    master: Option<File>,
    presence: Presence,
}

impl House {
    /// Opens the data directory, starts or finds the store, and cleans up what a crash left behind.
    pub async fn open(config: &HouseConfig) -> anyhow::Result<Self> {
        Self::open_with(config, Programs::Needed, Access::Local).await
    }

    /// The same, with or without PostgreSQL's programs, and for people who sign in or for the one who has this machine.
    pub async fn open_with(config: &HouseConfig, programs: Programs, access: Access) -> anyhow::Result<Self> {
        let depot = config.files().map(Depot::open).transpose()?;
        let layout = Layout::open(&reachable(&config.data_dir)?)?;
        let master = take_lock(&layout)?;
        let presence = Presence::begin(&layout)?;
        let tools = Tools::find(config, &layout).await?;
        let home = layout.home()?;
        let key_file = config.key_file.clone().unwrap_or_else(|| layout.key_file());
        let vault = Arc::new(Vault::open(&key_file)?);
        let limits = &config.limits;
        let sandboxes = tools.sandboxes(config, programs, &layout, &home).await?;
        let (options, store) = match config.database_url() {
            Some(url) => (url.parse::<PgConnectOptions>().context("reading DATABASE_URL")?, None),
            None => embedded_store(&tools.site()?, &layout, master.is_some()).await?,
        };
        let pool = store::open(options).await.context("opening the store")?;
        let mut conn = pool.acquire().await?;
        let viewer = store::local_viewer(&mut conn).await?;
        let store_name = store::name(&mut conn).await?;
        drop(conn);
        // What is on a server of somebody else goes by the name of this directory, and is not seen in it.
        let may_change_hands = presence.began_alone && config.sandbox_url().is_none();
        layout.belong_to(&store_name, may_change_hands)?;
        let dumps = Dumps {
            layout: layout.clone(),
            disk: Disk::of(&layout.uploads(), limits.disk_reserve_bytes),
            depot: depot.map(|depot| depot.of_store(&store_name)),
        };
        let quotas = QuotaKeeper::new(access);
        let disk = Disk::of(layout.root(), limits.disk_reserve_bytes);
        let condition = Condition {
            holes: tools.holes.into(),
            ..Condition::new(&pool, &sandboxes, disk)
        };
        let house = Self {
            datasets: Datasets {
                pool: pool.clone(),
                dumps: dumps.clone(),
                home: home.clone(),
                sandboxes: sandboxes.clone(),
                tools_major: tools.pg_restore.as_ref().map(PgRestore::major),
                max_upload_bytes: limits.max_upload_bytes,
                quotas,
                metrics: condition.metrics.clone(),
            },
            servers: Servers {
                pool: pool.clone(),
                vault,
                secrets: config.secrets_dir.clone().unwrap_or_else(|| layout.secrets()),
                home: home.clone(),
                listed: config.server_hosts()?,
                is_shared: access == Access::Required,
                statement_limit: STATEMENT_LIMIT,
            },
            accounts: Accounts::new(pool.clone(), Hasher::new(n_processors())),
            workloads: Workloads {
                pool: pool.clone(),
                quotas,
            },
            experiments: Experiments {
                pool: pool.clone(),
                quotas,
            },
            instruments: Instruments {
                pool: pool.clone(),
                quotas,
            },
            benchmarks: Benchmarks {
                pool: pool.clone(),
                quotas,
            },
            restorer: Restorer {
                dumps: dumps.clone(),
                sandboxes: sandboxes.clone(),
                pg_restore: tools.pg_restore.map(|found| found.path),
                limits: RestoreLimits::of(limits),
            },
            condition,
            pool,
            viewer,
            layout,
            dumps,
            home,
            sandboxes,
            store,
            master,
            presence,
        };
        if house.master.is_some() {
            house.clean_up().await?;
        }
        let mut conn = house.pool.acquire().await?;
        store::homes::note(&mut conn, &house.home, &lease::this_machine()).await?;
        drop(conn);
        Ok(house)
    }

    /// Which restores can be done here.
    pub fn reach(&self) -> Reach {
        match self.dumps.depot {
            Some(_) => Reach::Depot,
            None => Reach::OwnDumps,
        }
    }

    /// Removes what lies here of datasets that were deleted, or restored elsewhere, by others. Returns how many there were.
    pub async fn remove_strays(&self) -> anyhow::Result<usize> {
        // Looked for first: what comes meanwhile is kept.
        let here = self.sandboxes.list().await?;
        let Some(keep) = self.kept().await? else {
            return Ok(0);
        };
        let strays = here.into_iter().filter(|id| !keep.contains(id));
        let mut n_removed = 0;
        for id in strays {
            n_removed += usize::from(self.sandboxes.remove(id).await?);
        }
        Ok(n_removed)
    }

    /// Removes uploads of which nothing more has arrived for a day. Returns how many files went.
    pub async fn sweep_uploads(&self) -> anyhow::Result<usize> {
        // Looked for first: what comes meanwhile is kept.
        let here = self.layout.list_parts().await?;
        let mut conn = self.pool.acquire().await?;
        store::uploads::delete_given_up(&mut conn, &self.home).await?;
        let keep = store::uploads::list_ids_of_home(&mut conn, &self.home).await?;
        drop(conn);
        let given_up: Vec<_> = here.into_iter().filter(|id| !keep.contains(id)).collect();
        for id in &given_up {
            self.layout.remove_part(*id).await?;
        }
        Ok(given_up.len())
    }

    /// The datasets of which something is to be kept here; none where this store is the wrong one to say.
    async fn kept(&self) -> store::Result<Option<Vec<DatasetId>>> {
        let mut conn = self.pool.acquire().await?;
        if !store::homes::is_known(&mut conn, &self.home).await? {
            return Ok(None);
        }
        store::datasets::list_ids_of_home(&mut conn, &self.home).await.map(Some)
    }

    /// Removes from the depot what an upload that broke off, or a deletion, has left there. Returns how many files went.
    pub async fn tidy_depot(&self) -> anyhow::Result<usize> {
        let Some(depot) = &self.dumps.depot else {
            return Ok(0);
        };
        let held = depot.list().await?;
        let mut conn = self.pool.acquire().await?;
        let long_ago = store::now(&mut conn).await? - UPLOADED_WITHIN;
        let old: Vec<_> = held
            .iter()
            .filter(|file| file.since < long_ago)
            .map(|file| file.dataset_id)
            .collect();
        let gone = store::homes::list_gone(&mut conn, &old).await?;
        drop(conn);
        for id in &gone {
            depot.remove(*id).await?;
        }
        Ok(gone.len())
    }

    /// What the web door needs of the house.
    pub fn services(&self) -> Services {
        Services {
            pool: self.pool.clone(),
            viewer: self.viewer,
            datasets: self.datasets.clone(),
            workloads: self.workloads.clone(),
            experiments: self.experiments.clone(),
            instruments: self.instruments.clone(),
            benchmarks: self.benchmarks.clone(),
            servers: self.servers.clone(),
            accounts: self.accounts.clone(),
            condition: self.condition.clone(),
        }
    }

    /// What a process that died left behind: running jobs, running sandboxes, files that belong to nothing.
    async fn clean_up(&self) -> anyhow::Result<()> {
        let mut conn = self.pool.acquire().await?;
        // The leases of guests that outlived their master still hold.
        if self.presence.began_alone {
            store::workers::bury(&mut conn, &self.home).await?;
            let n_rescued = store::queue::rescue_home(&mut conn, &self.home).await?;
            if n_rescued > 0 {
                info!("{n_rescued} jobs were interrupted and go on");
            }
        }
        drop(conn);
        let n_arriving = self.layout.sweep_incoming().await?;
        if n_arriving > 0 {
            info!("Removed {n_arriving} uploads that broke off");
        }
        let n_given_up = self.sweep_uploads().await?;
        if n_given_up > 0 {
            info!("Removed {n_given_up} uploads that were given up");
        }
        let (n_files, n_sandboxes) = match self.kept().await? {
            Some(keep) => (
                self.layout.sweep_dumps(&keep).await?,
                self.sandboxes.sweep(&keep).await?,
            ),
            // Benchmarks on generated tables may be done anywhere, and what they made is nobody's.
            None => (0, self.sandboxes.sweep_scratch().await?),
        };
        if n_files + n_sandboxes > 0 {
            info!("Removed {n_files} files and {n_sandboxes} sandboxes that belonged to nothing");
        }
        Ok(())
    }

    async fn wait_for_guests(&self) -> anyhow::Result<()> {
        let mut is_told = false;
        loop {
            let n_sessions = store::count_sessions(&mut *self.pool.acquire().await?).await?;
            if n_sessions <= i64::from(self.pool.size()) {
                return Ok(());
            }
            if !is_told {
                warn!("Another pgassay still uses the store of this one; waiting for it to end");
                is_told = true;
            }
            tokio::time::sleep(GUEST_LOOK).await;
        }
    }

    /// Closes the store and stops what this process started.
    pub async fn close(self, guests: Guests) -> anyhow::Result<()> {
        if self.store.is_some() && guests == Guests::WaitFor {
            self.wait_for_guests().await?;
        }
        self.pool.close().await;
        if let Some(store) = self.store {
            store.stop().await.context("stopping the store")?;
        }
        drop(self.presence);
        if let Some(lock) = self.master {
            // A child between fork and exec may hold it for a moment longer.
            lock.unlock().context("giving the data directory free")?;
        }
        Ok(())
    }
}

/// Says to others that a process works in the data directory, by a shared lock that the kernel drops when it dies.
struct Presence {
    _file: File,
    /// Whether nobody else did when this one came.
    began_alone: bool,
}

impl Presence {
    fn begin(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.presence_file();
        let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        let began_alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        };
        // Also turns the lock that was just taken into a shared one.
        file.lock_shared()
            .with_context(|| format!("locking {}", path.display()))?;
        Ok(Self {
            _file: file,
            began_alone,
        })
    }
}

/// Whether there is anything to do without PostgreSQL's programs, where no server is given to run sandboxes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    Needed,
    /// Load can be made without.
    IfThere,
}

/// What becomes of other processes that use the embedded store of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    /// Stop when they are gone.
    WaitFor,
    /// Stop now; they say that the store is away.
    Leave,
}

/// As many as passwords are hashed on at once.
fn n_processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The data directory, or the fallback when we are root and the user of the servers cannot get there.
pub(super) fn reachable(wished: &Path) -> anyhow::Result<PathBuf> {
    let Some(account) = Account::for_servers()? else {
        return Ok(wished.to_owned());
    };
    std::fs::create_dir_all(wished).with_context(|| format!("making the data directory {}", wished.display()))?;
    let wished = wished.canonicalize()?;
    match account.closed_parent(&wished.join("store"))? {
        None => Ok(wished),
        Some(closed) => {
            warn!(
                "PostgreSQL runs as {}, who may not enter {}; {FALLBACK_DATA_DIR} is used instead of {}",
                account.name,
                closed.display(),
                wished.display()
            );
            Ok(PathBuf::from(FALLBACK_DATA_DIR))
        }
    }
}

/// None when another process is the master of this directory.
pub(super) fn take_lock(layout: &Layout) -> anyhow::Result<Option<File>> {
    let path = layout.lock_file();
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            info!(
                "Another pgassay is the master of {}; this one is its guest",
                layout.root().display()
            );
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// How often a master looks whether its guests are gone.
const GUEST_LOOK: Duration = Duration::from_millis(500);

/// How long a guest waits for the master to start the store.
const GUEST_PATIENCE: Duration = Duration::from_secs(30);

async fn embedded_store(
    site: &Arc<Site>,
    layout: &Layout,
    is_master: bool,
) -> anyhow::Result<(PgConnectOptions, Option<StoreKeeper>)> {
    let spec = store_spec(layout);
    if is_master {
        let store = StoreKeeper::start(Arc::clone(site), spec).await?;
        return Ok((store_options(&store.socket_dir), Some(store)));
    }
    let waiting = async {
        loop {
            if let Some(running) = cluster::leftover::running(&spec.data_dir)? {
                return anyhow::Ok(store_options(&running.socket_dir));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let options = tokio::time::timeout(GUEST_PATIENCE, waiting)
        .await
        .context("another pgassay holds the data directory, but its store does not run")??;
    Ok((options, None))
}

/// The embedded store as a server.
pub(super) fn store_spec(layout: &Layout) -> ServerSpec {
    ServerSpec {
        data_dir: layout.store(),
        socket_name: "store".to_owned(),
        kind: Kind::Store,
        settings: Vec::new(),
    }
}

/// How the embedded store is reached.
pub(super) fn store_options(socket_dir: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(cluster::PORT)
        .username(cluster::SUPERUSER)
        .database("postgres")
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}
