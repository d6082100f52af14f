//! How a file ends: whole, cut off, or where it went wrong.

use super::*;

fn error_of(text: &[u8]) -> SplitError {
    let (_, ending) = split(text);
    let error = ending.unwrap_err();
    for chunk_bytes in [1, 2, 3] {
        assert_eq!(split_in(text, chunk_bytes, Limits::default()).1.unwrap_err(), error);
    }
    error
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
