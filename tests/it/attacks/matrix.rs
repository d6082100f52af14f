//! The attack matrix: every attack as a statement of a dump, in a block of a dump, in an archive, as a query, and in a
//! function that a query calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use reqwest::StatusCode;

use crate::attacks::Ground;
use crate::support;
use crate::support::Cluster;

/// One line of the matrix. What is expected is told in the file.
struct Attack {
    id: &'static str,
    sql: &'static str,
    in_block: &'static str,
    in_dump: &'static str,
    as_query: &'static str,
}

fn attacks() -> Vec<Attack> {
    let lines = include_str!("matrix.txt").lines().filter(|line| !line.starts_with('#'));
    let attack = |line: &'static str| {
        let (line, _why) = line.split_once(" # ").unwrap_or((line, ""));
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [id, sql, in_block, in_dump, as_query] = cells[..] else {
            panic!("{line}");
        };
        Attack {
            id,
            sql,
            in_block,
            in_dump,
            as_query,
        }
    };
    lines.map(attack).collect()
}

/// The attacks as rows of a table, and a function that tries them one after the other and raises what came of it.
/// It holds still in the database where archives are made.
const ASSAULT: &str = "
create table attacks (id text, sql text);
create function other_role() returns name language sql stable as $$
  select coalesce((select rolname from pg_catalog.pg_roles where rolname ~ '^w_' and rolname <> current_user limit 1),
                  'postgres') $$;
create function other_database() returns name language sql stable as $$
  select coalesce((select datname from pg_catalog.pg_database
                   where datname ~ '^w_' and not starts_with(datname, current_user || '_') limit 1),
                  'postgres') $$;
create function noted() returns event_trigger language plpgsql as $$ begin end $$;
create function assault() returns text language plpgsql as $$
declare
  attack record;
  verdicts text := '';
begin
  if current_database() = 'maker' then
    return 'not yet';
  end if;
  for attack in select id, sql from public.attacks loop
    begin
      execute attack.sql;
      raise exception using errcode = 'Z0000';
    exception when others then
      verdicts := verdicts || ' ' || attack.id || '=' || sqlstate;
    end;
  end loop;
  raise exception 'verdicts:%', verdicts;
end $$;
";

/// In the verdicts of the function for an attack that ran.
const RAN: &str = "Z0000";

fn dump(ground: &Ground, attacks: &[Attack]) -> String {
    let mut dump = ASSAULT.to_owned();
    for attack in attacks {
        let sql = ground.aimed(attack.sql).replace('\'', "''");
        writeln!(dump, "insert into attacks values ('{}', '{sql}');", attack.id).unwrap();
    }
    dump
}

/// What the function said, by attack.
fn verdicts(said: &str) -> BTreeMap<String, String> {
    let (_, verdicts) = said.split_once("verdicts:").unwrap_or_else(|| panic!("{said}"));
    let pairs = verdicts
        .split_whitespace()
        .filter_map(|verdict| verdict.split_once('='));
    pairs
        .map(|(id, sqlstate)| (id.to_owned(), sqlstate.replace(RAN, "runs")))
        .collect()
}

/// That what a block may do is what is expected, to the letter.
fn assert_expected(said: &str, attacks: &[Attack]) {
    let verdicts = verdicts(said);
    assert_eq!(verdicts.len(), attacks.len());
    for attack in attacks {
        // A server that has the files of an extension refuses it by right, another for want of them.
        let verdict = verdicts[attack.id].as_str();
        let is_refused = attack.sql.starts_with("create extension") && ["42501", "0A000"].contains(&verdict);
        if !is_refused {
            assert_eq!(verdict, attack.in_block, "{} {}", attack.id, attack.sql);
        }
    }
}

/// Where code has fewer rights than a block: that nothing runs that a block is refused.
fn assert_no_better(said: &str, attacks: &[Attack]) {
    let verdicts = verdicts(said);
    assert_eq!(verdicts.len(), attacks.len());
    for attack in attacks.iter().filter(|attack| attack.in_block != "runs") {
        assert_ne!(verdicts[attack.id], "runs", "{} {}", attack.id, attack.sql);
    }
}

/// Whether a reason has these words. Releases of the server word differently what they refuse by right.
fn says(reason: &str, words: &str) -> bool {
    let is_by_right = |text: &str| text.contains("must ") || text.contains("permission denied");
    reason.contains(words) || (is_by_right(reason) && is_by_right(words))
}

/// The dump with every attack in a block, and behind it as a statement of its own, each in a line.
async fn in_a_dump(ground: &Ground, attacks: &[Attack]) -> i64 {
    let mut text = dump(ground, attacks);
    text.push_str("do $$ begin perform assault(); end $$;\n");
    let first_line = text.lines().count() + 1;
    for attack in attacks {
        if attack.in_dump != "-" && !attack.in_dump.starts_with('!') {
            writeln!(text, "{};", ground.aimed(attack.sql)).unwrap();
        } else {
            text.push('\n');
        }
    }
    let restore = ground.restore(text).await;
    assert_eq!(restore.status, "completed", "{restore:?}");
    let block = restore.notes.iter().find(|note| note.reason.contains("verdicts:"));
    assert_expected(&block.unwrap().reason, attacks);
    for (line, attack) in (first_line..).zip(attacks) {
        let note = restore.notes.iter().find(|note| usize::try_from(note.line) == Ok(line));
        match (attack.in_dump, note) {
            ("runs", None) => {}
            (words, None) => assert!(words == "-" || words.starts_with('!'), "{} ran", attack.id),
            (words, Some(note)) => assert!(says(&note.reason, words), "{} {note:?}", attack.id),
        }
    }
    for attack in attacks {
        if let Some(words) = attack.in_dump.strip_prefix('!') {
            let restore = ground.restore(format!("{ASSAULT}{};", ground.aimed(attack.sql))).await;
            assert_eq!(restore.status, "failed", "{}", attack.id);
            assert!(restore.message.unwrap().contains(words), "{}", attack.id);
        }
    }
    restore.id
}

/// An archive of a database in which a superuser has stored the attacks; the materialized view tries them when it is
/// filled again.
async fn in_an_archive(ground: &Ground, attacks: &[Attack]) {
    let maker = Cluster::start();
    let script = format!(
        "{}create materialized view filled as select assault() as said;\n",
        dump(ground, attacks)
    );
    fs::write(ground.dir.join("maker.sql"), script).unwrap();
    assert!(maker.client("createdb").arg("maker").status().unwrap().success());
    let mut psql = maker.client("psql");
    psql.args(["-XqAt", "-d", "maker", "-v", "ON_ERROR_STOP=1", "-f"]);
    let made = psql.arg(ground.dir.join("maker.sql")).output().unwrap();
    assert!(made.status.success(), "{}", support::stderr(&made));
    for format in ["custom", "tar"] {
        let archive = maker
            .client("pg_dump")
            .args(["-d", "maker", "--format", format])
            .output()
            .unwrap();
        let restore = ground.restore(archive.stdout).await;
        assert_eq!(restore.status, "completed", "{restore:?}");
        let filled = restore.notes.iter().find(|note| note.reason.contains("verdicts:"));
        assert_no_better(&filled.unwrap().reason, attacks);
    }
}

/// Every attack as a query, and all of them in a function that queries call: one that reads, one that writes.
async fn as_queries(ground: &Ground, attacks: &[Attack], dataset: i64) {
    let mut script = String::from(
        "-- name: reading\nselect public.assault();\n\
         -- name: writing\ninsert into public.attacks select public.assault();\n",
    );
    for attack in attacks.iter().filter(|attack| attack.id != "Y12") {
        writeln!(script, "-- name: {}\n{};", attack.id, ground.aimed(attack.sql)).unwrap();
    }
    let (_, queries) = ground.queries(&script).await;
    let trials = ground.trials(dataset, &script, &[]).await;
    let said = |label: &str| {
        let trial = trials.iter().find(|trial| trial.query == label).unwrap();
        trial.message.clone().unwrap()
    };
    assert_no_better(&said("reading"), attacks);
    assert_expected(&said("writing"), attacks);
    for attack in attacks.iter().filter(|attack| attack.id != "Y12") {
        let query = queries.iter().find(|query| query.label == attack.id).unwrap();
        let trial = trials.iter().find(|trial| trial.query == attack.id);
        match (&query.refusal, trial) {
            (Some(refusal), None) => assert!(refusal.contains(attack.as_query), "{} {refusal}", attack.id),
            // Two statements in one line are two queries, and the second is refused.
            (None, Some(_)) if attack.id == "Y3" => {
                let refused = queries.iter().filter(|query| query.refusal.is_some());
                assert!(refused.clone().any(|query| query.label.starts_with('q')));
            }
            (None, Some(trial)) => {
                let came_to = trial.sqlstate.as_deref().unwrap_or("runs");
                assert_eq!(came_to, attack.as_query, "{} {trial:?}", attack.id);
            }
            (refusal, trial) => panic!("{} {refusal:?} {trial:?}", attack.id),
        }
    }
    let (status, page) = ground
        .plain
        .upload(
            "/upload/queries",
            "copies",
            "q.sql",
            b"copy attacks from stdin;\n1\n".to_vec(),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("no end mark"), "{page}");
}

async fn try_every_door(ground: Ground) {
    // Somebody else's, to be attacked where the server is shared.
    ground.restored("create table theirs (a integer);").await;
    let attacks = attacks();
    let dataset = in_a_dump(&ground, &attacks).await;
    as_queries(&ground, &attacks, dataset).await;
    in_an_archive(&ground, &attacks).await;
    ground.assert_untouched();
}

#[tokio::test]
async fn every_attack_of_the_matrix_comes_to_what_is_expected_through_every_door() {
    try_every_door(Ground::embedded()).await;
}

#[tokio::test]
async fn every_attack_of_the_matrix_comes_to_the_same_where_datasets_share_a_server() {
    try_every_door(Ground::shared()).await;
}
