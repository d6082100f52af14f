//! From a dataset to a clone in which every source's snapshot is parked.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;

use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::Repeated;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::Progress;
use crate::model::snapshot::Snapshot;
use crate::model::snapshot::StatisticsObject;
use crate::snapshot;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine::Pristine;
use crate::source;
use crate::source::StatsSource;
use crate::source::objects;
use crate::source::objects::Found;
use crate::source::objects::Scout;
use crate::source::workplace::Base;
use crate::source::workplace::NamedFile;
use crate::source::workplace::Workplace;
use crate::store::held::HeldJob;
use crate::store::sources;
use crate::store::statistics_files;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// The source from which others start.
const BUILT_IN: &str = "built_in";

/// A clone that is ready for trials.
pub struct Ready {
    pub lot: Lot,
    /// In the order of the spec's sources.
    pub snapshots: Vec<Snapshot>,
    /// Whether statistics had to be written back from their text because the clone was lost.
    pub is_rebuilt: bool,
}

/// Makes the clone and prepares its sources, or finds the clone of an interrupted run again.
pub async fn prepare(
    job: &HeldJob,
    experiment: &Experiment,
    dataset_id: DatasetId,
    queries: &[ExperimentQuery],
    settings: &[Setting],
    sandbox: &Sandbox,
) -> Result<Ready, Trouble> {
    let stored: Option<Vec<(Snapshot, String)>> = {
        let mut conn = job.conn().await?;
        sources::list_snapshots(&mut conn, experiment.id)
            .await?
            .into_iter()
            .collect()
    };
    let name = clone::experiment_name(experiment.id);
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    if let Some(stored) = &stored
        && clone::exists(&mut server, &name).await?
        && let Some(lot) = find_again(sandbox, &name, stored).await?
    {
        server.close().await;
        return Ok(Ready {
            lot,
            snapshots: values(stored),
            is_rebuilt: false,
        });
    }
    stage(job, "cloning the dataset", 0, experiment.spec.sources.len(), "").await?;
    crate::experiment::writers::drop_clones(sandbox, experiment.id).await?;
    clone::create(&mut server, &sandbox.room, &clone::template_name(dataset_id), &name).await?;
    server.close().await;
    match stored {
        Some(stored) => {
            let objects = {
                let mut conn = job.conn().await?;
                sources::list_objects(&mut conn, experiment.id).await?
            };
            rebuild(sandbox, &name, &stored, &objects, experiment.spec.repeats.as_ref()).await
        }
        None => make(job, experiment, queries, settings, sandbox, &name).await,
    }
}

/// The lot of a clone that survived, if every parked snapshot in it is what was stored.
async fn find_again(sandbox: &Sandbox, name: &str, stored: &[(Snapshot, String)]) -> Result<Option<Lot>, Trouble> {
    let mut admin = Admin::connect(&sandbox.address, name).await?;
    let lot = Lot::open(&mut admin).await?;
    for (source_idx, (snapshot, checksum)) in stored.iter().enumerate() {
        lot.swap_in(&mut admin, source_idx, snapshot).await?;
        let found = snapshot::capture::capture(&mut admin).await?;
        if snapshot::checksum(&found) != *checksum {
            return Ok(None);
        }
    }
    admin.close().await;
    Ok(Some(lot))
}

/// Writes the stored snapshots into a new clone, and insists that they come out as they went in.
async fn rebuild(
    sandbox: &Sandbox,
    name: &str,
    stored: &[(Snapshot, String)],
    objects: &[StatisticsObject],
    repeats: Option<&Repeated>,
) -> Result<Ready, Trouble> {
    let (whence, what_now) = match repeats {
        None => (
            "The clone of this experiment was lost, and its statistics",
            " Please run it again.",
        ),
        Some(_) => ("The planner statistics of the bundle", ""),
    };
    let mut admin = Admin::connect(&sandbox.address, name).await?;
    let mut session = Session::connect(&sandbox.address, name, "pgassay prepare", &[]).await?;
    for object in objects {
        if let Err(reason) = objects::create(&mut session.conn, object).await? {
            return Err(Trouble::Sentence(format!(
                "{whence} cannot all be written: an object for them cannot be made: {reason}.{what_now}"
            )));
        }
    }
    let lot = Lot::open(&mut admin).await?;
    for (source_idx, (snapshot, checksum)) in stored.iter().enumerate() {
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
    Ok(Ready {
        lot,
        snapshots: values(stored),
        is_rebuilt: true,
    })
}

/// Prepares every source from the pristine state, one after the other.
async fn make(
    job: &HeldJob,
    experiment: &Experiment,
    queries: &[ExperimentQuery],
    settings: &[Setting],
    sandbox: &Sandbox,
    name: &str,
) -> Result<Ready, Trouble> {
    let mut furniture = furnish(job, experiment, queries, settings, sandbox, name).await?;
    let mut admin = Admin::connect(&sandbox.address, name).await?;
    let lot = Lot::open(&mut admin).await?;
    let pristine = Pristine::remember(&mut admin).await?;
    let specs = &experiment.spec.sources;
    let mut base = None;
    let mut first = None;
    let mut snapshots: BTreeMap<usize, Snapshot> = BTreeMap::new();
    for (n_done, source_idx) in in_order_of_preparing(specs).into_iter().enumerate() {
        let spec = specs.get(source_idx).context("a source of the spec")?;
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
        let mut session = Session::connect(&sandbox.address, name, "pgassay prepare", settings).await?;
        let statistics_file = named_file(job, experiment.id, spec).await?;
        let place = Workplace {
            statistics_file: statistics_file.as_ref(),
            sandbox,
            session: &mut session,
            admin: &mut admin,
            lot: &lot,
            settings,
            objects: &own.objects,
            scratch_name: &clone::scratch_name(experiment.id),
            base: &mut base,
        };
        let (mut notes, apply_ms) = apply(job, spec, place).await?;
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
        };
        let mut conn = job.conn().await?;
        sources::set_prepared(&mut conn, &job.lease, experiment.id, &prepared, &snapshot).await?;
        snapshots.insert(source_idx, snapshot);
        if source_idx == 0 {
            first = Some(prepared);
        }
    }
    lot.vacuum(&mut admin).await?;
    admin.close().await;
    Ok(Ready {
        lot,
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
        if Some(source_idx) == experiment.spec.control_idx() {
            // It gets the statistics of the first source, and that has made what they need.
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

fn find(spec: &SourceSpec) -> Result<&'static dyn StatsSource, Trouble> {
    source::find(&spec.name)
        .ok_or_else(|| Trouble::Sentence(format!("This pgassay has no source called {}.", spec.name)))
}

/// The statistics file that a source names, if it is one that does.
async fn named_file(job: &HeldJob, id: ExperimentId, spec: &SourceSpec) -> Result<Option<NamedFile>, Trouble> {
    let Some((_, name)) = source::statistics_file(spec) else {
        return Ok(None);
    };
    let mut conn = job.conn().await?;
    match statistics_files::find_for_experiment(&mut conn, id, name).await? {
        Some((contents, sha256)) => Ok(Some(NamedFile { contents, sha256 })),
        None => Err(Trouble::Sentence(format!(
            "The statistics file {name} is gone. Upload it again on the page of the dataset, and run the experiment again."
        ))),
    }
}

/// The source that others start from is prepared first; otherwise the order is that of the spec.
fn in_order_of_preparing(specs: &[SourceSpec]) -> Vec<usize> {
    let (mut first, others): (Vec<usize>, Vec<usize>) =
        (0..specs.len()).partition(|source_idx| specs[*source_idx].name == BUILT_IN);
    first.extend(others);
    first
}

/// Runs one source, and returns its notes and how long it took in milliseconds.
async fn apply(job: &HeldJob, spec: &SourceSpec, mut place: Workplace<'_>) -> Result<(Vec<SourceNote>, f64), Trouble> {
    let source = find(spec)?;
    let started = Instant::now();
    tokio::select! {
        applied = source.apply(&mut place, &spec.params) => {
            let notes = applied.map_err(|error| Trouble::of_source(&spec.label, error))?;
            Ok((notes, started.elapsed().as_secs_f64() * 1000.0))
        }
        // The sandbox is stopped behind us, and with it whatever still runs there.
        () = job.stop_token().cancelled() => Err(Trouble::Stopped),
    }
}

fn values(stored: &[(Snapshot, String)]) -> Vec<Snapshot> {
    stored.iter().map(|(snapshot, _)| snapshot.clone()).collect()
}

async fn stage(job: &HeldJob, stage: &str, done: usize, total: usize, detail: &str) -> Result<(), Trouble> {
    let progress = Progress {
        done: done as u64,
        total: total as u64,
        unit: "sources".to_owned(),
        detail: detail.to_owned(),
        n_rows: 0,
    };
    job.set_progress(stage, &progress).await?;
    if job.stop_reason().is_some() {
        Err(Trouble::Stopped)
    } else {
        Ok(())
    }
}
