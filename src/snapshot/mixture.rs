//! Mixtures: a snapshot with pieces of another. What differs between two, what a mixture says, and how one is put in
//! force where both are parked.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::ExtendedStatistics;
use crate::model::snapshot::Piece;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Snapshot;
use crate::snapshot::park::Lot;
use crate::snapshot::park::Place;
use crate::target::session::Admin;

/// Everything that is not the same in both, in order. A piece may be missing in one of them.
pub fn differences(a: &Snapshot, b: &Snapshot) -> Vec<Piece> {
    let (of_a, of_b) = (parts(a), parts(b));
    let both = of_a.keys().chain(of_b.keys());
    let mut pieces: Vec<Piece> = both
        .filter(|piece| of_a.get(piece) != of_b.get(piece))
        .cloned()
        .collect();
    pieces.sort();
    pieces.dedup();
    pieces
}

/// `base`, but what `taken` names as it is in `donor`, missing where it is missing there.
pub fn mix(base: &Snapshot, donor: &Snapshot, taken: &[&Piece]) -> Snapshot {
    let mut mixed = Snapshot::default();
    let (mut of_base, mut of_donor) = (parts(base), parts(donor));
    for piece in taken {
        match of_donor.remove(piece) {
            Some(part) => of_base.insert((*piece).clone(), part),
            None => of_base.remove(piece),
        };
    }
    for part in of_base.into_values() {
        mixed.relations.extend(part.sizes.cloned());
        mixed.columns.extend(part.columns.into_iter().cloned());
        mixed.extended.extend(part.extended.into_iter().cloned());
    }
    mixed
        .relations
        .sort_by(|a, b| (&a.schema, &a.relation).cmp(&(&b.schema, &b.relation)));
    mixed.columns.sort_by(|a, b| column_key(a).cmp(&column_key(b)));
    mixed.extended.sort_by(|a, b| extended_key(a).cmp(&extended_key(b)));
    mixed
}

/// What a snapshot holds of one piece.
#[derive(Default, PartialEq)]
struct Part<'a> {
    sizes: Option<&'a RelationNumbers>,
    columns: Vec<&'a ColumnStatistics>,
    extended: Vec<&'a ExtendedStatistics>,
}

fn parts(snapshot: &Snapshot) -> BTreeMap<Piece, Part<'_>> {
    let mut parts: BTreeMap<Piece, Part<'_>> = BTreeMap::new();
    for numbers in &snapshot.relations {
        let piece = Piece::Sizes {
            schema: numbers.schema.clone(),
            relation: numbers.relation.clone(),
        };
        parts.entry(piece).or_default().sizes = Some(numbers);
    }
    for column in &snapshot.columns {
        let piece = Piece::Column {
            schema: column.schema.clone(),
            relation: column.relation.clone(),
            column_number: column.column_number,
            column: column.column.clone(),
        };
        parts.entry(piece).or_default().columns.push(column);
    }
    for object in &snapshot.extended {
        let piece = Piece::Object {
            schema: object.schema.clone(),
            name: object.name.clone(),
        };
        parts.entry(piece).or_default().extended.push(object);
    }
    parts
}

fn column_key(column: &ColumnStatistics) -> (&str, &str, i16, bool) {
    (&column.schema, &column.relation, column.column_number, column.inherited)
}

fn extended_key(object: &ExtendedStatistics) -> (&str, &str, bool) {
    (&object.schema, &object.name, object.inherited)
}

/// What a snapshot says of a column; several rows where tables inherit from its table.
pub fn rows_of<'a>(snapshot: &'a Snapshot, piece: &Piece) -> Vec<&'a ColumnStatistics> {
    parts(snapshot).remove(piece).unwrap_or_default().columns
}

/// What a snapshot says of a relation's size.
pub fn sizes_of<'a>(snapshot: &'a Snapshot, piece: &Piece) -> Option<&'a RelationNumbers> {
    parts(snapshot).remove(piece)?.sizes
}

/// A parked snapshot: its place and its value.
#[derive(Clone, Copy)]
pub struct Parked<'a> {
    pub source_idx: usize,
    pub snapshot: &'a Snapshot,
}

impl Lot {
    /// Puts `base` with the pieces `taken` of `donor` in force, in one transaction. Rows are only copied, so it takes
    /// about as long as a swap, however many pieces there are.
    pub async fn swap_in_mixture(
        &self,
        admin: &mut Admin,
        base: Parked<'_>,
        donor: Parked<'_>,
        taken: &[&Piece],
    ) -> anyhow::Result<()> {
        let mixed = mix(base.snapshot, donor.snapshot, taken);
        let mut transaction = admin.conn.begin().await?;
        self.restore(&mut transaction, Place::of(base.source_idx)?, &mixed)
            .await?;
        self.take_columns(&mut transaction, Place::of(donor.source_idx)?, taken)
            .await?;
        self.take_objects(&mut transaction, Place::of(donor.source_idx)?, taken)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn take_columns(&self, conn: &mut PgConnection, donor: Place, taken: &[&Piece]) -> anyhow::Result<()> {
        let (mut live, mut parked, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for piece in taken {
            let Piece::Column {
                schema,
                relation,
                column_number,
                ..
            } = piece
            else {
                continue;
            };
            if let Some((live_id, parked_id)) = self.relation_at(donor, schema, relation) {
                live.push(Oid(live_id));
                parked.push(Oid(parked_id));
                numbers.push(*column_number);
            }
        }
        if live.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "delete from pg_catalog.pg_statistic
             using rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::smallint[])) as m (id, number)
             where starelid = m.id and staattnum = m.number",
        )
        .bind(&live)
        .bind(&numbers)
        .persistent(false)
        .execute(&mut *conn)
        .await?;
        let columns = self.statistic_columns();
        // Safe: column names come from the catalog itself.
        let insert = AssertSqlSafe(format!(
            "insert into pg_catalog.pg_statistic (starelid, {columns})
             select m.live_id, {columns} from pg_catalog.pg_statistic
             join rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::smallint[]))
                  as m (live_id, parked_id, number) on starelid = m.parked_id and staattnum = m.number"
        ));
        sqlx::query(insert)
            .bind(&live)
            .bind(&parked)
            .bind(&numbers)
            .persistent(false)
            .execute(conn)
            .await?;
        Ok(())
    }

    async fn take_objects(&self, conn: &mut PgConnection, donor: Place, taken: &[&Piece]) -> anyhow::Result<()> {
        for piece in taken {
            let Piece::Object { schema, name } = piece else {
                continue;
            };
            let id: Option<Oid> = sqlx::query_scalar(
                "select e.oid from pg_catalog.pg_statistic_ext e
                 join pg_catalog.pg_namespace n on n.oid = e.stxnamespace where n.nspname = $1 and e.stxname = $2",
            )
            .bind(schema)
            .bind(name)
            .persistent(false)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some((live_id, parked_id)) = id.and_then(|id| self.object_at(donor, id.0)) {
                self.take_object(&mut *conn, live_id, parked_id).await?;
            }
        }
        Ok(())
    }

    async fn take_object(&self, conn: &mut PgConnection, live_id: u32, parked_id: u32) -> anyhow::Result<()> {
        sqlx::query("delete from pg_catalog.pg_statistic_ext_data where stxoid = $1")
            .bind(Oid(live_id))
            .persistent(false)
            .execute(&mut *conn)
            .await?;
        let columns = self.extended_columns();
        // Safe: column names come from the catalog itself.
        let insert = AssertSqlSafe(format!(
            "insert into pg_catalog.pg_statistic_ext_data (stxoid, {columns})
             select $1, {columns} from pg_catalog.pg_statistic_ext_data where stxoid = $2"
        ));
        sqlx::query(insert)
            .bind(Oid(live_id))
            .bind(Oid(parked_id))
            .persistent(false)
            .execute(conn)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::snapshot::Gathered;

    fn snapshot(columns: &[(u8, u8)], sizes: &[(u8, u8)], objects: &[(u8, u8)]) -> Snapshot {
        let mut snapshot = Snapshot {
            relations: sizes
                .iter()
                .map(|(relation, n)| RelationNumbers {
                    schema: "public".to_owned(),
                    relation: format!("t{relation}"),
                    is_index: false,
                    pages: i32::from(*n),
                    tuples: n.to_string(),
                    all_visible_pages: 0,
                    all_frozen_pages: None,
                })
                .collect(),
            columns: columns
                .iter()
                .map(|(column, n)| ColumnStatistics {
                    schema: "public".to_owned(),
                    relation: format!("t{}", column % 3),
                    column_number: i16::from(*column),
                    column: format!("c{column}"),
                    inherited: false,
                    gathered: Gathered {
                        null_fraction: n.to_string(),
                        average_width: 4,
                        n_distinct: "-1".to_owned(),
                        slots: Vec::new(),
                    },
                })
                .collect(),
            extended: objects
                .iter()
                .map(|(object, n)| ExtendedStatistics {
                    schema: "public".to_owned(),
                    name: format!("s{object}"),
                    inherited: false,
                    n_distinct: Some(n.to_string()),
                    dependencies: None,
                    most_common_values: None,
                    expressions: Vec::new(),
                })
                .collect(),
        };
        snapshot.relations.sort_by(|a, b| a.relation.cmp(&b.relation));
        snapshot.columns.sort_by(|a, b| column_key(a).cmp(&column_key(b)));
        snapshot.extended.sort_by(|a, b| extended_key(a).cmp(&extended_key(b)));
        snapshot
    }

    prop_compose! {
        fn any_snapshot()(
            columns in prop::collection::btree_map(0_u8..9, 0_u8..3, 0..9),
            sizes in prop::collection::btree_map(0_u8..4, 0_u8..3, 0..4),
            objects in prop::collection::btree_map(0_u8..3, 0_u8..3, 0..3),
        ) -> Snapshot {
            let pairs = |map: std::collections::BTreeMap<u8, u8>| map.into_iter().collect::<Vec<_>>();
            snapshot(&pairs(columns), &pairs(sizes), &pairs(objects))
        }
    }

    proptest! {
        #[test]
        fn nothing_taken_is_the_base_and_everything_that_differs_is_the_donor(a in any_snapshot(), b in any_snapshot()) {
            let pieces = differences(&a, &b);
            prop_assert_eq!(mix(&a, &b, &[]), a.clone());
            prop_assert_eq!(mix(&a, &b, &pieces.iter().collect::<Vec<_>>()), b);
        }

        #[test]
        fn what_is_taken_and_nothing_else_no_longer_differs(
            a in any_snapshot(), b in any_snapshot(), chosen in any::<u32>(),
        ) {
            let pieces = differences(&a, &b);
            let (taken, left): (Vec<_>, Vec<_>) = pieces.iter().enumerate().partition(|(idx, _)| chosen >> idx & 1 == 1);
            let taken: Vec<&Piece> = taken.into_iter().map(|(_, piece)| piece).collect();
            let left: Vec<Piece> = left.into_iter().map(|(_, piece)| piece.clone()).collect();
            prop_assert_eq!(differences(&mix(&a, &b, &taken), &b), left);
        }
    }
}
