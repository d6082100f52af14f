//! Writes the bundle of a settled experiment. Snapshots and trials come from the store piece by piece, so that memory does
//! not grow with them.

use std::io::Write;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::sync::mpsc;

use crate::bundle::BundleError;
use crate::bundle::SCHEMA;
use crate::bundle::archive::Writer;
use crate::bundle::format;
use crate::bundle::format::ExperimentBody;
use crate::bundle::format::Manifest;
use crate::bundle::format::NamedFile;
use crate::bundle::format::PlanBody;
use crate::bundle::format::PlanNumbers;
use crate::experiment::schedule;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::Experiment;
use crate::model::experiment::OverallRecord;
use crate::model::experiment::PlanText;
use crate::model::ids::ExperimentId;
use crate::model::snapshot::Snapshot;
use crate::model::trial::RecordedTrial;
use crate::model::user::Viewer;
use crate::report::data::ReportData;
use crate::report::export;
use crate::store;

/// Trials read from the store at a time.
const TRIALS_AT_ONCE: u32 = 5000;

/// A settled experiment whose bundle can be written.
pub struct Draft {
    pool: PgPool,
    viewer: Viewer,
    data: ReportData,
    comparisons: Vec<ComparisonRecord>,
    overall: Vec<OverallRecord>,
}

/// What comes from the store while the bundle is written, in this order.
struct Pieces {
    snapshots: mpsc::Receiver<(i32, Snapshot)>,
    trials: mpsc::Receiver<Vec<RecordedTrial>>,
    /// Of one query at a time.
    plans: mpsc::Receiver<Vec<PlanText>>,
}

impl Draft {
    /// Looks whether there is such an experiment for this viewer, and whether it is settled.
    pub async fn load(pool: &PgPool, viewer: Viewer, id: ExperimentId) -> Result<Option<Self>, BundleError> {
        let loaded = Self::read(pool, viewer, id).await.map_err(anyhow::Error::from)?;
        match loaded {
            Some(draft) if !draft.data.experiment.job.status.is_settled() => Err(BundleError::NotSettled(id)),
            loaded => Ok(loaded),
        }
    }

    async fn read(pool: &PgPool, viewer: Viewer, id: ExperimentId) -> store::Result<Option<Self>> {
        let mut conn = pool.acquire().await?;
        let Some(mut data) = ReportData::load(&mut conn, viewer, id).await? else {
            return Ok(None);
        };
        data.load_looks(&mut conn, viewer).await?;
        Ok(Some(Self {
            pool: pool.clone(),
            viewer,
            comparisons: store::comparisons::list(&mut conn, viewer, id).await?,
            overall: store::comparisons::list_overall(&mut conn, viewer, id).await?,
            data,
        }))
    }

    /// The experiment that it is about.
    pub fn data(&self) -> &ReportData {
        &self.data
    }

    /// Writes the whole bundle. The same experiment gives the same bytes.
    pub async fn write<W: Write + Send + 'static>(self, out: W) -> Result<W, BundleError> {
        let (pool, viewer, id) = (self.pool.clone(), self.viewer, self.data.experiment.id);
        let prepared: Vec<i32> = self.data.prepared.iter().map(|source| source.source_idx).collect();
        // One piece waits while another is written; who reads the store waits for who writes.
        let (send_snapshot, snapshots) = mpsc::channel(1);
        let (send_trials, trials) = mpsc::channel(1);
        let (send_plans, plans) = mpsc::channel(1);
        let queries: Vec<i32> = self.data.queries.iter().map(|query| query.query_idx).collect();
        let pieces = Pieces {
            snapshots,
            trials,
            plans,
        };
        let writing = tokio::task::spawn_blocking(move || self.write_members(out, pieces));
        let feeding = async move {
            let mut conn = pool.acquire().await?;
            for source_idx in prepared {
                let snapshot = store::sources::get_snapshot(&mut conn, viewer, id, source_idx).await?;
                // Who writes has given up, and says why.
                if let Some(snapshot) = snapshot
                    && send_snapshot.send((source_idx, snapshot)).await.is_err()
                {
                    return Ok(());
                }
            }
            drop(send_snapshot);
            let mut after = -1;
            loop {
                let batch = store::trials::list_after(&mut conn, viewer, id, after, TRIALS_AT_ONCE).await?;
                let Some(last) = batch.last() else { break };
                after = last.trial_idx;
                if send_trials.send(batch).await.is_err() {
                    return Ok(());
                }
            }
            drop(send_trials);
            for query_idx in queries {
                let texts = store::plans::list_texts(&mut conn, viewer, id, Some(query_idx)).await?;
                if send_plans.send(texts).await.is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        let (fed, written): (store::Result<()>, _) = tokio::join!(feeding, writing);
        fed.context("reading the experiment")?;
        written.context("writing the bundle")?
    }

    fn write_members<W: Write>(self, out: W, mut pieces: Pieces) -> Result<W, BundleError> {
        let data = &self.data;
        let mut writer = Writer::new(out);
        writer.member(format::READ_ME, |member| Ok(member.write_all(READ_ME.as_bytes())?))?;
        writer.member(format::EXPERIMENT, |member| member.document(&self.body()))?;
        write_table(&mut writer, format::QUERIES, &data.queries)?;
        write_table(
            &mut writer,
            format::SCHEDULE,
            &schedule::schedule(&data.experiment.spec),
        )?;
        write_table(&mut writer, format::SOURCES, &data.prepared)?;
        let mut n_snapshots = 0;
        while let Some((source_idx, snapshot)) = pieces.snapshots.blocking_recv() {
            writer.member(&format::snapshot(source_idx), |member| member.document(&snapshot))?;
            n_snapshots += 1;
        }
        let mut n_trials = 0;
        writer.member(format::TRIALS, |member| {
            while let Some(batch) = pieces.trials.blocking_recv() {
                n_trials += batch.len() as u64;
                batch.iter().try_for_each(|trial| member.line(trial))?;
            }
            Ok(())
        })?;
        if !data.looks.is_empty() {
            write_table(&mut writer, format::LOOKS, &data.looks)?;
        }
        let mut n_plans = 0;
        writer.member(format::PLANS, |member| {
            while let Some(texts) = pieces.plans.blocking_recv() {
                n_plans += texts.len();
                texts.into_iter().try_for_each(|text| member.line(&self.plan(text)))?;
            }
            Ok(())
        })?;
        // Whoever fed us may have failed half way.
        let is_whole =
            n_snapshots == data.prepared.len() && n_trials == data.experiment.n_recorded && n_plans == data.plans.len();
        if !is_whole {
            return Err(anyhow::anyhow!("some of the experiment is missing").into());
        }
        let numbers: Vec<PlanNumbers> = data.plans.iter().map(PlanNumbers::from).collect();
        write_table(&mut writer, format::PUBLISHED_PLANS, &numbers)?;
        write_table(&mut writer, format::PUBLISHED_SUMMARIES, &data.summaries)?;
        write_table(&mut writer, format::PUBLISHED_COMPARISONS, &self.comparisons)?;
        write_table(&mut writer, format::PUBLISHED_OVERALL, &self.overall)?;
        let verdicts = format::verdicts(&data.experiment.spec, &self.comparisons);
        write_table(&mut writer, format::PUBLISHED_VERDICTS, &verdicts)?;
        let has_observer = data.experiment.spec.has_observer;
        if has_observer {
            write_table(&mut writer, format::PUBLISHED_TAXES, &data.taxes)?;
        }
        let of_observer = has_observer.then_some(&format::PUBLISHED_OBSERVER);
        for (name, exporter) in format::PUBLISHED_EXPORTS.iter().chain(of_observer) {
            let export = exported(exporter, data)?;
            writer.member(name, |member| Ok(member.write_all(&export)?))?;
        }
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            pgassay: env!("CARGO_PKG_VERSION").to_owned(),
            members: writer.done().to_vec(),
        };
        writer.member(format::MANIFEST, |member| member.document(&manifest))?;
        let mut out = writer.finish()?;
        out.flush().context("writing the bundle")?;
        Ok(out)
    }

    fn plan(&self, text: PlanText) -> PlanBody {
        let outline = self.data.plan(text.query_idx, text.source_idx);
        PlanBody {
            query_idx: text.query_idx,
            source_idx: text.source_idx,
            explain: text.explain,
            analyzed: text.analyzed,
            message: outline.and_then(|outline| outline.message.clone()),
        }
    }

    fn body(&self) -> ExperimentBody {
        let experiment: &Experiment = &self.data.experiment;
        ExperimentBody {
            id: experiment.id,
            status: experiment.job.status,
            message: experiment.job.message.clone(),
            dataset: NamedFile {
                name: experiment.dataset_name.clone(),
                sha256: experiment.dataset_sha256.clone(),
            },
            workload: NamedFile {
                name: experiment.workload_name.clone(),
                sha256: experiment.workload_sha256.clone(),
            },
            spec: experiment.spec.clone(),
            n_trials: experiment.n_trials,
            n_recorded: experiment.n_recorded,
            created_at: experiment.created_at,
            started_at: experiment.job.started_at,
            finished_at: experiment.job.finished_at,
            environment: experiment.environment.clone(),
            segments: self.data.segments.clone(),
            interruptions: self.data.interruptions.clone(),
            headline: experiment.headline.clone(),
        }
    }
}

fn write_table<W: Write, T: serde::Serialize>(
    writer: &mut Writer<W>,
    name: &str,
    rows: &[T],
) -> Result<(), BundleError> {
    writer.member(name, |member| rows.iter().try_for_each(|row| member.line(row)))
}

/// An export of an experiment's numbers.
pub(super) fn exported(exporter: &str, data: &ReportData) -> anyhow::Result<Vec<u8>> {
    let exporter = export::find(exporter).context("an export of numbers")?;
    exporter.write(data, &[])
}

/// For whoever opens a bundle without pgassay.
const READ_ME: &str = "\
One experiment of pgassay, whole: which planner statistics change which plans, by how much, and how sure that is.

    pgassay verify FILE.zip             computes every published number again, and names those that differ
    pgassay rerun FILE.zip --dump DUMP  measures again, under the same statistics and in the same order

experiment.json      what was asked for, on what it ran, how it ended
queries.jsonl        the queries
sources.jsonl        what preparing each source of statistics gave
snapshots/N.json     the planner statistics of source N, to the byte
schedule.jsonl       every trial in the order in which it was to run
trials.jsonl         every trial as it was recorded; times in milliseconds
looks.jsonl          what else went on while each visit (one source in one round) was measured, where that was looked at
plans.jsonl          EXPLAIN of each query under each source, without and with ANALYZE, as the server sent them
published/           the numbers that were shown
manifest.json        the checksums of all of these
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn there_is_a_bundle_for_the_owner_of_a_settled_experiment_and_nobody_else() {
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["none"]).await;
        let waiting = Draft::load(&world.pool, world.viewer, id).await;
        assert_eq!(
            waiting.err().map(|error| error.to_string()),
            Some(format!(
                "Experiment {id} is not finished yet. There is a bundle when it is."
            ))
        );
        store::jobs::request_cancel(&mut *world.conn().await, world.viewer, job_id)
            .await
            .unwrap();
        let stranger = world.stranger().await;
        assert!(Draft::load(&world.pool, stranger, id).await.unwrap().is_none());
        let settled = Draft::load(&world.pool, world.viewer, id).await.unwrap().unwrap();
        assert!(!settled.write(Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_away_ends_the_writing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["none"]).await;
        store::jobs::request_cancel(&mut *world.conn().await, world.viewer, job_id)
            .await
            .unwrap();
        let draft = Draft::load(&world.pool, world.viewer, id).await.unwrap().unwrap();
        assert!(draft.write(Gone).await.is_err());
    }
}
