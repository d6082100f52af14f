//! Where a text has nothing to run: space, comments and semicolons. It is written without the lexer, to judge it.

/// The text from its first byte on that is none of these. A comment without an end goes to the end.
pub fn skip(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c', ';']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find(['\n', '\r']).map_or("", |at| &comment[at..]);
        } else if rest.starts_with("/*") {
            rest = behind_block(rest);
        } else {
            return rest;
        }
    }
}

fn behind_block(mut rest: &str) -> &str {
    let mut depth = 0_u32;
    loop {
        if let Some(inner) = rest.strip_prefix("/*") {
            depth += 1;
            rest = inner;
        } else if let Some(behind) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = behind;
        } else {
            let mut chars = rest.chars();
            if chars.next().is_none() {
                return rest;
            }
            rest = chars.as_str();
        }
        if depth == 0 {
            return rest;
        }
    }
}
