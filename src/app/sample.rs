//! The first start: the sample dataset and workload, and a small experiment on them.

use std::path::Path;

use tracing::info;

use crate::app::house::House;
use crate::experiment::form::ExperimentForm;
use crate::store;

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
    let dataset_id = house.datasets.add_sample(house.viewer, samples_dir).await?;
    let workload_id = house.workloads.add_sample(house.viewer, samples_dir).await?;
    let form = ExperimentForm {
        // The same at every start, so that an interrupted first start makes nothing twice.
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
