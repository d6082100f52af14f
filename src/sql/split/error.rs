//! What makes a file impossible to split, in words for the person who has the file.

use std::fmt;

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SplitError {
    #[error("The statement that starts at line {line} is larger than {}.", Size(*limit_bytes))]
    StatementTooLarge { line: u64, limit_bytes: usize },
    #[error("There is a NUL byte at line {line}, outside of COPY data. This is not SQL text.")]
    NulByte { line: u64 },
    /// `offset` counts bytes of the text as it was pushed, from 0.
    #[error("The text is not valid UTF-8 at byte {offset}, in line {line}.")]
    InvalidUtf8 { offset: u64, line: u64 },
    #[error("The file ends inside {what} that was opened at line {line}.")]
    Unclosed { what: Unclosed, line: u64 },
    #[error(
        "The file ends inside the data of {table}: the COPY at line {line} has {n_rows} rows and no end mark (\\.)."
    )]
    InsideCopy { table: String, n_rows: u64, line: u64 },
}

impl SplitError {
    /// The line that it is about, from 1.
    pub fn line(&self) -> u64 {
        match self {
            SplitError::StatementTooLarge { line, .. }
            | SplitError::NulByte { line }
            | SplitError::InvalidUtf8 { line, .. }
            | SplitError::Unclosed { line, .. }
            | SplitError::InsideCopy { line, .. } => *line,
        }
    }
}

/// What a file can end inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclosed {
    Text,
    QuotedName,
    DollarQuote,
    Comment,
    Parentheses,
    Body,
}

impl fmt::Display for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unclosed::Text => "a string",
            Unclosed::QuotedName => "a quoted name",
            Unclosed::DollarQuote => "a dollar-quoted string",
            Unclosed::Comment => "a comment",
            Unclosed::Parentheses => "parentheses",
            Unclosed::Body => "the body of a function",
        })
    }
}

struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1024 * 1024;
        if self.0 >= MIB && self.0.is_multiple_of(MIB) {
            write!(f, "{} MiB", self.0 / MIB)
        } else {
            write!(f, "{} bytes", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences_with_the_line() {
        let cases = [
            (
                SplitError::StatementTooLarge {
                    line: 3,
                    limit_bytes: 64 * 1024 * 1024,
                },
                "The statement that starts at line 3 is larger than 64 MiB.",
            ),
            (
                SplitError::StatementTooLarge {
                    line: 3,
                    limit_bytes: 1000,
                },
                "The statement that starts at line 3 is larger than 1000 bytes.",
            ),
            (
                SplitError::Unclosed {
                    what: Unclosed::DollarQuote,
                    line: 7,
                },
                "The file ends inside a dollar-quoted string that was opened at line 7.",
            ),
            (
                SplitError::InsideCopy {
                    table: "public.t5".to_owned(),
                    n_rows: 138,
                    line: 40,
                },
                "The file ends inside the data of public.t5: the COPY at line 40 has 138 rows and no end mark (\\.).",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
