//! Runs a dump's statements over the wire, as the dataset's own role, and says by line what was left out or failed.

mod copy;
mod indexes;
mod sending;

use std::sync::Arc;

use tokio::sync::watch;

use crate::dataset::batch::Batch;
use crate::dataset::error::RestoreError;
use crate::dataset::error::Wanting;
use crate::dataset::extensions;
use crate::dataset::log::Outcome;
use crate::dataset::pieces::Pieces;
use crate::dataset::psql;
use crate::dataset::settings;
use crate::model::dataset::RestoreNoteKind;
use crate::model::ids::DatasetId;
use crate::model::text::shorten;
use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::dump::NewDatabase;
use crate::sql::dump::SkipReason;
use crate::sql::dump::Transaction;
use crate::sql::split::Piece;
use crate::sql::split::PsqlLine;
use crate::sql::split::Statement;
use crate::target::session::Address;
use crate::target::session::Session;

/// What a restore has done so far, told while it runs.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub n_rows: u64,
    /// The table or statement in hand.
    pub detail: String,
}

/// Restores one dump.
pub struct Restore<'a> {
    pub address: &'a Address,
    dataset_id: DatasetId,
    /// Opened with the first statement, when it is known what database the dump wants.
    session: Option<Session>,
    wanted: Option<NewDatabase>,
    /// The one database that the dump names.
    database: Option<String>,
    batch: Batch,
    /// Whether anything of the dump is to run in its database.
    has_statements: bool,
    n_succeeded: usize,
    wanting: Wanting,
    in_transaction: bool,
    done: Done,
    pub outcome: Outcome,
    tell: watch::Sender<Done>,
}

impl<'a> Restore<'a> {
    /// `tell` always holds how far it is.
    pub fn new(address: &'a Address, dataset_id: DatasetId, tell: watch::Sender<Done>) -> Self {
        Self {
            address,
            dataset_id,
            session: None,
            wanted: None,
            database: None,
            batch: Batch::default(),
            has_statements: false,
            n_succeeded: 0,
            wanting: Wanting::default(),
            in_transaction: false,
            done: Done::default(),
            outcome: Outcome::default(),
            tell,
        }
    }

    /// Runs everything. Afterwards the database holds what the dump holds, and no session is open.
    pub async fn run(&mut self, pieces: &mut Pieces) -> Result<(), RestoreError> {
        self.wanting.made_from = pieces.made_from();
        while let Some(piece) = pieces.next().await? {
            match piece {
                Piece::Statement(statement) => self.take(statement, pieces).await?,
                Piece::CopyStart(statement) => self.copy(statement, pieces).await?,
                Piece::PsqlLine(line) => self.psql_line(line, pieces.transcoder().name())?,
                Piece::CopyData(_) | Piece::CopyEnd { .. } => {
                    return Err(anyhow::anyhow!("COPY data without its COPY").into());
                }
            }
            self.tell();
        }
        self.flush().await?;
        if self.in_transaction {
            return Err(RestoreError::Sentence(
                "The file leaves a transaction open: its COMMIT is missing.".to_owned(),
            ));
        }
        if !self.outcome.statistics.is_empty() && !self.has_statements {
            return Err(RestoreError::Sentence(
                "The file holds planner statistics and no tables. Upload a dump with tables, and on the page of that \
                 dataset this file for it."
                    .to_owned(),
            ));
        }
        if self.n_succeeded == 0 {
            return Err(self.nothing_worked());
        }
        self.outcome.close();
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        Ok(())
    }

    async fn take(&mut self, statement: Statement, pieces: &Pieces) -> Result<(), RestoreError> {
        let meaning = dump::read(&statement.text);
        match &meaning {
            DumpStatement::ClientEncoding(name) => {
                let is_same = name.eq_ignore_ascii_case(pieces.transcoder().name());
                if !is_same {
                    return Err(RestoreError::Sentence(format!(
                        "client_encoding changes to {name} in line {}; a dump in one encoding is needed.",
                        statement.line
                    )));
                }
            }
            DumpStatement::CreateDatabase(wanted) => {
                self.name_database(&wanted.name, statement.line)?;
                if !self.has_statements {
                    // What ran so far were settings, which the `\connect` that follows takes back in psql, too.
                    self.batch.take();
                    if let Some(session) = self.session.take() {
                        session.close().await;
                    }
                    self.wanted = Some(wanted.clone());
                }
                self.skip(&statement, "the dataset has a database of its own".to_owned());
            }
            DumpStatement::DropDatabase { name } => {
                self.name_database(name, statement.line)?;
                self.skip(&statement, "the dataset has a database of its own".to_owned());
            }
            DumpStatement::AlterDatabaseSet { setting, value_sql, .. }
            | DumpStatement::AlterRoleSet { setting, value_sql, .. } => self.setting(&statement, setting, value_sql),
            DumpStatement::AlterDatabaseOther { .. } => {
                self.skip(
                    &statement,
                    "limits and options of the database are not restored".to_owned(),
                );
            }
            DumpStatement::ImportedStatistics => {
                if self.outcome.statistics.is_empty() {
                    self.skip(
                        &statement,
                        "planner statistics in a dump are not put in force: the source imported does that".to_owned(),
                    );
                }
                self.outcome.statistics.add(&statement);
            }
            // Every pg_dump says this, and it asks for what is done anyway.
            DumpStatement::Skip(SkipReason::Tablespaces) if statement.text.trim_end().ends_with("= ''") => {}
            DumpStatement::Skip(reason) => self.skip(&statement, reason.to_string()),
            DumpStatement::CreateExtension { name } if !extensions::is_allowed(name) => {
                self.wanting.extensions.push(name.clone());
                self.skip(
                    &statement,
                    format!("the extension {name} is not available in a sandbox"),
                );
            }
            DumpStatement::Transaction(transaction) => self.transaction(&statement, *transaction).await?,
            DumpStatement::Joined => return Err(joined(&statement)),
            DumpStatement::StandardConformingStrings(_)
            | DumpStatement::Setting { .. }
            | DumpStatement::Tolerated
            | DumpStatement::CreateExtension { .. }
            | DumpStatement::Essential { .. }
            | DumpStatement::CopyFromStdin { .. }
            | DumpStatement::Ordinary => {
                if self.batch.must_go_before(&statement) {
                    self.flush().await?;
                }
                // pg_dumpall sets a few things before it goes to template1.
                let is_setting = matches!(
                    meaning,
                    DumpStatement::Setting { .. } | DumpStatement::StandardConformingStrings(_)
                );
                self.has_statements |= !is_setting;
                self.batch.push(statement, meaning);
            }
        }
        Ok(())
    }

    /// A dump may name one database, as often as it likes.
    fn name_database(&mut self, name: &str, line: u64) -> Result<(), RestoreError> {
        match &self.database {
            Some(known) if known != name => Err(RestoreError::SecondDatabase {
                first: known.clone(),
                name: name.to_owned(),
                line,
            }),
            Some(_) => Ok(()),
            None => {
                self.database = Some(name.to_owned());
                Ok(())
            }
        }
    }

    fn psql_line(&mut self, line: PsqlLine, encoding: &str) -> Result<(), RestoreError> {
        let PsqlLine { command, args, line } = line;
        let is_key = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        match command.as_str() {
            "restrict" | "unrestrict" if is_key(&args) => Ok(()),
            "connect" | "c" => match psql::connect_name(&args) {
                // pg_dumpall begins in template1 and has nothing there.
                Some(name) if matches!(name.as_str(), "template1" | "postgres") && !self.has_statements => Ok(()),
                Some(name) => self.name_database(&name, line),
                None => Err(RestoreError::PsqlCommand { command, line }),
            },
            "encoding" if psql::is_encoding(&args, encoding) => Ok(()),
            // A backquote would run a program, a double backslash begins another command or a statement.
            "echo" | "set" if args.contains(['`', '\\']) => Err(RestoreError::PsqlCommand { command, line }),
            "echo" => Ok(()),
            "set" if args.starts_with("ON_ERROR_STOP") => Ok(()),
            _ => Err(RestoreError::PsqlCommand { command, line }),
        }
    }

    fn setting(&mut self, statement: &Statement, name: &str, value_sql: &str) {
        match settings::taken_over(name, value_sql) {
            Some(setting) => {
                self.outcome.note(
                    RestoreNoteKind::Note,
                    statement,
                    "taken over for every session of this dataset".to_owned(),
                );
                self.outcome.settings.retain(|other| other.name != setting.name);
                self.outcome.settings.push(setting);
            }
            None => self.skip(
                statement,
                "settings that do not concern plans are not restored".to_owned(),
            ),
        }
    }

    async fn transaction(&mut self, statement: &Statement, transaction: Transaction) -> Result<(), RestoreError> {
        if transaction == Transaction::TwoPhase {
            self.skip(statement, "two-phase commits are not run".to_owned());
            return Ok(());
        }
        self.flush().await?;
        if let Err(error) = self.send(Arc::new(statement.text.clone())).await? {
            return Err(RestoreError::Statement {
                what: first_words(&statement.text),
                line: statement.line,
                error,
            });
        }
        match transaction {
            Transaction::Begin | Transaction::Chain => self.in_transaction = true,
            Transaction::Commit | Transaction::Rollback => self.in_transaction = false,
            Transaction::Savepoint | Transaction::Release | Transaction::RollbackTo | Transaction::TwoPhase => {}
        }
        Ok(())
    }

    /// Why a file whose every statement failed is no dump.
    fn nothing_worked(&self) -> RestoreError {
        let failed = self
            .outcome
            .notes
            .iter()
            .find(|note| note.kind == RestoreNoteKind::Failed);
        RestoreError::Sentence(match failed {
            Some(note) => format!(
                "Nothing in the file could be restored. The first statement, in line {}: {}.",
                note.line, note.reason
            ),
            None => "Nothing in the file can be restored into a dataset.".to_owned(),
        })
    }

    fn tell(&self) {
        self.tell.send_replace(self.done.clone());
    }

    fn skip(&mut self, statement: &Statement, reason: String) {
        self.outcome.note(RestoreNoteKind::Skipped, statement, reason);
    }
}

fn joined(statement: &Statement) -> RestoreError {
    RestoreError::PsqlCommand {
        command: ";".to_owned(),
        line: statement.line,
    }
}

/// The beginning of a statement, for people.
fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    shorten(&words.join(" "), 60)
}
