//! Reads a script: labels, lines, classes, refusals.

use std::collections::HashSet;

use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::sql::classify::Class;
use crate::sql::classify::classify;
use crate::sql::split::ScriptItem;
use crate::sql::split::SplitError;
use crate::sql::split::script;

/// The most queries a workload may hold.
pub const MAX_QUERIES: usize = 500;

/// Why a script is no workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("No SQL statement was found. Write one or more queries, each ended by a semicolon.")]
    Empty,
    #[error("These are {0} statements; at most {MAX_QUERIES} fit into one workload. Split the file.")]
    TooMany(usize),
    #[error("There is nothing to measure here. The first of its statements ({n_queries}), in line {line}: {reason}")]
    NothingToMeasure {
        n_queries: usize,
        line: u64,
        reason: String,
    },
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// The queries of a script in its order, those that cannot be measured with the reason why.
pub fn read(text: &str) -> Result<Vec<Query>, ScriptError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let items = script(text)?;
    if items.len() > MAX_QUERIES {
        return Err(ScriptError::TooMany(items.len()));
    }
    let mut labels = Labels::default();
    let queries: Vec<Query> = (0_i32..)
        .zip(items)
        .map(|(position, item)| query(position, item, &mut labels))
        .collect();
    let Some(first) = queries.first() else {
        return Err(ScriptError::Empty);
    };
    if queries.iter().all(|query| query.class == QueryClass::Refused) {
        return Err(ScriptError::NothingToMeasure {
            n_queries: queries.len(),
            line: first.line,
            reason: first.refusal.clone().unwrap_or_default(),
        });
    }
    Ok(queries)
}

fn query(position: i32, item: ScriptItem, labels: &mut Labels) -> Query {
    match item {
        ScriptItem::Query { label, sql, line } => {
            let (class, refusal) = match classify(&sql) {
                Class::Reads => (QueryClass::Reads, None),
                Class::Writes => (QueryClass::Writes, None),
                Class::Refused(refusal) => (QueryClass::Refused, Some(refusal.to_string())),
            };
            Query {
                position,
                label: labels.unique(label),
                line,
                sql,
                class,
                refusal,
            }
        }
        ScriptItem::PsqlLine(psql) => Query {
            position,
            label: labels.unique(None),
            line: psql.line,
            sql: format!("\\{} {}", psql.command, psql.args).trim_end().to_owned(),
            class: QueryClass::Refused,
            refusal: Some(format!(
                "\\{} is a command of psql, not SQL; pgassay does not run psql.",
                psql.command
            )),
        },
    }
}

/// Labels name rows of tables and series of charts, so no two are alike.
#[derive(Default)]
struct Labels {
    taken: HashSet<String>,
    n_queries: usize,
}

impl Labels {
    fn unique(&mut self, wanted: Option<String>) -> String {
        self.n_queries += 1;
        let wanted = wanted
            .filter(|label| !label.is_empty())
            .unwrap_or_else(|| format!("q{}", self.n_queries));
        let numbered = (2..).map(|n| format!("{wanted}_{n}"));
        let label = std::iter::once(wanted.clone())
            .chain(numbered)
            .find(|label| !self.taken.contains(label))
            .expect("there are more numbers than labels");
        self.taken.insert(label.clone());
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_comments_else_from_numbers_and_are_unique() {
        let queries = read("-- name: one\nselect 1;\nselect 2;\n/* name: one */ select 3;\nselect 4").unwrap();
        let labels: Vec<&str> = queries.iter().map(|query| query.label.as_str()).collect();
        assert_eq!(labels, ["one", "q2", "one_2", "q4"]);
        assert_eq!(queries.iter().map(|query| query.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_line_and_the_rest_still_works() {
        use QueryClass::*;

        let queries =
            read("\\timing on\nset work_mem = '1GB';\nselect 1;\nupdate t set a = 1;\nvacuum;\nselect $1").unwrap();
        let classes: Vec<QueryClass> = queries.iter().map(|query| query.class).collect();
        assert_eq!(classes, [Refused, Refused, Reads, Writes, Refused, Refused]);
        assert_eq!(
            queries[0].refusal.as_deref(),
            Some("\\timing is a command of psql, not SQL; pgassay does not run psql.")
        );
        assert!(queries[1].refusal.as_deref().unwrap().starts_with("SET"));
        assert!(queries[5].refusal.as_deref().unwrap().contains("$1"));
    }

    #[test]
    fn a_script_without_anything_to_measure_is_refused_in_words() {
        assert_eq!(read(" -- nothing\n").unwrap_err(), ScriptError::Empty);
        assert_eq!(read("\u{feff}").unwrap_err(), ScriptError::Empty);
        assert!(matches!(
            read("begin; commit;").unwrap_err(),
            ScriptError::NothingToMeasure {
                n_queries: 2,
                line: 1,
                ..
            }
        ));
        assert!(matches!(
            read(&"select 1;".repeat(501)).unwrap_err(),
            ScriptError::TooMany(501)
        ));
        assert!(matches!(read("select 'x").unwrap_err(), ScriptError::Split(_)));
    }
}
