//! Gets the planner statistics out of a server that somebody else runs, without being its superuser.
//!
//! What is read are catalogs; no table is locked, and nothing is written.

use std::collections::HashMap;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use crate::model::statistics_file::FileColumn;
use crate::model::statistics_file::StatisticsFile;

/// The one statement that does it, for people to run themselves as well.
pub const SQL: &str = include_str!("export.sql");

/// From this version on the view `pg_stats` has the histograms of ranges.
const SHOWS_RANGES: u32 = 170_000;

/// Reads the statistics of the database at `options` that its role may see, and says in the value what it may not.
pub async fn export(options: PgConnectOptions) -> anyhow::Result<StatisticsFile> {
    // Without what a connection pooler in between would not pass on.
    let options = options
        .application_name("pgassay snapshot export")
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        .disable_statement_logging();
    let mut conn = options.connect().await.context("connecting")?;
    // Settings go with the transaction: the session may be a pooler's, and somebody else's next.
    let mut transaction = conn.begin_with("begin transaction read only").await?;
    sqlx::raw_sql("set local statement_timeout = '120s'; set local search_path = pg_catalog")
        .execute(&mut *transaction)
        .await?;
    let text: String = sqlx::query_scalar(AssertSqlSafe(as_text()))
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .context("reading the statistics")?;
    let mut file: StatisticsFile = serde_json::from_str(&text).context("reading what the server answered")?;
    if file.server_version_num.is_some_and(|version| version < SHOWS_RANGES) {
        add_ranges(&mut transaction, &mut file)
            .await
            .context("reading the histograms of ranges")?;
    }
    transaction.rollback().await?;
    conn.close().await?;
    Ok(file)
}

/// The statement with its value as text, so that no driver makes something else of it.
fn as_text() -> String {
    let sql = SQL.trim_end().trim_end_matches(';');
    format!("select answer.value::text from ({sql}) as answer (value)")
}

/// The slots of a column of ranges: schema, table, column, inheritance, kind, numbers, values.
type RangeRow = (String, String, String, bool, i16, Option<String>, Option<String>);

/// Of older servers a superuser can read them where the view takes them from. In the transaction of [`SQL`], whose formats
/// are in force to its end.
async fn add_ranges(conn: &mut PgConnection, file: &mut StatisticsFile) -> anyhow::Result<()> {
    let may: bool = sqlx::query_scalar("select pg_catalog.has_table_privilege('pg_catalog.pg_statistic', 'select')")
        .persistent(false)
        .fetch_one(&mut *conn)
        .await?;
    if !may {
        return Ok(());
    }
    let rows: Vec<RangeRow> = sqlx::query_as(
        "select n.nspname::text, c.relname::text, a.attname::text, s.stainherit, v.kind, v.numbers, v.\"values\"
         from pg_catalog.pg_statistic s
         join pg_catalog.pg_class c on c.oid = s.starelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = s.starelid and a.attnum = s.staattnum
         cross join lateral (values
             (s.stakind1, s.stanumbers1::text, s.stavalues1::text), (s.stakind2, s.stanumbers2::text, s.stavalues2::text),
             (s.stakind3, s.stanumbers3::text, s.stavalues3::text), (s.stakind4, s.stanumbers4::text, s.stavalues4::text),
             (s.stakind5, s.stanumbers5::text, s.stavalues5::text)) as v (kind, numbers, \"values\")
         where v.kind in (6, 7)",
    )
    .persistent(false)
    .fetch_all(conn)
    .await?;
    let mut columns: HashMap<(String, String, String, bool), &mut FileColumn> = HashMap::new();
    for column in &mut file.columns {
        let name = column.column.clone().unwrap_or_default();
        columns.insert(
            (column.schema.clone(), column.relation.clone(), name, column.inherited),
            column,
        );
    }
    for (schema, relation, name, inherited, kind, numbers, values) in rows {
        let Some(column) = columns.get_mut(&(schema, relation, name, inherited)) else {
            continue;
        };
        if kind == super::apply::RANGE_BOUNDS {
            column.range_bounds_histogram = values;
        } else {
            column.range_length_histogram = values;
            column.range_empty_frac = numbers.map(|list| list.trim_matches(['{', '}']).to_owned());
        }
    }
    file.unseen
        .retain(|unseen| !unseen.reason.starts_with("before PostgreSQL 17"));
    Ok(())
}
