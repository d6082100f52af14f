//! The topic for whoever runs pgassay, with every setting as the options say of themselves.

use askama::Template;

use crate::auth::api_tokens;
use crate::auth::limit::Limit;
use crate::auth::quota;
use crate::config::variables;
use crate::config::variables::Variable;
use crate::model::dataset::Setting as Fact;
use crate::model::quota::Quotas;
use crate::web::middleware::uploads;
use crate::web::pages::help::Topic;
use crate::web::pages::help::prose;

#[derive(Template)]
#[template(path = "help/operations.html")]
struct OperationsPage {
    topic: &'static Topic,
    /// What may be asked for how often, a sentence for each.
    limits: Vec<String>,
    /// How much there may be at once, in sentences.
    at_once: String,
    /// What an account may have where an admin says nothing else.
    quotas: Vec<Fact>,
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
    let quotas = quota::ALL.map(|one| Fact {
        name: quota::field(one).label.to_owned(),
        value: quota::bound_in_words(&Quotas::default(), one),
    });
    let page = OperationsPage {
        topic,
        limits: Limit::ALL.map(Limit::sentence).into(),
        at_once: [uploads::sentence(), api_tokens::sentence()].join(" "),
        quotas: quotas.into(),
        settings,
    };
    page.render()
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
