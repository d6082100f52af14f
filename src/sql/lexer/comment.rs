//! What is not SQL: comments, and lines for psql.

use super::Begun;
use super::Kind;
use super::Making;
use super::More;
use super::Scanner;
use super::Token;
use super::class::COMMENT_STOP;
use super::class::skip_until;

impl Scanner {
    /// A comment that begins with two dashes.
    pub(super) fn line_comment(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        self.rest_of_line(begun, Kind::Comment, b"\n\r", window, more)
    }

    pub(super) fn psql_line(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        self.rest_of_line(begun, Kind::PsqlLine, b"\n", window, more)
    }

    fn rest_of_line(&mut self, begun: Begun, kind: Kind, ends: &[u8], window: &[u8], more: More) -> Option<Token> {
        loop {
            self.pos = skip_until(window, self.pos, COMMENT_STOP);
            match window.get(self.pos) {
                None if more == More::Yes => return self.wait(begun),
                Some(0) => return Some(self.nul(begun)),
                Some(byte) if !ends.contains(byte) => self.pos += 1,
                _ => return Some(self.done(begun, kind)),
            }
        }
    }

    pub(super) fn block_comment(&mut self, begun: Begun, mut depth: u32, window: &[u8], more: More) -> Option<Token> {
        loop {
            self.pos = skip_until(window, self.pos, COMMENT_STOP);
            let so_far = Begun {
                making: Making::BlockComment { depth },
                ..begun
            };
            match (window.get(self.pos), window.get(self.pos + 1)) {
                (None, _) => return self.wait(so_far),
                (Some(0), _) => return Some(self.nul(so_far)),
                (Some(b'\n'), _) => self.newline(),
                (Some(b'*' | b'/'), None) if more == More::Yes => return self.wait(so_far),
                (Some(b'/'), Some(b'*')) => {
                    depth = depth.saturating_add(1);
                    self.pos += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.pos += 2;
                    if depth == 0 {
                        return Some(self.done(begun, Kind::Comment));
                    }
                }
                (Some(_), _) => self.pos += 1,
            }
        }
    }
}
