//! Stories about rows: a store with people, datasets, workloads and experiments in it, and nothing that runs.

use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;

use crate::experiment::form::ExperimentForm;
use crate::experiment::schedule;
use crate::model::dataset::Compression;
use crate::model::dataset::DumpFormat;
use crate::model::dataset::NewDataset;
use crate::model::experiment::ExperimentQuery;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::JobId;
use crate::model::ids::UserId;
use crate::model::ids::WorkloadId;
use crate::model::instrument::InstrumentSpec;
use crate::model::instrument::LotteryTask;
use crate::model::instrument::Task;
use crate::model::instrument::TaskQuery;
use crate::model::job::JobKind;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::model::workload::NewWorkload;
use crate::store;
use crate::store::experiments::NewExperiment;
use crate::store::instruments::NewInstrument;
use crate::store::queue;
use crate::store::queue::Claimed;
use crate::store::queue::Reach;
use crate::testing;
use crate::workload::read;

/// The data directory that jobs of the world belong to.
pub const HOME: &str = "home";

/// A store of its own, and the local user in front of it.
pub struct World {
    pub pool: PgPool,
    pub viewer: Viewer,
}

impl World {
    pub async fn new() -> Self {
        let pool = testing::database().await;
        let viewer = store::local_viewer(&mut pool.acquire().await.unwrap()).await.unwrap();
        Self { pool, viewer }
    }

    pub async fn conn(&self) -> PoolConnection<Postgres> {
        self.pool.acquire().await.unwrap()
    }

    /// Somebody else, to whom nothing of this belongs.
    pub async fn stranger(&self) -> Viewer {
        let id = sqlx::query_scalar("insert into users (name) values ('stranger') returning id")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        Viewer::owner(UserId(id))
    }

    /// An account that can sign in, if only by a password that nobody knows.
    pub async fn account(&self, name: &str, role: Role) -> Viewer {
        store::users::insert(&mut *self.conn().await, name, role, "hash")
            .await
            .unwrap()
    }

    /// A job in the queue.
    pub async fn job(&self, kind: JobKind) -> JobId {
        store::jobs::insert(&mut *self.conn().await, self.viewer, kind, Some(HOME))
            .await
            .unwrap()
    }

    /// A dataset whose restore waits in the queue.
    pub async fn dataset(&self, name: &str) -> (DatasetId, JobId) {
        let job_id = self.job(JobKind::Restore).await;
        let new = new_dataset(name);
        let mut conn = self.conn().await;
        let id = store::datasets::new_id(&mut conn).await.unwrap();
        store::datasets::insert(&mut conn, self.viewer, id, &new, job_id)
            .await
            .unwrap();
        (id, job_id)
    }

    /// A workload of the queries in `script`.
    pub async fn workload(&self, name: &str, script: &str) -> WorkloadId {
        let new = new_workload(name, script);
        store::workloads::insert(&mut *self.conn().await, self.viewer, &new)
            .await
            .unwrap()
    }

    /// An experiment of two rounds on one query, whose job waits in the queue.
    pub async fn experiment(&self, name: &str, sources: &[&str]) -> (ExperimentId, JobId) {
        let (dataset_id, restore) = self.dataset(&format!("dataset of {name}")).await;
        store::jobs::request_cancel(&mut *self.conn().await, self.viewer, restore)
            .await
            .unwrap();
        let workload_id = self.workload(&format!("workload of {name}"), "select 1").await;
        let new = new_experiment(name, dataset_id, workload_id, sources);
        let job_id = self.job(JobKind::Experiment).await;
        let id = store::experiments::insert(&mut *self.conn().await, self.viewer, &new, job_id).await;
        (id.unwrap(), job_id)
    }

    /// A lottery over one query, whose job waits in the queue, on a dataset of its own that went by the name given.
    pub async fn instrument(&self, name: &str, dataset: Option<&str>) -> InstrumentId {
        let dataset_name = dataset.unwrap_or("its dataset");
        let (dataset_id, _) = self.dataset(&format!("dataset of {name}")).await;
        let new = NewInstrument {
            request_id: name.to_owned(),
            dataset_id,
            dataset_name: dataset_name.to_owned(),
            experiment_id: None,
            spec: lottery(),
        };
        let job_id = self.job(JobKind::Instrument).await;
        store::instruments::insert(&mut *self.conn().await, self.viewer, &new, job_id)
            .await
            .unwrap()
    }

    /// Claims the next job for a machine.
    pub async fn claim(&self, host: &str) -> Option<Claimed> {
        self.claim_of(HOME, Reach::OwnDumps, host).await
    }

    /// The same for whatever data directory.
    pub async fn claim_of(&self, home: &str, reach: Reach, host: &str) -> Option<Claimed> {
        queue::claim(&mut *self.conn().await, home, reach, host, &format!("runner on {host}"))
            .await
            .unwrap()
    }

    /// The lease of a job runs out this instant, as when its runner has died.
    pub async fn lapse(&self, job_id: JobId) {
        let done = sqlx::query("update jobs set lease_until = clock_timestamp() - interval '1 s' where id = $1")
            .bind(job_id.0)
            .execute(&self.pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
}

fn lottery() -> InstrumentSpec {
    InstrumentSpec {
        settings: Vec::new(),
        timeout_ms: 1500,
        seed: 0,
        task: Task::Lottery(LotteryTask {
            queries: vec![TaskQuery {
                label: "q1".to_owned(),
                sql: "select 1".to_owned(),
            }],
            targets: vec![10, 100],
            n_draws: 3,
            left_out: Vec::new(),
        }),
    }
}

pub fn new_dataset(name: &str) -> NewDataset {
    NewDataset {
        request_id: name.to_owned(),
        name: name.to_owned(),
        file_name: format!("{name}.sql"),
        size_bytes: 12,
        sha256: "ab".repeat(32),
        format: DumpFormat::Custom,
        compression: Compression::Zstd,
        is_in_depot: false,
    }
}

pub fn new_workload(name: &str, script: &str) -> NewWorkload {
    NewWorkload {
        request_id: name.to_owned(),
        name: name.to_owned(),
        file_name: format!("{name}.sql"),
        script: script.to_owned(),
        sha256: "cd".repeat(32),
        queries: read::read(script).unwrap(),
    }
}

pub fn new_experiment(name: &str, dataset_id: DatasetId, workload_id: WorkloadId, sources: &[&str]) -> NewExperiment {
    let form = ExperimentForm {
        dataset: dataset_id.to_string(),
        workload: workload_id.to_string(),
        stats_source: sources.iter().map(|source| (*source).to_owned()).collect(),
        iterations: "2".to_owned(),
        warm_up: "0".to_owned(),
        ..ExperimentForm::default()
    };
    let mut spec = form.parse(7).unwrap();
    spec.query_positions = vec![0];
    NewExperiment {
        request_id: name.to_owned(),
        dataset_name: "its dataset".to_owned(),
        dataset_sha256: "ab".repeat(32),
        workload_name: "its workload".to_owned(),
        workload_sha256: "cd".repeat(32),
        n_trials: schedule::schedule(&spec).len() as u64,
        queries: vec![ExperimentQuery {
            query_idx: 0,
            label: "q1".to_owned(),
            line: 1,
            sql: "select 1".to_owned(),
            class: crate::model::workload::QueryClass::Reads,
        }],
        spec,
    }
}
