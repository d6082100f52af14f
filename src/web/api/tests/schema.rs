//! Whether an answer is as the description of the API says: as much of JSON Schema as that description uses.

use axum::http::header;
use serde_json::Value;
use utoipa::OpenApi as _;

use crate::web::api::experiments::ExperimentsDoc;
use crate::web::api::tests::Answer;

/// The description of experiments and sources, as programs get it.
pub fn described() -> Value {
    serde_json::to_value(ExperimentsDoc::openapi()).unwrap()
}

/// What an operation says of the answers with a status; null where it says nothing.
pub fn response<'a>(doc: &'a Value, method: &str, path: &str, status: &str) -> &'a Value {
    let response = &doc["paths"][path][method]["responses"][status];
    response["$ref"]
        .as_str()
        .map_or(response, |reference| found(doc, reference))
}

/// What a reference leads to.
fn found<'a>(doc: &'a Value, reference: &str) -> &'a Value {
    let found = doc.pointer(reference.trim_start_matches('#'));
    found.unwrap_or_else(|| panic!("{reference} is not described"))
}

/// Asserts that an operation may answer like this.
pub fn assert_described(doc: &Value, method: &str, path: &str, answer: &Answer) {
    let status = answer.status.as_u16().to_string();
    let response = response(doc, method, path, &status);
    assert!(
        response.is_object(),
        "{method} {path} does not say that it may answer {status}: {}",
        answer.text
    );
    let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    let kind = kind.split(';').next().unwrap();
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "{method} {path} {status} is no {kind}");
    if kind == "application/json" {
        assert_fits(doc, schema, &answer.body, &format!("{method} {path} {status}"));
    } else if kind == "application/jsonl" {
        for line in answer.text.lines() {
            assert_fits(doc, schema, &serde_json::from_str(line).unwrap(), path);
        }
    }
}

/// Asserts that a value is what a schema says, and has nothing in it that the schema does not name.
fn assert_fits(doc: &Value, schema: &Value, value: &Value, place: &str) {
    let mut named = Vec::new();
    let misfit = misfit(doc, schema, value, place, &mut named);
    assert_eq!(misfit, None, "{value}");
    if let Some(object) = value.as_object()
        && !named.is_empty()
    {
        for key in object.keys() {
            assert!(named.contains(key), "{place}.{key} is not described");
        }
    }
}

/// What does not fit, if anything; the names that the schema knows are added to `named`.
fn misfit(doc: &Value, schema: &Value, value: &Value, place: &str, named: &mut Vec<String>) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return misfit(doc, found(doc, reference), value, place, named);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().find_map(|part| misfit(doc, part, value, place, named));
    }
    if let Some(some) = schema["oneOf"].as_array() {
        let misfits: Vec<Option<String>> = some
            .iter()
            .map(|part| misfit(doc, part, value, place, &mut Vec::new()))
            .collect();
        let n_fitting = misfits.iter().filter(|misfit| misfit.is_none()).count();
        return (n_fitting != 1).then(|| format!("{place} fits {n_fitting} of {misfits:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let has_type = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    if !types.is_empty() && !types.iter().any(has_type) {
        return Some(format!("{place} is no {types:?}: {value}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{place} is none of {words:?}: {value}"));
    }
    if schema["format"] == "date-time"
        && let Some(text) = value.as_str()
        && chrono::DateTime::parse_from_rfc3339(text).is_err()
    {
        return Some(format!("{place} is no time: {text}"));
    }
    if let (Some(items), Some(elements)) = (schema["items"].as_object(), value.as_array()) {
        let items = Value::Object(items.clone());
        for (idx, element) in elements.iter().enumerate() {
            assert_fits(doc, &items, element, &format!("{place}[{idx}]"));
        }
    }
    let object = value.as_object()?;
    if let Some(properties) = schema["properties"].as_object() {
        named.extend(properties.keys().cloned());
        for (key, property) in properties {
            let Some(value) = object.get(key) else { continue };
            let place = format!("{place}.{key}");
            if let Some(misfit) = misfit(doc, property, value, &place, &mut Vec::new()) {
                return Some(misfit);
            }
        }
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    required
        .filter(|key| !object.contains_key(*key))
        .map(|key| format!("{place}.{key} is missing"))
        .next()
}
