//! The data of a COPY on their way through: from the end of its own line to their end mark.

use super::CopyData;
use super::Mode;
use super::More;
use super::Piece;
use super::Run;
use super::SplitError;
use super::Splitter;

impl Splitter {
    /// Reads to the end of a COPY's own line; says whether it is there.
    pub(super) fn end_copy_line(&mut self, more: More) -> Result<bool, SplitError> {
        let Mode::CopyLine { table, line } = &mut self.mode else {
            return Ok(true);
        };
        let start = self.scanner.pos;
        let rest = &self.window[start..];
        let len = match rest.iter().position(|&byte| byte == b'\n') {
            Some(at) => at + 1,
            None if rest.len() > self.limits.statement_bytes => {
                return Err(SplitError::StatementTooLarge {
                    line: *line,
                    limit_bytes: self.limits.statement_bytes,
                });
            }
            None if more == More::Yes => return Ok(false),
            None => rest.len(),
        };
        let mut rest_of_line = rest[..len].to_vec();
        if rest_of_line.trim_ascii().is_empty() {
            rest_of_line = Vec::new();
        }
        let copy = CopyData::new(std::mem::take(table), *line);
        if self.window[start..start + len].ends_with(b"\n") {
            self.scanner.line += 1;
        }
        self.pass(len);
        self.mode = Mode::CopyData { copy, rest_of_line };
        Ok(true)
    }

    pub(super) fn copy_data(&mut self, more: More) -> Option<Piece> {
        let Mode::CopyData { copy, rest_of_line } = &mut self.mode else {
            return None;
        };
        let start = self.scanner.pos;
        match copy.take(&self.window[start..], more) {
            Run::Unknown => None,
            Run::Data { len, n_lines } => {
                self.scanner.line += n_lines;
                self.pass(len);
                Some(Piece::CopyData(self.window[start..start + len].to_vec()))
            }
            Run::EndMark { len } => {
                let line = self.scanner.line;
                let copy_line = line - 1 - copy.n_rows;
                let piece = Piece::CopyEnd {
                    n_rows: copy.n_rows,
                    line,
                };
                let rest_of_line = std::mem::take(rest_of_line);
                self.mode = Mode::Sql;
                if self.window[start..start + len].ends_with(b"\n") {
                    self.scanner.line += 1;
                }
                self.pass(len);
                if !rest_of_line.is_empty() {
                    self.read_again(&rest_of_line);
                    self.scanner.move_line(copy_line, line);
                }
                Some(piece)
            }
        }
    }

    /// Passes over bytes that are not SQL.
    pub(super) fn pass(&mut self, len: usize) {
        self.scanner.pos += len;
        self.checked = self.scanner.pos;
    }

    /// Puts the rest of a COPY's line behind its data, where it is counted as the line of the end mark.
    pub(super) fn read_again(&mut self, rest_of_line: &[u8]) {
        self.trim();
        self.window.splice(0..0, rest_of_line.iter().copied());
        self.origin -= rest_of_line.len() as u64;
    }
}
