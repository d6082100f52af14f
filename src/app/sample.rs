//! The first start: the sample dataset and workload, and a small experiment on them.

use std::path::Path;

use anyhow::Context as _;
use tokio_util::io::ReaderStream;
use tracing::info;

use crate::app::house::House;
use crate::experiment::form::ExperimentForm;
use crate::store;
use crate::workload::service::NewScript;

/// Rounds enough for twelve queries and two comparisons to show a difference.
const ITERATIONS: &str = "10";

/// Loads the sample when the store holds no dataset, no workload and no experiment. Returns whether it did.
pub async fn load_once(house: &House, samples_dir: &Path) -> anyhow::Result<bool> {
    let mut conn = house.pool.acquire().await?;
    let is_new = store::datasets::list(&mut conn, house.viewer).await?.is_empty()
        && store::workloads::list(&mut conn, house.viewer).await?.is_empty()
        && store::experiments::count(&mut conn, house.viewer).await? == 0;
    drop(conn);
    if !is_new {
        return Ok(false);
    }
    let dump = samples_dir.join("dump.sql");
    let file = tokio::fs::File::open(&dump)
        .await
        .with_context(|| format!("opening {}", dump.display()))?;
    let arrived = house.datasets.receive(ReaderStream::new(file)).await?;
    // The same words at every start, so that an interrupted first start makes nothing twice.
    let dataset_id = house
        .datasets
        .add(house.viewer, arrived, "Sample shop", "dump.sql", "sample dataset")
        .await?;
    let queries = samples_dir.join("queries.sql");
    let script = NewScript {
        request_id: "sample workload".to_owned(),
        name: "Sample queries".to_owned(),
        file_name: "queries.sql".to_owned(),
        bytes: tokio::fs::read(&queries)
            .await
            .with_context(|| format!("reading {}", queries.display()))?,
    };
    let workload_id = house.workloads.add(house.viewer, script).await?;
    let form = ExperimentForm {
        request_id: "sample experiment".to_owned(),
        dataset: dataset_id.to_string(),
        workload: workload_id.to_string(),
        stats_source: ["built_in", "random_targets:seed=7,low=1,high=10", "none"]
            .map(str::to_owned)
            .to_vec(),
        iterations: ITERATIONS.to_owned(),
        seed: "1".to_owned(),
        ..ExperimentForm::default()
    };
    let experiment_id = house
        .experiments
        .launch(house.viewer, &form)
        .await
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    info!("The sample is loaded, and experiment {experiment_id} waits for its restore");
    Ok(true)
}
