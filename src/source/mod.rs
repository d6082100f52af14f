//! Sources: where the planner's statistics come from. One trait, one list, one file for each.
//!
//! To add one: a file, a line in [`ALL`], a test.

use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SourceSpec;
use crate::model::snapshot::Snapshot;

pub mod analyze;
pub mod built_in;
pub mod columns;
pub mod custom_sql;
mod draws;
mod extended;
pub mod imported;
pub mod none;
pub mod objects;
pub mod parameter;
mod perturbed;
pub mod random_targets;
mod stale;
pub mod uniform_target;
pub mod workplace;

use crate::source::objects::Found;
use crate::source::objects::Scout;
use crate::source::parameter::ParamError;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Workplace;
use crate::sql::tuning;

/// What the form shows together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Gathered,
    Failing,
    Elsewhere,
    Yours,
}

impl Group {
    pub const ALL: [Self; 4] = [Self::Gathered, Self::Failing, Self::Elsewhere, Self::Yours];

    /// For the form: a headline.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gathered => "Gathered by ANALYZE",
            Self::Failing => "Missing, old or wrong",
            Self::Elsewhere => "From another server",
            Self::Yours => "More than statistics",
        }
    }

    /// For the form: what its sources have in common, and what they need.
    pub fn about(self) -> &'static str {
        match self {
            Self::Gathered => {
                "True statistics of the data as they are, as the owner of the tables can gather them on any server. The \
                 sources differ in how much is kept, and of which sample."
            }
            Self::Failing => {
                "What becomes of plans when statistics fail. Such statistics are written straight into the server's \
                 catalogs, which takes a superuser: the copy of your dataset has one, a server in production may not."
            }
            Self::Elsewhere => {
                "Statistics that were gathered elsewhere, of other data under the same names. They are written into the \
                 catalogs of the copy of your dataset; the other server is only read, once, by whoever makes the file."
            }
            Self::Yours => {
                "What you would do on your own server about a plan, tried out: each script in a copy of the dataset of its own, \
                 with the rights of the owner of the tables."
            }
        }
    }
}

/// What a source did, in notes for people.
pub type Applied = anyhow::Result<Vec<SourceNote>>;

/// Gives a pristine clone its statistics.
pub trait StatsSource: Send + Sync {
    /// Stored and linked to: it never changes.
    fn name(&self) -> &'static str;
    /// With which others the form shows it.
    fn group(&self) -> Group;
    /// For the form: two or three words.
    fn title(&self) -> &'static str;
    /// For the form: what it does, in a sentence or two.
    fn about(&self) -> &'static str;
    /// What a person can set.
    fn parameters(&self) -> &'static [Parameter];
    /// Rules between parameters, once each of them is legal.
    fn check(&self, _params: &Params) -> Result<(), ParamError> {
        Ok(())
    }
    /// The statistics objects that have to stand in the clone before any source is prepared.
    fn objects<'a>(&'a self, _scout: &'a mut Scout<'_>, _params: &'a Params) -> BoxFuture<'a, anyhow::Result<Found>> {
        Box::pin(async { Ok(Found::default()) })
    }
    /// Gives the clone its statistics. It is pristine when this is called; whatever names an object of the user's is done
    /// as the dataset's own role. Says what should be known about it beside the statistics themselves.
    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied>;
    /// Whether it changes more than statistics, and so runs in a clone of its own, beside a twin of the experiment's first
    /// source. The clone has the statistics of that one when it is applied, and what it changed is left in the place.
    fn needs_annex(&self) -> bool {
        false
    }
    /// Changes a new annex as `apply` did, all but the statistics.
    fn alter<'a>(&'a self, _place: &'a mut Workplace<'_>, _params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// How many sources of an experiment it stands for, where it is a set of draws.
    fn n_draws(&self, _params: &Params) -> Option<u32> {
        None
    }
    /// What it would change of `base`, for a source that starts from such statistics and needs nothing else.
    fn preview(&self, _base: &Snapshot, _params: &Params) -> Option<anyhow::Result<Vec<SourceNote>>> {
        None
    }
}

/// Every source on offer, group by group, in the order the form shows them.
pub static ALL: &[&dyn StatsSource] = &[
    &built_in::BuiltIn,
    &random_targets::RandomTargets,
    &uniform_target::UniformTarget,
    &draws::Draws,
    &extended::Extended,
    &none::NoStatistics,
    &stale::Stale,
    &perturbed::Perturbed,
    &imported::Imported,
    &custom_sql::CustomSql,
];

/// The source of this name.
pub fn find(name: &str) -> Option<&'static dyn StatsSource> {
    ALL.iter().copied().find(|source| source.name() == name)
}

/// The parameter by which a source names a statistics file, and the name that it gives; none for a source that needs none.
pub fn statistics_file(spec: &SourceSpec) -> Option<(&'static str, &str)> {
    let names_file = |parameter: &&Parameter| matches!(parameter.kind, ParameterKind::StatisticsFile);
    let parameter = find(&spec.name)?.parameters().iter().find(names_file)?;
    let name = spec.params.get(parameter.name)?;
    Some((parameter.name, name))
}

/// Whether a source runs in an annex.
pub fn needs_annex(spec: &SourceSpec) -> bool {
    find(&spec.name).is_some_and(StatsSource::needs_annex)
}

/// Makes a validated source out of what a person gave, every parameter present and in its normal form; or says everything
/// that is wrong with it.
pub fn parse(name: &str, given: &Params) -> Result<SourceSpec, Vec<ParamError>> {
    let unheard_of = || vec![ParamError::new("", format!("There is no source called {name}."))];
    let source = find(name).ok_or_else(unheard_of)?;
    let is_known = |key: &&String| source.parameters().iter().any(|parameter| parameter.name == *key);
    let unknown = given.keys().filter(|key| !is_known(key));
    let mut errors: Vec<ParamError> = unknown
        .map(|key| ParamError::new(key, format!("The source {name} has no parameter {key}.")))
        .collect();
    let mut params = Params::new();
    for parameter in source.parameters() {
        // Left empty it is as usual; of several, none at all was chosen.
        let text = given
            .get(parameter.name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty() || matches!(parameter.kind, ParameterKind::Several(_)));
        match parameter.parse(text.unwrap_or(parameter.default)) {
            Ok(value) => {
                params.insert(parameter.name.to_owned(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    source.check(&params).map_err(|error| vec![error])?;
    let label = label(source, &params);
    Ok(SourceSpec {
        name: name.to_owned(),
        params,
        label,
        draw: None,
        annex: None,
    })
}

/// The values that a field for a parameter lists, each of which makes a source: apart by commas, or scripts by their names.
pub fn values(name: &str, parameter: &str, text: &str) -> Result<Vec<String>, ParamError> {
    let found = find(name).and_then(|source| source.parameters().iter().find(|known| known.name == parameter));
    match found.filter(|found| matches!(found.kind, ParameterKind::Script { .. })) {
        Some(script) => {
            // As a whole, so that lines are counted as the person sees them.
            script.parse(text)?;
            Ok(tuning::scripts(text).into_iter().map(|(_, script)| script).collect())
        }
        None => Ok(text.split(',').map(|value| value.trim().to_owned()).collect()),
    }
}

/// The sources of an experiment that a chosen one stands for: itself, or each draw of a set.
pub fn draws(spec: SourceSpec) -> Vec<SourceSpec> {
    let Some((source, n_draws)) = find(&spec.name).and_then(|source| Some((source, source.n_draws(&spec.params)?)))
    else {
        return vec![spec];
    };
    let unusual: Vec<String> = unusual(source, &spec.params)
        .filter(|shown| !shown.starts_with("k "))
        .collect();
    let behind = if unusual.is_empty() {
        String::new()
    } else {
        format!(" ({})", unusual.join(", "))
    };
    let draws = (1..=n_draws).map(|n| SourceSpec {
        label: format!("draw {n} of {n_draws}{behind}"),
        draw: Some(n),
        ..spec.clone()
    });
    draws.collect()
}

/// The name with the parameters that are not as usual.
fn label(source: &dyn StatsSource, params: &Params) -> String {
    match unusual(source, params).collect::<Vec<_>>().join(", ") {
        shown if shown.is_empty() => source.name().to_owned(),
        shown => format!("{} ({shown})", source.name()),
    }
}

/// The parameters that are not as usual, in the order of the form.
fn unusual(source: &dyn StatsSource, params: &Params) -> impl Iterator<Item = String> {
    source.parameters().iter().filter_map(|parameter| {
        let value = params.get(parameter.name).filter(|value| *value != parameter.default)?;
        match parameter.kind {
            // By its name, if it has one.
            ParameterKind::Script { .. } => tuning::scripts(value).into_iter().find_map(|(name, _)| name),
            _ => Some(format!("{} {value}", parameter.name)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn names_are_unique_and_every_source_says_what_it_does() {
        for (idx, source) in ALL.iter().enumerate() {
            assert!(ALL[..idx].iter().all(|other| other.name() != source.name()));
            assert!(source.about().ends_with('.'), "{}", source.name());
            let has_default = |parameter: &Parameter| {
                !matches!(
                    parameter.kind,
                    ParameterKind::StatisticsFile | ParameterKind::Script { .. }
                )
            };
            assert_eq!(
                parse(source.name(), &Params::new()).is_ok(),
                source.parameters().iter().all(has_default),
                "the defaults of {} are legal, but there is no usual file or script",
                source.name()
            );
        }
        assert!(
            ALL.is_sorted_by_key(|source| Group::ALL.iter().position(|group| *group == source.group())),
            "the sources of a group stand together"
        );
    }

    #[test]
    fn a_source_is_parsed_into_its_normal_form() {
        let spec = parse("random_targets", &params(&[("seed", " 007 "), ("high", "50")])).unwrap();
        assert_eq!(
            spec.params,
            params(&[("seed", "7"), ("low", "1"), ("high", "50"), ("scale", "log")])
        );
        assert_eq!(spec.label, "random_targets (seed 7, high 50)");
        assert_eq!(parse("built_in", &Params::new()).unwrap().label, "built_in");
        let spec = parse("perturbed", &params(&[("kinds", "row_counts + n_distinct+row_counts")])).unwrap();
        assert_eq!(spec.label, "perturbed (kinds n_distinct+row_counts)");
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        for (name, given, field) in [
            ("nonsense", params(&[]), ""),
            ("built_in", params(&[("seed", "1")]), "seed"),
            ("random_targets", params(&[("seed", "x")]), "seed"),
            ("random_targets", params(&[("low", "0")]), "low"),
            ("random_targets", params(&[("high", "10001")]), "high"),
            ("random_targets", params(&[("low", "9"), ("high", "8")]), "high"),
            ("random_targets", params(&[("scale", "cubic")]), "scale"),
            ("uniform_target", params(&[("target", "3.5")]), "target"),
            ("perturbed", params(&[("kinds", "n_distinct+lies")]), "kinds"),
            ("perturbed", params(&[("kinds", " ")]), "kinds"),
            ("perturbed", params(&[("strength", "0")]), "strength"),
            ("perturbed", params(&[("strength", "101")]), "strength"),
            ("perturbed", params(&[("seed", "-1")]), "seed"),
            ("draws", params(&[("k", "1")]), "k"),
            ("draws", params(&[("k", "31")]), "k"),
            ("draws", params(&[("target", "0")]), "target"),
            ("draws", params(&[("trials", "few")]), "trials"),
            ("extended", params(&[("kinds", "mcv+histogram")]), "kinds"),
            ("extended", params(&[("cap", "0")]), "cap"),
            ("extended", params(&[("cap", "65")]), "cap"),
            ("stale", params(&[("fraction", "0")]), "fraction"),
            ("stale", params(&[("fraction", "100")]), "fraction"),
            ("imported", params(&[("file", " ")]), "file"),
            ("custom_sql", params(&[("script", " -- nothing\n")]), "script"),
            ("custom_sql", params(&[("script", "create table t (a int)")]), "script"),
        ] {
            let errors = parse(name, &given).unwrap_err();
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, [field], "{name} {given:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_with_a_source_is_said_at_once() {
        let given = params(&[("seed", "x"), ("low", "0"), ("high", "9"), ("mood", "bad")]);
        let errors = parse("random_targets", &given).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["mood", "seed", "low"]);
    }
}
