//! Reads the statistics of a database into a value.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::Gathered;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Slot;
use crate::model::snapshot::Snapshot;
use crate::snapshot::USER_RELATION;
use crate::snapshot::USER_SCHEMA;
use crate::snapshot::extended;
use crate::target::session::Admin;

/// Every statistics row of user relations, with the numbers of `pg_class`.
///
/// Values come as text in the formats that the session of [`Admin`] fixes, so two captures of the same rows are equal.
pub async fn capture(admin: &mut Admin) -> anyhow::Result<Snapshot> {
    Ok(Snapshot {
        relations: relations(admin).await.context("reading relation sizes")?,
        columns: columns(admin).await.context("reading column statistics")?,
        extended: extended::capture(admin).await.context("reading extended statistics")?,
    })
}

/// What the statistics rows of user relations take, in bytes. Their parked copies do not count.
pub async fn size_bytes(admin: &mut Admin) -> anyhow::Result<u64> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select coalesce(pg_catalog.sum(size), 0)::bigint from (
             select pg_catalog.pg_column_size(s) as size from pg_catalog.pg_statistic s
             join pg_catalog.pg_class c on c.oid = s.starelid
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where {USER_SCHEMA} and {USER_RELATION}
             union all
             select pg_catalog.pg_column_size(d) from pg_catalog.pg_statistic_ext_data d
             join pg_catalog.pg_statistic_ext e on e.oid = d.stxoid) as of_rows"
    ));
    let bytes: i64 = sqlx::query_scalar(sql)
        .fetch_one(&mut admin.conn)
        .await
        .context("measuring statistics")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

pub(super) async fn relations(admin: &mut Admin) -> anyhow::Result<Vec<RelationNumbers>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text, c.relkind in ('i', 'I'), c.relpages, c.reltuples::text, c.relallvisible,
                (pg_catalog.to_jsonb(c) operator(pg_catalog.->>) 'relallfrozen')::integer
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA} and {USER_RELATION} order by 1, 2"
    ));
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    rows.iter()
        .map(|row| {
            Ok(RelationNumbers {
                schema: row.try_get(0)?,
                relation: row.try_get(1)?,
                is_index: row.try_get(2)?,
                pages: row.try_get(3)?,
                tuples: row.try_get(4)?,
                all_visible_pages: row.try_get(5)?,
                all_frozen_pages: row.try_get(6)?,
            })
        })
        .collect()
}

async fn columns(admin: &mut Admin) -> anyhow::Result<Vec<ColumnStatistics>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select {gathered}, n.nspname::text, c.relname::text, s.staattnum, a.attname::text, s.stainherit
         from pg_catalog.pg_statistic s
         join pg_catalog.pg_class c on c.oid = s.starelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = s.starelid and a.attnum = s.staattnum
         {slots}
         where {USER_SCHEMA} and {USER_RELATION} and (v.slot = 1 or v.kind <> 0)
         order by n.nspname, c.relname, s.staattnum, s.stainherit, v.slot",
        gathered = gathered_columns("s"),
        slots = slots_of("s"),
    ));
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    let mut columns: Vec<ColumnStatistics> = Vec::new();
    for row in &rows {
        let Some((slot_number, gathered)) = gathered(row)? else {
            continue;
        };
        match columns.last_mut() {
            Some(last) if slot_number > 1 => last.gathered.slots.extend(gathered.slots),
            _ => columns.push(ColumnStatistics {
                schema: row.try_get(N_GATHERED)?,
                relation: row.try_get(N_GATHERED + 1)?,
                column_number: row.try_get(N_GATHERED + 2)?,
                column: row.try_get(N_GATHERED + 3)?,
                inherited: row.try_get(N_GATHERED + 4)?,
                gathered,
            }),
        }
    }
    Ok(columns)
}

/// How many columns [`gathered_columns`] selects.
pub(super) const N_GATHERED: usize = 9;

/// What to select of a row of `pg_statistic`, beside [`slots_of`] the same row.
pub(super) fn gathered_columns(row: &str) -> String {
    format!(
        "{row}.stanullfrac::text, {row}.stawidth, {row}.stadistinct::text, v.slot, v.kind,
         case when v.op = 0 then '-' else v.op::regoperator::text end,
         case when v.coll = 0 then '-' else v.coll::regcollation::text end, v.numbers, v.\"values\""
    )
}

/// One row for each slot of a row of `pg_statistic`.
pub(super) fn slots_of(row: &str) -> String {
    let slots: Vec<String> = (1..=5)
        .map(|slot| {
            format!(
                "({slot}::smallint, {row}.stakind{slot}, {row}.staop{slot}, {row}.stacoll{slot},
                  {row}.stanumbers{slot}::text, {row}.stavalues{slot}::text)"
            )
        })
        .collect();
    format!(
        "cross join lateral (values {}) as v (slot, kind, op, coll, numbers, \"values\")",
        slots.join(", ")
    )
}

/// One slot with what belongs to its whole row; none where the row itself is null.
pub(super) fn gathered(row: &PgRow) -> anyhow::Result<Option<(i16, Gathered)>> {
    let Some(null_fraction) = row.try_get(0)? else {
        return Ok(None);
    };
    let (number, kind) = (row.try_get(3)?, row.try_get(4)?);
    let mut gathered = Gathered {
        null_fraction,
        average_width: row.try_get(1)?,
        n_distinct: row.try_get(2)?,
        slots: Vec::new(),
    };
    if kind != 0 {
        gathered.slots.push(Slot {
            number,
            kind,
            operator: row.try_get(5)?,
            collation: row.try_get(6)?,
            numbers: row.try_get(7)?,
            values: row.try_get(8)?,
        });
    }
    Ok(Some((number, gathered)))
}
