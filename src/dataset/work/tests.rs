//! Restores on a real sandbox: how each sort of dump ends, in the words that its person reads.

use std::collections::BTreeMap;

use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Setting;
use crate::model::job::JobStatus;
use crate::store;
use crate::testing::bench::Bench;

const SAMPLE: &str = include_str!("../../../samples/dump.sql");

/// Rows of each table, counted in the text of a dump: lines between COPY and its end mark.
fn rows_in_text(dump: &str) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    let mut table: Option<&str> = None;
    for line in dump.lines() {
        match table {
            Some(_) if line == "\\." => table = None,
            Some(name) => *rows.get_mut(name).unwrap() += 1,
            None => {
                table = line
                    .strip_prefix("COPY ")
                    .filter(|_| line.ends_with("FROM stdin;"))
                    .and_then(|rest| rest.split(' ').next());
                if let Some(name) = table {
                    rows.insert(name.to_owned(), 0);
                }
            }
        }
    }
    rows
}

#[tokio::test]
async fn the_sample_is_restored_to_the_row() {
    let bench = Bench::open().await;
    let id = bench.restored(SAMPLE).await;
    let dataset = bench.dataset(id).await;
    let tables = {
        let mut conn = bench.house.pool.acquire().await.unwrap();
        store::restores::list_tables(&mut conn, bench.house.viewer, id)
            .await
            .unwrap()
    };
    let found: BTreeMap<String, u64> = tables
        .iter()
        .map(|table| (format!("{}.{}", table.schema_name, table.table_name), table.n_rows))
        .collect();
    assert!((8..=10).contains(&found.len()), "{found:?}");
    assert_eq!(found, rows_in_text(SAMPLE));
    assert_eq!(dataset.n_rows, found.values().sum::<u64>());
    assert_eq!(dataset.encoding.as_deref(), Some("UTF8"));
    assert!(dataset.database_bytes.unwrap() > 0);
    // Everything in it belongs to the dataset's role, the database itself does not.
    let role = format!("w_{id}");
    assert_eq!(
        bench
            .ask(
                id,
                "select string_agg(distinct pg_get_userbyid(c.relowner)::text, ',') from pg_class c
                      join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public'"
            )
            .await,
        Some(role)
    );
    assert_eq!(
        bench
            .ask(
                id,
                "select string_agg(distinct datdba::regrole::text, ',') from pg_database"
            )
            .await
            .as_deref(),
        Some("postgres")
    );
    assert_eq!(
        bench
            .ask(
                id,
                "select count(*)::text from pg_database where datallowconn and datname ~ '^t_'"
            )
            .await
            .as_deref(),
        Some("0"),
        "the template takes no connections"
    );
    bench.close().await;
}

/// A dump that works all the same, its rows, and the lines of its log: kind, line, and how the reason begins.
type Tolerated<'a> = (&'a str, u64, &'a [(RestoreNoteKind, u64, &'a str)]);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_dump_works_without_what_it_does_not_need_and_the_log_says_what_that_was() {
    use RestoreNoteKind::Failed;
    use RestoreNoteKind::Note;
    use RestoreNoteKind::Skipped;
    let cases: &[Tolerated<'_>] = &[
        (
            "\\restrict Ab12\ncreate table t (a integer);\ninsert into t values (1);\n\\unrestrict Ab12\n",
            1,
            &[],
        ),
        (
            "create database shop with template = template0 encoding = 'UTF8' locale = 'C';\n\\connect shop\n\
             create table t (a integer);\ninsert into t values (1), (2);\n",
            2,
            &[(Skipped, 1, "the dataset has a database of its own")],
        ),
        (
            "drop database if exists \"My Shop\";\ncreate database \"My Shop\";\n\
             \\connect -reuse-previous=on \"dbname='My Shop'\"\ncreate table t (a integer);\n",
            0,
            &[
                (Skipped, 1, "the dataset has a database of its own"),
                (Skipped, 2, "the dataset has a database of its own"),
            ],
        ),
        (
            "create table t (a integer);\ncreate index on nowhere (a);\ninsert into t values (1);\n",
            1,
            &[(Failed, 2, "relation \"nowhere\" does not exist")],
        ),
        (
            "begin;\ncreate table t (a integer);\ninsert into t values (1);\ncreate index on nowhere (a);\n\
             insert into t values (2);\ncommit;\n",
            2,
            &[(Failed, 4, "relation \"nowhere\" does not exist")],
        ),
        (
            "begin;\ncreate table t (a integer);\ninsert into t values (1) -- one\n;\ncreate view v as select a from t -- two\n\
             ;\ncommit;\n",
            1,
            &[],
        ),
        (
            "create table t (a integer);\nbegin;\ninsert into t values (1);\nrollback;\ninsert into t values (2);\n",
            1,
            &[],
        ),
        (
            "create table t (a integer);\nbegin;\nsavepoint s;\ninsert into t values (1);\nrollback to s;\n\
             insert into t values (2);\nrelease s;\ncommit;\n",
            1,
            &[],
        ),
        (
            "create table t (a integer);\nalter table t owner to boss;\ngrant select on t to boss;\n\
             create role boss;\ncomment on extension plpgsql is 'x';\n",
            0,
            &[
                (Skipped, 2, "owners are not restored"),
                (Skipped, 3, "privileges are not restored"),
                (Skipped, 4, "roles are not restored"),
                (Skipped, 5, "comments on what is not restored are left out"),
            ],
        ),
        (
            "create extension dblink;\ncreate extension if not exists pg_trgm with schema public;\n\
             create table t (a text);\ncreate index on t using gin (a gin_trgm_ops);\n",
            0,
            &[(Skipped, 1, "the extension dblink is not available in a sandbox")],
        ),
        (
            "drop table if exists t;\ndrop table gone;\ncreate schema public;\ncreate table t (a integer);\n",
            0,
            &[
                (Note, 2, "nothing to do: table \"gone\" does not exist"),
                (Note, 3, "nothing to do: schema \"public\" already exists"),
            ],
        ),
        (
            "set timeout_of_tomorrow = 0;\nset session_replication_role = 'replica';\ncreate table t (a integer);\n",
            0,
            &[
                (
                    Skipped,
                    1,
                    "this server refuses the setting: unrecognized configuration parameter",
                ),
                (Skipped, 2, "this server refuses the setting: permission denied"),
            ],
        ),
    ];
    let bench = Bench::open().await;
    for (dump, n_rows, expected) in cases {
        let dataset = bench.restore(dump.as_bytes()).await;
        assert_eq!(
            dataset.job.status,
            JobStatus::Completed,
            "{:?}: {dump}",
            dataset.job.message
        );
        assert_eq!(dataset.n_rows, *n_rows, "{dump}");
        let notes = bench.notes(dataset.id).await;
        assert_eq!(notes.len(), expected.len(), "{notes:?}: {dump}");
        for (note, (kind, line, reason)) in notes.iter().zip(*expected) {
            assert_eq!((note.kind, note.line), (*kind, *line), "{note:?}: {dump}");
            assert!(note.reason.starts_with(reason), "{note:?}: {dump}");
        }
    }
    bench.close().await;
}

#[tokio::test]
async fn text_in_another_encoding_arrives_as_utf8() {
    let bench = Bench::open().await;
    let dump = b"SET client_encoding = 'LATIN1';\ncreate table t (a text);\nCOPY t FROM stdin;\ngr\xfcn\n\\.\n\
                 insert into t values ('\xe9');\n";
    let dataset = bench.restore(dump).await;
    assert_eq!(dataset.job.status, JobStatus::Completed, "{:?}", dataset.job.message);
    let bytes = bench
        .ask(
            dataset.id,
            "select string_agg(encode(convert_to(a, 'UTF8'), 'hex'), ' ') from public.t",
        )
        .await;
    assert_eq!(bytes.as_deref(), Some("6772c3bc6e c3a9"));
    bench.close().await;
}

#[tokio::test]
async fn a_dump_that_analyzes_leaves_no_statistics() {
    let bench = Bench::open().await;
    let id = bench
        .restored(
            "create table t (a integer, b integer);\ninsert into t select g, g from generate_series(1, 1000) g;\n\
             create statistics s on a, b from t;\nanalyze t;\nvacuum analyze;\n\
             do $$ begin execute 'analyze t'; end $$;\n",
        )
        .await;
    let n_statistics = "select (select count(*) from pg_statistic join pg_class c on c.oid = starelid
                                where c.relname = 't')
                             + (select count(*) from pg_statistic_ext_data) || ' rows'";
    assert_eq!(bench.ask(id, n_statistics).await.as_deref(), Some("0 rows"));
    let notes = bench.notes(id).await;
    let reasons: Vec<(u64, &str)> = notes.iter().map(|note| (note.line, note.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (
                4,
                "ANALYZE and VACUUM are not run: statistics are what an experiment varies"
            ),
            (
                5,
                "ANALYZE and VACUUM are not run: statistics are what an experiment varies"
            ),
            (
                0,
                "statistics that code of the dump gathered were removed: they are what an experiment varies"
            ),
        ]
    );
    bench.close().await;
}

#[tokio::test]
async fn settings_of_the_database_hold_for_every_session_of_the_dataset() {
    let bench = Bench::open().await;
    let id = bench
        .restored(
            "create database shop;\nalter database shop set search_path to 'app', 'public';\n\
             alter database shop set log_statement to 'all';\n\\connect shop\n\
             create schema app;\ncreate table app.things (a integer);\ninsert into app.things values (1), (2);\n",
        )
        .await;
    let dataset = bench.dataset(id).await;
    assert_eq!(
        dataset.settings,
        [Setting {
            name: "search_path".to_owned(),
            value: "\"app\", \"public\"".to_owned()
        }]
    );
    let notes = bench.notes(id).await;
    assert_eq!(notes[1].reason, "taken over for every session of this dataset");
    assert_eq!(notes[2].reason, "settings that do not concern plans are not restored");
    let experiment_id = bench.launch(id, "select count(*) from things", &["none"], |_| {}).await;
    bench.finished(experiment_id).await;
    assert!(
        bench
            .trials(experiment_id)
            .await
            .iter()
            .all(|trial| trial.message.is_none())
    );
    bench.close().await;
}

#[tokio::test]
async fn a_restore_that_is_asked_to_stop_ends_and_leaves_nothing() {
    let bench = Bench::open().await;
    let id = bench
        .upload(b"create table t (a integer);\nselect pg_sleep(600);\n")
        .await;
    tokio::join!(bench.work(), async {
        // As a person would: once it is seen to run.
        bench.restoring(id).await;
        assert!(bench.house.datasets.stop(bench.house.viewer, id).await.unwrap());
    });
    let dataset = bench.dataset(id).await;
    assert_eq!(dataset.job.status, JobStatus::Cancelled);
    assert_eq!(
        dataset.job.message.as_deref(),
        Some("The restore was stopped on request.")
    );
    assert!(!bench.house.sandboxes.is_there(id).await.unwrap());
    assert!(!bench.house.layout.dump(id).exists());
    let waiting = bench.upload(b"select 1;").await;
    assert!(bench.house.datasets.stop(bench.house.viewer, waiting).await.unwrap());
    assert!(!bench.house.layout.dump(waiting).exists());
    bench.close().await;
}

#[tokio::test]
async fn a_failing_statement_does_not_move_the_sequences_that_rows_were_numbered_by() {
    let bench = Bench::open().await;
    let dump = "create table parent (id serial primary key, name text);
        create table child (id serial primary key, pid integer references parent (id));
        create unlogged table z (a integer);
        copy z from stdin;\n1\n\\.\n
        insert into parent (name) values ('a'), ('b');
        create function py() returns integer language plpython3u as 'return 1';
        insert into child (pid) values (1), (2);
        create materialized view m as select * from z with no data;\n";
    let dataset = bench.restore(dump.as_bytes()).await;
    assert_eq!(dataset.job.message, None);
    assert_eq!((dataset.n_tables, dataset.n_rows), (4, 5));
    bench.close().await;
}
