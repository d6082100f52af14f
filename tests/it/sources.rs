//! Every source of statistics on the sample, by the command line.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::scratch;
use crate::support;

/// The objects of a list by one of their fields.
fn by<'a>(list: &'a Value, name: &str) -> BTreeMap<&'a str, &'a Value> {
    let list = list.as_array().unwrap().iter();
    list.map(|object| (object[name].as_str().unwrap(), object)).collect()
}

fn n_notes(source: &Value) -> usize {
    source["notes"].as_array().unwrap().len()
}

#[test]
fn every_source_plans_and_times_the_sample_and_says_what_it_did() {
    let dir = scratch::dir();
    let json = dir.join("out.json");
    let sources = [
        "built_in",
        "draws:k=3,target=10",
        "extended:cap=4",
        "none",
        "stale:fraction=20",
        "perturbed:seed=3,strength=100",
        "perturbed:seed=3,kinds=histogram_drop+mcv_drop,strength=100",
    ];
    let mut args = vec!["--iterations", "1", "--warmup", "0", "--seed", "5"];
    args.extend(["--json", json.to_str().unwrap()]);
    args.extend(sources.iter().flat_map(|source| ["--source", *source]));
    let output = support::run(
        &dir.join("data"),
        &support::sample("dump.sql"),
        &support::sample("queries.sql"),
        &args,
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));

    let document: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let prepared = by(&document["sources"], "label");
    let labels: Vec<&str> = document["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["label"].as_str().unwrap())
        .collect();
    assert_eq!(
        labels,
        [
            "built_in",
            "draw 1 of 3 (target 10)",
            "draw 2 of 3 (target 10)",
            "draw 3 of 3 (target 10)",
            "extended (cap 4)",
            "none",
            "stale (fraction 20)",
            "perturbed (seed 3, strength 100)",
            "perturbed (seed 3, strength 100, kinds mcv_drop+histogram_drop)",
        ]
    );
    assert_eq!(prepared["extended (cap 4)"]["objects"].as_array().unwrap().len(), 4);
    // Every table of the sample has rows enough to leave some out.
    assert_eq!(n_notes(prepared["stale (fraction 20)"]), 10);
    assert!(n_notes(prepared["perturbed (seed 3, strength 100)"]) > 10);
    assert_eq!(n_notes(prepared["built_in"]), 0);

    let summaries = document["summaries"].as_array().unwrap();
    assert_eq!(summaries.len(), 12 * labels.len());
    let table = String::from_utf8(output.stdout).unwrap();
    for summary in summaries {
        let (n, stands_for_it) = (
            summary["n_finished"].as_u64().unwrap(),
            summary["same_plan_as"].as_str(),
        );
        let is_later_draw = summary["source"].as_str().unwrap().starts_with("draw ");
        assert!(
            n == 1 && stands_for_it.is_none() || n == 0 && is_later_draw,
            "{summary}"
        );
        assert!(stands_for_it.is_none_or(|label| table.contains(&format!("same plan as {label}"))));
    }
    let n_timed = summaries.iter().filter(|summary| summary["n"] == 1).count();
    assert_eq!(document["trials"].as_array().unwrap().len(), n_timed);

    // Some query has another plan under each of those that lie.
    let plans = document["plans"].as_array().unwrap();
    let shapes = |label: &str| -> Vec<&Value> {
        let of_source = plans.iter().filter(|plan| plan["source"] == label);
        of_source.map(|plan| &plan["fingerprint"]).collect()
    };
    for label in ["none", "stale (fraction 20)", "perturbed (seed 3, strength 100)"] {
        assert_ne!(shapes(label), shapes("built_in"), "{label}");
    }
    assert_eq!(support::processes_of(&dir), Vec::<String>::new());
}
