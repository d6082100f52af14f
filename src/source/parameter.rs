//! Parameters of sources: declared once, from which the form, the command line and the checks follow.

use crate::model::units::bytes_in_words;
use crate::sql::tuning;

/// One thing a person can set about a source.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub label: &'static str,
    pub about: &'static str,
    pub default: &'static str,
    pub kind: ParameterKind,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum ParameterKind {
    Integer {
        min: u64,
        max: u64,
    },
    Choice(&'static [&'static str]),
    /// At least one of these, put together by `+`.
    Several(&'static [&'static str]),
    /// The name of a statistics file of the dataset.
    StatisticsFile,
    /// Statements, each ended by a semicolon. Of several scripts each begins with its name.
    Script {
        max_bytes: usize,
        /// For the form: what one looks like.
        example: &'static str,
    },
}

/// What is wrong with a script is told so many times.
const N_PROBLEMS: usize = 5;

/// Between the chosen ones of several.
pub const AND: char = '+';

/// A parameter that cannot be; `field` is empty when the source itself is the trouble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    pub field: String,
    pub message: String,
}

impl ParamError {
    pub fn new(field: &str, message: String) -> Self {
        Self {
            field: field.to_owned(),
            message,
        }
    }
}

impl Parameter {
    /// The normal form of what was given.
    pub fn parse(&self, text: &str) -> Result<String, ParamError> {
        match self.kind {
            ParameterKind::Integer { min, max } => match text.parse::<u64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => Err(ParamError::new(
                    self.name,
                    format!("{} takes a whole number from {min} to {max}, not {text:?}.", self.label),
                )),
            },
            ParameterKind::Choice(choices) => match choices.iter().find(|choice| **choice == text) {
                Some(choice) => Ok((*choice).to_owned()),
                None => Err(ParamError::new(
                    self.name,
                    format!("{} takes one of {}, not {text:?}.", self.label, choices.join(", ")),
                )),
            },
            ParameterKind::Several(choices) => self.several(choices, text),
            ParameterKind::StatisticsFile if text.is_empty() => {
                Err(ParamError::new(self.name, "Choose a statistics file.".to_owned()))
            }
            ParameterKind::StatisticsFile => Ok(text.to_owned()),
            ParameterKind::Script { max_bytes, .. } => self.script(max_bytes, text),
        }
    }

    /// One that may run, as it stands.
    fn script(&self, max_bytes: usize, text: &str) -> Result<String, ParamError> {
        let error = |message: String| Err(ParamError::new(self.name, message));
        if text.len() > max_bytes {
            return error(format!(
                "A script may have {}; this has {}.",
                bytes_in_words(max_bytes as u64),
                bytes_in_words(text.len() as u64)
            ));
        }
        match tuning::read(text) {
            Ok(steps) if steps.is_empty() => error("There is no statement in the script.".to_owned()),
            Ok(_) => Ok(text.to_owned()),
            Err(problems) => {
                let shown: Vec<String> = problems
                    .iter()
                    .take(N_PROBLEMS)
                    .map(|problem| format!("{problem}."))
                    .collect();
                let more = match problems.len().saturating_sub(N_PROBLEMS) {
                    0 => String::new(),
                    n => format!(" And {n} more."),
                };
                error(format!("{}{more}", shown.join(" ")))
            }
        }
    }

    /// Each once, in the order in which they were declared.
    fn several(&self, choices: &[&'static str], text: &str) -> Result<String, ParamError> {
        let chosen: Vec<&str> = chosen(text).collect();
        let error = |what: String| {
            let all = choices.join(", ");
            Err(ParamError::new(
                self.name,
                format!(
                    "{} takes one or more of {all}, put together by {AND}{what}.",
                    self.label
                ),
            ))
        };
        if let Some(unknown) = chosen.iter().find(|word| !choices.contains(word)) {
            return error(format!(", not {unknown:?}"));
        }
        let in_order: Vec<&str> = choices
            .iter()
            .copied()
            .filter(|choice| chosen.contains(choice))
            .collect();
        if in_order.is_empty() {
            return error(String::new());
        }
        Ok(in_order.join(&AND.to_string()))
    }
}

/// The chosen ones of several.
pub fn chosen(text: &str) -> impl Iterator<Item = &str> {
    text.split(AND).map(str::trim).filter(|word| !word.is_empty())
}
