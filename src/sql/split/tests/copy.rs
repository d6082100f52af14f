//! The data of COPY, which no rule of SQL holds for.

use super::*;

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
