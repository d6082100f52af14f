//! Rows of new tables are written frozen and without a log; that this happened, and where it must not.

use std::fmt::Write as _;

use crate::testing::bench::Bench;

/// More than is read at a time, so that no COPY of it is over before it is begun. The last page is not full.
const N_ROWS: usize = 60_001;

/// The data of a COPY.
fn rows() -> String {
    (1..=N_ROWS).fold(String::new(), |mut rows, n| {
        writeln!(rows, "{n}").unwrap();
        rows
    }) + "\\.\n"
}

#[tokio::test]
async fn rows_of_new_tables_come_frozen_and_everything_else_is_as_psql_leaves_it() {
    let bench = Bench::open().await;
    let rows = rows();
    let dump = format!(
        "create table fresh (a integer);\ncopy public.fresh (a) from stdin;\n{rows}
         create table \"My Table\" (a integer primary key);\ncopy \"My Table\" from stdin;\n{rows}
         create table few (a integer);\ncopy few (a) from stdin;\n1\n\\.\n
         create table twice (a integer);\ncopy twice (a) from stdin;\n1\n\\.\ncopy twice (a) from stdin;\n{rows}
         create table emptied (a integer);\ninsert into emptied values (1);\ndelete from emptied;
         copy emptied (a) from stdin;\n{rows}
         create table root (a integer) partition by range (a);
         create table leaf partition of root for values from (0) to (1000000);\ncopy root (a) from stdin;\n{rows}
         create table parent (a integer);\ncreate table child () inherits (parent);
         copy child (a) from stdin;\n7\n\\.\ncopy parent (a) from stdin;\n{rows}
         create table told (what text);
         create function tell() returns trigger language plpgsql as
           $$ begin insert into public.told values (tg_op); return null; end $$;
         create table watched (a integer);
         create trigger t after truncate on watched execute function tell();\ncopy watched (a) from stdin;\n{rows}
         create table referred (a integer primary key);\ncreate table referring (a integer references referred);
         copy referred (a) from stdin;\n{rows}
         create table optioned (a integer);\ncopy optioned (a) from stdin with (format csv);\n{rows}
         begin;\ncreate table inside (a integer);\ncopy inside (a) from stdin;\n{rows}
         commit;
         declare c cursor with hold for select 1;
         create table beside_cursor (a integer);\ncopy beside_cursor (a) from stdin;\n{rows}\nclose c;\n"
    );
    let id = bench.restored(&dump).await;
    assert!(bench.notes(id).await.is_empty(), "{:?}", bench.notes(id).await);
    let tables = bench
        .ask(
            id,
            "select string_agg(concat(relname, ' ', reltuples, case when relfilenode <> oid then ' made anew' end), ', ' \
                               order by relname)
             from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
        )
        .await;
    assert_eq!(
        tables.as_deref(),
        Some(
            "My Table 60001 made anew, beside_cursor 60001, child 1, emptied 60001, few 1, fresh 60001 made anew, \
             inside 60001, leaf 60001, optioned 60001, parent 60001 made anew, referred 60001, referring 0, told 0, \
             twice 60002, watched 60001"
        )
    );
    bench.close().await;
}

#[tokio::test]
async fn a_row_that_a_new_table_refuses_fails_the_restore_by_its_line() {
    let bench = Bench::open().await;
    let dump = format!(
        "create table t (a integer check (a <> 50000));\ncopy t (a) from stdin;\n{}",
        rows()
    );
    let dataset = bench.restore(dump.as_bytes()).await;
    let message = dataset.job.message.unwrap_or_default();
    assert!(message.starts_with("COPY into t in line 50002 failed."), "{message}");
    bench.close().await;
}
