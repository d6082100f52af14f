//! Parameters of sources: declared once, from which the form, the command line and the checks follow.

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
    Integer { min: u64, max: u64 },
    Choice(&'static [&'static str]),
}

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
        }
    }
}
