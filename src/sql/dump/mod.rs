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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn setting(name: &str) -> DumpStatement {
        DumpStatement::Setting { name: name.to_owned() }
    }

    fn essential(what: &str) -> DumpStatement {
        DumpStatement::Essential { what: what.to_owned() }
    }

    fn check(cases: &[(&str, DumpStatement)]) {
        for (text, expected) in cases {
            assert_eq!(read(text), *expected, "{text}");
        }
    }

    #[test]
    fn the_settings_at_the_top_of_a_dump_are_told_apart() {
        check(&[
            ("SET statement_timeout = 0", setting("statement_timeout")),
            (
                "SET client_encoding = 'LATIN1'",
                DumpStatement::ClientEncoding("LATIN1".to_owned()),
            ),
            (
                "set session client_encoding to utf8",
                DumpStatement::ClientEncoding("utf8".to_owned()),
            ),
            (
                "SET NAMES 'WIN1252'",
                DumpStatement::ClientEncoding("WIN1252".to_owned()),
            ),
            ("SET client_encoding TO DEFAULT", setting("client_encoding")),
            (
                "SET standard_conforming_strings = on",
                DumpStatement::StandardConformingStrings(true),
            ),
            (
                "SET standard_conforming_strings = off",
                DumpStatement::StandardConformingStrings(false),
            ),
            (
                "set \"standard_conforming_strings\" to 'false'",
                DumpStatement::StandardConformingStrings(false),
            ),
            (
                "RESET standard_conforming_strings",
                DumpStatement::StandardConformingStrings(true),
            ),
            (
                "SELECT pg_catalog.set_config('search_path', '', false)",
                setting("search_path"),
            ),
            (
                "select set_config('client_encoding', 'LATIN1', false)",
                DumpStatement::ClientEncoding("LATIN1".to_owned()),
            ),
            ("SET search_path = public, pg_catalog", setting("search_path")),
            (
                "SET default_tablespace = ''",
                DumpStatement::Skip(SkipReason::Tablespaces),
            ),
            (
                "SET default_table_access_method = heap",
                setting("default_table_access_method"),
            ),
            ("SET plpgsql.extra_errors = 'all'", setting("plpgsql.extra_errors")),
            ("SET TIME ZONE 'UTC'", setting("timezone")),
            (
                "SET SESSION AUTHORIZATION 'joe'",
                DumpStatement::Skip(SkipReason::SessionUsers),
            ),
            (
                "RESET SESSION AUTHORIZATION",
                DumpStatement::Skip(SkipReason::SessionUsers),
            ),
            ("SET ROLE joe", DumpStatement::Skip(SkipReason::SessionUsers)),
            ("SET CONSTRAINTS ALL DEFERRED", DumpStatement::Ordinary),
            ("SET", DumpStatement::Ordinary),
        ]);
    }

    #[test]
    fn databases_and_their_settings_are_read() {
        check(&[
            (
                "CREATE DATABASE \"My DB\" WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'de_DE' CONNECTION LIMIT = -1",
                DumpStatement::CreateDatabase(NewDatabase {
                    name: "My DB".to_owned(),
                    encoding: Some("UTF8".to_owned()),
                    lc_collate: Some("C".to_owned()),
                    lc_ctype: Some("de_DE".to_owned()),
                    ..NewDatabase::default()
                }),
            ),
            (
                "CREATE DATABASE d WITH TEMPLATE = template0 TABLESPACE = DEFAULT ENCODING = 'UTF8' LOCALE_PROVIDER = icu LOCALE = 'en_US.UTF-8' ICU_LOCALE = 'en-US'",
                DumpStatement::CreateDatabase(NewDatabase {
                    name: "d".to_owned(),
                    encoding: Some("UTF8".to_owned()),
                    lc_collate: Some("en_US.UTF-8".to_owned()),
                    lc_ctype: Some("en_US.UTF-8".to_owned()),
                    provider: Some("icu".to_owned()),
                    provider_locale: Some("en-US".to_owned()),
                }),
            ),
            (
                "DROP DATABASE IF EXISTS d",
                DumpStatement::DropDatabase { name: "d".to_owned() },
            ),
            (
                "ALTER DATABASE d SET search_path TO 'a', 'b'",
                DumpStatement::AlterDatabaseSet {
                    database: "d".to_owned(),
                    setting: "search_path".to_owned(),
                    value_sql: "'a', 'b'".to_owned(),
                },
            ),
            ("ALTER DATABASE d OWNER TO joe", DumpStatement::Skip(SkipReason::Owners)),
            (
                "ALTER DATABASE d CONNECTION LIMIT 3",
                DumpStatement::AlterDatabaseOther {
                    database: "d".to_owned(),
                },
            ),
            (
                "ALTER DATABASE d SET TABLESPACE x",
                DumpStatement::AlterDatabaseOther {
                    database: "d".to_owned(),
                },
            ),
            (
                "ALTER ROLE joe IN DATABASE d SET work_mem = '1GB'",
                DumpStatement::AlterRoleSet {
                    role: "joe".to_owned(),
                    database: Some("d".to_owned()),
                    setting: "work_mem".to_owned(),
                    value_sql: "'1GB'".to_owned(),
                },
            ),
            (
                "ALTER ROLE joe WITH SUPERUSER PASSWORD 'x'",
                DumpStatement::Skip(SkipReason::Roles),
            ),
        ]);
    }

    #[test]
    fn what_cannot_succeed_is_skipped() {
        let cases = [
            ("ALTER TABLE public.t OWNER TO joe", SkipReason::Owners),
            (
                "ALTER FUNCTION public.f(integer, text) OWNER TO joe",
                SkipReason::Owners,
            ),
            ("ALTER LARGE OBJECT 123 OWNER TO joe", SkipReason::Owners),
            ("ALTER EVENT TRIGGER e OWNER TO joe", SkipReason::Owners),
            ("GRANT ALL ON TABLE t TO joe", SkipReason::Privileges),
            ("REVOKE ALL ON SCHEMA public FROM PUBLIC", SkipReason::Privileges),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE joe GRANT SELECT ON TABLES TO ann",
                SkipReason::Privileges,
            ),
            ("COMMENT ON EXTENSION plpgsql IS 'x'", SkipReason::Comments),
            ("COMMENT ON DATABASE d IS 'x'", SkipReason::Comments),
            ("COMMENT ON EVENT TRIGGER e IS 'x'", SkipReason::Comments),
            ("SECURITY LABEL FOR x ON TABLE t IS 'y'", SkipReason::SecurityLabels),
            ("CREATE ROLE joe", SkipReason::Roles),
            ("DROP ROLE IF EXISTS joe", SkipReason::Roles),
            ("CREATE TABLESPACE x LOCATION '/x'", SkipReason::Tablespaces),
            ("ALTER INDEX i SET TABLESPACE x", SkipReason::Tablespaces),
            (
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
                SkipReason::EventTriggers,
            ),
            ("CREATE PUBLICATION p FOR ALL TABLES", SkipReason::Publications),
            ("DROP SUBSCRIPTION s", SkipReason::Subscriptions),
            ("CREATE FOREIGN DATA WRAPPER w", SkipReason::ForeignData),
            (
                "CREATE USER MAPPING FOR joe SERVER s OPTIONS (password 'x')",
                SkipReason::ForeignData,
            ),
            (
                "ALTER USER MAPPING FOR joe SERVER s OPTIONS (password 'x')",
                SkipReason::ForeignData,
            ),
            ("CREATE FOREIGN TABLE t (a int) SERVER s", SkipReason::ForeignData),
            (
                "CREATE OR REPLACE PROCEDURAL LANGUAGE plpython3u",
                SkipReason::Languages,
            ),
            ("CREATE TRUSTED LANGUAGE plperl", SkipReason::Languages),
            ("ALTER SYSTEM SET x = 1", SkipReason::ServerSettings),
            ("LOAD '$libdir/x'", SkipReason::Libraries),
            ("CHECKPOINT", SkipReason::Checkpoint),
            ("ANALYZE t", SkipReason::Maintenance),
            ("VACUUM (ANALYZE)", SkipReason::Maintenance),
            ("COPY t TO STDOUT", SkipReason::CopyTo),
            (
                "ALTER TABLE ONLY \"Other\".\"Set\" ALTER COLUMN \"set\" SET (pg_attver=26730376)",
                SkipReason::ColumnVersions,
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(read(text), DumpStatement::Skip(reason), "{text}");
        }
    }

    #[test]
    fn data_and_tables_are_essential_and_clean_up_is_tolerated() {
        check(&[
            ("CREATE TABLE public.t (a int)", essential("CREATE TABLE public.t")),
            (
                "create unlogged table if not exists \"T\" (a int)",
                essential("CREATE TABLE \"T\""),
            ),
            ("CREATE TABLE t AS SELECT 1", essential("CREATE TABLE t")),
            ("SELECT 1 AS a INTO t", essential("SELECT INTO")),
            ("INSERT INTO public.t VALUES ('a;b')", essential("INSERT public.t")),
            ("UPDATE ONLY t SET a = 1", essential("UPDATE t")),
            ("DELETE FROM t", essential("DELETE t")),
            ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", essential("WITH")),
            ("COPY t FROM '/etc/passwd'", essential("COPY t")),
            (
                "COPY public.t (a, b) FROM stdin",
                DumpStatement::CopyFromStdin {
                    table: "public.t".to_owned(),
                },
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public",
                DumpStatement::CreateExtension {
                    name: "uuid-ossp".to_owned(),
                },
            ),
            ("DROP TABLE IF EXISTS public.t", DumpStatement::Tolerated),
            ("DROP SCHEMA public", DumpStatement::Tolerated),
            ("CREATE SCHEMA public", DumpStatement::Tolerated),
            ("COMMENT ON SCHEMA public IS 'x'", DumpStatement::Tolerated),
            (
                "ALTER TABLE IF EXISTS ONLY public.t DROP CONSTRAINT IF EXISTS k",
                DumpStatement::Tolerated,
            ),
            ("CREATE SCHEMA s", DumpStatement::Ordinary),
            (
                "ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (a)",
                DumpStatement::Ordinary,
            ),
            ("CREATE TEMP SEQUENCE s", DumpStatement::Ordinary),
            (
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
                DumpStatement::Ordinary,
            ),
            (
                "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
                DumpStatement::Ordinary,
            ),
            ("SELECT pg_catalog.setval('s', 1, true)", DumpStatement::Ordinary),
            ("SELECT pg_catalog.lo_create('123')", DumpStatement::Ordinary),
            ("REFRESH MATERIALIZED VIEW v", DumpStatement::Ordinary),
            ("", DumpStatement::Ordinary),
        ]);
    }

    #[test]
    fn statistics_of_a_newer_server_are_recognised() {
        for text in [
            "SELECT * FROM pg_catalog.pg_restore_relation_stats(\n\t'version', '180000'::integer)",
            "SELECT pg_restore_attribute_stats('version', 1)",
            "SELECT * FROM pg_catalog.pg_restore_extended_stats('version', 1)",
        ] {
            assert_eq!(read(text), DumpStatement::ImportedStatistics, "{text}");
        }
    }

    #[test]
    fn transactions_are_told_apart() {
        let cases = [
            ("BEGIN", Transaction::Begin),
            ("START TRANSACTION", Transaction::Begin),
            ("COMMIT", Transaction::Commit),
            ("END", Transaction::Commit),
            ("COMMIT AND NO CHAIN", Transaction::Commit),
            ("COMMIT AND CHAIN", Transaction::Chain),
            ("ABORT TRANSACTION AND CHAIN", Transaction::Chain),
            ("ROLLBACK WORK", Transaction::Rollback),
            ("ROLLBACK WORK TO SAVEPOINT s", Transaction::RollbackTo),
            ("SAVEPOINT s", Transaction::Savepoint),
            ("RELEASE s", Transaction::Release),
            ("PREPARE TRANSACTION 'x'", Transaction::TwoPhase),
            ("COMMIT PREPARED 'x'", Transaction::TwoPhase),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), DumpStatement::Transaction(expected), "{text}");
        }
        assert_eq!(read("PREPARE p AS SELECT 1"), DumpStatement::Ordinary);
    }

    #[test]
    fn a_joined_copy_cannot_hide() {
        for text in [
            "SELECT 1; COPY t FROM STDIN",
            "SELECT 1; SELECT 2",
            "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'select 1'; COPY t FROM STDIN",
        ] {
            assert_eq!(read(text), DumpStatement::Joined, "{text}");
        }
        assert_ne!(read("SELECT ';'; "), DumpStatement::Joined);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", words in proptest::collection::vec(
            prop_oneof![
                "create|alter|drop|set|reset|database|role|owner|to|comment|on|copy|select|from|table|[(),;=.*]",
                "\\PC{0,4}",
            ], 0..10)) {
            read(&text);
            read(&words.join(" "));
        }
    }
}
