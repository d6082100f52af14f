//! Streams the data of a COPY; into tables that are new with rows frozen, and, on a server of ours, not logged.

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::PgConnection;

use crate::dataset::error::RestoreError;
use crate::dataset::error::refusal;
use crate::dataset::lines::copy_row;
use crate::dataset::lines::count_lines;
use crate::dataset::lines::lines_in;
use crate::dataset::pieces::Pieces;
use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::ident;
use crate::sql::split::Piece;
use crate::sql::split::Statement;
use crate::sql::split::table_of_plain_copy;
use crate::target::ServerError;

use super::Restore;
use super::first_words;
use super::joined;

impl Restore<'_> {
    /// Streams the data of one COPY.
    pub(super) async fn copy(&mut self, statement: Statement, pieces: &mut Pieces) -> Result<(), RestoreError> {
        self.flush().await?;
        let table = match dump::read(&statement.text) {
            DumpStatement::CopyFromStdin { table } => table,
            DumpStatement::Joined => return Err(joined(&statement)),
            _ => first_words(&statement.text),
        };
        if !pieces.transcoder().is_utf8() && statement.text.to_ascii_lowercase().contains("encoding") {
            return Err(RestoreError::Sentence(format!(
                "The COPY in line {} names an encoding of its own beside the file's; that cannot be read here.",
                statement.line
            )));
        }
        let n_rows_before = self.done.n_rows;
        self.done.detail.clone_from(&table);
        let is_long = !pieces.holds_end_of_copy();
        let may_freeze = is_long && !self.in_transaction;
        let conn = &mut self.session().await?.conn;
        let frozen = if may_freeze {
            freeze(conn, &statement.text).await?
        } else {
            None
        };
        let session = self.session.as_mut().context("a session that was just opened")?;
        let wanting = &self.wanting;
        let data_line = statement.line + lines_in(&statement.text);
        let failed = |error: sqlx::Error| match ServerError::of(&error) {
            Some(server) => RestoreError::Statement {
                what: format!("COPY into {table}"),
                line: copy_row(&error).map_or(statement.line, |row| data_line + row),
                error: wanting.explain(server),
            },
            None => RestoreError::Lost(anyhow::Error::new(error).context("copying data")),
        };
        let text = frozen.as_ref().unwrap_or(&statement.text);
        let mut copy = session.conn.copy_in_raw(text).await.map_err(failed)?;
        loop {
            match pieces.next().await? {
                Some(Piece::CopyData(data)) => {
                    self.done.n_rows += count_lines(&data);
                    copy.send(data).await.map_err(failed)?;
                }
                Some(Piece::CopyEnd { n_rows, .. }) => {
                    self.done.n_rows = n_rows_before + n_rows;
                    break;
                }
                _ => return Err(anyhow::anyhow!("COPY data without an end").into()),
            }
            self.tell.send_replace(self.done.clone());
        }
        copy.finish().await.map_err(failed)?;
        if frozen.is_some() {
            sqlx::raw_sql("commit")
                .execute(&mut session.conn)
                .await
                .map_err(failed)?;
        }
        self.n_succeeded += 1;
        Ok(())
    }
}

/// Begins a transaction in which the table of this COPY is made anew, and returns the COPY that may then write frozen
/// rows without a log; the transaction's commit has to follow it. Nothing is begun, and nothing returned, where COPY
/// FREEZE would be refused or where either could be told from a plain COPY: it has to be a table of rows that never held
/// any, without triggers or foreign keys, which are triggers, too, and without functions of the dump in its constraints,
/// generated columns and indexes. These would see the frozen rows while they are being written.
async fn freeze(conn: &mut PgConnection, copy: &str) -> Result<Option<String>, RestoreError> {
    let Some(table) = table_of_plain_copy(copy) else {
        return Ok(None);
    };
    // An open cursor keeps a snapshot, beside which no row may appear frozen.
    let asked = format!(
        "select 1 from pg_catalog.pg_class c
         where c.oid = pg_catalog.to_regclass({}) and c.relkind = 'r' and not c.relhastriggers
           and pg_catalog.pg_relation_size(c.oid) = 0 and not exists (select from pg_catalog.pg_cursors)
           and not exists (
             select from pg_catalog.pg_depend d
             where d.refclassid = 'pg_catalog.pg_proc'::regclass and (d.classid, d.objid) in (
               select 'pg_catalog.pg_constraint'::regclass, oid from pg_catalog.pg_constraint where conrelid = c.oid
               union all
               select 'pg_catalog.pg_attrdef'::regclass, oid from pg_catalog.pg_attrdef where adrelid = c.oid
               union all
               select 'pg_catalog.pg_class'::regclass, indexrelid from pg_catalog.pg_index where indrelid = c.oid))",
        ident::literal(&table)
    );
    // Safe: the name is a literal.
    match sqlx::raw_sql(AssertSqlSafe(asked)).fetch_optional(&mut *conn).await {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(None),
        Err(error) => return refusal(error).map(|_| None),
    }
    // Not ours, but only a name, under the dataset's restricted role.
    let begun = AssertSqlSafe(format!("begin; truncate only {table}"));
    if let Err(error) = sqlx::raw_sql(begun).execute(&mut *conn).await {
        refusal(error)?;
        sqlx::raw_sql("rollback")
            .execute(conn)
            .await
            .context("leaving a table as it is")?;
        return Ok(None);
    }
    Ok(Some(format!("{copy} with (freeze)")))
}
