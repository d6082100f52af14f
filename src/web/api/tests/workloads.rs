//! Workloads: in three ways in, checked, and out again.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::send;

const SCRIPT: &str =
    "-- name: total\nselect sum(price) from item;\n-- name: lost\nselect gone from item;\nvacuum item;\n";

#[tokio::test]
async fn a_script_comes_as_json_as_a_form_or_alone_and_is_the_same_workload() {
    let door = Door::open().await;
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nOrders\r\n--x\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"orders.sql\"\r\n\r\n{SCRIPT}\r\n--x--\r\n"
    );
    // The form's last line end belongs to its boundary.
    let body = json!({ "name": "Orders", "file_name": "orders.sql", "script": SCRIPT, "request_id": null });
    let alone = "/api/workloads?name=Orders&file_name=orders.sql";
    for created in [
        door.post("/api/workloads", &body).await,
        door.post_as("/api/workloads", "multipart/form-data; boundary=x", form)
            .await,
        door.post_as(alone, "application/sql", SCRIPT).await,
    ] {
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
        let address = created.headers[header::LOCATION].to_str().unwrap().to_owned();
        let shown = door.get(&address).await.body;
        assert_eq!(shown, created.body);
        assert_eq!(
            (
                &shown["name"],
                &shown["file_name"],
                &shown["query_count"],
                &shown["refused_count"]
            ),
            (&json!("Orders"), &json!("orders.sql"), &json!(3), &json!(1))
        );
        let query = &shown["queries"][0];
        assert_eq!((&query["label"], &query["class"]), (&json!("total"), &json!("reads")));
        assert_eq!(shown["queries"][2]["class"], "refused");
        assert!(shown["queries"][2]["refusal"].is_string());
    }
    let listed = door.get("/api/workloads?limit=2").await;
    assert_eq!(listed.body.as_array().unwrap().len(), 2);
    assert!(listed.body[0]["queries"].is_null() && listed.headers.contains_key(header::LINK));
    door.close().await;
}

#[tokio::test]
async fn a_workload_is_checked_against_a_dataset_and_says_what_is_wrong() {
    let door = Door::open().await;
    let dataset = door
        .bench
        .restored("create table item (id integer primary key, price integer);")
        .await;
    let created = door.post("/api/workloads", &json!({ "script": SCRIPT })).await.body;
    let address = format!("/api/workloads/{}", created["id"]);
    let of_the_pair = format!("{address}/checks/{dataset}");
    assert_eq!(
        door.get(&of_the_pair).await.status,
        StatusCode::NOT_FOUND,
        "never checked"
    );
    let started = door
        .post(&format!("{address}/checks"), &json!({ "dataset": dataset }))
        .await;
    assert_eq!(
        (started.status, &started.body["status"]),
        (StatusCode::ACCEPTED, &json!("pending"))
    );
    assert_eq!(started.headers[header::LOCATION], of_the_pair);
    assert_eq!(door.delete(&address).await.status, StatusCode::CONFLICT);
    door.bench.work().await;
    let check = door.get(&of_the_pair).await.body;
    assert_eq!(check["status"], "completed", "{check}");
    let results = check["results"].as_array().unwrap();
    assert_eq!(
        (&results[0]["position"], &results[0]["ready"]),
        (&json!(0), &json!(true)),
        "{check}"
    );
    assert_eq!(
        (&results[1]["ready"], &results[1]["line"]),
        (&json!(false), &json!(4)),
        "{check}"
    );
    assert!(results[1]["message"].as_str().unwrap().contains("gone"));
    assert_eq!(door.delete(&address).await.status, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&address).await.status, StatusCode::NOT_FOUND);
    door.close().await;
}

#[tokio::test]
async fn what_is_no_script_is_refused_and_nothing_is_anybody_elses() {
    let door = Door::open().await;
    let post = async |body: serde_json::Value| door.post("/api/workloads", &body).await;
    let long = "x".repeat((5 << 20) + 1);
    let (bad, unfit) = (StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY);
    for (answer, status, code) in [
        (post(json!({})).await, bad, "invalid_fields"),
        (post(json!({ "script": 7, "extra": true })).await, bad, "invalid_fields"),
        (post(json!({ "script": null })).await, bad, "invalid_fields"),
        (post(json!([])).await, bad, "bad_request"),
        (post(json!({ "script": "" })).await, unfit, "refused"),
        (post(json!({ "script": "-- nothing" })).await, unfit, "refused"),
        (
            post(json!({ "script": long })).await,
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
        (
            door.post_as("/api/workloads", "application/sql", long.clone()).await,
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
        (
            door.post_as("/api/workloads", "text/plain", SCRIPT).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        ),
    ] {
        let begin: String = answer.body.to_string().chars().take(200).collect();
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (status, &json!(code)),
            "{begin}"
        );
    }
    assert_eq!(door.get("/api/workloads").await.body, json!([]));

    let created = post(json!({ "script": SCRIPT })).await.body;
    let address = format!("/api/workloads/{}", created["id"]);
    for (wish, field) in [
        (json!({}), "dataset"),
        (json!({ "dataset": "1" }), "dataset"),
        (json!({ "dataset": 0 }), "dataset"),
        (json!({ "dataset": 1, "more": 2 }), "more"),
    ] {
        let answer = door.post(&format!("{address}/checks"), &wish).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wish}");
        assert_eq!(answer.body["error"]["fields"][0]["field"], field, "{wish}");
    }
    // JSON has one kind of number.
    let unknown = door
        .post(&format!("{address}/checks"), &json!({ "dataset": 999.0 }))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let theirs = door.of_a_stranger().await;
    for request in [
        Request::get(&address),
        Request::delete(&address),
        Request::get(format!("{address}/checks/1")),
    ] {
        let answer = send(&theirs, of_a_program(request, Body::empty())).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    door.close().await;
}
