//! Puts an SQL command together from its tokens.

use std::ops::Range;

use crate::sql::lexer::Kind;
use crate::sql::lexer::Token;
use crate::sql::lexer::tokens;
use crate::sql::pgbench::Statement;
use crate::sql::pgbench::variable::Place;
use crate::sql::pgbench::variable::find_uses;

/// An SQL command in the making.
#[derive(Debug)]
pub(super) struct Draft {
    /// In the program.
    start: usize,
    /// So much of the program is in the text.
    end: usize,
    text: String,
    places: Vec<(Range<usize>, Place)>,
    /// Whether anything but comments was added since the start or the last `\;`.
    has_query: bool,
    n_queries: usize,
}

impl Draft {
    pub(super) fn new(start: usize) -> Self {
        Self {
            start,
            end: start,
            text: String::new(),
            places: Vec::new(),
            has_query: false,
            n_queries: 0,
        }
    }

    /// A command of nothing.
    pub(super) fn empty() -> Statement {
        Statement {
            text: ";".to_owned(),
            is_compound: false,
            variables: Vec::new(),
            gset: None,
        }
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Adds a token of the program with what stands in front of it.
    pub(super) fn add(&mut self, program: &str, token: Token) {
        self.text.push_str(&program[self.end..token.start]);
        self.end = token.end;
        let start = self.text.len();
        let text = &program[token.start..token.end];
        self.text.push_str(match token.kind {
            Kind::Escaped => &text[1..],
            _ => text,
        });
        match token.kind {
            Kind::Comment => self.places.push((start..self.text.len(), Place::Comment)),
            Kind::Text | Kind::QuotedName => self.places.push((start..self.text.len(), Place::Quotes)),
            _ => {}
        }
        match token.kind {
            Kind::Comment => {}
            Kind::Escaped if text == "\\;" => self.has_query = false,
            _ if !self.has_query => {
                self.has_query = true;
                self.n_queries += 1;
            }
            _ => {}
        }
    }

    /// Nothing if it is all comments.
    pub(super) fn finish(self) -> Option<Statement> {
        (self.n_queries > 0).then(|| Statement {
            variables: find_uses(&self.text, &self.places),
            text: self.text,
            is_compound: self.n_queries > 1,
            gset: None,
        })
    }
}

impl Statement {
    /// Whether it is a COPY whose data would have to come from us or go to us.
    pub(super) fn copies_to_or_from_client(&self) -> bool {
        let mut words = tokens(&self.text).filter(|token| token.kind == Kind::Word);
        words.next().is_some_and(|word| word.is("copy")) && words.any(|word| word.is_any(&["stdin", "stdout"]))
    }
}
