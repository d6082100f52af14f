//! The bench on which trials run: one sandbox, one clone with the parked snapshots of its sources and one session, and the
//! same again for every annex.

mod trials;

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use tracing::warn;

use crate::experiment::preparing::ReadyClone;
use crate::experiment::writers;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::snapshot::Snapshot;
use crate::model::workload::QueryClass;
use crate::snapshot::park::Lot;
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
    /// In the order of the spec's sources, each parked in its clone.
    pub snapshots: Vec<Snapshot>,
    /// Of the dataset first, then of the experiment, then of the source, by source.
    settings: Vec<Vec<Setting>>,
    /// The clone that most sources share, then the annexes in order.
    clones: Vec<LabClone>,
    /// The source in hand: what was put in force last.
    source_idx: usize,
    sandboxes: Sandboxes,
    /// None only while it is being replaced, and when it was given up.
    sandbox: Option<Sandbox>,
    /// Why it was given up.
    quarantined: Option<Quarantined>,
    /// By clone, queries whose data a restart of the server has thrown out of its buffers.
    cold: HashSet<(usize, usize)>,
    /// Whether the server was restarted since the runner asked.
    is_restarted: bool,
    /// The newest look around; none before the first visit of a segment.
    sight: Option<Sight>,
    /// The first trial of the visits behind which nobody has looked yet, and how many they are.
    unseen: Option<(usize, i32)>,
    /// Queries that turned out to write, to be noted in the store.
    newly_writing: Vec<usize>,
}

/// One clone with what runs in it.
struct LabClone {
    database: String,
    lot: Lot,
    n_sources: usize,
    /// Both none while nobody may be connected to the clone.
    admin: Option<Admin>,
    session: Option<Session>,
    in_force: Option<usize>,
    n_swaps: usize,
    /// Queries that the open session has planned, so that its catalog caches know them.
    planned: HashSet<usize>,
}

/// What a lab is built from.
pub struct LabParts {
    pub experiment_id: ExperimentId,
    pub dataset_id: DatasetId,
    pub spec: ExperimentSpec,
    pub queries: Vec<ExperimentQuery>,
    pub snapshots: Vec<Snapshot>,
    pub clones: Vec<ReadyClone>,
    /// Of the dataset first, then of the experiment.
    pub settings: Vec<Setting>,
    /// By source, what it changed beside statistics.
    pub alterations: Vec<Option<Alteration>>,
    pub sandboxes: Sandboxes,
    pub sandbox: Sandbox,
}

impl Lab {
    pub fn new(parts: LabParts) -> Self {
        let of_source = |source_idx: usize| {
            let alteration = parts.alterations.get(source_idx).and_then(Option::as_ref);
            let own = alteration.map_or(&[][..], |alteration| &alteration.settings);
            [&parts.settings, own].concat()
        };
        let clones = parts.clones.into_iter().enumerate().map(|(number, ready)| {
            let is_in_it = |source: &&SourceSpec| clone_number(source) == number;
            LabClone {
                database: ready.database,
                lot: ready.lot,
                n_sources: parts.spec.sources.iter().filter(is_in_it).count(),
                admin: None,
                session: None,
                in_force: None,
                n_swaps: 0,
                planned: HashSet::new(),
            }
        });
        Self {
            experiment_id: parts.experiment_id,
            dataset_id: parts.dataset_id,
            settings: (0..parts.spec.sources.len()).map(of_source).collect(),
            clones: clones.collect(),
            source_idx: 0,
            spec: parts.spec,
            queries: parts.queries,
            snapshots: parts.snapshots,
            sandboxes: parts.sandboxes,
            sandbox: Some(parts.sandbox),
            quarantined: None,
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

    /// The number of the clone that the source in hand runs in, and the clone.
    fn clone_in_hand(&mut self) -> anyhow::Result<(usize, &mut LabClone)> {
        let source = self.spec.sources.get(self.source_idx);
        let number = clone_number(source.context("a source of the spec")?);
        let clone = self.clones.get_mut(number).context("the clone of a source")?;
        Ok((number, clone))
    }

    /// The name of the clone that the source in hand runs in.
    pub fn database(&mut self) -> anyhow::Result<String> {
        Ok(self.clone_in_hand()?.1.database.clone())
    }

    /// What is not there for the source in hand, although it stands in the clone.
    pub fn hidden(&mut self) -> anyhow::Result<Vec<u32>> {
        let source_idx = self.source_idx;
        Ok(self.clone_in_hand()?.1.lot.hidden(source_idx).to_vec())
    }

    pub fn sandbox(&self) -> anyhow::Result<&Sandbox> {
        if let Some(quarantined) = &self.quarantined {
            return Err(quarantined.clone().into());
        }
        self.sandbox.as_ref().context("the sandbox is running")
    }

    /// The clone that the source in hand runs in, with a superuser session, opened on first need.
    async fn opened(&mut self) -> anyhow::Result<&mut LabClone> {
        if self.clone_in_hand()?.1.admin.is_none() {
            let database = self.database()?;
            let admin = Admin::connect(&self.sandbox()?.address, &database).await?;
            self.clone_in_hand()?.1.admin = Some(admin);
        }
        Ok(self.clone_in_hand()?.1)
    }

    /// The role's session in the clone of the source in hand, with its settings, opened on first need and again after the
    /// server ended it.
    pub async fn session(&mut self) -> Result<&mut Session, OpenError> {
        let (_, clone) = self.clone_in_hand()?;
        if clone
            .session
            .as_ref()
            .is_none_or(|session| session.health != Health::Alive)
        {
            clone.session = None;
            clone.planned.clear();
            let database = clone.database.clone();
            let session = self.open_session(&database, Access::ReadOnly).await?;
            self.clone_in_hand()?.1.session = Some(session);
        }
        let (_, clone) = self.clone_in_hand()?;
        Ok(clone.session.as_mut().context("a session that was just opened")?)
    }

    /// What a session needs for the source in hand.
    fn settings_in_hand(&self, access: Access) -> Vec<Setting> {
        let mut settings = self.settings.get(self.source_idx).cloned().unwrap_or_default();
        let mut set = |name: &str, value: String| {
            settings.push(Setting {
                name: name.to_owned(),
                value,
            });
        };
        set("statement_timeout", self.spec.timeout_ms.to_string());
        // Set anew for every statement: what random() gives must not depend on the queries before.
        set("seed", seed_of_random(self.spec.seed).to_string());
        if access == Access::ReadOnly {
            set("default_transaction_read_only", "on".to_owned());
        }
        settings
    }

    /// A session of the dataset's role with the settings of the source in hand in force.
    pub async fn open_session(&self, database: &str, access: Access) -> Result<Session, OpenError> {
        let name = format!("pgassay experiment {}", self.experiment_id);
        let settings = self.settings_in_hand(access);
        let session = Session::connect(&self.sandbox()?.address, database, &name, &settings).await?;
        Ok(match access {
            Access::ReadOnly => session.undoing_writes(),
            Access::ReadWrite => session,
        })
    }

    /// To be called when a query did not go well: ANALYZE sets the sizes of relations for good, also in a transaction
    /// that fails, so they have to be put in force again.
    pub fn doubt_statistics(&mut self) {
        // A source that is in no clone has nothing in force.
        if let Ok((_, clone)) = self.clone_in_hand() {
            clone.in_force = None;
        }
    }

    /// From now on this is the source in hand, whatever is in force.
    pub fn take_in_hand(&mut self, source_idx: usize) {
        self.source_idx = source_idx;
    }

    /// Takes a source in hand: puts its statistics in force in its clone, and its settings in the session there.
    pub async fn swap_in(&mut self, source_idx: usize) -> anyhow::Result<()> {
        self.take_in_hand(source_idx);
        if self.clone_in_hand()?.1.in_force == Some(source_idx) {
            return Ok(());
        }
        self.opened().await?;
        let settings = self.settings_in_hand(Access::ReadOnly);
        let (number, _) = self.clone_in_hand()?;
        let snapshot = self.snapshots.get(source_idx).context("a snapshot of every source")?;
        let clone = self.clones.get_mut(number).context("the clone of a source")?;
        let admin = clone.admin.as_mut().context("the superuser session is open")?;
        clone.lot.swap_in(admin, source_idx, snapshot).await?;
        clone.in_force = Some(source_idx);
        clone.planned.clear();
        clone.n_swaps += 1;
        if clone
            .n_swaps
            .is_multiple_of(VACUUM_EVERY_ROUNDS * clone.n_sources.max(1))
        {
            clone.lot.vacuum(admin).await?;
        }
        if let Some(session) = &mut clone.session {
            session.wear(settings).await;
        }
        Ok(())
    }

    /// Closes our sessions in the clone of the source in hand, so that it can be copied.
    pub async fn leave_clone(&mut self) -> anyhow::Result<()> {
        self.clone_in_hand()?.1.leave().await;
        Ok(())
    }

    /// Stops the server at once and starts it again: the last resort against a statement that cannot be stopped. A
    /// shared server is not stopped; what the lab is asked for next then says so, after the outcome has been stored.
    async fn restart_sandbox(&mut self) -> anyhow::Result<()> {
        warn!(experiment.id = %self.experiment_id, "The sandbox of dataset {} is restarted to end a statement", self.dataset_id);
        for clone in &mut self.clones {
            (clone.session, clone.admin) = (None, None);
        }
        self.forget_sight();
        if let Some(sandbox) = self.sandbox.take()
            && let Err(error) = sandbox.kill().await
        {
            self.quarantined = Some(error.downcast()?);
            return Ok(());
        }
        let sandbox = self.sandboxes.start(self.dataset_id).await?;
        if !sandbox.is_shared() {
            let of_clone = |number: usize| (0..self.queries.len()).map(move |query_idx| (number, query_idx));
            self.cold = (0..self.clones.len()).flat_map(of_clone).collect();
            self.is_restarted = true;
        }
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Ends the lab; the clones stay when they are needed again.
    pub async fn close(mut self, clone: CloneIs) -> anyhow::Result<()> {
        for clone in &mut self.clones {
            clone.leave().await;
        }
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
                self.clone_in_hand()?.1.session = None;
                Ok(())
            }
            Health::Stuck => self.restart_sandbox().await,
        }
    }
}

impl LabClone {
    async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        if let Some(admin) = self.admin.take() {
            admin.close().await;
        }
    }
}

/// Where a source's clone stands among the clones.
fn clone_number(source: &SourceSpec) -> usize {
    source.annex.map_or(0, |number| number as usize)
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

/// Whether an experiment's clones are needed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneIs {
    Done,
    NeededAgain,
}
