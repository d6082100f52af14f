//! What a statement means to the splitter itself, looked at no longer than that takes.

use crate::sql::dump;
use crate::sql::dump::DumpStatement;

/// No statement longer than this is looked through for a change of `standard_conforming_strings`.
const SETTING_BYTES: usize = 256;

pub fn starts_with_copy(text: &str) -> bool {
    text.as_bytes()
        .get(..4)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"copy"))
}

/// What a statement makes of `standard_conforming_strings`, if it sets it.
pub fn standard_strings(text: &str) -> Option<bool> {
    if text.len() > SETTING_BYTES || !text.starts_with(['s', 'S', 'r', 'R']) {
        return None;
    }
    match dump::read(text) {
        DumpStatement::StandardConformingStrings(on) => Some(on),
        _ => None,
    }
}
