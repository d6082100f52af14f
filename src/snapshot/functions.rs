//! Writes a snapshot by the server's own functions, as the role that owns the tables, where we are no superuser.
//! PostgreSQL has them since 18; extended statistics have none yet.
//!
//! Up to 18.5 these functions can be made to run code (CVE-2026-16238), so only snapshots of our own making, and of files that
//! `import` has checked, are for them, and in a sandbox they are withheld from the role.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::Snapshot;
use crate::snapshot::USER_RELATION;
use crate::snapshot::USER_SCHEMA;
use crate::snapshot::apply;
use crate::snapshot::apply::LeftOut;
use crate::target::session::Session;

async fn are_there(session: &mut Session) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                        where n.nspname = 'pg_catalog' and p.proname = 'pg_restore_attribute_stats')",
    )
    .persistent(false)
    .fetch_one(&mut session.conn)
    .await?;
    Ok(found)
}

/// Puts `snapshot` in force in place of the live statistics, and returns what could not be applied.
pub(super) async fn restore(session: &mut Session, snapshot: &Snapshot) -> anyhow::Result<Vec<LeftOut>> {
    anyhow::ensure!(
        are_there(session).await?,
        "before PostgreSQL 18 only a superuser may write statistics"
    );
    clear(session).await.context("clearing statistics")?;
    restore_sizes(session, snapshot)
        .await
        .context("writing the sizes of relations")?;
    let mut left_out = Vec::new();
    for column in &snapshot.columns {
        if let Err(reason) = restore_column(session, column).await? {
            left_out.push(LeftOut::column(column, reason));
        }
    }
    for statistics in &snapshot.extended {
        let reason = "only a superuser can write extended statistics on this server".to_owned();
        left_out.push(LeftOut::extended(statistics, reason));
    }
    Ok(left_out)
}

/// Removes the statistics of every column of the role's own relations. The view that lists those that exist hides rows
/// behind policies, so every column is cleared.
async fn clear(session: &mut Session) -> sqlx::Result<()> {
    // Safe: constants only.
    let clear = AssertSqlSafe(format!(
        "select count(pg_catalog.pg_clear_attribute_stats(n.nspname::text, c.relname::text, a.attname::text, i.inherited))
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         cross join (values (false), (true)) as i (inherited)
         where {USER_SCHEMA} and {USER_RELATION} and pg_catalog.pg_has_role(c.relowner, 'usage')"
    ));
    sqlx::query(clear).persistent(false).execute(&mut session.conn).await?;
    Ok(())
}

async fn restore_sizes(session: &mut Session, snapshot: &Snapshot) -> sqlx::Result<()> {
    for relation in &snapshot.relations {
        sqlx::query(
            "select pg_catalog.pg_restore_relation_stats(
                 'schemaname', $1::text, 'relname', $2::text, 'relpages', $3::integer, 'reltuples', $4::text::real,
                 'relallvisible', $5::integer, 'relallfrozen', $6::integer)",
        )
        .bind(&relation.schema)
        .bind(&relation.relation)
        .bind(relation.pages)
        .bind(&relation.tuples)
        .bind(relation.all_visible_pages)
        .bind(relation.all_frozen_pages.unwrap_or(0))
        .persistent(false)
        .execute(&mut session.conn)
        .await?;
    }
    Ok(())
}

/// Writes the statistics of one column that has none. The inner error is the reason why it is left out.
async fn restore_column(session: &mut Session, column: &ColumnStatistics) -> anyhow::Result<Result<(), String>> {
    if let Err(reason) = apply::validate(&column.gathered) {
        return Ok(Err(reason));
    }
    let mut transaction = session.conn.begin().await?;
    let restored = restore_row(&mut transaction, column).await;
    // Where it does not take all, it has warned and left out what it could not use.
    let part = || "the server takes only a part of it".to_owned();
    apply::end(
        transaction,
        restored.map(|is_whole| is_whole.then_some(()).ok_or_else(part)),
    )
    .await
}

/// False when the server did not take all of it.
async fn restore_row(conn: &mut PgConnection, column: &ColumnStatistics) -> sqlx::Result<bool> {
    let slot = |kind: i16| column.gathered.slots.iter().find(|slot| slot.kind == kind);
    let numbers = |kind: i16| slot(kind).and_then(|slot| slot.numbers.as_deref());
    let values = |kind: i16| slot(kind).and_then(|slot| slot.values.as_deref());
    // Of these two kinds the server keeps one number in a list.
    let number = |kind: i16| numbers(kind).map(|list| list.trim_matches(['{', '}']));
    sqlx::query_scalar(
        "select pg_catalog.pg_restore_attribute_stats(
             'schemaname', $1::text, 'relname', $2::text, 'attnum', $3::smallint, 'inherited', $4::boolean,
             'null_frac', $5::text::real, 'avg_width', $6::integer, 'n_distinct', $7::text::real,
             'most_common_vals', $8::text, 'most_common_freqs', $9::text::real[], 'histogram_bounds', $10::text,
             'correlation', $11::text::real, 'most_common_elems', $12::text,
             'most_common_elem_freqs', $13::text::real[], 'elem_count_histogram', $14::text::real[],
             'range_length_histogram', $15::text, 'range_empty_frac', $16::text::real,
             'range_bounds_histogram', $17::text)",
    )
    .bind(&column.schema)
    .bind(&column.relation)
    .bind(column.column_number)
    .bind(column.inherited)
    .bind(&column.gathered.null_fraction)
    .bind(column.gathered.average_width)
    .bind(&column.gathered.n_distinct)
    .bind(values(apply::MOST_COMMON_VALUES))
    .bind(numbers(apply::MOST_COMMON_VALUES))
    .bind(values(apply::HISTOGRAM))
    .bind(number(apply::CORRELATION))
    .bind(values(apply::ELEMENTS))
    .bind(numbers(apply::ELEMENTS))
    .bind(numbers(apply::ELEMENT_COUNTS))
    .bind(values(apply::RANGE_LENGTHS))
    .bind(number(apply::RANGE_LENGTHS))
    .bind(values(apply::RANGE_BOUNDS))
    .persistent(false)
    .fetch_one(conn)
    .await
}
