//! The way back: from a spec to the form that asks for the same. Whether what it names is still there is not known here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::experiment::fields::duration;
use crate::experiment::form::ExperimentForm;
use crate::model::dataset::Setting;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SourceSpec;
use crate::source;
use crate::source::parameter::ParameterKind;

impl ExperimentForm {
    /// The form that asks for the same; its `request_id` is still to be given. Parsed, it is `spec` again, but for what a
    /// bundle gave, which no form can. Sources stand in the fields that the browser's form has for them wherever these can
    /// say it, else each with all its parameters, in its place.
    pub fn like(spec: &ExperimentSpec) -> Self {
        // Whole, so that a new field cannot be forgotten here.
        let ExperimentSpec {
            dataset_id,
            workload_id,
            query_positions,
            sources,
            has_control,
            has_observer,
            iterations,
            warm_up,
            seed,
            clock,
            timeout_ms,
            order,
            settings,
            repeats: _,
        } = spec;
        let exactly = Self {
            request_id: String::new(),
            dataset: dataset_id.to_string(),
            workload: workload_id.to_string(),
            queries: query_positions.iter().map(i32::to_string).collect(),
            // None are listed in a spec that means all of them.
            queries_listed: !query_positions.is_empty(),
            stats_source: chosen(spec).map(in_one_word).collect(),
            params: BTreeMap::new(),
            control: *has_control,
            observer: *has_observer,
            iterations: iterations.to_string(),
            warm_up: warm_up.to_string(),
            seed: seed.to_string(),
            clock: clock.word().to_owned(),
            timeout: duration(*timeout_ms),
            order: order.word().to_owned(),
            settings: lines(settings),
        };
        let in_fields = fields(spec).map(|(stats_source, params)| Self {
            stats_source,
            params,
            ..exactly.clone()
        });
        in_fields
            .filter(|form| form.sources().as_ref() == Ok(sources))
            .unwrap_or(exactly)
    }
}

/// The sources as a person chose them: a set of draws once, and neither twins nor the control.
pub fn chosen(spec: &ExperimentSpec) -> impl Iterator<Item = &SourceSpec> {
    let n_chosen = spec.control_idx().unwrap_or(spec.sources.len());
    let twins: Vec<usize> = spec.annexes().iter().map(|annex| annex.twin_idx).collect();
    let sources = spec.sources.iter().take(n_chosen).enumerate();
    let chosen = sources.filter(move |(idx, source)| !twins.contains(idx) && source.draw.is_none_or(|n| n == 1));
    chosen.map(|(_, source)| source)
}

/// A source with all its parameters, whatever stands in them.
pub fn in_one_word(source: &SourceSpec) -> String {
    let params: serde_json::Map<_, _> = source
        .params
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    format!("{}:{}", source.name, serde_json::Value::Object(params))
}

/// The ticks and the parameters by which the browser's form would say it. None where it has no way to: it shows every source
/// once, in its own order, and only numbers and scripts may be several.
fn fields(spec: &ExperimentSpec) -> Option<(Vec<String>, BTreeMap<String, String>)> {
    let mut names: Vec<String> = Vec::new();
    let mut params: BTreeMap<String, String> = BTreeMap::new();
    for chosen in chosen(spec) {
        let kinds = source::find(&chosen.name)?.parameters();
        if !names.contains(&chosen.name) {
            names.push(chosen.name.clone());
        }
        for (name, value) in &chosen.params {
            let kind = kinds.iter().find(|parameter| parameter.name == name)?.kind;
            match params.entry(format!("{}.{name}", chosen.name)) {
                Entry::Vacant(place) => {
                    place.insert(value.clone());
                }
                Entry::Occupied(mut place) => match kind {
                    ParameterKind::Integer { .. } => {
                        if !place.get().split(", ").any(|before| before == value) {
                            place.get_mut().extend([", ", value]);
                        }
                    }
                    ParameterKind::Script { .. } => place.get_mut().extend(["\n\n", value]),
                    _ if place.get() == value => {}
                    _ => return None,
                },
            }
        }
    }
    let place = |name: &String| source::ALL.iter().position(|source| source.name() == name);
    names.is_sorted_by_key(place).then_some((names, params))
}

/// Session settings as the field takes them, one a line.
pub fn lines(settings: &[Setting]) -> String {
    let lines = settings
        .iter()
        .map(|setting| format!("{} = {}", setting.name, setting.value));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(sources: &[&str]) -> ExperimentForm {
        ExperimentForm {
            dataset: "12".into(),
            workload: "34".into(),
            stats_source: sources.iter().map(|source| (*source).to_owned()).collect(),
            ..ExperimentForm::default()
        }
    }

    /// What the form makes of the spec of `form`, which has to ask for the same.
    fn again(form: &ExperimentForm) -> ExperimentForm {
        let spec = form.parse(7).unwrap();
        let like = ExperimentForm::like(&spec);
        assert_eq!(like.parse(8), Ok(spec), "{like:?}");
        like
    }

    #[test]
    fn a_form_filled_in_like_an_experiment_with_nothing_usual_asks_for_the_same() {
        let unusual = ExperimentForm {
            queries: vec!["1".into(), "4".into()],
            queries_listed: true,
            control: true,
            observer: true,
            iterations: "3".into(),
            warm_up: "0".into(),
            seed: u64::MAX.to_string(),
            clock: "client".into(),
            timeout: "1m 500ms".into(),
            order: "sequential".into(),
            settings: "work_mem = '64MB'\nsearch_path = a, \"b=c\"\nplan_cache_mode=auto".into(),
            ..form(&[
                "none",
                "draws:k=3,target=7",
                "random_targets:seed=1,high=10",
                "random_targets:seed=2,low=5,scale=uniform",
                "imported:{\"file\":\"of Monday, 7=8 {a:b}.json\"}",
                "perturbed:kinds=mcv_drop+row_counts,strength=3",
                "built_in",
            ])
        };
        let like = again(&unusual);
        assert_eq!((like.timeout.as_str(), like.stats_source.len()), ("60500ms", 7));
        assert_eq!(again(&like), like, "and once more");
    }

    #[test]
    fn sources_that_the_browsers_form_can_say_stand_in_its_fields() {
        let mut wish = form(&["built_in", "random_targets", "draws", "perturbed"]);
        for (name, value) in [
            ("random_targets.seed", "1, 2, 3"),
            ("random_targets.high", "50"),
            ("draws.k", "4"),
            ("perturbed.kinds", "mcv_drop+row_counts"),
        ] {
            wish.params.insert(name.into(), value.into());
        }
        wish.control = true;
        let like = again(&wish);
        assert_eq!(like.stats_source, wish.stats_source);
        for (name, value) in &wish.params {
            assert_eq!(&like.params[name], value, "{name}");
        }
        assert_eq!(like.params["random_targets.low"], "1", "what is usual stands there too");
    }

    #[test]
    fn scripts_stand_in_their_field_and_their_twins_are_not_chosen_again() {
        let mut wish = form(&["built_in", "none", "custom_sql"]);
        let scripts = "-- name: a\nset work_mem = '1MB';\n\n-- name: b\nanalyze;\nset work_mem = '2MB';";
        wish.params.insert("custom_sql.script".into(), scripts.into());
        wish.control = true;
        let like = again(&wish);
        assert_eq!(like.stats_source, wish.stats_source);
        assert_eq!(like.params["custom_sql.script"], scripts);
        wish.stats_source.swap(1, 2);
        let like = again(&wish);
        assert_eq!(like.stats_source.len(), 4, "{like:?}");
    }

    #[test]
    fn sources_in_an_order_or_a_combination_that_has_no_fields_are_given_one_by_one() {
        for sources in [
            vec!["none", "built_in"],
            vec!["random_targets:seed=1,high=10", "random_targets:seed=2,high=20"],
            vec!["perturbed:kinds=mcv_drop", "perturbed:kinds=row_counts"],
            vec!["imported:file=a", "imported:file=b"],
        ] {
            let like = again(&form(&sources));
            assert_eq!(like.stats_source.len(), sources.len());
            assert!(like.stats_source.iter().all(|source| source.contains(":{")), "{like:?}");
            assert!(like.params.is_empty());
        }
    }
}
