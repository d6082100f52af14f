//! The arguments of those psql commands that an honest dump may hold. None of them is ever run.

/// The database that `\connect` goes to: a name, perhaps quoted, or a connection string with nothing else in it.
pub fn connect_name(args: &str) -> Option<String> {
    if args.contains('`') {
        return None;
    }
    let args = args.trim().trim_end_matches(';').trim();
    let args = args.strip_prefix("-reuse-previous=on").map_or(args, str::trim);
    let unquoted = |text: &str, quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
    };
    let quoted = unquoted(args, '"').or_else(|| unquoted(args, '\''));
    let is_quoted = quoted.is_some();
    let text = quoted.unwrap_or_else(|| args.to_owned());
    if let Some(value) = text.strip_prefix("dbname=") {
        let value = value
            .strip_prefix('\'')
            .and_then(|value| value.strip_suffix('\''))
            .unwrap_or(value);
        return Some(value.replace("\\'", "'").replace("\\\\", "\\")).filter(|name| !name.is_empty());
    }
    // Without quotes a space is followed by a user's name; with an equals sign it is a connection string all the same.
    let is_name = !text.is_empty() && !text.contains(['=', '/']) && (is_quoted || !text.contains(' '));
    is_name.then_some(text)
}

/// Whether `\encoding` names the encoding in which the file is read anyway, as those of `pg_dump` do.
pub fn is_encoding(args: &str, encoding: &str) -> bool {
    let normal = |name: &str| {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_uppercase()
    };
    let named = normal(args);
    named == normal(encoding) || (named == "SQLASCII" && normal(encoding) == "UTF8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_names_a_database_in_any_of_its_forms() {
        for (args, name) in [
            ("shop", Some("shop")),
            ("shop;", Some("shop")),
            ("\"My Shop\"", Some("My Shop")),
            ("-reuse-previous=on \"dbname='my db'\"", Some("my db")),
            ("`id`", None),
            ("shop other", None),
            ("host=elsewhere dbname=x", None),
            ("", None),
        ] {
            assert_eq!(connect_name(args).as_deref(), name, "{args}");
        }
    }
}
