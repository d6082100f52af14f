//! Reads a whole script for a workload: its queries with their labels, in order.

use crate::sql::lexer::More;

use super::Limits;
use super::Piece;
use super::PsqlLine;
use super::SplitError;
use super::Splitter;
use super::Statement;

/// What a script is made of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptItem {
    Query {
        /// From `-- name: ...` or `/* name: ... */` in front of it, the last one if there are several, cut to 100 characters.
        label: Option<String>,
        sql: String,
        /// The line of its first token, from 1.
        line: u64,
    },
    PsqlLine(PsqlLine),
}

/// Splits a script by the rules of [`Splitter`]. A `COPY ... FROM STDIN` is a query here, and its data are dropped.
pub fn script(text: &str) -> Result<Vec<ScriptItem>, SplitError> {
    let mut splitter = Splitter::new(Limits {
        statement_bytes: text.len(),
    });
    splitter.window.extend_from_slice(text.as_bytes());
    let mut items = Vec::new();
    while let Some(piece) = splitter.step(More::No)? {
        items.extend(item(piece, &mut splitter.label));
    }
    if let Some(piece) = splitter.last_statement()? {
        items.extend(item(piece, &mut splitter.label));
    }
    splitter.into_ending()?;
    Ok(items)
}

fn item(piece: Piece, label: &mut Option<String>) -> Option<ScriptItem> {
    match piece {
        Piece::Statement(Statement { text, line }) | Piece::CopyStart(Statement { text, line }) => {
            Some(ScriptItem::Query {
                label: label.take(),
                sql: text,
                line,
            })
        }
        Piece::PsqlLine(psql_line) => Some(ScriptItem::PsqlLine(psql_line)),
        Piece::CopyData(_) | Piece::CopyEnd { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(text: &str) -> Vec<(Option<String>, String, u64)> {
        script(text)
            .unwrap()
            .into_iter()
            .filter_map(|item| match item {
                ScriptItem::Query { label, sql, line } => Some((label, sql, line)),
                ScriptItem::PsqlLine(_) => None,
            })
            .collect()
    }

    fn labels(text: &str) -> Vec<Option<String>> {
        queries(text).into_iter().map(|(label, ..)| label).collect()
    }

    #[test]
    fn a_label_is_the_last_name_in_front_of_its_query() {
        let some = |label: &str| Some(label.to_owned());
        let cases = [
            ("select 1", vec![None]),
            ("-- name: one\nselect 1; select 2", vec![some("one"), None]),
            ("--name:one \r\nselect 1", vec![some("one")]),
            ("/* name: two words */ select 1", vec![some("two words")]),
            ("/* name: one\n more */ select 1", vec![some("one")]),
            ("-- name: a\n/* x */\n-- name: b\n;;\nselect 1", vec![some("b")]),
            ("-- name:\nselect 1", vec![None]),
            ("-- Name: t; Type: TABLE\nselect 1", vec![None]),
            ("select 1; -- name: two\nselect 2", vec![None, some("two")]),
            ("select -- name: inside\n1; select 2", vec![None, None]),
            ("-- name: one\n\\timing\nselect 1", vec![some("one")]),
            ("select '-- name: x\n'; select 1", vec![None, None]),
        ];
        for (text, expected) in cases {
            assert_eq!(labels(text), expected, "{text}");
        }
        let long = format!("-- name: {}\nselect 1", "ä".repeat(200));
        assert_eq!(labels(&long), [Some("ä".repeat(100))]);
    }

    #[test]
    fn a_copy_in_a_script_is_a_query_without_its_data() {
        assert_eq!(
            queries("-- name: c\ncopy t from stdin;\n1;\n'\n\\.\nselect 2"),
            [
                (Some("c".to_owned()), "copy t from stdin".to_owned(), 2),
                (None, "select 2".to_owned(), 6)
            ],
        );
    }

    #[test]
    fn psql_lines_keep_their_place() {
        let items = script("select 1;\n\\echo hi\nselect 2").unwrap();
        assert_eq!(
            items[1],
            ScriptItem::PsqlLine(PsqlLine {
                line: 2,
                command: "echo".to_owned(),
                args: "hi".to_owned()
            })
        );
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn an_unfinished_script_says_where_it_was_opened() {
        assert!(
            script("select 1;\nselect 'x")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
        assert!(script("select (1;").is_err());
    }
}
