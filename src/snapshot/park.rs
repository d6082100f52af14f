//! Parks the statistics rows of every source inside the clone and swaps them in between visits.
//!
//! A parked row is a row of `pg_statistic` under an object id that no relation has. A swap copies rows from parked to
//! live ids: no input function runs and no type can be wrong. Updating every relation's row in `pg_class` also makes
//! open sessions forget the plans they cached.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Snapshot;
use crate::snapshot::USER_RELATION;
use crate::snapshot::USER_SCHEMA;
use crate::target::session::Admin;

/// Parked ids start here. PostgreSQL hands out ids from 16,384 upwards; a sandbox that has used four thousand million
/// of them is refused by [`Lot::open`].
const FIRST_PARKED_ID: u32 = 4_200_000_000;
/// Ids for one source: more than the most objects a dataset may have.
const IDS_PER_SOURCE: u32 = 1_000_000;

/// How many snapshots one clone can hold parked.
const MAX_PLACES: usize = 64;

/// Where a snapshot is parked that belongs to no source, only to their preparing: more sources than places before it no
/// experiment has.
pub const SPARE_PLACE: usize = MAX_PLACES - 1;

/// The statistics rows of one clone, live and parked.
///
/// Which parked id stands for which relation follows from the relations' own ids in order, and a clone's relations
/// never change, so a resumed experiment finds the rows again.
pub struct Lot {
    relations: Vec<Relation>,
    statistics_objects: Vec<u32>,
    /// The columns of the two catalogs behind their key, as this server has them.
    statistic_columns: String,
    extended_columns: String,
    /// Whether `pg_class` counts frozen pages, as from PostgreSQL 18 on.
    counts_frozen: bool,
    /// The indexes that the planner does not see under a source, by source.
    hidden: BTreeMap<usize, Vec<u32>>,
}

struct Relation {
    id: u32,
    schema: String,
    name: String,
}

impl Lot {
    /// Looks at the clone that `admin` is connected to.
    pub async fn open(admin: &mut Admin) -> anyhow::Result<Self> {
        // Safe: constants only.
        let sql = AssertSqlSafe(format!(
            "select c.oid, n.nspname::text, c.relname::text
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where {USER_SCHEMA} and {USER_RELATION} order by c.oid"
        ));
        let rows: Vec<(Oid, String, String)> = sqlx::query_as(sql).fetch_all(&mut admin.conn).await?;
        let relations: Vec<Relation> = rows
            .into_iter()
            .map(|(id, schema, name)| Relation { id: id.0, schema, name })
            .collect();
        let statistics_objects: Vec<Oid> =
            sqlx::query_scalar("select oid from pg_catalog.pg_statistic_ext order by oid")
                .fetch_all(&mut admin.conn)
                .await?;
        anyhow::ensure!(
            relations.len() < IDS_PER_SOURCE as usize && statistics_objects.len() < IDS_PER_SOURCE as usize,
            "the dataset has too many relations to keep their statistics apart"
        );
        anyhow::ensure!(
            relations.last().is_none_or(|relation| relation.id < FIRST_PARKED_ID),
            "the sandbox has used up its object ids; restore the dataset again"
        );
        Ok(Self {
            relations,
            statistics_objects: statistics_objects.into_iter().map(|oid| oid.0).collect(),
            statistic_columns: columns_behind_key(admin, "pg_statistic", 1).await?,
            extended_columns: columns_behind_key(admin, "pg_statistic_ext_data", 1).await?,
            counts_frozen: columns_behind_key(admin, "pg_class", 1).await?.contains("relallfrozen"),
            hidden: BTreeMap::new(),
        })
    }

    /// Keeps these indexes, by schema and name, out of the planner's sight while `source_idx` is in force. From now on a swap
    /// to any source hides what is hidden under it and shows what is hidden under others. The error names one that is not
    /// there.
    pub fn hide(&mut self, source_idx: usize, indexes: &[(&str, &str)]) -> Result<(), String> {
        let id = |(schema, name): &(&str, &str)| {
            let is_meant = |relation: &&Relation| relation.schema == *schema && relation.name == *name;
            let found = self.relations.iter().find(is_meant);
            found
                .map(|relation| relation.id)
                .ok_or_else(|| format!("there is no index {schema}.{name}"))
        };
        let ids = indexes.iter().map(id).collect::<Result<_, String>>()?;
        self.hidden.insert(source_idx, ids);
        Ok(())
    }

    /// What is hidden under a source.
    pub fn hidden(&self, source_idx: usize) -> &[u32] {
        self.hidden.get(&source_idx).map_or(&[], Vec::as_slice)
    }

    /// What is hidden under any source.
    fn hidden_anywhere(&self) -> BTreeSet<u32> {
        self.hidden.values().flatten().copied().collect()
    }

    /// Copies the live rows to the parking place of `source_idx`, in place of what stood there.
    pub async fn park(&self, admin: &mut Admin, source_idx: usize) -> anyhow::Result<()> {
        let place = Place::of(source_idx)?;
        let mut transaction = admin.conn.begin().await?;
        self.copy(&mut transaction, &self.live_to(place), None)
            .await
            .context("parking statistics")?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts the rows of `source_idx` in force, with the relation sizes of its `snapshot`. One transaction.
    pub async fn swap_in(&self, admin: &mut Admin, source_idx: usize, snapshot: &Snapshot) -> anyhow::Result<()> {
        let place = Place::of(source_idx)?;
        let mut transaction = admin.conn.begin().await?;
        self.restore(&mut transaction, place, snapshot)
            .await
            .context("swapping statistics")?;
        self.show_indexes(&mut transaction, source_idx)
            .await
            .context("hiding indexes")?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts what is parked at `place` in force, with the relation sizes of `snapshot`, in the transaction of `conn`.
    pub(super) async fn restore(
        &self,
        conn: &mut PgConnection,
        place: Place,
        snapshot: &Snapshot,
    ) -> anyhow::Result<()> {
        let mut moves = self.live_to(place);
        moves.reverse();
        self.copy(conn, &moves, Some(&snapshot.relations)).await
    }

    /// Marks what is hidden under a source as invalid, which the planner passes over, and everything else that is hidden
    /// under any as valid. The server tells every open session.
    async fn show_indexes(&self, conn: &mut PgConnection, source_idx: usize) -> sqlx::Result<()> {
        let all: Vec<u32> = self.hidden_anywhere().into_iter().collect();
        if all.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "update pg_catalog.pg_index set indisvalid = not (indexrelid = any($1))
             where indexrelid = any($2) and indisvalid = (indexrelid = any($1))",
        )
        .bind(oids(self.hidden(source_idx)))
        .bind(oids(&all))
        .persistent(false)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Gives the relations the sizes of `snapshot`, and leaves the rows as they are.
    pub async fn resize(&self, admin: &mut Admin, snapshot: &Snapshot) -> anyhow::Result<()> {
        self.set_sizes(&mut admin.conn, &snapshot.relations)
            .await
            .context("writing the sizes of relations")
    }

    /// Removes all live rows and gives the relations the sizes of `snapshot`.
    pub async fn clear(&self, admin: &mut Admin, snapshot: &Snapshot) -> anyhow::Result<()> {
        let nothing = Moves {
            from: [Vec::new(), Vec::new()],
            to: [self.relation_ids(), self.statistics_objects.clone()],
        };
        let mut transaction = admin.conn.begin().await?;
        self.copy(&mut transaction, &nothing, Some(&snapshot.relations))
            .await
            .context("clearing statistics")?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives the catalogs' dead rows back: without it 300 swaps grew `pg_statistic` to 199 MB.
    pub async fn vacuum(&self, admin: &mut Admin) -> anyhow::Result<()> {
        for catalog in ["pg_statistic", "pg_statistic_ext_data", "pg_class", "pg_index"] {
            admin.run(format!("vacuum pg_catalog.{catalog}")).await?;
        }
        Ok(())
    }

    /// The live id of a relation, and the one under which its rows stand at `place`.
    pub(super) fn relation_at(&self, place: Place, schema: &str, name: &str) -> Option<(u32, u32)> {
        let is_meant = |relation: &Relation| relation.schema == schema && relation.name == name;
        let idx = self.relations.iter().position(is_meant)?;
        Some((self.relations[idx].id, place.id(idx)))
    }

    /// The live id of a statistics object, and the one under which its row stands at `place`.
    pub(super) fn object_at(&self, place: Place, id: u32) -> Option<(u32, u32)> {
        let idx = self.statistics_objects.iter().position(|known| *known == id)?;
        Some((id, place.id(idx)))
    }

    /// The columns of `pg_statistic` behind its relation.
    pub(super) fn statistic_columns(&self) -> &str {
        &self.statistic_columns
    }

    /// The columns of `pg_statistic_ext_data` behind its object.
    pub(super) fn extended_columns(&self) -> &str {
        &self.extended_columns
    }

    fn relation_ids(&self) -> Vec<u32> {
        self.relations.iter().map(|relation| relation.id).collect()
    }

    fn live_to(&self, place: Place) -> Moves {
        Moves {
            from: [self.relation_ids(), self.statistics_objects.clone()],
            to: [
                place.ids(self.relations.len()),
                place.ids(self.statistics_objects.len()),
            ],
        }
    }

    async fn copy(
        &self,
        conn: &mut PgConnection,
        moves: &Moves,
        sizes: Option<&[RelationNumbers]>,
    ) -> anyhow::Result<()> {
        let catalogs = [
            ("pg_statistic", "starelid", &self.statistic_columns),
            ("pg_statistic_ext_data", "stxoid", &self.extended_columns),
        ];
        for ((catalog, key, columns), (from, to)) in catalogs.into_iter().zip(moves.from.iter().zip(&moves.to)) {
            // Safe: catalog and column names come from the catalog itself.
            let delete = AssertSqlSafe(format!("delete from pg_catalog.{catalog} where {key} = any($1)"));
            sqlx::query(delete)
                .bind(oids(to))
                .persistent(false)
                .execute(&mut *conn)
                .await?;
            if from.is_empty() {
                continue;
            }
            let insert = AssertSqlSafe(format!(
                "insert into pg_catalog.{catalog} ({key}, {columns})
                 select m.new_id, {columns} from pg_catalog.{catalog}
                 join rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) as m (old_id, new_id)
                   on {key} = m.old_id"
            ));
            sqlx::query(insert)
                .bind(oids(from))
                .bind(oids(to))
                .persistent(false)
                .execute(&mut *conn)
                .await?;
        }
        if let Some(sizes) = sizes {
            self.set_sizes(conn, sizes).await?;
        }
        Ok(())
    }

    async fn set_sizes(&self, conn: &mut PgConnection, sizes: &[RelationNumbers]) -> anyhow::Result<()> {
        let by_name: std::collections::HashMap<(&str, &str), &RelationNumbers> = sizes
            .iter()
            .map(|numbers| ((numbers.schema.as_str(), numbers.relation.as_str()), numbers))
            .collect();
        let hidden = self.hidden_anywhere();
        let mut ids = Vec::new();
        let (mut pages, mut tuples) = (Vec::new(), Vec::new());
        let (mut all_visible, mut all_frozen) = (Vec::new(), Vec::new());
        for relation in &self.relations {
            let Some(numbers) = by_name.get(&(relation.schema.as_str(), relation.name.as_str())) else {
                if hidden.contains(&relation.id) {
                    continue;
                }
                anyhow::bail!("the snapshot knows nothing of {}.{}", relation.schema, relation.name);
            };
            ids.push(relation.id);
            pages.push(numbers.pages);
            tuples.push(numbers.tuples.clone());
            all_visible.push(numbers.all_visible_pages);
            all_frozen.push(numbers.all_frozen_pages.unwrap_or(0));
        }
        let frozen = if self.counts_frozen {
            ", relallfrozen = m.all_frozen"
        } else {
            ""
        };
        // Safe: constants only.
        let update = AssertSqlSafe(format!(
            "update pg_catalog.pg_class c
             set relpages = m.pages, reltuples = m.tuples::real, relallvisible = m.all_visible{frozen}
             from rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::integer[]),
                             pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]),
                             pg_catalog.unnest($5::integer[]))
                  as m (id, pages, tuples, all_visible, all_frozen)
             where c.oid = m.id"
        ));
        sqlx::query(update)
            .bind(oids(&ids))
            .bind(pages)
            .bind(tuples)
            .bind(all_visible)
            .bind(all_frozen)
            .persistent(false)
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Which ids are copied to which: relations first, then statistics objects.
struct Moves {
    from: [Vec<u32>; 2],
    to: [Vec<u32>; 2],
}

impl Moves {
    fn reverse(&mut self) {
        std::mem::swap(&mut self.from, &mut self.to);
    }
}

/// The parking place of one source.
#[derive(Clone, Copy)]
pub(super) struct Place {
    first_id: u32,
}

impl Place {
    pub fn of(source_idx: usize) -> anyhow::Result<Self> {
        anyhow::ensure!(
            source_idx < MAX_PLACES,
            "at most {MAX_PLACES} snapshots fit into one clone"
        );
        let offset = u32::try_from(source_idx)? * IDS_PER_SOURCE;
        Ok(Self {
            first_id: FIRST_PARKED_ID + offset,
        })
    }

    fn ids(self, n: usize) -> Vec<u32> {
        (self.first_id..).take(n).collect()
    }

    /// The id of the nth; [`Lot::open`] knows that there are few enough.
    fn id(self, idx: usize) -> u32 {
        self.first_id + u32::try_from(idx).unwrap_or(IDS_PER_SOURCE - 1)
    }
}

fn oids(ids: &[u32]) -> Vec<Oid> {
    ids.iter().copied().map(Oid).collect()
}

/// Takes indexes, by their ids, out of a database for good, as DROP INDEX CONCURRENTLY does before it removes the files:
/// nothing writes into them any more. Names of the user's are not needed for that.
pub async fn retire_indexes(admin: &mut Admin, ids: &[u32]) -> anyhow::Result<()> {
    sqlx::query(
        "update pg_catalog.pg_index set indisvalid = false, indisready = false, indislive = false,
                                        indisreplident = false, indisclustered = false
         where indexrelid = any($1)",
    )
    .bind(oids(ids))
    .persistent(false)
    .execute(&mut admin.conn)
    .await
    .context("retiring indexes")?;
    Ok(())
}

async fn columns_behind_key(admin: &mut Admin, catalog: &str, n_key_columns: i16) -> anyhow::Result<String> {
    let columns = sqlx::query_scalar(
        "select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
         from pg_catalog.pg_attribute a
         where a.attrelid = $1::text::regclass and a.attnum > $2 and not a.attisdropped",
    )
    .bind(format!("pg_catalog.{catalog}"))
    .bind(n_key_columns)
    .fetch_one(&mut admin.conn)
    .await?;
    Ok(columns)
}
