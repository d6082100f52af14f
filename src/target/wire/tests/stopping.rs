//! Statements that are stopped, sessions that end, calls that are given up.

use std::time::Duration;

use super::ask;
use super::dial;
use super::sqlstate;
use super::wire;
use crate::target::wire::Lost;
use crate::target::wire::Ran;
use crate::target::wire::Wire;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// Returns when the number that a query asks for is as given.
async fn until(wire: &mut Wire, sql: &str, wanted: &str) {
    let look = async {
        while ask(wire, sql).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_statement_fails_and_the_session_goes_on() {
    let mut observer = wire().await;
    for params in ["sslmode=disable", "sslmode=require"] {
        let mut wire = Wire::connect(&dial("truster", params)).await.unwrap();
        let pid = ask(&mut wire, "select pg_backend_pid()").await;
        let canceller = wire.canceller();
        let stop = async {
            let sleeps = format!("select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'");
            until(&mut observer, &sleeps, "1").await;
            canceller.cancel().await.unwrap();
        };
        let (ran, ()) = tokio::join!(wire.simple("select pg_sleep(3600)"), stop);
        assert_eq!(sqlstate(ran.unwrap()), "57014", "{params}");
        assert_eq!(ask(&mut wire, "select 'alive'").await, "alive");
    }
}

#[tokio::test]
async fn a_session_that_the_server_ends_says_why_and_is_then_of_no_use() {
    let mut observer = wire().await;
    let by_tcp = Wire::connect(&dial("truster", "sslmode=disable")).await.unwrap();
    let by_tls = Wire::connect(&dial("truster", "sslmode=require")).await.unwrap();
    for mut wire in [wire().await, by_tcp, by_tls] {
        let pid = ask(&mut wire, "select pg_backend_pid()").await;
        // While nothing is asked of it.
        ask(&mut observer, &format!("select pg_terminate_backend({pid})")).await;
        until(
            &mut observer,
            &format!("select count(*) from pg_stat_activity where pid = {pid}"),
            "0",
        )
        .await;
        let Ran::Failed(error) = wire.simple("select 1").await.unwrap() else {
            panic!("the session has ended");
        };
        assert_eq!((error.sqlstate.as_str(), error.is_fatal), ("57P01", true));
        assert!(matches!(wire.simple("select 1").await, Err(Lost::GivenUp)));
        wire.close().await;
    }
    let mut wire = wire().await;
    let ran = wire
        .simple("select pg_terminate_backend(pg_backend_pid()), pg_sleep(3600)")
        .await;
    assert_eq!(sqlstate(ran.unwrap()), "57P01");
    assert!(matches!(wire.simple("select 1").await, Err(Lost::GivenUp)));
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_connection_good_for_nothing() {
    let mut wire = wire().await;
    let given_up = tokio::time::timeout(Duration::ZERO, wire.simple("select pg_sleep(3600)")).await;
    assert!(given_up.is_err());
    let canceller = wire.canceller();
    assert!(matches!(wire.simple("select 1").await, Err(Lost::GivenUp)));
    wire.close().await;
    canceller.cancel().await.unwrap();
}
