//! What a source works with while it is prepared.

use anyhow::Context as _;

use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::Snapshot;
use crate::model::snapshot::StatisticsObject;
use crate::model::statistics_file::StatisticsFile;
use crate::snapshot;
use crate::snapshot::apply::LeftOut;
use crate::snapshot::park::Lot;
use crate::snapshot::park::SPARE_PLACE;
use crate::source::analyze;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;

/// The pristine clone of an experiment, with a session of each kind in it.
pub struct Workplace<'a> {
    pub sandbox: &'a Sandbox,
    /// What the sandbox calls the clone.
    pub database: &'a str,
    /// The dataset's role, in the clone, with the experiment's settings.
    pub session: &'a mut Session,
    /// In the same clone; for catalogs and snapshots only.
    pub admin: &'a mut Admin,
    pub lot: &'a Lot,
    /// What `settings` the session has, for a session elsewhere.
    pub settings: &'a [Setting],
    /// What a source may call a database of its own, which it drops behind itself. After a crash others drop it.
    pub scratch_name: &'a str,
    /// The statistics objects that were made for this source, empty and without a target.
    pub objects: &'a [StatisticsObject],
    /// The statistics file that the source names, if its parameters name one.
    pub statistics_file: Option<&'a NamedFile>,
    /// What other sources start from; none before somebody has asked for it.
    pub base: &'a mut Option<Base>,
    /// Where a source that needs an annex leaves what it changed beside statistics.
    pub alteration: &'a mut Alteration,
    pub dropped: Dropped,
}

/// What becomes of what a script drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It stays, out of sight: another source needs it in the same clone.
    OutOfSight,
    Gone,
}

/// A statistics file as it was found.
pub struct NamedFile {
    pub contents: StatisticsFile,
    pub sha256: String,
}

/// What ANALYZE gives at the server's default target, parked in the clone: of the experiment's own source `built_in` where it
/// has one, so that what starts from it differs from that in nothing else.
pub struct Base {
    pub snapshot: Snapshot,
    pub place: usize,
}

impl Workplace<'_> {
    /// The base, gathered now if there is none.
    pub async fn base(&mut self) -> anyhow::Result<&Base> {
        if self.base.is_none() {
            analyze::analyze_all(&mut self.session.conn).await?;
            let snapshot = snapshot::capture::capture(self.admin).await?;
            self.lot.park(self.admin, SPARE_PLACE).await?;
            let place = SPARE_PLACE;
            *self.base = Some(Base { snapshot, place });
        }
        self.base.as_ref().context("a base that was just gathered")
    }
}

/// What is said of a part of a snapshot that could not be written.
pub fn note(left_out: LeftOut, consequence: &str) -> SourceNote {
    SourceNote {
        about: left_out.column,
        what: format!("{consequence}: {}", left_out.reason),
        change: None,
    }
}
