//! Generated scripts and generated damage, for the lexer and the splitter. `make fuzz` tries many more than the suite.

use proptest::prelude::*;

use super::oracle::blank;
use super::tests::split;
use super::tests::split_in;
use super::tests::texts_of;
use super::*;

/// What scripts are put together from. No backslash stands at the end of one, because psql obeys a backslash command:
/// what could follow it is chosen here.
#[rustfmt::skip]
const FRAGMENTS: &[&str] = &[
    ";", ";", ";\n", "'", "'", "'", "\"", "\"", "$", "$$", "$$", "$a$", "$a$", "$ä$", "$b", "E'", "e'", "U&'",
    "u&\"", "n'", "B'", "'\\'", "E'\\''", "\\'", "\\\\", "\\\"", "--", "-- x\n", "/*", "*/", "/* y */", "(", ")",
    "(", ")", "\n", "\r\n", "\r", " ", " ", "\t", "\u{c}", "begin ", "begin atomic ", " end ", "case ", "create ",
    "function ", "procedure ", "or ", "replace ", "create or replace function f() ", "t ",
    ";\ncopy t from stdin;\n1\tx\n2\n\\.\nselect 6 ", ";\ncopy t from stdin; select 5;\n1\n\\.\nselect 6 ", "\\.\n",
    "\\.\r\n", "\\;", "\\:", ":", ":v", "::", "-", "/", "*", "+", "<", "u", "&", "e", "1", "1e", "1.", "$1", "a$1$",
    "ä", "€", "x ", "select 1", "select 'a;b'", ";set standard_conforming_strings = off;",
    ";set standard_conforming_strings = on;", "\\echo hi\n", "-- name: x\n", "\u{feff}",
];

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => "[\\PC&&[^\\\\`]]{0,3}",
    ]
}

/// Scripts that psql may be given: the one thing it is asked to do is to talk.
pub fn script_for_psql() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..40).prop_map(|fragments| fragments.concat())
}

/// What psql is not asked about: commands of its own, and words that look like a COPY.
const MORE_FRAGMENTS: &[&str] = &["\\", "\0", "copy ", " from stdin", "copy t from stdin;\n"];

fn text() -> impl Strategy<Value = String> {
    let more = prop::sample::select(MORE_FRAGMENTS).prop_map(str::to_owned);
    let fragment = prop_oneof![9 => fragment(), 1 => more];
    prop::collection::vec(fragment, 0..40).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn chunks_do_not_change_the_pieces(text in text(), chunk_bytes in 1_usize..9, limit in prop_oneof![Just(usize::MAX), 1_usize..40]) {
        let limits = Limits { statement_bytes: limit };
        prop_assert_eq!(split_in(text.as_bytes(), usize::MAX, limits), split_in(text.as_bytes(), chunk_bytes, limits));
    }

    #[test]
    fn chunks_do_not_change_what_is_made_of_arbitrary_bytes(
        text in text(), bytes in prop::collection::vec(any::<u8>(), 0..4), at in any::<prop::sample::Index>(), chunk_bytes in 1_usize..9,
    ) {
        let mut text = text.into_bytes();
        let at = at.index(text.len() + 1);
        text.splice(at..at, bytes);
        let limits = Limits::default();
        prop_assert_eq!(split_in(&text, usize::MAX, limits), split_in(&text, chunk_bytes, limits));
    }

    #[test]
    fn nothing_but_blanks_is_between_the_statements(text in text()) {
        // What is blotted out or read later cannot be found in place.
        let text = text.replace('\\', "").replace("stdin", "file");
        let (pieces, ending) = split(text.as_bytes());
        let mut rest = text.trim_start_matches('\u{feff}');
        for statement in texts_of(&pieces) {
            let behind = blank::skip(rest).strip_prefix(statement);
            prop_assert!(behind.is_some(), "{:?} in {:?}", statement, rest);
            rest = behind.unwrap_or_default();
        }
        if ending.is_ok() {
            prop_assert_eq!(blank::skip(rest), "");
        }
    }

    #[test]
    fn scripts_split_as_dumps_do(text in text()) {
        let (pieces, ending) = split(text.as_bytes());
        match script(&text) {
            Ok(items) => {
                prop_assert!(ending.is_ok());
                let queries: Vec<&str> = items.iter().filter_map(|item| match item {
                    ScriptItem::Query { sql, .. } => Some(sql.as_str()),
                    ScriptItem::PsqlLine(_) => None,
                }).collect();
                prop_assert_eq!(queries, texts_of(&pieces));
            }
            Err(error) => prop_assert_eq!(Some(error), ending.err()),
        }
    }
}
