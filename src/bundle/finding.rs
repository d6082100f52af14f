//! What verifying a bundle finds out, in numbers and words.

use std::fmt;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::bundle::tables::Difference;
use crate::bundle::tables::Row;

/// Something that is not as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A number with where it stands. `base` is the source that it compares with.
    Number {
        table: &'static str,
        query: Option<String>,
        source: Option<String>,
        base: Option<String>,
        name: String,
        published: String,
        recomputed: String,
    },
    Sentence(String),
}

impl Finding {
    /// A difference between a published table and what it comes to when computed again.
    pub(super) fn of_table(bundle: &Bundle, table: &'static str, difference: Difference) -> Self {
        let whole_row = |key: Row, published: &str, recomputed: &str| {
            let name = "the whole row".to_owned();
            (key, name, published.to_owned(), recomputed.to_owned())
        };
        let (key, name, published, recomputed) = match difference {
            Difference::NotRecomputed { key } => whole_row(key, "there", "not"),
            Difference::NotPublished { key } => whole_row(key, "missing", "there"),
            Difference::Number {
                key,
                name,
                published,
                recomputed,
            } => (key, name, published.to_string(), recomputed.to_string()),
        };
        let idx = |column: &str| key.get(column).and_then(Value::as_i64);
        Self::Number {
            table,
            query: idx("query_idx").map(|idx| bundle.query_label(idx)),
            source: idx("source_idx").map(|idx| bundle.source_label(idx)),
            base: idx("base_idx").map(|idx| bundle.source_label(idx)),
            name,
            published,
            recomputed,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sentence(sentence) => f.write_str(sentence),
            Self::Number {
                table,
                query,
                source,
                base,
                name,
                published,
                recomputed,
            } => {
                f.write_str(query.as_deref().unwrap_or("all queries"))?;
                if let Some(source) = source {
                    write!(f, " under {source}")?;
                }
                if let Some(base) = base {
                    write!(f, " beside {base}")?;
                }
                write!(
                    f,
                    ": {name} is {published} in {table}, and {recomputed} when computed again"
                )
            }
        }
    }
}
