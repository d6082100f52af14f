//! Load tests that are hurt: servers killed, restarted, full or stuck, pgassay told to stop and killed. Every second that
//! was stored is there once, levels add up, and pages say what happened.

use std::process::Child;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::faults::ground;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

/// Launches a benchmark on a thousand rows, with more or other fields.
pub fn launch(ground: &mut Ground, fields: &[(&str, &str)]) -> String {
    let request_id = ground.request_id();
    let usual = [
        ("request_id", request_id.as_str()),
        ("target", "generated"),
        ("table_rows", "1000"),
        ("operation", "tpcb_like"),
        ("max_tries", "10"),
        ("warm_up", "0"),
        ("quick", "1"),
        ("autovacuum", "1"),
        ("seed", "7"),
    ];
    // Of two the later counts.
    let fields = [&usual, fields].concat();
    ground::id_of(&http::post(ground.address(), "/benchmarks", &fields).unwrap())
}

/// Waits until a level has measured for a second, and more is to come.
pub fn wait_for_level(ground: &Ground, id: &str, level_idx: u32, attempt: u32) {
    let sql = format!(
        "select count(*) from benchmark_seconds join benchmark_levels l using (benchmark_id, level_idx, attempt)
         where benchmark_id = {id} and level_idx = {level_idx} and attempt = {attempt} and l.status = 'running'"
    );
    wait_for(&format!("attempt {attempt} at level {level_idx}"), || {
        (ground.ask(&sql)? != "0").then_some(())
    });
}

/// A process of the server that serves a client, of those that are as they should be.
fn backend(ground: &Ground, id: &str, condition: &str) -> u32 {
    let sql =
        format!("select pid from pg_stat_activity where application_name = 'pgassay load' and {condition} limit 1");
    wait_for("a client at work", || {
        ground.ask_sandbox(&format!("b{id}"), &sql)?.parse().ok()
    })
}

/// What became of every attempt at every level: `0 1 finished`.
pub fn attempts(ground: &Ground, id: &str) -> Vec<String> {
    let said = ground.answer(&format!(
        "select concat_ws(' ', level_idx, attempt, status) from benchmark_levels where benchmark_id = {id}
         order by level_idx, attempt"
    ));
    said.lines().map(str::to_owned).collect()
}

/// Levels that count are the sums of their seconds, of which none is missing, and nothing runs any more.
pub fn assert_sound(ground: &Ground, id: &str) {
    let unsound = format!(
        "select count(*) from benchmark_levels l cross join lateral (
             select count(*) as n, max(second_idx) as last, sum((totals ->> 'n_transactions')::bigint) as n_transactions,
                    sum((totals ->> 'n_failed')::bigint) as n_failed
             from benchmark_seconds s
             where (s.benchmark_id, s.level_idx, s.attempt) = (l.benchmark_id, l.level_idx, l.attempt) and second_idx >= 0) s
         where benchmark_id = {id} and status in ('finished', 'stopped')
           and (s.n <> s.last + 1 or s.n_transactions <> (totals ->> 'n_transactions')::bigint
                or s.n_failed <> (totals ->> 'n_failed')::bigint)"
    );
    assert_eq!(ground.answer(&unsound), "0");
    let running = "select count(*) from jobs where status in ('queued', 'running')";
    assert_eq!(ground.answer(running), "0");
    let running = format!("select count(*) from benchmark_levels where benchmark_id = {id} and status = 'running'");
    assert_eq!(ground.answer(&running), "0");
}

/// What the notes of a level that counts say of it, as text of JSON.
fn notes(ground: &Ground, id: &str, level_idx: u32) -> String {
    ground.answer(&format!(
        "select notes from benchmark_levels where benchmark_id = {id} and level_idx = {level_idx} and status = 'finished'"
    ))
}

fn page(ground: &Ground, id: &str) -> String {
    ground.page(&format!("/benchmarks/{id}"))
}

#[test]
fn a_benchmark_that_is_hurt_at_every_level_loses_no_second_and_says_what_happened() {
    let mut ground = Ground::open();
    let id = launch(&mut ground, &[("thread_counts", "3, 2, 1"), ("test_duration", "4s")]);
    let sandbox = ground.sandbox(&format!("b{id}"));
    wait_for_level(&ground, &id, 0, 1);
    // The server ends all its sessions for that, and takes new ones when it has recovered.
    support::send(backend(&ground, &id, "true"), Signal::SIGKILL);
    wait_for_level(&ground, &id, 1, 1);
    support::send(support::postmaster(&sandbox).unwrap().0, Signal::SIGKILL);
    wait_for_level(&ground, &id, 2, 1);
    ground.stop_and_start();
    wait_for_level(&ground, &id, 2, 2);
    ground.kill_and_start();
    ground.wait_for_end("benchmarks", &id);

    assert_eq!(
        attempts(&ground, &id),
        [
            "0 1 finished",
            "1 1 interrupted",
            "1 2 finished",
            "2 1 interrupted",
            "2 2 interrupted",
            "2 3 finished"
        ]
    );
    assert_eq!(
        ground.interruptions("benchmarks", &id),
        [
            "level 2 of 3: a PostgreSQL server was lost",
            "level 3 of 3: pgassay was told to stop",
            "level 3 of 3: pgassay ended without a word"
        ]
    );
    assert_sound(&ground, &id);
    assert!(
        !notes(&ground, &id, 0).contains("\"gaps\": []"),
        "{}",
        notes(&ground, &id, 0)
    );
    let page = page(&ground, &id);
    for said in [
        "There was no server for",
        "This is attempt 2 of 2",
        "This is attempt 3 of 3",
        "It was interrupted.",
        "a PostgreSQL server was lost",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    ground.assert_no_sandbox(&format!("b{id}"));
    ground.close();
}

#[test]
fn statements_that_time_out_are_counted_and_one_that_obeys_nothing_costs_no_level_after_it() {
    let mut ground = Ground::open();
    let id = launch(
        &mut ground,
        &[
            ("thread_counts", "3, 1"),
            ("test_duration", "2s"),
            ("operation", "programs"),
            ("statement_timeout", "100ms"),
            ("program_name", "sleeps"),
            ("program_text", "select pg_sleep(60);"),
            ("program_name", "reads"),
            ("program_text", "select count(*) from pgbench_tellers;"),
        ],
    );
    wait_for_level(&ground, &id, 0, 1);
    // It hears no signal but SIGKILL any more, and holds nothing that others wait for.
    support::send(backend(&ground, &id, "wait_event = 'PgSleep'"), Signal::SIGSTOP);
    ground.wait_for_end("benchmarks", &id);
    assert_eq!(attempts(&ground, &id), ["0 1 finished", "1 1 finished"]);
    assert_sound(&ground, &id);
    let unfinished = "select (notes ->> 'n_unfinished')::integer > 0 from benchmark_levels where level_idx = 0";
    assert_eq!(ground.answer(unfinished), "t");
    let interruptions = ground.interruptions("benchmarks", &id);
    assert!(
        interruptions.len() == 1 && interruptions[0].contains("is being accessed by other users"),
        "{interruptions:?}"
    );
    let page = page(&ground, &id);
    assert!(
        page.contains("<code>57014</code>") && page.contains("canceling statement due to statement timeout"),
        "{page}"
    );
    ground.assert_no_sandbox(&format!("b{id}"));
    ground.close();
}

#[test]
fn a_store_that_is_restarted_under_a_level_costs_it_nothing() {
    let mut cluster = Cluster::start();
    let mut ground = Ground::on(&cluster);
    let id = launch(&mut ground, &[("thread_counts", "2"), ("test_duration", "8s")]);
    wait_for_level(&ground, &id, 0, 1);
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        cluster.restart(signal);
    }
    assert_ne!(ground.status("benchmarks", &id).as_deref(), Some("completed"));
    ground.wait_for_end("benchmarks", &id);
    assert_eq!(attempts(&ground, &id), ["0 1 finished"]);
    assert_sound(&ground, &id);
    assert_eq!(ground.answer("select count(*) from benchmark_seconds"), "8");
    assert_eq!(ground.interruptions("benchmarks", &id), Vec::<String>::new());
    assert!(!page(&ground, &id).contains("was interrupted"));
    ground.close();
}

/// Sessions of somebody else on a server that others use, too.
fn others(cluster: &Cluster, n_sessions: usize) -> Vec<Child> {
    let sessions = (0..n_sessions).map(|_| {
        let mut psql = cluster.client("psql");
        psql.args(["-XAtq", "-d", "postgres", "-c", "select pg_sleep(600)"]);
        psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        psql.spawn().unwrap()
    });
    let sessions = sessions.collect();
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    wait_for("the others", || {
        (cluster.ask(asleep) == [n_sessions.to_string()]).then_some(())
    });
    sessions
}

#[test]
fn a_shared_server_that_turns_clients_away_and_crashes_is_waited_for_and_left_as_it_was() {
    let mut cluster = Cluster::with_passwords_and(&["max_connections = 24"]);
    let mut ground = Ground::open_with(&[("SANDBOX_URL", &cluster.url())], |_| {});
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let before = cluster.ask("select datname from pg_database order by 1");

    // With three places for superusers and those of pgassay itself, some of ten clients are let in.
    let others = others(&cluster, 12);
    let id = launch(
        &mut ground,
        &[
            ("operation", "point_read"),
            ("thread_counts", "10"),
            ("test_duration", "8s"),
        ],
    );
    wait_for_level(&ground, &id, 0, 1);
    cluster.crash_and_recover();
    for mut other in others {
        other.wait().unwrap();
    }
    ground.wait_for_end("benchmarks", &id);
    assert_eq!(attempts(&ground, &id), ["0 1 finished"]);
    assert_sound(&ground, &id);
    let back = "select (notes ->> 'n_reconnects')::integer > 0 from benchmark_levels";
    assert_eq!(ground.answer(back), "t", "{}", notes(&ground, &id, 0));
    let page = page(&ground, &id);
    for said in [
        "of 10 clients could not connect and took no part",
        "<code>53300</code>",
        "There was no server for",
        "own settings: autovacuum, max_connections and checkpoints",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }

    let workload = ground.upload_queries("-- name: counts\nselect count(*) from item;\n");
    let id = launch(
        &mut ground,
        &[
            ("target", "dataset"),
            ("dataset", &dataset),
            ("operation", "workload"),
            ("workload", &workload),
            ("thread_counts", "2"),
            ("test_duration", "1s"),
            ("stats_source", "none"),
        ],
    );
    ground.wait_for_end("benchmarks", &id);
    assert_eq!(attempts(&ground, &id), ["0 1 finished"]);
    assert_sound(&ground, &id);
    assert_eq!(cluster.ask("select datname from pg_database order by 1"), before);
    ground.close();
}
