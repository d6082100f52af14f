//! What a person asks of an instrument, in a form or on the command line.

use std::collections::BTreeMap;

use crate::experiment::fields::FieldError;
use crate::model::instrument::InstrumentKind;

/// What a person gave, as text: the fields that the instrument has, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentForm {
    pub request_id: String,
    pub kind: String,
    /// The last value of each field.
    pub fields: BTreeMap<String, String>,
}

impl InstrumentForm {
    /// Reads the pairs of a posted form or a query string.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "request_id" => form.request_id = value,
                "kind" => form.kind = value,
                _ => {
                    form.fields.insert(name, value);
                }
            }
        }
        form
    }

    /// The instrument that is meant.
    pub fn instrument(&self) -> Result<InstrumentKind, FieldError> {
        let known = InstrumentKind::ALL.into_iter().find(|kind| kind.word() == self.kind);
        known.ok_or_else(|| FieldError::new("kind", format!("There is no instrument called {:?}.", self.kind)))
    }

    /// What a field holds, without blanks around it; empty when it is not there.
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", |value| value.trim())
    }

    /// A field that names something by its number.
    pub fn number<T: std::str::FromStr>(&self, field: &str, missing: &str) -> Result<T, FieldError> {
        self.get(field).parse().map_err(|_| FieldError::new(field, missing))
    }

    /// A whole number between two bounds.
    pub fn within(&self, field: &str, min: u32, max: u32) -> Result<u32, FieldError> {
        let text = self.get(field);
        match text.parse::<u32>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            _ => {
                let message = format!("This takes a whole number from {min} to {max}, not {text:?}.");
                Err(FieldError::new(field, message))
            }
        }
    }
}
