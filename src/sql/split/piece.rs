//! What goes into the splitter beside the text, and what comes out of it.

/// How much the splitter may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From a statement's first token to its semicolon. A psql line counts as a statement.
    pub statement_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            statement_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What a file is made of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Statement(Statement),
    /// A `COPY ... FROM STDIN`; its data and its end follow.
    CopyStart(Statement),
    /// Bytes of the data as they stand in the file, cut anywhere, never empty.
    CopyData(Vec<u8>),
    /// The line `\.`. Rows are counted by line ends, so a CSV field with line ends in it counts as several.
    CopyEnd {
        n_rows: u64,
        line: u64,
    },
    PsqlLine(PsqlLine),
}

/// One statement, from its first token to its last: no semicolon, no space and no comment around it, those inside kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What psql would send: a psql line in the middle is taken out, and `\;` is a semicolon.
    pub text: String,
    /// The line of the first token, from 1.
    pub line: u64,
}

/// A backslash command, which takes the rest of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PsqlLine {
    pub line: u64,
    /// The name without the backslash: `connect`.
    pub command: String,
    /// The rest of the line, trimmed.
    pub args: String,
}

/// What a file as a whole was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Whether there was any statement, a COPY included.
    pub any_statement: bool,
    /// Comments by which `pg_dump` and `pg_dumpall` open a dump. A file can hold several dumps.
    pub n_headers: u32,
    /// Comments by which they close it.
    pub n_trailers: u32,
}

impl Ending {
    /// Whether a dump was begun and not closed, which is how a truncated file looks that was cut between statements.
    pub fn lacks_trailer(&self) -> bool {
        self.n_trailers < self.n_headers
    }
}
