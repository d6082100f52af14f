//! `COPY ... FROM STDIN` inside a file: which statement is one, and where its data end.

use std::iter::Peekable;

use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;
use crate::sql::lexer::More;
use crate::sql::lexer::tokens;

/// Where a `COPY` reads from or writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// `FROM STDIN` (or `FROM STDOUT`, which the server reads as the same): the data follow in the file.
    FromFile {
        table: String,
    },
    /// From a file or a program of the server.
    FromServer {
        table: String,
    },
    To,
}

/// Reads a statement that starts with `COPY`; nothing if it is another one, or one that no server accepts.
/// The table is given as it is written, without comments.
pub fn read(text: &str) -> Option<Copy> {
    let mut tokens = tokens(text).peekable();
    tokens.next_if(|token| token.is("copy"))?;
    tokens.next_if(|token| token.is("binary"));
    if tokens.next_if(|token| token.kind == Kind::Open).is_some() {
        return Some(Copy::To);
    }
    let table = take_name(&mut tokens)?;
    if tokens.peek().is_some_and(|token| token.kind == Kind::Open) {
        tokens.by_ref().find(|token| token.kind == Kind::Close)?;
    }
    // Dumps of servers before 12 say that they carry OIDs.
    if tokens.next_if(|token| token.is("with")).is_some() {
        tokens.next_if(|token| token.is("oids"))?;
    }
    let direction = tokens.next()?;
    if direction.is("to") {
        return Some(Copy::To);
    }
    if !direction.is("from") {
        return None;
    }
    if tokens.next()?.is_any(&["stdin", "stdout"]) {
        Some(Copy::FromFile { table })
    } else {
        Some(Copy::FromServer { table })
    }
}

/// The table of `COPY table [(columns)] FROM STDIN`, which is what `pg_dump` writes, as it is written. Nothing for any
/// other COPY: only behind this one may an option be added.
pub fn table_of_plain(text: &str) -> Option<String> {
    let mut tokens = tokens(text).peekable();
    tokens.next_if(|token| token.is("copy"))?;
    let table = take_name(&mut tokens)?;
    if tokens.next_if(|token| token.kind == Kind::Open).is_some() {
        let mut columns = tokens
            .by_ref()
            .skip_while(|token| token.kind != Kind::Close && token.kind != Kind::Open);
        columns.next().filter(|token| token.kind == Kind::Close)?;
    }
    tokens.next_if(|token| token.is("from"))?;
    tokens.next_if(|token| token.is("stdin"))?;
    tokens.next().is_none().then_some(table)
}

/// A name with its schema, without comments.
fn take_name<'a>(tokens: &mut Peekable<impl Iterator<Item = Lexeme<'a>>>) -> Option<String> {
    let mut name = String::new();
    while let Some(token) = tokens.next_if(|token| is_part_of_name(token, &name)) {
        name.push_str(token.text);
    }
    (!name.is_empty()).then_some(name)
}

/// Names and dots take turns.
fn is_part_of_name(token: &Lexeme<'_>, so_far: &str) -> bool {
    if so_far.is_empty() || so_far.ends_with('.') {
        matches!(token.kind, Kind::Word | Kind::QuotedName)
    } else {
        token.is_symbol(".")
    }
}

/// The data of one COPY, while they pass by.
#[derive(Debug)]
pub struct CopyData {
    pub table: String,
    pub n_rows: u64,
    /// The line of the statement.
    pub line: u64,
    line_start: LineStart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineStart {
    Here,
    Earlier,
}

/// What stands at the front of the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// So many bytes of data, holding so many line ends.
    Data { len: usize, n_lines: u64 },
    /// The line `\.`, so many bytes with its line end.
    EndMark { len: usize },
    /// More bytes are needed to tell.
    Unknown,
}

impl CopyData {
    pub fn new(table: String, line: u64) -> CopyData {
        CopyData {
            table,
            n_rows: 0,
            line,
            line_start: LineStart::Here,
        }
    }

    /// Takes the longest run of data from the front of `bytes`. A line's end counts as a row's end.
    pub fn take(&mut self, bytes: &[u8], more: More) -> Run {
        let mut len = 0;
        let mut n_lines = 0;
        let mut line_start = self.line_start;
        loop {
            let rest = &bytes[len..];
            let mark = if line_start == LineStart::Here {
                end_mark(rest, more)
            } else {
                Mark::No
            };
            if mark != Mark::No {
                break;
            }
            if let Some(at) = find_newline(rest) {
                len += at + 1;
                n_lines += 1;
                line_start = LineStart::Here;
            } else {
                len = bytes.len();
                line_start = LineStart::Earlier;
                break;
            }
        }
        if len > 0 {
            self.line_start = line_start;
            self.n_rows += n_lines;
            return Run::Data { len, n_lines };
        }
        match end_mark(bytes, more) {
            Mark::Yes(len) if self.line_start == LineStart::Here => Run::EndMark { len },
            _ => Run::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Yes(usize),
    No,
    Perhaps,
}

/// Whether a line that starts here is the end mark. A file may end behind the mark without a line end.
fn end_mark(line: &[u8], more: More) -> Mark {
    for mark in [b"\\.\n".as_slice(), b"\\.\r\n"] {
        if line.starts_with(mark) {
            return Mark::Yes(mark.len());
        }
    }
    match (line, more) {
        (b"\\." | b"\\.\r", More::No) => Mark::Yes(line.len()),
        (b"" | b"\\" | b"\\." | b"\\.\r", More::Yes) | (b"", More::No) => Mark::Perhaps,
        _ => Mark::No,
    }
}

/// The first line feed. Blocks are tested whole first, which the compiler turns into vector instructions.
fn find_newline(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let mut from = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(0, |found, &byte| found | u8::from(byte == b'\n')) != 0 {
            break;
        }
        from += BLOCK;
    }
    bytes[from..].iter().position(|&byte| byte == b'\n').map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_from_stdin_is_told_from_everything_that_looks_like_it() {
        let from_file = |table: &str| {
            Some(Copy::FromFile {
                table: table.to_owned(),
            })
        };
        let from_server = |table: &str| {
            Some(Copy::FromServer {
                table: table.to_owned(),
            })
        };
        let cases = [
            ("COPY t FROM stdin", from_file("t")),
            (
                "copy public.t (a, \"b)\", c) from STDIN with (format csv)",
                from_file("public.t"),
            ),
            ("Copy/* x */\"My T\" -- from 'f'\nFROM\tStdin", from_file("\"My T\"")),
            ("COPY t (a) WITH OIDS FROM stdin", from_file("t")),
            ("COPY BINARY t FROM STDIN", from_file("t")),
            ("COPY t FROM STDOUT", from_file("t")),
            ("COPY copy FROM stdin", from_file("copy")),
            ("COPY \"from\".stdin FROM stdin", from_file("\"from\".stdin")),
            ("COPY t FROM 'stdin'", from_server("t")),
            ("COPY t FROM \"stdin\"", from_server("t")),
            ("COPY t FROM PROGRAM 'stdin'", from_server("t")),
            ("COPY stdin TO STDOUT", Some(Copy::To)),
            ("COPY (SELECT 1 FROM stdin) TO STDOUT", Some(Copy::To)),
            ("COPY (t) FROM STDIN", Some(Copy::To)),
            ("SELECT copy FROM stdin", None),
            ("COPY", None),
            ("COPY t", None),
            ("\"copy\" t FROM stdin", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_copy_as_pg_dump_writes_it_takes_an_option() {
        for (text, table) in [
            ("COPY public.t (a, \"b)\") FROM stdin", Some("public.t")),
            ("copy \"My T\"/* x */FROM STDIN", Some("\"My T\"")),
            ("COPY t FROM STDOUT", None),
            ("COPY BINARY t FROM stdin", None),
            ("COPY t (a) WITH OIDS FROM stdin", None),
            ("COPY t FROM stdin WITH (FORMAT csv)", None),
            ("COPY t FROM stdin WHERE a > 1", None),
            ("COPY t (a) (b) FROM stdin", None),
            ("COPY t ((a)) FROM stdin", None),
            ("COPY t (a FROM stdin", None),
            ("COPY t. FROM stdin", None),
            ("COPY t FROM stdin; TRUNCATE t", None),
            ("COPY t TO STDOUT", None),
        ] {
            assert_eq!(table_of_plain(text).as_deref(), table, "{text}");
        }
    }

    #[test]
    fn a_newline_is_found_wherever_it_is() {
        for len in 0..100 {
            let mut bytes = vec![b'x'; 100];
            bytes[len] = b'\n';
            assert_eq!(find_newline(&bytes), Some(len));
            assert_eq!(find_newline(&bytes[..len]), None);
        }
    }
}
