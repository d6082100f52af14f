//! From a dataset to the clone, and its annexes, in which every source's snapshot is parked.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;

use crate::experiment::annexes;
use crate::experiment::annexes::Builder;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PreparedSource;
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

/// Everything that is ready for trials.
pub struct Ready {
    /// The clone that most sources share, then the annexes in order.
    pub clones: Vec<ReadyClone>,
    /// In the order of the spec's sources.
    pub snapshots: Vec<Snapshot>,
    /// Whether statistics had to be written back from their text because the clone was lost.
    pub is_rebuilt: bool,
}

/// A clone that is ready for trials.
pub struct ReadyClone {
    /// As the sandbox calls it.
    pub database: String,
    pub lot: Lot,
}

/// Whether a source is prepared for the first time, or what it did is done again in a new clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceIs {
    New,
    Again,
}

/// Makes the clones and prepares their sources, or finds those of an interrupted run again.
pub async fn prepare(
    job: &HeldJob,
    experiment: &Experiment,
    dataset_id: DatasetId,
    queries: &[ExperimentQuery],
    settings: &[Setting],
    sandbox: &Sandbox,
) -> Result<Ready, Trouble> {
    let (stored, alterations): (Option<Vec<(Snapshot, String)>>, _) = {
        let mut conn = job.conn().await?;
        let stored = sources::list_snapshots(&mut conn, experiment.id).await?;
        (
            stored.into_iter().collect(),
            sources::list_alterations(&mut conn, experiment.id).await?,
        )
    };
    if let Some(stored) = &stored
        && let Some(clones) = find_again(experiment, sandbox, stored, &alterations).await?
    {
        return Ok(Ready {
            clones,
            snapshots: values(stored),
            is_rebuilt: false,
        });
    }
    stage(job, "cloning the dataset", 0, experiment.spec.sources.len(), "").await?;
    crate::experiment::writers::drop_clones(sandbox, experiment.id).await?;
    let (name, template) = (clone::experiment_name(experiment.id), clone::template_name(dataset_id));
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    let n_clones = 1 + experiment.spec.annexes().len() as u64;
    clone::require_room(&mut server, &sandbox.room, &template, n_clones).await?;
    clone::create(&mut server, &sandbox.room, &template, &name).await?;
    server.close().await;
    match stored {
        Some(stored) => {
            let lost = Lost {
                stored,
                alterations,
                objects: {
                    let mut conn = job.conn().await?;
                    sources::list_objects(&mut conn, experiment.id).await?
                },
            };
            rebuild(job, experiment, settings, sandbox, name, lost).await
        }
        None => make(job, experiment, queries, settings, sandbox, name).await,
    }
}

/// The clones that survived, if all have and every parked snapshot in them is what was stored.
async fn find_again(
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
            let mut found = snapshot::capture::capture(&mut admin).await?;
            if let Some(annex) = annex {
                found = found.without(&annexes::hidden(annex, alteration, source_idx));
            }
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
struct Lost {
    stored: Vec<(Snapshot, String)>,
    alterations: Vec<Option<Alteration>>,
    objects: Vec<StatisticsObject>,
}

/// Writes the stored snapshots into new clones, and insists that they come out as they went in.
async fn rebuild(
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

/// Prepares every source from the pristine state, one after the other, and then the annexes.
async fn make(
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
        let statistics_file = named_file(job, experiment.id, spec).await?;
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
        let mut conn = job.conn().await?;
        sources::set_prepared(&mut conn, &job.lease, experiment.id, &prepared, &snapshot).await?;
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
pub(super) async fn apply(
    job: &HeldJob,
    spec: &SourceSpec,
    mut place: Workplace<'_>,
    source_is: SourceIs,
) -> Result<(Vec<SourceNote>, f64), Trouble> {
    let source = find(spec)?;
    let started = Instant::now();
    let applying = match source_is {
        SourceIs::New => source.apply(&mut place, &spec.params),
        SourceIs::Again => source.alter(&mut place, &spec.params),
    };
    tokio::select! {
        applied = applying => {
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
