//! Reads a call that sets planner statistics, as `pg_dump --statistics` writes it: a function and its named arguments.

use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;

use super::cursor::Cursor;

/// One such call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsCall {
    /// `pg_restore_attribute_stats`
    pub function: String,
    /// Names with values as text; none for NULL. The types that the dump gives them are left away.
    pub arguments: Vec<(String, Option<String>)>,
}

/// None where the statement is no such call, or one of its arguments is no plain literal.
pub fn read(text: &str) -> Option<StatisticsCall> {
    let mut cursor = Cursor::new(text);
    if !cursor.take("select") {
        return None;
    }
    if cursor.take_symbol("*") {
        cursor.take("from");
    }
    if cursor.take("pg_catalog") {
        cursor.take_symbol(".");
    }
    let function = cursor.word()?;
    if !is_restoring(&function) || !cursor.take_kind(Kind::Open) {
        return None;
    }
    let mut arguments = Vec::new();
    while !cursor.take_kind(Kind::Close) {
        if !arguments.is_empty() && !cursor.take_symbol(",") {
            return None;
        }
        let Literal::Value(name) = literal(&mut cursor)? else {
            return None;
        };
        if !cursor.take_symbol(",") {
            return None;
        }
        let value = match literal(&mut cursor)? {
            Literal::Value(value) => Some(value),
            Literal::Null => None,
        };
        arguments.push((name, value));
    }
    cursor
        .peek()
        .is_none()
        .then_some(StatisticsCall { function, arguments })
}

/// Whether a function is one of those that set statistics.
pub(super) fn is_restoring(function: &str) -> bool {
    function.starts_with("pg_restore_") && function.ends_with("_stats")
}

enum Literal {
    Value(String),
    Null,
}

/// A literal with the type behind it, which is passed over.
fn literal(cursor: &mut Cursor<'_>) -> Option<Literal> {
    let is_negative = cursor.take_symbol("-");
    let token = cursor.next()?;
    let value = match token.kind {
        Kind::Text if !is_negative => Literal::Value(plain(&token)?),
        Kind::Number if is_negative => Literal::Value(format!("-{}", token.text)),
        Kind::Number => Literal::Value(token.text.to_owned()),
        Kind::Word if token.is("null") => Literal::Null,
        Kind::Word if token.is_any(&["true", "false"]) => Literal::Value(token.text.to_ascii_lowercase()),
        _ => return None,
    };
    let mut depth = 0_u32;
    while let Some(token) = cursor.peek() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => break,
            Kind::Close => depth -= 1,
            Kind::Symbol if depth == 0 && token.text == "," => break,
            Kind::Word | Kind::QuotedName | Kind::Number => {}
            Kind::Symbol if token.text.bytes().all(|byte| b":.[],".contains(&byte)) => {}
            _ => return None,
        }
        cursor.next();
    }
    Some(value)
}

/// The value of a string in which no backslash means anything but itself.
fn plain(token: &Lexeme<'_>) -> Option<String> {
    let is_plain = token.text.starts_with(['\'', '$']);
    let only_doubles = || token.value().matches('\\').count() * 2 == token.text.matches('\\').count();
    let is_escaped = token.text.starts_with(['e', 'E']) && only_doubles();
    (is_plain || is_escaped).then(|| token.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gives_its_arguments_without_their_types() {
        let call = read(
            "SELECT * FROM pg_catalog.pg_restore_attribute_stats(\n\t'version', '180004'::integer,\n\t'schemaname', 'Other Schema',
             'relname', 'it''s', 'inherited', false, 'n_distinct', -1::real, 'correlation', NULL::real, 'null_frac', 0.5,
             'most_common_freqs', '{0.1,0.2}'::real[], 'most_common_vals', '{\"a\\\\\"b\"}'::pg_catalog.text,
             'histogram_bounds', E'{a\\\\\\\\b}'::character varying(20)[])",
        )
        .unwrap();
        assert_eq!(call.function, "pg_restore_attribute_stats");
        let expected = [
            ("version", Some("180004")),
            ("schemaname", Some("Other Schema")),
            ("relname", Some("it's")),
            ("inherited", Some("false")),
            ("n_distinct", Some("-1")),
            ("correlation", None),
            ("null_frac", Some("0.5")),
            ("most_common_freqs", Some("{0.1,0.2}")),
            ("most_common_vals", Some("{\"a\\\\\"b\"}")),
            ("histogram_bounds", Some("{a\\\\b}")),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(call.arguments, expected);
        let none = read("select pg_restore_relation_stats()").unwrap();
        assert_eq!(none.arguments, []);
    }

    #[test]
    fn what_is_no_plain_call_is_not_read() {
        for text in [
            "select pg_restore_relation_stats('relpages', pg_sleep(1))",
            "select pg_restore_relation_stats('relpages', (select 1))",
            "select pg_restore_relation_stats('relpages' '1')",
            "select pg_restore_relation_stats('relpages')",
            "select pg_restore_relation_stats('a', 'b'",
            "select pg_restore_relation_stats('a', 'b'), 1",
            "select pg_restore_relation_stats('a', E'\\n')",
            "select pg_restore_relation_stats('a', U&'\\0041')",
            "select pg_restore_relation_stats(null, 'b')",
            "select pg_restore_relation_stats('a', 'b'::text || 'c')",
            "select pg_restore_relation_stats('a', 'b' || c)",
            "select pg_sleep('a', 'b')",
            "delete from pg_restore_relation_stats('a', 'b')",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
