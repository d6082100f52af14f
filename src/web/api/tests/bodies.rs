//! What goes in and what comes out.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::model::benchmark::LevelStatus;
use crate::model::job::JobStatus;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::send;

#[tokio::test]
async fn a_benchmark_carries_the_names_that_clients_know_from_its_start_to_its_results() {
    let door = Door::open().await;
    let body = json!({
        "thread_counts": [2, 4], "table_rows": 2000, "test_duration": 10, "batch_size": 500, "objective": "p95 < 20 ms",
    });
    let id = door.start(&body).await;
    let pending = door.get(&format!("/api/benchmarks/{id}")).await;
    assert_eq!(pending.headers[header::CACHE_CONTROL], "no-store");
    let pending = pending.body;
    for (name, value) in [
        ("id", json!(id)),
        ("thread_counts", json!([2, 4])),
        ("table_rows", json!(2000)),
        ("test_duration", json!(10)),
        ("batch_size", json!(500)),
        ("status", json!("pending")),
        ("completed_at", Value::Null),
        ("results", json!([])),
        ("objective", json!("p95 < 20 ms")),
    ] {
        assert_eq!(pending[name], value, "{name}");
    }
    let created_at = pending["created_at"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(created_at).is_ok(), "{created_at}");
    assert_eq!(door.get("/api/results").await.body, json!([]), "not before the end");

    let lease = door.claim().await;
    let lost = door.begin(&lease, id, 0, 2).await;
    door.finish(&lease, lost, LevelStatus::Interrupted, &[9], 0).await;
    let first = door.begin(&lease, id, 0, 2).await;
    let ms: Vec<u64> = (1..=99).collect();
    door.finish(&lease, first, LevelStatus::Finished, &ms, 1).await;
    let second = door.begin(&lease, id, 1, 4).await;
    door.finish(&lease, second, LevelStatus::Failed, &[], 3).await;
    assert_eq!(door.get("/api/benchmarks/").await.body[0]["status"], "running");
    door.settle(&lease, JobStatus::Completed, None).await;

    let results = door.get(&format!("/api/benchmarks/{id}/results")).await.body;
    let near = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() <= expected / 1000.0;
    let level = &results[0];
    assert_eq!(results.as_array().unwrap().len(), 2, "{results}");
    assert_eq!(
        (&level["thread_count"], &level["status"]),
        (&json!(2), &json!("finished"))
    );
    assert_eq!(
        (&level["total_operations"], &level["error_count"]),
        (&json!(99), &json!(1))
    );
    for (name, expected) in [
        ("duration_sec", 2.0),
        ("throughput_ops_sec", 49.5),
        ("avg_latency_ms", 50.0),
        ("p95_latency_ms", 95.0),
        ("p99_latency_ms", 99.0),
        ("error_rate_pct", 1.0),
    ] {
        assert!(near(&level[name], expected), "{name}: {level}");
    }
    let chosen = door
        .get(&format!("/api/benchmarks/{id}/results?percentiles=50,99.9"))
        .await
        .body;
    let chosen = &chosen[0]["percentiles_ms"];
    assert!(near(&chosen["p50"], 50.0) && near(&chosen["p99.9"], 99.0), "{chosen}");
    let failed = &results[1];
    assert_eq!(
        (&failed["status"], &failed["p95_latency_ms"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(failed["error_rate_pct"], json!(100.0));

    for address in ["/api/benchmarks", "/api/benchmarks/", "/api/results"] {
        let listed = door.get(address).await.body;
        assert_eq!(listed.as_array().unwrap().len(), 1, "{address}");
        assert_eq!(
            (&listed[0]["status"], &listed[0]["results"]),
            (&json!("completed"), &results)
        );
        assert!(listed[0]["completed_at"].is_string());
    }
    door.close().await;
}

#[tokio::test]
async fn a_stopped_benchmark_has_failed_and_says_that_it_was_stopped() {
    let door = Door::open().await;
    let id = door.start_quick(&[1]).await;
    assert!(
        door.bench
            .house
            .benchmarks
            .stop(door.bench.house.viewer, id)
            .await
            .unwrap()
    );
    let stopped = door.get(&format!("/api/benchmarks/{id}")).await.body;
    assert_eq!(
        (&stopped["status"], &stopped["state"]),
        (&json!("failed"), &json!("stopped"))
    );
    assert_eq!(stopped["message"], "Stopped before it began.");
    assert_eq!(door.get("/api/results").await.body, json!([]));
    door.close().await;
}

#[tokio::test]
async fn what_configure_answers_asks_for_the_same_again() {
    let door = Door::open().await;
    let body = json!({
        "thread_counts": "1..7 step 3", "table_rows": 5000.0, "test_duration": "1500ms", "warm_up": 0.5, "quick": true,
        "operation": "programs", "rate": 12.5, "latency_limit": 100, "statement_timeout": 3, "seed": 42,
        "programs": [{ "text": "select 1;", "weight": 3 }, { "name": "other", "text": "\\set a 1\nselect :a;" }],
        "settings": "work_mem = 8MB", "autovacuum": false, "protocol": null,
    });
    let configured = door.post("/api/benchmarks/configure", &body).await;
    assert_eq!(configured.status, StatusCode::OK, "{}", configured.body);
    assert_eq!(configured.body["valid"], true);
    assert_eq!(configured.body["total_threads"], 12);
    let seconds = configured.body["estimated_time_seconds"].as_f64().unwrap();
    assert!((6.0..60.0).contains(&seconds), "three levels of two seconds: {seconds}");
    let configuration = &configured.body["configuration"];
    assert_eq!(configuration["thread_counts"], json!([1, 4, 7]));
    assert_eq!(
        (&configuration["test_duration"], &configuration["table_rows"]),
        (&json!(1.5), &json!(5000))
    );

    let viewer = door.bench.house.viewer;
    let mut specs = Vec::new();
    for body in [&body, configuration] {
        let id = door.start(body).await;
        specs.push(door.bench.house.benchmarks.get(viewer, id).await.unwrap().unwrap().spec);
    }
    assert_eq!(specs[0], specs[1]);
    assert_eq!(specs[0].warm_up_ms, 500);
    assert_eq!(specs[0].mix.programs[1].name, "other");
    assert!(!specs[0].autovacuum);
    door.close().await;
}

#[tokio::test]
async fn a_key_starts_one_benchmark_however_often_it_is_sent() {
    let door = Door::open().await;
    let start = async |key: &str| {
        let request = Request::post("/api/benchmarks/start")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("idempotency-key", key);
        door.send(of_a_program(request, Body::from("{}"))).await
    };
    let (first, again, other) = (start("a").await, start("a").await, start("b").await);
    assert_eq!(first.body["id"], again.body["id"]);
    assert_ne!(first.body["id"], other.body["id"]);
    assert_eq!(
        first.body["thread_counts"],
        json!([20, 40, 80]),
        "an empty body is the form as it comes"
    );
    let refused = start(&"x".repeat(201)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["error"]["fields"][0]["field"], "Idempotency-Key");
    let of_the_body = json!({ "request_id": "a" });
    assert_eq!(
        door.post("/api/benchmarks/start", &of_the_body).await.body["id"],
        first.body["id"]
    );
    door.close().await;
}

#[tokio::test]
async fn the_list_is_read_stretch_by_stretch_without_gaps_and_only_by_its_owner() {
    let door = Door::open().await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.push(door.start_quick(&[1]).await.0);
    }
    let mut address = "/api/benchmarks?limit=2".to_owned();
    let mut seen: Vec<i64> = Vec::new();
    loop {
        let answer = door.get(&address).await;
        seen.extend(
            answer
                .body
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].as_i64().unwrap()),
        );
        let Some(link) = answer.headers.get(header::LINK) else {
            break;
        };
        let link = link.to_str().unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        link.trim_start_matches('<').clone_into(&mut address);
    }
    started.reverse();
    assert_eq!(seen, started);

    let theirs = door.of_a_stranger().await;
    let ask = async |address: &str| send(&theirs, of_a_program(Request::get(address), Body::empty())).await;
    assert_eq!(ask("/api/benchmarks").await.body, json!([]));
    assert_eq!(
        ask(&format!("/api/benchmarks/{}", started[0])).await.status,
        StatusCode::NOT_FOUND
    );
    door.close().await;
}
