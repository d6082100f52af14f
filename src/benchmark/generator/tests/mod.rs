//! Levels on real servers.

use std::time::Duration;
use std::time::Instant;

use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::benchmark::program::Setup;
use crate::cluster;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::binaries::Binaries;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Pace;
use crate::model::benchmark::Protocol;
use crate::model::benchmark::Totals;
use crate::sql::pgbench;
use crate::target::secret::Password;
use crate::testing;
use crate::testing::bench::PATIENCE;
use crate::testing::scratch;

/// A database of its own for one test, with a session of ours in it.
struct Place {
    dial: Dial,
    conn: PgConnection,
}

impl Place {
    /// With what these statements make.
    async fn with(sql: &'static str) -> Self {
        let url = testing::database_url().await;
        let options: PgConnectOptions = url.parse().unwrap();
        let mut place = Self {
            dial: Dial::from_url(&url).unwrap(),
            conn: options.disable_statement_logging().connect().await.unwrap(),
        };
        sqlx::raw_sql(sql).execute(&mut place.conn).await.unwrap();
        place
    }

    async fn ask(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.conn).await.unwrap()
    }

    /// A setting of all clients.
    fn setting(mut self, name: &str, value: &str) -> Self {
        self.dial.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Two clients in a closed loop for 300 ms, by prepared statements, without warm-up and retries.
fn plan(programs: &[&str]) -> LevelPlan {
    let weighted = |(idx, text): (usize, &&str)| Weighted {
        program: pgbench::parse(&format!("program {idx}"), text).unwrap(),
        weight: 1,
    };
    LevelPlan {
        n_clients: 2,
        first_client: 0,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        pace: Pace::Closed,
        connection: ConnectionMode::PerClient,
        protocol: Protocol::Prepared,
        programs: programs.iter().enumerate().map(weighted).collect(),
        setup: Setup {
            seed: 7,
            scale: 1,
            definitions: Vec::new(),
        },
        max_tries: 1,
        max_errors: None,
    }
}

/// A level that goes on.
struct Going {
    seconds: mpsc::Receiver<SecondReport>,
    stop: CancellationToken,
    level: JoinHandle<Result<LevelReport, GeneratorError>>,
}

impl Going {
    async fn begin(dial: &Dial, plan: LevelPlan) -> Self {
        let ready = connect(dial.clone(), plan).await.unwrap();
        let stop = CancellationToken::new();
        let (send, seconds) = mpsc::channel(100);
        let level = tokio::spawn(ready.run(Instant::now(), stop.clone(), send));
        Self { seconds, stop, level }
    }

    /// The next second for which this holds.
    async fn second(&mut self, is_wanted: impl Fn(&SecondReport) -> bool) -> SecondReport {
        let look = async {
            loop {
                let second = self.seconds.recv().await.unwrap();
                if is_wanted(&second) {
                    return second;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap()
    }

    /// The rest of its seconds, and what it came to.
    async fn end(mut self) -> (LevelReport, Vec<SecondReport>) {
        let ending = async {
            let mut seconds = Vec::new();
            while let Some(second) = self.seconds.recv().await {
                seconds.push(second);
            }
            (self.level.await.unwrap().unwrap(), seconds)
        };
        tokio::time::timeout(PATIENCE, ending).await.unwrap()
    }
}

async fn run(place: &Place, plan: LevelPlan) -> LevelReport {
    Going::begin(&place.dial, plan).await.end().await.0
}

/// Runs a level until it shows enough, as often as a machine needs that has other things to do.
async fn run_until(place: &Place, plan: LevelPlan, mut is_enough: impl FnMut(&LevelReport) -> bool) -> LevelReport {
    let running = async {
        loop {
            let report = run(place, plan.clone()).await;
            if is_enough(&report) {
                return report;
            }
        }
    };
    tokio::time::timeout(PATIENCE, running).await.unwrap()
}

fn sqlstates(report: &LevelReport) -> Vec<&str> {
    report.errors.iter().map(|error| error.sqlstate.as_str()).collect()
}

#[tokio::test]
async fn what_is_reported_is_what_the_database_has() {
    let mut place = Place::with("create table done (client_id int)").await;
    let plan = LevelPlan {
        n_clients: 3,
        warm_up: Duration::from_millis(200),
        duration: Duration::from_millis(1_200),
        ..plan(&["insert into done values (:client_id);"])
    };
    let (report, seconds) = Going::begin(&place.dial, plan).await.end().await;

    let bounds: Vec<(i32, u128, u128)> = seconds
        .iter()
        .map(|second| (second.second_idx, second.from.as_millis(), second.span.as_millis()))
        .collect();
    assert_eq!(bounds, [(-1, 0, 200), (0, 200, 1000), (1, 1200, 200)]);
    let n_in = |seconds: &[SecondReport]| seconds.iter().map(|second| second.totals.n_transactions).sum::<u64>();
    let n_measured = n_in(&seconds[1..]);
    assert!(n_measured > 0);
    assert_eq!(report.totals.n_transactions, n_measured);
    assert_eq!(
        (report.latencies.len(), report.programs[0].whole.n),
        (n_measured, n_measured)
    );
    assert_eq!(report.programs[0].statements[0].part.n, n_measured);
    assert_eq!(report.n_cut, 0);
    let n_rows = place.ask("select count(*) from done").await;
    assert_eq!(u64::try_from(n_rows).unwrap(), n_in(&seconds) + report.n_late);

    assert_eq!(place.ask("select count(distinct client_id) from done").await, 3);
    assert_eq!(place.ask("select max(client_id)::int8 from done").await, 2);
    assert_eq!(
        (report.ended, report.measured),
        (Ended::Finished, Duration::from_millis(1_200))
    );
    assert_eq!((report.connects.len(), report.n_reconnects), (3, 0));
    assert!(report.errors.is_empty() && report.gaps.is_empty() && report.given_up.is_empty());
    assert!(
        seconds
            .iter()
            .all(|second| second.n_connected == 3 && second.own_cpu > Duration::ZERO)
    );
    assert!(report.own_cpu > Duration::ZERO && report.generator_load > 0.0);
}

#[tokio::test]
async fn balances_add_up_by_every_protocol_and_way_to_connect() {
    let mut place = Place::with(
        "create table pgbench_branches (bid int primary key, bbalance int);
         create table pgbench_tellers (tid int primary key, tbalance int);
         create table pgbench_accounts (aid int primary key, abalance int);
         create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp);
         insert into pgbench_branches values (1, 0);
         insert into pgbench_tellers select tid, 0 from generate_series(1, 10) tid;
         insert into pgbench_accounts select aid, 0 from generate_series(1, 1000) aid;",
    )
    .await;
    let program = "\\set aid random(1, 1000 * :scale)
        \\set bid random(1, 1 * :scale)
        \\set tid random(1, 10 * :scale)
        \\set delta random(-5000, 5000)
        BEGIN;
        UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
        SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
        UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
        UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
        INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
            VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
        END;";
    let mut n_done = 0;
    for protocol in Protocol::ALL {
        for connection in ConnectionMode::ALL {
            let plan = LevelPlan {
                protocol,
                connection,
                duration: Duration::from_millis(200),
                ..plan(&[program])
            };
            run_until(&place, plan, |report| {
                let wrong = (&report.errors[..], report.n_cut);
                assert_eq!(wrong, (&[][..], 0), "{protocol:?} {connection:?}");
                let statements = &report.programs[0].statements;
                let command_idxs: Vec<usize> = statements.iter().map(|statement| statement.command_idx).collect();
                assert_eq!(command_idxs, [4, 5, 6, 7, 8, 9, 10]);
                let n_ended = report.totals.n_transactions + report.n_late;
                if connection == ConnectionMode::PerTransaction {
                    // And one of each thread, to see that there is a server.
                    assert_eq!(report.connects.len(), n_ended + u64::from(n_threads(2)));
                }
                n_done += n_ended;
                report.totals.n_transactions > 0
            })
            .await;
        }
    }
    let n_rows = place.ask("select count(*) from pgbench_history").await;
    assert_eq!(u64::try_from(n_rows).unwrap(), n_done);
    let sum = place.ask("select sum(delta) from pgbench_history").await;
    assert_eq!(place.ask("select sum(abalance) from pgbench_accounts").await, sum);
    assert_eq!(place.ask("select sum(tbalance) from pgbench_tellers").await, sum);
    assert_eq!(place.ask("select sum(bbalance)::int8 from pgbench_branches").await, sum);
}

#[tokio::test]
async fn programs_branch_sleep_and_read_back_what_they_selected() {
    let mut place = Place::with("create table chosen (client_id int, x int)").await;
    let program = "select 40 + :client_id as x, null as nothing \\gset my_
        \\sleep 100 us
        \\if :my_x > 40
        insert into chosen values (:client_id, :my_x);
        \\else
        insert into chosen values (:client_id, -1);
        \\endif";
    for protocol in Protocol::ALL {
        let plan = LevelPlan {
            protocol,
            ..plan(&[program])
        };
        run_until(&place, plan, |report| {
            assert!(report.given_up.is_empty() && report.errors.is_empty(), "{report:?}");
            let [_, then, otherwise] = &report.programs[0].statements[..] else {
                panic!("three statements")
            };
            then.part.n > 0 && otherwise.part.n > 0
        })
        .await;
    }
    let wrong = "select count(*) from chosen where x is distinct from case client_id when 0 then -1 else 41 end";
    assert_eq!(place.ask(wrong).await, 0);
}

#[tokio::test]
async fn programs_are_chosen_by_their_weights() {
    let place = Place::with("").await;
    let mut plan = plan(&["select 1;", "select 2;", "select 3;"]);
    let mut programs = plan.programs.to_vec();
    programs[1].weight = 0;
    programs[2].weight = 9;
    plan.programs = programs.into();
    let report = run_until(&place, plan, |report| report.totals.n_transactions > 200).await;
    let [rare, never, often] = [0, 1, 2].map(|idx| report.programs[idx].whole.n);
    assert!(never == 0 && rare > 0 && often > 3 * rare, "{rare} {never} {often}");
    assert_eq!(rare + often, report.totals.n_transactions);
}

#[tokio::test]
async fn a_latency_is_at_least_what_the_server_takes() {
    let place = Place::with("").await;
    let plan = plan(&["select pg_sleep(0.02);"]);
    let report = run_until(&place, plan, |report| !report.latencies.is_empty()).await;
    let min_ms = report.latencies.min_ms().unwrap();
    assert!(min_ms >= 20.0, "{min_ms}");
    assert_eq!(report.latencies, report.programs[0].whole.latencies);
}

#[tokio::test]
async fn a_rate_that_the_server_can_keep_is_kept() {
    let place = Place::with("").await;
    let plan = LevelPlan {
        duration: Duration::from_secs(1),
        pace: Pace::Rate {
            per_s: 200.0,
            latency_limit_ms: Some(10_000.0),
        },
        ..plan(&["select 1;"])
    };
    let report = run_until(&place, plan, |report| report.totals.n_transactions >= 100).await;
    // Five standard deviations of a Poisson distribution.
    let n = report.totals.n_transactions;
    assert!(n <= 271, "{n}");
    assert_eq!((report.totals.n_skipped, report.lag.len()), (0, n));
}

#[tokio::test]
async fn a_server_that_cannot_keep_the_rate_makes_transactions_late_or_skipped() {
    let place = Place::with("").await;
    let at_rate = |latency_limit_ms| LevelPlan {
        n_clients: 1,
        duration: Duration::from_millis(500),
        pace: Pace::Rate {
            per_s: 400.0,
            latency_limit_ms,
        },
        ..plan(&["select pg_sleep(0.05);"])
    };
    let late = run_until(&place, at_rate(None), |report| report.totals.n_transactions > 2).await;
    assert_eq!(late.totals.n_skipped, 0);
    // Ten or fewer of the first begin 50 ms apart, and were meant to be 2.5 ms apart.
    let lag_ms = late.lag.max_ms().unwrap();
    assert!(late.totals.n_transactions <= 10 && lag_ms > 50.0, "{lag_ms}");
    assert!(late.latencies.max_ms().unwrap() >= lag_ms + 50.0);

    let skipped = run_until(&place, at_rate(Some(20.0)), |report| report.totals.n_transactions > 2).await;
    assert!(skipped.totals.n_skipped > 10, "{:?}", skipped.totals);
    assert!(skipped.totals.n_transactions <= 10);
}

#[tokio::test]
async fn serialization_failures_are_tried_again_until_nothing_is_lost() {
    let mut place = Place::with("create table counter (n int8); insert into counter values (0)").await;
    let program = "begin isolation level repeatable read;
        select n from counter;
        \\sleep 1 ms
        update counter set n = n + 1;
        end;";
    let patient = LevelPlan {
        max_tries: 10_000,
        ..plan(&[program])
    };
    let (mut n_done, mut n_late) = (0, 0);
    run_until(&place, patient, |report| {
        assert_eq!((report.totals.n_failed, report.errors.len()), (0, 0));
        n_done += report.totals.n_transactions;
        n_late += report.n_late;
        report.totals.n_retries > 0
    })
    .await;
    // Those that are late may have ended in failures, which are not tried again after the end.
    let n_counted = u64::try_from(place.ask("select n from counter").await).unwrap();
    assert!(
        (n_done..=n_done + n_late).contains(&n_counted),
        "{n_counted} {n_done} {n_late}"
    );

    let report = run_until(&place, plan(&[program]), |report| report.totals.n_failed > 0).await;
    assert_eq!((report.totals.n_retries, sqlstates(&report)), (0, vec!["40001"]));
    assert_eq!(report.errors[0].n, report.totals.n_failed);
    assert!(
        report.errors[0].example.contains("could not serialize"),
        "{:?}",
        report.errors
    );
    assert_eq!(report.programs[0].whole.n_failed, report.totals.n_failed);
    assert_eq!(report.programs[0].statements[2].part.n_failed, report.totals.n_failed);
}

#[tokio::test]
async fn deadlocks_are_counted() {
    let place = Place::with("create table pair (id int, n int); insert into pair values (1, 0), (2, 0)").await;
    let place = place.setting("deadlock_timeout", "5ms");
    let program = "begin;
        update pair set n = n + 1 where id = 1 + :client_id;
        \\sleep 1 ms
        update pair set n = n + 1 where id = 2 - :client_id;
        end;";
    let report = run_until(&place, plan(&[program]), |report| report.totals.n_failed > 0).await;
    assert_eq!((sqlstates(&report), report.n_given_up), (vec!["40P01"], 0));
}

#[tokio::test]
async fn a_failed_transaction_is_rolled_back_and_the_client_goes_on() {
    let mut place = Place::with("create table done (n int)").await;
    let plan = plan(&["begin; insert into done values (1); select 1 / 0; end;"]);
    let report = run_until(&place, plan, |report| report.totals.n_failed > 2).await;
    assert_eq!(report.totals.n_transactions, 0);
    assert_eq!((sqlstates(&report), report.n_given_up), (vec!["22012"], 0));
    assert!(report.latencies.is_empty() && report.n_reconnects == 0);
    assert_eq!(place.ask("select count(*) from done").await, 0);
}

#[tokio::test]
async fn too_many_errors_end_a_level() {
    let place = Place::with("").await.setting("statement_timeout", "1ms");
    let plan = LevelPlan {
        duration: PATIENCE,
        max_errors: Some(10),
        ..plan(&["select pg_sleep(1);"])
    };
    let report = run(&place, plan).await;
    assert_eq!(
        (report.ended, sqlstates(&report)),
        (Ended::TooManyErrors, vec!["57014"])
    );
    // The other client may have failed at the same moment.
    assert!((9..=11).contains(&report.totals.n_failed), "{:?}", report.totals);
}

#[tokio::test]
async fn a_program_that_cannot_go_on_ends_its_clients_with_a_sentence() {
    let place = Place::with("").await;
    for (text, sentence) in [
        (
            "select 1;\n\\set x 1 / 0",
            "The program program 0 cannot go on: line 2: division by zero",
        ),
        (
            "begin;",
            "The program program 0 cannot go on: it ended without ending its transaction",
        ),
        (
            "select generate_series(1, 2) as x \\gset",
            "The program program 0 cannot go on: line 1: \\gset needs one row, and the query gave 2",
        ),
    ] {
        let plan = LevelPlan {
            duration: PATIENCE,
            ..plan(&[text])
        };
        let report = run(&place, plan).await;
        assert_eq!((report.ended, report.n_given_up), (Ended::NoClientLeft, 2));
        assert_eq!(report.given_up, [sentence]);
    }
}

#[tokio::test]
async fn a_stop_cancels_what_the_server_is_at() {
    let mut place = Place::with("").await;
    let plan = LevelPlan {
        duration: Duration::from_hours(1),
        ..plan(&["select pg_sleep(3600);"])
    };
    let going = Going::begin(&place.dial, plan).await;
    let at_work = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg\\_sleep(%'
        and datname = current_database()";
    wait_for(&mut place, at_work, 2).await;
    going.stop.cancel();
    let (report, seconds) = going.end().await;
    assert_eq!((report.ended, report.n_cut, report.n_late), (Ended::Stopped, 2, 0));
    assert_eq!((report.totals, sqlstates(&report)), (Totals::default(), vec![]));
    assert_eq!(
        seconds.iter().map(|second| second.span).sum::<Duration>(),
        report.measured
    );
    wait_for(&mut place, at_work, 0).await;
}

#[tokio::test]
async fn a_level_that_nobody_listens_to_is_stopped() {
    let mut place = Place::with("").await;
    let plan = LevelPlan {
        duration: Duration::from_hours(1),
        ..plan(&["select pg_sleep(3600);"])
    };
    let n_clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'
        and datname = current_database() and pid <> pg_backend_pid()";
    let Going { seconds, level, .. } = Going::begin(&place.dial, plan.clone()).await;
    drop(seconds);
    let report = tokio::time::timeout(PATIENCE, level).await.unwrap().unwrap().unwrap();
    assert_eq!(report.ended, Ended::Stopped);

    let going = Going::begin(&place.dial, plan.clone()).await;
    wait_for(&mut place, n_clients, 2).await;
    going.level.abort();
    wait_for(&mut place, n_clients, 0).await;

    let ready = connect(place.dial.clone(), plan).await.unwrap();
    wait_for(&mut place, n_clients, 2).await;
    drop(ready);
    wait_for(&mut place, n_clients, 0).await;
}

async fn wait_for(place: &mut Place, sql: &'static str, n: i64) {
    let look = async {
        while place.ask(sql).await != n {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap();
}

/// A server for one test, which may stop it.
struct OwnServer {
    site: Site,
    spec: ServerSpec,
    server: Option<Server>,
    dial: Dial,
}

impl OwnServer {
    async fn start() -> Self {
        let root = scratch::dir();
        let binaries = Binaries::find(testing::pg_bindir().as_deref()).await.unwrap();
        let site = Site::open(binaries, &root).unwrap();
        let spec = ServerSpec {
            data_dir: root.join("server"),
            socket_name: "server".to_owned(),
            kind: Kind::Sandbox,
            settings: Vec::new(),
        };
        cluster::initdb::prepare(&site, &spec).await.unwrap();
        let server = Server::start(&site, &spec).await.unwrap();
        let (user, port) = (cluster::SUPERUSER, cluster::PORT);
        let url = format!(
            "postgres://{user}@/postgres?port={port}&host={}",
            server.socket_dir().display()
        );
        Self {
            site,
            spec,
            server: Some(server),
            dial: Dial::from_url(&url).unwrap(),
        }
    }

    async fn start_again(&mut self) {
        self.server = Some(Server::start(&self.site, &self.spec).await.unwrap());
    }

    async fn stop(&mut self) {
        self.server.take().unwrap().stop(Stop::Fast).await.unwrap();
    }
}

#[tokio::test]
async fn clients_that_the_server_refuses_are_counted_and_the_others_go_on() {
    let mut server = OwnServer::start().await;
    let socket_dir = server.server.as_ref().unwrap().socket_dir();
    let mut admin = testing::options(socket_dir, "postgres").connect().await.unwrap();
    let sql = AssertSqlSafe(
        "create role ws; create role few login password 'secret' connection limit 2 in role ws;
         create role nobody login password 'secret' connection limit 0 in role ws;
         create database load; grant connect on database load to ws",
    );
    for sql in sql.0.split(';') {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    let dial = |user: &str| Dial {
        user: user.to_owned(),
        password: Password::from("secret"),
        database: "load".to_owned(),
        ..server.dial.clone()
    };
    let plan = LevelPlan {
        n_clients: 5,
        ..plan(&["select 1;"])
    };
    let (report, seconds) = Going::begin(&dial("few"), plan.clone()).await.end().await;
    assert_eq!((sqlstates(&report), report.errors[0].n), (vec!["53300"], 3));
    assert!(report.totals.n_transactions + report.n_late > 0 && report.totals.n_failed == 0);
    assert_eq!((report.connects.len(), seconds[0].n_connected), (2, 2));

    let Err(GeneratorError::NoConnection(why)) = connect(dial("nobody"), plan.clone()).await else {
        panic!("nobody is let in")
    };
    assert_eq!(why, "too many connections for role \"nobody\"");
    admin.close().await.unwrap();
    server.stop().await;
    let Err(GeneratorError::NoConnection(why)) = connect(server.dial.clone(), plan).await else {
        panic!("nobody is there")
    };
    assert!(why.contains("cannot be reached"), "{why}");
}

#[tokio::test]
async fn clients_outlive_a_restart_of_the_server_and_a_level_ends_without_one() {
    let mut server = OwnServer::start().await;
    let plan = LevelPlan {
        duration: Duration::from_hours(1),
        ..plan(&["select 1;"])
    };
    let mut going = Going::begin(&server.dial, plan.clone()).await;
    going.second(|second| second.totals.n_transactions > 0).await;
    server.stop().await;
    going.second(|second| second.n_connected == 0).await;
    server.start_again().await;
    going
        .second(|second| second.totals.n_transactions > 0 && second.errors == Errors::default())
        .await;
    going.stop.cancel();
    let (report, _) = going.end().await;
    let [gap] = &report.gaps[..] else {
        panic!("one gap: {:?}", report.gaps)
    };
    assert!(gap.from_ms > 0.0 && gap.to_ms.unwrap() > gap.from_ms);
    assert_eq!((report.ended, report.n_reconnects), (Ended::Stopped, 2));
    assert!(report.totals.n_failed > 0 && !report.errors.is_empty(), "{report:?}");

    let plan = LevelPlan {
        connection: ConnectionMode::PerTransaction,
        duration: Duration::from_millis(2_500),
        ..plan
    };
    let mut going = Going::begin(&server.dial, plan).await;
    going.second(|_| true).await;
    server.stop().await;
    let (report, _) = going.end().await;
    assert_eq!(report.ended, Ended::Finished);
    assert_eq!(report.gaps.last().map(|gap| gap.to_ms), Some(None), "{report:?}");
}
