//! Settings that scripts change, and what is said of them.

use super::*;

fn acts(script: &str) -> Vec<Act> {
    read(script).unwrap().into_iter().map(|step| step.act).collect()
}

#[test]
fn settings_indexes_objects_and_targets_are_told_apart() {
    let set = |name: &str| Act::Setting(name.to_owned());
    for (statement, act) in [
        ("set enable_hashjoin = off", set("enable_hashjoin")),
        ("SET SESSION Work_Mem TO '64MB'", set("work_mem")),
        ("set search_path to \"A b\", public", set("search_path")),
        ("set app.kind = -1", set("app.kind")),
        ("set random_page_cost=1.1", set("random_page_cost")),
        (
            "set session_replication_role to default",
            set("session_replication_role"),
        ),
        ("reset work_mem", set("work_mem")),
        ("create index on orders (status)", Act::MakeIndex),
        (
            "create unique index i on only a.orders using btree ((lower(x) || 'a;b')) where y > 1",
            Act::MakeIndex,
        ),
        ("drop index if exists a.i, j restrict", Act::DropIndex),
        ("create statistics s (mcv) on a, b from orders", Act::MakeObject),
        ("drop statistics s", Act::DropObject),
        ("alter statistics a.s set statistics 500", Act::Target),
        (
            "alter table only orders alter column status set statistics -1",
            Act::Target,
        ),
        (
            "alter table if exists a.\"O\" * alter s set statistics default, alter column t set (n_distinct = -0.5, \
             n_distinct_inherited = 9), alter u reset (n_distinct)",
            Act::Target,
        ),
        ("analyze", Act::Analyze),
        ("ANALYZE (verbose) orders (status)", Act::Analyze),
    ] {
        assert_eq!(acts(statement), [act], "{statement}");
    }
}

#[test]
fn whatever_else_a_script_could_do_is_refused() {
    for statement in [
        "set role postgres",
        "set role = postgres",
        "set \"role\" to postgres",
        "set \"ROLE\" = postgres",
        "reset role",
        "reset all",
        "set session authorization postgres",
        "set session session_authorization = postgres",
        "set session characteristics as transaction read write",
        "reset session authorization",
        "set local work_mem = 1",
        "set transaction read write",
        "set constraints all deferred",
        "set names 'LATIN1'",
        "set client_encoding = 'LATIN1'",
        "set time zone 'UTC'",
        "set schema 'x'",
        "set statement_timeout = 0",
        "set transaction_read_only = off",
        "set standard_conforming_strings = off",
        "set work_mem = (select 1)",
        "set work_mem",
        "copy t to program 'id'",
        "copy t from program 'id'",
        "do $$ begin end $$",
        "create function f() returns int language sql as 'select 1'",
        "create or replace function f() returns int language sql return 1",
        "create table t (a int)",
        "create temp table t (a int)",
        "create extension file_fdw",
        "create schema x create index on orders (a)",
        "create materialized view v as select 1",
        "alter system set work_mem = '1GB'",
        "alter role postgres set work_mem = '1GB'",
        "alter database d set work_mem = '1GB'",
        "alter index i rename to j",
        "alter table t add column x int",
        "alter table t alter column a type bigint",
        "alter table t alter column a set default 1",
        "alter table t alter column a set not null",
        "alter table t alter column a set statistics 1, add column x int",
        "alter table t alter a set (n_distinct = 1, x = 2)",
        "alter table t alter a set storage plain",
        "alter table t set (fillfactor = 10)",
        "alter table t rename to u",
        "alter table t owner to postgres",
        "alter table all in tablespace a set tablespace b",
        "alter statistics s rename to t",
        "alter statistics s owner to postgres",
        "create index concurrently on orders (status)",
        "drop index concurrently i",
        "drop index i cascade",
        "drop table t",
        "begin",
        "commit",
        "rollback",
        "savepoint a",
        "end",
        "start transaction",
        "prepare transaction 'x'",
        "prepare p as select 1",
        "execute p",
        "select set_config('role', 'postgres', false)",
        "insert into t values (1)",
        "update t set a = 1",
        "delete from t",
        "truncate t",
        "vacuum full t",
        "cluster t using i",
        "reindex table t",
        "refresh materialized view v",
        "explain analyze insert into t values (1)",
        "declare c cursor for select 1",
        "lock table t",
        "listen x",
        "load 'x'",
        "discard all",
        "call p()",
        "grant all on t to public",
        "comment on table t is 'x'",
        "security label on table t is 'x'",
        "checkpoint",
        "analyze $1",
        "\\! id",
        "\\connect postgres",
        "\\i /etc/passwd",
        "\\copy t from program 'id'",
        "analyze \\; drop table t",
        "analyze t \\g |id",
    ] {
        let found = read(&format!("set work_mem = 1;\n{statement};\n"));
        let problems = found.expect_err(statement);
        assert_eq!(problems[0].line, 2, "{statement}: {problems:?}");
        assert!(!problems[0].reason.is_empty());
    }
}

#[test]
fn everything_that_is_wrong_is_said_with_its_line_and_statement() {
    let script = "-- name: x\nset work_mem = 1;\n\ncreate  table t\n (a int);\ncommit; analyze;\n\\! id\n";
    let said: Vec<String> = read(script).unwrap_err().iter().map(Problem::to_string).collect();
    assert_eq!(
        said,
        [
            format!("Line 4, create table t (a int): {ONLY}"),
            "Line 6, commit: a script runs without transactions, each statement for itself".to_owned(),
            "Line 7, \\! id: commands of psql are not run".to_owned(),
        ]
    );
    let said = read("analyze;\ncreate index on t (lower('x)").unwrap_err();
    assert_eq!(said[0].line, 2);
    assert!(
        said[0].to_string().starts_with("Line 2: The file ends inside a string"),
        "{said:?}"
    );
}

#[test]
fn scripts_are_told_apart_by_their_names() {
    let text = "\n\n-- name: one\nset a.b = 1;\n--name: two words\nanalyze;\n-- name:\n";
    let found = scripts(text);
    assert_eq!(
        found,
        [
            (Some("one".to_owned()), "-- name: one\nset a.b = 1;\n".to_owned()),
            (
                Some("two words".to_owned()),
                "--name: two words\nanalyze;\n-- name:\n".to_owned()
            ),
        ]
    );
    assert_eq!(scripts("analyze"), [(None, "analyze\n".to_owned())]);
    assert_eq!(scripts(" \n"), []);
}
