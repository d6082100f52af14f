//! The topic for whoever runs pgassay, with every setting as the options say of themselves.

use askama::Template;

use crate::config::variables;
use crate::config::variables::Variable;
use crate::web::pages::help::Topic;
use crate::web::pages::help::prose;

#[derive(Template)]
#[template(path = "help/operations.html")]
struct OperationsPage {
    topic: &'static Topic,
    settings: Vec<Setting>,
}

struct Setting {
    name: String,
    option: String,
    /// Empty where nothing is usual.
    usual: String,
    about: Vec<Stretch>,
}

/// A part of a sentence.
struct Stretch {
    text: String,
    /// It is to be typed as it stands.
    is_code: bool,
}

pub(super) fn render(topic: &'static Topic) -> askama::Result<String> {
    let settings = variables::all().into_iter().map(setting).collect();
    OperationsPage { topic, settings }.render()
}

fn setting(variable: Variable) -> Setting {
    Setting {
        usual: prose::in_words(&variable).unwrap_or_default(),
        about: stretches(&variable.about),
        name: variable.name,
        option: variable.option,
    }
}

/// Parts a text at its backquotes.
fn stretches(text: &str) -> Vec<Stretch> {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(idx, part)| Stretch {
        text: part.to_owned(),
        is_code: idx % 2 == 1,
    });
    parts.filter(|stretch| !stretch.text.is_empty()).collect()
}
