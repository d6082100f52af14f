//! Backslash commands.

use crate::sql::pgbench::Action;
use crate::sql::pgbench::SleepTime;
use crate::sql::pgbench::SleepUnit;
use crate::sql::pgbench::error::ProgramError;
use crate::sql::pgbench::grammar::expression;
use crate::sql::pgbench::token::Tokens;
use crate::sql::pgbench::variable::is_variable_name;

/// What a backslash command is.
#[derive(Debug)]
pub(super) enum Said {
    Action(Action),
    /// The prefix of the variables; empty where none is given.
    Gset(String),
    /// A backslash with nothing behind it.
    Nothing,
}

/// Reads the command behind the backslash in front of `pos`. Also says where it ends.
pub(super) fn read(text: &str, pos: usize) -> Result<(Said, usize), ProgramError> {
    let mut tokens = Tokens::new(text, pos);
    let Some((at, name)) = tokens.word() else {
        return Ok((Said::Nothing, tokens.pos()));
    };
    let said = match name.to_ascii_lowercase().as_str() {
        "set" => Said::Action(Action::Set {
            variable: variable(&mut tokens)?,
            expr: expression(&mut tokens)?,
        }),
        "if" => Said::Action(Action::If(expression(&mut tokens)?)),
        "elif" => Said::Action(Action::Elif(expression(&mut tokens)?)),
        "else" => Said::Action(Action::Else),
        "endif" => Said::Action(Action::Endif),
        "sleep" => Said::Action(sleep(&mut tokens)?),
        "gset" => Said::Gset(prefix(&mut tokens)?),
        _ => return Err(tokens.error(at, refusal(name))),
    };
    match tokens.word() {
        Some((at, word)) => Err(tokens.error(at, format!("\\{name} should end in front of {word}."))),
        None => Ok((said, tokens.pos())),
    }
}

/// The name behind `\set`.
fn variable(tokens: &mut Tokens<'_>) -> Result<String, ProgramError> {
    let Some((at, name)) = tokens.word() else {
        return Err(tokens.error(
            tokens.pos(),
            "The name of a variable and an expression should follow \\set.",
        ));
    };
    if !is_variable_name(name) {
        let message =
            format!("\"{name}\" is no name for a variable: it takes letters, digits and _, no digit in front.");
        return Err(tokens.error(at, message));
    }
    Ok(name.to_owned())
}

/// Behind `\gset`, if anything is.
fn prefix(tokens: &mut Tokens<'_>) -> Result<String, ProgramError> {
    match tokens.word() {
        None => Ok(String::new()),
        Some((_, prefix)) if is_variable_name(prefix) => Ok(prefix.to_owned()),
        Some((at, prefix)) => Err(tokens.error(at, format!("No name of a variable can begin with \"{prefix}\"."))),
    }
}

/// Behind `\sleep`: a number with its unit, together or apart, or a variable.
fn sleep(tokens: &mut Tokens<'_>) -> Result<Action, ProgramError> {
    let Some((at, word)) = tokens.word() else {
        return Err(tokens.error(tokens.pos(), "A time should follow \\sleep: \\sleep 10 ms."));
    };
    let (time, attached) = match word.strip_prefix(':') {
        Some(name) if is_variable_name(name) => (SleepTime::Variable(name.to_owned()), ""),
        Some(_) => return Err(tokens.error(at, format!("{word} is no variable."))),
        None => {
            let digits_end = word
                .char_indices()
                .find(|(idx, char)| !(char.is_ascii_digit() || *idx == 0 && matches!(char, '+' | '-')))
                .map_or(word.len(), |(idx, _)| idx);
            let (number, unit) = word.split_at(digits_end);
            let number = number.parse().map_err(|_| {
                let message =
                    format!("\"{word}\" is no time: a whole number should stand here, and us, ms or s behind it.");
                tokens.error(at, message)
            })?;
            (SleepTime::Constant(number), unit)
        }
    };
    let (at, unit) = if attached.is_empty() {
        tokens.word().unwrap_or((at, "s"))
    } else {
        (at, attached)
    };
    let unit = match unit.to_ascii_lowercase().as_str() {
        "us" => SleepUnit::Microseconds,
        "ms" => SleepUnit::Milliseconds,
        "s" => SleepUnit::Seconds,
        _ => return Err(tokens.error(at, format!("\"{unit}\" is no unit of time; there are us, ms and s."))),
    };
    Ok(Action::Sleep { time, unit })
}

/// What to say of a command that is none of ours.
fn refusal(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "shell" | "setshell" => {
            format!("\\{name} would run a program on this machine, which no benchmark here may do.")
        }
        "aset" => "\\aset is not known here; \\gset takes the row of one query.".to_owned(),
        "startpipeline" | "syncpipeline" | "endpipeline" => {
            format!("\\{name} cannot be run: a client here waits for each statement, and there are no pipelines.")
        }
        _ => {
            format!("There is no command \\{name}; there are \\set, \\sleep, \\if, \\elif, \\else, \\endif and \\gset.")
        }
    }
}
