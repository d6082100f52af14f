//! Transactions that fail, and programs that cannot go on.

use super::*;

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
