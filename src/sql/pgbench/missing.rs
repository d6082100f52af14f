//! What a program needs that it does not have: variables from elsewhere, and a protocol that can carry it.

use std::collections::BTreeSet;

use crate::sql::pgbench::AUTOMATIC;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Expr;
use crate::sql::pgbench::Program;
use crate::sql::pgbench::SleepTime;
use crate::sql::pgbench::Statement;
use crate::sql::pgbench::variable::Place;

/// The most parameters of one statement in the protocol: their number has two bytes.
const MAX_PARAMETERS: usize = 65_535;

/// Why a program cannot be run with prepared statements, nor in the extended protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason} Choose the simple protocol.")]
pub struct NeedsSimple {
    pub line: u64,
    /// A sentence.
    pub reason: String,
}

impl Program {
    /// The variables that it uses and never sets, in the order of their names, without the automatic ones and without
    /// those defined. Names that a `\gset` may set count as set: what columns it will find is not known here.
    pub fn missing(&self, defined: &[&str]) -> BTreeSet<&str> {
        let mut missing = self.needed();
        missing.retain(|name| !self.sets(name) && !self.may_get(name) && !is_given(name, defined));
        missing
    }

    /// Whether statements with parameters can do its work. A variable between quotes would have to be put into the text,
    /// and several queries cannot be one prepared statement. What looks like a variable and is never set is plain text.
    pub fn check_parameters(&self, defined: &[&str]) -> Result<(), NeedsSimple> {
        let is_known = |name: &str| self.sets(name) || is_given(name, defined);
        for (line, statement) in self.statements() {
            let in_quotes = statement
                .variables
                .iter()
                .find(|used| used.place == Place::Quotes && is_known(&used.name));
            let reason = if let Some(used) = in_quotes {
                format!(
                    "The variable :{} stands between quotes, where a server takes no parameter.",
                    used.name
                )
            } else if statement.is_compound {
                "Several queries joined by \\; cannot be sent with parameters.".to_owned()
            } else if statement.variables.len() > MAX_PARAMETERS {
                format!("The statement has more than {MAX_PARAMETERS} variables.")
            } else {
                continue;
            };
            return Err(NeedsSimple { line, reason });
        }
        Ok(())
    }

    /// Its SQL commands with their lines.
    fn statements(&self) -> impl Iterator<Item = (u64, &Statement)> {
        self.commands.iter().filter_map(|command| match &command.action {
            Action::Sql(statement) => Some((command.line, statement)),
            _ => None,
        })
    }

    /// Whether it takes a variable from elsewhere, an automatic one included.
    pub fn needs(&self, name: &str) -> bool {
        self.needed().contains(name) && !self.sets(name)
    }

    fn needed(&self) -> BTreeSet<&str> {
        let mut needed = BTreeSet::new();
        for command in &self.commands {
            match &command.action {
                Action::Sql(statement) => {
                    let uses = statement.variables.iter().filter(|used| used.place == Place::Sql);
                    needed.extend(uses.map(|used| used.name.as_str()));
                }
                Action::Set { expr, .. } | Action::If(expr) | Action::Elif(expr) => add_variables(expr, &mut needed),
                Action::Sleep {
                    time: SleepTime::Variable(name),
                    ..
                } => {
                    needed.insert(name);
                }
                Action::Sleep { .. } | Action::Else | Action::Endif => {}
            }
        }
        needed
    }

    fn sets(&self, name: &str) -> bool {
        let mut actions = self.commands.iter().map(|command| &command.action);
        actions.any(|action| matches!(action, Action::Set { variable, .. } if variable == name))
    }

    fn may_get(&self, name: &str) -> bool {
        let mut prefixes = self.statements().filter_map(|(_, statement)| statement.gset.as_deref());
        prefixes.any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
    }
}

fn is_given(name: &str, defined: &[&str]) -> bool {
    AUTOMATIC.contains(&name) || defined.contains(&name)
}

fn add_variables<'a>(expr: &'a Expr, names: &mut BTreeSet<&'a str>) {
    match expr {
        Expr::Constant(_) => {}
        Expr::Variable(name) => {
            names.insert(name);
        }
        Expr::Call(_, arguments) => arguments.iter().for_each(|argument| add_variables(argument, names)),
        Expr::And(left, right) | Expr::Or(left, right) => {
            add_variables(left, names);
            add_variables(right, names);
        }
        Expr::Case(whens, otherwise) => {
            for (when, then) in whens {
                add_variables(when, names);
                add_variables(then, names);
            }
            add_variables(otherwise, names);
        }
    }
}
