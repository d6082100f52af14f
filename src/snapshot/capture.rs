//! Reads the statistics of a database into a value.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::ExtendedStatistics;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Slot;
use crate::model::snapshot::Snapshot;
use crate::snapshot::USER_RELATION;
use crate::snapshot::USER_SCHEMA;
use crate::target::session::Admin;

/// Every statistics row of user relations, with the numbers of `pg_class`.
///
/// Values come as text in the formats that the session of [`Admin`] fixes, so two captures of the same rows are equal.
pub async fn capture(admin: &mut Admin) -> anyhow::Result<Snapshot> {
    Ok(Snapshot {
        relations: relations(admin).await.context("reading relation sizes")?,
        columns: columns(admin).await.context("reading column statistics")?,
        extended: extended(admin).await.context("reading extended statistics")?,
    })
}

async fn relations(admin: &mut Admin) -> anyhow::Result<Vec<RelationNumbers>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text, c.relpages, c.reltuples::text, c.relallvisible
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA} and {USER_RELATION} order by 1, 2"
    ));
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    rows.iter()
        .map(|row| {
            Ok(RelationNumbers {
                schema: row.try_get(0)?,
                relation: row.try_get(1)?,
                pages: row.try_get(2)?,
                tuples: row.try_get(3)?,
                all_visible_pages: row.try_get(4)?,
            })
        })
        .collect()
}

async fn columns(admin: &mut Admin) -> anyhow::Result<Vec<ColumnStatistics>> {
    let slots: Vec<String> = (1..=5)
        .map(|slot| {
            format!(
                "({slot}::smallint, s.stakind{slot}, s.staop{slot}, s.stacoll{slot}, s.stanumbers{slot}::text,
                  s.stavalues{slot}::text)"
            )
        })
        .collect();
    let slots = slots.join(", ");
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text, s.staattnum, a.attname::text, s.stainherit, s.stanullfrac::text,
                s.stawidth, s.stadistinct::text, v.slot, v.kind,
                case when v.op = 0 then '-' else v.op::regoperator::text end,
                case when v.coll = 0 then '-' else v.coll::regcollation::text end, v.numbers, v.\"values\"
         from pg_catalog.pg_statistic s
         join pg_catalog.pg_class c on c.oid = s.starelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = s.starelid and a.attnum = s.staattnum
         cross join lateral (values {slots}) as v (slot, kind, op, coll, numbers, \"values\")
         where {USER_SCHEMA} and {USER_RELATION} and (v.slot = 1 or v.kind <> 0)
         order by 1, 2, 3, 5, 9"
    ));
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    let mut columns: Vec<ColumnStatistics> = Vec::new();
    for row in &rows {
        let slot = slot(row)?;
        let column = column(row)?;
        if slot.number == 1 {
            columns.push(column);
        }
        if slot.kind != 0 {
            let last = columns.last_mut().context("slots come in the order of their rows")?;
            last.slots.push(slot);
        }
    }
    Ok(columns)
}

fn column(row: &PgRow) -> anyhow::Result<ColumnStatistics> {
    Ok(ColumnStatistics {
        schema: row.try_get(0)?,
        relation: row.try_get(1)?,
        column_number: row.try_get(2)?,
        column: row.try_get(3)?,
        inherited: row.try_get(4)?,
        null_fraction: row.try_get(5)?,
        average_width: row.try_get(6)?,
        n_distinct: row.try_get(7)?,
        slots: Vec::new(),
    })
}

fn slot(row: &PgRow) -> anyhow::Result<Slot> {
    Ok(Slot {
        number: row.try_get(8)?,
        kind: row.try_get(9)?,
        operator: row.try_get(10)?,
        collation: row.try_get(11)?,
        numbers: row.try_get(12)?,
        values: row.try_get(13)?,
    })
}

async fn extended(admin: &mut Admin) -> anyhow::Result<Vec<ExtendedStatistics>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, e.stxname::text, d.stxdinherit,
                pg_catalog.md5(pg_catalog.concat_ws('|', d.stxdndistinct::text, d.stxddependencies::text,
                                                    d.stxdmcv::text, d.stxdexpr::text))
         from pg_catalog.pg_statistic_ext_data d
         join pg_catalog.pg_statistic_ext e on e.oid = d.stxoid
         join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
         where {USER_SCHEMA} order by 1, 2, 3"
    ));
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    rows.iter()
        .map(|row| {
            Ok(ExtendedStatistics {
                schema: row.try_get(0)?,
                name: row.try_get(1)?,
                inherited: row.try_get(2)?,
                md5: row.try_get(3)?,
            })
        })
        .collect()
}
