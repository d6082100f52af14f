//! Experiments are launched, once for a key, and cancelled.

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::web::api::tests::Door;
use crate::web::api::tests::experiments::CREATE;
use crate::web::api::tests::experiments::fields;
use crate::web::api::tests::experiments::lines;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::schema::assert_described;
use crate::web::api::tests::schema::described;

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
