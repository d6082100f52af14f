//! Restores on a real sandbox that fail, in whole or in part, in the words that their person reads.

use crate::model::job::JobStatus;
use crate::testing;
use crate::testing::bench::Bench;
use std::collections::BTreeMap;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_dump_that_cannot_be_restored_says_why_by_line() {
    let inserts = |n: usize, bad: usize| -> String {
        let statements = (1..=n).map(|id| format!("insert into t values ({});\n", if id == bad { 1 } else { id }));
        statements.collect::<Vec<_>>().concat()
    };
    let many = format!("create table t (a integer primary key);\n{}", inserts(300, 150));
    let many_in_a_transaction = format!(
        "begin;\ncreate table t (a integer primary key);\n{}commit;\n",
        inserts(300, 150)
    );
    // The servers' words for the same refusal.
    let (copy_program, copy_file) = if testing::server_version_num().await < 160_000 {
        (
            "must be superuser or have privileges of the pg_execute_server_program role to COPY to or from an external \
             program",
            "must be superuser or have privileges of the pg_read_server_files role to COPY from a file",
        )
    } else {
        (
            "permission denied to COPY to or from an external program (Only roles with privileges of the \
             \"pg_execute_server_program\" role may COPY to or from an external program.)",
            "permission denied to COPY from a file (Only roles with privileges of the \"pg_read_server_files\" role may \
             COPY from a file.)",
        )
    };
    let copy_program = format!("COPY t in line 2 failed. The server says: {copy_program}");
    let copy_file = format!("COPY t in line 2 failed. The server says: {copy_file}");
    let cases: &[(&str, &str)] = &[
        (
            "create table t (a integer);\n\\! touch /tmp/owned\n",
            "\\! in line 2 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "\\unrestrict `touch /tmp/owned`\ncreate table t (a integer);",
            "\\unrestrict in line 1 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "create table t (a integer);\n\n\\copy t from program 'id'\n",
            "\\copy in line 3 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "create table t (a integer);\n\\echo made \\\\ insert into t values (1);\n",
            "\\echo in line 2 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "create table t (a integer);\nselect 1\\; select 2;\n",
            "\\; in line 2 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "create table t (a integer);\ncopy t from stdin\\; select 2;\n1\n\\.\n",
            "\\; in line 2 is a command of psql that is not allowed in a dump. pgassay never runs psql.",
        ),
        (
            "create database one;\n\\connect one\ncreate table t (a integer);\n\\connect two\n",
            "The dump holds a second database, two (line 4), beside one. Make a dump of one database: pg_dump one.",
        ),
        (
            "create database one;\ncreate database two;\n",
            "The dump holds a second database, two (line 2), beside one. Make a dump of one database: pg_dump one.",
        ),
        (
            "create table t (a integer);\ncopy t from stdin;\n1\n2\n",
            "The file ends inside the data of t: the COPY at line 2 has 2 rows and no end mark (\\.).",
        ),
        (
            "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18\ncreate table t (a integer);\n",
            "The dump is cut off: pg_dump's end mark (-- PostgreSQL database dump complete) is missing.",
        ),
        (
            "create table t (a text);\ninsert into t values ('cut",
            "The file ends inside a string that was opened at line 2.",
        ),
        (
            "create table t (a integer, b text);\ncopy t (a, b) from stdin;\n1\tone\nx\ttwo\n\\.\n",
            "COPY into t in line 4 failed. The server says: invalid input syntax for type integer: \"x\"",
        ),
        (
            "create table t (a integer, b text);\ncopy t (a, b) from stdin;\n1\tone\textra\n\\.\n",
            "COPY into t in line 3 failed. The server says: extra data after last expected column",
        ),
        (
            "copy nowhere from stdin;\n1\n\\.\n",
            "COPY into nowhere in line 1 failed. The server says: relation \"nowhere\" does not exist",
        ),
        (
            &many,
            "INSERT t in line 151 failed. The server says: duplicate key value violates unique constraint \"t_pkey\" \
             (Key (a)=(1) already exists.)",
        ),
        (
            &many_in_a_transaction,
            "INSERT t in line 152 failed. The server says: duplicate key value violates unique constraint \"t_pkey\" \
             (Key (a)=(1) already exists.)",
        ),
        (
            "begin;\ncreate table t (a integer);\ninsert into t values (1);\n",
            "The file leaves a transaction open: its COMMIT is missing.",
        ),
        (
            "create table t (a integer);\ncopy t from program 'id';\n",
            &copy_program,
        ),
        ("create table t (a text);\ncopy t from '/etc/passwd';\n", &copy_file),
        (
            "create table t (a text);\ninsert into t select pg_read_file('/etc/passwd');\n",
            "INSERT t in line 2 failed. The server says: permission denied for function pg_read_file",
        ),
        (
            "create table t (a integer);\nset client_encoding = 'LATIN1';\nset client_encoding = 'UTF8';\n",
            "client_encoding changes to UTF8 in line 3; a dump in one encoding is needed.",
        ),
        (
            "grant all on t to somebody;\n",
            "Nothing in the file can be restored into a dataset.",
        ),
    ];
    let bench = Bench::open().await;
    for (dump, sentence) in cases {
        let dataset = bench.restore(dump.as_bytes()).await;
        assert_eq!(dataset.job.message.as_deref(), Some(*sentence), "{dump}");
        assert_eq!(dataset.job.status, JobStatus::Failed, "{dump}");
        assert!(
            !bench.house.sandboxes.is_there(dataset.id).await.unwrap(),
            "nothing of it is left: {dump}"
        );
    }
    assert!(!std::path::Path::new("/tmp/owned").exists());
    bench.close().await;
}

/// A few of the attacks of `reliability.md` 3.1, each of which the server refuses to the dataset's role.
#[tokio::test]
async fn what_reaches_out_of_a_dataset_is_refused_by_the_server_in_its_words() {
    let attacks = [
        ("F5", "select pg_read_file('/etc/passwd')"),
        ("F6", "select pg_ls_dir('.')"),
        ("F7", "select pg_stat_file('/etc/passwd')"),
        ("F8", "select lo_import('/etc/passwd')"),
        ("F14", "show data_directory"),
        ("C1", "create function f() returns int language c as 'x', 'y'"),
        ("C2", "create function g() returns int language internal as 'x'"),
        ("C5", "do $$ begin execute 'create extension dblink'; end $$"),
        (
            "P2",
            "do $$ begin execute 'alter role ' || current_user || ' superuser'; end $$",
        ),
        ("P3", "do $$ begin execute 'create role r'; end $$"),
        (
            "P5",
            "do $$ begin execute 'grant pg_execute_server_program to ' || current_user; end $$",
        ),
        ("P6", "do $$ begin execute 'set role postgres'; end $$"),
        (
            "P17",
            "do $$ begin execute 'alter database ' || current_database() || ' connection limit 1'; end $$",
        ),
        (
            "P28",
            "select set_config('session_replication_role', 'replica', false) as escaped",
        ),
        ("P31", "select rolpassword from pg_authid"),
        (
            "P33",
            "do $$ begin perform set_config('allow_system_table_mods', 'on', false); end $$",
        ),
        ("X12", "select pg_create_physical_replication_slot('s')"),
        ("X15", "do $$ begin execute 'checkpoint'; end $$"),
        ("X19", "select pg_notify('a', 'b')"),
        (
            "X22",
            "do $$ begin lock table pg_catalog.pg_authid in access exclusive mode; end $$",
        ),
    ];
    let bench = Bench::open().await;
    let statements = attacks.map(|(_, sql)| format!("{sql};\n")).concat();
    let dataset_id = bench
        .restored(&format!("create table t (a integer);\n{statements}"))
        .await;
    let refused: BTreeMap<u64, String> = bench
        .notes(dataset_id)
        .await
        .into_iter()
        .map(|note| (note.line, note.reason))
        .collect();
    for (line, (id, attack)) in (2..).zip(attacks) {
        let reason = refused
            .get(&line)
            .unwrap_or_else(|| panic!("{id} got through: {attack}"));
        assert!(
            [
                "permission denied",
                "must be superuser",
                "must be owner",
                "must have admin option"
            ]
            .iter()
            .any(|words| reason.contains(words)),
            "{id} {attack}: {reason}"
        );
    }
    bench.close().await;
}
