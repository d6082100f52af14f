//! Why a text is no program, in words for the person who wrote it.

use thiserror::Error;

/// A refusal. Line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ProgramError {
    pub line: usize,
    pub column: usize,
    /// A sentence.
    pub message: String,
}

impl ProgramError {
    /// At the byte `at` of the text.
    pub(super) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: line_of(text, at),
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

/// The line of the byte `at`, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}
