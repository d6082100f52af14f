//! What the lexer gives, and what it is told of its window.

/// Whether bytes may follow the ones in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a name without quotes.
    Word,
    QuotedName,
    /// A string literal of any of the six sorts, prefix and quotes included.
    Text,
    Number,
    /// `$1`
    Parameter,
    Open,
    Close,
    Semicolon,
    /// `\;` or `\:`, by which psql's users send the plain character.
    Escaped,
    Symbol,
    Comment,
    /// A backslash command, up to the end of its line.
    PsqlLine,
    /// A zero byte, which no SQL can hold. What it stood in goes on after it.
    Nul,
}

/// A token's place in the window, and the line it starts on.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    pub line: u64,
}

/// What the input ended inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Text,
    QuotedName,
    DollarText,
    Comment,
}
