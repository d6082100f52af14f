//! Dumps in a depot, and two houses that share it and a store: who restores, who has the dataset, who takes it over.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::Restorer;
use crate::model::dataset::Dataset;
use crate::model::ids::DatasetId;
use crate::model::job::JobStatus;
use crate::store;
use crate::target::lease::this_machine;
use crate::testing;
use crate::testing::bench::Bench;

const DUMP: &[u8] = b"create table t (a integer);\ninsert into t select generate_series(1, 100);\n";

/// Two houses, a store and a depot. `request` numbers are each house's own, so only one of them uploads.
struct Ground {
    depot: tempfile::TempDir,
    front: Bench,
    back: Bench,
}

impl Ground {
    async fn new() -> Self {
        let depot = tempfile::tempdir().unwrap();
        let database_url = testing::database_url().await;
        Self {
            front: Bench::open_beside(&database_url, depot.path()).await,
            back: Bench::open_beside(&database_url, depot.path()).await,
            depot,
        }
    }

    /// Every file in the depot.
    fn held(&self) -> Vec<PathBuf> {
        files_below(self.depot.path())
    }

    /// The house has not been heard of for a while.
    async fn lose(&self, bench: &Bench) {
        let done = sqlx::query("update homes set seen_at = seen_at - interval '2 min' where home = $1")
            .bind(&bench.house.home)
            .execute(&self.front.house.pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    async fn restore_again(&self, id: DatasetId) -> bool {
        let house = &self.front.house;
        house.datasets.restore_again(house.viewer, id).await.unwrap()
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Files of dumps on the disk of a house.
fn copies(bench: &Bench) -> usize {
    files_below(&bench.house.layout.uploads()).len()
}

async fn has(bench: &Bench, id: DatasetId) -> bool {
    bench.house.sandboxes.is_there(id).await.unwrap()
}

fn is_ready(dataset: &Dataset) -> bool {
    assert_ne!(dataset.job.status, JobStatus::Failed, "{:?}", dataset.job.message);
    dataset.job.status == JobStatus::Completed
}

#[tokio::test]
async fn what_one_machine_takes_in_another_restores_and_works_on() {
    let ground = Ground::new().await;
    let id = ground.front.upload(DUMP).await;
    assert_eq!((ground.held().len(), copies(&ground.front)), (1, 0));
    assert!(ground.front.dataset(id).await.place.is_none());

    ground.back.work().await;
    let dataset = ground.front.dataset(id).await;
    assert!(is_ready(&dataset) && dataset.is_in_depot);
    let place = dataset.place.unwrap();
    assert_eq!((place.machine, place.is_away), (this_machine(), false));
    assert!(has(&ground.back, id).await && !has(&ground.front, id).await);
    assert_eq!((ground.held().len(), copies(&ground.back)), (1, 0));

    // Whoever is asked, the work is done where the dataset is.
    let experiment = ground
        .front
        .launch(id, "select * from t", &["built_in", "none"], |_| {})
        .await;
    ground.front.work().await;
    assert_eq!(ground.front.experiment(experiment).await.job.status, JobStatus::Queued);
    ground.back.finished(experiment).await;

    // And whoever is asked, what is deleted goes everywhere.
    let house = &ground.front.house;
    house.datasets.delete(house.viewer, id).await.unwrap();
    assert!(ground.held().is_empty());
    assert!(has(&ground.back, id).await);
    assert_eq!(ground.back.house.remove_strays().await.unwrap(), 1);
    assert!(!has(&ground.back, id).await);
    ground.close().await;
}

#[tokio::test]
async fn what_a_lost_machine_had_is_restored_elsewhere_and_waiting_work_goes_on_there() {
    let ground = Ground::new().await;
    let id = ground.front.upload(DUMP).await;
    ground.back.work().await;
    let experiment = ground
        .front
        .launch(id, "select * from t", &["built_in", "none"], |_| {})
        .await;
    assert!(!ground.restore_again(id).await, "its machine is there");

    ground.lose(&ground.back).await;
    assert!(ground.front.dataset(id).await.place.unwrap().is_away);
    let mut conn = ground.front.house.pool.acquire().await.unwrap();
    let queue = store::jobs::list_unsettled(&mut conn, ground.front.house.viewer, None)
        .await
        .unwrap();
    drop(conn);
    let words = queue.jobs[0].away_in_words().unwrap();
    assert!(
        words.starts_with(&format!("It waits for the machine {}", this_machine())),
        "{words}"
    );

    assert!(ground.restore_again(id).await);
    // Asked twice, it is done once.
    assert!(!ground.restore_again(id).await);
    ground.front.finished(experiment).await;
    assert!(is_ready(&ground.front.dataset(id).await));
    assert!(has(&ground.front, id).await);
    // The lost one comes back, and has nothing of it any more.
    assert_eq!(ground.back.house.remove_strays().await.unwrap(), 1);
    assert_eq!(ground.front.house.remove_strays().await.unwrap(), 0);
    ground.close().await;
}

#[tokio::test]
async fn a_dump_that_is_damaged_or_gone_is_told_in_words_and_can_be_restored_once_it_is_back() {
    let ground = Ground::new().await;
    let id = ground.front.upload(DUMP).await;
    let [file] = ground.held().try_into().unwrap();
    for (bytes, words) in [
        (Some(vec![b'x'; DUMP.len()]), "returns other bytes than it was given"),
        (None, "is not in the depot"),
        (Some(DUMP.to_vec()), ""),
    ] {
        match &bytes {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        ground.back.work().await;
        let dataset = ground.front.dataset(id).await;
        if words.is_empty() {
            assert!(is_ready(&dataset));
        } else {
            let message = dataset.job.message.unwrap_or_default();
            assert!(
                dataset.job.status == JobStatus::Failed && message.contains(words),
                "{message}"
            );
            assert!(ground.restore_again(id).await);
        }
        assert_eq!(copies(&ground.back), 0);
    }
    ground.close().await;
}

#[tokio::test]
async fn a_house_without_the_depot_leaves_its_dumps_to_others() {
    let ground = Ground::new().await;
    let id = ground.front.upload(DUMP).await;
    let mut local = ground.back.house.restorer.clone();
    local.dumps.depot = None;
    let Restorer { dumps, .. } = &local;
    let error = dumps
        .at_hand(&ground.front.dataset(id).await, |_| {})
        .await
        .unwrap_err();
    assert!(error.to_string().contains("PGASSAY_FILES"), "{error}");
    ground.close().await;
}

#[tokio::test]
async fn what_no_dataset_has_is_removed_from_the_depot_when_it_is_old() {
    let ground = Ground::new().await;
    ground.front.upload(DUMP).await;
    let [file] = ground.held().try_into().unwrap();
    let (young, old) = (file.with_file_name("77"), file.with_file_name("78"));
    for orphan in [&young, &old] {
        fs::copy(&file, orphan).unwrap();
    }
    let long_ago = std::time::UNIX_EPOCH;
    for path in [&file, &old] {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
    assert_eq!(ground.back.house.tidy_depot().await.unwrap(), 1);
    assert!(file.exists() && young.exists() && !old.exists());
    ground.close().await;
}

impl Ground {
    async fn close(self) {
        self.front.close().await;
        self.back.close().await;
    }
}
