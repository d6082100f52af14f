//! Cuts a backslash command into words, or into the tokens of an expression, by the rules of pgbench's `exprscan.l`.
//! A command ends with its line, unless a backslash stands at the end of that.

use crate::sql::pgbench::error::ProgramError;
use crate::sql::pgbench::variable::is_name_char;

/// A token of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Int(i64),
    /// 9223372036854775808, which is an integer behind a minus sign only.
    MinIntMagnitude,
    Double(f64),
    /// Without its colon.
    Variable(&'a str),
    /// A keyword or the name of a function.
    Word(&'a str),
    Symbol(&'static str),
    End,
}

/// The longer ones first.
const SYMBOLS: [&str; 21] = [
    "<>", "!=", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "(", ")", ",", "=", "<", ">", "|", "#", "&", "~",
];

/// The rest of a backslash command.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    /// The whole program.
    text: &'a str,
    pos: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, pos: usize) -> Self {
        Self { text, pos }
    }

    /// Where the next token or word will be looked for.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> ProgramError {
        ProgramError::new(self.text, at, message)
    }

    /// The next run of characters that are not blank, with its place, or nothing at the end of the command.
    pub(super) fn word(&mut self) -> Option<(usize, &'a str)> {
        self.skip_blanks();
        let start = self.pos;
        let rest = &self.text[start..];
        let mut word = &rest[..rest.find(is_blank_or_newline).unwrap_or(rest.len())];
        if let Some(without) = word.strip_suffix('\\')
            && newline_len(&rest[word.len()..]).is_some()
        {
            word = without;
        }
        self.pos += word.len();
        (!word.is_empty()).then_some((start, word))
    }

    /// The next token, with its place.
    pub(super) fn token(&mut self) -> Result<(usize, Token<'a>), ProgramError> {
        self.skip_blanks();
        let start = self.pos;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next().filter(|first| *first != '\n') else {
            return Ok((start, Token::End));
        };
        let (len, token) = if first.is_ascii_digit() || fraction_len(rest) > 1 {
            self.number(rest)?
        } else if first == ':' {
            let len = word_len(&rest[1..]);
            if len == 0 {
                return Err(self.error(start, "The name of a variable should follow the colon."));
            }
            (len + 1, Token::Variable(&rest[1..=len]))
        } else if is_name_char(first) {
            let len = word_len(rest);
            (len, Token::Word(&rest[..len]))
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            let token = if *symbol == "!=" { "<>" } else { symbol };
            (symbol.len(), Token::Symbol(token))
        } else {
            return Err(self.error(start, format!("\"{first}\" has no place in an expression.")));
        };
        self.pos += len;
        Ok((start, token))
    }

    fn number(&self, rest: &'a str) -> Result<(usize, Token<'a>), ProgramError> {
        let whole_len = digits_len(rest);
        let mut len = whole_len;
        if rest[len..].starts_with('.') {
            len += fraction_len(&rest[len..]);
        }
        len += exponent_len(&rest[len..]);
        let text = &rest[..len];
        let token = if len > whole_len {
            double(text).map(Token::Double)
        } else if text == "9223372036854775808" {
            Some(Token::MinIntMagnitude)
        } else {
            text.parse().ok().map(Token::Int)
        };
        let out_of_range = || self.error(self.pos, format!("The number {text} is out of range."));
        Ok((len, token.ok_or_else(out_of_range)?))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.pos..];
            let continued = rest.strip_prefix('\\').and_then(newline_len);
            match (rest.chars().next(), continued) {
                (_, Some(len)) => self.pos += 1 + len,
                (Some(first), None) if first != '\n' && is_blank_or_newline(first) => self.pos += 1,
                _ => return,
            }
        }
    }
}

/// A number as C reads it, unless it is too large or too small for one.
pub(super) fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !mantissa.contains(|char: char| char.is_ascii_digit() && char != '0');
    (value.is_finite() && (value != 0.0 || is_zero)).then_some(value)
}

fn is_blank_or_newline(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}' | '\n')
}

fn newline_len(text: &str) -> Option<usize> {
    ["\n", "\r\n"]
        .iter()
        .find(|newline| text.starts_with(**newline))
        .map(|newline| newline.len())
}

fn word_len(text: &str) -> usize {
    text.find(|char: char| !is_name_char(char)).unwrap_or(text.len())
}

fn digits_len(text: &str) -> usize {
    text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len())
}

/// Of a point and the digits behind it; 1 where there are none, 0 where there is no point.
fn fraction_len(text: &str) -> usize {
    text.strip_prefix('.').map_or(0, |digits| 1 + digits_len(digits))
}

/// Of `e`, sign and digits; 0 where one of them is missing that may not be.
fn exponent_len(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return 0;
    };
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    match digits_len(digits) {
        0 => 0,
        len => text.len() - digits.len() + len,
    }
}
