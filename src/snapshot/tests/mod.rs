//! Snapshots on a real sandbox: what goes in comes out, to the byte, and no code of a dump runs on the way.

mod harmful;
mod imported;
mod written;

use crate::model::snapshot::Snapshot;
use crate::snapshot::apply;
use crate::snapshot::apply::LeftOut;
use crate::snapshot::capture::capture;
use crate::snapshot::checksum;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::testing::bench::open_clone;
use crate::testing::clone::Clone;
use crate::testing::clone::source;

/// A column of every sort of type, with enough rows and repetition for every kind of statistic.
const MANY_TYPES: &str = include_str!("many_types.sql");

impl Clone {
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

#[tokio::test]
async fn parked_statistics_come_back_to_the_byte_in_any_order() {
    let mut clone = Clone::of(MANY_TYPES).await;
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
}

#[tokio::test]
async fn targets_depend_on_the_seed_and_not_on_what_was_prepared_before() {
    let dump = format!("{MANY_TYPES}; alter table many alter column name set statistics 42;");
    let mut clone = Clone::of(&dump).await;
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
}

#[tokio::test]
async fn the_sizes_of_relations_come_back_with_their_snapshot() {
    let mut clone = Clone::of(MANY_TYPES).await;
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
}
