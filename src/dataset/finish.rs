//! Makes a restored database pristine, and counts what is in it.

use std::time::Instant;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use tracing::debug;

use crate::dataset::log::Outcome;
use crate::model::dataset::Inventory;
use crate::model::dataset::InventoryColumn;
use crate::model::dataset::InventoryRelation;
use crate::model::dataset::Restored;
use crate::model::dataset::Table;
use crate::model::ids::DatasetId;
use crate::sql::ident;
use crate::target::clone;
use crate::target::session::Address;
use crate::target::session::Admin;
use crate::target::session::OpenError;
use crate::target::session::Session;

/// Vacuums without analyzing, sees to it that no statistics exist, counts, and closes the template to connections.
pub async fn finish(
    address: &Address,
    dataset_id: DatasetId,
    outcome: &mut Outcome,
    restore_ms: u64,
) -> anyhow::Result<Restored> {
    let name = clone::template_name(dataset_id);
    let mut admin = Admin::connect(address, &name).await?;
    try_settings(address, &name, outcome).await?;
    for table in make_logged(address, &name).await? {
        outcome.remark(format!(
            "{table} was unlogged and is logged here: a crash would have emptied it"
        ));
    }
    // VACUUM runs no code of the user's; it makes index-only scans possible and freezes what every clone would freeze.
    // It reads every page: from those that a frozen COPY lets it skip it would guess the number of rows, which is a
    // statistic.
    let started = Instant::now();
    admin
        .run("vacuum (freeze, disable_page_skipping)".to_owned())
        .await
        .context("vacuuming the restored database")?;
    let vacuum_ms = started.elapsed().as_millis();
    if remove_statistics(&mut admin).await? > 0 {
        outcome.remark(
            "statistics that code of the dump gathered were removed: they are what an experiment varies".to_owned(),
        );
    }
    for table in forced_policies(&mut admin).await? {
        outcome.remark(format!(
            "row level security is forced on {table}: counts and queries see only the rows that its policies show"
        ));
    }
    let (server_version, encoding, locale, database_bytes): (String, String, String, i64) = sqlx::query_as(
        "select pg_catalog.current_setting('server_version'), pg_catalog.pg_encoding_to_char(encoding),
                datcollate::text || case when datctype <> datcollate then ' (types: ' || datctype || ')' else '' end,
                pg_catalog.pg_database_size(oid)
         from pg_catalog.pg_database where datname = pg_catalog.current_database()",
    )
    .fetch_one(&mut admin.conn)
    .await?;
    let extensions: Vec<String> = sqlx::query_scalar(
        "select extname || ' ' || extversion from pg_catalog.pg_extension where extname <> 'plpgsql' order by 1",
    )
    .fetch_all(&mut admin.conn)
    .await?;
    let inventory = take_inventory(&mut admin)
        .await
        .context("listing relations and columns")?;
    admin.close().await;
    let started = Instant::now();
    let tables = count_tables(address, &name).await?;
    let count_ms = started.elapsed().as_millis();
    debug!("Parts of restore {dataset_id}: load={restore_ms} vacuum={vacuum_ms} count={count_ms} ms");
    let mut server = Admin::connect(address, "postgres").await?;
    clone::allow_connections(&mut server, &name, false).await?;
    server.close().await;
    let has_imported_statistics = !outcome.statistics.is_empty();
    let statistics = std::mem::take(&mut outcome.statistics).finish();
    let statistics = statistics.unwrap_or_else(|error| {
        outcome.remark(format!("the statistics in the dump are not kept: {error}"));
        None
    });
    Ok(Restored {
        server_version,
        encoding,
        locale,
        database_bytes: u64::try_from(database_bytes).unwrap_or(0),
        restore_ms,
        extensions,
        settings: outcome.settings.clone(),
        has_imported_statistics,
        statistics,
        tables,
        inventory,
    })
}

/// A dump's functions and DO blocks may analyze, where no splitter sees it. Returns how many rows there were.
async fn remove_statistics(admin: &mut Admin) -> anyhow::Result<u64> {
    let mut n_rows = 0;
    for delete in [
        "delete from pg_catalog.pg_statistic s using pg_catalog.pg_class c, pg_catalog.pg_namespace n
         where c.oid = s.starelid and n.oid = c.relnamespace
           and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
        "delete from pg_catalog.pg_statistic_ext_data",
    ] {
        let done = sqlx::query(delete).persistent(false).execute(&mut admin.conn).await;
        n_rows += done.context("removing statistics")?.rows_affected();
    }
    Ok(n_rows)
}

/// Keeps only the settings that this server takes: one that it does not know would refuse every session.
async fn try_settings(address: &Address, name: &str, outcome: &mut Outcome) -> anyhow::Result<()> {
    for setting in std::mem::take(&mut outcome.settings) {
        match Session::connect(address, name, "pgassay finish", std::slice::from_ref(&setting)).await {
            Ok(session) => {
                session.close().await;
                outcome.settings.push(setting);
            }
            Err(OpenError::Setting { name, value, error }) => {
                outcome.remark(format!("the setting {name} = {value} is not taken over: {error}"));
            }
            Err(OpenError::Lost(error)) => return Err(error),
        }
    }
    Ok(())
}

/// A server that is stopped at once forgets the rows of unlogged tables, so none stays unlogged. Done as the dataset's
/// own role; tables that others refer to come last, as PostgreSQL asks for.
async fn make_logged(address: &Address, name: &str) -> anyhow::Result<Vec<String>> {
    let mut session = Session::connect(address, name, "pgassay finish", &[]).await?;
    let mut done = Vec::new();
    loop {
        let found: Vec<(String, String)> = sqlx::query_as(
            "select n.nspname::text, c.relname::text
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relpersistence = 'u' and c.relkind = 'r'
               and not exists (select from pg_catalog.pg_constraint f join pg_catalog.pg_class r on r.oid = f.confrelid
                               where f.conrelid = c.oid and f.contype = 'f' and r.relpersistence = 'u' and r.oid <> c.oid)
             order by 1, 2",
        )
        .persistent(false)
        .fetch_all(&mut session.conn)
        .await?;
        if found.is_empty() {
            break;
        }
        for (schema, table) in found {
            // Safe: names quoted by `sql::ident`.
            let alter = AssertSqlSafe(format!(
                "alter table {} set logged",
                ident::quote_qualified(&schema, &table)
            ));
            sqlx::raw_sql(alter)
                .execute(&mut session.conn)
                .await
                .context("making tables logged")?;
            done.push(format!("{schema}.{table}"));
        }
    }
    session.close().await;
    Ok(done)
}

/// Tables whose own owner is held to their policies.
async fn forced_policies(admin: &mut Admin) -> anyhow::Result<Vec<String>> {
    let tables = sqlx::query_scalar(
        "select n.nspname || '.' || c.relname
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relrowsecurity and c.relforcerowsecurity order by 1",
    )
    .fetch_all(&mut admin.conn)
    .await?;
    Ok(tables)
}

/// Schema, relation, kind, pages, and numbers and names of columns.
type InventoryRow = (String, String, String, i32, Vec<i16>, Vec<String>);

/// Every relation that can have statistics, with its columns. Pages are as VACUUM has just counted them.
async fn take_inventory(admin: &mut Admin) -> anyhow::Result<Inventory> {
    let rows: Vec<InventoryRow> = sqlx::query_as(
        "select n.nspname::text, c.relname::text, c.relkind::text, c.relpages,
                coalesce(pg_catalog.array_agg(a.attnum order by a.attnum) filter (where a.attnum is not null), '{}'),
                coalesce(pg_catalog.array_agg(a.attname::text order by a.attnum) filter (where a.attnum is not null), '{}')
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'm', 'p', 'f', 'i', 'I') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
         group by n.nspname, c.oid
         order by n.nspname, c.relname",
    )
    .fetch_all(&mut admin.conn)
    .await?;
    let relations = rows
        .into_iter()
        .map(|(schema, relation, kind, pages, numbers, names)| InventoryRelation {
            schema,
            relation,
            kind,
            pages: pages.into(),
            columns: numbers
                .into_iter()
                .zip(names)
                .map(|(number, name)| InventoryColumn { number, name })
                .collect(),
        });
    Ok(Inventory {
        relations: relations.collect(),
    })
}

/// Counted as the dataset's own role: a superuser never names a table of the user's in a query.
async fn count_tables(address: &Address, name: &str) -> anyhow::Result<Vec<Table>> {
    let mut session = Session::connect(address, name, "pgassay count", &[]).await?;
    let found: Vec<(String, String, i64, i64, bool)> = sqlx::query_as(
        "select n.nspname::text, c.relname::text, pg_catalog.pg_total_relation_size(c.oid),
                (select count(*) from pg_catalog.pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), c.relispopulated
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and pg_catalog.pg_has_role(c.relowner, 'usage')
         order by 1, 2",
    )
    .persistent(false)
    .fetch_all(&mut session.conn)
    .await
    .context("listing tables")?;
    let mut tables = Vec::new();
    for (schema_name, table_name, size_bytes, n_columns, is_populated) in found {
        // Safe: names quoted by `sql::ident`.
        let sql = AssertSqlSafe(format!(
            "select count(*) from only {}",
            ident::quote_qualified(&schema_name, &table_name)
        ));
        // A materialised view without data refuses to be read.
        let counted: sqlx::Result<i64> = if is_populated {
            sqlx::query_scalar(sql)
                .persistent(false)
                .fetch_one(&mut session.conn)
                .await
        } else {
            Ok(0)
        };
        let n_rows = counted.with_context(|| format!("counting the rows of {schema_name}.{table_name}"))?;
        tables.push(Table {
            schema_name,
            table_name,
            n_rows: u64::try_from(n_rows).unwrap_or(0),
            size_bytes: u64::try_from(size_bytes).unwrap_or(0),
            n_columns: u32::try_from(n_columns).unwrap_or(0),
        });
    }
    session.close().await;
    Ok(tables)
}
