//! Where the levels of a benchmark run: in a sandbox, or in a schema of ours on a registered server.

mod sandbox;
mod server;
mod sources;

use crate::benchmark::place::sandbox::SandboxPlace;
use crate::benchmark::place::server::ServerPlace;
use crate::benchmark::route::Route;
use crate::dataset::generators::load_tables::Loaded;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Level;
use crate::model::benchmark::TargetSpec;
use crate::model::dataset::Setting;
use crate::model::job::Progress;
use crate::server::Servers;
use crate::store::held::HeldJob;
use crate::target::counters::Counters;
use crate::target::lease::Sandboxes;
use crate::target::trouble::Trouble;
use crate::target::wire::Dial;

/// An open place. Whatever the end is, [`Place::close`] leaves nothing behind.
pub enum Place {
    Sandbox(Box<SandboxPlace>),
    Server(Box<ServerPlace>),
}

impl Place {
    /// Makes what levels run on, up to the first of them.
    pub async fn open(
        job: &HeldJob,
        benchmark: &Benchmark,
        sandboxes: &Sandboxes,
        servers: &Servers,
    ) -> Result<Self, Trouble> {
        Ok(match benchmark.spec.target {
            TargetSpec::Generated(_) | TargetSpec::Dataset { .. } => {
                Self::Sandbox(Box::new(SandboxPlace::open(job, benchmark, sandboxes).await?))
            }
            TargetSpec::Server { server_id, generated } => Self::Server(Box::new(
                ServerPlace::open(job, benchmark, servers, server_id, generated).await?,
            )),
        })
    }

    /// What a level runs in, as this place calls it, in the state in which every level begins.
    pub async fn database(&mut self, job: &HeldJob, level: Level) -> Result<String, Trouble> {
        match self {
            Self::Sandbox(place) => place.database(level).await,
            Self::Server(place) => place.database(job).await,
        }
    }

    /// How clients reach a database of this place.
    pub fn dial(&self, database: &str) -> Dial {
        match self {
            Self::Sandbox(place) => place.dial(database),
            Self::Server(place) => place.dial(database),
        }
    }

    /// How clients on other machines reach it; none where they cannot.
    pub fn route(&self, database: &str) -> Option<Route> {
        match self {
            Self::Sandbox(place) => Route::to_sandbox(&place.dial(database)),
            Self::Server(place) => Some(place.route(database)),
        }
    }

    /// What tells the planner's statistics of a database from others; the sizes of tables, which VACUUM notes, are no part
    /// of it.
    pub async fn statistics(&self, database: &str) -> anyhow::Result<String> {
        match self {
            Self::Sandbox(place) => place.statistics(database).await,
            Self::Server(place) => place.statistics(database).await,
        }
    }

    /// The counters of a database from now on.
    pub async fn counters(&self, database: &str) -> anyhow::Result<Counters> {
        match self {
            Self::Sandbox(place) => place.counters(database).await,
            Self::Server(place) => place.counters().await,
        }
    }

    /// Removes what was made.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sandbox(place) => place.close().await,
            Self::Server(place) => place.close().await,
        }
    }

    /// As [`close`](Self::close), whatever still runs there; what cannot go now goes when somebody comes next.
    pub async fn abandon(self) -> anyhow::Result<()> {
        match self {
            Self::Sandbox(place) => place.abandon().await,
            Self::Server(place) => place.close().await,
        }
    }

    /// Whether the server has ended by itself, where it is ours; nobody else starts it again.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Sandbox(place) => place.has_ended(),
            Self::Server(_) => false,
        }
    }

    /// Whether the server has run out of disk, as far as that can be told.
    pub fn is_out_of_disk(&self) -> bool {
        match self {
            Self::Sandbox(place) => place.is_out_of_disk(),
            Self::Server(_) => false,
        }
    }
}

/// Says how far loading has come.
async fn tell_loaded(job: &HeldJob, loaded: Loaded) -> anyhow::Result<()> {
    let progress = Progress {
        done: loaded.n_rows,
        total: loaded.of_rows,
        unit: "rows".to_owned(),
        ..Progress::default()
    };
    Ok(job.set_progress("loading rows", &progress).await?)
}

/// What is in force in the sessions of clients: what is given, and the limit of one statement.
fn of_clients<'a>(spec: &BenchmarkSpec, given: impl Iterator<Item = &'a Setting>) -> Vec<(String, String)> {
    let pair = |setting: &Setting| (setting.name.clone(), setting.value.clone());
    let limit = setting("statement_timeout", &spec.statement_timeout_ms.to_string());
    given.map(pair).chain([pair(&limit)]).collect()
}

fn setting(name: &str, value: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
