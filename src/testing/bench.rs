//! A whole house in a directory of its own, with a real store and real sandboxes, that works when it is told to.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use sqlx::ConnectOptions as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use crate::app::house::House;
use crate::app::worker;
use crate::cluster;
use crate::config::HouseConfig;
use crate::config::LimitsConfig;
use crate::experiment::form::ExperimentForm;
use crate::model::dataset::Dataset;
use crate::model::dataset::RestoreNote;
use crate::model::experiment::Experiment;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanRecord;
use crate::model::experiment::PlanText;
use crate::model::experiment::SummaryRecord;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::model::snapshot::Snapshot;
use crate::model::trial::RecordedTrial;
use crate::store;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::testing;
use crate::testing::belongings;
use crate::workload::service::NewScript;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A house with nothing in it.
pub struct Bench {
    pub house: Box<House>,
    /// What it was opened by.
    pub config: HouseConfig,
    n_requests: std::cell::Cell<u32>,
}

impl Bench {
    pub async fn open() -> Self {
        Self::open_on(testing::pg_bindir()).await
    }

    /// A house whose sandboxes run the server programs of a directory.
    pub async fn open_on(pg_bindir: Option<PathBuf>) -> Self {
        Self::open_with(pg_bindir, testing::database_url().await, None).await
    }

    /// A house as another machine has it that uses the same store and the same depot.
    pub async fn open_beside(database_url: &str, depot: &Path) -> Self {
        let files = format!("file://{}", depot.display());
        Self::open_with(testing::pg_bindir(), database_url.to_owned(), Some(files)).await
    }

    async fn open_with(pg_bindir: Option<PathBuf>, database_url: String, files: Option<String>) -> Self {
        let config = HouseConfig {
            data_dir: belongings::dir(),
            database_url: Some(database_url),
            sandbox_url: None,
            files,
            pg_bindir,
            key_file: None,
            secrets_dir: None,
            server_hosts: Vec::new(),
            limits: LimitsConfig {
                max_upload_bytes: 1 << 30,
                max_expanded_bytes: 1 << 30,
                max_database_bytes: 1 << 30,
                max_objects: 50_000,
                max_restore_minutes: 5,
                disk_reserve_bytes: Some(0),
            },
        };
        Self {
            house: Box::new(House::open(&config).await.unwrap()),
            config,
            n_requests: std::cell::Cell::new(0),
        }
    }

    fn request_id(&self) -> String {
        self.n_requests.set(self.n_requests.get() + 1);
        format!("request {}", self.n_requests.get())
    }

    /// Does everything that waits in the queue.
    pub async fn work(&self) {
        worker::work_off(&self.house).await;
    }

    /// Uploads a dump, and restores it, well or not.
    pub async fn restore(&self, dump: &[u8]) -> Dataset {
        let id = self.upload(dump).await;
        self.work().await;
        self.dataset(id).await
    }

    /// Uploads a dump.
    pub async fn upload(&self, dump: &[u8]) -> DatasetId {
        let bytes = Bytes::copy_from_slice(dump);
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let arrived = self.house.datasets.receive(stream).await.unwrap();
        let request_id = self.request_id();
        self.house
            .datasets
            .add(self.house.viewer, arrived, "", "dump.sql", &request_id)
            .await
            .unwrap()
    }

    /// A dataset of a dump that must be all right.
    pub async fn restored(&self, dump: &str) -> DatasetId {
        let dataset = self.restore(dump.as_bytes()).await;
        assert_eq!(dataset.job.status, JobStatus::Completed, "{:?}", dataset.job.message);
        dataset.id
    }

    pub async fn dataset(&self, id: DatasetId) -> Dataset {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::datasets::get(&mut conn, self.house.viewer, id)
            .await
            .unwrap()
            .unwrap()
    }

    /// The restore log.
    pub async fn notes(&self, id: DatasetId) -> Vec<RestoreNote> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::restores::list_notes(&mut conn, self.house.viewer, id)
            .await
            .unwrap()
    }

    /// Returns when the restore of a dataset is running.
    pub async fn restoring(&self, id: DatasetId) {
        let look = async {
            while self.dataset(id).await.job.stage != "restoring" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    pub async fn workload(&self, script: &str) -> WorkloadId {
        let script = NewScript {
            request_id: self.request_id(),
            name: String::new(),
            file_name: "queries.sql".to_owned(),
            bytes: script.as_bytes().to_vec(),
        };
        self.house.workloads.add(self.house.viewer, script).await.unwrap()
    }

    /// Queues an experiment of two rounds without warm-up, as `change` would have it.
    pub async fn launch(
        &self,
        dataset_id: DatasetId,
        queries: &str,
        sources: &[&str],
        change: impl FnOnce(&mut ExperimentForm),
    ) -> ExperimentId {
        let mut form = ExperimentForm {
            request_id: self.request_id(),
            dataset: dataset_id.to_string(),
            workload: self.workload(queries).await.to_string(),
            stats_source: sources.iter().map(|source| (*source).to_owned()).collect(),
            iterations: "2".to_owned(),
            warm_up: "0".to_owned(),
            ..ExperimentForm::default()
        };
        change(&mut form);
        self.house.experiments.launch(self.house.viewer, &form).await.unwrap()
    }

    pub async fn experiment(&self, id: ExperimentId) -> Experiment {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::experiments::get(&mut conn, self.house.viewer, id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Returns when so many trials of a running experiment are stored.
    pub async fn recorded(&self, id: ExperimentId, n_trials: u64) {
        let look = async {
            while self.experiment(id).await.n_recorded < n_trials {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    /// An experiment that has run to its end.
    pub async fn finished(&self, id: ExperimentId) -> Experiment {
        self.work().await;
        let experiment = self.experiment(id).await;
        assert_eq!(
            experiment.job.status,
            JobStatus::Completed,
            "{:?}",
            experiment.job.message
        );
        experiment
    }

    pub async fn trials(&self, id: ExperimentId) -> Vec<RecordedTrial> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::trials::list(&mut conn, self.house.viewer, id, None)
            .await
            .unwrap()
    }

    pub async fn summaries(&self, id: ExperimentId) -> Vec<SummaryRecord> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::summaries::list(&mut conn, self.house.viewer, id).await.unwrap()
    }

    pub async fn plans(&self, id: ExperimentId) -> Vec<PlanRecord> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        let viewer = self.house.viewer;
        let outlines = store::plans::list_outlines(&mut conn, viewer, id).await.unwrap();
        let texts = store::plans::list_texts(&mut conn, viewer, id, None).await.unwrap();
        let whole = |(outline, text): (PlanOutline, PlanText)| PlanRecord {
            source_idx: outline.source_idx,
            query_idx: outline.query_idx,
            explain: text.explain,
            analyzed: text.analyzed,
            fingerprint: outline.fingerprint,
            cost: outline.cost,
            buffers: outline.buffers,
            worst_q_error: outline.worst_q_error,
            mean_q_error: outline.mean_q_error,
            estimates: outline.estimates,
            message: outline.message,
        };
        outlines.into_iter().zip(texts).map(whole).collect()
    }

    /// The snapshots of a prepared experiment, in the order of its sources.
    pub async fn snapshots(&self, id: ExperimentId) -> Vec<Snapshot> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        let stored = store::sources::list_snapshots(&mut conn, id).await.unwrap();
        stored.into_iter().map(|prepared| prepared.unwrap().0).collect()
    }

    pub async fn sandbox(&self, id: DatasetId) -> Sandbox {
        self.house.sandboxes.start(id).await.unwrap()
    }

    /// A superuser's session of somebody else in the sandbox of a dataset, which is running.
    pub async fn intrude(&self, id: DatasetId) -> PgConnection {
        let data_dir = self.house.layout.sandboxes().join(id.to_string());
        let lock_file = std::fs::read_to_string(data_dir.join("postmaster.pid")).unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .socket(lock_file.lines().nth(4).unwrap())
            .port(cluster::PORT)
            .username(cluster::SUPERUSER)
            .database("postgres")
            .application_name("psql");
        options.connect().await.unwrap()
    }

    /// Asks a copy of the dataset, as superuser, for one value as text.
    pub async fn ask(&self, id: DatasetId, sql: &'static str) -> Option<String> {
        let sandbox = self.sandbox(id).await;
        let mut admin = open_clone(&sandbox, "asked").await;
        let answer = sqlx::query_scalar(sql).fetch_one(&mut admin.conn).await.unwrap();
        admin.close().await;
        sandbox.stop().await.unwrap();
        answer
    }

    /// The databases of a sandbox that are ours.
    pub async fn databases(&self, id: DatasetId) -> Vec<String> {
        let sandbox = self.sandbox(id).await;
        let mut admin = Admin::connect(&sandbox.address, "postgres").await.unwrap();
        let names = clone::list(&mut admin).await.unwrap();
        admin.close().await;
        sandbox.stop().await.unwrap();
        names
    }

    pub async fn close(self) {
        self.house.close(crate::app::house::Guests::Leave).await.unwrap();
    }
}

/// A superuser session in a new clone of the sandbox's dataset.
pub async fn open_clone(sandbox: &Sandbox, name: &str) -> Admin {
    let mut server = Admin::connect(&sandbox.address, "postgres").await.unwrap();
    let template = clone::template_name(sandbox.tenant);
    clone::create(&mut server, &sandbox.room, &template, name)
        .await
        .unwrap();
    server.close().await;
    Admin::connect(&sandbox.address, name).await.unwrap()
}
