//! Queries that try to use up what there is: time, locks, the server itself.

use std::fmt::Write as _;

use crate::attacks::Ground;
use crate::support::GROWS;

const DUMP: &str = "
create table things (a integer);
insert into things select generate_series(1, 100);
-- Survives every cancel.
create function stubborn() returns integer language plpgsql as $$
begin
  loop
    begin
      perform pg_sleep(60);
    exception when query_canceled then
      null;
    end;
  end loop;
end $$;
-- Uses up the lock table, so that nobody can connect, and survives every cancel.
create function selfish() returns integer language plpgsql as $$
begin
  begin
    perform pg_advisory_lock(g) from generate_series(1, 1000000) g;
  exception when out_of_memory then
    null;
  end;
  for g in 1..1000000 loop
    begin
      perform pg_advisory_lock(g);
    exception when out_of_memory then
      exit;
    end;
  end loop;
  return public.stubborn();
end $$;
create function deeper(n integer) returns integer language plpgsql as $$ begin return public.deeper(n + 1); end $$;
create function chatty() returns integer language plpgsql as $$
begin
  for n in 1..20000 loop
    raise notice '%', repeat('x', 700);
  end loop;
  return 1;
end $$;
";

/// What takes too long is cut off, whatever it does against that.
const SLOW: [(&str, &str); 4] = [
    ("select pg_sleep(60)", "timed_out"),
    (
        "select count(*) from generate_series(1, 1000) a, generate_series(1, 1000) b, generate_series(1, 10000) c",
        "timed_out",
    ),
    ("select public.stubborn()", "timed_out"),
    ("select public.selfish()", "timed_out"),
];

/// What is too much is refused by the server, with this SQLSTATE; what only floods us with words goes well.
const LARGE: [(&str, &str); 8] = [
    (
        "select count(pg_advisory_lock(g)) from generate_series(1, 1000000) g",
        "53200",
    ),
    (
        "select count(a) from (select array_agg(repeat('x', 10000000)) a from generate_series(1, 1000)) as hog",
        "53200",
    ),
    (
        "select repeat(lpad(g::text, 1000), 10) from generate_series(1, 400000) g order by 1 desc",
        "53400",
    ),
    ("select length(repeat('x', 2000000000))", "54000"),
    (
        "select length(string_agg(repeat('x', 10000000), '')) from generate_series(1, 300)",
        "54000",
    ),
    ("select public.deeper(1)", "54001"),
    ("select public.chatty()", "finished"),
    ("select repeat('x', 100000000) from generate_series(1, 20)", "finished"),
];

async fn try_all(ground: &Ground, dataset: i64, hogs: &[(&str, &str)], timeout: &str) {
    let mut script = String::new();
    for (n, (sql, _)) in hogs.iter().enumerate() {
        writeln!(
            script,
            "-- name: {n}\n{sql};\n-- name: after_{n}\nselect count(*) from things;"
        )
        .unwrap();
    }
    let fields = [("order", "sequential"), ("timeout", timeout)];
    let trials = ground.trials(dataset, &script, &fields).await;
    assert_eq!(trials.len(), 2 * hogs.len());
    for trial in &trials {
        let hog = trial.query.parse().ok().and_then(|n: usize| hogs.get(n));
        let came_to = trial.sqlstate.as_deref().unwrap_or(&trial.outcome);
        assert_eq!(came_to, hog.map_or("finished", |(_, end)| end), "{trial:?}");
        let is_explained = ["table of locks", "3 GB", "2GB of temporary files"]
            .iter()
            .any(|limit| trial.message.as_ref().is_some_and(|message| message.contains(limit)));
        assert_eq!(is_explained, came_to.starts_with("53"), "{trial:?}");
    }
}

#[tokio::test]
async fn a_query_that_uses_up_what_there_is_ends_and_the_next_one_runs() {
    let ground = Ground::embedded();
    let dataset = ground.restored(DUMP).await;
    try_all(&ground, dataset, &SLOW, "1s").await;
    // Long enough for a machine that does something else as well.
    try_all(&ground, dataset, &LARGE, "2min").await;
    ground.assert_untouched();
}

/// Neither timeout nor cancel nor terminate ends it: the sandbox is stopped and started again.
#[tokio::test]
async fn a_query_that_nothing_can_end_costs_the_sandbox_and_not_the_experiment() {
    let ground = Ground::embedded();
    let dataset = ground.restored(DUMP).await;
    // In time that grows with the square of the nodes: minutes.
    let script = "-- name: bomb\n\
                  select count(*) from xmltable('//*[count(//*) > 0]' passing xmlparse(document \
                  '<r>' || repeat('<a/>', 150000) || '</r>') columns n text path '.');\n\
                  -- name: after\nselect count(*) from things;\n";
    let fields = [("order", "sequential"), ("timeout", "1s")];
    let trials = ground.trials(dataset, script, &fields).await;
    let outcomes: Vec<&str> = trials.iter().map(|trial| trial.outcome.as_str()).collect();
    assert_eq!(outcomes, ["timed_out", "finished"], "{trials:?}");
    ground.assert_untouched();
}

#[tokio::test]
async fn a_query_that_writes_too_much_is_cut_off_on_a_server_of_its_own_and_on_one_that_is_shared() {
    let options = ["--max-database-bytes", "60000000"];
    for ground in [Ground::embedded_with(&options), Ground::shared_with(&options)] {
        let dataset = ground.restored(format!("{DUMP} {GROWS}")).await;
        let script = "-- name: grows\nselect grow();\n-- name: after\nselect count(*) from things;\n";
        let trials = ground.trials(dataset, script, &[("order", "sequential")]).await;
        let came_to: Vec<_> = trials
            .iter()
            .map(|trial| (&*trial.outcome, trial.sqlstate.as_deref()))
            .collect();
        assert_eq!(came_to, [("failed", Some("53400")), ("finished", None)], "{trials:?}");
        let message = trials[0].message.as_deref().unwrap();
        assert!(message.contains("grew beyond the limit of"), "{message}");
        ground.assert_untouched();
    }
}
