//! What a form asks for, and what is said of one that cannot be.

use super::*;

fn form() -> ExperimentForm {
    ExperimentForm {
        dataset: "1".into(),
        workload: "2".into(),
        ..ExperimentForm::default()
    }
}

#[test]
fn the_defaults_are_a_legal_wish() {
    let spec = form().parse(42).unwrap();
    assert_eq!(
        (spec.seed, spec.iterations, spec.warm_up, spec.timeout_ms),
        (42, 10, 1, 60_000)
    );
    assert_eq!(spec.settings.len(), 4);
    assert_eq!(spec.sources[0].label, "built_in");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_by_field() {
    let form = ExperimentForm {
        stats_source: vec![],
        iterations: "0".into(),
        warm_up: "-1".into(),
        seed: "x".into(),
        clock: "sundial".into(),
        timeout: "soon".into(),
        order: String::new(),
        settings: "work_mem".into(),
        queries: vec!["one".into()],
        ..ExperimentForm::default()
    };
    let fields: Vec<String> = form
        .parse(1)
        .unwrap_err()
        .into_iter()
        .map(|error| error.field)
        .collect();
    let expected = [
        "dataset",
        "workload",
        "stats_source",
        "iterations",
        "warm_up",
        "seed",
        "clock",
        "order",
        "timeout",
        "settings",
        "query",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn every_wrong_source_and_parameter_is_said_at_once_and_once_only() {
    let mut form = ExperimentForm {
        stats_source: vec![
            "random_targets".into(),
            "oracle".into(),
            "draws:k=0,target=x".into(),
            "none".into(),
            "none".into(),
            "stale:fraction".into(),
        ],
        ..form()
    };
    form.params.insert("random_targets.seed".into(), "1, x, y".into());
    form.params.insert("random_targets.high".into(), "10, 20".into());
    form.params.insert("random_targets.low".into(), "0".into());
    let errors = form.parse(1).unwrap_err();
    let said: Vec<(&str, bool)> = errors
        .iter()
        .map(|error| (error.field.as_str(), error.message.contains("\"y\"")))
        .collect();
    let expected = [
        ("random_targets.low", false),
        ("random_targets.seed", false),
        ("random_targets.seed", true),
        ("stats_source", false),
        ("draws.target", false),
        ("draws.k", false),
        ("stats_source", false),
        ("stats_source", false),
    ];
    assert_eq!(said, expected, "{errors:#?}");
    assert!(errors[7].message.starts_with("none is chosen twice"), "{errors:#?}");
}

#[test]
fn several_values_of_a_parameter_make_several_sources() {
    let mut form = ExperimentForm {
        stats_source: vec!["random_targets".into(), "none".into()],
        ..form()
    };
    form.params.insert("random_targets.seed".into(), "1, 2".into());
    form.params.insert("random_targets.high".into(), "10,100".into());
    let labels: Vec<String> = form
        .parse(1)
        .unwrap()
        .sources
        .into_iter()
        .map(|source| source.label)
        .collect();
    assert_eq!(form.parse(1).unwrap().sources_in_words(), "4 × random_targets, none");
    assert_eq!(labels.len(), 5);
    assert_eq!(labels[0], "random_targets (high 10)");
    assert_eq!(labels[4], "none");
}

#[test]
fn the_ticks_of_a_parameter_are_put_together_and_none_at_all_is_refused() {
    let form = |ticks: &[&str]| {
        let mut pairs = vec![
            ("dataset", "1"),
            ("workload", "2"),
            ("stats_source", "perturbed"),
            ("perturbed.kinds", ""),
        ];
        pairs.extend(ticks.iter().map(|tick| ("perturbed.kinds", *tick)));
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        ExperimentForm::from_pairs(pairs.collect()).parse(1)
    };
    let spec = form(&["row_counts", "mcv_drop"]).unwrap();
    assert_eq!(spec.sources[0].params["kinds"], "mcv_drop+row_counts");
    assert_eq!(form(&[]).unwrap_err()[0].field, "perturbed.kinds");
}

#[test]
fn a_control_is_the_first_source_again_under_a_label_that_says_so() {
    let form = ExperimentForm {
        stats_source: vec!["uniform_target:target=10".into(), "none".into()],
        control: true,
        ..form()
    };
    let spec = form.parse(1).unwrap();
    assert_eq!(spec.control_idx(), Some(2));
    assert_eq!(spec.sources[2].params, spec.sources[0].params);
    assert_eq!(spec.sources[2].label, "uniform_target (target 10) again (control)");
    let listed = "uniform_target, none, uniform_target (target 10) again (control)";
    assert_eq!(spec.sources_in_words(), listed);
    let stored = serde_json::to_string(&spec)
        .unwrap()
        .replace("\"has_control\":true,", "")
        .replace("\"has_observer\":false,", "");
    let older: ExperimentSpec = serde_json::from_str(&stored).unwrap();
    assert_eq!(older.control_idx(), None, "experiments of before have none");
    assert!(!older.has_observer, "nor were they asked what measuring costs");
}

#[test]
fn every_script_gets_an_annex_with_the_first_source_in_it() {
    let script = "-- name: a\nset work_mem = 1, 2;\n-- name: b\nanalyze;\n";
    let mut form = ExperimentForm {
        stats_source: vec!["none".into(), "custom_sql".into(), "built_in".into()],
        control: true,
        ..form()
    };
    form.params.insert("custom_sql.script".into(), script.into());
    let spec = form.parse(1).unwrap();
    let sources: Vec<(&str, &str, Option<u32>)> = spec
        .sources
        .iter()
        .map(|source| (source.label.as_str(), source.name.as_str(), source.annex))
        .collect();
    assert_eq!(
        sources,
        [
            ("none", "none", None),
            ("custom_sql (a)", "custom_sql", Some(1)),
            ("none, in the clone of custom_sql (a)", "none", Some(1)),
            ("custom_sql (b)", "custom_sql", Some(2)),
            ("none, in the clone of custom_sql (b)", "none", Some(2)),
            ("built_in", "built_in", None),
            ("none again (control)", "none", None),
        ]
    );
    assert_eq!(spec.sources[1].params["script"], "-- name: a\nset work_mem = 1, 2;");
    assert_eq!(spec.control_idx(), Some(6));
    assert!(twins::has_sound_annexes(&spec));
    let altered = |alter: &dyn Fn(&mut Vec<SourceSpec>)| {
        let mut spec = spec.clone();
        alter(&mut spec.sources);
        twins::has_sound_annexes(&spec)
    };
    assert!(!altered(&|sources| sources[1].annex = None));
    assert!(!altered(&|sources| sources[2].annex = Some(7)));
    assert!(!altered(&|sources| sources[2].name = "built_in".to_owned()));
    assert!(!altered(&|sources| {
        sources[1]
            .params
            .insert("script".to_owned(), "create table t (a int)".to_owned());
    }));
    assert!(!altered(&|sources| {
        sources.remove(0);
    }));

    form.params.insert(
        "custom_sql.script".into(),
        "-- name: a\nanalyze;\n\n-- name: b\ndrop table t;".into(),
    );
    let errors = form.parse(1).unwrap_err();
    assert_eq!(errors[0].field, "custom_sql.script");
    assert!(errors[0].message.starts_with("Line 5, drop table t: "), "{errors:?}");
    form.stats_source.remove(0);
    form.params.insert("custom_sql.script".into(), "analyze".into());
    let errors = form.parse(1).unwrap_err();
    assert!(errors[0].message.contains("cannot be the first"), "{errors:?}");
}

#[test]
fn the_command_lines_grammar_names_parameters_behind_a_colon() {
    let sources = vec![
        "random_targets:seed=7,low=1,high=100,scale=log".into(),
        "random_targets:seed=8".into(),
    ];
    let spec = ExperimentForm {
        stats_source: sources,
        ..form()
    }
    .parse(1)
    .unwrap();
    assert_eq!(spec.sources.len(), 2);
    for (wrong, field) in [
        (vec!["random_targets:seed"], "stats_source"),
        (vec!["random_targets:seed=x"], "random_targets.seed"),
        (vec!["built_in", "built_in"], "stats_source"),
    ] {
        let sources = wrong.into_iter().map(str::to_owned).collect();
        let errors = ExperimentForm {
            stats_source: sources,
            ..form()
        }
        .parse(1)
        .unwrap_err();
        assert_eq!(errors[0].field, field);
    }
}
