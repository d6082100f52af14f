//! Cuts SQL into tokens by the rules of psql (`src/fe_utils/psqlscan.l`), and can stop anywhere and go on with more bytes.
//! It knows where a token ends, not whether it is legal, and it does not count parentheses: that is `nesting`.

mod class;
mod comment;
mod lexeme;
mod making;
mod number;
mod text;
mod token;

use class::DIGIT;
use class::SPACE;
use class::TAG;
use class::WORD;
use class::is;
use class::skip_while;
use making::Backslashes;
use making::Begun;
use making::Ended;
use making::Making;
use making::Number;
use making::Strings;

pub use lexeme::Lexeme;
pub use lexeme::tokens;
pub use making::Reader;
pub use token::Inside;
pub use token::Kind;
pub use token::More;
pub use token::Token;

/// The lexer. It reads a window of bytes that its owner fills at the end and trims at the front (see [`Scanner::shift`]),
/// and remembers where it stands, so no byte is looked at twice, however small the pieces are in which they arrive.
#[derive(Debug)]
pub struct Scanner {
    /// The next byte of the window to read.
    pub pos: usize,
    /// The line of that byte, counted from 1 by line feeds.
    pub line: u64,
    reader: Reader,
    strings: Strings,
    begun: Option<Begun>,
    ended: Option<Ended>,
}

impl Scanner {
    pub fn new(reader: Reader) -> Scanner {
        Scanner {
            pos: 0,
            line: 1,
            reader,
            strings: Strings::new(),
            begun: None,
            ended: None,
        }
    }

    /// The next token, comments included, or nothing when the window has no whole one left.
    pub fn next(&mut self, window: &[u8], more: More) -> Option<Token> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => match self.begin(window, more)? {
                Begin::Whole(token) => return Some(token),
                Begin::Begun(begun) => begun,
            },
        };
        self.go_on(begun, window, more)
    }

    /// Tells that `standard_conforming_strings` was set. psql learns of it at the next line.
    pub fn set_standard_strings(&mut self, are_standard: bool) {
        self.strings.set(are_standard, self.line);
    }

    /// Tells that the rest of one line is read as the rest of another.
    pub fn move_line(&mut self, from: u64, to: u64) {
        self.line = to;
        self.strings.move_line(from, to);
    }

    /// Tells that the window has lost its first `n` bytes. They must not belong to a token that has begun,
    /// unless it is a comment, which is then reported without them.
    pub fn shift(&mut self, n: usize) {
        self.pos -= n;
        if let Some(begun) = &mut self.begun {
            begun.start = begun.start.saturating_sub(n);
        }
    }

    /// Where an unfinished token starts that belongs to a statement (or is a psql line), with its line.
    pub fn begun_token(&self) -> Option<(usize, u64)> {
        let begun = self.begun.filter(|begun| !begun.is_comment())?;
        Some((begun.start, begun.line))
    }

    /// Where an unfinished comment starts.
    pub fn begun_comment(&self) -> Option<usize> {
        self.begun.filter(Begun::is_comment).map(|begun| begun.start)
    }

    /// After the end of the input: what it ended inside of, and the line where that was opened.
    pub fn inside(&self) -> Option<(Inside, u64)> {
        let begun = self.begun?;
        let inside = match begun.making {
            Making::Text { .. } => Inside::Text,
            Making::QuotedName => Inside::QuotedName,
            Making::DollarText { .. } => Inside::DollarText,
            Making::BlockComment { .. } => Inside::Comment,
            Making::Word
            | Making::Number(_)
            | Making::Variable
            | Making::Parameter
            | Making::Junk(_)
            | Making::Dollar
            | Making::LineComment
            | Making::PsqlLine => return None,
        };
        Some((inside, begun.line))
    }

    fn begin(&mut self, window: &[u8], more: More) -> Option<Begin> {
        self.skip_space(window);
        let start = self.pos;
        let byte = *window.get(start)?;
        let following = window.get(start + 1).copied();
        if following.is_none() && more == More::Yes && matches!(byte, b'-' | b'/' | b':' | b'.' | b'\\') {
            return None;
        }
        let (len, making) = match (byte, following) {
            (b'\'', _) => (
                1,
                Making::Text {
                    backslashes: self.backslashes_of_next_text(),
                },
            ),
            (b'"', _) => (1, Making::QuotedName),
            (b'$', _) => (1, Making::Dollar),
            (b'-', Some(b'-')) => (2, Making::LineComment),
            (b'/', Some(b'*')) => (2, Making::BlockComment { depth: 1 }),
            (b':', Some(following)) if is(following, TAG) => (1, Making::Variable),
            (b'\\', Some(b';' | b':')) => return Some(self.whole(Kind::Escaped, 2)),
            (b'\\', _) => (1, Making::PsqlLine),
            (b'.', Some(following)) if is(following, DIGIT) => (1, Making::Number(Number::Fraction)),
            (b':', Some(b':' | b'=')) | (b'.', Some(b'.')) => return Some(self.whole(Kind::Symbol, 2)),
            (b'(', _) => return Some(self.whole(Kind::Open, 1)),
            (b')', _) => return Some(self.whole(Kind::Close, 1)),
            (b';', _) => return Some(self.whole(Kind::Semicolon, 1)),
            (0, _) => return Some(self.whole(Kind::Nul, 1)),
            _ if is(byte, DIGIT) => (1, Making::Number(Number::Whole)),
            _ if is(byte, WORD) => (1, Making::Word),
            _ => return Some(self.whole(Kind::Symbol, 1)),
        };
        match &mut self.ended {
            Some(ended) if matches!(making, Making::LineComment) => ended.bare = false,
            _ => self.ended = None,
        }
        self.pos += len;
        Some(Begin::Begun(Begun {
            making,
            start,
            line: self.line,
        }))
    }

    fn skip_space(&mut self, window: &[u8]) {
        while let Some(&byte) = window.get(self.pos) {
            if !is(byte, SPACE) {
                return;
            }
            if byte == b'\n' {
                self.line += 1;
            }
            if let Some(ended) = &mut self.ended {
                match (byte, self.reader) {
                    (b'\n', Reader::Psql) if ended.bare => {}
                    (b'\n', Reader::Psql) => self.ended = None,
                    _ => {
                        ended.newline |= matches!(byte, b'\n' | b'\r');
                        ended.bare = false;
                    }
                }
            }
            self.pos += 1;
        }
    }

    fn backslashes_of_next_text(&self) -> Backslashes {
        match self.ended {
            Some(Ended {
                backslashes,
                newline: true,
                ..
            }) => backslashes,
            _ => self.backslashes_of_plain_text(),
        }
    }

    fn backslashes_of_plain_text(&self) -> Backslashes {
        if self.strings.are_standard(self.line) {
            Backslashes::Plain
        } else {
            Backslashes::Escape
        }
    }

    fn whole(&mut self, kind: Kind, len: usize) -> Begin {
        let start = self.pos;
        self.pos += len;
        self.ended = None;
        Begin::Whole(Token {
            kind,
            start,
            end: self.pos,
            line: self.line,
        })
    }

    fn go_on(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        match begun.making {
            Making::Word => self.word(begun, window, more),
            Making::Number(part) => self.number(begun, part, window, more),
            Making::Parameter => self.parameter(begun, window, more),
            Making::Junk(kind) => self.run(begun, window, more, WORD, kind),
            Making::Variable => self.run(begun, window, more, TAG, Kind::Symbol),
            Making::Dollar => self.dollar(begun, window, more),
            Making::Text { backslashes } => self.text(begun, backslashes, window, more),
            Making::QuotedName => self.quoted_name(begun, window, more),
            Making::DollarText { tag_len } => self.dollar_text(begun, tag_len, window, more),
            Making::LineComment => self.line_comment(begun, window, more),
            Making::BlockComment { depth } => self.block_comment(begun, depth, window, more),
            Making::PsqlLine => self.psql_line(begun, window, more),
        }
    }

    fn run(&mut self, begun: Begun, window: &[u8], more: More, class: u8, kind: Kind) -> Option<Token> {
        self.pos = skip_while(window, self.pos, class);
        if self.pos == window.len() && more == More::Yes {
            return self.wait(begun);
        }
        Some(self.done(begun, kind))
    }

    /// A word, unless it turns out to be the letter in front of a string: `E''`, `B''`, `X''`, `N''`, `U&''`, `U&""`.
    fn word(&mut self, begun: Begun, window: &[u8], more: More) -> Option<Token> {
        self.pos = skip_while(window, self.pos, WORD);
        if self.pos == window.len() && more == More::Yes {
            return self.wait(begun);
        }
        if self.pos > begun.start + 1 {
            return Some(self.done(begun, Kind::Word));
        }
        let plain = Making::Text {
            backslashes: Backslashes::Plain,
        };
        let second = window.get(self.pos).copied();
        let (len, making) = match (window[begun.start], second, window.get(self.pos + 1).copied()) {
            (b'e' | b'E', Some(b'\''), _) => (
                1,
                Making::Text {
                    backslashes: Backslashes::Escape,
                },
            ),
            (b'b' | b'B' | b'x' | b'X', Some(b'\''), _) => (1, plain),
            (b'n' | b'N', Some(b'\''), _) => (
                1,
                Making::Text {
                    backslashes: self.backslashes_of_plain_text(),
                },
            ),
            (b'u' | b'U', Some(b'&'), None) if more == More::Yes => return self.wait(begun),
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => (2, plain),
            (b'u' | b'U', Some(b'&'), Some(b'"')) => (2, Making::QuotedName),
            _ => return Some(self.done(begun, Kind::Word)),
        };
        self.pos += len;
        self.go_on(Begun { making, ..begun }, window, more)
    }

    fn newline(&mut self) {
        self.line += 1;
        self.pos += 1;
    }

    fn wait(&mut self, begun: Begun) -> Option<Token> {
        self.begun = Some(begun);
        None
    }

    fn done(&self, begun: Begun, kind: Kind) -> Token {
        Token {
            kind,
            start: begun.start,
            end: self.pos,
            line: begun.line,
        }
    }

    fn nul(&mut self, begun: Begun) -> Token {
        self.begun = Some(begun);
        let start = self.pos;
        self.pos += 1;
        Token {
            kind: Kind::Nul,
            start,
            end: self.pos,
            line: self.line,
        }
    }
}

enum Begin {
    Whole(Token),
    Begun(Begun),
}
