//! `kill -9` in the middle of instruments: what is stored stays as it is, they go on behind it, and they answer what they
//! answer undisturbed.

use serde_json::Value;

use crate::faults::ground;
use crate::faults::ground::Ground;
use crate::faults::http;
use crate::faults::kills::Victim;
use crate::support::wait_for;

/// Half of the things are of the kind asked for; without statistics the planner takes it for a rare one. A sample at
/// target 100 holds all of them, so that every draw is the same.
const DUMP: &str = "
create table things (id integer primary key, kind integer, note text);
insert into things select g, (g % 2) * g, repeat('x', g % 7) from generate_series(1, 20000) g;
create index on things (kind);
";
const QUERIES: &str = "-- name: planted\nselect max(note) from things where kind = 0;\n";

const BISECT: [(&str, &str); 5] = [
    ("kind", "bisect"),
    ("experiment", "1"),
    ("query", "0"),
    ("from", "0"),
    ("to", "1"),
];
const LOTTERY: [(&str, &str); 6] = [
    ("kind", "lottery"),
    ("dataset", "1"),
    ("workload", "1"),
    ("targets", "100"),
    ("draws", "6"),
    ("timeout", "10s"),
];

/// A step waits to be stored for as long as its number stands in this table.
const HELD_UP: &str = "
create table held_up (step_idx integer primary key);
create function wait_while_held_up() returns trigger language plpgsql as $$
begin
  while exists (select from held_up where step_idx = new.step_idx) loop perform pg_sleep(0.01); end loop;
  return new;
end $$;
create trigger held_up before insert on instrument_steps for each row execute function wait_while_held_up();
";

/// Waits until a step is made and not stored.
fn wait_until_held_up(ground: &Ground, instrument: &str, step_idx: u32) {
    let waiting =
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and query like '%instrument_steps%'";
    wait_for("a step in the making", || {
        let n_stored: u32 = ground.ask(&n_steps(instrument))?.parse().ok()?;
        (n_stored == step_idx && ground.ask(waiting)? == "1").then_some(())
    });
}

fn n_steps(instrument: &str) -> String {
    format!("select count(*) from instrument_steps where instrument_id = {instrument}")
}

fn launch(ground: &mut Ground, wish: &[(&str, &str)]) -> String {
    let request_id = ground.request_id();
    let wish = [wish, &[("request_id", &request_id)]].concat();
    ground::id_of(&http::post(ground.address(), "/instruments", &wish).unwrap())
}

/// What was asked for, found and tried, without what is another each time.
fn answer(ground: &Ground, instrument: &str) -> Value {
    let mut answer: Value =
        serde_json::from_str(&ground.page(&format!("/instruments/{instrument}/export.json"))).unwrap();
    for name in ["instrument", "created_at"] {
        answer.as_object_mut().unwrap().remove(name).unwrap();
    }
    answer["spec"]["seed"].take();
    for step in answer["steps"].as_array_mut().unwrap() {
        for name in ["analyze_ms", "timed"] {
            step[name].take();
        }
    }
    answer
}

/// The steps that are stored, each with when and by which run of the job.
fn stored(ground: &Ground, instrument: &str) -> String {
    ground.answer(&format!(
        "select string_agg(concat_ws(' ', step_idx, epoch, recorded_at, step), e'\\n' order by step_idx) \
         from instrument_steps where instrument_id = {instrument}"
    ))
}

/// Dies while each of these steps is made and not stored: pgassay first, then the sandbox.
fn dies_twice(ground: &mut Ground, wish: &[(&str, &str)], undisturbed: &str, moments: [u32; 2], stages: [&str; 2]) {
    for step_idx in moments {
        ground.answer(&format!("insert into held_up values ({step_idx})"));
    }
    let instrument = launch(ground, wish);
    for (victim, step_idx) in [Victim::Pgassay, Victim::Sandbox].into_iter().zip(moments) {
        wait_until_held_up(ground, &instrument, step_idx);
        let before = stored(ground, &instrument);
        assert_eq!(before.lines().count(), step_idx as usize, "{before}");
        victim.kill(ground);
        ground.answer(&format!("delete from held_up where step_idx = {step_idx}"));
        wait_for("the next step", || {
            let now = stored(ground, &instrument);
            assert!(
                now.starts_with(&before),
                "what is stored stays as it is:\n{before}\nand then\n{now}"
            );
            (now.lines().count() > step_idx as usize).then_some(())
        });
    }
    ground.wait_for_end("instruments", &instrument);
    let reasons = ["pgassay ended without a word", "a PostgreSQL server was lost"];
    let said = stages
        .iter()
        .zip(reasons)
        .map(|(stage, reason)| format!("{stage}: {reason}"));
    let said: Vec<String> = said.collect();
    assert_eq!(ground.interruptions("instruments", &instrument), said);
    let epochs = format!("select count(distinct epoch) from instrument_steps where instrument_id = {instrument}");
    assert_eq!(ground.answer(&epochs), "3");
    assert_eq!(answer(ground, &instrument), answer(ground, undisturbed));
    let page = ground.page(&format!("/instruments/{instrument}"));
    for reason in reasons {
        assert!(
            page.contains("was interrupted") && page.contains(reason),
            "{reason}: {page}"
        );
    }
    let page = ground.page(&format!("/instruments/{undisturbed}"));
    assert!(!page.contains("was interrupted"), "{page}");
}

#[test]
fn an_instrument_goes_on_behind_its_last_step_whoever_dies_and_answers_the_same() {
    let mut ground = Ground::open();
    let dataset = ground.upload_dump(DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let experiment = ground.launch(&dataset, &workload, 0, 1);
    ground.wait_for_end("experiments", &experiment);
    let undisturbed = [launch(&mut ground, &BISECT), launch(&mut ground, &LOTTERY)];
    for instrument in &undisturbed {
        ground.wait_for_end("instruments", instrument);
    }
    ground.answer(HELD_UP);
    // Its first two steps are the two sources themselves; the third is stored yet when the sandbox is gone.
    dies_twice(
        &mut ground,
        &BISECT,
        &undisturbed[0],
        [1, 2],
        ["writing both sources' statistics", "trying step 4"],
    );
    dies_twice(&mut ground, &LOTTERY, &undisturbed[1], [2, 4], ["drawing", "drawing"]);
    ground.assert_at_rest("1");
    ground.close();
}
