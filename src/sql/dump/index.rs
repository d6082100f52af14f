//! Statements that build one index and do nothing else: no code of the user's runs in them, so they may run in any order.

use crate::sql::dump::cursor::Cursor;
use crate::sql::lexer::Kind;

/// Longer names are cut by the server, and are not what they seem.
const MOST_NAME_BYTES: usize = 63;

/// An index on plain columns of a table. Names are without their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBuild {
    pub schema: String,
    pub table: String,
    /// It lies in the table's schema.
    pub index: String,
}

/// Reads `CREATE [UNIQUE] INDEX i ON [ONLY] s.t USING m (columns)` and `ALTER TABLE ONLY s.t ADD CONSTRAINT i PRIMARY KEY
/// (columns)`, or `UNIQUE`, as `pg_dump` writes them. Nothing for anything else: expressions and predicates run functions.
pub fn read(text: &str) -> Option<IndexBuild> {
    let mut cursor = Cursor::new(text);
    let build = if cursor.take("create") {
        created(&mut cursor)?
    } else {
        constraint(&mut cursor)?
    };
    columns(&mut cursor)?;
    if cursor.take("include") {
        columns(&mut cursor)?;
    }
    let names = [&build.schema, &build.table, &build.index];
    let is_whole = cursor.peek().is_none() && names.iter().all(|name| name.len() <= MOST_NAME_BYTES);
    is_whole.then_some(build)
}

fn created(cursor: &mut Cursor<'_>) -> Option<IndexBuild> {
    cursor.take("unique");
    if !cursor.take("index") || cursor.peek()?.is_any(&["concurrently", "if", "on"]) {
        return None;
    }
    let index = cursor.name()?;
    if !cursor.take("on") {
        return None;
    }
    cursor.take("only");
    let (schema, table) = table(cursor)?;
    cursor.take("using").then_some(())?;
    cursor.name()?;
    Some(IndexBuild { schema, table, index })
}

fn constraint(cursor: &mut Cursor<'_>) -> Option<IndexBuild> {
    let is_alter = cursor.take("alter") && cursor.take("table") && cursor.take("only");
    let (schema, table) = is_alter.then(|| table(cursor))??;
    let is_constraint = cursor.take("add") && cursor.take("constraint");
    let index = is_constraint.then(|| cursor.name())??;
    let is_index = cursor.take("unique") || (cursor.take("primary") && cursor.take("key"));
    is_index.then_some(IndexBuild { schema, table, index })
}

fn table(cursor: &mut Cursor<'_>) -> Option<(String, String)> {
    let schema = cursor.name()?;
    cursor.take_symbol(".").then_some(())?;
    Some((schema, cursor.name()?))
}

/// A list in parentheses that holds no others.
fn columns(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.take_kind(Kind::Open).then_some(())?;
    loop {
        match cursor.next()?.kind {
            Kind::Close => return Some(()),
            Kind::Open => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_builds_an_index_on_plain_columns_is_one() {
        let cases = [
            (
                "CREATE INDEX i ON public.t USING btree (a, b DESC NULLS LAST)",
                Some("public t i"),
            ),
            (
                "CREATE UNIQUE INDEX \"My I\" ON ONLY \"S\".t USING btree (a) INCLUDE (b)",
                Some("S t My I"),
            ),
            ("CREATE INDEX i ON s.t USING gin (a s.gin_trgm_ops)", Some("s t i")),
            (
                "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k PRIMARY KEY (a, b)",
                Some("s t k"),
            ),
            (
                "ALTER TABLE ONLY s.t ADD CONSTRAINT k UNIQUE (a) INCLUDE (b)",
                Some("s t k"),
            ),
            ("ALTER TABLE ONLY s.t ADD CONSTRAINT k UNIQUE (a) DEFERRABLE", None),
            (
                "ALTER TABLE ONLY s.t ADD CONSTRAINT k PRIMARY KEY (a), ADD COLUMN b integer",
                None,
            ),
            (
                "ALTER TABLE ONLY s.t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES s.u(a)",
                None,
            ),
            ("ALTER TABLE ONLY s.t ADD CONSTRAINT k CHECK (a > 1)", None),
            ("ALTER TABLE s.t ADD CONSTRAINT k UNIQUE (a)", None),
            ("ALTER TABLE ONLY t ADD CONSTRAINT k UNIQUE (a)", None),
            ("CREATE INDEX i ON t USING btree (a)", None),
            ("CREATE INDEX ON s.t USING btree (a)", None),
            ("CREATE INDEX CONCURRENTLY i ON s.t USING btree (a)", None),
            ("CREATE INDEX IF NOT EXISTS i ON s.t USING btree (a)", None),
            ("CREATE INDEX i ON s.t USING btree (lower(a))", None),
            ("CREATE INDEX i ON s.t USING btree (((a + 1)))", None),
            ("CREATE INDEX i ON s.t USING btree (a) WHERE a > 1", None),
            ("CREATE INDEX i ON s.t USING btree (a", None),
            ("CREATE TABLE s.t (a integer)", None),
        ];
        for (text, expected) in cases {
            let found = read(text).map(|build| format!("{} {} {}", build.schema, build.table, build.index));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        assert_eq!(
            read(&format!("CREATE INDEX {} ON s.t USING btree (a)", "i".repeat(64))),
            None
        );
    }
}
