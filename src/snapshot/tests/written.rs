//! Snapshots that are written from their text into a clone that did not make them.

use super::Clone;
use super::MANY_TYPES;
use super::assert_same;
use crate::model::snapshot::Snapshot;
use crate::snapshot::apply;
use crate::snapshot::capture::capture;
use crate::snapshot::checksum;
use crate::target::names::Tenant;
use crate::testing;
use crate::testing::bench::Bench;
use crate::testing::clone::source;

#[tokio::test]
async fn a_snapshot_is_written_from_its_text_to_the_byte_whatever_the_types_and_the_version() {
    for bindir in testing::bindirs() {
        Box::pin(assert_written_from_text(Bench::open_on(bindir).await)).await;
    }
}

async fn assert_written_from_text(bench: Bench) {
    let mut clone = Clone::on(bench, MANY_TYPES).await;
    let Tenant::Dataset(dataset_id) = clone.sandbox.tenant else {
        panic!("a clone of a dataset");
    };
    let notes = clone.bench.notes(dataset_id).await;
    assert!(notes.is_empty(), "every type has to be there: {notes:?}");
    for source in [
        source("built_in", &[]),
        source("uniform_target", &[("target", "2")]),
        source("none", &[]),
    ] {
        let snapshot = clone.prepare(&source).await;
        // As it comes back out of the store.
        let text = serde_json::to_string(&snapshot).unwrap();
        let (found, left_out) = clone.apply_elsewhere(&serde_json::from_str(&text).unwrap()).await;
        assert_eq!(left_out, []);
        assert_same(&found, &snapshot);
        assert_eq!(checksum(&found), checksum(&snapshot), "{}", source.label);
    }
    let snapshot = clone.prepare(&source("built_in", &[])).await;
    let kinds: std::collections::BTreeSet<i16> = snapshot
        .columns
        .iter()
        .flat_map(|column| column.gathered.slots.iter().map(|slot| slot.kind))
        .collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7],
        "every kind took part"
    );
    // A partitioned index has none of its own; its partitions' indexes have.
    for index in [
        "many_lower",
        "many_words",
        "many_named",
        "many_cast",
        "many_partial",
        "measured_2020_",
    ] {
        let columns = &snapshot.columns;
        assert!(
            columns.iter().any(|column| column.relation.starts_with(index)),
            "{index}"
        );
    }
    for parent in ["measured", "parent"] {
        let objects = snapshot.extended.iter().filter(|object| object.inherited);
        assert!(
            objects.count() >= 2,
            "a statistics object of {parent} counts its children's rows"
        );
        let columns = snapshot.columns.iter().filter(|column| column.inherited);
        assert!(columns.into_iter().any(|column| column.relation == parent), "{parent}");
    }
    let lists: Vec<[bool; 4]> = snapshot
        .extended
        .iter()
        .map(|object| {
            [
                object.n_distinct.is_some(),
                object.dependencies.is_some(),
                object.most_common_values.is_some(),
                !object.expressions.is_empty(),
            ]
        })
        .collect();
    for list in 0..4 {
        assert!(lists.iter().any(|lists| lists[list]), "list {list} took part");
    }
    clone.close().await;
}

/// Every value of `spied` goes through code of the dump, which tells on a superuser.
const PLANTED: &str = "
create function spy(v integer) returns boolean language plpgsql as $$
begin
  if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    raise exception 'the code of the dump runs as superuser';
  end if;
  return true;
end $$;
create domain spied as integer check (spy(value));
create type innocent as (a spied, b text);
create type nested as (c innocent);
create table planted (plain integer, direct spied, composite innocent, deep nested, list spied[], lists innocent[]);
insert into planted
select g % 5, g % 7, row(g % 9, 'b')::innocent, row(row(g % 9, 'b')::innocent)::nested, array[g % 3]::spied[],
       array[row(g % 4, 'c')::innocent]
from generate_series(1, 1000) g;
create statistics suspects on (row(plain, 'b')::innocent), plain from planted;
";

#[tokio::test]
async fn no_code_of_a_dump_runs_as_superuser_when_a_snapshot_is_written() {
    let mut clone = Clone::of(PLANTED).await;
    let spy = sqlx::query("select 1::public.spied")
        .execute(&mut clone.admin.conn)
        .await;
    assert!(
        spy.unwrap_err().to_string().contains("runs as superuser"),
        "the spy is awake"
    );

    let snapshot = clone.prepare(&source("built_in", &[])).await;
    assert_eq!((snapshot.columns.len(), snapshot.extended.len()), (6, 1));
    let (found, left_out) = clone.apply_elsewhere(&snapshot).await;
    for left_out in &left_out {
        assert_eq!(
            left_out.reason,
            "its type contains a domain, whose checks must not run as superuser"
        );
    }
    let names: Vec<&str> = left_out.iter().map(|left_out| left_out.column.as_str()).collect();
    assert_eq!(
        names,
        [
            "public.planted.composite",
            "public.planted.deep",
            "public.planted.list",
            "public.planted.lists",
            "public.suspects"
        ]
    );
    // A domain itself is read as what it is made of.
    assert_eq!(found.columns, snapshot.columns[..2]);
    clone.close().await;
}

#[tokio::test]
async fn the_type_of_values_comes_from_the_clone_and_wrong_text_is_left_out() {
    let mut clone = Clone::of(MANY_TYPES).await;
    let good = clone.prepare(&source("built_in", &[])).await;
    let idx_of = |column: &str| good.columns.iter().position(|other| other.column == column).unwrap();
    let (text_idx, number_idx, share_idx, gone_idx) = (idx_of("name"), idx_of("nums"), idx_of("price"), idx_of("size"));
    let mut bad = good.clone();
    // Text where the clone has numbers: a type taken from the snapshot would crash the server here.
    bad.columns[number_idx].gathered.slots = good.columns[text_idx].gathered.slots.clone();
    bad.columns[share_idx].gathered.null_fraction = "NaN".to_owned();
    bad.columns[gone_idx].column = "no_such".to_owned();
    // The server would look for a frequency behind the end of the list.
    let common = &mut bad.columns[text_idx].gathered.slots[0];
    assert_eq!(common.kind, apply::MOST_COMMON_VALUES);
    common.numbers = Some("{0.5}".to_owned());
    let (found, left_out) = clone.apply_elsewhere(&bad).await;
    let mut left_out: Vec<(&str, &str)> = left_out
        .iter()
        .map(|left_out| (left_out.column.as_str(), left_out.reason.as_str()))
        .collect();
    left_out.sort_unstable();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    let without_numbers = "a list of kind 1 has not the numbers that belong to it";
    assert_eq!(left_out[0], ("public.many.name", without_numbers));
    assert_eq!(left_out[1], ("public.many.no_such", "the dataset has no such column"));
    assert!(left_out[2].1.starts_with("the server refused it"), "{left_out:?}");
    assert_eq!(left_out[3], ("public.many.price", "NaN is not a finite number"));
    assert_eq!(found.columns.len(), good.columns.len() - 4);
    clone.close().await;
}

#[tokio::test]
async fn without_superuser_a_snapshot_is_written_by_the_functions_of_the_server() {
    // The oldest and the newest: 18 brought these functions.
    let mut bindirs = testing::bindirs();
    if bindirs.len() > 2 {
        bindirs.drain(1..bindirs.len() - 1);
    }
    for bindir in bindirs {
        Box::pin(assert_written_without_superuser(Bench::open_on(bindir).await)).await;
    }
}

async fn assert_written_without_superuser(bench: Bench) {
    let mut clone = Clone::on(bench, &format!("{MANY_TYPES}{PLANTED}")).await;
    let built_in = clone.prepare(&source("built_in", &[])).await;
    let small = clone.prepare(&source("uniform_target", &[("target", "2")])).await;
    let none = clone.prepare(&source("none", &[])).await;
    let snapshots = [&built_in, &none, &small, &built_in];
    if let Some(applied) = clone.apply_without_superuser(&snapshots).await {
        for ((found, left_out), snapshot) in applied.iter().zip(snapshots) {
            let names: Vec<&str> = left_out.iter().map(|left_out| left_out.column.as_str()).collect();
            let extended: Vec<String> = snapshot
                .extended
                .iter()
                .map(|object| format!("{}.{}", object.schema, object.name))
                .collect();
            assert_eq!(names, extended, "{left_out:?}");
            let without_extended = Snapshot {
                extended: Vec::new(),
                ..snapshot.clone()
            };
            assert_same(found, &without_extended);
        }
    }
    clone.close().await;
}

#[tokio::test]
async fn extended_statistics_are_parked_and_written_and_the_server_s_belief_is_not_abused() {
    let mut clone = Clone::of(MANY_TYPES).await;
    let snapshot = clone.prepare(&source("built_in", &[])).await;
    clone.lot.park(&mut clone.admin, 0).await.unwrap();
    let none = clone.prepare(&source("none", &[])).await;
    assert!(none.extended.is_empty());
    clone.lot.swap_in(&mut clone.admin, 0, &snapshot).await.unwrap();
    assert_same(&capture(&mut clone.admin).await.unwrap(), &snapshot);

    let mut bad = snapshot.clone();
    let idx_of = |name: &str| snapshot.extended.iter().position(|other| other.name == name).unwrap();
    let (listed, computed, gone) = (idx_of("listed"), idx_of("computed"), idx_of("alone"));
    // Numbers read as text are pointers into nowhere.
    bad.extended[listed].most_common_values = bad.extended[computed].most_common_values.clone();
    bad.extended[computed].expressions.pop();
    bad.extended[gone].name = "absent".to_owned();
    let (found, left_out) = clone.apply_elsewhere(&bad).await;
    let mut left_out: Vec<(&str, &str)> = left_out
        .iter()
        .map(|left_out| (left_out.column.as_str(), left_out.reason.as_str()))
        .collect();
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            ("public.absent", "the dataset has no such statistics object"),
            ("public.computed", "it has another number of expressions"),
            ("public.listed", "its list of most common values is of other types"),
        ]
    );
    assert_eq!(found.extended.len(), snapshot.extended.len() - 3);
    let casts =
        "select count(*) from pg_cast where castsource = 'bytea'::regtype and casttarget::regtype::text like 'pg_%'";
    let n_casts: i64 = sqlx::query_scalar(casts)
        .fetch_one(&mut clone.admin.conn)
        .await
        .unwrap();
    assert_eq!(n_casts, 0, "the casts were there for one transaction only");
    clone.close().await;
}
