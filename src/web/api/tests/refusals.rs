//! What is refused, and in which words.

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::web::api::tests::Answer;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;

const START: &str = "/api/benchmarks/start";

/// Everything that goes wrong has the same shape.
fn assert_envelope(answer: &Answer, status: StatusCode, code: &str) {
    let error = &answer.body["error"];
    assert_eq!(
        (answer.status, error["code"].as_str()),
        (status, Some(code)),
        "{}",
        answer.body
    );
    assert!(
        error["message"].as_str().is_some_and(|message| message.ends_with('.')),
        "{error}"
    );
    assert!(error["fields"].is_array(), "{error}");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn every_refusal_comes_in_the_same_envelope() {
    let door = Door::open().await;
    let json = |body: &str| {
        let request = Request::post(START).header(header::CONTENT_TYPE, "application/json");
        of_a_program(request, Body::from(body.to_owned()))
    };
    let of_kind = |kind: &str| {
        let request = Request::post(START).header(header::CONTENT_TYPE, kind);
        of_a_program(request, Body::from("{}"))
    };
    let bare =
        |method: Method, address: &str| of_a_program(Request::builder().method(method).uri(address), Body::empty());
    let (bad, unknown) = (StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND);
    for (request, status, code) in [
        (json("{"), bad, "bad_request"),
        (json(""), bad, "bad_request"),
        (json("[]"), bad, "bad_request"),
        (json("\"text\""), bad, "bad_request"),
        (json(&"[".repeat(100_000)), bad, "bad_request"),
        (json(&" ".repeat(5 << 20)), StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (
            of_kind("text/plain"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        ),
        (
            of_kind("application/x-www-form-urlencoded"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        ),
        (
            bare(Method::POST, START),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        ),
        (bare(Method::GET, "/api/benchmarks/9"), unknown, "not_found"),
        (bare(Method::GET, "/api/benchmarks/9/results"), unknown, "not_found"),
        (bare(Method::GET, "/api/benchmarks/nine"), unknown, "not_found"),
        (bare(Method::GET, "/api/benchmarks/%FF"), unknown, "not_found"),
        (bare(Method::GET, "/api/workloads/1/checks/%FF"), unknown, "not_found"),
        (bare(Method::GET, "/api/datasets/uploads/%FF"), unknown, "not_found"),
        (bare(Method::GET, "/api/nothing"), unknown, "not_found"),
        (
            bare(Method::DELETE, "/api/benchmarks"),
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            bare(Method::GET, START),
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            bare(Method::POST, "/ws"),
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (bare(Method::GET, "/ws"), bad, "bad_request"),
        (bare(Method::GET, "/api/benchmarks?limit=0"), bad, "invalid_fields"),
        (
            bare(Method::GET, "/api/benchmarks/9/results?percentiles=100"),
            bad,
            "invalid_fields",
        ),
        (
            bare(Method::GET, "/api/results?limit=101&before=x"),
            bad,
            "invalid_fields",
        ),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = door.send(request).await;
        eprintln!("{what}: {}", answer.body);
        assert_envelope(&answer, status, code);
    }
    let wrong_method = door.send(bare(Method::DELETE, "/api/benchmarks")).await;
    assert_eq!(wrong_method.headers[header::ALLOW], "GET,HEAD");
    door.close().await;
}

#[tokio::test]
async fn every_field_that_cannot_be_is_named() {
    let door = Door::open().await;
    for (body, wrong) in [
        (json!({ "threads": [1] }), vec!["threads"]),
        (
            json!({ "thread_counts": [0], "table_rows": 999, "test_duration": 9, "batch_size": "many" }),
            vec!["batch_size", "table_rows", "test_duration", "thread_counts"],
        ),
        (json!({ "thread_counts": [] }), vec!["thread_counts"]),
        (
            json!({ "thread_counts": ["1"], "test_duration": true }),
            vec!["test_duration", "thread_counts"],
        ),
        (json!({ "thread_counts": [1.5, 2] }), vec!["thread_counts"]),
        (
            json!({ "quick": "yes", "autovacuum": 1, "rate": -1 }),
            vec!["autovacuum", "quick", "rate"],
        ),
        (json!({ "operation": "programs" }), vec!["programs"]),
        (
            json!({ "operation": "programs", "programs": [{ "sql": "select 1" }] }),
            vec!["programs[0].sql", "programs"],
        ),
        (
            json!({ "programs": "select 1", "stats_source": [7] }),
            vec!["programs", "stats_source"],
        ),
        (
            json!({ "target": "dataset", "dataset": 77, "operation": "workload", "workload": 8 }),
            vec!["workload"],
        ),
        (json!({ "target": "elsewhere" }), vec!["target"]),
        // Also where nothing makes use of it.
        (
            json!({ "dataset": 0, "workload": 9_223_372_036_854_775_808_u64, "server": 0, "seed": "7" }),
            vec!["dataset", "seed", "server", "workload"],
        ),
        (
            json!({ "rate": "12", "latency_limit": 0, "objective": 5, "settings": 0, "request_id": "x".repeat(201) }),
            vec!["latency_limit", "objective", "rate", "request_id", "settings"],
        ),
        (
            json!({ "programs": [{ "text": "select 1;", "weight": 0 }] }),
            vec!["programs[0].weight"],
        ),
        (json!({ "programs": [{ "name": "one" }] }), vec!["programs[0].text"]),
        (json!({ "random_targets.seed": 7 }), vec!["random_targets.seed"]),
    ] {
        for address in [START, "/api/benchmarks/configure"] {
            let answer = door.post(address, &body).await;
            assert_envelope(&answer, StatusCode::BAD_REQUEST, "invalid_fields");
            let fields = answer.body["error"]["fields"].as_array().unwrap();
            let named: Vec<&str> = fields.iter().filter_map(|field| field["field"].as_str()).collect();
            let mut sorted = named.clone();
            sorted.sort_unstable();
            let mut expected = wrong.clone();
            expected.sort_unstable();
            assert_eq!(sorted, expected, "{body}: {}", answer.body);
            assert!(fields.iter().all(|field| field["message"].is_string()));
        }
    }
    assert_eq!(door.get("/api/benchmarks").await.body, json!([]), "nothing was started");
    door.close().await;
}

#[tokio::test]
async fn a_text_with_a_nul_in_it_is_refused_wherever_it_would_be_stored() {
    let door = Door::open().await;
    for (address, body) in [
        (START, json!({ "request_id": "a\0b" })),
        (START, json!({ "settings": "work_mem = \08MB" })),
        (
            START,
            json!({ "operation": "programs", "programs": [{ "name": "a\0b", "text": "select 1;" }] }),
        ),
        ("/api/workloads", json!({ "script": "select 1;", "request_id": "a\0b" })),
    ] {
        let answer = door.post(address, &body).await;
        assert_envelope(&answer, StatusCode::BAD_REQUEST, "bad_request");
    }
    let form = "--x\r\nContent-Disposition: form-data; name=\"request_id\"\r\n\r\na\0b\r\n--x\r\n\
                Content-Disposition: form-data; name=\"text\"\r\n\r\nselect 1;\r\n--x--\r\n";
    let answer = door
        .post_as("/api/workloads", "multipart/form-data; boundary=x", form)
        .await;
    assert_envelope(&answer, StatusCode::BAD_REQUEST, "bad_request");
    let page = door
        .post_as("/upload/queries", "multipart/form-data; boundary=x", form)
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("NUL character"), "{}", page.text);
    for list in ["/api/benchmarks", "/api/workloads"] {
        assert_eq!(door.get(list).await.body, json!([]), "nothing was made");
    }
    door.close().await;
}

#[tokio::test]
async fn programs_are_let_in_and_pages_of_other_sites_are_not() {
    let door = Door::open().await;
    let from = |name: &str, value: &str| {
        let request = Request::post(START)
            .header(header::CONTENT_TYPE, "application/json")
            .header(name, value);
        of_a_program(request, Body::from("{}"))
    };
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = door.send(from(name, value)).await;
        assert_envelope(&answer, StatusCode::FORBIDDEN, "foreign_origin");
    }
    let rebound = Request::get("/api/benchmarks").header(header::HOST, "evil.example");
    let rebound = door.send(rebound.body(Body::empty()).unwrap()).await;
    assert_envelope(&rebound, StatusCode::MISDIRECTED_REQUEST, "unknown_host");
    assert_eq!(door.get("/api/benchmarks").await.body, json!([]), "nothing was started");
    for (name, value) in [
        ("user-agent", "curl/8"),
        ("origin", "http://127.0.0.1:8000"),
        ("sec-fetch-site", "same-origin"),
    ] {
        let answer = door.send(from(name, value)).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {value}");
    }
    door.close().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_said_in_the_envelope_too() {
    let door = Door::open().await;
    door.bench.house.pool.close().await;
    for address in ["/api/benchmarks", "/api/benchmarks/1"] {
        let answer = door.get(address).await;
        assert_envelope(&answer, StatusCode::SERVICE_UNAVAILABLE, "unavailable");
        assert_eq!(answer.headers[header::RETRY_AFTER], "5");
    }
    let pages_stay_pages = door.get("/benchmarks-of-nobody").await;
    assert_eq!(
        (pages_stay_pages.status, pages_stay_pages.body),
        (StatusCode::NOT_FOUND, Value::Null)
    );
    door.close().await;
}
