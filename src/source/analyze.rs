//! `ANALYZE` and `SET STATISTICS`, as the dataset's own role.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::PgConnection;

use crate::source::columns;
use crate::sql::ident;

/// Analyzes every table of the user, by name: a plain ANALYZE warns of each system table it must leave out.
pub async fn analyze_all(conn: &mut PgConnection) -> anyhow::Result<()> {
    let tables = own_tables(conn).await?;
    if tables.is_empty() {
        return Ok(());
    }
    // Safe: names quoted by `sql::ident`.
    let sql = AssertSqlSafe(format!("analyze {}", tables.join(", ")));
    sqlx::raw_sql(sql).execute(conn).await.context("analyzing")?;
    Ok(())
}

/// The role's own tables, as ANALYZE and VACUUM take them: a partitioned table takes its partitions along.
pub async fn own_tables(conn: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select n.nspname::text, c.relname::text
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition
           and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and pg_catalog.pg_has_role(c.relowner, 'usage')
         order by 1, 2",
    )
    .persistent(false)
    .fetch_all(conn)
    .await
    .context("listing tables")?;
    let quoted = found
        .iter()
        .map(|(schema, table)| ident::quote_qualified(schema, table));
    Ok(quoted.collect())
}

/// Gives every column the statistics target that `target_of` names.
pub async fn set_targets(
    conn: &mut PgConnection,
    target_of: impl Fn(&columns::Column) -> u32 + Send,
) -> anyhow::Result<()> {
    let all = columns::list(&mut *conn).await?;
    for of_table in all.chunk_by(|a, b| a.schema == b.schema && a.table == b.table) {
        let Some(first) = of_table.first() else { continue };
        let clauses: Vec<String> = of_table
            .iter()
            .map(|column| {
                format!(
                    "alter column {} set statistics {}",
                    ident::quote(&column.column),
                    target_of(column)
                )
            })
            .collect();
        // Safe: names quoted by `sql::ident`. ONLY, because every partition is in the list itself.
        let sql = AssertSqlSafe(format!(
            "alter table only {} {}",
            ident::quote_qualified(&first.schema, &first.table),
            clauses.join(", ")
        ));
        sqlx::raw_sql(sql)
            .execute(&mut *conn)
            .await
            .context("setting statistics targets")?;
    }
    Ok(())
}
