//! Rows of new tables are written frozen and without a log; that this happened, and where it must not.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::watch;

use crate::dataset::pieces::DumpFile;
use crate::dataset::pieces::Pieces;
use crate::dataset::reader::Counter;
use crate::dataset::restore::Done;
use crate::dataset::restore::Restore;
use crate::model::dataset::Compression;
use crate::model::dataset::DumpFormat;
use crate::target::clone;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::testing::bench::Bench;

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

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
         create function calm() returns boolean language sql stable as 'select true';
         create table checked (a integer check (calm()));\ncopy checked (a) from stdin;\n{rows}
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
            "My Table 60001 made anew, beside_cursor 60001, checked 60001, child 1, emptied 60001, few 1, fresh 60001 made anew, \
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

/// Two tables with so many rows that their indexes are worth two sessions.
fn two_tables() -> String {
    let rows = rows();
    let table = |name: &str| {
        format!("create table {name} (a integer, b integer default 1);\ncopy public.{name} (a) from stdin;\n{rows}")
    };
    table("left_one") + &table("right_one")
}

#[tokio::test]
async fn an_index_of_a_partitioned_table_is_built_in_its_order() {
    let bench = Bench::open().await;
    let rows = two_tables();
    // The other way round the table's own would be taken up by the one of its root, and there would be one.
    let dump = format!(
        "{rows}create table root (a integer) partition by range (a);
         create table leaf partition of root for values from (0) to (1000000);
         insert into leaf select generate_series(1, 200000);
         create index of_root on public.root using btree (a);\ncreate index of_leaf on public.leaf using btree (a);\n"
    );
    let id = bench.restored(&dump).await;
    let indexes = "select string_agg(relname, ' ' order by relname) from pg_index join pg_class on oid = indexrelid
                   where relnamespace = 'public'::regnamespace";
    assert_eq!(
        bench.ask(id, indexes).await.as_deref(),
        Some("leaf_a_idx of_leaf of_root")
    );
    bench.close().await;
}

#[tokio::test]
async fn an_index_that_fails_beside_others_is_listed_as_it_would_be_alone() {
    let bench = Bench::open().await;
    let tables = two_tables();
    let line = tables.lines().count() as u64 + 1;
    let refused = "create unique index refused on public.right_one using btree (b);\n";
    let refused_because = "could not create unique index \"refused\" (Key (b)=(1) is duplicated.)";
    let cases = [
        (
            "create index unknown on public.left_one using btree (nowhere);
             alter table only public.right_one add constraint kept primary key (a);
             create index also_kept on public.left_one using btree (b, a);\n",
            (line + 1, "column \"nowhere\" does not exist"),
            "also_kept on public.left_one t, kept on public.right_one t",
        ),
        // The first of this name has to wait for the index before it, the second would not have to.
        (
            "alter table only public.right_one add constraint kept primary key (a);
             create index kept on public.left_one using btree (a);
             create index also_kept on public.left_one using btree (b, a);\n",
            (line + 2, "relation \"kept\" already exists"),
            "also_kept on public.left_one t, kept on public.right_one t",
        ),
    ];
    for (others, also_refused, built) in cases {
        let id = bench.restored(&format!("{tables}{refused}{others}")).await;
        let notes = bench.notes(id).await;
        let listed: Vec<(u64, &str)> = notes.iter().map(|note| (note.line, note.reason.as_str())).collect();
        assert_eq!(listed, [(line, refused_because), also_refused]);
        let indexes =
            "select string_agg(concat(relname, ' on ', indrelid::regclass, ' ', indisvalid), ', ' order by relname)
                       from pg_index join pg_class on oid = indexrelid where relnamespace = 'public'::regnamespace";
        assert_eq!(bench.ask(id, indexes).await.as_deref(), Some(built));
    }
    bench.close().await;
}

#[tokio::test]
async fn one_index_does_not_wait_for_that_of_another_table_and_both_sessions_end_with_the_restore() {
    let bench = Bench::open().await;
    // The dump goes on when it sees the lock of this test.
    let dump = format!(
        "{}create table loaded ();
         do $$ begin while not exists (select from pg_locks where locktype = 'advisory' and objid = 7) loop
           perform pg_sleep(0.01); end loop; end $$;
         create index held_up on public.left_one using btree (a);
         create index ready on public.right_one using btree (a);\n",
        two_tables()
    );
    let id = bench.upload(dump.as_bytes()).await;
    let sandbox = bench.sandbox(id).await;
    let path = bench.house.layout.dump(id);
    let file = DumpFile {
        path: &path,
        format: DumpFormat::Plain,
        compression: Compression::None,
        pg_restore: None,
        max_expanded_bytes: u64::MAX,
    };
    let mut pieces = Pieces::open(&file, &Counter::default()).await.unwrap();
    let mut restore = Restore::new(&sandbox.address, id, watch::channel(Done::default()).0);
    let database = clone::template_name(id);
    let (holder, mut looking) = tokio::select! {
        ended = restore.run(&mut pieces) => panic!("{ended:?}"),
        both = async {
            let holder = wait_for(async || holding_up(&sandbox.address, &database).await).await;
            let mut looking = Admin::connect(&sandbox.address, &database).await.unwrap();
            wait_for(async || (seen(&mut looking).await == [true, true, false]).then_some(())).await;
            (holder, looking)
        } => both,
    };
    drop(restore);
    wait_for(async || (seen(&mut looking).await == [false, true, false]).then_some(())).await;
    holder.close().await;
    looking.close().await;
    sandbox.stop().await.unwrap();
    bench.close().await;
}

/// Keeps indexes of one table waiting and lets the dump go on; none while its rows are not loaded.
async fn holding_up(address: &Address, database: &str) -> Option<Admin> {
    let mut admin = Admin::connect(address, database).await.ok()?;
    let sql = "select from public.loaded; begin; lock table public.left_one in row exclusive mode; \
               select pg_catalog.pg_advisory_lock(7)";
    admin.run(sql.to_owned()).await.ok()?;
    Some(admin)
}

/// Whether a session of the restore is there, whether the index that nothing holds up, and whether the other.
async fn seen(admin: &mut Admin) -> [bool; 3] {
    let (restoring, ready, held_up) = sqlx::query_as(
        "select exists (select from pg_stat_activity where application_name = 'pgassay restore'),
                exists (select from pg_class where relname = 'ready'),
                exists (select from pg_class where relname = 'held_up')",
    )
    .fetch_one(&mut admin.conn)
    .await
    .unwrap();
    [restoring, ready, held_up]
}

async fn wait_for<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("what is waited for comes")
}
