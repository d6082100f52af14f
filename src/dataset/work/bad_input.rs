//! Dumps that are not what they should be, or ask for too much: the part of the list of bad inputs (`reliability.md` 5.1)
//! that a restore decides. Its numbers stand before the rows.

use std::time::Duration;

use crate::model::dataset::Dataset;
use crate::model::dataset::RestoreNoteKind;
use crate::model::job::JobStatus;
use crate::testing::bench::Bench;

/// The restore failed in these words, and nothing of it is there: no server, no file.
async fn assert_failed(bench: &Bench, dataset: &Dataset, words: &str) {
    assert_eq!(dataset.job.status, JobStatus::Failed, "{words}");
    let message = dataset.job.message.as_deref().unwrap_or_default();
    assert!(message.starts_with(words), "{message:?} instead of {words:?}");
    assert!(!bench.house.sandboxes.is_there(dataset.id).await.unwrap(), "{words}");
    let dump = bench.house.layout.dump(dataset.id);
    assert!(!dump.exists(), "{words}");
    let incoming = std::fs::read_dir(dump.with_file_name("incoming")).unwrap();
    assert_eq!(incoming.count(), 0, "{words}");
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::Command;
    use std::process::Stdio;
    let mut child = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes).unwrap());
        child.wait_with_output().unwrap().stdout
    })
}

#[tokio::test]
async fn what_is_no_dump_fails_in_words_and_leaves_nothing() {
    const TABLE: &[u8] = b"create table t (a text);\n";
    let with = |rest: &[u8]| [TABLE, rest].concat();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        (
            "2",
            b" \n-- nothing\n/* at all */\n".to_vec(),
            "No SQL statement was found in the file.",
        ),
        ("3", b"\xef\xbb\xbf".to_vec(), "No SQL statement was found in the file."),
        (
            "6",
            with(b"insert into t values ('gr\xfcn');\n"),
            "The text is not valid UTF-8 at byte 50, in line 2.",
        ),
        (
            "8",
            with(b"insert into t values ('\0');\n"),
            "There is a NUL byte at line 2, outside of COPY data.",
        ),
        (
            "8",
            with(b"copy t from stdin;\none\nt\0wo\n\\.\n"),
            "COPY into t in line 4 failed. The server says: invalid byte sequence for encoding \"UTF8\": 0x00",
        ),
        (
            "15",
            [gzipped(TABLE), b"garbage".to_vec()].concat(),
            "The compressed file is cut off or damaged after ",
        ),
        (
            "30",
            with(b"select 'drop table t' \\gexec\n"),
            "\\gexec in line 2 is a command of psql that is not allowed in a dump.",
        ),
        (
            "32",
            with(b"--\n-- Name: x\n\\! touch /tmp/owned\n; Type: TABLE\n"),
            "\\! in line 4 is a command of psql that is not allowed in a dump.",
        ),
        (
            "37",
            b"create extension vector;\ncreate table t (a vector(3));\n".to_vec(),
            "CREATE TABLE t in line 2 failed. The server says: type \"vector\" does not exist. The dump wants what is \
             not available in a sandbox: the extension vector",
        ),
        (
            "48",
            with(b"begin;\ninsert into t values ('lost');\ncommit and chain;\ninsert into t values ('too');\n"),
            "The file leaves a transaction open: its COMMIT is missing.",
        ),
        (
            "encoding",
            b"set client_encoding = 'EUC_TW';\nselect 1;\n".to_vec(),
            "The file says that its encoding is EUC_TW, which cannot be read here.",
        ),
        (
            "encoding",
            [
                b"set client_encoding = 'EUC_JP';\n",
                TABLE,
                b"insert into t values ('\xff\xff');\n",
            ]
            .concat(),
            "The text is not valid EUC_JP near byte ",
        ),
        (
            "encoding",
            "s\0e\0l\0e\0c\0t\0 \x001\0;\0".into(),
            "There is a NUL byte at line 1, outside of COPY data.",
        ),
        (
            "newer server",
            b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 99.1\n\n\
              SET transaction_timeout = 0;\n\
              create table t (a integer never null);\n\
              --\n-- PostgreSQL database dump complete\n--\n"
                .to_vec(),
            "CREATE TABLE t in line 8 failed. The server says: syntax error at or near \"never\". The dump was made from \
             PostgreSQL 99, and the server here is ",
        ),
    ];
    let bench = Bench::open().await;
    for (number, dump, words) in cases {
        println!("{number}");
        assert_failed(&bench, &bench.restore(dump).await, words).await;
    }
    assert!(!std::path::Path::new("/tmp/owned").exists());
    bench.close().await;
}

#[tokio::test]
async fn odd_but_honest_dumps_are_restored() {
    let bench = Bench::open().await;
    for (number, dump, n_rows) in [
        (
            "4",
            "\u{feff}create table t (a text);\ninsert into t values ('ü');\n",
            1,
        ),
        (
            "9",
            "create table t (a text,\r\n  b text);\r\ncopy t from stdin;\r\none\ttwo\r\nthree\tfour\r\n\\.\r\n\
             insert into t values ('\r', '');\r\n",
            3,
        ),
        ("40", "set statement_timeout = 0;\ncreate table t (a text);\n", 0),
        (
            "a newer server",
            "SET transaction_timeout = 0;\nSET default_toast_compression = 'lz4';\nSET allow_in_place_tablespaces = on;\n\
             create table t (a text);\nselect pg_catalog.pg_restore_relation_stats('version', 180000::integer);\n",
            0,
        ),
    ] {
        let dataset = bench.restore(dump.as_bytes()).await;
        assert_eq!(
            (dataset.job.message.as_deref(), dataset.n_rows),
            (None, n_rows),
            "{number}"
        );
    }
    bench.close().await;
}

/// Bad inputs 34 to 38.
#[tokio::test]
async fn what_a_sandbox_does_not_have_is_left_out_and_its_passwords_are_not_told() {
    let statements = [
        "create database other",
        "create role bob login password 'canary'",
        "create extension postgres_fdw",
        "create server s foreign data wrapper postgres_fdw options (host 'h')",
        "create user mapping for bob server s options (user 'bob', password 'canary')",
        "create foreign table f (a integer) server s",
        "create subscription sub connection 'host=h password=canary' publication p",
        "create publication p for all tables",
        "create event trigger e on ddl_command_end execute function f()",
        "alter role bob password 'canary'",
    ];
    let bench = Bench::open().await;
    let dump = format!("create table t (a integer);\n{};\n", statements.join(";\n"));
    let dataset = bench.restore(dump.as_bytes()).await;
    assert_eq!(dataset.job.message, None);
    let notes = bench.notes(dataset.id).await;
    let skipped = notes.iter().filter(|note| note.kind == RestoreNoteKind::Skipped);
    let lines: Vec<u64> = skipped.map(|note| note.line).collect();
    assert_eq!(lines, (2..12).collect::<Vec<u64>>(), "{notes:?}");
    assert!(!format!("{notes:?}").contains("canary"), "{notes:?}");
    bench.close().await;
}

/// Bad inputs 13, 41, 42 and 47, with limits that are passed quickly.
#[tokio::test]
async fn a_dump_that_asks_for_too_much_is_given_up_in_seconds_and_leaves_nothing() {
    let mut bench = Bench::open().await;
    let limits = bench.house.restorer.limits;

    bench.house.restorer.limits.expanded_bytes = 8 << 20;
    let bomb = gzipped(&[b"select 1;".as_slice(), &vec![b' '; 64 << 20]].concat());
    let dataset = bench.restore(&bomb).await;
    let words =
        "The dump expands to more than the limit of 8.0 MiB. A larger limit is set by PGASSAY_MAX_EXPANDED_BYTES.";
    assert_failed(&bench, &dataset, words).await;
    bench.house.restorer.limits = limits;

    bench.house.restorer.limits.n_objects = 60;
    let tables: String = (0..70).map(|n| format!("create table t{n} ();\n")).collect();
    let dataset = bench.restore(tables.as_bytes()).await;
    let words = "The dump makes more than 60 tables, indexes, views and sequences. A larger limit is set by \
                 PGASSAY_MAX_OBJECTS.";
    assert_failed(&bench, &dataset, words).await;
    bench.house.restorer.limits = limits;

    bench.house.restorer.sandboxes.room.max_database_bytes = 32 << 20;
    let dump = b"create table t as select repeat('x', 1000), generate_series(1, 1000000000);\n";
    let dataset = bench.restore(dump).await;
    let words = "The database grew beyond the limit of 32 MiB. A larger limit is set by PGASSAY_MAX_DATABASE_BYTES. It was \
                 at: create table t as.";
    assert_failed(&bench, &dataset, words).await;
    bench.house.restorer.limits = limits;

    bench.house.restorer.limits.time = Duration::from_secs(2);
    let dataset = bench
        .restore(b"set statement_timeout = 0;\nselect pg_sleep(6000);\n")
        .await;
    let words = "The restore took longer than the limit of 2 s. A larger limit is set by PGASSAY_MAX_RESTORE_MINUTES.";
    assert_failed(&bench, &dataset, words).await;
    bench.close().await;
}

#[tokio::test]
async fn a_hundred_thousand_statements_are_restored() {
    const N: u64 = 100_000;
    let inserts: String = (0..N).map(|n| format!("insert into t values ({n});\n")).collect();
    let dump = format!("create table t (a integer);\n{inserts}");
    let bench = Bench::open().await;
    let dataset = bench.restore(dump.as_bytes()).await;
    assert_eq!((dataset.job.message, dataset.n_rows), (None, N));
    bench.close().await;
}
