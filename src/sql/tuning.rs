//! Reads a script of settings, indexes and statistics objects, and says of everything else in it why it cannot stand there.
//!
//! What is let through is told by a statement's own first words, each statement to its end; the server then runs it as one
//! statement, with the rights of whoever owns the tables.

use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;
use crate::sql::lexer::tokens;
use crate::sql::split;
use crate::sql::split::ScriptItem;

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of its first token, from 1.
    pub line: u64,
    pub sql: String,
    pub act: Act,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sets or resets this setting, in lower case.
    Setting(String),
    MakeIndex,
    DropIndex,
    MakeObject,
    DropObject,
    /// Changes what ANALYZE will gather.
    Target,
    Analyze,
}

/// A statement that cannot stand in a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Line {line}{}: {reason}", shown(.sql))]
pub struct Problem {
    pub line: u64,
    /// Empty where no statement could be made out.
    pub sql: String,
    pub reason: String,
}

/// What is shown of a statement.
const SHOWN_CHARS: usize = 80;

fn shown(sql: &str) -> String {
    if sql.is_empty() {
        return String::new();
    }
    format!(", {}", in_short(sql))
}

/// A statement on one line, cut.
pub fn in_short(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

const ONLY: &str = "a script may SET and RESET settings, CREATE and DROP indexes and statistics objects, set the statistics \
                    target or n_distinct of a column by ALTER TABLE, and ANALYZE";

/// Settings that decide who a session is, what it may do or how it is read, and so are not the script's.
const OUT_OF_REACH: [&str; 18] = [
    "role",
    "session_authorization",
    "is_superuser",
    "statement_timeout",
    "transaction_timeout",
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "default_transaction_deferrable",
    "transaction_read_only",
    "transaction_isolation",
    "transaction_deferrable",
    "seed",
    "client_encoding",
    "standard_conforming_strings",
    "backslash_quote",
    "client_connection_check_interval",
];

/// The statements of a script in order, or everything in it that cannot stand there. The name of a script, in a comment at
/// its top as `-- name: ...`, is no statement.
pub fn read(script: &str) -> Result<Vec<Step>, Vec<Problem>> {
    let items = split::script(script).map_err(|error| {
        let line = error.line();
        vec![Problem {
            line,
            sql: String::new(),
            reason: error.to_string(),
        }]
    })?;
    let (mut steps, mut problems) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            ScriptItem::Query { sql, line, .. } => match act(&sql) {
                Ok(act) => steps.push(Step { line, sql, act }),
                Err(reason) => problems.push(Problem { line, sql, reason }),
            },
            ScriptItem::PsqlLine(psql_line) => problems.push(Problem {
                line: psql_line.line,
                sql: format!("\\{} {}", psql_line.command, psql_line.args).trim().to_owned(),
                reason: "commands of psql are not run".to_owned(),
            }),
        }
    }
    if problems.is_empty() { Ok(steps) } else { Err(problems) }
}

/// What a statement does, or why it cannot stand in a script.
fn act(sql: &str) -> Result<Act, String> {
    let all: Vec<Lexeme<'_>> = tokens(sql).collect();
    if let Some(odd) = all.iter().find(|token| {
        matches!(
            token.kind,
            Kind::Semicolon | Kind::Parameter | Kind::PsqlLine | Kind::Escaped
        )
    }) {
        return Err(format!("{} cannot stand in a statement", odd.text));
    }
    let words = Words(&all);
    match words.leading().as_slice() {
        ["set", ..] => setting(words.behind(1)).map(Act::Setting),
        ["reset", ..] => reset(words.behind(1)).map(Act::Setting),
        ["create", "unique", "index", ..] => index(words.behind(3)).map(|()| Act::MakeIndex),
        ["create", "index", ..] => index(words.behind(2)).map(|()| Act::MakeIndex),
        ["drop", "index", ..] => index(words.behind(2))
            .and_then(|()| uncascaded(words))
            .map(|()| Act::DropIndex),
        ["create", "statistics", ..] => Ok(Act::MakeObject),
        ["drop", "statistics", ..] => uncascaded(words).map(|()| Act::DropObject),
        ["alter", "statistics", ..] => target_of_object(words.behind(2)).map(|()| Act::Target),
        ["alter", "table", ..] => targets_of_columns(words.behind(2)).map(|()| Act::Target),
        ["analyze" | "analyse", ..] => Ok(Act::Analyze),
        [
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release",
            ..,
        ] => Err("a script runs without transactions, each statement for itself".to_owned()),
        _ => Err(ONLY.to_owned()),
    }
}

/// The tokens of a statement, or the rest of them.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [Lexeme<'a>]);

impl Words<'_> {
    /// The first three as keywords; what is none ends them.
    fn leading(self) -> Vec<&'static str> {
        const KNOWN: [&str; 19] = [
            "set",
            "reset",
            "create",
            "unique",
            "index",
            "drop",
            "statistics",
            "alter",
            "table",
            "analyze",
            "analyse",
            "begin",
            "start",
            "commit",
            "end",
            "rollback",
            "abort",
            "savepoint",
            "release",
        ];
        let known = |token: &Lexeme<'_>| KNOWN.into_iter().find(|word| token.is(word));
        self.0.iter().take(3).map_while(known).collect()
    }

    fn behind(self, n: usize) -> Self {
        Self(self.0.get(n..).unwrap_or_default())
    }

    fn is(self, word: &str) -> bool {
        self.0.first().is_some_and(|token| token.is(word))
    }

    fn skip(self, word: &str) -> Self {
        if self.is(word) { self.behind(1) } else { self }
    }

    /// A name with what it is qualified by, and what follows it.
    fn name(self) -> Option<(String, Self)> {
        let mut name = self.0.first()?.name()?;
        let mut rest = self.behind(1);
        while let [dot, part, ..] = rest.0
            && dot.is_symbol(".")
        {
            name = format!("{name}.{}", part.name()?);
            rest = rest.behind(2);
        }
        Some((name, rest))
    }
}

/// Behind SET: `[SESSION] name = value, ...`.
fn setting(words: Words<'_>) -> Result<String, String> {
    const FORM: &str = "a setting is set as in SET work_mem = '64MB'";
    if words.is("local") {
        return Err("SET LOCAL ends with its transaction, and a script has none; leave LOCAL out".to_owned());
    }
    let (name, rest) = words.skip("session").name().ok_or(FORM)?;
    let is_set = rest
        .0
        .first()
        .is_some_and(|token| token.is("to") || token.kind == Kind::Symbol && token.text.starts_with('='));
    let name = in_reach(&name.to_ascii_lowercase())?;
    let is_value = |token: &Lexeme<'_>| match token.kind {
        Kind::Word | Kind::QuotedName | Kind::Text | Kind::Number => true,
        Kind::Symbol => [",", "-", "+", "."].contains(&token.text),
        _ => false,
    };
    if !is_set || !rest.behind(1).0.iter().all(is_value) {
        return Err(FORM.to_owned());
    }
    Ok(name)
}

/// Behind RESET.
fn reset(words: Words<'_>) -> Result<String, String> {
    match words.name() {
        Some((name, rest)) if rest.0.is_empty() && name != "all" => in_reach(&name.to_ascii_lowercase()),
        _ => Err("settings are reset one by one, as in RESET work_mem".to_owned()),
    }
}

fn in_reach(name: &str) -> Result<String, String> {
    if OUT_OF_REACH.contains(&name) || ["session", "local", "time", "names", "schema"].contains(&name) {
        return Err(format!("{name} is not a setting that a script may change"));
    }
    Ok(name.to_owned())
}

/// Behind INDEX.
fn index(words: Words<'_>) -> Result<(), String> {
    if words.is("concurrently") {
        return Err("nobody else uses the clone, so leave CONCURRENTLY out; what comes of it is the same".to_owned());
    }
    Ok(())
}

fn uncascaded(words: Words<'_>) -> Result<(), String> {
    match words.0.last() {
        Some(last) if last.is("cascade") => Err("CASCADE would drop more than it says; leave it out".to_owned()),
        _ => Ok(()),
    }
}

/// Behind ALTER STATISTICS: `name SET STATISTICS n`.
fn target_of_object(words: Words<'_>) -> Result<(), String> {
    let is_target = words.skip("if").skip("exists").name().is_some_and(|(_, rest)| {
        matches!(rest.0, [set, statistics, value @ ..]
            if set.is("set") && statistics.is("statistics") && is_number_or_default(value))
    });
    if is_target {
        return Ok(());
    }
    Err("of ALTER STATISTICS a script may use SET STATISTICS only".to_owned())
}

/// Behind ALTER TABLE: `[IF EXISTS] [ONLY] name [*] action, ...`.
fn targets_of_columns(words: Words<'_>) -> Result<(), String> {
    const REASON: &str = "of ALTER TABLE a script may use ALTER COLUMN ... SET STATISTICS, and SET or RESET of n_distinct and \
                          n_distinct_inherited, only";
    let table = words.skip("if").skip("exists").skip("only");
    let (_, mut rest) = table.name().ok_or(REASON)?;
    if rest.0.first().is_some_and(|token| token.is_symbol("*")) {
        rest = rest.behind(1);
    }
    let mut depth = 0_usize;
    let actions = rest.0.split(|token| {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is_symbol(",")
    });
    for action in actions {
        if !is_target(Words(action)) {
            return Err(REASON.to_owned());
        }
    }
    Ok(())
}

/// `ALTER [COLUMN] name SET STATISTICS n`, or SET or RESET of options of a column.
fn is_target(action: Words<'_>) -> bool {
    if !action.is("alter") {
        return false;
    }
    let Some((_, rest)) = action.behind(1).skip("column").name() else {
        return false;
    };
    match rest.0 {
        [set, statistics, value @ ..] if set.is("set") && statistics.is("statistics") => is_number_or_default(value),
        [set, open, options @ .., close]
            if (set.is("set") || set.is("reset")) && open.kind == Kind::Open && close.kind == Kind::Close =>
        {
            options.split(|token| token.is_symbol(",")).all(|option| {
                option
                    .first()
                    .is_some_and(|name| name.is_any(&["n_distinct", "n_distinct_inherited"]))
            })
        }
        _ => false,
    }
}

fn is_number_or_default(value: &[Lexeme<'_>]) -> bool {
    match value {
        [one] => one.kind == Kind::Number || one.is("default"),
        [sign, number] => sign.is_symbol("-") && number.kind == Kind::Number,
        _ => false,
    }
}

/// The scripts of a text, each with its name, which stands in front of it as `-- name: ...`. What stands in front of the
/// first name is a script without one, unless it is empty.
pub fn scripts(text: &str) -> Vec<(Option<String>, String)> {
    let mut scripts: Vec<(Option<String>, String)> = vec![(None, String::new())];
    for line in text.lines() {
        let named = line
            .trim()
            .strip_prefix("--")
            .and_then(|comment| comment.trim().strip_prefix("name:"))
            .map(str::trim)
            .filter(|name| !name.is_empty());
        if let Some(name) = named {
            scripts.push((Some(name.to_owned()), String::new()));
        }
        if let Some((_, script)) = scripts.last_mut() {
            script.push_str(line);
            script.push('\n');
        }
    }
    scripts.retain(|(name, script)| name.is_some() || !script.trim().is_empty());
    scripts
}

#[cfg(test)]
mod tests;
