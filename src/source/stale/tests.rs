use crate::model::snapshot::Snapshot;
use crate::snapshot::array;
use crate::target::clone;
use crate::target::session::Admin;
use crate::testing::clone::Clone;
use crate::testing::clone::source;

/// Rows come in order of time; everything that could stand in the way of deleting is here.
const LOG: &str = "
create table kinds (id integer primary key);
insert into kinds select g from generate_series(1, 10) g;
create table log (id integer primary key, kind integer references kinds, day integer, state text);
insert into log select g, 1 + g % 10, (g - 1) / 100, case when g > 10000 then 'new' else 'old' end from generate_series(1, 30000) g;
create index on log (state);
create table gone (log_id integer references log);
create function refuse() returns trigger language plpgsql as 'begin raise exception ''kept''; end';
create trigger keep before delete on log for each row execute function refuse();
create rule never as on delete to kinds do instead nothing;
alter table log enable row level security;
alter table log force row level security;
create policy none_of_it on log using (false);
create table parts (day integer, n integer) partition by range (day);
create table parts_a partition of parts for values from (0) to (100);
create table parts_b partition of parts for values from (100) to (200);
insert into parts select g % 200, g from generate_series(1, 4000) g;
create materialized view days as select distinct g as day from generate_series(1, 500) g;
create table one (id integer);
insert into one values (1);
create table empty (id integer);
create domain share as integer check (value >= 0);
create type part as (a share);
create table measured (a integer, b integer, c part);
insert into measured select g % 10, g % 10, row(g % 3)::part from generate_series(1, 1000) g;
create statistics ab on a, b from measured;
";

/// The largest value that ANALYZE saw of a column.
fn highest(snapshot: &Snapshot, relation: &str, column: &str) -> i64 {
    let found = snapshot
        .columns
        .iter()
        .find(|other| other.relation == relation && other.column == column && !other.inherited)
        .unwrap();
    let lists = found.gathered.slots.iter().filter_map(|slot| slot.values.as_deref());
    let values = lists.flat_map(|list| array::split(list).unwrap());
    values.map(|value| value.parse().unwrap()).max().unwrap()
}

fn n_rows<'a>(snapshot: &'a Snapshot, relation: &str) -> &'a str {
    let found = snapshot.relations.iter().find(|other| other.relation == relation);
    &found.unwrap().tuples
}

#[tokio::test]
async fn statistics_are_of_the_first_rows_and_all_rows_are_still_there() {
    let mut clone = Clone::of(LOG).await;
    let recent = "select * from log where state = 'new'";
    clone.prepare(&source("built_in", &[])).await;
    // Its policy hides every row from its owner as well.
    clone.run("alter table log disable row level security").await;
    let fresh_plan = clone.plan(recent).await;

    let past = clone.prepare(&source("stale", &[("fraction", "10")])).await;
    assert_eq!(n_rows(&past, "log"), "3000");
    assert_eq!(highest(&past, "log", "day"), 29);
    assert_eq!(highest(&past, "log", "id"), 3000);
    let count = "select count(*)::text from public.log";
    assert_eq!(clone.ask(count).await, "30000", "the experiment's clone keeps its rows");
    let stale_plan = clone.plan(recent).await;
    assert_ne!(stale_plan, fresh_plan, "nothing was new then");

    let said: Vec<(String, String)> = clone
        .notes
        .iter()
        .map(|note| {
            let counts = note
                .change
                .clone()
                .map(|(before, after)| format!(" {before} > {after}"));
            (
                note.about.clone(),
                format!("{}{}", note.what, counts.unwrap_or_default()),
            )
        })
        .collect();
    let rows = |counts: &str| format!("rows that ANALYZE saw {counts}");
    let expected = [
        (
            "public.days",
            "a materialized view: it was whole, as its rows cannot be deleted".to_owned(),
        ),
        ("public.empty", "too few rows to leave any out".to_owned()),
        ("public.gone", "too few rows to leave any out".to_owned()),
        ("public.kinds", rows("10 > 1")),
        ("public.log", rows("30\u{2009}000 > 3\u{2009}000")),
        ("public.measured", rows("1\u{2009}000 > 100")),
        ("public.one", "too few rows to leave any out".to_owned()),
        (
            "public.parts",
            "partitioned: each of its partitions had its own first rows".to_owned(),
        ),
        ("public.parts_a", rows("2\u{2009}000 > 200")),
        ("public.parts_b", rows("2\u{2009}000 > 200")),
        (
            "public.measured.c",
            "has no statistics at all here: its type contains a domain, whose checks must not run as superuser"
                .to_owned(),
        ),
    ];
    assert_eq!(said, expected.map(|(about, what)| (about.to_owned(), what)));
    assert_eq!(
        past.extended.len(),
        1,
        "the dump's own statistics objects are gathered, too"
    );

    let mut server = Admin::connect(&clone.sandbox.address, "postgres").await.unwrap();
    assert!(!clone::exists(&mut server, "scratch").await.unwrap());
    server.close().await;
    clone.close().await;
}

#[tokio::test]
async fn the_same_share_gives_the_same_statistics_where_analyze_reads_all_rows() {
    let mut clone = Clone::of(LOG).await;
    let half = source("stale", &[("fraction", "50")]);
    let first = clone.prepare(&half).await;
    let again = clone.prepare(&half).await;
    assert_eq!(crate::snapshot::checksum(&first), crate::snapshot::checksum(&again));
    let other = clone.prepare(&source("stale", &[("fraction", "51")])).await;
    assert_ne!(crate::snapshot::checksum(&first), crate::snapshot::checksum(&other));
    clone.close().await;
}
