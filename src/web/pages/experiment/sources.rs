//! The sources of statistics as the form offers them.

use askama::Template;
use sqlx::PgConnection;

use crate::experiment::fields::FieldError;
use crate::experiment::form;
use crate::experiment::form::ExperimentForm;
use crate::model::ids::DatasetId;
use crate::model::user::Viewer;
use crate::source;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::store;
use crate::web::urls;

/// The part of a form in which sources are chosen, with what was chosen and what is wrong with it.
#[derive(Template)]
#[template(path = "experiment/sources.html")]
pub struct SourcesView {
    /// Sources that no field can say, as an earlier run had them.
    exact: Vec<ExactChoice>,
    groups: Vec<GroupChoice>,
    errors: Vec<FieldError>,
}

impl SourcesView {
    /// Everything that can be chosen for a dataset, as far as it is known.
    pub async fn load(
        conn: &mut PgConnection,
        viewer: Viewer,
        dataset_id: Option<DatasetId>,
        form: &ExperimentForm,
        errors: &[FieldError],
    ) -> store::Result<Self> {
        let files = match dataset_id {
            Some(id) => store::statistics_files::list(conn, viewer, id).await?,
            None => Vec::new(),
        };
        let files = Files {
            dataset_id,
            names: files.into_iter().map(|file| file.name).collect(),
        };
        Ok(Self {
            exact: exact(form),
            groups: choices(form, &files),
            errors: errors.to_vec(),
        })
    }

    /// All messages at a field.
    fn error(&self, field: &str) -> Option<String> {
        messages(&self.errors, field)
    }
}

/// All messages at a field in one line; none where nothing is wrong with it.
pub fn messages(errors: &[FieldError], field: &str) -> Option<String> {
    let of_field = errors.iter().filter(|error| error.field == field);
    let messages: Vec<&str> = of_field.map(|error| error.message.as_str()).collect();
    (!messages.is_empty()).then(|| messages.join(" "))
}

/// Sources that belong together.
struct GroupChoice {
    title: &'static str,
    about: &'static str,
    sources: Vec<SourceChoice>,
}

struct SourceChoice {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    is_chosen: bool,
    /// Why it cannot be chosen, and where that can be changed.
    refusal: Option<Refusal>,
    parameters: Vec<ParameterField>,
}

struct Refusal {
    message: &'static str,
    /// None where the form itself is the place.
    href: Option<String>,
}

/// The statistics files that the chosen dataset has.
struct Files {
    /// None while no dataset is chosen.
    dataset_id: Option<DatasetId>,
    names: Vec<String>,
}

struct ParameterField {
    name: String,
    label: &'static str,
    about: &'static str,
    control: Control,
}

/// A source with all its parameters, which no field can say.
struct ExactChoice {
    value: String,
    label: String,
}

/// How a parameter is set, with what was given.
enum Control {
    Text(String),
    Lines { value: String, example: &'static str },
    One(Vec<Tick>),
    Several(Vec<Tick>),
}

struct Tick {
    word: String,
    is_chosen: bool,
}

/// Every source, group by group, with what the form says of it.
fn choices(form: &ExperimentForm, files: &Files) -> Vec<GroupChoice> {
    let of_group = |group: Group| GroupChoice {
        title: group.title(),
        about: group.about(),
        sources: source::ALL
            .iter()
            .filter(|source| source.group() == group)
            .map(|source| choice(*source, form, files))
            .collect(),
    };
    Group::ALL.into_iter().map(of_group).collect()
}

/// The sources that the form names with all their parameters.
fn exact(form: &ExperimentForm) -> Vec<ExactChoice> {
    let given = form.stats_source.iter().filter(|given| given.contains(':'));
    let choices = given.map(|given| {
        let read = form::inline(given).ok().flatten();
        let spec = read.and_then(|(name, params)| source::parse(&name, &params).ok());
        ExactChoice {
            label: spec.map_or_else(|| given.clone(), |spec| spec.label),
            value: given.clone(),
        }
    });
    choices.collect()
}

fn choice(source: &'static dyn StatsSource, form: &ExperimentForm, files: &Files) -> SourceChoice {
    let refusal = refusal(source, files);
    SourceChoice {
        name: source.name(),
        title: source.title(),
        about: source.about(),
        is_chosen: refusal.is_none() && form.stats_source.iter().any(|name| name == source.name()),
        // What cannot be chosen needs no settings.
        parameters: source
            .parameters()
            .iter()
            .filter(|_| refusal.is_none())
            .map(|parameter| field(source.name(), parameter, form, files))
            .collect(),
        refusal,
    }
}

fn refusal(source: &dyn StatsSource, files: &Files) -> Option<Refusal> {
    let is_file = |parameter: &Parameter| matches!(parameter.kind, ParameterKind::StatisticsFile);
    let needs_file = source.parameters().iter().any(is_file);
    match files.dataset_id {
        _ if !needs_file || !files.names.is_empty() => None,
        None => Some(Refusal {
            message: "Choose a dataset first: it works with statistics files of the dataset.",
            href: None,
        }),
        Some(id) => Some(Refusal {
            message: "This dataset has no statistics file yet.",
            href: Some(urls::dataset(id)),
        }),
    }
}

fn field(source: &str, parameter: &Parameter, form: &ExperimentForm, files: &Files) -> ParameterField {
    let name = format!("{source}.{}", parameter.name);
    let value = form
        .params
        .get(&name)
        .cloned()
        .unwrap_or_else(|| parameter.default.to_owned());
    let ticks = |words: &[&str], is_chosen: &dyn Fn(&str) -> bool| {
        let ticks = words.iter().map(|word| Tick {
            is_chosen: is_chosen(word),
            word: (*word).to_owned(),
        });
        ticks.collect()
    };
    ParameterField {
        label: parameter.label,
        about: parameter.about,
        control: match parameter.kind {
            ParameterKind::Integer { .. } => Control::Text(value),
            ParameterKind::Script { example, .. } => Control::Lines { value, example },
            ParameterKind::Choice(words) => Control::One(ticks(words, &|word| word == value)),
            ParameterKind::Several(words) => Control::Several(ticks(words, &|word| {
                parameter::chosen(&value).any(|chosen| chosen == word)
            })),
            ParameterKind::StatisticsFile => {
                let mut words: Vec<&str> = files.names.iter().map(String::as_str).collect();
                // One that is gone is not silently another.
                if !value.is_empty() && !words.contains(&value.as_str()) {
                    words.insert(0, "");
                }
                Control::One(ticks(&words, &|word| word == value))
            }
        },
        name,
    }
}
