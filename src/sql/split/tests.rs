//! The splitter against psql's rules, one by one.

use super::*;

/// Splits text given in chunks of so many bytes. Runs of COPY data are joined, as their cuts mean nothing.
pub fn split_in(text: &[u8], chunk_bytes: usize, limits: Limits) -> (Vec<Piece>, Result<Ending, SplitError>) {
    let mut splitter = Splitter::new(limits);
    let mut pieces = Vec::new();
    let mut ending = Ok(());
    for chunk in text.chunks(chunk_bytes.max(1)) {
        ending = splitter.push(chunk, &mut pieces);
        if ending.is_err() {
            break;
        }
    }
    let ending = ending.and_then(|()| splitter.finish(&mut pieces));
    let mut joined = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::CopyData(data)), Piece::CopyData(more)) => data.extend(more),
            (_, piece) => joined.push(piece),
        }
    }
    (joined, ending)
}

pub fn split(text: &[u8]) -> (Vec<Piece>, Result<Ending, SplitError>) {
    split_in(text, usize::MAX, Limits::default())
}

pub fn texts_of(pieces: &[Piece]) -> Vec<&str> {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Statement(statement) | Piece::CopyStart(statement) => Some(statement.text.as_str()),
        Piece::CopyData(_) | Piece::CopyEnd { .. } | Piece::PsqlLine(_) => None,
    });
    texts.collect()
}

fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        for chunk_bytes in [1, 2, 3, usize::MAX] {
            let (pieces, ending) = split_in(text.as_bytes(), chunk_bytes, Limits::default());
            assert_eq!(texts_of(&pieces), *expected, "{text} in chunks of {chunk_bytes}");
            assert!(ending.is_ok(), "{text}: {ending:?}");
        }
    }
}

#[test]
fn statements_end_at_semicolons_and_are_trimmed() {
    check(&[
        ("select 1; select 2;", &["select 1", "select 2"]),
        ("select 1", &["select 1"]),
        ("", &[]),
        (" ;; /* x */ ; -- y\n;", &[]),
        ("-- x\n /* y */ select /* z */ 1 -- w\n;", &["select /* z */ 1"]),
        ("select 1 -- end", &["select 1"]),
        ("\u{feff}select 1", &["select 1"]),
        ("\u{feff}", &[]),
        ("select \u{feff}", &["select \u{feff}"]),
        ("select 1;\r\nselect 2\r\n;\r\n", &["select 1", "select 2"]),
        ("-- x\rselect 1;\rselect 2", &["select 1", "select 2"]),
        ("select 1 - 2 / 3; select -1", &["select 1 - 2 / 3", "select -1"]),
    ]);
}

#[test]
fn quotes_hide_semicolons() {
    check(&[
        ("select ';', 'it''s;'; x", &["select ';', 'it''s;'", "x"]),
        ("select '\\'; x", &["select '\\'", "x"]),
        ("select E'\\';', e'\\\\'; x", &["select E'\\';', e'\\\\'", "x"]),
        ("select nameE'\\'; x", &["select nameE'\\'", "x"]),
        (
            "select B'1;', X'\\', N'\\', n';'; x",
            &["select B'1;', X'\\', N'\\', n';'", "x"],
        ),
        ("select U&'\\;', u&\"\\\"; x", &["select U&'\\;', u&\"\\\"", "x"]),
        ("select u&x, u & ';'; x", &["select u&x, u & ';'", "x"]),
        ("select \"a;\"\"b;\"; x", &["select \"a;\"\"b;\"", "x"]),
        (
            "select E'a'\r  -- '\r '\\';'; x",
            &["select E'a'\r  -- '\r '\\';'", "x"],
        ),
        ("select E'a'\n'\\'; x", &["select E'a'\n'\\'", "x"]),
        ("select E'a' '\\'; x", &["select E'a' '\\'", "x"]),
        ("select E'a' /*\n*/ '\\'; x", &["select E'a' /*\n*/ '\\'", "x"]),
        ("select 1e'\\'; x", &["select 1e'\\'", "x"]),
        (
            "select :'a', ::\"b\", :e'\\'; x",
            &["select :'a', ::\"b\", :e'\\'", "x"],
        ),
    ]);
}

#[test]
fn dollar_quotes_hide_everything_until_their_own_tag() {
    check(&[
        ("select $$ ; ' $$; x", &["select $$ ; ' $$", "x"]),
        (
            "select $a$ ; $$ ; $b$ $A$ $a $a$; x",
            &["select $a$ ; $$ ; $b$ $A$ $a $a$", "x"],
        ),
        ("select $a$;$b$a$; x", &["select $a$;$b$a$", "x"]),
        ("select $ä$;$ä$; x", &["select $ä$;$ä$", "x"]),
        ("select a$1$, b$$; x", &["select a$1$, b$$", "x"]),
        ("select $1; x", &["select $1", "x"]),
        ("select $1$$;$$; x", &["select $1$$;$$", "x"]),
        ("select $e'\\';'; x", &["select $e'\\';'", "x"]),
        ("select $$a$;$$; x", &["select $$a$;$$", "x"]),
    ]);
}

#[test]
fn comments_nest_and_hide() {
    check(&[
        ("select /* ; /* ' */ ; */ 1; x", &["select /* ; /* ' */ ; */ 1", "x"]),
        ("select /*/ ; */ 1; x", &["select /*/ ; */ 1", "x"]),
        ("select 1 +/* ; */ 2; x", &["select 1 +/* ; */ 2", "x"]),
        ("select 1 --;'\n; x", &["select 1", "x"]),
        ("select '--'; x", &["select '--'", "x"]),
        ("select 1 /**; **/; x", &["select 1", "x"]),
        ("select 1 /* a *//* b */; x", &["select 1", "x"]),
    ]);
}

#[test]
fn parentheses_and_function_bodies_hold_semicolons() {
    let atomic =
        "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end";
    let procedure = "CREATE PROCEDURE p(begin int) BEGIN ATOMIC INSERT INTO t VALUES (1); END";
    check(&[
        (
            "create rule r as on insert to t do also (insert into u; delete from v); x",
            &[
                "create rule r as on insert to t do also (insert into u; delete from v)",
                "x",
            ],
        ),
        (&format!("{atomic}; x"), &[atomic, "x"]),
        (&format!("/* c */ {procedure}; x"), &[procedure, "x"]),
        (
            "create table t (a int); begin; select 1; end; x",
            &["create table t (a int)", "begin", "select 1", "end", "x"],
        ),
        (
            "create function f() as 'begin;'; x",
            &["create function f() as 'begin;'", "x"],
        ),
        (
            "create function f() language sql; begin; x",
            &["create function f() language sql", "begin", "x"],
        ),
        (
            "create or replace view v as select 1; begin; x",
            &["create or replace view v as select 1", "begin", "x"],
        ),
        ("select 1); x", &["select 1)", "x"]),
    ]);
}

#[test]
fn standard_conforming_strings_are_followed() {
    check(&[
        (
            "set standard_conforming_strings = off; select '\\';\nselect '\\';'; SET standard_conforming_strings TO on;\nselect '\\'; x",
            &[
                "set standard_conforming_strings = off",
                "select '\\'",
                "select '\\';'",
                "SET standard_conforming_strings TO on",
                "select '\\'",
                "x",
            ],
        ),
        (
            "set standard_conforming_strings = off;\nselect B'\\', U&'\\', n'\\';'; x",
            &[
                "set standard_conforming_strings = off",
                "select B'\\', U&'\\', n'\\';'",
                "x",
            ],
        ),
    ]);
}

#[test]
fn escaped_semicolons_join_statements() {
    check(&[
        ("select 1\\; select 2; x", &["select 1; select 2", "x"]),
        ("select 1 \\:\\: int; x", &["select 1 :: int", "x"]),
        ("\\; select 1; x", &["select 1", "x"]),
        ("select 1\\;; x", &["select 1;", "x"]),
    ]);
}

#[test]
fn psql_lines_stand_only_outside_quotes_and_leave_the_statement() {
    let text = "\\connect my_db\r\nselect '\n\\x' \\echo hi; 'there\n, 2;\n  \\restrict abc";
    for chunk_bytes in [1, 2, 3, 1000] {
        let (pieces, ending) = split_in(text.as_bytes(), chunk_bytes, Limits::default());
        let psql_line = |line, command: &str, args: &str| {
            Piece::PsqlLine(PsqlLine {
                line,
                command: command.to_owned(),
                args: args.to_owned(),
            })
        };
        assert_eq!(
            pieces,
            [
                psql_line(1, "connect", "my_db"),
                psql_line(3, "echo", "hi; 'there"),
                Piece::Statement(Statement {
                    text: "select '\n\\x' \n, 2".to_owned(),
                    line: 2
                }),
                psql_line(5, "restrict", "abc"),
            ]
        );
        assert!(ending.unwrap().any_statement);
    }
    let (pieces, _) = split(b"\\");
    assert_eq!(
        pieces,
        [Piece::PsqlLine(PsqlLine {
            line: 1,
            command: String::new(),
            args: String::new()
        })]
    );
}

#[test]
fn nothing_but_a_statement_is_kept() {
    let mut splitter = Splitter::new(Limits::default());
    let mut pieces = Vec::new();
    splitter.push(b"/* ", &mut pieces).unwrap();
    for _ in 0..100 {
        splitter.push("ä ".repeat(1000).as_bytes(), &mut pieces).unwrap();
        assert!(splitter.window.len() <= COMMENT_BYTES + 1);
    }
    splitter.push(b"*/ select 1;   \n\n ", &mut pieces).unwrap();
    assert!(splitter.window.is_empty());
    assert_eq!(texts_of(&pieces), ["select 1"]);
}

mod copy;
mod ends;
