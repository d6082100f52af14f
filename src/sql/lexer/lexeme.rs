//! The tokens of one statement as text, for those who read what it says.

use crate::sql::lexer::Kind;
use crate::sql::lexer::More;
use crate::sql::lexer::Reader;
use crate::sql::lexer::Scanner;

/// A token of a statement that is at hand as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Lexeme<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Where it starts in the statement.
    pub start: usize,
}

impl Lexeme<'_> {
    /// Whether it is this keyword, given in lower case. A quoted name is never a keyword.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    pub fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// The name it stands for: folded to lower case, or without its quotes. Nothing if it cannot be a name.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase()),
            Kind::QuotedName => Some(between(self.text, '"').replace("\"\"", "\"")),
            _ => None,
        }
    }

    /// The value of a literal, as far as names of settings, encodings and locales need it: quotes are taken off and `''`
    /// and doubled backslashes of `E''` undone, no other escape is. Anything else is returned as it is written.
    pub fn value(&self) -> String {
        if self.kind != Kind::Text {
            return self.text.to_owned();
        }
        if self.text.starts_with('$') {
            let tag_len = self.text[1..].find('$').map_or(0, |at| at + 2);
            return self.text[tag_len..self.text.len() - tag_len].to_owned();
        }
        let value = between(self.text, '\'').replace("''", "'");
        if self.text.starts_with(['e', 'E']) {
            value.replace("\\\\", "\\")
        } else {
            value
        }
    }
}

/// What stands between the first and the last `quote`.
fn between(text: &str, quote: char) -> &str {
    match (text.find(quote), text.rfind(quote)) {
        (Some(first), Some(last)) if first < last => &text[first + 1..last],
        _ => text,
    }
}

/// The tokens of one statement without its comments, read as a server of today reads them. An unfinished one is left out.
pub fn tokens(text: &str) -> impl Iterator<Item = Lexeme<'_>> {
    let mut scanner = Scanner::new(Reader::Server);
    std::iter::from_fn(move || scanner.next(text.as_bytes(), More::No))
        .filter(|token| !matches!(token.kind, Kind::Comment | Kind::Nul))
        .map(|token| Lexeme {
            kind: token.kind,
            text: &text[token.start..token.end],
            start: token.start,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_token_is_told_apart() {
        let read = |text| tokens(text).map(|token| (token.kind, token.text)).collect::<Vec<_>>();
        assert_eq!(
            read("Ab$1 \"x\"\"\" -- c\n$12 $a$;$a$ U&'x' u&\"y\" 1.5e-3::int :v\\;/**/(+);"),
            [
                (Kind::Word, "Ab$1"),
                (Kind::QuotedName, "\"x\"\"\""),
                (Kind::Parameter, "$12"),
                (Kind::Text, "$a$;$a$"),
                (Kind::Text, "U&'x'"),
                (Kind::QuotedName, "u&\"y\""),
                (Kind::Number, "1.5e-3"),
                (Kind::Symbol, "::"),
                (Kind::Word, "int"),
                (Kind::Symbol, ":v"),
                (Kind::Escaped, "\\;"),
                (Kind::Open, "("),
                (Kind::Symbol, "+"),
                (Kind::Close, ")"),
                (Kind::Semicolon, ";"),
            ]
        );
        assert_eq!(read("\\x y 'z\n1"), [(Kind::PsqlLine, "\\x y 'z"), (Kind::Number, "1")]);
        assert_eq!(read("a 'unfinished"), [(Kind::Word, "a")]);
        assert_eq!(
            read("1..2 3.x .5 6e-y $1a$"),
            [
                (Kind::Number, "1"),
                (Kind::Symbol, ".."),
                (Kind::Number, "2"),
                (Kind::Number, "3.x"),
                (Kind::Number, ".5"),
                (Kind::Number, "6e-"),
                (Kind::Word, "y"),
                (Kind::Parameter, "$1a$"),
            ]
        );
        assert_eq!(
            read("E'a'\n-- b\n'\\';'"),
            [(Kind::Text, "E'a'"), (Kind::Text, "'\\';'")],
            "a server joins them"
        );
    }

    #[test]
    fn names_and_values_lose_their_quotes() {
        let first = |text| tokens(text).next().unwrap();
        assert_eq!(first("MiXed").name().unwrap(), "mixed");
        assert_eq!(first("\"MiX\"\"ed\"").name().unwrap(), "MiX\"ed");
        assert_eq!(first("'x'").name(), None);
        for (text, value) in [
            ("'it''s'", "it's"),
            ("E'a\\\\b'", "a\\b"),
            ("$$x$$", "x"),
            ("$a$x$a$", "x"),
            ("utf8", "utf8"),
            ("12", "12"),
        ] {
            assert_eq!(first(text).value(), value);
        }
    }

    #[test]
    fn a_quoted_word_is_no_keyword() {
        let is_select = |text| tokens(text).next().unwrap().is("select");
        assert!(is_select("SeLect"));
        assert!(!is_select("\"select\""));
    }
}
