//! What the lexer remembers between two looks at its window.

use crate::sql::lexer::Kind;

/// What a token in the making is, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub enum Making {
    Word,
    Number(Number),
    Variable,
    Parameter,
    /// Letters behind the digits of a number or a parameter, which belong to it: of `1e'\'` psql sees the plain string.
    Junk(Kind),
    Dollar,
    Text {
        backslashes: Backslashes,
    },
    QuotedName,
    DollarText {
        tag_len: usize,
    },
    LineComment,
    BlockComment {
        depth: u32,
    },
    PsqlLine,
}

/// How far a number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Whole,
    Fraction,
    /// Behind `e+` or `e-`, with no digit so far.
    Sign,
    Exponent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backslashes {
    Escape,
    Plain,
}

/// A token that has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    pub making: Making,
    pub start: usize,
    pub line: u64,
}

/// A string that has ended, but goes on if another quote follows on a later line.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub backslashes: Backslashes,
    pub newline: bool,
    /// Whether nothing has followed it but line feeds.
    pub bare: bool,
}

/// Whose eyes a string is seen with that ends on one line and goes on on another. psql reads line by line and misses that,
/// unless the lines are parted by carriage returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Psql,
    Server,
}

/// Whether a plain string takes backslashes as they are, as it does since version 9.1.
#[derive(Clone, Copy, Debug)]
pub struct Strings {
    are_standard: bool,
    /// What holds to the end of this line.
    were_standard: bool,
    since_line: u64,
}

impl Strings {
    pub fn new() -> Strings {
        Strings {
            are_standard: true,
            were_standard: true,
            since_line: 0,
        }
    }

    /// From the line after this one on.
    pub fn set(&mut self, are_standard: bool, line: u64) {
        self.were_standard = self.are_standard(line);
        self.are_standard = are_standard;
        self.since_line = line;
    }

    pub fn are_standard(&self, line: u64) -> bool {
        if line > self.since_line {
            self.are_standard
        } else {
            self.were_standard
        }
    }

    /// The rest of one line is read as the rest of another.
    pub fn move_line(&mut self, from: u64, to: u64) {
        if self.since_line == from {
            self.since_line = to;
        }
    }
}

impl Begun {
    pub fn is_comment(&self) -> bool {
        matches!(self.making, Making::LineComment | Making::BlockComment { .. })
    }
}
