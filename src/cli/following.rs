//! Follows an experiment to its end, with its progress on the terminal.

use anyhow::Context as _;

use crate::app::house::House;
use crate::cli::results::ResultFiles;
use crate::cli::results::print_table;
use crate::cli::working::LOOK_EVERY;
use crate::cli::working::MAX_FAILED_LOOKS;
use crate::cli::working::ProgressLine;
use crate::cli::working::RunError;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::report::data::ReportData;
use crate::store;

/// Waits for an experiment with its dataset, and says what came of it.
pub(super) async fn follow(
    house: &House,
    dataset_id: DatasetId,
    id: ExperimentId,
    files: &ResultFiles,
) -> Result<ReportData, RunError> {
    let mut progress = ProgressLine::new();
    wait_for_dataset(house, dataset_id, &mut progress).await?;
    let ended = wait_for_experiment(house, id, &mut progress).await?;
    let (data, trials) = {
        let mut conn = house.pool.acquire().await.context("reaching the store")?;
        let data = ReportData::load_whole(&mut conn, house.viewer, id, 0)
            .await
            .context("reading the results")?;
        let trials = store::trials::list(&mut conn, house.viewer, id, None)
            .await
            .context("reading the trials")?;
        (data.context("the experiment is there")?, trials)
    };
    print_table(&data)?;
    files.write(house, &data, &trials).await?;
    match ended {
        JobStatus::Completed if data.summaries.iter().all(|summary| summary.n_finished == 0) => {
            Err(anyhow::anyhow!("not one trial finished; the table says why").into())
        }
        JobStatus::Completed => Ok(data),
        _ => Err(anyhow::anyhow!(data.experiment.job.message.clone().unwrap_or_default()).into()),
    }
}

async fn wait_for_dataset(house: &House, id: DatasetId, progress: &mut ProgressLine) -> anyhow::Result<()> {
    loop {
        let dataset = {
            let mut conn = house.pool.acquire().await?;
            store::datasets::get(&mut conn, house.viewer, id)
                .await?
                .context("the dataset is gone")?
        };
        let job = &dataset.job;
        match job.status {
            JobStatus::Queued | JobStatus::Running => {
                let detail = format!("{} {}", job.stage, job.progress.detail);
                progress.show(&detail, job.progress.done, job.progress.total);
            }
            JobStatus::Completed => {
                progress.clear();
                let skipped = {
                    let mut conn = house.pool.acquire().await?;
                    store::restores::list_notes(&mut conn, house.viewer, id).await?.len()
                };
                eprintln!(
                    "Restored {} with {} ({}); {} in its restore log.",
                    counted(dataset.n_tables, "table", "tables"),
                    counted(dataset.n_rows, "row", "rows"),
                    bytes_in_words(dataset.database_bytes.unwrap_or(0)),
                    counted(skipped as u64, "line", "lines"),
                );
                return Ok(());
            }
            JobStatus::Failed | JobStatus::Cancelled => {
                progress.clear();
                anyhow::bail!("{}", job.message.clone().unwrap_or_default());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn wait_for_experiment(
    house: &House,
    id: ExperimentId,
    progress: &mut ProgressLine,
) -> anyhow::Result<JobStatus> {
    let mut n_failed_looks = 0;
    loop {
        let look = match house.experiments.progress(house.viewer, id).await {
            Ok(look) => look.context("the experiment is gone")?,
            // A store that has died is started again.
            Err(_) if n_failed_looks < MAX_FAILED_LOOKS => {
                n_failed_looks += 1;
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        n_failed_looks = 0;
        let status = look.experiment.job.status;
        if status.is_settled() {
            progress.clear();
            return Ok(status);
        }
        progress.show(&format!("{} {}", look.stage, look.detail), look.done, look.total);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
