//! Transactions are counted, timed and paced as they happen.

use super::*;

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
