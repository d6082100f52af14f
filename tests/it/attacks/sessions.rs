//! Queries that try to leave something behind for the next trial.

use std::fmt::Write as _;

use crate::attacks::Ground;

/// `run` runs any statement when it is executed, `planned` already when it is planned. `state` says all that a trial
/// before could have left: in the session and in the clone.
const DUMP: &str = "
create table things (id integer primary key, kind integer, words tsvector);
insert into things select g, g % 10, to_tsvector('simple', 'thing ' || g) from generate_series(1, 5000) g;
create index things_brin on things using brin (kind) with (pages_per_range = 1);
create index things_gin on things using gin (words) with (fastupdate = on);
insert into things select g, g % 10, to_tsvector('simple', 'late ' || g) from generate_series(5001, 5100) g;
create table log (id integer);
create sequence numbers;
create function run(sql text) returns integer language plpgsql volatile as $$
begin
  execute sql;
  return 1;
end $$;
create function planned(sql text) returns integer language plpgsql immutable as $$
begin
  return public.run(sql);
end $$;
create function state() returns text language plpgsql volatile as $$
declare said text;
begin
  said := concat_ws(' ', 'random', random(),
    'settings', (select string_agg(name || '=' || setting, ',' order by name) from pg_settings
                 where source = 'session' or name ~ 'enable_|work_mem|search_path|standard_conforming'),
    'temporary', (select count(*) from pg_class where relpersistence = 't' and relkind = 'r'),
    'cursors', (select count(*) from pg_cursors where is_holdable),
    'prepared', (select count(*) from pg_prepared_statements where from_sql),
    'channels', (select count(*) from pg_listening_channels()),
    'locks', (select count(*) from pg_locks where locktype = 'advisory'),
    'large objects', (select count(*) from pg_largeobject_metadata),
    'statistics', (select count(*) from pg_stats where tablename in ('things', 'log')),
    'files', (select string_agg(relname || '=' || relfilenode || ',' || reltuples || ',' || relpages, ';'
                                order by relname) from pg_class where relname ~ '^(things|log)'),
    'targets', (select string_agg(attname || '=' || attstattarget, ',' order by attname) from pg_attribute
                where attrelid = 'public.things'::regclass and attnum > 0),
    'rows', (select count(*) from things), (select count(*) from log),
    'sequence', (select last_value from numbers),
    'brin', (select count(*) from things where kind = 3));
  raise exception 'state: %', said;
end $$;
";

/// Statements that a function may run, and that must be without consequence for the trial behind.
const FALSIFIERS: [&str; 30] = [
    "set enable_seqscan = off",
    "set work_mem = '64kB'",
    "set search_path = pg_temp, log",
    "set statement_timeout = 1",
    "set default_transaction_read_only = off",
    "set standard_conforming_strings = off",
    "set jit = on",
    "set evil.known = 1",
    "select setseed(0.25)",
    "select random()",
    "alter role current_user set enable_indexscan = off",
    "alter role current_user set default_transaction_isolation = serializable",
    "alter role current_user set local_preload_libraries = 'evil'",
    "alter role current_user password 'known'",
    "revoke connect on database postgres from public",
    "create temporary table things as select 1 as id",
    "prepare evil as select 1",
    "select pg_advisory_lock(1)",
    "listen evil",
    "declare evil cursor with hold for select 1",
    "select lo_from_bytea(0, 'x')",
    "analyze things",
    "reindex table things",
    "cluster things using things_pkey",
    "alter table things alter kind set statistics 1000",
    "create index on things (kind)",
    "delete from things",
    "select nextval('numbers')",
    "select brin_desummarize_range('things_brin', 0)",
    "select gin_clean_pending_list('things_gin')",
];

/// A falsifier, and behind it how a query finds things that reads and one that writes.
fn script(form: &str) -> String {
    let mut script = String::from("-- name: reads_first\nselect public.state();\n");
    script.push_str("-- name: writes_first\ninsert into public.log select length(public.state());\n");
    for (n, falsifier) in FALSIFIERS.iter().enumerate() {
        let falsifier = falsifier.replace('\'', "''");
        writeln!(script, "-- name: falsifier_{n}\nselect public.{form}('{falsifier}');").unwrap();
        writeln!(script, "-- name: reads_{n}\nselect public.state();").unwrap();
        if falsifier.starts_with("alter role") {
            script.push_str("insert into public.log select length(public.state());\n");
        }
    }
    script
}

async fn falsify(ground: &Ground, dataset: i64, form: &str) {
    let fields = [("order", "sequential"), ("timeout", "20s")];
    let trials = ground.trials(dataset, &script(form), &fields).await;
    let mut states: [Option<String>; 2] = [None, None];
    let mut last = String::new();
    for trial in trials {
        if let Some(n) = trial.query.strip_prefix("falsifier_") {
            last = format!("{form} {}", FALSIFIERS[n.parse::<usize>().unwrap()]);
            continue;
        }
        let state = trial.message.clone().unwrap_or_default();
        assert!(state.starts_with("state: "), "after {last}: {trial:?}");
        let which = usize::from(!trial.query.starts_with("reads_"));
        match &states[which] {
            None => states[which] = Some(state),
            Some(first) => assert_eq!(state, *first, "after {last}, in {}", trial.query),
        }
    }
}

#[tokio::test]
async fn whatever_a_query_does_the_next_trial_measures_the_same() {
    let ground = Ground::embedded();
    let dataset = ground.restored(DUMP).await;
    falsify(&ground, dataset, "run").await;
    falsify(&ground, dataset, "planned").await;
    ground.assert_untouched();
}

/// A role cannot be kept from changing and even robbing itself. The restore goes on without that.
#[tokio::test]
async fn what_a_dump_does_to_its_own_role_does_not_outlive_its_session() {
    let ground = Ground::embedded();
    for falsifier in [
        "alter role current_user password 'known'",
        "alter role current_user set local_preload_libraries = 'evil'",
        "alter role current_user set statement_timeout = 1",
        "alter role current_user set search_path = evil, pg_catalog",
        "drop owned by current_user",
    ] {
        // With that search path, whoever counts by an unqualified `count` gets the wrong one.
        let dump = format!(
            "create schema evil;
             create function evil.more(bigint) returns bigint language sql as 'select 4711::bigint';
             create aggregate evil.count(*) (sfunc = evil.more, stype = bigint, initcond = '0');
             create table things (a integer);
             insert into things values (1);
             do $$ begin execute '{}'; end $$;",
            falsifier.replace('\'', "''")
        );
        let restore = ground.restore(dump).await;
        assert_eq!(restore.status, "completed", "{falsifier}: {restore:?}");
        let counted: Vec<serde_json::Value> = ground.rows(&format!(
            "select n_rows from dataset_tables where dataset_id = {} and n_rows <> 1",
            restore.id
        ));
        assert_eq!(counted, Vec::<serde_json::Value>::new(), "{falsifier}");
    }
    ground.assert_untouched();
}

/// The server reads text as the dump's code has set it; we read it as the dump says at its top level.
#[tokio::test]
async fn a_dump_that_makes_the_server_read_it_differently_is_refused_in_words() {
    let ground = Ground::embedded();
    let dump = "create table things (a integer);\n\
                do $$ begin perform set_config('standard_conforming_strings', 'off', false); end $$;\n\
                select '\\''; copy things from stdin; --';\n\
                select 2;\n";
    let restore = ground.restore(dump).await;
    assert_eq!(restore.status, "failed");
    let message = restore.message.unwrap();
    assert!(message.contains("standard_conforming_strings"), "{message}");
    ground.assert_untouched();
}
