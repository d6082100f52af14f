//! What ANALYZE takes and gives: rows of its sample, bytes of its statistics.

use sqlx::AssertSqlSafe;

use crate::snapshot::USER_SCHEMA;
use crate::target::session::Admin;

/// Rows that ANALYZE samples for each unit of the target: what histograms need, by Chaudhuri, Motwani and Narasayya
/// ("Random sampling for histogram construction", SIGMOD 1998), as PostgreSQL's `std_typanalyze` says.
const ROWS_PER_TARGET: u64 = 300;

/// A table with what decides how large its sample is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledTable {
    pub schema: String,
    pub table: String,
    /// The largest target of those columns and statistics objects that have one of their own.
    own_target: Option<u32>,
    /// Whether some column has none, and so the server's default.
    uses_default: bool,
}

impl SampledTable {
    /// Rows of the sample at a default target: 300 for each unit of the largest target, or all there are.
    pub fn n_sampled(&self, default_target: u32, n_rows: u64) -> u64 {
        let default = self.uses_default.then_some(default_target);
        let largest = self.own_target.max(default).unwrap_or(0);
        (ROWS_PER_TARGET * u64::from(largest)).min(n_rows)
    }
}

/// The largest target of a column of its own, whether there is a column without one, the largest of its statistics objects.
type TableRow = (String, String, Option<i32>, bool, Option<i32>);

/// Every table and materialised view of the user.
pub async fn tables(admin: &mut Admin) -> anyhow::Result<Vec<SampledTable>> {
    // Up to version 16 "no target of its own" is -1, from 17 on it is null. An expression that is indexed is sampled like a
    // column. Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text,
                max(a.attstattarget::integer) filter (where a.attstattarget >= 0),
                coalesce(bool_or(coalesce(a.attstattarget, -1) < 0), false),
                (select max(e.stxstattarget::integer) filter (where e.stxstattarget >= 0)
                 from pg_catalog.pg_statistic_ext e where e.stxrelid = c.oid)
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join lateral (
             select a.attstattarget from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             union all
             select a.attstattarget from pg_catalog.pg_index i
             join pg_catalog.pg_attribute a on a.attrelid = i.indexrelid and a.attnum > 0
             where i.indrelid = c.oid and i.indkey[a.attnum - 1] = 0
         ) a on true
         where {USER_SCHEMA} and c.relkind in ('r', 'm')
         group by c.oid, 1, 2 order by 1, 2"
    ));
    let rows: Vec<TableRow> = sqlx::query_as(sql).fetch_all(&mut admin.conn).await?;
    let tables = rows
        .into_iter()
        .map(|(schema, table, of_column, uses_default, of_object)| SampledTable {
            schema,
            table,
            own_target: of_column.max(of_object).and_then(|target| u32::try_from(target).ok()),
            uses_default,
        });
    Ok(tables.collect())
}

/// Every table that inherits or is a partition, with every table above it: their samples hold its rows as well.
pub async fn ancestors(admin: &mut Admin) -> anyhow::Result<Vec<(String, String)>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "with recursive above (child, ancestor) as (
             select inhrelid, inhparent from pg_catalog.pg_inherits
             union
             select above.child, i.inhparent from above join pg_catalog.pg_inherits i on i.inhrelid = above.ancestor
         )
         select child.relname::text, c.relname::text from above
         join pg_catalog.pg_class child on child.oid = above.child
         join pg_catalog.pg_class c on c.oid = above.ancestor
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA} and c.relkind in ('r', 'p') order by 1, 2"
    ));
    Ok(sqlx::query_as(sql).fetch_all(&mut admin.conn).await?)
}

/// Bytes of all live statistics rows of user relations, as they are stored.
pub async fn statistics_bytes(admin: &mut Admin) -> anyhow::Result<u64> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select coalesce(sum(pg_catalog.pg_column_size(s.*)), 0)::bigint
         from pg_catalog.pg_statistic s
         join pg_catalog.pg_class c on c.oid = s.starelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA}"
    ));
    let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&mut admin.conn).await?;
    Ok(bytes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench;
    use crate::testing::bench::Bench;

    #[tokio::test]
    async fn the_largest_target_of_a_table_decides_the_size_of_its_sample() {
        let bench = Bench::open().await;
        let dump = "create table plain (a integer, b integer);
                    create table mixed (a integer, b integer);
                    alter table mixed alter column a set statistics 500;
                    create table own (a integer, b integer);
                    alter table own alter column a set statistics 7;
                    alter table own alter column b set statistics 3;
                    create table expression (a integer);
                    alter table expression alter column a set statistics 7;
                    create index on expression (a, (a + 1));
                    create table object (a integer, b integer);
                    create statistics pair on a, b from object;
                    alter statistics pair set statistics 2000;";
        let sandbox = bench.sandbox(bench.restored(dump).await).await;
        let mut admin = bench::open_clone(&sandbox, "sampled").await;
        let tables = tables(&mut admin).await.unwrap();
        let sizes: Vec<(&str, [u64; 3])> = tables
            .iter()
            .map(|table| {
                let at = |target| table.n_sampled(target, 100_000);
                (table.table.as_str(), [at(10), at(100), at(1000)])
            })
            .collect();
        assert_eq!(
            sizes,
            [
                ("expression", [3_000, 30_000, 100_000]),
                ("mixed", [100_000, 100_000, 100_000]),
                ("object", [100_000, 100_000, 100_000]),
                ("own", [2_100, 2_100, 2_100]),
                ("plain", [3_000, 30_000, 100_000]),
            ]
        );
        assert_eq!(tables[1].n_sampled(10, 1_000_000), 150_000);
        assert_eq!(tables[2].n_sampled(10, 1_000_000), 600_000);
        admin.close().await;
        sandbox.stop().await.unwrap();
        bench.close().await;
    }
}
