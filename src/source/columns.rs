//! The columns of a database that can have a statistics target.

use sqlx::PgConnection;

/// A column of a table, materialised view, partitioned or foreign table of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub schema: String,
    pub table: String,
    pub column: String,
}

/// All of them, in order of schema, table, column number. Taken from `pg_attribute`: `pg_stats` is empty before the
/// first ANALYZE.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Column>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "select n.nspname::text, c.relname::text, a.attname::text
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm', 'f') and a.attnum > 0 and not a.attisdropped
           and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and pg_catalog.pg_has_role(c.relowner, 'usage')
         order by 1, 2, a.attnum",
    )
    .persistent(false)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(schema, table, column)| Column { schema, table, column })
        .collect())
}
