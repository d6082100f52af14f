//! What stands between quotes: strings, names, and texts between dollars.

use super::Backslashes;
use super::Begun;
use super::Ended;
use super::Kind;
use super::Making;
use super::More;
use super::Scanner;
use super::Token;
use super::class::DIGIT;
use super::class::DOLLAR_STOP;
use super::class::NAME_STOP;
use super::class::TAG;
use super::class::TEXT_STOP;
use super::class::is;
use super::class::skip_until;
use super::class::skip_while;

impl Scanner {
    /// After a `$`: a parameter, the tag of a dollar quote, or a `$` that means nothing.
    pub(super) fn dollar(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        let after = begun.start + 1;
        if window.get(after).is_some_and(|&byte| is(byte, DIGIT)) {
            return self.go_on(
                Begun {
                    making: Making::Parameter,
                    ..begun
                },
                window,
                more,
            );
        }
        self.pos = skip_while(window, self.pos, TAG);
        match window.get(self.pos) {
            None if more == More::Yes => self.wait(begun),
            Some(b'$') => {
                self.pos += 1;
                let tag_len = self.pos - begun.start;
                self.go_on(
                    Begun {
                        making: Making::DollarText { tag_len },
                        ..begun
                    },
                    window,
                    more,
                )
            }
            _ => {
                self.pos = after;
                Some(self.done(begun, Kind::Symbol))
            }
        }
    }

    pub(super) fn text(&mut self, begun: Begun, backslashes: Backslashes, window: &[u8], more: More) -> Option<Token> {
        loop {
            self.pos = skip_until(window, self.pos, TEXT_STOP);
            let following = window.get(self.pos + 1);
            match window.get(self.pos) {
                None => return self.wait(begun),
                Some(0) => return Some(self.nul(begun)),
                Some(b'\n') => self.newline(),
                Some(b'\'' | b'\\') if following.is_none() && more == More::Yes => return self.wait(begun),
                Some(b'\'') if following != Some(&b'\'') => {
                    self.pos += 1;
                    self.ended = Some(Ended {
                        backslashes,
                        newline: false,
                        bare: true,
                    });
                    return Some(self.done(begun, Kind::Text));
                }
                Some(b'\'') => self.pos += 2,
                Some(_) => match (backslashes, following) {
                    (Backslashes::Escape, Some(b'\'' | b'\\')) => self.pos += 2,
                    _ => self.pos += 1,
                },
            }
        }
    }

    pub(super) fn quoted_name(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        loop {
            self.pos = skip_until(window, self.pos, NAME_STOP);
            match (window.get(self.pos), window.get(self.pos + 1)) {
                (None, _) => return self.wait(begun),
                (Some(0), _) => return Some(self.nul(begun)),
                (Some(b'\n'), _) => self.newline(),
                (Some(_), None) if more == More::Yes => return self.wait(begun),
                (Some(_), Some(b'"')) => self.pos += 2,
                (Some(_), _) => {
                    self.pos += 1;
                    return Some(self.done(begun, Kind::QuotedName));
                }
            }
        }
    }

    pub(super) fn dollar_text(&mut self, begun: Begun, tag_len: usize, window: &[u8], more: More) -> Option<Token> {
        let tag = &window[begun.start..begun.start + tag_len];
        loop {
            self.pos = skip_until(window, self.pos, DOLLAR_STOP);
            match window.get(self.pos) {
                None => return self.wait(begun),
                Some(0) => return Some(self.nul(begun)),
                Some(b'\n') => self.newline(),
                Some(_) => {
                    let rest = &window[self.pos..];
                    if rest.starts_with(tag) {
                        self.pos += tag_len;
                        return Some(self.done(begun, Kind::Text));
                    }
                    if more == More::Yes && tag.starts_with(rest) {
                        return self.wait(begun);
                    }
                    self.pos += 1;
                }
            }
        }
    }
}
