//! A place in the tokens of one statement, from which a reader takes what it knows.

use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;
use crate::sql::lexer::tokens;

/// The tokens from one place on. Taking never fails: what is not there is not taken.
#[derive(Clone)]
pub struct Cursor<'a> {
    /// Read on demand: an INSERT may be long, and its first words tell all.
    rest: &'a str,
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor { rest: text, offset: 0 }
    }

    pub fn peek(&self) -> Option<Lexeme<'a>> {
        tokens(self.rest).next()
    }

    /// Where the next token starts in the statement.
    pub fn start(&self) -> Option<usize> {
        self.peek().map(|token| self.offset + token.start)
    }

    pub fn next(&mut self) -> Option<Lexeme<'a>> {
        let token = self.peek()?;
        let end = token.start + token.text.len();
        self.rest = &self.rest[end..];
        self.offset += end;
        Some(token)
    }

    fn next_if(&mut self, wanted: impl FnOnce(Lexeme<'a>) -> bool) -> Option<Lexeme<'a>> {
        let token = self.peek()?;
        if wanted(token) { self.next() } else { None }
    }

    pub fn take(&mut self, keyword: &str) -> bool {
        self.next_if(|token| token.is(keyword)).is_some()
    }

    pub fn take_any(&mut self, keywords: &[&str]) -> bool {
        self.next_if(|token| token.is_any(keywords)).is_some()
    }

    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        self.next_if(|token| token.is_symbol(symbol)).is_some()
    }

    pub fn take_kind(&mut self, kind: Kind) -> bool {
        self.next_if(|token| token.kind == kind).is_some()
    }

    /// Passes over the first place where these keywords follow each other, or over everything.
    pub fn find(&mut self, keywords: &[&str]) -> bool {
        while self.peek().is_some() {
            let mut here = self.clone();
            if keywords.iter().all(|keyword| here.take(keyword)) {
                *self = here;
                return true;
            }
            self.next();
        }
        false
    }

    /// A keyword, in lower case.
    pub fn word(&mut self) -> Option<String> {
        self.next_if(|token| token.kind == Kind::Word)?.name()
    }

    pub fn name(&mut self) -> Option<String> {
        self.next_if(|token| matches!(token.kind, Kind::Word | Kind::QuotedName))?
            .name()
    }

    /// A name with its schema, as it is written.
    pub fn qualified_name(&mut self) -> Option<String> {
        let mut written = self.next_if(|token| token.name().is_some())?.text.to_owned();
        while self.take_symbol(".") {
            written.push('.');
            written.push_str(self.next_if(|token| token.name().is_some())?.text);
        }
        Some(written)
    }

    /// The name of a setting, in lower case, dots included. Those with a syntax of their own get the name they have elsewhere.
    pub fn setting(&mut self) -> Option<String> {
        let mut name = self.name()?.to_ascii_lowercase();
        match name.as_str() {
            "time" if self.take("zone") => return Some("timezone".to_owned()),
            "xml" if self.take("option") => return Some("xmloption".to_owned()),
            "schema" => return Some("search_path".to_owned()),
            _ => {}
        }
        while self.take_symbol(".") {
            name.push('.');
            name.push_str(&self.name()?.to_ascii_lowercase());
        }
        Some(name)
    }

    /// A literal, word or name as a value; nothing for DEFAULT.
    pub fn value(&mut self) -> Option<String> {
        let token = self.next_if(|token| {
            matches!(token.kind, Kind::Text | Kind::Word | Kind::QuotedName | Kind::Number) && !token.is("default")
        })?;
        match token.kind {
            Kind::QuotedName => token.name(),
            _ => Some(token.value()),
        }
    }
}
