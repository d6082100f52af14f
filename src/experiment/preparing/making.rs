//! Clones for the first time: every source is run, and what it gives is stored and parked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use crate::experiment::annexes::Builder;
use crate::experiment::preparing::Ready;
use crate::experiment::preparing::ReadyClone;
use crate::experiment::preparing::SourceIs;
use crate::experiment::preparing::apply;
use crate::experiment::preparing::find;
use crate::experiment::preparing::named_file;
use crate::experiment::preparing::stage;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::SourceSpec;
use crate::model::snapshot::Snapshot;
use crate::snapshot;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine::Pristine;
use crate::source::objects;
use crate::source::objects::Found;
use crate::source::objects::Scout;
use crate::source::workplace::Base;
use crate::source::workplace::Dropped;
use crate::source::workplace::Workplace;
use crate::store::held::HeldJob;
use crate::store::sources;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// The source from which others start.
const BUILT_IN: &str = "built_in";

/// Prepares every source from the pristine state, one after the other, and then the annexes.
pub(super) async fn make(
    job: &HeldJob,
    experiment: &Experiment,
    queries: &[ExperimentQuery],
    settings: &[Setting],
    sandbox: &Sandbox,
    name: String,
) -> Result<Ready, Trouble> {
    let mut furniture = furnish(job, experiment, queries, settings, sandbox, &name).await?;
    let mut admin = Admin::connect(&sandbox.address, &name).await?;
    let lot = Lot::open(&mut admin).await?;
    let pristine = Pristine::remember(&mut admin).await?;
    let specs = &experiment.spec.sources;
    let mut base = None;
    let mut first = None;
    let mut snapshots: BTreeMap<usize, Snapshot> = BTreeMap::new();
    for (n_done, source_idx) in in_order_of_preparing(specs).into_iter().enumerate() {
        let spec = specs.get(source_idx).context("a source of the spec")?;
        if spec.annex.is_some() {
            continue;
        }
        stage(job, "preparing statistics", n_done, specs.len(), &spec.label).await?;
        if Some(source_idx) == experiment.spec.control_idx()
            && let (Some(first), Some(snapshot)) = (&first, snapshots.get(&0).cloned())
        {
            lot.swap_in(&mut admin, 0, &snapshot).await?;
            lot.park(&mut admin, source_idx).await?;
            let prepared = PreparedSource {
                source_idx: i32::try_from(source_idx).context("few sources")?,
                // They are there once.
                objects: Vec::new(),
                ..PreparedSource::clone(first)
            };
            let mut conn = job.conn().await?;
            sources::set_prepared(&mut conn, &job.lease, experiment.id, &prepared, &snapshot).await?;
            snapshots.insert(source_idx, snapshot);
            continue;
        }
        pristine.reset(&mut admin, &lot).await?;
        let own = furniture.get_mut(source_idx).map(std::mem::take).unwrap_or_default();
        // In a session of its own, as the dataset's role.
        let mut session = Session::connect(&sandbox.address, &name, "pgassay prepare", settings).await?;
        let statistics_file = named_file(job, experiment.dataset_id, spec, "experiment").await?;
        let place = Workplace {
            statistics_file: statistics_file.as_ref(),
            sandbox,
            database: &name,
            session: &mut session,
            admin: &mut admin,
            lot: &lot,
            settings,
            objects: &own.objects,
            scratch_name: &clone::scratch_name(experiment.id),
            base: &mut base,
            alteration: &mut Alteration::default(),
            dropped: Dropped::OutOfSight,
        };
        let (mut notes, apply_ms) = apply(job, spec, place, SourceIs::New).await?;
        notes.extend(own.notes);
        session.close().await;
        let snapshot = snapshot::capture::capture(&mut admin).await?;
        lot.park(&mut admin, source_idx).await?;
        if base.is_none() && spec.name == BUILT_IN {
            base = Some(Base {
                snapshot: snapshot.clone(),
                place: source_idx,
            });
        }
        let prepared = PreparedSource {
            source_idx: i32::try_from(source_idx).context("few sources")?,
            snapshot_sha256: snapshot::checksum(&snapshot),
            targets: snapshot::pristine::targets(&mut admin).await?,
            apply_ms,
            n_statistics: snapshot.columns.len() as u64,
            statistics_bytes: Some(snapshot::capture::size_bytes(&mut admin).await?),
            notes,
            objects: own.objects,
            alteration: None,
        };
        sources::set_prepared(&mut *job.conn().await?, &job.lease, experiment.id, &prepared, &snapshot).await?;
        snapshots.insert(source_idx, snapshot);
        if source_idx == 0 {
            first = Some(prepared);
        }
    }
    lot.vacuum(&mut admin).await?;
    // So that it can be copied.
    admin.close().await;
    let mut clones = vec![ReadyClone { database: name, lot }];
    for annex in experiment.spec.annexes() {
        let label = specs.get(annex.source_idx).map_or("", |spec| spec.label.as_str());
        stage(job, "preparing statistics", snapshots.len(), specs.len(), label).await?;
        let builder = Builder {
            job,
            experiment,
            settings,
            sandbox,
            base: snapshots.get(&0).context("the first source is prepared")?,
        };
        let first = first.as_ref().context("the first source is prepared")?;
        let (ready, [own, twins]) = builder.make(annex, &pristine, first).await?;
        clones.push(ready);
        snapshots.extend([(annex.source_idx, own), (annex.twin_idx, twins)]);
    }
    Ok(Ready {
        clones,
        snapshots: snapshots.into_values().collect(),
        is_rebuilt: false,
    })
}

/// Makes the statistics objects that sources need, and says for each source which they are and what is to be said.
async fn furnish(
    job: &HeldJob,
    experiment: &Experiment,
    queries: &[ExperimentQuery],
    settings: &[Setting],
    sandbox: &Sandbox,
    name: &str,
) -> Result<Vec<Found>, Trouble> {
    let mut session = Session::connect(&sandbox.address, name, "pgassay prepare", settings).await?;
    let mut reading = settings.to_vec();
    reading.push(Setting {
        name: "default_transaction_read_only".to_owned(),
        value: "on".to_owned(),
    });
    let reader = Session::connect(&sandbox.address, name, "pgassay prepare", &reading).await?;
    let mut reader = reader.undoing_writes();
    let statements: Vec<(String, String)> = queries
        .iter()
        .map(|query| (query.label.clone(), query.sql.clone()))
        .collect();
    let mut furniture = Vec::new();
    for (source_idx, spec) in experiment.spec.sources.iter().enumerate() {
        let mut scout = Scout {
            session: &mut session,
            reader: &mut reader,
            queries: &statements,
            prefix: format!("pgassay_{source_idx}_"),
            limit: Duration::from_millis(experiment.spec.timeout_ms),
            cancel: job.stop_token(),
        };
        if Some(source_idx) == experiment.spec.control_idx() || spec.annex.is_some() {
            // It gets the statistics of the first source, and that has made what they need.
            furniture.push(Found::default());
            continue;
        }
        let wanted = find(spec)?.objects(&mut scout, &spec.params).await;
        let wanted = wanted.map_err(|error| Trouble::of_source(&spec.label, error))?;
        furniture.push(objects::create_all(&mut session.conn, wanted).await?);
    }
    reader.close().await;
    session.close().await;
    Ok(furniture)
}

/// The source that others start from is prepared first; otherwise the order is that of the spec.
fn in_order_of_preparing(specs: &[SourceSpec]) -> Vec<usize> {
    let (mut first, others): (Vec<usize>, Vec<usize>) =
        (0..specs.len()).partition(|source_idx| specs[*source_idx].name == BUILT_IN);
    first.extend(others);
    first
}
