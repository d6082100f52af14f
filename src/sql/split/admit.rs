//! What is let in: statements up to a size, in UTF-8.

use super::SplitError;
use super::Splitter;

/// Whether text may stop in the middle of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    MayGoOn,
    Whole,
}

impl Splitter {
    /// Checks what was read up to here: the size of the statement in hand, then the encoding. What comes first is told.
    pub(super) fn admit(&mut self, to: usize, tail: Tail) -> Result<(), SplitError> {
        let open = self
            .statement
            .map(|open| (open.start, open.line))
            .or_else(|| self.scanner.begun_token());
        if let Some((start, line)) = open {
            let ceiling = start.saturating_add(self.limits.statement_bytes);
            if to > ceiling {
                self.check_utf8(ceiling, Tail::MayGoOn)?;
                return Err(SplitError::StatementTooLarge {
                    line,
                    limit_bytes: self.limits.statement_bytes,
                });
            }
        }
        self.check_utf8(to, tail)
    }

    fn check_utf8(&mut self, to: usize, tail: Tail) -> Result<(), SplitError> {
        if to <= self.checked {
            return Ok(());
        }
        let Err(error) = std::str::from_utf8(&self.window[self.checked..to]) else {
            self.checked = to;
            return Ok(());
        };
        let at = self.checked + error.valid_up_to();
        if error.error_len().is_none() && tail == Tail::MayGoOn {
            self.checked = at;
            return Ok(());
        }
        let n_newlines = self.window[at..self.scanner.pos].split(|&byte| byte == b'\n').count() - 1;
        Err(SplitError::InvalidUtf8 {
            offset: self.origin + at as u64,
            line: self.scanner.line - n_newlines as u64,
        })
    }
}
