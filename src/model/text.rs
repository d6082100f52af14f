//! Small rules about text that people typed or uploaded.

/// The longest name that is kept.
const NAME_CHARS: usize = 255;

/// The same with a capital at its beginning.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// A name as it may be shown: path parts, control and direction-changing characters removed, cut to 255 characters.
///
/// Returns `fallback` when nothing is left. Uploaded names are only ever shown, never used for a path.
pub fn display_name(raw: &str, fallback: &str) -> String {
    given_name(raw.rsplit(['/', '\\']).next().unwrap_or_default(), fallback)
}

/// A name that a person typed, without control and direction-changing characters, cut to 255 characters.
pub fn given_name(raw: &str, fallback: &str) -> String {
    let clean: String = raw
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .take(NAME_CHARS)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() {
        fallback.to_owned()
    } else {
        clean.to_owned()
    }
}

/// The first `max_chars` characters, with an ellipsis when something was cut.
pub fn shorten(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Text from an upload as a terminal may get it: what would steer it is shown as `\u{1b}`, line ends and tabs are kept.
pub fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !matches!(c, '\n' | '\t')) || is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Zero-width and bidirectional marks can make one name look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploaded_name_is_reduced_to_what_may_be_shown() {
        for (raw, shown) in [
            ("shop.sql", "shop.sql"),
            ("../../etc/passwd", "passwd"),
            ("C:\\dumps\\shop.dump", "shop.dump"),
            ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
            ("\u{202e}lqs.pohs", "lqs.pohs"),
            ("  ", "upload"),
            ("", "upload"),
        ] {
            assert_eq!(display_name(raw, "upload"), shown, "{raw:?}");
        }
        assert_eq!(display_name(&"x".repeat(4096), "upload").len(), 255);
    }

    #[test]
    fn no_text_of_an_upload_steers_a_terminal() {
        for (raw, shown) in [
            ("grün\tund\nrot", "grün\tund\nrot"),
            ("\u{1b}[31mred\u{7}\r", "\\u{1b}[31mred\\u{7}\\u{d}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(for_terminal(raw), shown);
        }
    }

    #[test]
    fn shortening_cuts_at_characters_and_says_so() {
        assert_eq!(shorten("grün", 4), "grün");
        assert_eq!(shorten("grüner", 4), "grün…");
    }
}
