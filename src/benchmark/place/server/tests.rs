//! Benchmarks on a registered server, from the form to the schema that is gone.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::PgConnection;

use crate::auth::administration;
use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::experiment::service::LaunchError;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::destination::Destinations;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::server::form::ServerForm;
use crate::store::benchmarks;
use crate::store::levels;
use crate::store::servers;
use crate::store::users;
use crate::testing;
use crate::testing::bench::Bench;
use crate::testing::bench::PATIENCE;
use crate::testing::foreign::foreign;

/// A database of its own on the server of others, in which a role with few rights may make schemas.
struct Theirs {
    bench: Bench,
    admin: PgConnection,
}

impl Theirs {
    async fn open(rights: &str) -> Self {
        static N_DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("load_{}", N_DATABASES.fetch_add(1, Ordering::Relaxed));
        let foreign = foreign();
        let options = |database: &str| testing::options(&foreign.socket_dir, database).port(foreign.port);
        let mut admin = options("postgres").connect().await.unwrap();
        let sql = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        let sql = AssertSqlSafe(format!("grant {rights} on database {name} to scrammer"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        let bench = Bench::open().await;
        let form = ServerForm {
            name: "theirs".to_owned(),
            address: foreign.url("scrammer", &format!("dbname={name}&sslmode=require")),
            secret: String::new(),
        };
        bench.house.servers.add(bench.house.viewer, &form).await.unwrap();
        let admin = options(&name).connect().await.unwrap();
        Self { bench, admin }
    }

    async fn launch(&self, form: &BenchmarkForm) -> BenchmarkId {
        self.bench
            .house
            .benchmarks
            .launch(self.bench.house.viewer, form)
            .await
            .unwrap()
    }

    async fn stored(&self, id: BenchmarkId) -> (Benchmark, Vec<LevelRecord>) {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        let viewer = self.bench.house.viewer;
        let benchmark = benchmarks::get(&mut conn, viewer, id).await.unwrap().unwrap();
        (benchmark, levels::list(&mut conn, viewer, id).await.unwrap())
    }

    /// Schemas that are ours, there and in the store.
    async fn schemas(&mut self) -> (Vec<String>, i64) {
        let there =
            sqlx::query_scalar("select nspname::text from pg_namespace where nspname like 'pgassay%' order by 1");
        let there = there.fetch_all(&mut self.admin).await.unwrap();
        let noted = sqlx::query_scalar("select count(*) from server_schemas");
        (there, noted.fetch_one(&self.bench.house.pool).await.unwrap())
    }

    async fn close(self) {
        self.bench.close().await;
    }
}

/// One second each on a thousand rows.
fn quick(operation: &str, thread_counts: &str) -> BenchmarkForm {
    BenchmarkForm {
        target: "server".to_owned(),
        server: "theirs".to_owned(),
        operation: operation.to_owned(),
        ..testing::benchmarks::quick(thread_counts)
    }
}

#[tokio::test]
async fn levels_run_in_a_schema_of_ours_that_is_gone_behind_them() {
    let mut theirs = Theirs::open("create").await;
    let id = theirs.launch(&quick("tpcb_like", "1, 2")).await;
    let pool = theirs.bench.house.pool.clone();
    // A kill in an earlier run left this.
    let sql = "insert into server_schemas select s.id, 'pgassay_old', j.id, 99 from servers s, jobs j";
    sqlx::query(sql).execute(&pool).await.unwrap();
    let sql = "create schema pgassay_old authorization scrammer; create table pgassay_old.t (a int)";
    sqlx::raw_sql(sql).execute(&mut theirs.admin).await.unwrap();

    theirs.bench.work().await;
    let (benchmark, levels) = theirs.stored(id).await;
    assert_eq!(
        benchmark.job.status,
        JobStatus::Completed,
        "{:?}",
        benchmark.job.message
    );
    assert_eq!(benchmark.target_name, "1\u{2009}000 rows on theirs");
    assert_eq!(levels.len(), 2);
    for level in &levels {
        assert_eq!(level.status, LevelStatus::Finished);
        assert!(
            level.totals.n_transactions > 0 && level.totals.n_failed == 0,
            "{level:?}"
        );
    }
    let load = benchmark.load.unwrap();
    assert_eq!(load.n_rows, 1000 + 10 + 1);
    assert!(load.size_bytes > 100_000, "{load:?}");
    let told = |name: &str| {
        benchmark
            .environment
            .iter()
            .find(|fact| fact.name == name)
            .map(|fact| &*fact.value)
    };
    assert_eq!((told("connection"), told("autovacuum")), (Some("with TLS"), Some("on")));
    assert!(told("round trip to the server").is_some());
    let viewer = theirs.bench.house.viewer;
    let seconds = levels::list_seconds(&mut pool.acquire().await.unwrap(), viewer, id)
        .await
        .unwrap();
    let commits: i64 = seconds
        .iter()
        .filter_map(|second| second.server.as_ref()?.commits)
        .sum();
    let wal: i64 = seconds
        .iter()
        .filter_map(|second| second.server.as_ref()?.wal_bytes)
        .sum();
    assert!(commits > 0 && wal > 0, "{seconds:?}");
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));

    let everything: String = sqlx::query_scalar(
        "select concat(array_agg(b::text), (select array_agg(j::text) from jobs j), (select array_agg(l::text) from benchmark_levels l))
         from benchmarks b",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(
        !everything.contains("ssword") && !everything.contains("scrammer"),
        "{everything}"
    );
    theirs.close().await;
}

#[tokio::test]
async fn what_a_server_does_not_allow_is_said_before_anything_is_made() {
    let mut theirs = Theirs::open("connect").await;
    let id = theirs.launch(&quick("point_read", "1")).await;
    theirs.bench.work().await;
    let (benchmark, levels) = theirs.stored(id).await;
    let message = benchmark.job.message.unwrap();
    assert_eq!(benchmark.job.status, JobStatus::Failed);
    assert!(message.contains("grant create on database"), "{message}");
    assert!(levels.is_empty());

    let sql = "do $$ begin execute format('grant create on database %I to scrammer', current_database()); end $$";
    sqlx::raw_sql(sql).execute(&mut theirs.admin).await.unwrap();
    let mut many = quick("point_read", "500");
    many.request_id = "many".to_owned();
    let id = theirs.launch(&many).await;
    theirs.bench.work().await;
    let message = theirs.stored(id).await.0.job.message.unwrap();
    assert!(message.contains("too few for 500 clients"), "{message}");
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));
    theirs.close().await;
}

/// Two clients that wait in the middle of a transaction, for an hour.
fn slow() -> BenchmarkForm {
    BenchmarkForm {
        programs: vec![GivenProgram {
            name: "slow".to_owned(),
            weight: String::new(),
            text: "update pgbench_accounts set abalance = 1 where aid = :client_id + 1;\nselect pg_sleep(600);\n"
                .to_owned(),
        }],
        test_duration: "1h".to_owned(),
        ..quick("programs", "2")
    }
}

/// Works, and does this as soon as there is load.
async fn work_and(bench: &Bench, act: impl Future<Output = ()>) {
    let acting = async {
        loop {
            let sql = "select exists (select from benchmark_seconds)";
            if sqlx::query_scalar(sql).fetch_one(&bench.house.pool).await.unwrap() {
                break;
            }
            tokio::task::yield_now().await;
        }
        act.await;
    };
    let both = Box::pin(async { tokio::join!(bench.work(), acting) });
    tokio::time::timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn the_schema_goes_when_a_benchmark_is_stopped_in_the_middle_of_a_statement() {
    let mut theirs = Theirs::open("create").await;
    let id = theirs.launch(&slow()).await;
    let house = &theirs.bench.house;
    let stop = async { assert!(house.benchmarks.stop(house.viewer, id).await.unwrap()) };
    work_and(&theirs.bench, stop).await;
    let (benchmark, levels) = theirs.stored(id).await;
    assert_eq!(benchmark.job.status, JobStatus::Cancelled);
    assert_eq!(levels[0].status, LevelStatus::Stopped);
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));
    theirs.close().await;
}

#[tokio::test]
async fn who_is_no_admin_any_more_puts_no_load_on_the_servers_that_they_registered() {
    let mut theirs = Theirs::open("create").await;
    // Where there are accounts, whoever runs pgassay says where servers may be.
    theirs.bench.house.servers.listed = Some(Destinations::anywhere());
    let pool = theirs.bench.house.pool.clone();
    let admin = theirs.bench.house.viewer;
    let become_one = async |role| administration::set_role(&pool, admin.user_id, role).await.unwrap();
    users::insert(&mut pool.acquire().await.unwrap(), "ada", Role::Admin, "hash")
        .await
        .unwrap();

    // What waits is over at once, and nothing more is launched.
    let waiting = theirs.launch(&quick("point_read", "1")).await;
    become_one(Role::Editor).await;
    let job = theirs.stored(waiting).await.0.job;
    assert_eq!(job.status, JobStatus::Cancelled);
    assert!(job.message.unwrap().contains("may not use registered servers any more"));
    let mut form = quick("point_read", "1");
    form.request_id = "again".to_owned();
    let editor = Viewer::account(admin.user_id, Role::Editor);
    let benchmarks = theirs.bench.house.benchmarks.clone();
    // Also not by whoever has the machine, and so asks as an admin.
    for viewer in [editor, admin] {
        let Err(LaunchError::Refused(fields)) = benchmarks.launch(viewer, &form).await else {
            panic!("an editor launched on a registered server");
        };
        assert_eq!((fields.len(), &*fields[0].field), (1, "target"));
        assert!(
            fields[0].message.starts_with("Registered servers are for admins"),
            "{fields:?}"
        );
    }
    assert!(matches!(
        benchmarks.check(editor, &form).await,
        Err(LaunchError::Refused(_))
    ));

    // What was launched in that very moment does not begin, also when its account was shut out.
    for change in ["role = 'editor'", "is_disabled = true"] {
        become_one(Role::Admin).await;
        change.clone_into(&mut form.request_id);
        let late = theirs.launch(&form).await;
        let sql = AssertSqlSafe(format!("update users set {change} where id = {}", admin.user_id));
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        theirs.bench.work().await;
        let (benchmark, levels) = theirs.stored(late).await;
        assert_eq!((benchmark.job.status, levels.len()), (JobStatus::Failed, 0), "{change}");
        let message = benchmark.job.message.unwrap();
        assert!(message.starts_with("Registered servers are for admins"), "{message}");
    }
    administration::let_in(&pool, admin.user_id).await.unwrap();

    // And what runs is stopped.
    become_one(Role::Admin).await;
    let running = theirs
        .launch(&BenchmarkForm {
            request_id: "slow".to_owned(),
            ..slow()
        })
        .await;
    work_and(&theirs.bench, become_one(Role::Editor)).await;
    let (benchmark, levels) = theirs.stored(running).await;
    assert_eq!(benchmark.job.status, JobStatus::Cancelled);
    assert_eq!(levels[0].status, LevelStatus::Stopped);
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));
    theirs.close().await;
}

#[tokio::test]
async fn a_schema_that_cannot_be_dropped_now_is_dropped_at_the_next_occasion() {
    let mut theirs = Theirs::open("create").await;
    let (desk, viewer) = (theirs.bench.house.servers.clone(), theirs.bench.house.viewer);
    let server = desk.find_by_name(viewer, "theirs").await.unwrap().unwrap();
    let id = theirs.launch(&quick("point_read", "1")).await;
    theirs.bench.work().await;
    assert_eq!(theirs.stored(id).await.0.job.status, JobStatus::Completed);
    let sql = "create schema pgassay_left authorization scrammer";
    sqlx::raw_sql(sql).execute(&mut theirs.admin).await.unwrap();
    let sql = "insert into server_schemas select s.id, 'pgassay_left', j.id, 1 from servers s, jobs j";
    sqlx::query(sql).execute(&theirs.bench.house.pool).await.unwrap();

    let sql = "do $$ begin execute format('alter database %I connection limit 0', current_database()); end $$";
    sqlx::raw_sql(sql).execute(&mut theirs.admin).await.unwrap();
    desk.drop_left_schemas(None, None).await.unwrap();
    assert_eq!(theirs.schemas().await, (vec!["pgassay_left".to_owned()], 1));
    let sql = "do $$ begin execute format('alter database %I connection limit -1', current_database()); end $$";
    sqlx::raw_sql(sql).execute(&mut theirs.admin).await.unwrap();
    desk.delete(viewer, server.id).await.unwrap();
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));
    let mut conn = theirs.bench.house.pool.acquire().await.unwrap();
    assert!(servers::get(&mut conn, viewer, server.id).await.unwrap().is_none());
    drop(conn);
    theirs.close().await;
}

#[tokio::test]
async fn a_statement_that_the_server_does_not_answer_ends_the_benchmark_with_where_and_what_to_do() {
    let mut theirs = Theirs::open("create").await;
    theirs.bench.house.servers.statement_limit = Duration::from_secs(1);
    let id = theirs.launch(&quick("point_read", "1")).await;
    // Whoever makes a schema waits for this, and who only looks does not.
    let lock = "begin; lock table pg_catalog.pg_namespace in exclusive mode";
    sqlx::raw_sql(lock).execute(&mut theirs.admin).await.unwrap();
    tokio::time::timeout(PATIENCE, theirs.bench.work()).await.unwrap();
    let (benchmark, levels) = theirs.stored(id).await;
    assert_eq!(benchmark.job.status, JobStatus::Failed);
    let message = benchmark.job.message.unwrap();
    assert!(
        message.contains("making our schema: no answer within 1 s") && message.contains("pg_stat_activity"),
        "{message}"
    );
    assert!(levels.is_empty());
    sqlx::raw_sql("rollback").execute(&mut theirs.admin).await.unwrap();
    assert_eq!(theirs.schemas().await, (Vec::new(), 0));
    theirs.close().await;
}
