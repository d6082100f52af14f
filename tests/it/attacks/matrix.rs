//! The attack matrix: every attack as a statement of a dump, in a block of a dump, in an archive, as a query, and in a
//! function that a query calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::attacks::Ground;

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
                   where datname not in (current_database(), 'postgres', 'template0', 'template1') limit 1),
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
    let (_, verdicts) = said.split_once("verdicts:").unwrap();
    let pairs = verdicts
        .split_whitespace()
        .filter_map(|verdict| verdict.split_once('='));
    pairs
        .map(|(id, sqlstate)| (id.to_owned(), sqlstate.trim_end_matches('.').to_owned()))
        .collect()
}

#[tokio::test]
async fn learn() {
    let ground = Ground::embedded();
    let attacks = attacks();
    let mut text = dump(&ground, &attacks);
    text.push_str("do $$ begin perform assault(); end $$;\n");
    let first_line = text.lines().count() + 1;
    for attack in &attacks {
        if !["F2", "F3", "P29b", "P30", "P32", "P35", "Y2", "Y12"].contains(&attack.id) {
            text.push_str(&ground.aimed(attack.sql));
            text.push_str(";\n");
        } else {
            text.push_str("\n");
        }
    }
    let restore = ground.restore(text).await;
    println!("{} {:?}", restore.status, restore.message);
    for note in &restore.notes {
        println!(
            "NOTE {} {} {}",
            if note.line >= first_line as i64 {
                attacks.get((note.line as usize) - first_line).map_or("?", |a| a.id)
            } else {
                "-"
            },
            note.kind,
            note.reason
        );
    }
    let mut script = String::from("-- name: assault\nselect assault();\n");
    for attack in attacks.iter().filter(|a| a.id != "Y12") {
        writeln!(script, "-- name: {}\n{};", attack.id, ground.aimed(attack.sql)).unwrap();
    }
    let (_, queries) = ground.queries(&script).await;
    for q in &queries {
        if let Some(r) = &q.refusal {
            println!("REFUSED {} {r}", q.label);
        }
    }
    for t in ground.trials(restore.id, &script, &[]).await {
        println!("TRIAL {t:?}");
    }
    ground.assert_untouched();
}
