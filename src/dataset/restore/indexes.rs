//! Builds indexes of different tables over two sessions. What is built, and what the log says of what could not be, is as
//! if one had built them in order.

use std::collections::HashSet;
use std::sync::Mutex;

use sqlx::AssertSqlSafe;
use sqlx::PgConnection;
use tracing::warn;

use crate::dataset::error::RestoreError;
use crate::dataset::error::refusal;
use crate::model::dataset::Setting;
use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::dump::IndexBuild;
use crate::sql::ident;
use crate::sql::split::Statement;
use crate::target::clone;
use crate::target::session::Session;

use super::Restore;

/// A dump of fewer rows is done before a second session is open.
const LEAST_ROWS: u64 = 100_000;

impl Restore<'_> {
    /// What a batch builds, when two sessions do that sooner than one. Of two indexes of one name in a schema the later is
    /// refused; which is the later must not be left to chance.
    pub(super) fn builds_apart(&self, batch: &[(Statement, DumpStatement)]) -> Option<Vec<IndexBuild>> {
        if self.in_transaction || self.done.n_rows < LEAST_ROWS {
            return None;
        }
        let builds: Vec<IndexBuild> = batch
            .iter()
            .map(|(statement, _)| dump::read_index_build(&statement.text))
            .collect::<Option<_>>()?;
        let tables: HashSet<_> = builds.iter().map(|build| (&build.schema, &build.table)).collect();
        let names: HashSet<_> = builds.iter().map(|build| (&build.schema, &build.index)).collect();
        (tables.len() > 1 && names.len() == builds.len()).then_some(builds)
    }

    /// Builds them. One that is refused is sent again at the end, to be judged as any other statement.
    pub(super) async fn build(
        &mut self,
        batch: Vec<(Statement, DumpStatement)>,
        builds: Vec<IndexBuild>,
        mut second: Session,
    ) -> Result<(), RestoreError> {
        let first = self.session().await?;
        let todo = Mutex::new(Todo::new(builds));
        let mut refused = {
            let (mut refused, others) = tokio::try_join!(
                build_some(&mut first.conn, &batch, &todo),
                build_some(&mut second.conn, &batch, &todo)
            )?;
            refused.extend(others);
            refused
        };
        second.close().await;
        self.n_succeeded += batch.len() - refused.len();
        for (idx, (statement, meaning)) in batch.into_iter().enumerate() {
            if refused.remove(&idx) {
                self.run_alone(statement, meaning).await?;
            }
        }
        Ok(())
    }

    /// Whether none of the tables is partitioned: an index of such a one also makes or takes up indexes of others.
    pub(super) async fn are_on_plain_tables(&mut self, builds: &[IndexBuild]) -> Result<bool, RestoreError> {
        let names: Vec<String> = builds
            .iter()
            .map(|build| ident::quote_qualified(&build.schema, &build.table))
            .map(|name| format!("pg_catalog.to_regclass({})", ident::literal(&name)))
            .collect();
        // Safe: names are literals.
        let asked = AssertSqlSafe(format!(
            "select 1 from pg_catalog.pg_class where relkind <> 'r' and oid in ({}) limit 1",
            names.join(", ")
        ));
        match sqlx::raw_sql(asked)
            .fetch_optional(&mut self.session().await?.conn)
            .await
        {
            Ok(found) => Ok(found.is_none()),
            Err(error) => refusal(error).map(|_| false),
        }
    }

    /// A session with the settings that the dump has given to the first; none where they cannot be had.
    pub(super) async fn second_session(&mut self) -> Result<Option<Session>, RestoreError> {
        let first = self.session().await?;
        let asked: sqlx::Result<Vec<(String, String)>> =
            sqlx::query_as("select name, setting from pg_catalog.pg_settings where source = 'session'")
                .persistent(false)
                .fetch_all(&mut first.conn)
                .await;
        let settings: Vec<Setting> = match asked {
            Ok(settings) => settings
                .into_iter()
                .map(|(name, value)| Setting { name, value })
                .collect(),
            Err(error) => return refusal(error).map(|_| None),
        };
        let name = clone::template_name(self.dataset_id);
        match Session::connect(self.address, &name, "pgassay restore", &settings).await {
            Ok(session) => Ok(Some(session)),
            Err(error) => {
                // If the server is lost, the first session says so next.
                warn!("Indexes are built over one session, because there is no second: {error}");
                Ok(None)
            }
        }
    }
}

/// What two sessions have before them.
struct Todo {
    /// By their places in the batch, in order.
    waiting: Vec<(usize, IndexBuild)>,
    /// The tables that are being worked on, by schema and name.
    busy: Vec<(String, String)>,
}

impl Todo {
    fn new(builds: Vec<IndexBuild>) -> Self {
        Self {
            waiting: builds.into_iter().enumerate().collect(),
            busy: Vec::new(),
        }
    }

    /// The first whose table nobody works on. When there is none, whatever waits belongs to the other session's table, and
    /// will until the end.
    fn next(&mut self) -> Option<(usize, IndexBuild)> {
        let is_free = |(_, build): &(usize, IndexBuild)| {
            !self
                .busy
                .iter()
                .any(|(schema, table)| *schema == build.schema && *table == build.table)
        };
        let position = self.waiting.iter().position(is_free)?;
        let (idx, build) = self.waiting.remove(position);
        self.busy.push((build.schema.clone(), build.table.clone()));
        Some((idx, build))
    }

    fn done(&mut self, build: &IndexBuild) {
        self.busy
            .retain(|(schema, table)| *schema != build.schema || *table != build.table);
    }
}

/// What one session does of it. Returns the places of what the server refused.
async fn build_some(
    conn: &mut PgConnection,
    batch: &[(Statement, DumpStatement)],
    todo: &Mutex<Todo>,
) -> Result<HashSet<usize>, RestoreError> {
    let lock = || todo.lock().expect("nobody panics with it");
    let mut refused = HashSet::new();
    while let Some((idx, build)) = { lock().next() } {
        // Not ours: a statement of the dump, under the dataset's restricted role.
        let text = AssertSqlSafe(batch[idx].0.text.clone());
        if let Err(error) = sqlx::raw_sql(text).execute(&mut *conn).await {
            refusal(error)?;
            refused.insert(idx);
        }
        lock().done(&build);
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_table_is_worked_on_twice_at_a_time_and_its_indexes_keep_their_order() {
        let builds = ["a", "a", "b", "a", "c"].map(|table| IndexBuild {
            schema: "s".to_owned(),
            table: table.to_owned(),
            index: String::new(),
        });
        let mut todo = Todo::new(builds.into());
        let mut next = |done: Option<&IndexBuild>| {
            if let Some(done) = done {
                todo.done(done);
            }
            todo.next()
        };
        let (_, a) = next(None).unwrap();
        let (idx, b) = next(None).unwrap();
        assert_eq!(idx, 2);
        let (idx, c) = next(Some(&b)).unwrap();
        assert_eq!(idx, 4);
        assert_eq!(next(Some(&c)), None);
        assert_eq!(next(Some(&a)).unwrap().0, 1);
        assert_eq!(next(Some(&a)).unwrap().0, 3);
        assert_eq!(next(Some(&a)), None);
    }
}
