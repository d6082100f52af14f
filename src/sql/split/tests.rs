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

fn error_of(text: &[u8]) -> SplitError {
    let (_, ending) = split(text);
    let error = ending.unwrap_err();
    for chunk_bytes in [1, 2, 3] {
        assert_eq!(split_in(text, chunk_bytes, Limits::default()).1.unwrap_err(), error);
    }
    error
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
fn copy_data_pass_through_untouched() {
    let statement = |text: &str, line| Statement {
        text: text.to_owned(),
        line,
    };
    let text = b"select 1;\n\nCOPY t (a) FROM stdin;\n1\t';\\N\n\\.x\n\\\\.\n\xff\0\n\\.\nselect 2;";
    for chunk_bytes in [1, 2, 3, 7, 1000] {
        let (pieces, ending) = split_in(text, chunk_bytes, Limits::default());
        assert_eq!(
            pieces,
            [
                Piece::Statement(statement("select 1", 1)),
                Piece::CopyStart(statement("COPY t (a) FROM stdin", 3)),
                Piece::CopyData(b"1\t';\\N\n\\.x\n\\\\.\n\xff\0\n".to_vec()),
                Piece::CopyEnd { n_rows: 4, line: 8 },
                Piece::Statement(statement("select 2", 9)),
            ]
        );
        assert!(ending.is_ok());
    }
}

#[test]
fn copy_ends_in_all_line_ends_and_at_the_end_of_the_file() {
    for (text, data) in [
        ("copy t from stdin;\r\n1\r\n\\.\r\n", "1\r\n"),
        ("copy t from stdin;\n\\.\n", ""),
        ("copy t from stdin;\n1\n\\.", "1\n"),
        ("copy t from stdin;\n1\n\\.\r", "1\n"),
    ] {
        for chunk_bytes in [1, 2, 1000] {
            let (pieces, ending) = split_in(text.as_bytes(), chunk_bytes, Limits::default());
            assert!(ending.is_ok(), "{text}");
            let read: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| {
                    if let Piece::CopyData(data) = piece {
                        data.clone()
                    } else {
                        Vec::new()
                    }
                })
                .collect();
            assert_eq!(String::from_utf8(read).unwrap(), data);
            assert!(matches!(pieces.last(), Some(Piece::CopyEnd { .. })));
        }
    }
}

#[test]
fn the_rest_of_a_copy_line_is_read_after_the_data() {
    let text = b"copy a from stdin; copy b from stdin; select 1; -- x\n1\n\\.\n2\n\\.\nselect\n\xc3\xa4;";
    for chunk_bytes in [1, 2, 3, 1000] {
        let (pieces, ending) = split_in(text, chunk_bytes, Limits::default());
        assert_eq!(
            texts_of(&pieces),
            ["copy a from stdin", "copy b from stdin", "select 1", "select\nä"]
        );
        let Some(Piece::Statement(last)) = pieces.last() else {
            panic!("{pieces:?}")
        };
        assert_eq!(last.line, 6);
        assert_eq!(
            pieces
                .iter()
                .filter(|piece| matches!(piece, Piece::CopyEnd { n_rows: 1, .. }))
                .count(),
            2
        );
        assert!(ending.is_ok());
    }
}

#[test]
fn a_long_copy_line_streams() {
    let mut splitter = Splitter::new(Limits { statement_bytes: 100 });
    let mut pieces = Vec::new();
    splitter.push(b"copy t from stdin;\n", &mut pieces).unwrap();
    for _ in 0..100 {
        pieces.clear();
        splitter.push(&[b'x'; 1000], &mut pieces).unwrap();
        assert_eq!(pieces, [Piece::CopyData(vec![b'x'; 1000])]);
        assert!(splitter.window.is_empty());
    }
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

#[test]
fn errors_say_where_it_went_wrong() {
    let unclosed = |what, line| SplitError::Unclosed { what, line };
    let cases: [(&[u8], SplitError); 14] = [
        (b"select 1;\nselect '\nx", unclosed(Unclosed::Text, 2)),
        (b"select E'\\'", unclosed(Unclosed::Text, 1)),
        (b"\nselect \"x", unclosed(Unclosed::QuotedName, 2)),
        (b"select $a$\n$b$", unclosed(Unclosed::DollarQuote, 1)),
        (b"\n/* /* */", unclosed(Unclosed::Comment, 2)),
        (b"select\n(1\n,(2);\n\n", unclosed(Unclosed::Parentheses, 2)),
        (
            b"create function f()\nbegin atomic\nselect 1;",
            unclosed(Unclosed::Body, 2),
        ),
        (b"select '\n\0'", SplitError::NulByte { line: 2 }),
        (b"-- x\0", SplitError::NulByte { line: 1 }),
        (
            b"select 1;\n-- \xc3\xa4\xff",
            SplitError::InvalidUtf8 { offset: 15, line: 2 },
        ),
        (
            b"\xef\xbb\xbfselect '\xc3'",
            SplitError::InvalidUtf8 { offset: 11, line: 1 },
        ),
        (b"select 1 as \xc3", SplitError::InvalidUtf8 { offset: 12, line: 1 }),
        (
            b"\ncopy public.t from stdin;\n1\n2\n\\",
            SplitError::InsideCopy {
                table: "public.t".to_owned(),
                n_rows: 2,
                line: 2,
            },
        ),
        (
            b"copy t from stdin",
            SplitError::InsideCopy {
                table: "t".to_owned(),
                n_rows: 0,
                line: 1,
            },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error_of(text), expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn offsets_count_copy_data_too() {
    assert_eq!(
        error_of(b"copy t from stdin; select 1;\n\xff\xff\n\\.\nselect \xff;"),
        SplitError::InvalidUtf8 { offset: 42, line: 4 }
    );
}

#[test]
fn a_large_statement_is_refused_with_its_line() {
    let limits = Limits { statement_bytes: 20 };
    let fits = b"select 1;\n/* a comment is not counted */ select 9012345678901;\nselect 2";
    let exceeds = b"select 1;\n/* a comment is not counted */ select 90123456789012;\nselect 2";
    let line = b"\n\\echo 0123456789012345678901234567890\n";
    for chunk_bytes in [1, 2, 3, 1000] {
        assert_eq!(texts_of(&split_in(fits, chunk_bytes, limits).0).len(), 3);
        for text in [exceeds.as_slice(), line] {
            let (_, ending) = split_in(text, chunk_bytes, limits);
            assert_eq!(
                ending.unwrap_err(),
                SplitError::StatementTooLarge {
                    line: 2,
                    limit_bytes: 20
                }
            );
        }
    }
}

#[test]
fn the_ending_tells_a_whole_dump_from_a_cut_one() {
    let header = "--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n";
    let trailer = "--\n-- PostgreSQL database dump complete\n--\n\n";
    let ending = |text: String| {
        let (_, ending) = split(text.as_bytes());
        ending.unwrap()
    };
    assert!(ending(header.to_owned()).lacks_trailer());
    assert!(!ending(format!("{header}{trailer}")).lacks_trailer());
    assert!(ending(format!("{header}{trailer}{header}")).lacks_trailer());
    assert_eq!(
        ending(format!("{header}{trailer}{header}{trailer}")),
        Ending {
            any_statement: true,
            n_headers: 2,
            n_trailers: 2
        }
    );
    assert!(!ending("select 1".to_owned()).lacks_trailer());
    assert_eq!(ending("-- x\n\\echo hi".to_owned()), Ending::default());
}
