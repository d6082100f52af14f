//! How deep a statement stands in parentheses and in `BEGIN ... END` bodies, so that a semicolon there does not end it.
//! It is psql's own guess (`{identifier}` in `psqlscan.l`), with its mistakes, so that a file splits as it does under psql.

/// The first words of a statement that make it a function with a body.
const INTRODUCTIONS: [&[u8]; 5] = [b"create", b"function", b"procedure", b"or", b"replace"];

/// What a statement stands inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Flat,
    /// In parentheses, the outermost of which were opened on this line.
    Parentheses(u64),
    /// In a function's body that began on this line.
    Body(u64),
}

/// The nesting of the statement being read.
#[derive(Debug, Default)]
pub struct Nesting {
    parentheses: u64,
    parentheses_line: u64,
    bodies: u64,
    body_line: u64,
    n_words: u32,
    /// First letters of the first four words, where they are among [`INTRODUCTIONS`].
    introduction: [u8; 4],
}

impl Nesting {
    pub fn level(&self) -> Level {
        if self.bodies > 0 {
            Level::Body(self.body_line)
        } else if self.parentheses > 0 {
            Level::Parentheses(self.parentheses_line)
        } else {
            Level::Flat
        }
    }

    pub fn is_flat(&self) -> bool {
        self.level() == Level::Flat
    }

    pub fn open(&mut self, line: u64) {
        if self.parentheses == 0 {
            self.parentheses_line = line;
        }
        self.parentheses += 1;
    }

    pub fn close(&mut self) {
        self.parentheses = self.parentheses.saturating_sub(1);
    }

    /// Counts a word without quotes, keyword or not. Those in parentheses do not count.
    pub fn word(&mut self, word: &[u8], line: u64) {
        if self.parentheses > 0 {
            return;
        }
        if let Some(letter) = self.introduction.get_mut(self.n_words as usize)
            && INTRODUCTIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
        {
            *letter = word[0].to_ascii_lowercase();
        }
        self.n_words = self.n_words.saturating_add(1);
        if self.introduces_function() {
            self.body_word(word, line);
        }
    }

    /// A `\;` starts a new statement, unless it stands inside of something.
    pub fn escaped_semicolon(&mut self) {
        if self.is_flat() {
            self.n_words = 0;
            self.introduction = [0; 4];
        }
    }

    fn introduces_function(&self) -> bool {
        matches!(
            self.introduction,
            [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']
        )
    }

    fn body_word(&mut self, word: &[u8], line: u64) {
        if word.eq_ignore_ascii_case(b"begin") {
            if self.bodies == 0 {
                self.body_line = line;
            }
            self.bodies += 1;
        } else if word.eq_ignore_ascii_case(b"case") && self.bodies > 0 {
            self.bodies += 1;
        } else if word.eq_ignore_ascii_case(b"end") {
            self.bodies = self.bodies.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_after(words: &str) -> Level {
        let mut nesting = Nesting::default();
        for (word, line) in words.split_whitespace().zip(1..) {
            match word {
                "(" => nesting.open(line),
                ")" => nesting.close(),
                word => nesting.word(word.as_bytes(), line),
            }
        }
        nesting.level()
    }

    #[test]
    fn levels_follow_psql() {
        for (words, level) in [
            ("begin", Level::Flat),
            ("select ( (", Level::Parentheses(2)),
            ("select ( ) ) (", Level::Parentheses(5)),
            ("create function f begin", Level::Body(4)),
            ("CREATE OR REPLACE PROCEDURE p BEGIN", Level::Body(6)),
            ("create function f begin case end", Level::Body(4)),
            ("create function f begin case end end", Level::Flat),
            ("create function f case end", Level::Flat),
            ("create function f ( begin )", Level::Flat),
            ("create or function f begin", Level::Flat),
            ("create trigger t function begin", Level::Flat),
            ("x create function begin", Level::Flat),
        ] {
            assert_eq!(level_after(words), level, "{words}");
        }
    }
}
