//! `stale`: statistics from when only the first part of the rows was there.
//!
//! They are gathered in a scratch clone in which the later rows are deleted, and written from there into the experiment's
//! clone, which keeps all rows.

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use sqlx::AssertSqlSafe;
use sqlx::PgConnection;

use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::Snapshot;
use crate::model::units::grouped;
use crate::snapshot;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace;
use crate::source::workplace::Workplace;
use crate::sql::ident;
use crate::target::clone;
use crate::target::session::Admin;
use crate::target::session::Session;

pub struct Stale;

impl StatsSource for Stale {
    fn name(&self) -> &'static str {
        "stale"
    }

    fn group(&self) -> Group {
        Group::Failing
    }

    fn title(&self) -> &'static str {
        "Stale"
    }

    fn about(&self) -> &'static str {
        "As after an ANALYZE that ran when only the first rows of every table were there, in the order in which they are \
         stored. The planner sees how large the files are today, so it is common values, ranges and distinct counts that \
         are out of date."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[Parameter {
            name: "fraction",
            label: "Rows there (%)",
            about: "How much of every table was there when it was analyzed last, 1 to 99.",
            default: "50",
            kind: ParameterKind::Integer { min: 1, max: 99 },
        }]
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let percent: i64 = params.get("fraction").context("a fraction")?.parse()?;
            let (past, mut notes) = of_the_past(place, percent).await?;
            let left_out = snapshot::apply::apply(place.admin, place.session, place.lot, &past).await?;
            notes.extend(
                left_out
                    .into_iter()
                    .map(|left_out| workplace::note(left_out, "has no statistics at all here")),
            );
            Ok(notes)
        })
    }
}

/// A scan alone brings rows in the order in which they are stored: one worker, from the first page.
const IN_STORED_ORDER: [&str; 2] = ["max_parallel_workers_per_gather = 0", "synchronize_seqscans = off"];

/// The statistics of a clone that has lost its later rows, and what should be known about them. The clone is gone when this
/// returns.
async fn of_the_past(place: &Workplace<'_>, percent: i64) -> anyhow::Result<(Snapshot, Vec<SourceNote>)> {
    let (sandbox, name) = (place.sandbox, place.scratch_name);
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    let template = clone::template_name(sandbox.tenant);
    clone::create(&mut server, &sandbox.room, &template, name).await?;
    let mut session = Session::connect(&sandbox.address, name, "pgassay prepare", place.settings).await?;
    for setting in IN_STORED_ORDER {
        run(&mut session.conn, format!("set {setting}")).await?;
    }
    let notes = forget_later_rows(&mut session.conn, percent).await?;
    vacuum(&mut session.conn).await?;
    analyze::analyze_all(&mut session.conn).await?;
    session.close().await;
    let mut admin = Admin::connect(&sandbox.address, name).await?;
    let past = snapshot::capture::capture(&mut admin).await?;
    admin.close().await;
    clone::drop(&mut server, name).await?;
    server.close().await;
    Ok((past, notes))
}

/// A table or materialised view of the role's own.
#[derive(sqlx::FromRow)]
struct Relation {
    schema: String,
    name: String,
    /// `r`, `p`, `m` or `f`.
    kind: String,
    /// Whether it is a partition.
    is_partition: bool,
}

impl Relation {
    fn quoted(&self) -> String {
        ident::quote_qualified(&self.schema, &self.name)
    }

    fn note(&self, what: &str) -> SourceNote {
        SourceNote {
            about: format!("{}.{}", self.schema, self.name),
            what: what.to_owned(),
            change: None,
        }
    }
}

async fn forget_later_rows(conn: &mut PgConnection, percent: i64) -> anyhow::Result<Vec<SourceNote>> {
    let relations: Vec<Relation> = sqlx::query_as(
        "select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
                c.relispartition as is_partition
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and pg_catalog.pg_has_role(c.relowner, 'usage')
         order by 1, 2",
    )
    .persistent(false)
    .fetch_all(&mut *conn)
    .await?;
    for statement in unhindering(conn).await? {
        run(conn, statement)
            .await
            .context("clearing the way for deleting rows")?;
    }
    let mut notes = Vec::new();
    for relation in &relations {
        match relation.kind.as_str() {
            "r" => {
                let (before, after) = cut(conn, relation, percent)
                    .await
                    .with_context(|| format!("deleting the later rows of {}", relation.name))?;
                if before == after {
                    notes.push(relation.note("too few rows to leave any out"));
                } else {
                    notes.push(SourceNote {
                        change: Some((grouped(before), grouped(after))),
                        ..relation.note("rows that ANALYZE saw")
                    });
                }
            }
            "p" if !relation.is_partition => {
                notes.push(relation.note("partitioned: each of its partitions had its own first rows"));
            }
            "m" => notes.push(relation.note("a materialized view: it was whole, as its rows cannot be deleted")),
            "f" => notes.push(relation.note("a foreign table: it was whole, as its rows are elsewhere")),
            _ => {}
        }
    }
    Ok(notes)
}

/// What takes away whatever would refuse a DELETE, follow it, or hide rows from it.
async fn unhindering(conn: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found: Vec<(String, String, String, String)> = sqlx::query_as(
        "with own as (
             select c.oid, n.nspname::text as schema, c.relname::text as name, c.relforcerowsecurity
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
               and pg_catalog.pg_has_role(c.relowner, 'usage')
         )
         select 'key', schema, name, f.conname::text
         from own join pg_catalog.pg_constraint f on f.conrelid = own.oid
         where f.contype = 'f' and f.conparentid = 0
         union all
         select 'rule', schema, name, r.rulename::text
         from own join pg_catalog.pg_rewrite r on r.ev_class = own.oid
         union all
         select 'triggers', schema, name, '' from own
         where exists (select from pg_catalog.pg_trigger t where t.tgrelid = own.oid and not t.tgisinternal)
         union all
         select 'policies', schema, name, '' from own where relforcerowsecurity
         order by 1, 2, 3, 4",
    )
    .persistent(false)
    .fetch_all(conn)
    .await?;
    let statements = found.into_iter().map(|(what, schema, table, name)| {
        let (table, name) = (ident::quote_qualified(&schema, &table), ident::quote(&name));
        match what.as_str() {
            "key" => format!("alter table {table} drop constraint {name}"),
            "rule" => format!("alter table {table} disable rule {name}"),
            "triggers" => format!("alter table {table} disable trigger user"),
            _ => format!("alter table {table} no force row level security"),
        }
    });
    Ok(statements.collect())
}

/// Deletes the rows behind the first `percent` of a table, and says how many there were and are.
async fn cut(conn: &mut PgConnection, relation: &Relation, percent: i64) -> anyhow::Result<(u64, u64)> {
    let table = relation.quoted();
    // Safe: names quoted by `sql::ident`.
    let count = AssertSqlSafe(format!("select count(*) from only {table}"));
    let n_rows: i64 = sqlx::query_scalar(count)
        .persistent(false)
        .fetch_one(&mut *conn)
        .await?;
    // Of a table with rows one stays: statistics of an empty one are none at all.
    let n_kept = ((i128::from(n_rows) * i128::from(percent) + 50) / 100).max(1);
    let n_kept = i64::try_from(n_kept)?.min(n_rows);
    if n_kept < n_rows {
        let delete =
            format!("delete from only {table} where ctid >= (select ctid from only {table} offset {n_kept} limit 1)");
        run(conn, delete).await?;
    }
    Ok((n_rows.unsigned_abs(), n_kept.unsigned_abs()))
}

/// Gives the room of the deleted rows back, so that the tables are as large as they were.
async fn vacuum(conn: &mut PgConnection) -> anyhow::Result<()> {
    let tables = analyze::own_tables(conn).await?;
    if tables.is_empty() {
        return Ok(());
    }
    let vacuum = format!("vacuum {}", tables.join(", "));
    run(conn, vacuum).await.context("vacuuming")
}

async fn run(conn: &mut PgConnection, sql: String) -> sqlx::Result<()> {
    // Safe: built from constants and from names quoted by `sql::ident`.
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
