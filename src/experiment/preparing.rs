//! From a dataset to the clone, and its annexes, in which every source's snapshot is parked.

mod again;
mod making;

use std::time::Instant;

use crate::experiment::preparing::again::Lost;
use crate::experiment::preparing::again::find_again;
use crate::experiment::preparing::again::rebuild;
use crate::experiment::preparing::making::make;
use crate::experiment::writers;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::job::Progress;
use crate::model::snapshot::Snapshot;
use crate::snapshot::park::Lot;
use crate::source;
use crate::source::StatsSource;
use crate::source::workplace::NamedFile;
use crate::source::workplace::Workplace;
use crate::store::held::HeldJob;
use crate::store::sources;
use crate::store::statistics_files;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::trouble::Trouble;

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
    writers::drop_clones(sandbox, experiment.id).await?;
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

/// The statistics file that a source names, if it is one that does. `work` is what runs under it.
pub async fn named_file(
    job: &HeldJob,
    dataset_id: Option<DatasetId>,
    spec: &SourceSpec,
    work: &str,
) -> Result<Option<NamedFile>, Trouble> {
    let Some((_, name)) = source::statistics_file(spec) else {
        return Ok(None);
    };
    let found = match dataset_id {
        Some(id) => statistics_files::find_by_name(&mut *job.conn().await?, job.viewer, id, name).await?,
        None => None,
    };
    let Some((contents, sha256)) = found else {
        return Err(Trouble::Sentence(format!(
            "The statistics file {name} is gone. Upload it again on the page of the dataset, and run the {work} again."
        )));
    };
    Ok(Some(NamedFile { contents, sha256 }))
}

fn find(spec: &SourceSpec) -> Result<&'static dyn StatsSource, Trouble> {
    source::find(&spec.name)
        .ok_or_else(|| Trouble::Sentence(format!("This pgassay has no source called {}.", spec.name)))
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
