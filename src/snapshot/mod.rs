//! Planner statistics as a value: capture, compare, park and swap, and apply from text.
//!
//! Superuser sessions do this work. They touch the catalogs only, see `pg_catalog` only, and never run a function that
//! came with a dump: parked rows are copied as they are, and text is read by the input functions of base types.

pub mod apply;
pub mod array;
pub mod capture;
pub mod export;
mod extended;
mod functions;
pub mod import;
pub mod mixture;
pub mod park;
pub mod pristine;
pub mod sampling;
pub mod scene;
#[cfg(test)]
mod tests;
mod value_types;

use sha2::Digest as _;
use sha2::Sha256;

use crate::model::snapshot::Snapshot;

/// Which schemas hold relations of the user.
pub(crate) const USER_SCHEMA: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Relations whose statistics belong to a snapshot: tables, materialised views, partitioned tables and indexes, indexes,
/// foreign tables.
pub(crate) const USER_RELATION: &str = "c.relkind in ('r', 'm', 'p', 'i', 'I', 'f')";

/// Where two snapshots first differ, in a few words.
pub fn first_difference(wanted: &Snapshot, found: &Snapshot) -> String {
    fn differing<'a, T: PartialEq>(wanted: &'a [T], found: &'a [T]) -> Option<&'a T> {
        let lonely = |place: usize| wanted.get(place).or(found.get(place));
        let n_both = wanted.len().max(found.len());
        (0..n_both)
            .find(|place| wanted.get(*place) != found.get(*place))
            .and_then(lonely)
    }
    if let Some(relation) = differing(&wanted.relations, &found.relations) {
        return format!("the size of {}.{}", relation.schema, relation.relation);
    }
    if let Some(column) = differing(&wanted.columns, &found.columns) {
        return format!("{}.{}.{}", column.schema, column.relation, column.column);
    }
    match differing(&wanted.extended, &found.extended) {
        Some(object) => format!("{}.{}", object.schema, object.name),
        None => "nothing".to_owned(),
    }
}

/// A snapshot's checksum: equal exactly when every value is, to the byte.
pub fn checksum(snapshot: &Snapshot) -> String {
    let text = serde_json::to_vec(snapshot).expect("a snapshot is made of strings and numbers");
    hex::encode(Sha256::digest(text))
}
