//! Names of variables, and where a statement uses them.

/// One `:name` in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableUse {
    pub name: String,
    /// Of its colon in the text, in bytes.
    pub start: usize,
    /// Behind its name.
    pub end: usize,
    pub place: Place,
}

/// Where a `:name` stands. pgbench does not look: its simple protocol puts the value in wherever the name is that of a
/// variable, and its other protocols put a parameter everywhere, even where a server can take none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Sql,
    /// Between quotes of whatever kind.
    Quotes,
    Comment,
}

/// Whether a variable can be called so: letters, digits and underscores, no digit in front. All characters beyond ASCII
/// are letters.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name_len(name) == name.len()
}

/// How many bytes at the start of a text could be the name of a variable.
fn name_len(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|char: char| !is_name_char(char)).unwrap_or(text.len())
}

/// Whether names can have this character, but for the digits, which stand in front of none.
pub(super) fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || !char.is_ascii()
}

/// The uses in a text. Of several colons in a row none begins one, hence no cast does. `places` lists, from left to right
/// and in bytes, what in the text is quoted or comment.
pub(super) fn find_uses(text: &str, places: &[(std::ops::Range<usize>, Place)]) -> Vec<VariableUse> {
    let mut uses = Vec::new();
    let mut places = places.iter().peekable();
    let mut pos = 0;
    while let Some(found) = text[pos..].find(':') {
        let start = pos + found;
        let rest = text[start..].trim_start_matches(':');
        let n_colons = text.len() - start - rest.len();
        let len = if n_colons == 1 { name_len(rest) } else { 0 };
        pos = start + n_colons + len;
        if len == 0 {
            continue;
        }
        while places.next_if(|(range, _)| range.end <= start).is_some() {}
        let place = places.peek().filter(|(range, _)| range.contains(&start));
        uses.push(VariableUse {
            name: rest[..len].to_owned(),
            start,
            end: pos,
            place: place.map_or(Place::Sql, |(_, place)| *place),
        });
    }
    uses
}
