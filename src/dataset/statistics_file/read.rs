//! Reads a statistics file in whichever form it comes. Nothing of it is run.

use crate::model::statistics_file::BadFile;
use crate::model::statistics_file::FileFormat;
use crate::model::statistics_file::StatisticsFile;
use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::split::Limits;
use crate::sql::split::Piece;
use crate::sql::split::Splitter;
use crate::sql::split::Statement;

/// Says what a file is and what it says.
pub fn read(bytes: &[u8]) -> Result<(FileFormat, StatisticsFile), BadFile> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if bytes.starts_with(b"PGDMP") {
        return Err(BadFile(
            "This is an archive. Make a plain file of it: pg_restore --statistics-only -f statistics.sql, and then the \
             name of the archive."
                .to_owned(),
        ));
    }
    match first {
        None => Err(BadFile("The file is empty.".to_owned())),
        Some(b'{') => Ok((FileFormat::Json, StatisticsFile::from_json(bytes)?)),
        Some(_) => Ok((FileFormat::PgDump, from_calls(bytes)?)),
    }
}

/// Reads what `pg_dump --statistics-only` writes.
fn from_calls(bytes: &[u8]) -> Result<StatisticsFile, BadFile> {
    let limits = Limits {
        statement_bytes: bytes.len(),
    };
    let mut splitter = Splitter::new(limits);
    let mut pieces = Vec::new();
    splitter.push(bytes, &mut pieces).map_err(unreadable)?;
    let ending = splitter.finish(&mut pieces).map_err(unreadable)?;
    let mut file = StatisticsFile::default();
    for piece in pieces {
        match piece {
            Piece::Statement(statement) => take(&mut file, &statement)?,
            Piece::CopyStart(statement) => return Err(foreign(&statement)),
            // \restrict and its kin are for psql.
            Piece::CopyData(_) | Piece::CopyEnd { .. } | Piece::PsqlLine(_) => {}
        }
    }
    if ending.lacks_trailer() {
        return Err(BadFile(
            "The file is truncated: the line by which pg_dump ends a file is missing.".to_owned(),
        ));
    }
    file.check()?;
    Ok(file)
}

fn unreadable(error: impl std::fmt::Display) -> BadFile {
    BadFile(format!(
        "The file is neither JSON of pgassay nor what pg_dump --statistics-only writes: {error}"
    ))
}

fn take(file: &mut StatisticsFile, statement: &Statement) -> Result<(), BadFile> {
    match dump::read(&statement.text) {
        DumpStatement::ImportedStatistics => add_call(file, statement),
        DumpStatement::ClientEncoding(name) if !is_utf8(&name) => Err(BadFile(format!(
            "The file is in the encoding {name}. Make it anew with --encoding=UTF8."
        ))),
        DumpStatement::ClientEncoding(_)
        | DumpStatement::StandardConformingStrings(true)
        | DumpStatement::Setting { .. }
        | DumpStatement::Transaction(_)
        | DumpStatement::Skip(_) => Ok(()),
        _ => Err(foreign(statement)),
    }
}

/// Adds what a call of a dump says.
pub fn add_call(file: &mut StatisticsFile, statement: &Statement) -> Result<(), BadFile> {
    let line = statement.line;
    let call = dump::read_statistics_call(&statement.text).ok_or_else(|| {
        BadFile(format!(
            "The call in line {line} is not written as pg_dump writes it, and is not run here."
        ))
    })?;
    file.add_call(&call.function, call.arguments)
        .map_err(|BadFile(reason)| BadFile(format!("Line {line}: {reason}")))
}

fn foreign(statement: &Statement) -> BadFile {
    BadFile(format!(
        "Line {} is neither a setting nor a call that sets statistics: this is no output of pg_dump --statistics-only.",
        statement.line
    ))
}

fn is_utf8(name: &str) -> bool {
    ["utf8", "utf-8", "unicode", "sql_ascii"].contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `pg_dump` 18.4 wrote it of a table with an index on an expression, shortened.
    const DUMP: &str = r"--
-- PostgreSQL database dump
--

\restrict abc

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

SELECT * FROM pg_catalog.pg_restore_relation_stats(
	'version', '180004'::integer,
	'schemaname', 'public',
	'relname', 't',
	'relpages', '3'::integer,
	'reltuples', '500'::real,
	'relallvisible', '3'::integer,
	'relallfrozen', '0'::integer
);
SELECT * FROM pg_catalog.pg_restore_attribute_stats(
	'version', '180004'::integer,
	'schemaname', 'public',
	'relname', 't_lower_idx',
	'attnum', '1'::smallint,
	'inherited', 'f'::boolean,
	'null_frac', '0'::real,
	'avg_width', '3'::integer,
	'n_distinct', '2'::real,
	'most_common_vals', '{a,it''s}'::text,
	'most_common_freqs', '{0.5,0.5}'::real[]
);

--
-- PostgreSQL database dump complete
--

\unrestrict abc
";

    #[test]
    fn both_forms_are_told_apart_by_their_content() {
        let (format, file) = read(DUMP.as_bytes()).unwrap();
        assert_eq!(format, FileFormat::PgDump);
        assert_eq!((file.relations.len(), file.columns.len()), (1, 1));
        assert_eq!(file.columns[0].most_common_vals.as_deref(), Some("{a,it's}"));
        assert_eq!(file.server_version_num, Some(180_004));
        let json = serde_json::to_vec(&file).unwrap();
        assert_eq!(read(&json).unwrap(), (FileFormat::Json, file));
    }

    #[test]
    fn every_bad_file_is_refused_in_words() {
        let changed = |from: &str, to: &str| DUMP.replacen(from, to, 1).into_bytes();
        let cut = |at: &str| DUMP.as_bytes()[..DUMP.find(at).unwrap()].to_vec();
        for (bytes, said) in [
            (b" \n".to_vec(), "The file is empty."),
            (b"PGDMP\x01".to_vec(), "pg_restore --statistics-only"),
            (b"\x89PNG\r\n".to_vec(), "neither JSON of pgassay nor"),
            (b"hello".to_vec(), "Line 1 is neither a setting nor"),
            (b"create table t ();".to_vec(), "Line 1 is neither"),
            (b"copy t from stdin;\n1\n\\.\n".to_vec(), "Line 1 is neither"),
            (b"set a = 1;".to_vec(), "holds no planner statistics"),
            (cut("\n--\n-- PostgreSQL database dump complete"), "truncated"),
            (cut("'relpages'"), "neither JSON of pgassay nor"),
            (changed("UTF8", "LATIN1"), "--encoding=UTF8"),
            (
                changed("'{a,it''s}'::text", "pg_sleep(9)"),
                "line 19 is not written as pg_dump writes it",
            ),
            (
                changed("'relname', 't',", ""),
                "Line 11: A call of pg_restore_relation_stats comes without its relname",
            ),
            (
                changed("standard_conforming_strings = on", "standard_conforming_strings = off"),
                "Line 8",
            ),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
