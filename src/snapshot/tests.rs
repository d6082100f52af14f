//! Snapshots on a real sandbox: what goes in comes out, to the byte, and no code of a dump runs on the way.

use crate::model::experiment::Params;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::Snapshot;
use crate::snapshot::apply;
use crate::snapshot::apply::LeftOut;
use crate::snapshot::capture::capture;
use crate::snapshot::checksum;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine;
use crate::snapshot::pristine::Pristine;
use crate::source;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::testing;
use crate::testing::bench::Bench;
use crate::testing::bench::open_clone;

/// A column of every sort of type, with enough rows and repetition for every kind of statistic.
const MANY_TYPES: &str = "
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a integer, b text);
create domain positive as integer check (value > 0);
create table many (
  id integer primary key, name text, code varchar(10), letter char(3), born date, seen timestamptz, price numeric(10,2),
  size float8, tags text[], nums integer[], span int4range, spans int4multirange, mood mood, doc jsonb, words tsvector,
  uid uuid, flag boolean, raw bytea, twin pair, small positive, net inet, wait interval, often text collate \"C\",
  empty text);
insert into many
select g, 'na''me \"' || g % 50 || E'\\\\, {', 'c' || g % 7, 'x', date '2020-01-01' + g % 400,
       timestamptz '2020-01-01 00:00:00.123456+02' + make_interval(mins => g), g * 1.37, sqrt(g),
       array['t' || g % 5, 'all', null], array[g % 10, g % 3], int4range(g, g + g % 20),
       int4multirange(int4range(g, g + 5), int4range(g + 10, g + 12)), (array['sad', 'ok', 'happy'])[1 + g % 3]::mood,
       jsonb_build_object('k', g % 11), to_tsvector('simple', 'word' || g % 30 || ' common'),
       md5(g::text)::uuid, g % 3 = 0, decode(md5(g::text), 'hex'), row(g % 40, 'b,\"' || g % 40)::pair, 1 + g % 100,
       ('10.0.0.' || g % 250)::inet, make_interval(hours => g % 90), 'o' || g % 13, nullif(g % 10, 0)::text
from generate_series(1, 3000) g;
create index many_lower on many (lower(name), (price * 2));
create schema \"Other Schema\";
create table \"Other Schema\".\"Quoted Table\" (\"Quoted Column\" text);
insert into \"Other Schema\".\"Quoted Table\" select 'v' || g % 9 from generate_series(1, 500) g;
create table nothing (a integer);
create table measured (at date, value integer) partition by range (at);
create table measured_2020 partition of measured for values from ('2020-01-01') to ('2021-01-01');
insert into measured select date '2020-01-01' + g % 300, g % 17 from generate_series(1, 900) g;
create index many_words on many using gin (to_tsvector('simple', name), (tags || code::text));
create index many_named on many using gist (to_tsvector('simple', name), int4range(1, length(name)));
create index many_cast on many ((name::name), (code::varchar(5)), (flag::integer));
create index many_partial on many (lower(code)) include (name) where id > 100;

create table traps (
  id integer primary key, amount numeric, ratio float4, far timestamp, farther timestamptz, day date, span tsrange,
  bits bit(5), more bit varying(9), wide text, note text, pairs pair[], grid integer[], cash money, net cidr, mac macaddr,
  spot point, small smallint, letter \"char\", title name, at time, hours timetz, lsn pg_lsn, path jsonb, plain json,
  always integer, never integer, feelings mood[], twice pair, dates daterange, times tstzmultirange, exact positive);
insert into traps
select g, case g % 9 when 0 then 'NaN' when 1 then 'Infinity' when 2 then '-Infinity' else (g % 50) * 1e30 end,
       case g % 8 when 0 then 'NaN' when 1 then 'Infinity' when 2 then '-0' else (g % 70) / 3.0 end,
       case g % 7 when 0 then timestamp 'infinity' when 1 then '-infinity' else '0044-03-15 BC'::timestamp + g % 90 * interval '1 d' end,
       case g % 6 when 0 then timestamptz 'infinity' else '2024-03-31 01:30:00.000001+01'::timestamptz + g * interval '7 m' end,
       case g % 5 when 0 then date 'infinity' when 1 then '-infinity' else date '5874000-01-01' + g % 40 end,
       case g % 4 when 0 then 'empty'::tsrange when 1 then tsrange(null, null) else tsrange(timestamp '2020-01-01' + g * interval '1 h', null, '(]') end,
       (g % 32)::bit(5), substr(g::bit(12)::text, 1, g % 9)::varbit,
       repeat(md5((g % 3)::text), 1 + 40 * (g % 60)),
       case g % 8 when 0 then '' when 1 then ' ' when 2 then 'NULL' when 3 then E'\\n\\t\\x01' when 4 then '{}' when 5 then U&'\\00e9\\+01F418'
                  when 6 then '\"quoted\", ''too'' \\\\' else 'n' || g % 90 end,
       array[row(g % 6, 'x\"{,}')::pair, null, row(null, '')::pair], array[[g % 4, null], [g % 9, 7]], (g % 80)::numeric::money,
       ('10.' || g % 99 || '.0.0/16')::cidr, ('08:00:2b:01:02:' || lpad(to_hex(g % 200), 2, '0'))::macaddr, point(g, g),
       g % 300, chr(65 + g % 26)::\"char\", ('t' || g % 33)::name, time '00:00' + g % 1440 * interval '1 m',
       timetz '10:00+02' + g % 60 * interval '1 m', ('0/' || to_hex(g % 77))::pg_lsn,
       jsonb_build_object('a', jsonb_build_array(g % 5, null, 'q\"')), json_build_object('a', g % 5), 7, null,
       array[(array['sad', 'ok', 'happy'])[1 + g % 3]::mood, 'ok'], row(g % 8, null)::pair,
       daterange(date '2024-01-01', date '2024-01-01' + g % 9), tstzmultirange(tstzrange(timestamptz '2024-01-01 00:00+00', null)),
       1 + g % 60
from generate_series(1, 2500) g;
create table parent (a integer, b text);
create table child (c integer) inherits (parent);
insert into parent select g % 30, 'p' || g % 3 from generate_series(1, 400) g;
insert into child select g % 50, 'c' || g % 5, g % 11 from generate_series(1, 600) g;
create index measured_months on measured (extract(month from at));
create statistics \"Both Names\" on code, flag from many;
create statistics listed (mcv) on mood, letter, small, uid from many;
create statistics computed on (lower(name)), (price * 2), code from many;
create statistics alone on (id % 7) from many;
create statistics nothing_yet on id, amount, far from traps;
create statistics inherited on a, b from parent;
create statistics divided (ndistinct, dependencies) on at, value from measured;
create statistics also (ndistinct) on (size::integer % 5), (born + 1), (tags || name), (name::varchar(3)) from many;
";

/// One clone of a dataset with everything that sources and snapshots need of it.
struct Clone {
    sandbox: Sandbox,
    admin: Admin,
    session: Session,
    lot: Lot,
    pristine: Pristine,
}

impl Clone {
    async fn open(bench: &Bench, dataset_id: DatasetId) -> Self {
        let sandbox = bench.sandbox(dataset_id).await;
        let mut admin = open_clone(&sandbox, "one").await;
        let session = Session::connect(&sandbox.address, "one", "test", &[]).await.unwrap();
        let lot = Lot::open(&mut admin).await.unwrap();
        let pristine = Pristine::remember(&mut admin).await.unwrap();
        Self {
            sandbox,
            admin,
            session,
            lot,
            pristine,
        }
    }

    /// Gives the clone the statistics of a source, from the pristine state.
    async fn prepare(&mut self, source: &SourceSpec) -> Snapshot {
        self.pristine.reset(&mut self.admin, &self.lot).await.unwrap();
        let found = source::find(&source.name).unwrap();
        found.apply(&mut self.session, &source.params).await.unwrap();
        capture(&mut self.admin).await.unwrap()
    }

    async fn targets(&mut self) -> Vec<ColumnTarget> {
        pristine::targets(&mut self.admin).await.unwrap()
    }

    /// Writes a snapshot into a second clone, and says what it then holds and what was left out.
    async fn apply_elsewhere(&self, snapshot: &Snapshot) -> (Snapshot, Vec<LeftOut>) {
        let mut admin = open_clone(&self.sandbox, "two").await;
        let mut session = Session::connect(&self.sandbox.address, "two", "test", &[])
            .await
            .unwrap();
        let lot = Lot::open(&mut admin).await.unwrap();
        let left_out = apply::apply(&mut admin, &mut session, &lot, snapshot).await.unwrap();
        let found = capture(&mut admin).await.unwrap();
        session.close().await;
        admin.close().await;
        (found, left_out)
    }

    /// Writes snapshots one after the other into a second clone as a role that is no superuser. Says for each what the
    /// clone then holds and what was left out; none where the server has no functions for that.
    async fn apply_without_superuser(&self, snapshots: &[&Snapshot]) -> Option<Vec<(Snapshot, Vec<LeftOut>)>> {
        let mut admin = open_clone(&self.sandbox, "two").await;
        let connect = || Session::connect(&self.sandbox.address, "two", "test", &[]);
        let (mut session, role) = (connect().await.unwrap(), connect().await.unwrap());
        let names = std::sync::Arc::clone(&self.sandbox.address.names);
        let mut no_superuser = Admin { conn: role.conn, names };
        // What is withheld from a dataset in a sandbox is the role's on a server that somebody else runs.
        let grants = format!(
            "do $do$ declare call text; begin
               for call in select p.oid::pg_catalog.regprocedure from pg_catalog.pg_proc p
                           where p.proname in ('pg_restore_relation_stats', 'pg_restore_attribute_stats',
                                               'pg_clear_relation_stats', 'pg_clear_attribute_stats') loop
                 execute 'grant execute on function ' || call || ' to {role}';
               end loop;
             end $do$",
            role = self.sandbox.address.names.role,
        );
        admin.run(grants).await.unwrap();
        let lot = Lot::open(&mut admin).await.unwrap();
        let has_functions = pristine::server_version_num(&mut admin).await.unwrap() >= 180_000;
        let mut applied = Vec::new();
        for snapshot in snapshots {
            match apply::apply(&mut no_superuser, &mut session, &lot, snapshot).await {
                Ok(left_out) => applied.push((capture(&mut admin).await.unwrap(), left_out)),
                Err(error) => {
                    let said = error.to_string();
                    assert_eq!(said, "before PostgreSQL 18 only a superuser may write statistics");
                }
            }
        }
        no_superuser.close().await;
        session.close().await;
        admin.close().await;
        assert_eq!(applied.len(), if has_functions { snapshots.len() } else { 0 });
        has_functions.then_some(applied)
    }

    async fn close(self) {
        self.session.close().await;
        self.admin.close().await;
        self.sandbox.stop().await.unwrap();
    }
}

/// Says what differs, where a checksum says only that something does.
fn assert_same(found: &Snapshot, expected: &Snapshot) {
    for (found, expected) in found.columns.iter().zip(&expected.columns) {
        assert_eq!(found, expected);
    }
    for (found, expected) in found.extended.iter().zip(&expected.extended) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, expected);
}

/// As on the command line, without what stands behind the colon.
fn source(name: &str, params: &[(&str, &str)]) -> SourceSpec {
    let params: Params = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    source::parse(name, &params).unwrap()
}

#[tokio::test]
async fn parked_statistics_come_back_to_the_byte_in_any_order() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(MANY_TYPES).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
    let sources = [
        source("built_in", &[]),
        source("none", &[]),
        source("random_targets", &[("seed", "7")]),
        source("uniform_target", &[("target", "3")]),
    ];
    let mut snapshots = Vec::new();
    for (source_idx, source) in sources.iter().enumerate() {
        let snapshot = clone.prepare(source).await;
        clone.lot.park(&mut clone.admin, source_idx).await.unwrap();
        snapshots.push(snapshot);
    }
    assert!(snapshots[1].columns.is_empty(), "`none` has no statistics");
    for source_idx in [2, 0, 3, 1, 0, 0, 1, 2, 3] {
        let snapshot = &snapshots[source_idx];
        clone.lot.swap_in(&mut clone.admin, source_idx, snapshot).await.unwrap();
        let found = capture(&mut clone.admin).await.unwrap();
        assert_eq!(checksum(&found), checksum(snapshot), "{}", sources[source_idx].label);
    }
    let different: std::collections::HashSet<String> = snapshots.iter().map(checksum).collect();
    assert_eq!(different.len(), sources.len());
    clone.lot.vacuum(&mut clone.admin).await.unwrap();
    clone.close().await;
    bench.close().await;
}

#[tokio::test]
async fn a_snapshot_is_written_from_its_text_to_the_byte_whatever_the_types_and_the_version() {
    for bindir in testing::bindirs() {
        assert_written_from_text(Bench::open_on(bindir).await).await;
    }
}

async fn assert_written_from_text(bench: Bench) {
    let dataset_id = bench.restored(MANY_TYPES).await;
    let notes = bench.notes(dataset_id).await;
    assert!(notes.is_empty(), "every type has to be there: {notes:?}");
    let mut clone = Clone::open(&bench, dataset_id).await;
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
    bench.close().await;
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
    let bench = Bench::open().await;
    let dataset_id = bench.restored(PLANTED).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
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
    bench.close().await;
}

#[tokio::test]
async fn the_type_of_values_comes_from_the_clone_and_wrong_text_is_left_out() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(MANY_TYPES).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
    let good = clone.prepare(&source("built_in", &[])).await;
    let idx_of = |column: &str| good.columns.iter().position(|other| other.column == column).unwrap();
    let (text_idx, number_idx, share_idx, gone_idx) = (idx_of("name"), idx_of("nums"), idx_of("price"), idx_of("size"));
    let mut bad = good.clone();
    // Text where the clone has numbers: a type taken from the snapshot would crash the server here.
    bad.columns[number_idx].gathered.slots = good.columns[text_idx].gathered.slots.clone();
    bad.columns[share_idx].gathered.null_fraction = "NaN".to_owned();
    bad.columns[gone_idx].column = "no_such".to_owned();
    let (found, left_out) = clone.apply_elsewhere(&bad).await;
    let mut left_out: Vec<(&str, &str)> = left_out
        .iter()
        .map(|left_out| (left_out.column.as_str(), left_out.reason.as_str()))
        .collect();
    left_out.sort_unstable();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert_eq!(left_out[0], ("public.many.no_such", "the dataset has no such column"));
    assert!(left_out[1].1.starts_with("the server refused it"), "{left_out:?}");
    assert_eq!(left_out[2], ("public.many.price", "NaN is not a finite number"));
    assert_eq!(found.columns.len(), good.columns.len() - 3);
    clone.close().await;
    bench.close().await;
}

#[tokio::test]
async fn targets_depend_on_the_seed_and_not_on_what_was_prepared_before() {
    let bench = Bench::open().await;
    let dump = format!("{MANY_TYPES}; alter table many alter column name set statistics 42;");
    let dataset_id = bench.restored(&dump).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
    let seven = source("random_targets", &[("seed", "7")]);
    let eight = source("random_targets", &[("seed", "8")]);
    let own = clone.targets().await;
    assert_eq!((own.len(), own[0].target), (1, 42), "the dump's own target is kept");

    let first = (clone.prepare(&seven).await, clone.targets().await);
    clone.prepare(&eight).await;
    let other = clone.targets().await;
    clone.prepare(&source("built_in", &[])).await;
    assert_eq!(
        clone.targets().await,
        own,
        "preparing starts from the dump's own targets"
    );
    clone.prepare(&source("uniform_target", &[("target", "5")])).await;
    assert!(clone.targets().await.iter().all(|target| target.target == 5));
    let again = (clone.prepare(&seven).await, clone.targets().await);

    assert_eq!(first.1, again.1);
    assert_eq!(checksum(&first.0), checksum(&again.0));
    assert_ne!(first.1, other);
    clone.close().await;
    bench.close().await;
}

#[tokio::test]
async fn the_sizes_of_relations_come_back_with_their_snapshot() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(MANY_TYPES).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
    let real = clone.prepare(&source("built_in", &[])).await;
    clone.lot.park(&mut clone.admin, 0).await.unwrap();
    let mut imagined = real.clone();
    for relation in &mut imagined.relations {
        (relation.pages, relation.tuples, relation.all_visible_pages) = (777, "1.5e+06".to_owned(), 7);
    }
    for snapshot in [&imagined, &real] {
        clone.lot.swap_in(&mut clone.admin, 0, snapshot).await.unwrap();
        let found = capture(&mut clone.admin).await.unwrap();
        assert_eq!(found.relations, snapshot.relations);
    }
    clone.close().await;
    bench.close().await;
}

#[tokio::test]
async fn without_superuser_a_snapshot_is_written_by_the_functions_of_the_server() {
    // The oldest and the newest: 18 brought these functions.
    let mut bindirs = testing::bindirs();
    if bindirs.len() > 2 {
        bindirs.drain(1..bindirs.len() - 1);
    }
    for bindir in bindirs {
        assert_written_without_superuser(Bench::open_on(bindir).await).await;
    }
}

async fn assert_written_without_superuser(bench: Bench) {
    let dataset_id = bench.restored(&format!("{MANY_TYPES}{PLANTED}")).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
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
    bench.close().await;
}

#[tokio::test]
async fn extended_statistics_are_parked_and_written_and_the_server_s_belief_is_not_abused() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(MANY_TYPES).await;
    let mut clone = Clone::open(&bench, dataset_id).await;
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
    bench.close().await;
}
