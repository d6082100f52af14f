//! Datasets: from an upload to what its restore has found, and out again.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::send;

const DUMP: &str = "create table item (id integer primary key, price integer);\ninsert into item select n, n from \
                    generate_series(1, 50) as n;\nalter table item owner to somebody;\n";
const BYTES: &str = "application/octet-stream";

#[tokio::test]
async fn a_dump_becomes_a_dataset_whose_restore_can_be_followed_and_read() {
    let door = Door::open().await;
    let created = door
        .post_as("/api/datasets?name=Shop&file_name=shop.sql", BYTES, DUMP)
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let address = created.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(address, format!("/api/datasets/{}", created.body["id"]));
    for (name, value) in [
        ("name", json!("Shop")),
        ("file_name", json!("shop.sql")),
        ("status", json!("pending")),
        ("state", json!("waiting")),
        ("size_bytes", json!(DUMP.len())),
        ("format", json!("plain SQL")),
        ("server_version", Value::Null),
    ] {
        assert_eq!(created.body[name], value, "{name}");
    }
    let in_use = door.delete(&address).await;
    assert_eq!(
        (in_use.status, &in_use.body["error"]["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );

    door.bench.work().await;
    let dataset = door.get(&address).await.body;
    assert_eq!(
        (&dataset["status"], &dataset["state"]),
        (&json!("completed"), &json!("ready")),
        "{dataset}"
    );
    assert_eq!(
        (&dataset["table_count"], &dataset["row_count"]),
        (&json!(1), &json!(50))
    );
    let table = &dataset["tables"][0];
    assert_eq!(
        (
            &table["schema"],
            &table["name"],
            &table["row_count"],
            &table["column_count"]
        ),
        (&json!("public"), &json!("item"), &json!(50), &json!(2))
    );
    assert!(table["size_bytes"].as_u64().unwrap() > 0);
    let note = &dataset["notes"][0];
    assert_eq!((&note["kind"], &note["line"]), (&json!("skipped"), &json!(3)), "{note}");
    assert!(dataset["database_size_bytes"].is_u64() && dataset["progress"].is_null());

    assert_eq!(door.delete(&address).await.status, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&address).await.status, StatusCode::NOT_FOUND);
    assert_eq!(door.delete(&address).await.status, StatusCode::NOT_FOUND);
    door.close().await;
}

#[tokio::test]
async fn the_form_of_the_page_is_taken_too_and_a_key_uploads_once() {
    let door = Door::open().await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nShop\r\n--x\r\nContent-Disposition: form-data; \
                name=\"file\"; filename=\"dump.sql\"\r\n\r\nselect 1;\r\n--x--\r\n";
    let upload = async || {
        let request = Request::post("/api/datasets")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
            .header("idempotency-key", "nightly");
        door.send(of_a_program(request, Body::from(form))).await
    };
    let (first, again) = (upload().await, upload().await);
    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED),
        "{}",
        first.body
    );
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(
        (&first.body["name"], &first.body["file_name"]),
        (&json!("Shop"), &json!("dump.sql"))
    );
    assert_eq!(door.get("/api/datasets").await.body.as_array().unwrap().len(), 1);
    door.close().await;
}

#[tokio::test]
async fn what_is_no_dump_is_refused_in_words() {
    let door = Door::open().await;
    let long = Request::post("/api/datasets")
        .header(header::CONTENT_TYPE, BYTES)
        .header(header::CONTENT_LENGTH, 1_u64 << 40);
    let long = door.send(of_a_program(long, Body::from("short"))).await;
    assert_eq!(long.headers[header::CONNECTION], "close");
    let form = "multipart/form-data; boundary=x";
    for (answer, status, code) in [
        (long, StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (
            door.post_as("/api/datasets", BYTES, "").await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "refused",
        ),
        (
            door.post_as("/api/datasets", BYTES, &b"\x89PNG\r\n\x1a\n"[..]).await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "refused",
        ),
        (
            door.post_as("/api/datasets", form, "--x--\r\n").await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "refused",
        ),
        (
            door.post_as("/api/datasets", form, "nothing").await,
            StatusCode::BAD_REQUEST,
            "bad_request",
        ),
        (
            door.post_as("/api/datasets", "text/plain", DUMP).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        ),
        (
            door.get("/api/datasets?before=x").await,
            StatusCode::BAD_REQUEST,
            "invalid_fields",
        ),
        (door.get("/api/datasets/x").await, StatusCode::NOT_FOUND, "not_found"),
    ] {
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (status, &json!(code)),
            "{}",
            answer.body
        );
    }
    assert_eq!(door.get("/api/datasets").await.body, json!([]));
    door.close().await;
}

#[tokio::test]
async fn a_restore_is_stopped_and_only_done_again_from_a_depot() {
    let door = Door::open().await;
    let created = door.post_as("/api/datasets", BYTES, DUMP).await.body;
    let address = format!("/api/datasets/{}", created["id"]);
    let stopped = door.post_as(&format!("{address}/stop"), "", "").await;
    assert_eq!(
        (stopped.status, &stopped.body["state"]),
        (StatusCode::ACCEPTED, &json!("stopped"))
    );
    let again = door.post_as(&format!("{address}/restore"), "", "").await;
    assert_eq!(again.status, StatusCode::CONFLICT, "its dump is gone: {}", again.body);
    for deed in ["restore", "stop"] {
        let unknown = door.post_as(&format!("/api/datasets/999/{deed}"), "", "").await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{deed}");
    }
    door.close().await;
}

#[tokio::test]
async fn datasets_are_listed_by_the_stretch_and_only_to_their_owner() {
    let door = Door::open().await;
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(door.post_as("/api/datasets", BYTES, DUMP).await.body["id"].clone());
    }
    let first = door.get("/api/datasets?limit=2").await;
    let ids = |body: &Value| -> Vec<Value> { body.as_array().unwrap().iter().map(|one| one["id"].clone()).collect() };
    assert_eq!(ids(&first.body), [created[2].clone(), created[1].clone()]);
    let next = format!("</api/datasets?limit=2&before={}>; rel=\"next\"", created[1]);
    assert_eq!(first.headers[header::LINK], next);
    let second = door.get(&format!("/api/datasets?limit=2&before={}", created[1])).await;
    assert_eq!(ids(&second.body), [created[0].clone()]);
    assert!(!second.headers.contains_key(header::LINK));

    let theirs = door.of_a_stranger().await;
    let ask = async |request: axum::http::request::Builder| send(&theirs, of_a_program(request, Body::empty())).await;
    assert_eq!(ask(Request::get("/api/datasets")).await.body, json!([]));
    let address = format!("/api/datasets/{}", created[0]);
    for request in [
        Request::get(&address),
        Request::delete(&address),
        Request::post(format!("{address}/stop")),
        Request::post(format!("{address}/restore")),
    ] {
        assert_eq!(ask(request).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(
        door.get(&address).await.body["state"],
        "waiting",
        "nobody has stopped it"
    );
    door.close().await;
}
