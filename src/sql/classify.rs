//! Says of a query to be measured whether it reads, writes, or cannot be measured, by its tokens alone.
//! A function called by a SELECT may still write: only the server can tell, and does (SQLSTATE 25006).

use thiserror::Error;

use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;
use crate::sql::lexer::tokens;

/// What a query does, as far as its text tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    Reads,
    /// It changes or locks rows.
    Writes,
    Refused(Refusal),
}

/// Why a query cannot be measured.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("There is no SQL in this query.")]
    Empty,
    #[error("This is more than one statement; separate queries by a semicolon at the end of each.")]
    Several,
    #[error("psql commands ({0}) are not supported.")]
    PsqlCommand(String),
    #[error("Parameters are not supported; put a value in the place of {0}.")]
    Parameter(String),
    #[error("{0}: transaction control is not allowed in measured queries.")]
    TransactionControl(String),
    #[error("COPY cannot be measured; use a SELECT or an INSERT.")]
    Copy,
    #[error("{0} changes the session and is not allowed in measured queries.")]
    Session(String),
    #[error("SELECT INTO creates a table and cannot be measured; measure the SELECT.")]
    SelectInto,
    #[error("CREATE TABLE AS cannot be measured; measure its query.")]
    CreateTableAs,
    #[error("{0}: cursors cannot be measured; measure the cursor's query.")]
    Cursor(String),
    #[error("{0}: prepared statements cannot be measured; put the query itself.")]
    Prepared(String),
    #[error("Give the query itself without EXPLAIN; pgassay explains it.")]
    Explain,
    #[error("LOCK is not allowed in measured queries.")]
    Lock,
    #[error("REFRESH MATERIALIZED VIEW cannot be measured; measure the view's query.")]
    Refresh,
    #[error("{0} runs a procedure, which has no plan to measure; put its queries.")]
    Procedure(String),
    #[error(
        "{0} has no plan to measure; pgassay measures SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE and MERGE."
    )]
    Utility(String),
}

const MODIFYING: [&str; 4] = ["insert", "update", "delete", "merge"];
const READING: [&str; 3] = ["select", "values", "table"];

/// A token and how many parentheses it stands in. A parenthesis counts as standing outside itself.
#[derive(Clone, Copy)]
struct Nested<'a> {
    token: Lexeme<'a>,
    depth: usize,
}

/// Reads one query; a semicolon at its end is allowed.
pub fn classify(query: &str) -> Class {
    let mut nested = nest(query);
    while nested.last().is_some_and(|last| last.token.kind == Kind::Semicolon) {
        nested.pop();
    }
    if let Some(refusal) = refusal_of_any(&nested) {
        return Class::Refused(refusal);
    }
    let n_parentheses = nested
        .iter()
        .take_while(|nested| nested.token.kind == Kind::Open)
        .count();
    let Some(Nested { token: first, .. }) = nested.get(n_parentheses).copied() else {
        return Class::Refused(Refusal::Empty);
    };
    if first.is_any(&MODIFYING) {
        return Class::Writes;
    }
    if !first.is_any(&READING) && !first.is("with") {
        return Class::Refused(refusal_of_command(&nested[n_parentheses..]));
    }
    if (0..nested.len()).any(|at| modifies(&nested, at)) {
        return Class::Writes;
    }
    if (0..nested.len()).any(|at| is_into(&nested, at, n_parentheses)) {
        return Class::Refused(Refusal::SelectInto);
    }
    if (0..nested.len()).any(|at| locks_rows(&nested[at..])) {
        Class::Writes
    } else {
        Class::Reads
    }
}

fn nest(query: &str) -> Vec<Nested<'_>> {
    let mut depth: usize = 0;
    tokens(query)
        .map(|token| {
            if token.kind == Kind::Close {
                depth = depth.saturating_sub(1);
            }
            let nested = Nested { token, depth };
            if token.kind == Kind::Open {
                depth += 1;
            }
            nested
        })
        .collect()
}

/// What no query may hold, whatever its command.
fn refusal_of_any(nested: &[Nested<'_>]) -> Option<Refusal> {
    nested.iter().find_map(|Nested { token, .. }| match token.kind {
        Kind::Semicolon => Some(Refusal::Several),
        Kind::Parameter => Some(Refusal::Parameter(token.text.to_owned())),
        Kind::PsqlLine | Kind::Escaped => Some(Refusal::PsqlCommand(
            token.text.split_whitespace().next().unwrap_or_default().to_owned(),
        )),
        Kind::Word
        | Kind::QuotedName
        | Kind::Text
        | Kind::Number
        | Kind::Open
        | Kind::Close
        | Kind::Symbol
        | Kind::Comment
        | Kind::Nul => None,
    })
}

fn refusal_of_command(nested: &[Nested<'_>]) -> Refusal {
    let first = nested[0].token;
    let second_is = |word: &str| nested.get(1).is_some_and(|second| second.token.is(word));
    let command = command(nested);
    match first.text.to_ascii_lowercase().as_str() {
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            Refusal::TransactionControl(command)
        }
        "prepare" if second_is("transaction") => Refusal::TransactionControl("PREPARE TRANSACTION".to_owned()),
        "prepare" | "execute" | "deallocate" => Refusal::Prepared(command),
        "copy" => Refusal::Copy,
        "set" | "reset" | "discard" | "listen" | "unlisten" | "notify" | "load" => Refusal::Session(command),
        "create" if is_create_table_as(nested) => Refusal::CreateTableAs,
        "declare" | "fetch" | "move" | "close" => Refusal::Cursor(command),
        "explain" => Refusal::Explain,
        "lock" => Refusal::Lock,
        "refresh" => Refusal::Refresh,
        "call" | "do" => Refusal::Procedure(command),
        _ => Refusal::Utility(command),
    }
}

/// The command's name for a message: one word, or two where the first says little.
fn command(nested: &[Nested<'_>]) -> String {
    const MODIFIERS: [&str; 9] = [
        "or",
        "replace",
        "global",
        "local",
        "temp",
        "temporary",
        "unlogged",
        "unique",
        "recursive",
    ];
    let first = nested[0].token;
    let mut name: String = first.text.chars().take(30).collect::<String>().to_ascii_uppercase();
    if first.is_any(&["create", "alter", "drop"])
        && let Some(object) = nested[1..].iter().find(|nested| !nested.token.is_any(&MODIFIERS))
        && object.token.kind == Kind::Word
    {
        name.push(' ');
        name.push_str(&object.token.text.to_ascii_uppercase());
    }
    name
}

fn is_create_table_as(nested: &[Nested<'_>]) -> bool {
    let flat = || nested.iter().filter(|nested| nested.depth == 0);
    flat().take(4).any(|nested| nested.token.is("table")) && flat().any(|nested| nested.token.is("as"))
}

/// Whether the token here starts a statement that changes rows, as the main statement of a WITH or as one of its queries.
fn modifies(nested: &[Nested<'_>], at: usize) -> bool {
    let here = nested[at];
    if !here.token.is_any(&MODIFYING) || at == 0 {
        return false;
    }
    let before = nested[at - 1];
    if before.token.kind == Kind::Open {
        return at >= 2 && nested[at - 2].token.is_any(&["as", "materialized"]);
    }
    follows_with(nested, at) && !is_name_after(before.token)
}

/// Whether this is the first statement's verb at its level after a WITH and the queries of it.
fn follows_with(nested: &[Nested<'_>], at: usize) -> bool {
    let depth = nested[at].depth;
    let mut queries_seen = false;
    for earlier in nested[..at].iter().rev() {
        if earlier.depth < depth {
            return false;
        }
        if earlier.depth > depth {
            continue;
        }
        if earlier.token.is("with") {
            return queries_seen;
        }
        if earlier.token.is_any(&READING) {
            return false;
        }
        queries_seen |= earlier.token.kind == Kind::Close;
    }
    false
}

/// After these a word like `update` is a name, as it is no reserved word.
fn is_name_after(before: Lexeme<'_>) -> bool {
    before.is_symbol(",") || before.is_symbol(".") || before.is_any(&["with", "recursive", "by", "set", "using"])
}

/// Whether this is the INTO of the outermost SELECT. Behind a dot or an AS it is a name.
fn is_into(nested: &[Nested<'_>], at: usize, n_parentheses: usize) -> bool {
    let here = nested[at];
    if !here.token.is("into") || here.depth > n_parentheses || at == 0 {
        return false;
    }
    let before = nested[at - 1].token;
    !before.is_symbol(".") && !before.is("as")
}

/// Whether these tokens start with `FOR UPDATE`, `FOR NO KEY UPDATE`, `FOR SHARE` or `FOR KEY SHARE`.
fn locks_rows(nested: &[Nested<'_>]) -> bool {
    let is = |at: usize, word: &str| nested.get(at).is_some_and(|nested: &Nested<'_>| nested.token.is(word));
    is(0, "for")
        && (is(1, "update")
            || is(1, "share")
            || (is(1, "key") && is(2, "share"))
            || (is(1, "no") && is(2, "key") && is(3, "update")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(query: &str) -> String {
        match classify(query) {
            Class::Refused(refusal) => refusal.to_string(),
            class => panic!("{query}: {class:?}"),
        }
    }

    #[test]
    fn queries_that_only_read() {
        for query in [
            "select 1;",
            "SELECT 'update', \"delete\", into_x FROM t -- insert into\n",
            "values (1), (2)",
            "table t",
            "(select 1) union (select 2)",
            "with a as (select 1), update as (select 2) select * from a, update",
            "with recursive a(n) as (select 1 union all select n + 1 from a) search depth first by update set o select 1",
            "with a as materialized (select 1) (select * from a)",
            "select a.into, b as into from t",
            "select (select 1), :var, :'text', 1::int, a[1:2] from t",
            "select count(update), x.delete from t",
            "select E'it\\'s; $1', $$ $1 ; $$, a$1 from t",
            "select 1 /* ; insert into t */",
            "select substring(a for 2) from t",
        ] {
            assert_eq!(classify(query), Class::Reads, "{query}");
        }
    }

    #[test]
    fn queries_that_write_or_lock() {
        for query in [
            "insert into t values (1)",
            "UPDATE t SET a = 1",
            "delete from t",
            "merge into t using s on true when matched then delete",
            "with a as (select 1) insert into t select * from a",
            "with a(x) as not materialized (delete from t returning *) select * from a",
            "with a as (with b as (select 1) update t set a = 1 returning *) select 1",
            "with a as (select 1) , b as (select 2) delete from t",
            "select * from t for update",
            "select * from (select * from t for no key update of t skip locked) x",
            "select * from t for share; ",
            "select * from t FOR KEY SHARE",
        ] {
            assert_eq!(classify(query), Class::Writes, "{query}");
        }
    }

    #[test]
    fn refusals_name_the_command_and_the_way_out() {
        let cases = [
            ("", "no SQL"),
            (" ; ", "no SQL"),
            ("-- x", "no SQL"),
            ("select 1; select 2", "more than one"),
            ("select * from t where a = $1", "put a value in the place of $1"),
            ("begin", "BEGIN: transaction control"),
            ("prepare transaction 'x'", "PREPARE TRANSACTION: transaction"),
            ("Rollback to x", "ROLLBACK"),
            ("copy t to stdout", "COPY"),
            ("copy t from stdin", "COPY"),
            ("set work_mem = '1GB'", "SET changes the session"),
            ("discard all", "DISCARD"),
            ("select 1 as a into x", "SELECT INTO"),
            ("select * into temp x from t", "SELECT INTO"),
            ("with a as (select 1) select * into x from a", "SELECT INTO"),
            ("(select 1 into x)", "SELECT INTO"),
            ("create temp table x as select 1", "CREATE TABLE AS"),
            ("create table x (a int)", "CREATE TABLE has no plan"),
            ("create unique index on t (a)", "CREATE INDEX"),
            ("alter table t add x int", "ALTER TABLE"),
            ("vacuum t", "VACUUM has no plan"),
            ("declare c cursor for select 1", "DECLARE: cursors"),
            ("execute x", "EXECUTE: prepared"),
            ("refresh materialized view v", "REFRESH"),
            ("call p()", "CALL"),
            ("do $$ begin end $$", "DO"),
            ("explain analyze select 1", "without EXPLAIN"),
            ("lock t", "LOCK"),
            ("selct 1", "SELCT has no plan"),
            ("\\d t", "psql commands (\\d)"),
            ("'text'", "has no plan"),
        ];
        for (query, expected) in cases {
            let refusal = refusal(query);
            assert!(refusal.contains(expected), "{query}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(query in ".*", words in proptest::collection::vec(
            prop_oneof!["with|as|select|insert|into|for|update|create|table|[(),;$.]", "\\PC{0,3}"], 0..12)) {
            classify(&query);
            classify(&words.join(" "));
        }
    }
}
