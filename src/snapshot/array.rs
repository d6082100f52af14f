//! Lists of values as PostgreSQL prints arrays, cut into their elements and put together again without reading them.

/// The elements of a one-dimensional array, each as it is written; none where the text is no such array.
pub fn split(text: &str) -> Option<Vec<&str>> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                elements.push(&inside[start..at]);
                start = at + 1;
            }
            // An array of arrays: what belongs to what is not told by commas.
            b'{' | b'}' if !is_quoted => return None,
            _ => {}
        }
    }
    elements.push(&inside[start..]);
    (!is_quoted && !is_escaped && elements.iter().all(|element| !element.is_empty())).then_some(elements)
}

/// The array of these elements.
pub fn join<T: AsRef<str>>(elements: &[T]) -> String {
    let elements: Vec<&str> = elements.iter().map(AsRef::as_ref).collect();
    format!("{{{}}}", elements.join(","))
}

/// An element as people read it, without the quotes of the array.
pub fn shown(element: &str) -> String {
    let Some(inside) = element.strip_prefix('"').and_then(|element| element.strip_suffix('"')) else {
        return element.to_owned();
    };
    let mut shown = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        shown.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_at_the_commas_between_them() {
        let text = r#"{a,"b, c","d\"e\\",NULL,"{1,2}",""}"#;
        let elements = split(text).unwrap();
        assert_eq!(
            elements,
            ["a", r#""b, c""#, r#""d\"e\\""#, "NULL", r#""{1,2}""#, r#""""#]
        );
        assert_eq!(join(&elements), text);
        let words: Vec<String> = elements.iter().map(|element| shown(element)).collect();
        assert_eq!(words, ["a", "b, c", "d\"e\\", "NULL", "{1,2}", ""]);
        assert_eq!(split("{}"), Some(vec![]));
    }

    #[test]
    fn what_is_no_plain_list_is_not_cut() {
        for text in ["", "1,2", "{1,2", "{{1,2},{3,4}}", "{a,}", "{\"a}", "[0:1]={1,2}"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
