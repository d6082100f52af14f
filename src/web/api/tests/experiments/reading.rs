//! Experiments and their trials are read, by whom they belong to and by whom they are shown to.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;
use tower::ServiceExt as _;

use crate::store;
use crate::web::api::tests::Door;
use crate::web::api::tests::experiments::CHECK;
use crate::web::api::tests::experiments::CREATE;
use crate::web::api::tests::experiments::fields;
use crate::web::api::tests::experiments::lines;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::router;
use crate::web::api::tests::schema::assert_described;
use crate::web::api::tests::schema::described;
use crate::web::api::tests::schema::response;
use crate::web::api::tests::send;

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
