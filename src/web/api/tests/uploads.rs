//! Uploads by the part: in order and out of it, broken off, taken over, given up.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use futures_util::StreamExt as _;
use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;

use crate::files::disk::Disk;
use crate::testing::bench::PATIENCE;
use crate::web::api::tests::Answer;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::router_of;
use crate::web::api::tests::send;

const DUMP: &[u8] = b"create table item (id integer);\ninsert into item values (1), (2), (3);\n";
const ADDRESS: &str = "/api/datasets/uploads/nightly";

fn part(range: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::put(ADDRESS).header(header::CONTENT_RANGE, range);
    of_a_program(request, body.into())
}

/// The bytes of the dump from `first` up to `end`, and without it.
fn bytes_from(first: usize, end: usize) -> Request<Body> {
    part(
        &format!("bytes {first}-{}/{}", end - 1, DUMP.len()),
        Bytes::from_static(&DUMP[first..end]),
    )
}

fn is_refused(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (status, &json!(code)),
        "{}",
        answer.body
    );
}

impl Door {
    async fn received(&self) -> Value {
        self.get(ADDRESS).await.body["received_bytes"].clone()
    }
}

#[tokio::test]
async fn a_dump_that_comes_in_parts_is_the_dataset_of_the_whole_file() {
    let door = Door::open().await;
    let named = Request::put(format!("{ADDRESS}?name=Shop&file_name=shop.sql"))
        .header(header::CONTENT_RANGE, format!("bytes 0-9/{}", DUMP.len()));
    let first = door.send(of_a_program(named, Body::from(&DUMP[..10]))).await;
    assert_eq!(
        (first.status, &first.body["received_bytes"]),
        (StatusCode::ACCEPTED, &json!(10)),
        "{}",
        first.body
    );
    let listed = door.get("/api/datasets/uploads").await.body;
    assert_eq!(
        (&listed[0]["key"], listed.as_array().unwrap().len()),
        (&json!("nightly"), 1)
    );
    // What is there already may come again.
    let second = door.send(bytes_from(4, 30)).await;
    assert_eq!(
        (second.status, &second.body["received_bytes"]),
        (StatusCode::ACCEPTED, &json!(30))
    );
    assert_eq!(
        door.send(bytes_from(0, 20)).await.body["received_bytes"],
        30,
        "nothing is taken back"
    );
    assert_eq!(door.received().await, 30);
    let last = door.send(bytes_from(30, DUMP.len())).await;
    assert_eq!(last.status, StatusCode::CREATED, "{}", last.body);
    let address = last.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(address, format!("/api/datasets/{}", last.body["dataset"]));
    let dataset = door.get(&address).await.body;
    assert_eq!(dataset["sha256"], hex::encode(Sha256::digest(DUMP)));
    assert_eq!(
        (&dataset["name"], &dataset["file_name"]),
        (&json!("Shop"), &json!("shop.sql"))
    );

    // Whoever lost the last answer asks, or sends the last part once more.
    let shown = door.get(ADDRESS).await.body;
    assert_eq!(
        (&shown["dataset"], &shown["received_bytes"]),
        (&dataset["id"], &json!(DUMP.len()))
    );
    let again = door.send(bytes_from(30, DUMP.len())).await;
    assert_eq!(
        (again.status, &again.body["dataset"]),
        (StatusCode::CREATED, &dataset["id"])
    );
    assert_eq!(door.get("/api/datasets/uploads").await.body, json!([]));
    assert!(door.bench.house.layout.list_parts().await.unwrap().is_empty());
    door.bench.work().await;
    assert_eq!(door.get(&address).await.body["row_count"], 3);
    door.close().await;
}

#[tokio::test]
async fn parts_that_do_not_fit_are_refused_and_change_nothing() {
    let door = Door::open().await;
    let total = DUMP.len();
    let gap_at_first = door.send(bytes_from(5, 10)).await;
    is_refused(&gap_at_first, StatusCode::RANGE_NOT_SATISFIABLE, "wrong_range");
    assert_eq!(
        door.get(ADDRESS).await.status,
        StatusCode::NOT_FOUND,
        "nothing was begun"
    );
    door.send(bytes_from(0, 10)).await;
    let gap = door.send(bytes_from(11, 20)).await;
    is_refused(&gap, StatusCode::RANGE_NOT_SATISFIABLE, "wrong_range");
    assert_eq!(gap.headers[header::CONTENT_RANGE], format!("bytes */{total}"));
    assert_eq!(gap.headers["upload-offset"], "10");
    let behind = door.send(part(&format!("bytes 10-{total}/{total}"), "x")).await;
    is_refused(&behind, StatusCode::RANGE_NOT_SATISFIABLE, "wrong_range");
    assert_eq!(behind.headers[header::CONTENT_RANGE], format!("bytes */{total}"));
    is_refused(
        &door.send(part("bytes 10-12/100", "abc")).await,
        StatusCode::CONFLICT,
        "conflict",
    );
    is_refused(
        &door.send(part(&format!("bytes 8-11/{total}"), "xxxx")).await,
        StatusCode::CONFLICT,
        "conflict",
    );
    for range in ["", "bytes 0-9", "bytes 0-9/*", "0-9/10"] {
        let answer = door.send(part(range, "x")).await;
        is_refused(&answer, StatusCode::BAD_REQUEST, "invalid_fields");
        assert_eq!(answer.body["error"]["fields"][0]["field"], "Content-Range");
    }
    let too_long = door.send(part(&format!("bytes 10-10/{total}"), "abc")).await;
    is_refused(&too_long, StatusCode::BAD_REQUEST, "bad_request");
    let bad_key = Request::put("/api/datasets/uploads/a%20b").header(header::CONTENT_RANGE, "bytes 0-0/1");
    is_refused(
        &door.send(of_a_program(bad_key, Body::from("x"))).await,
        StatusCode::BAD_REQUEST,
        "invalid_fields",
    );
    let too_large = Request::put("/api/datasets/uploads/large").header(header::CONTENT_RANGE, "bytes 0-0/1073741825");
    is_refused(
        &door.send(of_a_program(too_large, Body::from("x"))).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
    );
    assert_eq!(door.received().await, 10);
    assert_eq!(door.send(bytes_from(10, total)).await.status, StatusCode::CREATED);
    door.close().await;
}

#[tokio::test]
async fn what_has_arrived_of_a_part_that_breaks_off_is_kept() {
    let door = Door::open().await;
    let chunks = [Ok(Bytes::from_static(&DUMP[..20])), Err("reset by peer")];
    let broken = Body::from_stream(futures_util::stream::iter(chunks));
    let answer = door.send(part(&format!("bytes 0-69/{}", DUMP.len()), broken)).await;
    is_refused(&answer, StatusCode::BAD_REQUEST, "bad_request");
    assert_eq!(door.received().await, 20);
    let short = door
        .send(part(&format!("bytes 20-69/{}", DUMP.len()), &DUMP[20..25]))
        .await;
    is_refused(&short, StatusCode::BAD_REQUEST, "bad_request");
    assert_eq!(door.received().await, 25);
    assert_eq!(door.send(bytes_from(25, DUMP.len())).await.status, StatusCode::CREATED);
    door.close().await;
}

#[tokio::test]
async fn a_second_client_of_one_key_goes_on_and_the_first_is_told() {
    let door = Door::open().await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begin = futures_util::stream::once(async move {
        begun.send(()).unwrap();
        Ok::<_, Infallible>(Bytes::from_static(&DUMP[..20]))
    });
    let dead = Body::from_stream(begin.chain(futures_util::stream::pending()));
    let request = part(&format!("bytes 0-{}/{}", DUMP.len() - 1, DUMP.len()), dead);
    let router = door.router.clone();
    let first = tokio::spawn(async move { send(&router, request).await });
    tokio::time::timeout(PATIENCE, has_begun).await.unwrap().unwrap();
    let second = door.send(bytes_from(0, DUMP.len())).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.body);
    let first = tokio::time::timeout(PATIENCE, first).await.unwrap().unwrap();
    is_refused(&first, StatusCode::CONFLICT, "conflict");
    let address = format!("/api/datasets/{}", second.body["dataset"]);
    assert_eq!(
        door.get(&address).await.body["sha256"],
        hex::encode(Sha256::digest(DUMP))
    );
    door.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_dump_is_refused_at_its_end_and_gone() {
    let door = Door::open().await;
    let bytes = b"\x89PNG\r\n\x1a\n0000";
    let answer = door
        .send(part(&format!("bytes 0-11/{}", bytes.len()), &bytes[..]))
        .await;
    is_refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "refused");
    assert_eq!(door.get(ADDRESS).await.status, StatusCode::NOT_FOUND);
    assert!(door.bench.house.layout.list_parts().await.unwrap().is_empty());
    door.close().await;
}

#[tokio::test]
async fn an_upload_is_its_owners_and_can_be_given_up() {
    let door = Door::open().await;
    door.send(bytes_from(0, 10)).await;
    let theirs = door.of_a_stranger().await;
    for request in [Request::get(ADDRESS), Request::delete(ADDRESS)] {
        let answer = send(&theirs, of_a_program(request, Body::empty())).await;
        is_refused(&answer, StatusCode::NOT_FOUND, "not_found");
    }
    let own = send(&theirs, part("bytes 0-0/5", "x")).await;
    assert_eq!(
        (own.status, &own.body["received_bytes"]),
        (StatusCode::ACCEPTED, &json!(1)),
        "another one"
    );
    assert_eq!(door.received().await, 10);
    assert_eq!(door.bench.house.layout.list_parts().await.unwrap().len(), 2);
    assert_eq!(door.delete(ADDRESS).await.status, StatusCode::NO_CONTENT);
    assert_eq!(door.delete(ADDRESS).await.status, StatusCode::NOT_FOUND);
    assert_eq!(door.bench.house.layout.list_parts().await.unwrap().len(), 1);
    door.close().await;
}

#[tokio::test]
async fn an_upload_is_swept_a_day_after_its_last_byte() {
    let door = Door::open().await;
    door.send(bytes_from(0, 10)).await;
    assert_eq!(door.bench.house.sweep_uploads().await.unwrap(), 0);
    assert_eq!(door.received().await, 10);
    sqlx::query("update uploads set touched_at = touched_at - interval '24 hours'")
        .execute(&door.bench.house.pool)
        .await
        .unwrap();
    assert_eq!(door.bench.house.sweep_uploads().await.unwrap(), 1);
    assert_eq!(door.get(ADDRESS).await.status, StatusCode::NOT_FOUND);
    assert!(door.bench.house.layout.list_parts().await.unwrap().is_empty());
    door.close().await;
}

#[tokio::test]
async fn a_crash_behind_the_dataset_and_before_its_note_makes_no_second_one() {
    let door = Door::open().await;
    let first = door.send(bytes_from(0, DUMP.len())).await.body;
    let forget = "update uploads set dataset_id = null";
    sqlx::query(forget).execute(&door.bench.house.pool).await.unwrap();
    let end = door.send(part(&format!("bytes */{}", DUMP.len()), Body::empty())).await;
    assert_eq!(
        (end.status, &end.body["dataset"]),
        (StatusCode::CREATED, &first["dataset"]),
        "{}",
        end.body
    );
    sqlx::query(forget).execute(&door.bench.house.pool).await.unwrap();
    let whole = door.send(bytes_from(0, DUMP.len())).await;
    assert_eq!(whole.body["dataset"], first["dataset"], "{}", whole.body);
    assert_eq!(door.get("/api/datasets").await.body.as_array().unwrap().len(), 1);
    assert!(door.bench.house.layout.list_parts().await.unwrap().is_empty());
    door.close().await;
}

/// The door of a house whose disk has no room.
fn on_a_full_disk(door: &Door) -> Router {
    let mut services = door.bench.house.services();
    services.datasets.dumps.disk = Disk::of(&door.bench.house.layout.uploads(), Some(u64::MAX));
    router_of(&services, &door.shutdown)
}

#[tokio::test]
async fn without_room_nothing_is_taken_and_what_is_there_stays() {
    let door = Door::open().await;
    door.send(bytes_from(0, 10)).await;
    let full = on_a_full_disk(&door);
    is_refused(
        &send(&full, bytes_from(10, 20)).await,
        StatusCode::INSUFFICIENT_STORAGE,
        "no_room",
    );
    let whole = Request::post("/api/datasets").header(header::CONTENT_TYPE, "application/octet-stream");
    let whole = send(&full, of_a_program(whole, Body::from(DUMP))).await;
    is_refused(&whole, StatusCode::INSUFFICIENT_STORAGE, "no_room");
    assert_eq!(door.received().await, 10);
    assert_eq!(door.send(bytes_from(10, DUMP.len())).await.status, StatusCode::CREATED);
    door.close().await;
}
