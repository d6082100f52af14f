//! The pristine state of a clone: no statistics, and the targets and sizes that the template has.
//!
//! Every source is prepared from it, so that any order of preparing gives the same targets.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::postgres::types::Oid;

use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::Snapshot;
use crate::snapshot::USER_SCHEMA;
use crate::snapshot::capture;
use crate::snapshot::park::Lot;
use crate::target::session::Admin;

/// What a fresh clone looks like.
pub struct Pristine {
    snapshot: Snapshot,
    targets: Vec<ColumnTarget>,
    /// Of statistics objects, by their ids: those that an experiment made are without one, so that no source fills them
    /// but the one they are for.
    object_targets: Vec<(Oid, Option<i32>)>,
}

impl Pristine {
    /// Remembers the state of a fresh clone.
    pub async fn remember(admin: &mut Admin) -> anyhow::Result<Self> {
        let snapshot = capture::capture(admin).await?;
        anyhow::ensure!(
            snapshot.columns.is_empty() && snapshot.extended.is_empty(),
            "the pristine template holds statistics; restore the dataset again"
        );
        Ok(Self {
            snapshot,
            targets: targets(admin).await?,
            object_targets: sqlx::query_as("select oid, stxstattarget::integer from pg_catalog.pg_statistic_ext")
                .fetch_all(&mut admin.conn)
                .await
                .context("reading the targets of statistics objects")?,
        })
    }

    /// The columns that have a statistics target of their own.
    pub fn targets(&self) -> &[ColumnTarget] {
        &self.targets
    }

    /// Takes the clone back to the pristine state.
    pub async fn reset(&self, admin: &mut Admin, lot: &Lot) -> anyhow::Result<()> {
        lot.clear(admin, &self.snapshot).await?;
        self.reset_targets(admin, &self.targets).await
    }

    /// Gives columns these targets and no others, and statistics objects those that they had.
    pub async fn reset_targets(&self, admin: &mut Admin, targets: &[ColumnTarget]) -> anyhow::Result<()> {
        // Up to version 16 "no target of its own" is -1, from 17 on it is null.
        let no_target = if server_version_num(admin).await? >= 170_000 {
            "null"
        } else {
            "-1"
        };
        let mut transaction = admin.conn.begin().await?;
        // Safe: constants only.
        let forget = AssertSqlSafe(format!(
            "update pg_catalog.pg_attribute a set attstattarget = {no_target}
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where a.attrelid = c.oid and {USER_SCHEMA} and a.attnum > 0 and coalesce(a.attstattarget, -1) >= 0"
        ));
        sqlx::query(forget).persistent(false).execute(&mut *transaction).await?;
        for target in targets {
            sqlx::query(
                "update pg_catalog.pg_attribute a set attstattarget = $4
                 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where a.attrelid = c.oid and n.nspname = $1 and c.relname = $2 and a.attname = $3",
            )
            .bind(&target.schema)
            .bind(&target.table)
            .bind(&target.column)
            .bind(target.target)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        }
        let (ids, targets): (Vec<Oid>, Vec<Option<i32>>) = self.object_targets.iter().copied().unzip();
        sqlx::query(
            "update pg_catalog.pg_statistic_ext e set stxstattarget = was.target
             from rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::integer[])) as was (id, target)
             where e.oid = was.id and e.stxstattarget is distinct from was.target",
        )
        .bind(ids)
        .bind(targets)
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await.context("resetting statistics targets")?;
        Ok(())
    }
}

/// The server's version as a number: 150018.
pub async fn server_version_num(admin: &mut Admin) -> anyhow::Result<i32> {
    let version = sqlx::query_scalar("select pg_catalog.current_setting('server_version_num')::integer")
        .fetch_one(&mut admin.conn)
        .await?;
    Ok(version)
}

/// Every column that has a statistics target of its own, in order of schema, relation, column.
pub async fn targets(admin: &mut Admin) -> anyhow::Result<Vec<ColumnTarget>> {
    // Safe: constants only.
    let sql = AssertSqlSafe(format!(
        "select n.nspname::text, c.relname::text, a.attname::text, a.attstattarget::integer
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMA} and a.attnum > 0 and not a.attisdropped and coalesce(a.attstattarget, -1) >= 0
           and c.relkind in ('r', 'm', 'p', 'f', 'i', 'I')
         order by 1, 2, a.attnum"
    ));
    let rows: Vec<(String, String, String, i32)> = sqlx::query_as(sql).fetch_all(&mut admin.conn).await?;
    let targets = rows.into_iter().map(|(schema, table, column, target)| ColumnTarget {
        schema,
        table,
        column,
        target,
    });
    Ok(targets.collect())
}
