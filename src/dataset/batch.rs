//! Statements that are sent in one message, because one by one each would wait for its commit.

use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::split::Statement;

const MOST_STATEMENTS: usize = 100;
const MOST_BYTES: usize = 256 * 1024;

/// What may share a message. A message that fails is undone and its statements are sent again one by one, but the
/// numbers that a sequence has given out are not taken back; so what draws from sequences only ever stands beside
/// statements whose failure ends the restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Defines things; running it again after a rollback is as if it had run once.
    Definition,
    /// Builds an index and nothing else.
    Index,
    /// Rows, which may draw from sequences. A failing one fails the restore.
    Rows,
    /// May do anything: it goes alone.
    Alone,
}

/// Statements that wait to be sent.
#[derive(Default)]
pub struct Batch {
    statements: Vec<(Statement, DumpStatement)>,
    n_bytes: usize,
    kind: Option<Kind>,
}

impl Batch {
    /// Whether what waits has to be sent before this statement joins.
    pub fn must_go_before(&self, statement: &Statement) -> bool {
        let kind = kind_of(&statement.text);
        self.kind.is_some_and(|waiting| waiting != kind || kind == Kind::Alone)
            || self.statements.len() >= MOST_STATEMENTS
            || self.n_bytes >= MOST_BYTES
    }

    pub fn push(&mut self, statement: Statement, meaning: DumpStatement) {
        self.kind = Some(kind_of(&statement.text));
        self.n_bytes += statement.text.len();
        self.statements.push((statement, meaning));
    }

    /// Everything that waits; the batch is empty afterwards.
    pub fn take(&mut self) -> Vec<(Statement, DumpStatement)> {
        (self.n_bytes, self.kind) = (0, None);
        std::mem::take(&mut self.statements)
    }
}

fn kind_of(text: &str) -> Kind {
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    match word.to_ascii_lowercase().as_str() {
        "insert" | "update" | "delete" | "merge" => Kind::Rows,
        "create" | "alter" if dump::read_index_build(text).is_some() => Kind::Index,
        "create" | "alter" | "drop" | "comment" | "set" => Kind::Definition,
        _ => Kind::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a script is cut into messages.
    fn messages(texts: &[&str]) -> Vec<usize> {
        let (mut batch, mut sizes) = (Batch::default(), Vec::new());
        for text in texts {
            let statement = Statement {
                text: (*text).to_owned(),
                line: 1,
            };
            if batch.must_go_before(&statement) {
                sizes.push(batch.take().len());
            }
            batch.push(statement, dump::read(text));
        }
        sizes.push(batch.take().len());
        sizes
    }

    #[test]
    fn rows_definitions_and_everything_else_do_not_share_a_message() {
        assert_eq!(
            messages(&[
                "create table t()",
                "alter table t add a int",
                "INSERT into t values (1)"
            ]),
            [2, 1]
        );
        assert_eq!(
            messages(&["select f()", "select g()", "do $$ $$", "set a = 1", "set b = 1"]),
            [1, 1, 1, 2]
        );
        assert_eq!(
            messages(&[
                "create view v as select 1",
                "create index i on s.t using btree (a)",
                "alter table only s.t add constraint k unique (b)",
                "create index j on s.t using btree (f(a))",
            ]),
            [1, 2, 1]
        );
        assert_eq!(messages(&["insert into t values (1)"; 250]), [100, 100, 50]);
    }
}
