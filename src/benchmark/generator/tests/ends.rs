//! Levels that are stopped, and servers that go away under them.

use sqlx::AssertSqlSafe;
use sqlx::Connection as _;

use super::*;
use crate::cluster;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::binaries::Binaries;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::model::benchmark::Totals;
use crate::target::secret::Password;
use crate::testing::belongings;

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
        let root = belongings::dir();
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
