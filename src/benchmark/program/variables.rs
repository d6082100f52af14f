//! The variables of one client. They are known by their slots: the places that [`Linked`] gave to their names.
//!
//! [`Linked`]: crate::benchmark::program::Linked

use crate::benchmark::program::failure::Reason;
use crate::benchmark::program::number;
use crate::sql::pgbench::Value;

/// Where a variable is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub usize);

#[derive(Debug)]
pub struct Variables {
    variables: Vec<Variable>,
}

#[derive(Debug)]
struct Variable {
    name: Box<str>,
    held: Held,
    /// What it is in a statement, if that is known by now. The buffer is kept.
    text: String,
}

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Nothing,
    /// The result of an expression.
    Value {
        value: Value,
        has_text: bool,
    },
    /// Text from a query or from whoever defined it, with its value once that was asked for.
    Text {
        value: Option<Value>,
    },
}

impl Variables {
    /// All unset, in the order of their slots.
    pub fn new(names: impl IntoIterator<Item = Box<str>>) -> Self {
        let unset = |name| Variable {
            name,
            held: Held::Nothing,
            text: String::new(),
        };
        Self {
            variables: names.into_iter().map(unset).collect(),
        }
    }

    pub fn set(&mut self, slot: Slot, value: Value) {
        self.variables[slot.0].held = Held::Value { value, has_text: false };
    }

    pub fn set_text(&mut self, slot: Slot, text: &str) {
        let variable = &mut self.variables[slot.0];
        variable.held = Held::Text { value: None };
        variable.text.clear();
        variable.text.push_str(text);
    }

    /// What it is in an expression.
    pub fn value(&mut self, slot: Slot) -> Result<Value, Reason> {
        let variable = &mut self.variables[slot.0];
        match variable.held {
            Held::Value { value, .. } | Held::Text { value: Some(value) } => Ok(value),
            Held::Nothing => Err(Reason::Unset(variable.name.clone())),
            Held::Text { value: None } => match number::read(&variable.text) {
                Some(value) => {
                    variable.held = Held::Text { value: Some(value) };
                    Ok(value)
                }
                None => Err(Reason::NoValue {
                    name: variable.name.clone(),
                    text: variable.text.as_str().into(),
                }),
            },
        }
    }

    /// Makes its text, so that [`Self::text`] has it.
    pub fn make_text(&mut self, slot: Slot) {
        let variable = &mut self.variables[slot.0];
        if let Held::Value { value, has_text: false } = variable.held {
            variable.text.clear();
            number::write(&mut variable.text, value).expect("a String takes whatever is written");
            variable.held = Held::Value { value, has_text: true };
        }
    }

    /// What it is in a statement, once [`Self::make_text`] was called since it was set; nothing while it is unset.
    pub fn text(&self, slot: Slot) -> Option<&str> {
        let variable = &self.variables[slot.0];
        (variable.held != Held::Nothing).then_some(&variable.text)
    }

    /// Whether it holds NULL from an expression. NULL from a query is an empty text, as under pgbench.
    pub fn is_null(&self, slot: Slot) -> bool {
        matches!(self.variables[slot.0].held, Held::Value { value: Value::Null, .. })
    }

    pub fn name(&self, slot: Slot) -> &str {
        &self.variables[slot.0].name
    }
}
