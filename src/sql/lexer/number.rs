//! Numbers and parameters, with the letters that stand right behind them.

use super::Begun;
use super::Kind;
use super::Making;
use super::More;
use super::Number;
use super::Scanner;
use super::Token;
use super::class::DIGIT;
use super::class::TAG;
use super::class::is;
use super::class::skip_while;

impl Scanner {
    /// Digits, a point, an exponent. `1..2` are two numbers with two points between, and the dash of `1e--` is the number's.
    pub(super) fn number(&mut self, begun: Begun, mut part: Number, window: &[u8], more: More) -> Option<Token> {
        loop {
            let so_far = Begun {
                making: Making::Number(part),
                ..begun
            };
            let from = self.pos;
            self.pos = skip_while(window, from, DIGIT);
            if part == Number::Sign && self.pos > from {
                part = Number::Exponent;
                continue;
            }
            let following = window.get(self.pos + 1).copied();
            match window.get(self.pos).copied() {
                None if more == More::Yes => return self.wait(so_far),
                Some(b'.' | b'e' | b'E') if following.is_none() && more == More::Yes => return self.wait(so_far),
                Some(b'.') if part == Number::Whole && following != Some(b'.') => {
                    self.pos += 1;
                    part = Number::Fraction;
                }
                Some(b'e' | b'E')
                    if matches!(part, Number::Whole | Number::Fraction) && matches!(following, Some(b'+' | b'-')) =>
                {
                    self.pos += 2;
                    part = Number::Sign;
                }
                Some(byte) if is(byte, TAG) && part != Number::Sign => {
                    return self.junk(begun, Kind::Number, window, more);
                }
                _ => return Some(self.done(begun, Kind::Number)),
            }
        }
    }

    pub(super) fn parameter(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        self.pos = skip_while(window, self.pos, DIGIT);
        match window.get(self.pos) {
            None if more == More::Yes => self.wait(begun),
            Some(&byte) if is(byte, TAG) => self.junk(begun, Kind::Parameter, window, more),
            _ => Some(self.done(begun, Kind::Parameter)),
        }
    }

    fn junk(&mut self, begun: Begun, kind: Kind, window: &[u8], more: More) -> Option<Token> {
        let making = Making::Junk(kind);
        self.go_on(Begun { making, ..begun }, window, more)
    }
}
