//! Says what a restore has to do with a statement of a dump: run it, obey it, leave it out, or expect it to fail.
//! It covers what `pg_dump` and `pg_dumpall` of 9.0 to 18 write, with any options. A statement it does not know is ordinary.

mod cursor;
mod database;
mod index;
mod skip;
mod statistics;

use crate::sql::classify::Class;
use crate::sql::classify::Refusal;
use crate::sql::classify::classify;
use crate::sql::lexer::Kind;
use crate::sql::lexer::tokens;
use crate::sql::nesting::Nesting;
use crate::sql::split::Copy;
use crate::sql::split::read_copy;

use cursor::Cursor;

pub use database::NewDatabase;
pub use index::IndexBuild;
pub use index::read as read_index_build;
pub use skip::SkipReason;
pub use statistics::read as read_statistics_call;

/// What a statement of a dump is to a restore. Names are without their quotes, `value_sql` is as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpStatement {
    /// The encoding of the file from here on: to be obeyed, never sent.
    ClientEncoding(String),
    /// Runs like a setting; the splitter has obeyed it already.
    StandardConformingStrings(bool),
    /// Any other SET, RESET or `set_config`: runs, and may fail on a server that does not know the setting.
    Setting {
        name: String,
    },
    CreateDatabase(NewDatabase),
    DropDatabase {
        name: String,
    },
    AlterDatabaseSet {
        database: String,
        setting: String,
        value_sql: String,
    },
    /// `database` is the one of `IN DATABASE`; `role` is `all` for `ALTER ROLE ALL`.
    AlterRoleSet {
        role: String,
        database: Option<String>,
        setting: String,
        value_sql: String,
    },
    /// Connection limits, templates and the like, which concern no dataset.
    AlterDatabaseOther {
        database: String,
    },
    /// A call that sets planner statistics, from `pg_dump --statistics` of 18 and newer.
    ImportedStatistics,
    Skip(SkipReason),
    /// Runs, and no one need worry if it fails: `--clean` drops what is not there, and the schema `public` is there already.
    Tolerated,
    CreateExtension {
        name: String,
    },
    /// Its failure fails the restore; `what` names it.
    Essential {
        what: String,
    },
    /// `COPY ... FROM STDIN`; its failure fails the restore.
    CopyFromStdin {
        table: String,
    },
    Transaction(Transaction),
    /// Runs; its failure is listed.
    Ordinary,
    /// Several statements that `\;` has joined. Not to be sent: a COPY among them would leave the connection waiting for data.
    Joined,
}

/// What a statement does to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Release,
    RollbackTo,
    /// `AND CHAIN`: the end of one transaction is the beginning of the next.
    Chain,
    /// `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    TwoPhase,
}

/// Reads one statement, as the splitter gives it.
pub fn read(text: &str) -> DumpStatement {
    if is_joined(text) {
        return DumpStatement::Joined;
    }
    let mut cursor = Cursor::new(text);
    let Some(verb) = cursor.word() else {
        return DumpStatement::Ordinary;
    };
    match verb.as_str() {
        "set" => set(&mut cursor),
        "reset" => reset(&mut cursor),
        "select" => select(&mut cursor, text),
        "with" if classify(text) == Class::Writes => essential("WITH", None),
        "insert" | "update" | "delete" | "merge" => modify(&verb, &mut cursor),
        "copy" => copy(text),
        "create" => create(&mut cursor),
        "alter" => alter(&mut cursor, text),
        "drop" => drop(&mut cursor),
        "comment" => comment(&mut cursor),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" | "prepare" => {
            transaction(&verb, &mut cursor)
        }
        _ => skip::by_verb(&verb).map_or(DumpStatement::Ordinary, DumpStatement::Skip),
    }
}

/// Whether another statement follows a semicolon. A semicolon in a function's body or a rule is followed by a part of it,
/// but no such part is a COPY.
fn is_joined(text: &str) -> bool {
    if !text.contains(';') {
        return false;
    }
    let mut nesting = Nesting::default();
    let mut tokens = tokens(text).peekable();
    while let Some(token) = tokens.next() {
        match token.kind {
            Kind::Open => nesting.open(0),
            Kind::Close => nesting.close(),
            Kind::Word => nesting.word(token.text.as_bytes(), 0),
            Kind::Semicolon => {
                let copies = tokens.peek().is_some_and(|following| following.is("copy"));
                if copies || (nesting.is_flat() && tokens.peek().is_some()) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn essential(command: &str, table: Option<String>) -> DumpStatement {
    let what = table.map_or_else(|| command.to_owned(), |table| format!("{command} {table}"));
    DumpStatement::Essential { what }
}

fn set(cursor: &mut Cursor<'_>) -> DumpStatement {
    if cursor.take("session") {
        if cursor.take("authorization") {
            return DumpStatement::Skip(SkipReason::SessionUsers);
        }
        if cursor.take("characteristics") {
            return DumpStatement::Setting {
                name: "transaction".to_owned(),
            };
        }
    } else {
        cursor.take("local");
    }
    if cursor.take("names") {
        return match cursor.value() {
            Some(encoding) => DumpStatement::ClientEncoding(encoding),
            None => DumpStatement::Setting {
                name: "client_encoding".to_owned(),
            },
        };
    }
    if cursor.take("constraints") {
        return DumpStatement::Ordinary;
    }
    let Some(name) = cursor.setting() else {
        return DumpStatement::Ordinary;
    };
    if !cursor.take("to") {
        cursor.take_symbol("=");
    }
    setting(name, cursor.value())
}

fn reset(cursor: &mut Cursor<'_>) -> DumpStatement {
    if cursor.take("session") && cursor.take("authorization") {
        return DumpStatement::Skip(SkipReason::SessionUsers);
    }
    cursor
        .setting()
        .map_or(DumpStatement::Ordinary, |name| setting(name, None))
}

fn setting(name: String, value: Option<String>) -> DumpStatement {
    match (name.as_str(), value) {
        ("client_encoding", Some(encoding)) => DumpStatement::ClientEncoding(encoding),
        ("standard_conforming_strings", value) => {
            let value = value.map(|value| value.to_ascii_lowercase());
            let off = value.as_deref().is_some_and(|value| {
                matches!(value, "0" | "of" | "off")
                    || (!value.is_empty() && ("false".starts_with(value) || "no".starts_with(value)))
            });
            DumpStatement::StandardConformingStrings(!off)
        }
        ("default_tablespace", _) => DumpStatement::Skip(SkipReason::Tablespaces),
        ("role" | "session_authorization", _) => DumpStatement::Skip(SkipReason::SessionUsers),
        _ => DumpStatement::Setting { name },
    }
}

fn select(cursor: &mut Cursor<'_>, text: &str) -> DumpStatement {
    let mut call = cursor.clone();
    if call.take_symbol("*") {
        call.take("from");
    }
    if call.take("pg_catalog") {
        call.take_symbol(".");
    }
    if let Some(function) = call.word()
        && call.take_kind(Kind::Open)
    {
        if statistics::is_restoring(&function) {
            return DumpStatement::ImportedStatistics;
        }
        if function == "set_config"
            && let Some(name) = call.value()
        {
            call.take_symbol(",");
            return setting(name.to_ascii_lowercase(), call.value());
        }
    }
    match classify(text) {
        Class::Refused(Refusal::SelectInto) => essential("SELECT INTO", None),
        _ => DumpStatement::Ordinary,
    }
}

fn modify(verb: &str, cursor: &mut Cursor<'_>) -> DumpStatement {
    let preposition = match verb {
        "insert" | "merge" => Some("into"),
        "delete" => Some("from"),
        _ => None,
    };
    if let Some(preposition) = preposition {
        cursor.take(preposition);
    }
    cursor.take("only");
    essential(&verb.to_ascii_uppercase(), cursor.qualified_name())
}

fn copy(text: &str) -> DumpStatement {
    match read_copy(text) {
        Some(Copy::FromFile { table }) => DumpStatement::CopyFromStdin { table },
        Some(Copy::FromServer { table }) => essential("COPY", Some(table)),
        Some(Copy::To) => DumpStatement::Skip(SkipReason::CopyTo),
        None => essential("COPY", None),
    }
}

fn create(cursor: &mut Cursor<'_>) -> DumpStatement {
    if cursor.take("or") {
        cursor.take("replace");
    }
    if let Some(reason) = skip::by_object(&mut cursor.clone()) {
        return DumpStatement::Skip(reason);
    }
    while cursor.take_any(&["global", "local", "temporary", "temp", "unlogged"]) {}
    match cursor.word().as_deref() {
        Some("table") => {
            if_not_exists(cursor);
            essential("CREATE TABLE", cursor.qualified_name())
        }
        Some("database") => database::create(cursor).map_or(DumpStatement::Ordinary, DumpStatement::CreateDatabase),
        Some("extension") => {
            if_not_exists(cursor);
            cursor
                .name()
                .map_or(DumpStatement::Ordinary, |name| DumpStatement::CreateExtension { name })
        }
        Some("schema") => {
            if_not_exists(cursor);
            tolerated_if_public(cursor)
        }
        _ => DumpStatement::Ordinary,
    }
}

fn if_not_exists(cursor: &mut Cursor<'_>) {
    if cursor.take("if") {
        cursor.take("not");
        cursor.take("exists");
    }
}

/// Every database has a schema `public` already.
fn tolerated_if_public(cursor: &mut Cursor<'_>) -> DumpStatement {
    if cursor.name().as_deref() == Some("public") {
        DumpStatement::Tolerated
    } else {
        DumpStatement::Ordinary
    }
}

fn alter(cursor: &mut Cursor<'_>, text: &str) -> DumpStatement {
    let mut object = cursor.clone();
    match object.word().as_deref() {
        Some("database") => return database::alter(&mut object, text),
        Some("role" | "user") if !object.take("mapping") => {
            return database::alter_role_set(&mut object, text).unwrap_or(DumpStatement::Skip(SkipReason::Roles));
        }
        Some("default") => return DumpStatement::Skip(SkipReason::Privileges),
        Some("system") => return DumpStatement::Skip(SkipReason::ServerSettings),
        _ => {}
    }
    if object.find(&["owner", "to"]) {
        return DumpStatement::Skip(SkipReason::Owners);
    }
    if let Some(reason) = skip::by_object(&mut cursor.clone()) {
        return DumpStatement::Skip(reason);
    }
    if cursor.clone().find(&["set", "tablespace"]) {
        return DumpStatement::Skip(SkipReason::Tablespaces);
    }
    if sets_column_version(&mut cursor.clone()) {
        return DumpStatement::Skip(SkipReason::ColumnVersions);
    }
    if cursor.take_any(&["table", "domain"]) && cursor.find(&["drop"]) {
        return DumpStatement::Tolerated;
    }
    DumpStatement::Ordinary
}

/// A column option that a server gives itself and hides from its own `pg_dump`. One of an older minor release writes it
/// out, and servers of older minor releases refuse it.
fn sets_column_version(cursor: &mut Cursor<'_>) -> bool {
    cursor.find(&["set"])
        && cursor.take_kind(Kind::Open)
        && cursor.take("pg_attver")
        && cursor.take_symbol("=")
        && cursor.value().is_some()
        && cursor.take_kind(Kind::Close)
        && cursor.peek().is_none()
}

fn drop(cursor: &mut Cursor<'_>) -> DumpStatement {
    if let Some(reason) = skip::by_object(&mut cursor.clone()) {
        return DumpStatement::Skip(reason);
    }
    if !cursor.take("database") {
        return DumpStatement::Tolerated;
    }
    if cursor.take("if") {
        cursor.take("exists");
    }
    cursor
        .name()
        .map_or(DumpStatement::Ordinary, |name| DumpStatement::DropDatabase { name })
}

fn comment(cursor: &mut Cursor<'_>) -> DumpStatement {
    cursor.take("on");
    if cursor.take("schema") {
        return tolerated_if_public(cursor);
    }
    if cursor.clone().take_any(&["database", "extension"]) || skip::by_object(&mut cursor.clone()).is_some() {
        return DumpStatement::Skip(SkipReason::Comments);
    }
    DumpStatement::Ordinary
}

fn transaction(verb: &str, cursor: &mut Cursor<'_>) -> DumpStatement {
    let transaction = match verb {
        "prepare" if cursor.take("transaction") => Transaction::TwoPhase,
        "prepare" => return DumpStatement::Ordinary,
        "commit" | "rollback" if cursor.take("prepared") => Transaction::TwoPhase,
        "begin" | "start" => Transaction::Begin,
        "savepoint" => Transaction::Savepoint,
        "release" => Transaction::Release,
        _ => {
            cursor.take_any(&["work", "transaction"]);
            if cursor.take("to") {
                Transaction::RollbackTo
            } else if cursor.take("and") && cursor.take("chain") {
                Transaction::Chain
            } else if matches!(verb, "commit" | "end") {
                Transaction::Commit
            } else {
                Transaction::Rollback
            }
        }
    };
    DumpStatement::Transaction(transaction)
}

#[cfg(test)]
mod tests;
