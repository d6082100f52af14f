//! What stands in a database beside its data and their statistics: indexes, statistics objects, and what columns have of
//! their own for ANALYZE. Two looks tell what a statement between them has changed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::TableName;
use crate::snapshot::USER_SCHEMA;
use crate::target::session::Admin;

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// By their ids.
    pub indexes: BTreeMap<u32, Index>,
    pub objects: BTreeMap<u32, Object>,
    /// What columns have of their own, in words, by schema, table and column.
    pub columns: BTreeMap<(String, String, String), String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub schema: String,
    pub name: String,
    pub table: TableName,
    /// ANALYZE gathers something of it.
    pub has_expressions: bool,
    pub size_bytes: u64,
}

/// A statistics object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub schema: String,
    pub name: String,
    pub table: TableName,
    /// In words.
    pub target: String,
}

/// What a column or an object is said to have where it has nothing of its own.
pub const AS_USUAL: &str = "as usual";

impl Scene {
    pub async fn look(admin: &mut Admin) -> anyhow::Result<Self> {
        Ok(Self {
            indexes: indexes(admin).await.context("listing indexes")?,
            objects: objects(admin).await.context("listing statistics objects")?,
            columns: columns(admin).await.context("listing what columns have of their own")?,
        })
    }
}

async fn indexes(admin: &mut Admin) -> anyhow::Result<BTreeMap<u32, Index>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select i.indexrelid, n.nspname::text, c.relname::text, tn.nspname::text, t.relname::text, i.indexprs is not null,
                pg_catalog.pg_relation_size(i.indexrelid)
         from pg_catalog.pg_index i
         join pg_catalog.pg_class c on c.oid = i.indexrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_class t on t.oid = i.indrelid
         join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
         where {USER_SCHEMA}"
    ));
    let index = |row: &PgRow| {
        Ok(Index {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            table: table(row)?,
            has_expressions: row.try_get(5)?,
            size_bytes: row.try_get::<i64, _>(6)?.unsigned_abs(),
        })
    };
    by_id(admin, sql, index).await
}

async fn objects(admin: &mut Admin) -> anyhow::Result<BTreeMap<u32, Object>> {
    // Safe: constants only. Up to version 16 "no target of its own" is -1, from 17 on it is null.
    let sql = AssertSqlSafe(format!(
        "select e.oid, n.nspname::text, e.stxname::text, tn.nspname::text, t.relname::text,
                coalesce('target ' || nullif(e.stxstattarget, -1)::text, '{AS_USUAL}')
         from pg_catalog.pg_statistic_ext e
         join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
         join pg_catalog.pg_class t on t.oid = e.stxrelid
         join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
         where {USER_SCHEMA}"
    ));
    let object = |row: &PgRow| {
        Ok(Object {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            table: table(row)?,
            target: row.try_get(5)?,
        })
    };
    by_id(admin, sql, object).await
}

/// What `sql` finds, by the id in the first column.
async fn by_id<T>(
    admin: &mut Admin,
    sql: AssertSqlSafe<String>,
    read: impl Fn(&PgRow) -> sqlx::Result<T>,
) -> anyhow::Result<BTreeMap<u32, T>> {
    let rows = sqlx::query(sql).fetch_all(&mut admin.conn).await?;
    rows.iter()
        .map(|row| Ok((row.try_get::<Oid, _>(0)?.0, read(row)?)))
        .collect()
}

/// On which table it stands: the fourth and the fifth column.
fn table(row: &PgRow) -> sqlx::Result<TableName> {
    Ok(TableName {
        schema: row.try_get(3)?,
        name: row.try_get(4)?,
    })
}

async fn columns(admin: &mut Admin) -> anyhow::Result<BTreeMap<(String, String, String), String>> {
    // Safe: constants only. Servers from 15.20 on give columns an option of their own, which is not for ANALYZE.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text, a.attname::text,
                pg_catalog.concat_ws(', ', 'target ' || nullif(a.attstattarget, -1)::text,
                                     (select pg_catalog.string_agg(o, ', ') from pg_catalog.unnest(a.attoptions) o
                                      where pg_catalog.starts_with(o, 'n_distinct')))
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA} and c.relkind in ('r', 'm', 'p', 'f') and a.attnum > 0 and not a.attisdropped
           and (coalesce(a.attstattarget, -1) >= 0 or a.attoptions is not null)"
    ));
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(sql).fetch_all(&mut admin.conn).await?;
    let has_own = rows.into_iter().filter(|(_, _, _, own)| !own.is_empty());
    Ok(has_own
        .map(|(schema, table, column, own)| ((schema, table, column), own))
        .collect())
}

/// Takes away what is known by statistics objects, by their ids: the planner passes over an empty one.
pub async fn empty_objects(admin: &mut Admin, ids: &[u32]) -> anyhow::Result<()> {
    let ids: Vec<Oid> = ids.iter().copied().map(Oid).collect();
    sqlx::query("delete from pg_catalog.pg_statistic_ext_data where stxoid = any($1)")
        .bind(ids)
        .persistent(false)
        .execute(&mut admin.conn)
        .await
        .context("emptying statistics objects")?;
    Ok(())
}
