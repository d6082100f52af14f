//! The connection on real servers, and on things that only look like one.

use crate::target::wire::Dial;
use crate::target::wire::Params;
use crate::target::wire::Ran;
use crate::target::wire::TransactionStatus;
use crate::target::wire::Wire;
use crate::testing;

/// On a server of our own, by its socket.
async fn wire() -> Wire {
    let dial = Dial::from_url(&testing::database_url().await).unwrap();
    Wire::connect(&dial).await.unwrap()
}

fn params(values: &[Option<&str>]) -> Params {
    let mut params = Params::new();
    for value in values {
        match value {
            Some(text) => params.push(text),
            None => params.push_null(),
        }
    }
    params
}

/// The first row of the last statement, null as `-`.
fn first(wire: &Wire) -> Vec<String> {
    let values = wire.rows().first();
    values
        .map(|value| value.map_or("-".to_owned(), std::borrow::Cow::into_owned))
        .collect()
}

fn sqlstate(ran: Ran) -> String {
    match ran {
        Ran::Failed(error) => error.sqlstate,
        Ran::Done => "done".to_owned(),
    }
}

#[tokio::test]
async fn a_statement_runs_by_all_three_protocols_and_brings_the_same() {
    let mut wire = wire().await;
    wire.keep_rows(true);
    let sql = "select $1::int4 + 1 as more, $2::text as \"nothing, or ü\" from generate_series(1, 3)";
    let values = params(&[Some("41"), None]);
    for _ in 0..2 {
        assert_eq!(wire.extended(sql, &values).await.unwrap(), Ran::Done);
        assert_eq!(
            (wire.rows().count(), first(&wire)),
            (3, vec!["42".to_owned(), "-".to_owned()])
        );
        let names: Vec<_> = wire.rows().names().collect();
        assert_eq!(names, ["more", "nothing, or ü"]);
    }
    assert_eq!(wire.prepare("one", sql).await.unwrap(), Ran::Done);
    for _ in 0..2 {
        assert_eq!(wire.prepared("one", &values).await.unwrap(), Ran::Done);
        assert_eq!(
            (wire.rows().count(), first(&wire)),
            (3, vec!["42".to_owned(), "-".to_owned()])
        );
    }
    let sql = sql.replace("$1", "41").replace("$2", "null");
    assert_eq!(wire.simple(&sql).await.unwrap(), Ran::Done);
    assert_eq!(
        (wire.rows().count(), first(&wire)),
        (3, vec!["42".to_owned(), "-".to_owned()])
    );
    wire.close().await;
}

#[tokio::test]
async fn an_error_has_its_sqlstate_and_the_session_goes_on() {
    let mut wire = wire().await;
    assert_eq!(sqlstate(wire.simple("begin; select 1/0").await.unwrap()), "22012");
    assert_eq!(wire.transaction_status(), TransactionStatus::Failed);
    assert_eq!(sqlstate(wire.prepare("one", "select 1").await.unwrap()), "25P02");
    assert_eq!(wire.simple("rollback; begin").await.unwrap(), Ran::Done);
    assert_eq!(wire.transaction_status(), TransactionStatus::Open);
    assert_eq!(sqlstate(wire.prepared("none", &Params::new()).await.unwrap()), "26000");
    assert_eq!(wire.simple("rollback").await.unwrap(), Ran::Done);
    assert_eq!(wire.transaction_status(), TransactionStatus::Idle);
}
