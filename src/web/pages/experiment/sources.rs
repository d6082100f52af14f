//! The sources of statistics as the form offers them.

use crate::experiment::form::ExperimentForm;
use crate::source;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;

/// Sources that belong together.
pub struct GroupChoice {
    pub title: &'static str,
    pub about: &'static str,
    pub sources: Vec<SourceChoice>,
}

pub struct SourceChoice {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub is_chosen: bool,
    pub parameters: Vec<ParameterField>,
}

pub struct ParameterField {
    pub name: String,
    pub label: &'static str,
    pub about: &'static str,
    pub control: Control,
}

/// How a parameter is set, with what was given.
pub enum Control {
    Text(String),
    One(Vec<Tick>),
    Several(Vec<Tick>),
}

pub struct Tick {
    pub word: &'static str,
    pub is_chosen: bool,
}

/// Every source, group by group, with what the form says of it.
pub fn choices(form: &ExperimentForm) -> Vec<GroupChoice> {
    let of_group = |group: Group| GroupChoice {
        title: group.title(),
        about: group.about(),
        sources: source::ALL
            .iter()
            .filter(|source| source.group() == group)
            .map(|source| choice(*source, form))
            .collect(),
    };
    Group::ALL.into_iter().map(of_group).collect()
}

fn choice(source: &'static dyn StatsSource, form: &ExperimentForm) -> SourceChoice {
    SourceChoice {
        name: source.name(),
        title: source.title(),
        about: source.about(),
        is_chosen: form.stats_source.iter().any(|name| name == source.name()),
        parameters: source
            .parameters()
            .iter()
            .map(|parameter| field(source.name(), parameter, form))
            .collect(),
    }
}

fn field(source: &str, parameter: &Parameter, form: &ExperimentForm) -> ParameterField {
    let name = format!("{source}.{}", parameter.name);
    let value = form
        .params
        .get(&name)
        .cloned()
        .unwrap_or_else(|| parameter.default.to_owned());
    let ticks = |words: &[&'static str], is_chosen: &dyn Fn(&str) -> bool| {
        let ticks = words.iter().map(|word| Tick {
            word,
            is_chosen: is_chosen(word),
        });
        ticks.collect()
    };
    ParameterField {
        label: parameter.label,
        about: parameter.about,
        control: match parameter.kind {
            ParameterKind::Integer { .. } => Control::Text(value),
            ParameterKind::Choice(words) => Control::One(ticks(words, &|word| word == value)),
            ParameterKind::Several(words) => Control::Several(ticks(words, &|word| {
                parameter::chosen(&value).any(|chosen| chosen == word)
            })),
        },
        name,
    }
}
