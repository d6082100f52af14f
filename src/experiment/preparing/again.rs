//! The clones of an interrupted run: found as they were left, or made anew from what is stored.

use anyhow::Context as _;

use crate::experiment::annexes;
use crate::experiment::annexes::Builder;
use crate::experiment::preparing::Ready;
use crate::experiment::preparing::ReadyClone;
use crate::experiment::preparing::values;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::Experiment;
use crate::model::snapshot::Snapshot;
use crate::model::snapshot::StatisticsObject;
use crate::snapshot;
use crate::snapshot::park::Lot;
use crate::source::objects;
use crate::store::held::HeldJob;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// The clones that survived, if all have and every parked snapshot in them is what was stored.
pub(super) async fn find_again(
    experiment: &Experiment,
    sandbox: &Sandbox,
    stored: &[(Snapshot, String)],
    alterations: &[Option<Alteration>],
) -> Result<Option<Vec<ReadyClone>>, Trouble> {
    let (id, annexes) = (experiment.id, experiment.spec.annexes());
    let mut wanted = vec![(clone::experiment_name(id), None)];
    wanted.extend(
        annexes
            .iter()
            .map(|annex| (clone::annex_name(id, annex.number), Some(*annex))),
    );
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    for (database, _) in &wanted {
        if !clone::exists(&mut server, database).await? {
            return Ok(None);
        }
    }
    server.close().await;
    let nothing = Alteration::default();
    let mut clones = Vec::new();
    for (database, annex) in wanted {
        let alteration = annex
            .and_then(|annex| alterations.get(annex.source_idx)?.as_ref())
            .unwrap_or(&nothing);
        let mut admin = Admin::connect(&sandbox.address, &database).await?;
        let lot = match annex {
            None => Lot::open(&mut admin).await?,
            Some(annex) => match annexes::open_lot(&mut admin, annex, alteration).await? {
                Ok(lot) => lot,
                // Its script was not through.
                Err(_) => return Ok(None),
            },
        };
        let number = annex.map(|annex| annex.number);
        let in_it = experiment.spec.sources.iter().zip(stored).enumerate();
        for (source_idx, (_, (snapshot, checksum))) in in_it.filter(|(_, (spec, _))| spec.annex == number) {
            lot.swap_in(&mut admin, source_idx, snapshot).await?;
            let found = match annex {
                None => snapshot::capture::capture(&mut admin).await?,
                Some(annex) => annexes::capture(&mut admin, annex, alteration, source_idx).await?,
            };
            if snapshot::checksum(&found) != *checksum {
                return Ok(None);
            }
        }
        admin.close().await;
        clones.push(ReadyClone { database, lot });
    }
    Ok(Some(clones))
}

/// What is stored of an experiment whose clones are gone.
pub(super) struct Lost {
    pub stored: Vec<(Snapshot, String)>,
    pub alterations: Vec<Option<Alteration>>,
    pub objects: Vec<StatisticsObject>,
}

/// Writes the stored snapshots into new clones, and insists that they come out as they went in.
pub(super) async fn rebuild(
    job: &HeldJob,
    experiment: &Experiment,
    settings: &[Setting],
    sandbox: &Sandbox,
    name: String,
    lost: Lost,
) -> Result<Ready, Trouble> {
    let (whence, what_now) = match &experiment.spec.repeats {
        None => (
            "The clone of this experiment was lost, and its statistics",
            " Please run it again.",
        ),
        Some(_) => ("The planner statistics of the bundle", ""),
    };
    let mut admin = Admin::connect(&sandbox.address, &name).await?;
    let mut session = Session::connect(&sandbox.address, &name, "pgassay prepare", &[]).await?;
    for object in &lost.objects {
        if let Err(reason) = objects::create(&mut session.conn, object).await? {
            return Err(Trouble::Sentence(format!(
                "{whence} cannot all be written: an object for them cannot be made: {reason}.{what_now}"
            )));
        }
    }
    let lot = Lot::open(&mut admin).await?;
    let shared = experiment.spec.sources.iter().zip(&lost.stored).enumerate();
    for (source_idx, (_, (snapshot, checksum))) in shared.filter(|(_, (spec, _))| spec.annex.is_none()) {
        let left_out = snapshot::apply::apply(&mut admin, &mut session, &lot, snapshot).await?;
        if let Some(first) = left_out.first() {
            return Err(Trouble::Sentence(format!(
                "{whence} cannot all be written: {}: {}.{what_now}",
                first.column, first.reason
            )));
        }
        let found = snapshot::capture::capture(&mut admin).await?;
        if snapshot::checksum(&found) != *checksum {
            return Err(Trouble::Sentence(format!(
                "{whence} came back different: {}.{what_now}",
                snapshot::first_difference(snapshot, &found)
            )));
        }
        lot.park(&mut admin, source_idx).await?;
    }
    session.close().await;
    admin.close().await;
    let (base, _) = lost.stored.first().context("a first source")?;
    let builder = Builder {
        job,
        experiment,
        settings,
        sandbox,
        base,
    };
    let mut clones = vec![ReadyClone { database: name, lot }];
    for annex in experiment.spec.annexes() {
        let (snapshot, _) = lost.stored.get(annex.source_idx).context("a stored snapshot")?;
        let alteration = lost.alterations.get(annex.source_idx).cloned().flatten();
        let rebuilt = builder
            .rebuild(annex, snapshot, &alteration.unwrap_or_default())
            .await?;
        clones.push(rebuilt.map_err(|what| Trouble::Sentence(format!("{whence} {what}.{what_now}")))?);
    }
    Ok(Ready {
        clones,
        snapshots: values(&lost.stored),
        is_rebuilt: true,
    })
}
