//! How a dump's statements reach the server: many in one message, one by one when that fails, and what a refusal means for
//! the restore.

use std::sync::Arc;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;

use super::Restore;
use super::first_words;
use crate::dataset::error::RestoreError;
use crate::dataset::error::is_about_the_machine;
use crate::dataset::error::refusal;
use crate::dataset::lines::is_insert;
use crate::dataset::template;
use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Setting;
use crate::sql::dump::DumpStatement;
use crate::sql::split::Statement;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::session::Session;

/// How a restore's session differs from others. A crash makes the restore begin again, so its commits need not wait for
/// the disk; and indexes are sorted in memory, where the default of 64 MB, shared by two workers, would go to files.
const SESSION: [(&str, &str); 2] = [("synchronous_commit", "off"), ("maintenance_work_mem", "256MB")];

impl Restore<'_> {
    /// Sends what has gathered. When the message fails, its statements are sent again one by one to find the culprit:
    /// outside a transaction the server has undone the whole message, inside one our savepoint does.
    pub(super) async fn flush(&mut self) -> Result<(), RestoreError> {
        let batch = self.batch.take();
        let Some((first, _)) = batch.first() else { return Ok(()) };
        self.done.detail = first_words(&first.text);
        self.tell();
        if let Some(builds) = self.builds_apart(&batch)
            && self.are_on_plain_tables(&builds).await?
            && let Some(second) = self.second_session().await?
        {
            return self.build(batch, builds, second).await;
        }
        if batch.len() > 1 {
            let texts: Vec<&str> = batch.iter().map(|(statement, _)| statement.text.as_str()).collect();
            let message = Arc::new(self.guarded(&texts.join(";\n")));
            if self.send(message).await?.is_ok() {
                self.n_succeeded += texts.len();
                self.done.n_rows += texts.iter().filter(|text| is_insert(text)).count() as u64;
                return Ok(());
            }
            self.undo().await?;
        }
        for (statement, meaning) in batch {
            self.run_alone(statement, meaning).await?;
        }
        Ok(())
    }

    pub(super) async fn run_alone(&mut self, statement: Statement, meaning: DumpStatement) -> Result<(), RestoreError> {
        // Shared rather than copied: a statement may have 64 MiB.
        let text = Arc::new(statement.text);
        let message = if self.in_transaction {
            Arc::new(self.guarded(&text))
        } else {
            Arc::clone(&text)
        };
        let sent = self.send(message).await?;
        let statement = Statement {
            text: Arc::unwrap_or_clone(text),
            line: statement.line,
        };
        if let Err(error) = sent {
            self.undo().await?;
            return self.judge(&statement, meaning, error);
        }
        self.n_succeeded += 1;
        self.done.n_rows += u64::from(is_insert(&statement.text));
        Ok(())
    }

    /// Inside the dump's own transaction a failure must not undo what came before.
    fn guarded(&self, text: &str) -> String {
        if self.in_transaction {
            format!("savepoint pgassay_restore;\n{text};\nrelease savepoint pgassay_restore")
        } else {
            text.to_owned()
        }
    }

    async fn undo(&mut self) -> Result<(), RestoreError> {
        if self.in_transaction
            && let Err(error) = self
                .send(Arc::new("rollback to savepoint pgassay_restore".to_owned()))
                .await?
        {
            return Err(anyhow::anyhow!("the dump's transaction is lost: {error}").into());
        }
        Ok(())
    }

    /// What a failed statement means for the restore.
    fn judge(&mut self, statement: &Statement, meaning: DumpStatement, error: ServerError) -> Result<(), RestoreError> {
        match meaning {
            // The dump is not to blame, and what is missing now would be missing for good.
            _ if is_about_the_machine(&error) => Err(RestoreError::Statement {
                what: first_words(&statement.text),
                line: statement.line,
                error,
            }),
            DumpStatement::Essential { what } => Err(RestoreError::Statement {
                what,
                line: statement.line,
                error: self.wanting.explain(error),
            }),
            DumpStatement::Setting { .. } | DumpStatement::StandardConformingStrings(_) => {
                self.skip(statement, format!("this server refuses the setting: {error}"));
                Ok(())
            }
            DumpStatement::Tolerated => {
                self.outcome
                    .note(RestoreNoteKind::Note, statement, format!("nothing to do: {error}"));
                Ok(())
            }
            _ => {
                if statement.text.to_ascii_lowercase().contains("disable trigger") {
                    self.wanting.keeps_triggers.get_or_insert(statement.line);
                }
                self.outcome.note(RestoreNoteKind::Failed, statement, error.to_string());
                Ok(())
            }
        }
    }

    /// The outer error is a lost server, the inner one the server's refusal.
    pub(super) async fn send(&mut self, sql: Arc<String>) -> Result<Result<(), ServerError>, RestoreError> {
        let session = self.session().await?;
        // Not ours: statements of a dump, under the dataset's restricted role.
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session.conn).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => refusal(error).map(Err),
        }
    }

    pub(super) async fn session(&mut self) -> Result<&mut Session, RestoreError> {
        if self.session.is_none() {
            if let Some(reason) = template::create(self.address, self.dataset_id, self.wanted.as_ref()).await? {
                self.outcome.remark(reason);
            }
            let name = clone::template_name(self.dataset_id);
            let settings = SESSION.map(|(name, value)| Setting {
                name: name.to_owned(),
                value: value.to_owned(),
            });
            let session = Session::connect(self.address, &name, "pgassay restore", &settings).await?;
            self.wanting.server = session.conn.server_version_num().map(|number| number / 10_000);
            self.session = Some(session);
        }
        Ok(self.session.as_mut().context("a session that was just opened")?)
    }
}
