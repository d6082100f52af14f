//! What becomes of the statements of a dump.

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
