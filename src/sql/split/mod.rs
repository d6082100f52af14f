//! Cuts a dump or a script into statements, COPY data and psql's own lines, by psql's rules and in bounded memory.
//! It executes nothing and judges nothing: a line for psql is handed on like a statement.

mod admit;
mod copy;
mod data;
mod error;
mod meaning;
mod piece;
mod script;

use crate::sql::lexer::Inside;
use crate::sql::lexer::Kind;
use crate::sql::lexer::More;
use crate::sql::lexer::Reader;
use crate::sql::lexer::Scanner;
use crate::sql::lexer::Token;
use crate::sql::nesting::Level;
use crate::sql::nesting::Nesting;

use admit::Tail;
use copy::CopyData;
use copy::Run;
use meaning::standard_strings;
use meaning::starts_with_copy;

pub(super) use copy::Copy;
pub(super) use copy::read as read_copy;
pub use copy::table_of_plain as table_of_plain_copy;
pub use error::SplitError;
pub use error::Unclosed;
pub use piece::Ending;
pub use piece::Limits;
pub use piece::Piece;
pub use piece::PsqlLine;
pub use piece::Statement;
pub use script::ScriptItem;
pub use script::script;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// How much is taken in at a time, however much is pushed at once.
const SLICE_BYTES: usize = 256 * 1024;

/// Longer comments are not looked at, so they need not be kept: marks and labels are short.
const COMMENT_BYTES: usize = 1024;

/// A label is cut to so many characters.
const LABEL_CHARS: usize = 100;

/// Takes a file in chunks of any size and gives its pieces. How it is cut into chunks does not change them, except that
/// the data of a COPY come in other runs. After an error there is nothing more to ask of it.
#[derive(Debug)]
pub struct Splitter {
    limits: Limits,
    scanner: Scanner,
    /// What is not done with: the statement in hand, and what has just arrived.
    window: Vec<u8>,
    /// Where the window starts in the input.
    origin: u64,
    /// So much of the window is known to be UTF-8, or data that need not be.
    checked: usize,
    statement: Option<Open>,
    nesting: Nesting,
    mode: Mode,
    /// The last `name:` in a comment since the last statement.
    label: Option<String>,
    ending: Ending,
}

/// A statement in hand, as places in the window.
#[derive(Clone, Copy, Debug)]
struct Open {
    start: usize,
    /// Behind its last token so far.
    end: usize,
    line: u64,
    /// Whether bytes in it were blotted out with NULs.
    blotted: bool,
}

#[derive(Debug)]
enum Mode {
    /// At the first byte, where a byte order mark may stand.
    Top,
    Sql,
    /// Behind the semicolon of a COPY. As under psql, what else is on its line is read after the data.
    CopyLine {
        table: String,
        line: u64,
    },
    CopyData {
        copy: CopyData,
        rest_of_line: Vec<u8>,
    },
}

impl Splitter {
    pub fn new(limits: Limits) -> Splitter {
        Splitter {
            limits,
            scanner: Scanner::new(Reader::Psql),
            window: Vec::new(),
            origin: 0,
            checked: 0,
            statement: None,
            nesting: Nesting::default(),
            mode: Mode::Top,
            label: None,
            ending: Ending::default(),
        }
    }

    /// Reads on and adds the pieces that are now whole. Pieces added before an error are good.
    pub fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> Result<(), SplitError> {
        for slice in bytes.chunks(SLICE_BYTES) {
            self.window.extend_from_slice(slice);
            while let Some(piece) = self.step(More::Yes)? {
                pieces.push(piece);
            }
            self.trim();
        }
        Ok(())
    }

    /// Ends the file: the last statement needs no semicolon, but nothing may be left open.
    pub fn finish(mut self, pieces: &mut Vec<Piece>) -> Result<Ending, SplitError> {
        while let Some(piece) = self.step(More::No)? {
            pieces.push(piece);
        }
        if let Some(piece) = self.last_statement()? {
            pieces.push(piece);
        }
        self.into_ending()
    }

    /// The next piece, or nothing until there is more input.
    fn step(&mut self, more: More) -> Result<Option<Piece>, SplitError> {
        loop {
            match &self.mode {
                Mode::Top => {
                    if more == More::Yes && self.window.len() < BOM.len() && BOM.starts_with(&self.window) {
                        return Ok(None);
                    }
                    if self.window.starts_with(BOM) {
                        self.scanner.pos = BOM.len();
                    }
                    self.mode = Mode::Sql;
                }
                Mode::Sql => return self.sql(more),
                Mode::CopyLine { .. } => {
                    if !self.end_copy_line(more)? {
                        return Ok(None);
                    }
                }
                Mode::CopyData { .. } => return Ok(self.copy_data(more)),
            }
        }
    }

    fn sql(&mut self, more: More) -> Result<Option<Piece>, SplitError> {
        while let Some(token) = self.scanner.next(&self.window, more) {
            match token.kind {
                Kind::Comment => {
                    if self.statement.is_none() {
                        self.read_comment(token);
                    }
                }
                Kind::Semicolon if self.nesting.is_flat() => {
                    self.admit(token.start, Tail::Whole)?;
                    if let Some(piece) = self.end_statement() {
                        return Ok(Some(piece));
                    }
                }
                Kind::PsqlLine => return self.psql_line(token).map(Some),
                Kind::Nul => {
                    self.admit(token.start, Tail::Whole)?;
                    return Err(SplitError::NulByte { line: token.line });
                }
                _ => self.add(token),
            }
        }
        let tail = if more == More::Yes { Tail::MayGoOn } else { Tail::Whole };
        self.admit(self.scanner.pos, tail)?;
        Ok(None)
    }

    /// Counts a token to the statement in hand, or starts one with it.
    fn add(&mut self, token: Token) {
        match token.kind {
            Kind::Open => self.nesting.open(token.line),
            Kind::Close => self.nesting.close(),
            Kind::Word => self.nesting.word(&self.window[token.start..token.end], token.line),
            Kind::Escaped if self.window[token.start + 1] == b';' => {
                self.nesting.escaped_semicolon();
                if self.statement.is_none() {
                    return;
                }
            }
            _ => {}
        }
        let statement = self.statement.get_or_insert(Open {
            start: token.start,
            end: 0,
            line: token.line,
            blotted: false,
        });
        statement.end = token.end;
        if token.kind == Kind::Escaped {
            statement.blotted = true;
            self.window[token.start] = 0;
        }
    }

    /// Gives the statement in hand, if there is one, and makes ready for the next.
    fn end_statement(&mut self) -> Option<Piece> {
        self.nesting = Nesting::default();
        let open = self.statement.take()?;
        let mut text = self.window[open.start..open.end].to_vec();
        if open.blotted {
            text.retain(|&byte| byte != 0);
        }
        let text = String::from_utf8(text).expect("checked, and only whole ASCII characters were taken out");
        self.ending.any_statement = true;
        if let Some(standard_strings) = standard_strings(&text) {
            self.scanner.set_standard_strings(standard_strings);
        }
        let copy = if starts_with_copy(&text) {
            copy::read(&text)
        } else {
            None
        };
        let statement = Statement { text, line: open.line };
        if let Some(Copy::FromFile { table }) = copy {
            self.mode = Mode::CopyLine { table, line: open.line };
            Some(Piece::CopyStart(statement))
        } else {
            Some(Piece::Statement(statement))
        }
    }

    fn psql_line(&mut self, token: Token) -> Result<Piece, SplitError> {
        let in_statement = self.statement.is_some();
        if !in_statement && token.end - token.start > self.limits.statement_bytes {
            return Err(SplitError::StatementTooLarge {
                line: token.line,
                limit_bytes: self.limits.statement_bytes,
            });
        }
        self.admit(token.end, Tail::Whole)?;
        let line = &mut self.window[token.start..token.end];
        let text = String::from_utf8_lossy(&line[1..]);
        let name_len = text
            .find(|char: char| char.is_ascii_whitespace() || char == '\\')
            .unwrap_or(text.len());
        let psql_line = PsqlLine {
            line: token.line,
            command: text[..name_len].to_owned(),
            args: text[name_len..].trim().to_owned(),
        };
        if matches!(psql_line.command.as_str(), "c" | "connect") {
            self.scanner.set_standard_strings(true);
        }
        if let Some(open) = &mut self.statement {
            line.fill(0);
            open.blotted = true;
        }
        Ok(Piece::PsqlLine(psql_line))
    }

    /// Looks for what a comment between statements says to us.
    fn read_comment(&mut self, token: Token) {
        let comment = &self.window[token.start..token.end];
        if comment.len() > COMMENT_BYTES {
            return;
        }
        let comment = String::from_utf8_lossy(comment);
        let (comment, is_line) = match comment.strip_prefix("--") {
            Some(text) => (text.trim(), true),
            None => (comment.trim_start_matches("/*").trim_end_matches("*/").trim(), false),
        };
        if let Some(label) = comment.strip_prefix("name:") {
            let label = label.lines().next().unwrap_or_default().trim();
            if !label.is_empty() {
                self.label = Some(label.chars().take(LABEL_CHARS).collect());
            }
        }
        match comment {
            // One that stands in the middle of other SQL was pasted there, and nobody pastes the end mark.
            "PostgreSQL database dump" | "PostgreSQL database cluster dump"
                if is_line && (self.ending.n_headers > 0 || !self.ending.any_statement) =>
            {
                self.ending.n_headers += 1;
            }
            "PostgreSQL database dump complete" | "PostgreSQL database cluster dump complete" if is_line => {
                self.ending.n_trailers += 1;
            }
            _ => {}
        }
    }

    /// Forgets what is done with.
    fn trim(&mut self) {
        let mut keep = self.scanner.pos.min(self.checked);
        if let Some(open) = self.statement {
            keep = keep.min(open.start);
        } else if let Some(start) = self.scanner.begun_comment() {
            keep = keep.min(start.max(self.scanner.pos.saturating_sub(COMMENT_BYTES + 1)));
        }
        if let Some((start, _)) = self.scanner.begun_token() {
            keep = keep.min(start);
        }
        self.window.drain(..keep);
        self.origin += keep as u64;
        self.checked -= keep;
        self.scanner.shift(keep);
        if let Some(open) = &mut self.statement {
            open.start -= keep;
            open.end -= keep;
        }
        if self.window.capacity() > 8 * SLICE_BYTES && self.window.len() < SLICE_BYTES {
            self.window.shrink_to(2 * SLICE_BYTES);
        }
    }

    /// At the end of the input: the statement in hand, if nothing in it is left open.
    fn last_statement(&mut self) -> Result<Option<Piece>, SplitError> {
        if let Some((inside, line)) = self.scanner.inside() {
            let what = match inside {
                Inside::Text => Unclosed::Text,
                Inside::QuotedName => Unclosed::QuotedName,
                Inside::DollarText => Unclosed::DollarQuote,
                Inside::Comment => Unclosed::Comment,
            };
            return Err(SplitError::Unclosed { what, line });
        }
        match self.nesting.level() {
            Level::Flat => Ok(self.end_statement()),
            Level::Parentheses(line) => Err(SplitError::Unclosed {
                what: Unclosed::Parentheses,
                line,
            }),
            Level::Body(line) => Err(SplitError::Unclosed {
                what: Unclosed::Body,
                line,
            }),
        }
    }

    /// At the end of the input, when every piece is out.
    fn into_ending(self) -> Result<Ending, SplitError> {
        match self.mode {
            Mode::Top | Mode::Sql => Ok(self.ending),
            Mode::CopyLine { table, line } => Err(SplitError::InsideCopy { table, n_rows: 0, line }),
            Mode::CopyData { copy, .. } => Err(SplitError::InsideCopy {
                table: copy.table,
                n_rows: copy.n_rows,
                line: copy.line,
            }),
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
