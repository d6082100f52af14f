//! Servers restarted under us by another hand, and sessions ended by one.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::faults::ground::Ground;
use crate::faults::ground::QUERIES;
use crate::faults::ground::QUICK_DUMP;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

pub const WARM_UP: u32 = 1;
pub const ITERATIONS: u32 = 4;

/// An experiment that has stored a few trials and not its last.
pub fn in_the_middle(ground: &mut Ground) -> String {
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let experiment = ground.launch(&dataset, &workload, WARM_UP, ITERATIONS);
    ground.wait_for_trials(&experiment, "measured", 3);
    experiment
}

#[test]
fn a_sandbox_that_another_hand_restarts_is_taken_back_and_the_run_goes_on() {
    let mut ground = Ground::open();
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    for mode in ["fast", "immediate"] {
        let experiment = ground.launch(&dataset, &workload, WARM_UP, ITERATIONS);
        ground.wait_for_trials(&experiment, "measured", 3);
        let sandbox = ground.sandbox(&dataset);
        let mut restart = support::as_account(support::tool("pg_ctl"), Path::new("/"));
        // It may lose the race for the files against us.
        restart
            .args(["restart", "-m", mode, "-D"])
            .arg(&sandbox)
            .status()
            .unwrap();
        ground.wait_for_end("experiments", &experiment);
        ground.assert_complete(&experiment, WARM_UP, ITERATIONS);
        assert_eq!(
            ground.interruptions("experiments", &experiment)[0],
            "measuring: a PostgreSQL server was lost"
        );
        assert!(
            ground
                .page(&format!("/results/{experiment}"))
                .contains("a PostgreSQL server was lost")
        );
        ground.assert_at_rest(&dataset);
    }
    ground.close();
}

#[test]
fn a_store_that_another_hand_restarts_is_waited_for() {
    let mut cluster = Cluster::start();
    let mut ground = Ground::on(&cluster);
    let experiment = in_the_middle(&mut ground);
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        cluster.restart(signal);
    }
    assert_ne!(ground.status("experiments", &experiment).as_deref(), Some("completed"));
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, WARM_UP, ITERATIONS);
    assert_eq!(ground.answer("select count(*) from segments"), "1");
    assert_eq!(ground.interruptions("experiments", &experiment), Vec::<String>::new());
    ground.assert_at_rest("1");
    ground.close();
}

#[test]
fn a_session_that_is_ended_under_a_trial_costs_that_trial_and_no_other() {
    let mut ground = Ground::open();
    let experiment = in_the_middle(&mut ground);
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like \
                     'pgassay experiment%' and wait_event = 'PgSleep'";
    wait_for("a trial to end", || {
        ground.ask_sandbox("1", terminate).filter(|said| said == "t")
    });
    ground.wait_for_end("experiments", &experiment);
    let failed = "select string_agg(sqlstate || ' ' || message, ';') from trials where outcome <> 'finished'";
    assert_eq!(
        ground.answer(failed),
        "57P01 terminating connection due to administrator command"
    );
    assert_eq!(
        ground.answer("select count(*) = max(n_trials) from trials, experiments"),
        "t"
    );
    assert_eq!(ground.answer("select count(*) from segments"), "1");
    let page = ground.page(&format!("/results/{experiment}"));
    assert!(
        page.contains("terminating connection due to administrator command"),
        "{page}"
    );
    ground.assert_at_rest("1");
    ground.close();
}

#[test]
fn a_statement_that_nothing_else_ends_costs_the_server_and_begins_a_segment() {
    let mut ground = Ground::open();
    ground.timeout = "5s";
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries("-- name: long\nselect pg_sleep(1);\n-- name: small\nselect 1;\n");
    let experiment = ground.launch(&dataset, &workload, 0, 1);
    ground.wait_for_trials(&experiment, "measured", 1);
    let sleeper = "select pid from pg_stat_activity where application_name like 'pgassay experiment%' and wait_event = \
                   'PgSleep'";
    let pid = wait_for("a long trial", || ground.ask_sandbox(&dataset, sleeper)?.parse().ok());
    // It hears no signal but SIGKILL any more.
    support::send(pid, Signal::SIGSTOP);
    ground.wait_for_end("experiments", &experiment);
    let trials =
        "select count(*), count(*) filter (where outcome = 'timed_out'), count(distinct segment_no) from trials";
    assert_eq!(ground.answer(trials), "6|1|2");
    let first_of_second = "select (select trial_idx from trials where outcome = 'timed_out') + 1 = first_trial from segments \
                           where segment_no = 2";
    assert_eq!(ground.answer(first_of_second), "t");
    let page = ground.page(&format!("/results/{experiment}"));
    assert!(
        page.contains("its server was restarted to end a statement that nothing else could end"),
        "{page}"
    );
    ground.assert_at_rest(&dataset);
    ground.close();
}
