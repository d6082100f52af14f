//! What statements bring, by all protocols, and how they fail.

use super::ask;
use super::dial;
use super::first;
use super::params;
use super::sqlstate;
use super::wire;
use crate::target::wire::Params;
use crate::target::wire::Ran;
use crate::target::wire::TransactionStatus;
use crate::target::wire::Wire;

#[tokio::test]
async fn a_statement_runs_by_all_three_protocols_and_brings_the_same() {
    let sql = "select $1::int4 + 1 as more, $2::text as \"nothing, or ü\" from generate_series(1, 3)";
    let values = params(&[Some("41"), None]);
    let brought = vec!["42".to_owned(), "-".to_owned()];
    let by_tls = Wire::connect(&dial("scrammer", "sslmode=require")).await.unwrap();
    let by_tcp = Wire::connect(&dial("scrammer", "sslmode=disable")).await.unwrap();
    for mut wire in [wire().await, by_tcp, by_tls] {
        wire.keep_rows(true);
        for _ in 0..2 {
            assert_eq!(wire.extended(sql, &values).await.unwrap(), Ran::Done);
            assert_eq!((wire.rows().count(), first(&wire)), (3, brought.clone()));
            let names: Vec<_> = wire.rows().names().collect();
            assert_eq!(names, ["more", "nothing, or ü"]);
        }
        assert_eq!(wire.prepare("one", sql).await.unwrap(), Ran::Done);
        assert_eq!(wire.rows().count(), 0);
        for _ in 0..2 {
            assert_eq!(wire.prepared("one", &values).await.unwrap(), Ran::Done);
            assert_eq!((wire.rows().count(), first(&wire)), (3, brought.clone()));
            assert_eq!(wire.rows().names().count(), 2);
        }
        let sql = sql.replace("$1", "41").replace("$2", "null");
        assert_eq!(wire.simple(&sql).await.unwrap(), Ran::Done);
        assert_eq!((wire.rows().count(), first(&wire)), (3, brought.clone()));
        wire.keep_rows(false);
        assert_eq!(wire.prepared("one", &values).await.unwrap(), Ran::Done);
        assert_eq!((wire.rows().count(), first(&wire)), (3, Vec::new()));
        wire.close().await;
    }
}

#[tokio::test]
async fn a_name_is_free_again_for_a_statement_whose_preparing_was_said_to_have_failed() {
    let mut wire = wire().await;
    wire.keep_rows(true);
    for value in ["1", "2"] {
        let sql = format!("select {value}");
        assert_eq!(wire.prepare("one", &sql).await.unwrap(), Ran::Done);
        assert_eq!(wire.prepared("one", &Params::new()).await.unwrap(), Ran::Done);
        assert_eq!(first(&wire), [value]);
    }
    wire.close().await;
}

#[tokio::test]
async fn of_several_statements_the_last_one_counts() {
    let mut wire = wire().await;
    wire.keep_rows(true);
    for (sql, n_rows, row) in [
        ("select 1 from generate_series(1, 5); select 2, 3", 1, "2 3"),
        ("select 1; set work_mem = '1MB'", 0, ""),
        ("set work_mem = '1MB'; select '' as a, null as b", 1, " -"),
        ("select 1 where false", 0, ""),
        ("", 0, ""),
    ] {
        assert_eq!(wire.simple(sql).await.unwrap(), Ran::Done);
        assert_eq!(
            (wire.rows().count(), first(&wire).join(" ")),
            (n_rows, row.to_owned()),
            "{sql}"
        );
    }
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

    let Ran::Failed(error) = wire.extended("select oops", &Params::new()).await.unwrap() else {
        panic!("there is no such column");
    };
    assert_eq!(
        (error.sqlstate.as_str(), error.position, error.is_fatal),
        ("42703", Some(8), false)
    );
    assert!(error.message.contains("oops"), "{error}");
    assert_eq!(ask(&mut wire, "select 'alive'").await, "alive");
}

#[tokio::test]
async fn what_cannot_be_sent_is_a_failure_and_the_session_goes_on() {
    let mut wire = wire().await;
    assert_eq!(sqlstate(wire.simple("select '\0'").await.unwrap()), "22021");
    assert_eq!(sqlstate(wire.prepare("a\0", "select 1").await.unwrap()), "22021");
    let mut values = Params::new();
    for _ in 0..=u16::MAX {
        values.push("1");
    }
    assert_eq!(sqlstate(wire.extended("select 1", &values).await.unwrap()), "54023");
    values.clear();
    assert_eq!(wire.extended("select 1", &values).await.unwrap(), Ran::Done);
}

#[tokio::test]
async fn long_texts_go_and_long_rows_are_read_over() {
    let by_tls = Wire::connect(&dial("scrammer", "sslmode=require")).await.unwrap();
    for mut wire in [wire().await, by_tls] {
        let long = "x".repeat(5 << 20);
        assert_eq!(
            ask(&mut wire, &format!("select length('{long}')")).await,
            long.len().to_string()
        );
        let values = params(&[Some(&long)]);
        assert_eq!(wire.extended("select $1::text, 1", &values).await.unwrap(), Ran::Done);
        assert_eq!(wire.rows().count(), 1);

        wire.keep_rows(true);
        let ran = wire.extended("select $1::text, 1", &values).await.unwrap();
        assert_eq!(sqlstate(ran), "54000");
        let kept = "select repeat('y', 500000), 'end' from generate_series(1, 9)";
        assert_eq!(wire.simple(kept).await.unwrap(), Ran::Done);
        assert_eq!(
            (wire.rows().count(), first(&wire)[0].len(), first(&wire)[1].as_str()),
            (9, 500_000, "end")
        );

        let many = "select g, repeat('z', g % 97) from generate_series(1, 100000) g";
        assert_eq!(wire.extended(many, &Params::new()).await.unwrap(), Ran::Done);
        assert_eq!(
            (wire.rows().count(), first(&wire)),
            (100_000, vec!["1".to_owned(), "z".to_owned()])
        );
    }
}

#[tokio::test]
async fn copying_fails_and_nobody_waits_for_rows() {
    let mut wire = wire().await;
    assert_eq!(
        wire.simple("create temporary table t (a int)").await.unwrap(),
        Ran::Done
    );
    for sql in ["copy t from stdin", "copy (select generate_series(1, 9)) to stdout"] {
        assert_eq!(sqlstate(wire.simple(sql).await.unwrap()), "0A000", "{sql}");
        assert_eq!(
            sqlstate(wire.extended(sql, &Params::new()).await.unwrap()),
            "0A000",
            "{sql}"
        );
        assert_eq!(wire.prepare(sql, sql).await.unwrap(), Ran::Done);
        assert_eq!(
            sqlstate(wire.prepared(sql, &Params::new()).await.unwrap()),
            "0A000",
            "{sql}"
        );
        assert_eq!(ask(&mut wire, "select count(*) from t").await, "0");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_read_over() {
    let mut wire = wire().await;
    let sql = "listen a; notify a, 'b'; set application_name = 'other';
               do $$ begin raise notice '%', repeat('n', 50000); end $$; select 'here'";
    assert_eq!(ask(&mut wire, sql).await, "here");
    assert_eq!(ask(&mut wire, "select 'again'").await, "again");
}

#[tokio::test]
async fn settings_are_in_force_from_the_beginning() {
    let mut dial = dial("truster", "options=-c%20seq_page_cost%3D7&application_name=load");
    dial.settings.push(("work_mem".to_owned(), "7MB".to_owned()));
    let mut wire = Wire::connect(&dial).await.unwrap();
    for (name, value) in [
        ("work_mem", "7MB"),
        ("seq_page_cost", "7"),
        ("application_name", "load"),
        ("client_encoding", "UTF8"),
    ] {
        assert_eq!(ask(&mut wire, &format!("show {name}")).await, value);
    }
}
