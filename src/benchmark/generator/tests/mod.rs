//! Levels on real servers.

mod ends;
mod failures;
mod transactions;

use std::time::Duration;
use std::time::Instant;

use sqlx::ConnectOptions as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::benchmark::program::Setup;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Pace;
use crate::model::benchmark::Protocol;
use crate::sql::pgbench;
use crate::testing;
use crate::testing::bench::PATIENCE;

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
