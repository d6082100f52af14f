//! The document that describes the API, and the page made of it.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::web;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let document = web::openapi().to_pretty_json().unwrap();
    let agreed_on = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/api/tests/openapi.json");
    let agreed_on = std::fs::read_to_string(agreed_on).unwrap();
    assert!(
        document == agreed_on.trim_end(),
        "The API is described otherwise than in src/web/api/tests/openapi.json. Where that is meant, renew the file: \
         cargo run -- openapi > src/web/api/tests/openapi.json"
    );
}

/// Every operation of the document with its method and its address.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.clone(), path.clone(), operation));
        }
    }
    found
}

#[test]
fn every_operation_is_told_in_full() {
    let document = serde_json::to_value(web::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} stands twice");
        assert!(operation["summary"].is_string(), "{id} has no summary");
        let tag = &operation["tags"][0];
        assert!(
            document["tags"]
                .as_array()
                .unwrap()
                .iter()
                .any(|known| known["name"] == *tag),
            "{id}: the tag {tag} is not described"
        );
        let parameters = operation["parameters"].as_array();
        let may_be_null = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["schema"].to_string().contains("\"null\""));
        assert_eq!(may_be_null.count(), 0, "{id}: what stands in an address is never null");
        let in_path = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path");
        assert_eq!(in_path.count(), path.matches('{').count(), "{id}: {path}");
        let answers = operation["responses"].as_object().unwrap();
        for status in ["401", "403", "421", "429", "500", "503"] {
            assert!(answers.contains_key(status), "{id} does not say {status}");
        }
        assert_eq!(
            operation["requestBody"].is_object(),
            answers.contains_key("415"),
            "{id}"
        );
        let is_for_everybody = ["/api/auth/token", "/api/auth/register"].contains(&path.as_str());
        let needs_token = operation["security"][0]["token"].is_array();
        assert_eq!(needs_token, !is_for_everybody, "{id}: {method} {path}");
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let (pointer, _) = reference.split_once('"').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is not there");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_there_and_every_operation_has_an_address() {
    let door = Door::open().await;
    let document = door.get("/api/openapi.json").await;
    assert_eq!(
        (document.status, &document.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    for (method, path, _) in operations(&document.body) {
        let address = path
            .replace("{id}", "999")
            .replace("{dataset}", "999")
            .replace("{key}", "k");
        // What is wrong with the request is of no interest, as long as it is not the method.
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(&address);
        let answer = door.send(of_a_program(request, Body::empty())).await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.contains("such page"), "{method} {path}: {message}");
    }
    let page = of_a_program(Request::get("/api/docs"), Body::empty());
    let page = door.router.clone().oneshot(page).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(
        page.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    door.close().await;
}
