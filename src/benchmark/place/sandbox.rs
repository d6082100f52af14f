//! A sandbox as the place of a benchmark: in it a base for each source, and clones of that for levels.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;

use crate::benchmark::operations;
use crate::benchmark::place;
use crate::benchmark::place::setting;
use crate::benchmark::place::sources;
use crate::dataset::generators::load_tables;
use crate::experiment::environment;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::Level;
use crate::model::benchmark::LoadRecord;
use crate::model::benchmark::TargetSpec;
use crate::model::dataset::Setting;
use crate::model::job::Progress;
use crate::snapshot;
use crate::store;
use crate::store::held::HeldJob;
use crate::target::clone;
use crate::target::counters::Counters;
use crate::target::lease::Sandbox;
use crate::target::lease::Sandboxes;
use crate::target::names::SERVER_DATABASE;
use crate::target::names::Tenant;
use crate::target::role;
use crate::target::session::Admin;
use crate::target::shared::connect_patiently;
use crate::target::trouble::Trouble;
use crate::target::wire::Dial;

/// Connections beside those of the clients: our own, those that end and are not gone yet, and autovacuum's.
const SPARE_CONNECTIONS: u32 = 20;

/// How long dropping the clones may take: a statement that obeys nothing keeps its own from going.
const CLEANING_LIMIT: Duration = Duration::from_mins(1);

/// A running sandbox with its bases.
pub struct SandboxPlace {
    sandbox: Sandbox,
    sandboxes: Sandboxes,
    /// Of the dataset first, then of the benchmark.
    settings: Vec<Setting>,
    /// What each source has besides, of a dataset.
    source_settings: Vec<Vec<Setting>>,
    n_connections: u32,
    writes: bool,
    benchmark: Benchmark,
    /// The base of the clone that is there.
    cloned: Option<String>,
    /// The source of the level in hand.
    source_idx: Option<i32>,
}

impl SandboxPlace {
    /// Starts the sandbox and makes the bases: loads generated tables, or prepares each source in a clone of the dataset.
    pub async fn open(job: &HeldJob, benchmark: &Benchmark, sandboxes: &Sandboxes) -> Result<Self, Trouble> {
        let spec = &benchmark.spec;
        let n_connections = spec.most_clients() + SPARE_CONNECTIONS;
        let server_settings = server_settings(benchmark, n_connections);
        job.set_progress("starting its server", &Progress::default()).await?;
        let (tenant, mut settings) = if let TargetSpec::Dataset { dataset_id } = spec.target {
            let mut conn = job.conn().await?;
            let gone = || {
                Trouble::Sentence("The dataset of this benchmark is gone, or is no longer shared with you.".to_owned())
            };
            let dataset = store::datasets::get(&mut conn, job.viewer, dataset_id)
                .await?
                .ok_or_else(gone)?;
            if !sandboxes.is_there(dataset_id).await? {
                return Err(Trouble::Sentence(sandboxes.what_is_gone(&dataset.name)));
            }
            (Tenant::Dataset(dataset_id), dataset.settings)
        } else {
            (Tenant::Benchmark(benchmark.id), Vec::new())
        };
        settings.extend(spec.settings.iter().cloned());
        let sandbox = sandboxes.start_with(tenant, &server_settings).await?;
        let mut place = Self {
            sandbox,
            sandboxes: sandboxes.clone(),
            settings,
            source_settings: Vec::new(),
            n_connections,
            writes: operations::writes(spec.mix.operation),
            benchmark: benchmark.clone(),
            cloned: None,
            source_idx: None,
        };
        match place.furnish(job).await {
            Ok(()) => Ok(place),
            Err(trouble) => {
                // At once: what still runs in it belongs to a preparation that was given up.
                place.abandon().await?;
                Err(trouble)
            }
        }
    }

    /// Everything up to the first level.
    async fn furnish(&mut self, job: &HeldJob) -> Result<(), Trouble> {
        self.check_connections().await?;
        self.drop_clones().await?;
        let load = if let Some(generated) = self.benchmark.spec.target.generated() {
            let tell = |loaded| place::tell_loaded(job, loaded).boxed();
            let made = load_tables::make(&self.sandbox, generated, tell, job.stop_token()).await?;
            Some(made.ok_or(Trouble::Stopped)?)
        } else {
            self.source_settings = sources::prepare(job, &self.benchmark, &self.settings, &self.sandbox).await?;
            None
        };
        self.note_environment(job, load.as_ref()).await
    }

    async fn note_environment(&self, job: &HeldJob, load: Option<&LoadRecord>) -> Result<(), Trouble> {
        let mut admin = self.server().await?;
        let environment = environment::of_server(&self.sandbox, &mut admin).await?;
        admin.close().await;
        let mut conn = job.conn().await?;
        store::benchmarks::set_environment(&mut conn, &job.lease, self.benchmark.id, &environment, load).await?;
        Ok(())
    }

    /// A server that is not ours has the connections that it has.
    async fn check_connections(&self) -> Result<(), Trouble> {
        let mut admin = self.server().await?;
        let allowed = admin.setting("max_connections").await?;
        admin.close().await;
        let allowed: u32 = allowed.and_then(|text| text.parse().ok()).context("max_connections")?;
        let wanted = self.benchmark.spec.most_clients();
        // Three are for superusers, by default; some are ours.
        let free = allowed.saturating_sub(8);
        if wanted > free {
            return Err(Trouble::Sentence(format!(
                "The server allows {allowed} connections, which is too few for {wanted} clients. Choose at most {free}, or \
                 raise its max_connections."
            )));
        }
        Ok(())
    }

    /// The database of a level, as the sandbox calls it, with everything that came before it written to disk.
    pub async fn database(&mut self, level: Level) -> Result<String, Trouble> {
        let name = clone::level_name(self.benchmark.id);
        // Nobody starts one again that has ended; another may still be recovering from what the last level met with.
        if self.has_ended() {
            return Err(Trouble::Lost(anyhow::anyhow!("the server under load has ended")));
        }
        let mut admin = connect_patiently(&self.sandbox.address).await?;
        self.source_idx = level.source_idx;
        let base = self.base(level.source_idx);
        if self.writes || self.cloned.as_ref() != Some(&base) {
            clone::create(&mut admin, &self.sandbox.room, &base, &name).await?;
            role::admit_load(&mut admin, &name, self.n_connections).await?;
            self.cloned = Some(base);
        }
        admin.run("checkpoint".to_owned()).await?;
        admin.close().await;
        Ok(name)
    }

    fn base(&self, source_idx: Option<i32>) -> String {
        match self.sandbox.tenant {
            tenant @ Tenant::Benchmark(_) => clone::template_name(tenant),
            Tenant::Dataset(_) => clone::benchmark_base_name(self.benchmark.id, source_idx.unwrap_or(0)),
        }
    }

    /// How clients reach the database of the level in hand.
    pub fn dial(&self, database: &str) -> Dial {
        let mut dial = self.sandbox.address.dial(database);
        let of_source = self
            .source_idx
            .and_then(|idx| self.source_settings.get(usize::try_from(idx).ok()?));
        let given = self.settings.iter().chain(of_source.into_iter().flatten());
        dial.settings = place::of_clients(&self.benchmark.spec, given);
        dial
    }

    /// What tells the planner's statistics of a database from others; the sizes of tables, which VACUUM notes, are no part
    /// of it.
    pub async fn statistics(&self, database: &str) -> anyhow::Result<String> {
        let mut admin = Admin::connect(&self.sandbox.address, database).await?;
        let mut snapshot = snapshot::capture::capture(&mut admin).await?;
        admin.close().await;
        snapshot.relations.clear();
        Ok(snapshot::checksum(&snapshot))
    }

    /// The counters of a database from now on.
    pub async fn counters(&self, database: &str) -> anyhow::Result<Counters> {
        let admin = self.server().await?;
        Counters::open(admin, &self.sandbox.room, database, self.sandbox.postmaster_pid()).await
    }

    async fn server(&self) -> anyhow::Result<Admin> {
        Admin::connect(&self.sandbox.address, SERVER_DATABASE).await
    }

    /// Drops what this benchmark, or one that died, has left in the sandbox.
    async fn drop_clones(&self) -> anyhow::Result<()> {
        let mut admin = self.server().await?;
        for name in clone::list(&mut admin).await? {
            if clone::is_made_anew(&name) {
                clone::drop(&mut admin, &name).await?;
            }
        }
        admin.close().await;
        Ok(())
    }

    /// Drops the clones and stops the sandbox; one that was made for generated tables goes with them. Where dropping does not
    /// come to its end the server is stopped all the same.
    pub async fn close(self) -> anyhow::Result<()> {
        match self.sandbox.tenant {
            Tenant::Dataset(_) => {
                let dropping = tokio::time::timeout(CLEANING_LIMIT, self.drop_clones()).await;
                match dropping.unwrap_or_else(|_| Err(anyhow::anyhow!("its server does not answer"))) {
                    Ok(()) => self.sandbox.stop().await,
                    Err(error) => {
                        self.sandbox.kill().await?;
                        Err(error)
                    }
                }
            }
            Tenant::Benchmark(id) => {
                self.sandbox.kill().await?;
                self.sandboxes.remove(id).await?;
                Ok(())
            }
        }
    }

    /// As [`close`](Self::close), whatever still runs there; clones are dropped by whoever comes next.
    pub async fn abandon(self) -> anyhow::Result<()> {
        let tenant = self.sandbox.tenant;
        self.sandbox.kill().await?;
        if let Tenant::Benchmark(id) = tenant {
            self.sandboxes.remove(id).await?;
        }
        Ok(())
    }

    /// Whether the server has ended by itself, where it is ours; nobody else starts it again.
    pub fn has_ended(&self) -> bool {
        self.sandbox.has_ended()
    }

    /// Whether the server has run out of disk.
    pub fn is_out_of_disk(&self) -> bool {
        self.sandbox.is_out_of_disk()
    }
}

/// What a server of ours is started with.
fn server_settings(benchmark: &Benchmark, n_connections: u32) -> Vec<Setting> {
    let spec = &benchmark.spec;
    let mut settings = vec![
        setting("max_connections", &n_connections.max(100).to_string()),
        setting("autovacuum", if spec.autovacuum { "on" } else { "off" }),
    ];
    if !spec.sources.is_empty() {
        // It cleans up, and leaves the statistics alone.
        settings.push(setting("autovacuum_analyze_threshold", &i32::MAX.to_string()));
    }
    settings
}
