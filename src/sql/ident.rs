//! Names and literals written into run-time SQL so that nothing in them can end them early.

/// A name as an SQL identifier, always in double quotes, so that keywords and capitals survive.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name within a schema, both quoted: `"public"."t"`.
pub fn quote_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// A value as an SQL string literal that means the same whether `standard_conforming_strings` is on or off:
/// with a backslash in it, it is written as `E'...'`.
pub fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sql::lexer::Kind;
    use crate::sql::lexer::tokens;

    use super::*;

    #[test]
    fn names_and_literals_cannot_be_left_early() {
        assert_eq!(quote("Order"), "\"Order\"");
        assert_eq!(quote("a\"; drop"), "\"a\"\"; drop\"");
        assert_eq!(quote_qualified("public", "t\"x"), "\"public\".\"t\"\"x\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
        assert_eq!(literal(""), "''");
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_one_token_and_reads_back(name in "[^\0]*") {
            let quoted = quote(&name);
            let read = tokens(&quoted).collect::<Vec<_>>();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].kind, Kind::QuotedName);
            prop_assert_eq!(read[0].name(), Some(name));
        }

        #[test]
        fn a_literal_is_one_token_and_reads_back(value in "[^\0]*") {
            let quoted = literal(&value);
            let read = tokens(&quoted).collect::<Vec<_>>();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].kind, Kind::Text);
            prop_assert_eq!(read[0].value(), value);
        }
    }
}
