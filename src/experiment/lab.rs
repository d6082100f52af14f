//! The bench on which trials run: one sandbox, one clone, the parked snapshots of all sources, one session.

mod trials;

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use tracing::warn;

use crate::experiment::writers;
use crate::model::dataset::Setting;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::snapshot::Snapshot;
use crate::model::workload::QueryClass;
use crate::snapshot::park::Lot;
use crate::target::clone;
use crate::target::execute::Health;
use crate::target::lease::Sandbox;
use crate::target::lease::Sandboxes;
use crate::target::looking::Sight;
use crate::target::session::Admin;
use crate::target::session::OpenError;
use crate::target::session::Session;
use crate::target::shared::Quarantined;

/// After so many rounds of swaps the catalogs are vacuumed, untimed.
const VACUUM_EVERY_ROUNDS: usize = 10;

/// Everything that running trials of one experiment needs.
pub struct Lab {
    pub experiment_id: ExperimentId,
    pub dataset_id: DatasetId,
    pub spec: ExperimentSpec,
    pub queries: Vec<ExperimentQuery>,
    /// In the order of the spec's sources, each parked in the clone.
    pub snapshots: Vec<Snapshot>,
    pub lot: Lot,
    /// Of the dataset first, then of the experiment.
    pub settings: Vec<Setting>,
    sandboxes: Sandboxes,
    /// None only while it is being replaced, and when it was given up.
    sandbox: Option<Sandbox>,
    /// Why it was given up.
    quarantined: Option<Quarantined>,
    /// Both none while nobody may be connected to the clone.
    admin: Option<Admin>,
    session: Option<Session>,
    in_force: Option<usize>,
    n_swaps: usize,
    /// Queries that the open session has planned, so that its catalog caches know them.
    planned: HashSet<usize>,
    /// Queries whose data a restart of the server has thrown out of its buffers.
    cold: HashSet<usize>,
    /// Whether the server was restarted since the runner asked.
    is_restarted: bool,
    /// The newest look around; none before the first visit of a segment.
    sight: Option<Sight>,
    /// The first trial of the visits behind which nobody has looked yet, and how many they are.
    unseen: Option<(usize, i32)>,
    /// Queries that turned out to write, to be noted in the store.
    newly_writing: Vec<usize>,
}

/// What a lab is built from.
pub struct LabParts {
    pub experiment_id: ExperimentId,
    pub dataset_id: DatasetId,
    pub spec: ExperimentSpec,
    pub queries: Vec<ExperimentQuery>,
    pub snapshots: Vec<Snapshot>,
    pub lot: Lot,
    pub settings: Vec<Setting>,
    pub sandboxes: Sandboxes,
    pub sandbox: Sandbox,
}

impl Lab {
    pub fn new(parts: LabParts) -> Self {
        Self {
            experiment_id: parts.experiment_id,
            dataset_id: parts.dataset_id,
            spec: parts.spec,
            queries: parts.queries,
            snapshots: parts.snapshots,
            lot: parts.lot,
            settings: parts.settings,
            sandboxes: parts.sandboxes,
            sandbox: Some(parts.sandbox),
            quarantined: None,
            admin: None,
            session: None,
            in_force: None,
            n_swaps: 0,
            planned: HashSet::new(),
            cold: HashSet::new(),
            is_restarted: false,
            sight: None,
            unseen: None,
            newly_writing: Vec::new(),
        }
    }

    /// The limit of one statement.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.spec.timeout_ms)
    }

    /// Forgets what was seen so far: what happened before the first trial happened to none.
    pub fn forget_sight(&mut self) {
        (self.sight, self.unseen) = (None, None);
    }

    /// The queries that turned out to write since this was asked last.
    pub fn take_newly_writing(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.newly_writing)
    }

    /// The name of the clone.
    fn database(&self) -> String {
        clone::experiment_name(self.experiment_id)
    }

    pub fn sandbox(&self) -> anyhow::Result<&Sandbox> {
        if let Some(quarantined) = &self.quarantined {
            return Err(quarantined.clone().into());
        }
        self.sandbox.as_ref().context("the sandbox is running")
    }

    /// The superuser session in the clone, opened on first need.
    pub async fn admin(&mut self) -> anyhow::Result<&mut Admin> {
        if self.admin.is_none() {
            self.admin = Some(Admin::connect(&self.sandbox()?.address, &self.database()).await?);
        }
        self.admin.as_mut().context("a session that was just opened")
    }

    /// The role's session in the clone, opened on first need and again after the server ended it.
    pub async fn session(&mut self) -> Result<&mut Session, OpenError> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.health != Health::Alive)
        {
            self.session = None;
        }
        if self.session.is_none() {
            self.planned.clear();
            self.session = Some(self.open_session(&self.database(), Access::ReadOnly).await?);
        }
        Ok(self.session.as_mut().context("a session that was just opened")?)
    }

    /// A session of the dataset's role with the experiment's settings in force.
    pub async fn open_session(&self, database: &str, access: Access) -> Result<Session, OpenError> {
        let mut settings = self.settings.clone();
        settings.push(Setting {
            name: "statement_timeout".to_owned(),
            value: self.spec.timeout_ms.to_string(),
        });
        // Set anew for every statement: what random() gives must not depend on the queries before.
        settings.push(Setting {
            name: "seed".to_owned(),
            value: seed_of_random(self.spec.seed).to_string(),
        });
        if access == Access::ReadOnly {
            settings.push(Setting {
                name: "default_transaction_read_only".to_owned(),
                value: "on".to_owned(),
            });
        }
        let name = format!("pgassay experiment {}", self.experiment_id);
        let session = Session::connect(&self.sandbox()?.address, database, &name, &settings).await?;
        Ok(match access {
            Access::ReadOnly => session.undoing_writes(),
            Access::ReadWrite => session,
        })
    }

    /// To be called when a query did not go well: ANALYZE sets the sizes of relations for good, also in a transaction
    /// that fails, so they have to be put in force again.
    pub fn doubt_statistics(&mut self) {
        self.in_force = None;
    }

    /// Puts a source's statistics in force.
    pub async fn swap_in(&mut self, source_idx: usize) -> anyhow::Result<()> {
        if self.in_force == Some(source_idx) {
            return Ok(());
        }
        self.admin().await?;
        let admin = self.admin.as_mut().context("the superuser session is open")?;
        let snapshot = self.snapshots.get(source_idx).context("a snapshot of every source")?;
        self.lot.swap_in(admin, source_idx, snapshot).await?;
        self.in_force = Some(source_idx);
        self.planned.clear();
        self.n_swaps += 1;
        if self
            .n_swaps
            .is_multiple_of(VACUUM_EVERY_ROUNDS * self.spec.sources.len().max(1))
        {
            self.lot.vacuum(admin).await?;
        }
        Ok(())
    }

    /// Closes our sessions in the clone, so that it can be copied.
    pub async fn leave_clone(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        if let Some(admin) = self.admin.take() {
            admin.close().await;
        }
    }

    /// Stops the server at once and starts it again: the last resort against a statement that cannot be stopped. A
    /// shared server is not stopped; what the lab is asked for next then says so, after the outcome has been stored.
    async fn restart_sandbox(&mut self) -> anyhow::Result<()> {
        warn!(experiment.id = %self.experiment_id, "The sandbox of dataset {} is restarted to end a statement", self.dataset_id);
        (self.session, self.admin) = (None, None);
        self.forget_sight();
        if let Some(sandbox) = self.sandbox.take()
            && let Err(error) = sandbox.kill().await
        {
            self.quarantined = Some(error.downcast()?);
            return Ok(());
        }
        let sandbox = self.sandboxes.start(self.dataset_id).await?;
        if sandbox.warning().is_none() {
            self.cold = (0..self.queries.len()).collect();
            self.is_restarted = true;
        }
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Ends the lab; the clone stays when it is needed again.
    pub async fn close(mut self, clone: CloneIs) -> anyhow::Result<()> {
        self.leave_clone().await;
        if clone == CloneIs::Done {
            writers::drop_clones(self.sandbox()?, self.experiment_id).await?;
        }
        match self.sandbox.take() {
            Some(sandbox) => sandbox.stop().await,
            None => Ok(()),
        }
    }

    /// Whether a query's trials each need a clone of their own.
    pub fn is_writer(&self, query_idx: usize) -> bool {
        self.queries
            .get(query_idx)
            .is_some_and(|query| query.class == QueryClass::Writes)
    }

    /// Remembers that a query writes after all.
    pub fn note_writer(&mut self, query_idx: usize) {
        if let Some(query) = self.queries.get_mut(query_idx) {
            query.class = QueryClass::Writes;
            self.newly_writing.push(query_idx);
        }
    }

    /// Looks after a session that a statement left unusable.
    pub async fn recover(&mut self, health: Health) -> anyhow::Result<()> {
        match health {
            Health::Alive => Ok(()),
            Health::Gone => {
                self.session = None;
                Ok(())
            }
            Health::Stuck => self.restart_sandbox().await,
        }
    }
}

/// The experiment's seed as `setseed` takes it, from 0 up to 1.
fn seed_of_random(seed: u64) -> f64 {
    // The leading 32 bits of a hash of it: neighbours are no neighbours any more.
    let bits = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
    f64::from(bits) / 4_294_967_296.0
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Whether an experiment's clone is needed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneIs {
    Done,
    NeededAgain,
}
