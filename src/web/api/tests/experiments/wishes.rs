//! What is asked for: its fields, its bounds and what is answered to what cannot be.

use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::experiment::form::ExperimentForm;
use crate::source;
use crate::web::api::tests::Door;
use crate::web::api::tests::experiments::CHECK;
use crate::web::api::tests::experiments::CREATE;
use crate::web::api::tests::experiments::fields;
use crate::web::api::tests::schema::assert_described;
use crate::web::api::tests::schema::described;

#[tokio::test]
async fn what_a_check_answers_asks_for_the_same_again() {
    let (door, doc) = (Door::open().await, described());
    let (_, mut wish) = door.wish().await;
    wish["queries"] = json!([1, 0.0]);
    wish["stats_source"] = json!([
        "built_in",
        "random_targets:seed=3",
        { "name": "draws", "params": { "k": 2, "target": "50" } },
        { "name": "perturbed", "params": { "kinds": ["row_counts", "n_distinct"], "strength": 9.0 } },
        { "name": "custom_sql", "params": { "script": "set work_mem = '1MB';" } },
        { "name": "none", "params": null },
    ]);
    wish["control"] = json!(true);
    wish["observer"] = json!(null);
    wish["clock"] = json!("client");
    wish["settings"] = json!([{ "name": "work_mem", "value": "8MB" }, { "name": "search_path", "value": "a, b = c" }]);
    let checked = door.post(CHECK, &wish).await;
    assert_described(&doc, "post", CHECK, &checked);
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.text);
    let (body, configuration) = (&checked.body, &checked.body["configuration"]);
    // Two draws, a twin and a control beside those that are named.
    assert_eq!((&body["n_sources"], &body["n_queries"]), (&json!(9), &json!(2)));
    assert_eq!(body["n_trials"], 9 * 2 * 3);
    assert_eq!(body["combinations"], "9 sources × 2 queries × (2 rounds + 1 warm-up)");
    assert_eq!(
        (&body["estimated_time_s"], &body["longest_time_s"]),
        (&Value::Null, &json!(1620.0))
    );
    let warnings = body["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.as_str().unwrap().contains("client clock")),
        "{warnings:?}"
    );
    assert_eq!(
        configuration["stats_source"][3]["params"],
        json!({ "kinds": ["n_distinct", "row_counts"], "seed": 1, "strength": 9 })
    );
    let mut specs = Vec::new();
    for wish in [&wish, configuration] {
        let id = door.launch(wish).await;
        specs.push(door.bench.experiment(id).await.spec);
    }
    assert_eq!(specs[0], specs[1]);
    assert_eq!((specs[0].query_positions.as_slice(), specs[0].seed), (&[0, 1][..], 7));
    assert_eq!(specs[0].settings[1].value, "a, b = c");

    let open = json!({ "dataset": wish["dataset"], "workload": wish["workload"] });
    let usual = door.post(CHECK, &open).await.body;
    assert_eq!(usual["configuration"]["seed"], Value::Null, "chance is left to chance");
    assert_eq!(usual["configuration"]["stats_source"], json!(["built_in"]));
    assert_eq!(usual["configuration"]["settings"].as_array().unwrap().len(), 4);
    door.close().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_field_that_cannot_be_is_named_and_nothing_is_launched() {
    let (door, doc) = (Door::open().await, described());
    let (dataset, wish) = door.wish().await;
    for (change, wrong) in [
        (json!({ "iteration": 3, "stats": null }), vec!["iteration", "stats"]),
        (
            json!({ "dataset": "1", "workload": true, "queries": 0 }),
            vec!["dataset", "queries", "workload"],
        ),
        (
            json!({ "dataset": null, "workload": null }),
            vec!["dataset", "workload"],
        ),
        (json!({ "dataset": 77 }), vec!["dataset"]),
        (json!({ "workload": 77, "queries": [9] }), vec!["workload"]),
        (json!({ "queries": [] }), vec!["queries"]),
        (json!({ "queries": [0, 9] }), vec!["queries"]),
        (json!({ "queries": [2] }), vec!["queries"]),
        (json!({ "queries": [0, "1", 1.5] }), vec!["queries[1]", "queries[2]"]),
        (json!({ "stats_source": "none" }), vec!["stats_source"]),
        (json!({ "stats_source": [] }), vec!["stats_source"]),
        (json!({ "stats_source": ["none", "none"] }), vec!["stats_source"]),
        (
            json!({ "stats_source": ["oracle", 7, "draws:k=0", "draws:k"] }),
            vec![
                "stats_source[0]",
                "stats_source[1]",
                "stats_source[2].params.k",
                "stats_source[3]",
            ],
        ),
        (
            json!({ "stats_source": [
                { "name": "draws", "params": { "k": true, "j": 1 }, "seed": 1 }, { "params": 1 }, { "name": 3 },
            ] }),
            vec![
                "stats_source[0].params.k",
                "stats_source[0].seed",
                "stats_source[1].name",
                "stats_source[1].params",
                "stats_source[2].name",
            ],
        ),
        (
            json!({ "stats_source": [{ "name": "draws", "params": { "k": 31, "j": 1 } }] }),
            vec!["stats_source[0].params.j", "stats_source[0].params.k"],
        ),
        (
            json!({ "stats_source": ["built_in", { "name": "imported", "params": { "file": "gone.json" } }] }),
            vec!["stats_source"],
        ),
        (json!({ "control": "yes", "observer": 1 }), vec!["control", "observer"]),
        (
            json!({ "iterations": 0, "warm_up": 101, "seed": -1, "timeout_ms": 9 }),
            vec!["iterations", "seed", "timeout_ms", "warm_up"],
        ),
        (
            json!({ "iterations": "3", "warm_up": 0.5, "seed": 1e30, "timeout_ms": "60s" }),
            vec!["iterations", "seed", "timeout_ms", "warm_up"],
        ),
        (json!({ "clock": "sundial", "order": 1 }), vec!["clock", "order"]),
        (json!({ "settings": "jit = off" }), vec!["settings"]),
        (
            json!({ "settings": [
                { "name": "a b", "value": "1" }, { "name": "jit" }, { "name": "a", "value": "1\nb = 2" },
                { "name": "statement_timeout", "value": "0" }, { "name": "#jit", "value": "off" },
                { "name": "jit", "value": "off", "unit": "" }, { "name": "a = 1\nb", "value": "2" },
            ] }),
            vec![
                "settings[0].name",
                "settings[1]",
                "settings[2].value",
                "settings[3].name",
                "settings[4].name",
                "settings[5].unit",
                "settings[6].name",
            ],
        ),
        // The product of all is what is too much.
        (
            json!({ "iterations": 1000, "warm_up": 100, "timeout_ms": 3_600_000 }),
            vec![],
        ),
    ] {
        let mut body = wish.clone();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        if wrong.is_empty() {
            assert_eq!(door.post(CHECK, &body).await.status, StatusCode::OK, "{change}");
            continue;
        }
        for address in [CREATE, CHECK] {
            let answer = door.post(address, &body).await;
            assert_described(&doc, "post", address, &answer);
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change}: {}", answer.text);
            let expected = wrong.iter().map(|field| (*field).to_owned()).collect();
            assert_eq!(fields(&answer), expected, "{change}: {}", answer.text);
        }
    }
    assert_eq!(door.get(CREATE).await.body, json!([]));
    assert!(
        door.bench
            .house
            .datasets
            .delete(door.bench.house.viewer, dataset)
            .await
            .is_ok()
    );
    let gone = door.post(CREATE, &wish).await;
    assert_eq!(fields(&gone), ["dataset".to_owned()].into());
    door.close().await;
}

#[tokio::test]
async fn the_description_of_a_wish_names_what_is_read_and_its_bounds_are_the_real_ones() {
    let (door, doc) = (Door::open().await, described());
    let (_, wish) = door.wish().await;
    let schema = &doc["components"]["schemas"]["ExperimentWish"];
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["dataset", "workload"]));
    let properties = schema["properties"].as_object().unwrap();
    for (name, property) in properties {
        let mut body = wish.clone();
        body[name] = json!({ "no": "such type" });
        let refused = door.post(CHECK, &body).await;
        assert_eq!(fields(&refused), [name.clone()].into());
        let message = refused.body["error"]["message"].as_str().unwrap().to_owned();
        assert!(!message.contains("no field of this name"), "{name}: {message}");
        if name != "dataset" && name != "workload" {
            body[name] = Value::Null;
            assert_eq!(door.post(CHECK, &body).await.status, StatusCode::OK, "{name}");
        }
        for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
            let Some(bound) = property[bound].as_i64() else {
                continue;
            };
            for (value, status) in [(bound, StatusCode::OK), (bound + beyond, StatusCode::BAD_REQUEST)] {
                body[name] = json!(value);
                assert_eq!(door.post(CHECK, &body).await.status, status, "{name}: {value}");
            }
        }
    }
    let of_the_form = ExperimentForm::default().parse(0).unwrap_err();
    for error in of_the_form {
        assert!(properties.contains_key(&error.field), "{error:?}");
    }
    door.close().await;
}

#[tokio::test]
async fn every_source_on_offer_can_be_asked_for_with_its_own_defaults() {
    let (door, doc) = (Door::open().await, described());
    let (_, mut wish) = door.wish().await;
    let offers = door.get("/api/sources").await;
    assert_described(&doc, "get", "/api/sources", &offers);
    let offers = offers.body;
    let names: Vec<&str> = offers
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["name"].as_str().unwrap())
        .collect();
    let expected: Vec<&str> = source::ALL.iter().map(|source| source.name()).collect();
    assert_eq!(names, expected);
    let targets = &offers[1]["parameters"];
    assert_eq!(
        (&targets[1]["name"], &targets[1]["kind"], &targets[1]["default"]),
        (&json!("low"), &json!("integer"), &json!(1))
    );
    assert_eq!(
        (&targets[1]["minimum"], &targets[1]["maximum"]),
        (&json!(1), &json!(10_000))
    );
    let mut n_asked = 0;
    for offer in offers.as_array().unwrap() {
        let parameters = offer["parameters"].as_array().unwrap();
        let given = |parameter: &&Value| !parameter["default"].is_null();
        let params: serde_json::Map<String, Value> = parameters
            .iter()
            .filter(given)
            .map(|parameter| {
                (
                    parameter["name"].as_str().unwrap().to_owned(),
                    parameter["default"].clone(),
                )
            })
            .collect();
        let is_whole = params.len() == parameters.len();
        wish["stats_source"] = json!([{ "name": offer["name"], "params": params }]);
        let answer = door.post(CHECK, &wish).await;
        let status = if is_whole {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        };
        assert_eq!(answer.status, status, "{offer}: {}", answer.text);
        n_asked += usize::from(is_whole);
    }
    assert_eq!(n_asked, names.len() - 2, "there is no usual file and no usual script");
    door.close().await;
}
