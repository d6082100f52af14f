//! What people can do with benchmarks: check, launch, look, stop, delete.

use std::borrow::Cow;

use rand::TryRng as _;
use sha2::Digest as _;
use sha2::Sha256;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::auth::access;
use crate::auth::quota::QuotaKeeper;
use crate::benchmark::estimate;
use crate::benchmark::estimate::Estimate;
use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::TargetKind;
use crate::experiment::fields::FieldError;
use crate::experiment::service::LaunchError;
use crate::experiment::service::check_statistics_files;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::TargetSpec;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::quota::Quota;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::model::server::TestOutcome;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::store;
use crate::store::benchmarks::NewBenchmark;
use crate::target::open_files::OpenFiles;

/// The door to benchmarks.
#[derive(Clone)]
pub struct Benchmarks {
    pub pool: PgPool,
    pub quotas: QuotaKeeper,
}

/// A spec whose target is there.
struct Wish {
    spec: BenchmarkSpec,
    dataset_id: Option<DatasetId>,
    target_name: String,
    warnings: Vec<String>,
}

impl Benchmarks {
    /// What the form, as it stands, would take.
    pub async fn check(&self, viewer: Viewer, form: &BenchmarkForm) -> Result<Estimate, LaunchError> {
        let wish = self.wish(viewer, form, 0).await?;
        let mut estimate = estimate::estimate(&wish.spec);
        estimate.warnings.splice(0..0, wish.warnings);
        Ok(estimate)
    }

    /// Launches what the form asks for. The same form sent twice launches once.
    pub async fn launch(&self, viewer: Viewer, form: &BenchmarkForm) -> Result<BenchmarkId, LaunchError> {
        if form.request_id.is_empty() {
            return Err(refused("request_id", "The form came without its number."));
        }
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::benchmarks::find_by_request(&mut conn, viewer, &form.request_id).await? {
            return Ok(id);
        }
        drop(conn);
        let fresh_seed = rand::rngs::SysRng.try_next_u32().map_err(anyhow::Error::from)?;
        let wish = self.wish(viewer, form, u64::from(fresh_seed)).await?;
        let new = NewBenchmark {
            request_id: form.request_id.clone(),
            dataset_id: wish.dataset_id,
            configuration: configuration(&wish.spec).map_err(anyhow::Error::from)?,
            target_name: wish.target_name,
            spec: wish.spec,
        };
        let mut transaction = self.pool.begin().await?;
        let taken = self
            .quotas
            .may_take(&mut transaction, viewer.user_id, Quota::Waiting, 1);
        if let Err(refusal) = taken.await {
            // The same form, sent at the same moment, may have had the last place.
            let earlier = store::benchmarks::find_by_request(&mut transaction, viewer, &form.request_id).await?;
            return earlier.ok_or_else(|| refusal.into());
        }
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Benchmark, None).await?;
        if let Some(server_id) = new.spec.target.server_id() {
            store::jobs::set_server(&mut transaction, job_id, server_id).await?;
        }
        match store::benchmarks::insert(&mut transaction, viewer, &new, job_id).await {
            Ok(id) => {
                transaction.commit().await?;
                Ok(id)
            }
            // The same form, sent at the same moment, was quicker.
            Err(error) if store::is_duplicate(&error) => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::benchmarks::find_by_request(&mut conn, viewer, &form.request_id).await?;
                Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its benchmark"))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One benchmark; none when there is no such benchmark for this viewer.
    pub async fn get(&self, viewer: Viewer, id: BenchmarkId) -> store::Result<Option<Benchmark>> {
        let mut conn = self.pool.acquire().await?;
        store::benchmarks::get(&mut conn, viewer, id).await
    }

    /// Asks a benchmark to stop. False when there was nothing to stop.
    pub async fn stop(&self, viewer: Viewer, id: BenchmarkId) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        match store::benchmarks::get(&mut conn, viewer, id).await? {
            Some(benchmark) => store::jobs::request_cancel(&mut conn, viewer, benchmark.job.id).await,
            None => Ok(false),
        }
    }

    /// Removes a settled benchmark. False when there is none, or when it still runs.
    pub async fn delete(&self, viewer: Viewer, id: BenchmarkId) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        store::benchmarks::delete(&mut conn, viewer, id).await
    }

    async fn wish(&self, viewer: Viewer, form: &BenchmarkForm, fresh_seed: u64) -> Result<Wish, LaunchError> {
        let mut conn = self.pool.acquire().await?;
        if form.target.trim() == TargetKind::Server.word() {
            // As it is stored, so that what is launched here is what can begin, whoever has the machine.
            let account = store::users::get(&mut conn, viewer.user_id).await?;
            if !account.is_some_and(|account| access::may_account_use_servers(&account)) {
                return Err(refused("target", NOT_FOR_OTHERS));
            }
        }
        let form = with_server(&mut conn, viewer, form).await?;
        let form = form.as_ref();
        let queries = match form.workload_id() {
            Ok(Some(id)) => workload_programs(&mut conn, viewer, id).await?,
            // What is wrong with it is said beside everything else.
            Ok(None) | Err(_) => Vec::new(),
        };
        let mut errors = form.workload_id().err().map_or_else(Vec::new, |error| vec![error]);
        let spec = match form.parse(fresh_seed, &queries) {
            Ok(spec) if errors.is_empty() => spec,
            parsed => {
                errors.extend(parsed.err().into_iter().flatten());
                return Err(LaunchError::Refused(errors));
            }
        };
        let files = OpenFiles::now().map_err(anyhow::Error::from)?;
        if let Some(message) = too_many_clients(&spec, files) {
            return Err(refused("thread_counts", &message));
        }
        for (quota, asks, field) in [
            (Quota::Clients, u64::from(spec.most_clients()), "thread_counts"),
            (Quota::Load, spec.running_ms().div_ceil(1000), "test_duration"),
        ] {
            let allowed = self.quotas.may_take(&mut conn, viewer.user_id, quota, asks);
            allowed.await.map_err(|error| LaunchError::of_quota(field, error))?;
        }
        match spec.target {
            TargetSpec::Generated(generated) => Ok(Wish {
                target_name: format!("{} generated rows", grouped(generated.table_rows)),
                dataset_id: None,
                warnings: Vec::new(),
                spec,
            }),
            TargetSpec::Server { server_id, generated } => {
                let server = store::servers::get(&mut conn, viewer, server_id).await?;
                let gone = || refused("server", "This server is not registered any more. Choose another.");
                let server = server.ok_or_else(gone)?;
                Ok(Wish {
                    target_name: format!("{} rows on {}", grouped(generated.table_rows), server.name),
                    dataset_id: None,
                    warnings: warnings_of(&server, &spec),
                    spec,
                })
            }
            TargetSpec::Dataset { dataset_id } => {
                let dataset = store::datasets::get(&mut conn, viewer, dataset_id).await?;
                let dataset = dataset.ok_or_else(|| refused("dataset", "This dataset is gone. Choose another."))?;
                let mut warnings = Vec::new();
                match dataset.job.status {
                    JobStatus::Failed | JobStatus::Cancelled => {
                        return Err(refused(
                            "dataset",
                            &format!("The restore of {} has {}.", dataset.name, dataset.job.status.word()),
                        ));
                    }
                    JobStatus::Queued | JobStatus::Running => warnings.push(format!(
                        "The dataset {} is still being restored; the benchmark will wait.",
                        dataset.name
                    )),
                    JobStatus::Completed => {}
                }
                check_statistics_files(&mut conn, viewer, &dataset, &spec.sources).await?;
                Ok(Wish {
                    target_name: dataset.name,
                    dataset_id: Some(dataset_id),
                    warnings,
                    spec,
                })
            }
        }
    }
}

/// Whoever asks may have been an admin once, and have registered some.
const NOT_FOR_OTHERS: &str =
    "Registered servers are for admins, and you are none. Choose generated rows or a dataset, or ask an admin.";

/// On what is not a registered server: it mostly runs on this machine, and each client is a process there.
pub const MOST_IN_SANDBOX: u32 = 2_000;

/// Why so many clients cannot be; none where they can. How many files other workers may open, they know themselves.
fn too_many_clients(spec: &BenchmarkSpec, files: OpenFiles) -> Option<String> {
    let n_clients = spec.most_clients();
    if spec.target.server_id().is_none() && n_clients > MOST_IN_SANDBOX {
        return Some(format!(
            "{} clients are too many for tables and copies that pgassay makes. Choose at most {}, or put a registered server \
             under load.",
            grouped(u64::from(n_clients)),
            grouped(u64::from(MOST_IN_SANDBOX))
        ));
    }
    (spec.generators.is_here() && u64::from(n_clients) > files.clients()).then(|| {
        format!(
            "{} clients need as many open files, and pgassay may have {}. Choose at most {} clients, or raise the limit \
             (ulimit -Hn) before pgassay starts.",
            grouped(u64::from(n_clients)),
            grouped(files.limit),
            grouped(files.clients())
        )
    })
}

/// What is known of a server that speaks against a benchmark on it.
fn warnings_of(server: &RegisteredServer, spec: &BenchmarkSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if matches!(server.password, PasswordSource::Secret(_)) && spec.connection == ConnectionMode::PerTransaction {
        warnings.push(
            "The password comes from a secret before each connection; with a new connection for each transaction that is part \
             of its latency."
                .to_owned(),
        );
    }
    let report = match server.last_test.as_ref().map(|test| &test.outcome) {
        Some(TestOutcome::Reached(report)) => report,
        Some(TestOutcome::Failed { .. }) => {
            warnings.push(format!("{} could not be reached when it was tested last.", server.name));
            return warnings;
        }
        None => return warnings,
    };
    if report.may_create == Some(false) || report.is_replica == Some(true) {
        warnings.push(format!(
            "As {} was tested last, no schema could be made there; its page says why.",
            server.name
        ));
    }
    if let Some(why) = report.too_few_connections(spec.most_clients()) {
        warnings.push(format!(
            "When it was tested last, {} {why}: too few for {} clients.",
            server.name,
            spec.most_clients()
        ));
    }
    warnings
}

fn refused(field: &str, message: &str) -> LaunchError {
    LaunchError::Refused(vec![FieldError::new(field, message)])
}

/// The form with the number of the server that it calls by name.
async fn with_server<'a>(
    conn: &mut PgConnection,
    viewer: Viewer,
    form: &'a BenchmarkForm,
) -> Result<Cow<'a, BenchmarkForm>, LaunchError> {
    let given = form.server.trim();
    if form.target.trim() != TargetKind::Server.word() || given.is_empty() {
        return Ok(Cow::Borrowed(form));
    }
    match store::servers::find_by_name(conn, viewer, given).await? {
        Some(server) => Ok(Cow::Owned(BenchmarkForm {
            server: server.id.to_string(),
            ..form.clone()
        })),
        None if given.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Cow::Borrowed(form)),
        None => Err(refused(
            "server",
            &format!("There is no registered server called {given}."),
        )),
    }
}

/// The queries of a workload that can run, each a program of its own.
async fn workload_programs(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: WorkloadId,
) -> Result<Vec<ProgramText>, LaunchError> {
    let gone = || refused("workload", "This workload is gone. Choose another.");
    let workload = store::workloads::get(&mut *conn, viewer, id).await?.ok_or_else(gone)?;
    let queries = store::workloads::list_queries(conn, viewer, workload.id).await?;
    let can_run = queries.into_iter().filter(|query| query.class != QueryClass::Refused);
    let programs: Vec<ProgramText> = can_run
        .map(|query| ProgramText {
            name: query.label,
            text: query.sql,
            weight: 1,
            is_plain_sql: true,
        })
        .collect();
    if programs.is_empty() {
        return Err(refused("workload", "No query of this workload can be run."));
    }
    Ok(programs)
}

/// A name for all that ask for the same, whatever their seeds.
fn configuration(spec: &BenchmarkSpec) -> serde_json::Result<String> {
    let same = BenchmarkSpec {
        seed: 0,
        ..spec.clone()
    };
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(&same)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::benchmark::GeneratedSpec;
    use crate::model::benchmark::Generators;
    use crate::model::benchmark::Loading;
    use crate::model::ids::ServerId;

    #[test]
    fn clients_beyond_what_can_be_connected_are_refused_with_how_many_there_may_be() {
        let spec = |n_clients: u32, generators, target: &TargetSpec| BenchmarkSpec {
            n_clients: vec![1, n_clients],
            generators,
            target: target.clone(),
            ..BenchmarkForm::default().parse(7, &[]).unwrap()
        };
        let generated = GeneratedSpec {
            table_rows: 1_000,
            batch_size: 100,
            loading: Loading::Copy,
        };
        let here = TargetSpec::Generated(generated);
        let there = TargetSpec::Server {
            server_id: ServerId(1),
            generated,
        };
        let files = OpenFiles {
            limit: 1024,
            ceiling: 4096,
        };
        let said = |n_clients, generators, target| too_many_clients(&spec(n_clients, generators, target), files);
        assert_eq!(said(768, Generators::Here, &here), None);
        let refused = said(769, Generators::Here, &there).unwrap();
        assert!(refused.contains("at most 768 clients"), "{refused}");
        assert_eq!(said(10_000, Generators::All, &there), None);
        let refused = said(2_001, Generators::All, &here).unwrap();
        assert!(refused.contains("at most 2\u{2009}000"), "{refused}");
    }
}
