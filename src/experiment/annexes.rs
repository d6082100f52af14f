//! Clones beside the one that most sources share, each for a source that changes more than statistics and for the twin of the
//! first source, which it is compared with.

use anyhow::Context as _;

use crate::experiment::preparing;
use crate::experiment::preparing::ReadyClone;
use crate::experiment::preparing::SourceIs;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::Annex;
use crate::model::experiment::Experiment;
use crate::model::experiment::IndexName;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::Snapshot;
use crate::snapshot;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine;
use crate::snapshot::pristine::Pristine;
use crate::source::workplace::Dropped;
use crate::source::workplace::Workplace;
use crate::store::held::HeldJob;
use crate::store::sources;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// What it takes to make the annexes of an experiment.
pub(super) struct Builder<'a> {
    pub job: &'a HeldJob,
    pub experiment: &'a Experiment,
    /// Of the dataset first, then of the experiment.
    pub settings: &'a [Setting],
    pub sandbox: &'a Sandbox,
    /// What the first source has in the shared clone, where it is parked at 0.
    pub base: &'a Snapshot,
}

/// An annex in the making, with the statistics of the first source in force.
struct Begun {
    database: String,
    admin: Admin,
    session: Session,
    /// As it is before anything is changed.
    lot: Lot,
}

impl Builder<'_> {
    /// Makes an annex and prepares its two sources. The targets of columns are those that the `first` source gave them.
    /// Nobody may be connected to the shared clone.
    pub async fn make(
        &self,
        annex: Annex,
        pristine: &Pristine,
        first: &PreparedSource,
    ) -> Result<(ReadyClone, [Snapshot; 2]), Trouble> {
        let mut begun = self.begin(annex).await?;
        pristine.reset_targets(&mut begun.admin, &first.targets).await?;
        let mut alteration = Alteration::default();
        let (notes, apply_ms) = self.run(annex, &mut begun, &mut alteration, SourceIs::New).await?;
        begun.session.close().await;
        let mut admin = begun.admin;
        let lot = open_lot(&mut admin, annex, &alteration).await?;
        let lot = lot.map_err(anyhow::Error::msg)?;
        let snapshot = capture(&mut admin, annex, &alteration, annex.source_idx).await?;
        lot.park(&mut admin, annex.source_idx).await?;
        let prepared = PreparedSource {
            source_idx: i32::try_from(annex.source_idx).context("few sources")?,
            snapshot_sha256: snapshot::checksum(&snapshot),
            targets: pristine::targets(&mut admin).await?,
            apply_ms,
            n_statistics: snapshot.columns.len() as u64,
            statistics_bytes: Some(snapshot::capture::size_bytes(&mut admin).await?),
            notes,
            objects: Vec::new(),
            alteration: Some(alteration.clone()),
        };
        self.park_twin(annex, &mut admin, &begun.lot, &lot, &alteration).await?;
        lot.vacuum(&mut admin).await?;
        admin.close().await;
        let twin = PreparedSource {
            source_idx: i32::try_from(annex.twin_idx).context("few sources")?,
            // They are there once.
            objects: Vec::new(),
            ..first.clone()
        };
        let (lease, id) = (&self.job.lease, self.experiment.id);
        let mut conn = self.job.conn().await?;
        sources::set_prepared(&mut conn, lease, id, &prepared, &snapshot).await?;
        sources::set_prepared(&mut conn, lease, id, &twin, self.base).await?;
        let ready = ReadyClone {
            database: begun.database,
            lot,
        };
        Ok((ready, [snapshot, self.base.clone()]))
    }

    /// Makes a lost annex anew, with the `stored` statistics of its source. The inner error says why that cannot be.
    pub async fn rebuild(
        &self,
        annex: Annex,
        stored: &Snapshot,
        alteration: &Alteration,
    ) -> Result<Result<ReadyClone, String>, Trouble> {
        let mut begun = self.begin(annex).await?;
        // What it did at first is what counts, and is what was shown.
        self.run(annex, &mut begun, &mut Alteration::default(), SourceIs::Again)
            .await?;
        let (mut admin, mut session) = (begun.admin, begun.session);
        let lot = match open_lot(&mut admin, annex, alteration).await? {
            Ok(lot) => lot,
            Err(missing) => {
                return Ok(Err(format!(
                    "cannot all be written: {missing}, although its script has run"
                )));
            }
        };
        let left_out = snapshot::apply::apply(&mut admin, &mut session, &lot, stored).await?;
        session.close().await;
        if let Some(first) = left_out.first() {
            return Ok(Err(format!(
                "cannot all be written: {}: {}",
                first.column, first.reason
            )));
        }
        let found = capture(&mut admin, annex, alteration, annex.source_idx).await?;
        if found != *stored {
            return Ok(Err(format!(
                "came back different: {}",
                snapshot::first_difference(stored, &found)
            )));
        }
        lot.park(&mut admin, annex.source_idx).await?;
        self.park_twin(annex, &mut admin, &begun.lot, &lot, alteration).await?;
        admin.close().await;
        Ok(Ok(ReadyClone {
            database: begun.database,
            lot,
        }))
    }

    /// Copies the shared clone, parked rows and all, and puts the first source in force.
    async fn begin(&self, annex: Annex) -> Result<Begun, Trouble> {
        let (id, sandbox) = (self.experiment.id, self.sandbox);
        let database = clone::annex_name(id, annex.number);
        let mut server = Admin::connect(&sandbox.address, "postgres").await?;
        clone::create(&mut server, &sandbox.room, &clone::experiment_name(id), &database).await?;
        server.close().await;
        let mut admin = Admin::connect(&sandbox.address, &database).await?;
        let lot = Lot::open(&mut admin).await?;
        lot.swap_in(&mut admin, 0, self.base).await?;
        let session = Session::connect(&sandbox.address, &database, "pgassay prepare", self.settings).await?;
        Ok(Begun {
            database,
            admin,
            session,
            lot,
        })
    }

    async fn run(
        &self,
        annex: Annex,
        begun: &mut Begun,
        alteration: &mut Alteration,
        source_is: SourceIs,
    ) -> Result<(Vec<SourceNote>, f64), Trouble> {
        let spec = self.experiment.spec.sources.get(annex.source_idx);
        let place = Workplace {
            sandbox: self.sandbox,
            database: &begun.database,
            session: &mut begun.session,
            admin: &mut begun.admin,
            lot: &begun.lot,
            settings: self.settings,
            scratch_name: &clone::scratch_name(self.experiment.id),
            objects: &[],
            statistics_file: None,
            base: &mut None,
            alteration,
            dropped: Dropped::OutOfSight,
        };
        preparing::apply(self.job, spec.context("a source of the spec")?, place, source_is).await
    }

    /// Parks the statistics of the first source once more, as its twin's: those rows were copied with the shared clone. What
    /// has come since has none.
    async fn park_twin(
        &self,
        annex: Annex,
        admin: &mut Admin,
        before: &Lot,
        after: &Lot,
        alteration: &Alteration,
    ) -> Result<(), Trouble> {
        after.clear(admin, self.base).await?;
        before.swap_in(admin, 0, self.base).await?;
        after.park(admin, annex.twin_idx).await?;
        after.swap_in(admin, annex.twin_idx, self.base).await?;
        let found = capture(admin, annex, alteration, annex.twin_idx).await?;
        if found != *self.base {
            let first = snapshot::first_difference(self.base, &found);
            return Err(anyhow::anyhow!("the twin's statistics differ from the first source's: {first}").into());
        }
        Ok(())
    }
}

/// The lot of an annex, which hides from each of its two sources what is not there for it. The inner error names an index
/// that should stand there and does not.
pub(super) async fn open_lot(
    admin: &mut Admin,
    annex: Annex,
    alteration: &Alteration,
) -> anyhow::Result<Result<Lot, String>> {
    let mut lot = Lot::open(admin).await?;
    for source_idx in [annex.source_idx, annex.twin_idx] {
        if let Err(missing) = lot.hide(source_idx, &hidden(annex, alteration, source_idx)) {
            return Ok(Err(missing));
        }
    }
    Ok(Ok(lot))
}

/// The statistics in force in an annex, as one of its two sources sees them.
pub(super) async fn capture(
    admin: &mut Admin,
    annex: Annex,
    alteration: &Alteration,
    source_idx: usize,
) -> anyhow::Result<Snapshot> {
    let found = snapshot::capture::capture(admin).await?;
    Ok(found.without(&hidden(annex, alteration, source_idx)))
}

/// The indexes that are not there for one of the two sources of an annex.
fn hidden(annex: Annex, alteration: &Alteration, source_idx: usize) -> Vec<(&str, &str)> {
    let indexes: &[IndexName] = if source_idx == annex.twin_idx {
        &alteration.made
    } else {
        &alteration.dropped
    };
    indexes
        .iter()
        .map(|index| (index.schema.as_str(), index.name.as_str()))
        .collect()
}
