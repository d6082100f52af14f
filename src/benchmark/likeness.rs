//! An earlier benchmark as a form to be changed and run again: filled in with everything that is still there, and a word at
//! each field whose thing is gone.

use sqlx::PgConnection;

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::TargetKind;
use crate::benchmark::operations;
use crate::benchmark::operations::Shape;
use crate::experiment::fields::FieldError;
use crate::experiment::fields::duration;
use crate::experiment::form::ExperimentForm;
use crate::experiment::form::like;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::MixSpec;
use crate::model::benchmark::Operation;
use crate::model::benchmark::Pace;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::TargetSpec;
use crate::model::ids::BenchmarkId;
use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::store;
use crate::store::Result;

/// The form of an earlier benchmark.
#[derive(Clone, Debug)]
pub struct Likeness {
    pub id: BenchmarkId,
    pub form: BenchmarkForm,
    /// What has to be chosen anew.
    pub missing: Vec<FieldError>,
}

/// The form that asks for what a benchmark did; none when there is no such benchmark for this viewer.
pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: BenchmarkId) -> Result<Option<Likeness>> {
    let Some(benchmark) = store::benchmarks::get(&mut *conn, viewer, id).await? else {
        return Ok(None);
    };
    let mut likeness = Likeness {
        id,
        form: BenchmarkForm::like(&benchmark.spec),
        missing: Vec::new(),
    };
    dataset(&benchmark, &mut likeness);
    server(conn, viewer, &benchmark, &mut likeness).await?;
    if benchmark.spec.mix.operation == Operation::Workload {
        workload(conn, viewer, &benchmark, &mut likeness).await?;
    }
    Ok(Some(likeness))
}

fn dataset(benchmark: &Benchmark, likeness: &mut Likeness) {
    let is_on_dataset = matches!(benchmark.spec.target, TargetSpec::Dataset { .. });
    if is_on_dataset && benchmark.dataset_id.is_none() {
        likeness.form.dataset.clear();
        let message = format!("The dataset {} was deleted. Choose another.", benchmark.target_name);
        likeness.missing.push(FieldError::new("dataset", message));
    }
}

async fn server(conn: &mut PgConnection, viewer: Viewer, benchmark: &Benchmark, likeness: &mut Likeness) -> Result<()> {
    let Some(id) = benchmark.spec.target.server_id() else {
        return Ok(());
    };
    if store::servers::get(conn, viewer, id).await?.is_none() {
        likeness.form.server.clear();
        let message = format!(
            "The server of {} is not registered any more. Choose another.",
            benchmark.target_name
        );
        likeness.missing.push(FieldError::new("server", message));
    }
    Ok(())
}

/// The workload whose queries ran: its name is not kept, but they are.
async fn workload(
    conn: &mut PgConnection,
    viewer: Viewer,
    benchmark: &Benchmark,
    likeness: &mut Likeness,
) -> Result<()> {
    for workload in store::workloads::list(conn, viewer).await? {
        if same_queries(conn, viewer, workload.id, &benchmark.spec.mix.programs).await? {
            likeness.form.workload = workload.id.to_string();
            return Ok(());
        }
    }
    let message = "None of the workloads here holds the queries that ran. Choose another.";
    likeness.missing.push(FieldError::new("workload", message));
    Ok(())
}

async fn same_queries(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: WorkloadId,
    programs: &[ProgramText],
) -> Result<bool> {
    let queries = store::workloads::list_queries(conn, viewer, id).await?;
    let is_there = |program: &ProgramText| {
        let mut queries = queries.iter();
        queries.any(|query| query.label == program.name && query.sql == program.text)
    };
    Ok(programs.iter().all(is_there))
}

impl BenchmarkForm {
    /// The form that asks for the same as a spec, but for its workload, which a spec does not name.
    pub fn like(spec: &BenchmarkSpec) -> Self {
        // Whole, so that a new field cannot be forgotten here.
        let BenchmarkSpec {
            target,
            mix,
            sources,
            n_clients,
            duration_ms,
            warm_up_ms,
            pace,
            protocol,
            connection,
            max_tries,
            max_errors,
            statement_timeout_ms,
            autovacuum,
            settings,
            seed,
            generators,
            is_quick,
            objective,
        } = spec;
        let some = |number: &Option<String>| number.clone().unwrap_or_default();
        let (rate, latency_limit) = match pace {
            Pace::Closed => (None, None),
            Pace::Rate {
                per_s,
                latency_limit_ms,
            } => (Some(per_s.to_string()), latency_limit_ms.map(|ms| ms.to_string())),
        };
        let n_clients: Vec<String> = n_clients.iter().map(u32::to_string).collect();
        let mut form = Self {
            thread_counts: n_clients.join(", "),
            test_duration: duration(*duration_ms),
            warm_up: duration(*warm_up_ms),
            rate: some(&rate),
            latency_limit: some(&latency_limit),
            protocol: protocol.word().to_owned(),
            connection: connection.word().to_owned(),
            max_tries: max_tries.to_string(),
            max_errors: some(&max_errors.map(|n| n.to_string())),
            statement_timeout: match statement_timeout_ms {
                0 => String::new(),
                ms => duration(*ms),
            },
            autovacuum: *autovacuum,
            settings: like::lines(settings),
            seed: seed.to_string(),
            workers: generators.word().to_owned(),
            quick: *is_quick,
            objective: some(&objective.map(|objective| objective.to_string())),
            sources: ExperimentForm {
                stats_source: sources
                    .iter()
                    .filter(|source| source.draw.is_none_or(|n| n == 1))
                    .map(like::in_one_word)
                    .collect(),
                ..ExperimentForm::default()
            },
            ..Self::default()
        };
        match target {
            TargetSpec::Generated(_) => TargetKind::Generated.word().clone_into(&mut form.target),
            TargetSpec::Dataset { dataset_id } => {
                TargetKind::Dataset.word().clone_into(&mut form.target);
                form.dataset = dataset_id.to_string();
            }
            TargetSpec::Server { server_id, .. } => {
                TargetKind::Server.word().clone_into(&mut form.target);
                form.server = server_id.to_string();
            }
        }
        if let Some(generated) = target.generated() {
            form.table_rows = generated.table_rows.to_string();
            form.batch_size = generated.batch_size.to_string();
            generated.loading.word().clone_into(&mut form.loading);
        }
        form.ask_for(mix);
        form
    }

    fn ask_for(&mut self, mix: &MixSpec) {
        let shape = shape(mix);
        mix.keys.word().clone_into(&mut self.keys);
        self.read_percent = shape.read_percent.to_string();
        self.insert_rows = shape.insert_rows.to_string();
        let is_as_ever = match operations::programs(mix.operation, shape) {
            Some(programs) => programs == mix.programs,
            None => mix.operation == Operation::Workload,
        };
        if is_as_ever {
            mix.operation.word().clone_into(&mut self.operation);
            return;
        }
        // Also what an operation of an earlier pgassay was made of.
        Operation::Programs.word().clone_into(&mut self.operation);
        let given = mix.programs.iter().map(|program| GivenProgram {
            name: program.name.clone(),
            weight: program.weight.to_string(),
            text: program.text.clone(),
        });
        self.programs = given.collect();
    }
}

/// What was chosen beside the operation, as its programs tell; as usual where they do not.
fn shape(mix: &MixSpec) -> Shape {
    let reads = mix
        .programs
        .iter()
        .find(|program| program.name == Operation::PointRead.word());
    let n_rows = match mix.programs.first() {
        Some(program) if mix.operation == Operation::Insert => program.text.matches("(:client_id").count(),
        _ => 10,
    };
    Shape {
        keys: mix.keys,
        read_percent: match mix.operation {
            Operation::ReadWrite => reads.map_or(0, |program| program.weight),
            _ => 80,
        },
        insert_rows: u32::try_from(n_rows).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::server::PasswordSource;
    use crate::model::server::ShownPlace;
    use crate::store::servers::NewServer;
    use crate::testing::world::World;

    /// What the form makes of the spec of `form`, which has to ask for the same.
    fn again(form: &BenchmarkForm, queries: &[ProgramText]) -> BenchmarkForm {
        let spec = form.parse(7, queries).unwrap();
        let like = BenchmarkForm::like(&spec);
        assert_eq!(like.parse(8, queries), Ok(spec), "{like:?}");
        like
    }

    #[test]
    fn a_form_filled_in_like_a_benchmark_asks_for_the_same() {
        for operation in Operation::ALL {
            if matches!(operation, Operation::Workload | Operation::Programs) {
                continue;
            }
            let unusual = BenchmarkForm {
                operation: operation.word().to_owned(),
                table_rows: "123456".to_owned(),
                batch_size: "7".to_owned(),
                loading: "insert".to_owned(),
                keys: "zipf".to_owned(),
                read_percent: "35".to_owned(),
                insert_rows: "3".to_owned(),
                thread_counts: "1..7 step 3, 2".to_owned(),
                test_duration: "1500ms".to_owned(),
                warm_up: "0".to_owned(),
                rate: "12.5".to_owned(),
                latency_limit: "100".to_owned(),
                protocol: "simple".to_owned(),
                connection: "per_transaction".to_owned(),
                max_tries: "4".to_owned(),
                max_errors: "50".to_owned(),
                statement_timeout: "2s".to_owned(),
                autovacuum: false,
                settings: "work_mem = '64MB'".to_owned(),
                seed: u64::MAX.to_string(),
                quick: true,
                objective: "p99.9<1.5s".to_owned(),
                ..BenchmarkForm::default()
            };
            assert_eq!(again(&unusual, &[]).operation, operation.word());
        }
        again(&BenchmarkForm::default(), &[]);
    }

    #[test]
    fn programs_and_sources_are_kept_as_they_were() {
        let form = BenchmarkForm {
            target: "dataset".to_owned(),
            dataset: "3".to_owned(),
            operation: "programs".to_owned(),
            programs: vec![
                GivenProgram {
                    name: "reads".to_owned(),
                    weight: "9".to_owned(),
                    text: "select 1;\n".to_owned(),
                },
                GivenProgram {
                    text: "select 2;".to_owned(),
                    ..GivenProgram::default()
                },
            ],
            sources: ExperimentForm {
                stats_source: vec!["none".to_owned(), "random_targets:seed=4".to_owned()],
                ..ExperimentForm::default()
            },
            ..BenchmarkForm::default()
        };
        assert_eq!(again(&form, &[]).programs[1].name, "program 2");
    }

    #[tokio::test]
    async fn a_server_is_asked_for_by_name_and_missed_when_it_is_gone() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let server_id = store::servers::next_id(&mut conn).await.unwrap();
        let new = NewServer {
            name: "prod".to_owned(),
            place: ShownPlace {
                host: "h".to_owned(),
                port: 5432,
                database: "d".to_owned(),
                user: "me".to_owned(),
                tls_mode: "prefer".to_owned(),
            },
            password: PasswordSource::None,
            sealed: Vec::new(),
        };
        store::servers::insert(&mut conn, world.viewer, server_id, &new)
            .await
            .unwrap();
        let form = BenchmarkForm {
            request_id: "r".to_owned(),
            target: "server".to_owned(),
            server: "prod".to_owned(),
            ..BenchmarkForm::default()
        };
        let id = world.benchmark(&form).await;
        let likeness = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(likeness.form.server, server_id.to_string());
        assert_eq!(likeness.form.target, "server");
        again(&likeness.form, &[]);
        let waiting = store::servers::delete(&mut conn, world.viewer, server_id).await;
        assert!(!waiting.unwrap(), "its benchmark waits");
        let job = store::benchmarks::get(&mut conn, world.viewer, id)
            .await
            .unwrap()
            .unwrap()
            .job;
        assert!(
            store::jobs::request_cancel(&mut conn, world.viewer, job.id)
                .await
                .unwrap()
        );
        assert!(
            store::servers::delete(&mut conn, world.viewer, server_id)
                .await
                .unwrap()
        );
        let likeness = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(likeness.missing[0].field, "server");
        assert!(
            likeness.missing[0].message.contains("on prod"),
            "{:?}",
            likeness.missing
        );
    }

    #[test]
    fn a_server_takes_neither_workloads_nor_sources_and_says_why() {
        let form = BenchmarkForm {
            target: "server".to_owned(),
            server: "1".to_owned(),
            operation: "workload".to_owned(),
            ..BenchmarkForm::default()
        };
        let errors = form.parse(7, &[]).unwrap_err();
        assert!(errors[0].message.contains("only there are the tables"), "{errors:?}");
        let mut form = BenchmarkForm {
            operation: "point_read".to_owned(),
            ..form
        };
        assert!(form.parse(7, &[]).is_ok());
        form.sources.stats_source = vec!["none".to_owned()];
        assert_eq!(form.parse(7, &[]).unwrap_err()[0].field, "stats_source");
        form.server.clear();
        assert_eq!(form.parse(7, &[]).unwrap_err()[0].field, "server");
    }

    #[tokio::test]
    async fn a_workload_is_found_again_by_its_queries_and_missed_when_they_changed() {
        let world = World::new().await;
        let (dataset_id, _) = world.dataset("shop").await;
        let other = world.workload("other", "select 3").await;
        let workload = world.workload("w", "select 1; select 2;").await;
        let form = BenchmarkForm {
            request_id: "r".to_owned(),
            target: "dataset".to_owned(),
            dataset: dataset_id.to_string(),
            operation: "workload".to_owned(),
            workload: workload.to_string(),
            ..BenchmarkForm::default()
        };
        let id = world.benchmark(&form).await;
        let mut conn = world.conn().await;
        let likeness = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(likeness.form.workload, workload.to_string());
        assert!(likeness.missing.is_empty());
        assert_ne!(workload, other);
        sqlx::query("update workload_queries set sql = 'select 9' where workload_id = $1")
            .bind(workload.0)
            .execute(&world.pool)
            .await
            .unwrap();
        let likeness = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(likeness.missing[0].field, "workload");
        let stranger = world.stranger().await;
        assert!(load(&mut conn, stranger, id).await.unwrap().is_none());
    }
}
