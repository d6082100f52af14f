//! Experiments: what goes in, what comes out, and that both are as they are described.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt as _;

use crate::experiment::form::ExperimentForm;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::source;
use crate::store;
use crate::web::api::tests::Answer;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::router;
use crate::web::api::tests::schema::assert_described;
use crate::web::api::tests::schema::described;
use crate::web::api::tests::schema::response;
use crate::web::api::tests::send;

const CREATE: &str = "/api/experiments";
const CHECK: &str = "/api/experiments/check";

const THINGS: &str = "
create table things (id integer primary key, kind integer, name text);
insert into things select g, g % 10, 'thing ' || g from generate_series(1, 2000) g;
create index on things (kind);
";

const THREE_QUERIES: &str = "-- name: of_a_kind\nselect count(*) from things where kind = 3;\n\
                             -- name: by_name\nselect max(name) from things;\n\
                             -- name: never\nvacuum things;\n";

impl Door {
    /// A body that asks for two rounds of two queries under two sources.
    async fn wish(&self) -> (DatasetId, Value) {
        let dataset = self.bench.restored(THINGS).await;
        let workload = self.bench.workload(THREE_QUERIES).await;
        let wish = json!({
            "dataset": dataset, "workload": workload, "stats_source": ["built_in", "none"],
            "iterations": 2, "warm_up": 1, "seed": 7, "timeout_ms": 30_000,
        });
        (dataset, wish)
    }

    async fn launch(&self, wish: &Value) -> ExperimentId {
        let answer = self.post(CREATE, wish).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        ExperimentId(answer.body["id"].as_i64().unwrap())
    }

    async fn keyed(&self, address: &str, key: &str, body: &Value) -> Answer {
        let request = Request::post(address).header("idempotency-key", key);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(of_a_program(request, Body::from(body.to_string()))).await
    }

    async fn accepting(&self, address: &str, accept: &str) -> Answer {
        let request = Request::get(address).header(header::ACCEPT, accept);
        self.send(of_a_program(request, Body::empty())).await
    }
}

fn lines(answer: &Answer) -> Vec<Value> {
    let lines = answer.text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn fields(answer: &Answer) -> BTreeSet<String> {
    let fields = answer.body["error"]["fields"].as_array().unwrap();
    let names = fields.iter().map(|field| field["field"].as_str().unwrap().to_owned());
    names.collect()
}

#[tokio::test]
async fn an_experiment_is_launched_followed_and_read_in_the_numbers_of_its_export() {
    let (door, doc) = (Door::open().await, described());
    let (_, wish) = door.wish().await;
    let created = door.post(CREATE, &wish).await;
    assert_described(&doc, "post", CREATE, &created);
    assert_eq!(created.status, StatusCode::CREATED);
    let address = format!("/api/experiments/{}", created.body["id"]);
    assert_eq!(created.headers[header::LOCATION], address.as_str());
    assert_eq!(
        (&created.body["status"], &created.body["n_trials"]),
        (&json!("queued"), &json!(12))
    );
    let waiting = door.get(&address).await;
    assert_described(&doc, "get", "/api/experiments/{id}", &waiting);
    assert_eq!(waiting.body["progress"]["queue_position"], 1);
    assert_eq!(waiting.body["summaries"], json!([]));
    let nothing = door.get(&format!("{address}/trials")).await;
    assert_eq!((nothing.status, nothing.text.as_str()), (StatusCode::OK, ""));

    let id = ExperimentId(created.body["id"].as_i64().unwrap());
    door.bench.finished(id).await;
    let shown = door.get(&address).await;
    assert_described(&doc, "get", "/api/experiments/{id}", &shown);
    let export = door.get(&format!("/results/{id}/export.json")).await.body;
    for name in ["sources", "queries", "summaries", "comparisons", "baseline"] {
        assert_eq!(shown.body[name], export[name], "{name}");
    }
    assert_eq!(shown.body["summaries"].as_array().unwrap().len(), 4);
    assert_eq!(shown.body["comparisons"].as_array().unwrap().len(), 2);
    for name in [
        "spec",
        "status",
        "headline",
        "n_trials",
        "n_recorded",
        "environment",
        "segments",
    ] {
        assert_eq!(shown.body[name], export["experiment"][name], "{name}");
    }
    assert_eq!(
        (&shown.body["status"], &shown.body["progress"]),
        (&json!("completed"), &Value::Null)
    );
    let beside = door.get(&format!("{address}?base=1")).await;
    let export_beside = door.get(&format!("/results/{id}/export.json?base=1")).await.body;
    assert_eq!(beside.body["baseline"], "none");
    assert_eq!(beside.body["comparisons"], export_beside["comparisons"]);
    for wrong in ["2", "-1", "x"] {
        let refused = door.get(&format!("{address}?base={wrong}")).await;
        assert_described(&doc, "get", "/api/experiments/{id}", &refused);
        assert_eq!(fields(&refused), ["base".to_owned()].into(), "{wrong}");
    }

    let trials = door.get(&format!("{address}/trials")).await;
    assert_described(&doc, "get", "/api/experiments/{id}/trials", &trials);
    let of_kind = |kind: &str| -> Vec<Value> {
        let meant = lines(&trials).into_iter().filter(|line| line["kind"] == kind);
        let without = meant.map(|mut line| {
            line.as_object_mut().unwrap().remove("kind");
            line
        });
        without.collect()
    };
    assert_eq!(json!(of_kind("measured")), export["trials"]);
    assert_eq!(json!(of_kind("warm_up")), export["warm_up_trials"]);
    let csv = door.get(&format!("{address}/trials?format=csv")).await;
    assert_described(&doc, "get", "/api/experiments/{id}/trials", &csv);
    assert_eq!(csv.text, door.get(&format!("/results/{id}/trials.csv")).await.text);
    door.close().await;
}

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
async fn a_key_launches_one_experiment_and_another_run_is_a_new_one_like_it() {
    let (door, doc) = (Door::open().await, described());
    let (_, wish) = door.wish().await;
    let first = door.keyed(CREATE, "a", &wish).await;
    let again = door.keyed(CREATE, "a", &wish).await;
    let other = door.keyed(CREATE, "b", &wish).await;
    assert_eq!(
        (again.status, &again.body["id"], &again.headers[header::LOCATION]),
        (StatusCode::CREATED, &first.body["id"], &first.headers[header::LOCATION])
    );
    assert_ne!(first.body["id"], other.body["id"]);
    let refused = door.keyed(CREATE, &"x".repeat(201), &wish).await;
    assert_described(&doc, "post", CREATE, &refused);
    assert_eq!(fields(&refused), ["Idempotency-Key".to_owned()].into());

    let old = format!("/api/experiments/{}", first.body["id"]);
    let rerun = format!("{old}/rerun");
    let bare = |address: &str| of_a_program(Request::builder().method(Method::POST).uri(address), Body::empty());
    let once = door.keyed(&rerun, "c", &json!({})).await;
    let twice = door.keyed(&rerun, "c", &json!({})).await;
    assert_described(&doc, "post", "/api/experiments/{id}/rerun", &once);
    assert_eq!(
        (once.status, &once.body["id"]),
        (StatusCode::CREATED, &twice.body["id"])
    );
    assert_ne!(once.body["id"], first.body["id"]);
    assert_eq!(once.body["spec"], first.body["spec"]);
    assert_eq!(
        once.headers[header::LOCATION],
        format!("/api/experiments/{}", once.body["id"]).as_str()
    );
    let third = door.send(bare(&rerun)).await;
    assert_eq!(third.status, StatusCode::CREATED, "{}", third.text);
    assert_ne!(third.body["id"], once.body["id"]);
    let refused = door.keyed(&rerun, " ", &json!({})).await;
    assert_described(&doc, "post", "/api/experiments/{id}/rerun", &refused);
    assert_eq!(fields(&refused), ["Idempotency-Key".to_owned()].into());

    for (method, path) in [("get", ""), ("get", "/trials"), ("post", "/cancel"), ("post", "/rerun")] {
        for id in ["77", "x", "-1", "99999999999999999999"] {
            let address = format!("/api/experiments/{id}{path}");
            let unknown = match method {
                "get" => door.get(&address).await,
                _ => door.send(bare(&address)).await,
            };
            assert_eq!(
                unknown.body["error"]["code"], "not_found",
                "{address}: {}",
                unknown.text
            );
            assert_described(&doc, method, &format!("/api/experiments/{{id}}{path}"), &unknown);
        }
    }
    door.close().await;
}

#[tokio::test]
async fn an_experiment_is_cancelled_once_and_one_that_has_ended_is_not() {
    let (door, doc) = (Door::open().await, described());
    let (dataset, wish) = door.wish().await;
    let (waiting, running) = (door.launch(&wish).await, door.launch(&wish).await);
    let cancel = async |id: ExperimentId| {
        let request = Request::post(format!("/api/experiments/{id}/cancel"));
        let answer = door.send(of_a_program(request, Body::empty())).await;
        assert_described(&doc, "post", "/api/experiments/{id}/cancel", &answer);
        answer
    };
    for _ in 0..2 {
        let cancelled = cancel(waiting).await;
        assert_eq!(
            (cancelled.status, &cancelled.body["status"]),
            (StatusCode::OK, &json!("cancelled"))
        );
        assert_eq!(cancelled.body["message"], "Stopped before it began.");
    }
    let lease = door.claim().await;
    let asked = cancel(running).await;
    assert_eq!(
        (&asked.body["status"], &asked.body["cancel_requested"]),
        (&json!("running"), &json!(true))
    );
    door.settle(&lease, JobStatus::Completed, None).await;
    let late = cancel(running).await;
    assert_eq!(
        (late.status, &late.body["error"]["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );
    assert_eq!(
        late.body["error"]["message"],
        format!("Experiment {running} has ended: it is finished.")
    );

    let viewer = door.bench.house.viewer;
    door.bench.house.datasets.delete(viewer, dataset).await.unwrap();
    let request = Request::post(format!("/api/experiments/{running}/rerun"));
    let without_dataset = door.send(of_a_program(request, Body::empty())).await;
    assert_described(&doc, "post", "/api/experiments/{id}/rerun", &without_dataset);
    assert_eq!(without_dataset.status, StatusCode::CONFLICT, "{}", without_dataset.text);
    door.close().await;
}

#[tokio::test]
async fn experiments_are_listed_stretch_by_stretch_and_only_to_whom_they_belong() {
    let (door, doc) = (Door::open().await, described());
    let (_, wish) = door.wish().await;
    let mut launched = Vec::new();
    for _ in 0..5 {
        launched.push(door.launch(&wish).await.0);
    }
    let mut address = "/api/experiments?limit=2".to_owned();
    let mut seen: Vec<i64> = Vec::new();
    loop {
        let answer = door.get(&address).await;
        assert_described(&doc, "get", CREATE, &answer);
        let stretch = answer.body.as_array().unwrap();
        seen.extend(stretch.iter().map(|one| one["id"].as_i64().unwrap()));
        let Some(link) = answer.headers.get(header::LINK) else {
            break;
        };
        let link = link.to_str().unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        link.trim_start_matches('<').clone_into(&mut address);
    }
    launched.reverse();
    assert_eq!(seen, launched);
    for wrong in ["limit=0", "limit=101", "before=x", "before=0", "before=-1"] {
        let refused = door.get(&format!("/api/experiments?{wrong}")).await;
        assert_described(&doc, "get", CREATE, &refused);
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }

    let stranger = sqlx::query_scalar("insert into users (name) values ('stranger') returning id");
    let stranger = stranger.fetch_one(&door.bench.house.pool).await.unwrap();
    let stranger = crate::model::user::Viewer::owner(crate::model::ids::UserId(stranger));
    let theirs = router(&door.bench, stranger, &door.shutdown);
    let get = async |address: String| send(&theirs, of_a_program(Request::get(address), Body::empty())).await;
    assert_eq!(get(CREATE.to_owned()).await.body, json!([]));
    let id = launched[0];
    for path in ["", "/trials"] {
        let hidden = get(format!("/api/experiments/{id}{path}")).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
    }
    for deed in ["cancel", "rerun"] {
        let request = Request::post(format!("/api/experiments/{id}/{deed}"));
        let refused = send(&theirs, of_a_program(request, Body::empty())).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{deed}");
    }
    let request = Request::post(CREATE).header(header::CONTENT_TYPE, "application/json");
    let refused = send(&theirs, of_a_program(request, Body::from(wish.to_string()))).await;
    assert_eq!(
        fields(&refused),
        ["dataset".to_owned()].into(),
        "it is not there for them"
    );
    door.close().await;
}

#[tokio::test]
async fn trials_are_streamed_in_pieces_and_read_on_behind_any_of_them() {
    let (door, doc) = (Door::open().await, described());
    let (_, mut wish) = door.wish().await;
    wish["iterations"] = json!(1000);
    wish["warm_up"] = json!(0);
    wish["queries"] = json!([0]);
    wish["stats_source"] = json!(["built_in", "none", "uniform_target"]);
    let id = door.launch(&wish).await;
    let lease = door.claim().await;
    let outcomes: Vec<_> = (0..2500).map(store::trials::tests::trial).collect();
    let mut conn = door.bench.house.pool.acquire().await.unwrap();
    assert!(
        store::trials::record(&mut conn, &lease, id, 1, &outcomes)
            .await
            .unwrap()
    );
    for (first_trial, last_trial) in [(990, 1010), (2499, 2499)] {
        let look = crate::model::look::Look {
            saw_checkpoint: true,
            ..crate::model::look::tests::calm(first_trial, last_trial)
        };
        assert!(store::looks::insert(&mut conn, &lease, id, &look).await.unwrap());
    }
    drop(conn);

    let address = format!("/api/experiments/{id}/trials");
    let request = of_a_program(Request::get(&address), Body::empty());
    let mut body = door.router.clone().oneshot(request).await.unwrap().into_body();
    let mut n_pieces = 0;
    while let Some(piece) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        assert!(piece.unwrap().into_data().unwrap().len() < 1 << 20);
        n_pieces += 1;
    }
    assert!(n_pieces > 2, "{n_pieces}");

    let whole = door.get(&address).await;
    assert_described(&doc, "get", "/api/experiments/{id}/trials", &whole);
    let all = lines(&whole);
    let numbers: Vec<i64> = all.iter().map(|line| line["trial"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=2500).collect::<Vec<i64>>());
    let disturbed = all.iter().filter(|line| line["seen"] == json!(["checkpoint"]));
    let disturbed: Vec<i64> = disturbed.map(|line| line["trial"].as_i64().unwrap()).collect();
    assert_eq!(disturbed, (991..=1011).chain([2500]).collect::<Vec<i64>>());
    let csv = door.get(&format!("{address}?format=csv")).await;
    assert_eq!(csv.text, door.get(&format!("/results/{id}/trials.csv")).await.text);
    assert_eq!(csv.headers[header::CONTENT_TYPE], "text/csv; charset=utf-8");

    let (mut after, mut read_on) = (0, Vec::new());
    loop {
        let stretch = lines(&door.get(&format!("{address}?after={after}&limit=999")).await);
        let Some(last) = stretch.last() else { break };
        after = last["trial"].as_i64().unwrap();
        read_on.extend(stretch);
    }
    assert_eq!(read_on, all);
    let rows = door.get(&format!("{address}?format=csv&after=2498&limit=1")).await;
    let rows: Vec<&str> = rows.text.lines().collect();
    assert!(rows.len() == 2 && rows[1].starts_with("2499,measured,"), "{rows:?}");
    let behind_all = door.get(&format!("{address}?format=csv&after=2500")).await;
    assert_eq!(behind_all.text.lines().count(), 1, "the names stand there all the same");

    for (accept, kind) in [
        ("*/*", "application/jsonl"),
        ("text/html", "application/jsonl"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson;q=0.5, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("application/jsonl, text/csv;q=0.9", "application/jsonl"),
        ("text/csv;q=0", "application/jsonl"),
    ] {
        let answer = door.accepting(&format!("{address}?limit=1"), accept).await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], kind, "{accept}");
        assert_eq!(answer.headers[header::VARY], "accept");
    }
    for wrong in ["format=xml", "after=-1", "after=x", "limit=0", "limit=2147483648"] {
        let refused = door.get(&format!("{address}?{wrong}")).await;
        assert_described(&doc, "get", "/api/experiments/{id}/trials", &refused);
        let (field, _) = wrong.split_once('=').unwrap();
        assert_eq!(fields(&refused), [field.to_owned()].into(), "{wrong}");
    }
    door.close().await;
}

#[tokio::test]
async fn what_somebody_else_shares_is_read_and_neither_stopped_nor_changed() {
    let (door, doc) = (Door::open().await, described());
    let (_, wish) = door.wish().await;
    let id = door.launch(&wish).await;
    let (dataset, workload) = (&wish["dataset"], &wish["workload"]);
    let theirs = door.of_a_stranger().await;
    let ask = async |method: Method, address: String| {
        let request = Request::builder().method(method).uri(address);
        send(&theirs, of_a_program(request, Body::empty())).await
    };
    let share = async |table: &str| {
        let sql = format!("update {table} set is_shared = true");
        let share = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&door.bench.house.pool);
        share.await.unwrap();
    };
    let show = || format!("/api/experiments/{id}");
    assert_eq!(ask(Method::GET, show()).await.status, StatusCode::NOT_FOUND);
    share("experiments").await;
    assert_eq!(ask(Method::GET, show()).await.status, StatusCode::OK);
    let stop = ask(Method::POST, format!("{}/cancel", show())).await;
    assert_described(&doc, "post", "/api/experiments/{id}/cancel", &stop);
    assert_eq!(stop.status, StatusCode::NOT_FOUND);
    // What it ran on is not theirs to see.
    let rerun = ask(Method::POST, format!("{}/rerun", show())).await;
    assert_described(&doc, "post", "/api/experiments/{id}/rerun", &rerun);
    assert_eq!(rerun.status, StatusCode::CONFLICT, "{}", rerun.text);
    assert_eq!(door.get(CREATE).await.body.as_array().unwrap().len(), 1);
    let shown = door.get(&show()).await.body;
    assert_eq!(
        (&shown["status"], &shown["cancel_requested"]),
        (&json!("queued"), &json!(false))
    );

    share("datasets").await;
    share("workloads").await;
    for (method, address) in [
        (Method::DELETE, format!("/api/datasets/{dataset}")),
        (Method::POST, format!("/api/datasets/{dataset}/stop")),
        (Method::POST, format!("/api/datasets/{dataset}/restore")),
        (Method::DELETE, format!("/api/workloads/{workload}")),
    ] {
        let answer = ask(method, address.clone()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}: {}", answer.text);
    }
    // Now they may launch on it, and what they launch is theirs.
    let rerun = ask(Method::POST, format!("{}/rerun", show())).await;
    assert_eq!(rerun.status, StatusCode::CREATED, "{}", rerun.text);
    assert_eq!(door.get(CREATE).await.body.as_array().unwrap().len(), 1);
    let of_theirs = rerun.headers[header::LOCATION].to_str().unwrap();
    assert_eq!(door.get(of_theirs).await.status, StatusCode::NOT_FOUND);
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

#[tokio::test]
async fn every_operation_says_what_it_may_answer_beside_what_it_is_asked_for() {
    let doc = described();
    let mut operations = BTreeSet::new();
    let is_ours = |path: &str| path.starts_with("/api/experiments") || path == "/api/sources";
    let paths = doc["paths"].as_object().unwrap();
    for (path, methods) in paths.iter().filter(|(path, _)| is_ours(path)) {
        for (method, operation) in methods.as_object().unwrap() {
            operations.insert(operation["operationId"].as_str().unwrap());
            let mut expected = vec!["401", "403", "421", "429", "500", "503"];
            if path.contains("{id}") {
                expected.push("404");
            }
            if operation["requestBody"].is_object() {
                expected.extend(["400", "408", "413", "415"]);
            }
            for status in expected {
                let response = response(&doc, method, path, status);
                let schema = &response["content"]["application/json"]["schema"];
                assert_eq!(
                    schema["$ref"], "#/components/schemas/Envelope",
                    "{method} {path} {status}"
                );
            }
        }
    }
    let expected = [
        "cancel_experiment",
        "check_experiment",
        "create_experiment",
        "get_experiment",
        "list_experiments",
        "list_sources",
        "list_trials",
        "rerun_experiment",
    ];
    assert_eq!(operations, expected.into());
}

#[tokio::test]
async fn a_store_that_is_away_and_bodies_that_are_none_are_said_in_the_envelope() {
    let (door, doc) = (Door::open().await, described());
    for (kind, body, status) in [
        ("application/json", "[]".to_owned(), StatusCode::BAD_REQUEST),
        ("application/json", "{".to_owned(), StatusCode::BAD_REQUEST),
        ("text/plain", "{}".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", " ".repeat(5 << 20), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        for address in [CREATE, CHECK] {
            let request = Request::post(address).header(header::CONTENT_TYPE, kind);
            let answer = door.send(of_a_program(request, Body::from(body.clone()))).await;
            assert_described(&doc, "post", address, &answer);
            assert_eq!(answer.status, status, "{}", answer.text);
        }
    }
    let foreign = Request::post("/api/experiments/1/cancel").header(header::ORIGIN, "http://evil.example");
    let foreign = door.send(of_a_program(foreign, Body::empty())).await;
    assert_described(&doc, "post", "/api/experiments/{id}/cancel", &foreign);
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    door.bench.house.pool.close().await;
    for path in ["", "/{id}", "/{id}/trials"] {
        let address = format!("{CREATE}{}", path.replace("{id}", "1"));
        let answer = door.get(&address).await;
        assert_described(&doc, "get", &format!("{CREATE}{path}"), &answer);
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{address}");
    }
    let create = door.post(CREATE, &json!({ "dataset": 1, "workload": 1 })).await;
    assert_described(&doc, "post", CREATE, &create);
    assert_eq!(create.headers[header::RETRY_AFTER], "5");
    door.close().await;
}
