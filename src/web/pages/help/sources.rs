//! The topic that lists every source, as the sources say of themselves.

use askama::Template;

use crate::model::units::bytes_in_words;
use crate::source;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::web::pages::help::Topic;

#[derive(Template)]
#[template(path = "help/sources.html")]
struct SourcesPage {
    topic: &'static Topic,
    groups: Vec<GroupOfSources>,
}

struct GroupOfSources {
    group: Group,
    sources: Vec<&'static dyn StatsSource>,
}

pub(super) fn render(topic: &'static Topic) -> askama::Result<String> {
    let of_group = |group: Group| GroupOfSources {
        group,
        sources: source::ALL
            .iter()
            .copied()
            .filter(|source| source.group() == group)
            .collect(),
    };
    let groups = Group::ALL.into_iter().map(of_group).collect();
    SourcesPage { topic, groups }.render()
}

/// What a parameter takes, in words.
fn takes(parameter: &Parameter) -> String {
    match parameter.kind {
        ParameterKind::Integer { min, max: u64::MAX } => format!("a whole number from {min}"),
        ParameterKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        ParameterKind::Choice(choices) => choices.join(" or "),
        ParameterKind::Several(choices) => format!("one or more of {}", choices.join(", ")),
        ParameterKind::StatisticsFile => "the name of a statistics file of the dataset".to_owned(),
        ParameterKind::Script { max_bytes, .. } => {
            format!("statements, {} at most", bytes_in_words(max_bytes as u64))
        }
    }
}
