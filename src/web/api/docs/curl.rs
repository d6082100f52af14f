//! An example of each operation, as curl takes it.

use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;

use crate::web::api::docs::entries;
use crate::web::api::docs::list;
use crate::web::api::docs::schema::resolve;
use crate::web::api::docs::text;

/// A command that does the operation. Of several kinds of body it sends the first that needs no form.
pub(super) fn example(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let mut command = String::from("curl");
    if method != "get" && method != "post" {
        command.push_str(" -X ");
        command.push_str(&method.to_uppercase());
    }
    let mut address = format!("$PGASSAY{path}");
    let mut headers = Vec::new();
    if !is_for_everybody(operation) {
        headers.push("Authorization: Bearer $TOKEN".to_owned());
    }
    for parameter in list(&operation["parameters"]) {
        let (name, example) = (text(&parameter["name"]), sample(parameter));
        match parameter["in"].as_str() {
            Some("path") => address = address.replace(&format!("{{{name}}}"), &example),
            Some("header") if parameter["required"] == true => headers.push(format!("{name}: {example}")),
            _ => {}
        }
    }
    let body = body(document, operation);
    if let Some((kind, _)) = &body {
        headers.push(format!("Content-Type: {kind}"));
    } else if method == "post" {
        command.push_str(" -X POST");
    }
    for header in headers {
        write(&mut command, format_args!(" -H \"{header}\""));
    }
    if let Some((_, data)) = body {
        write(&mut command, format_args!(" {data}"));
    }
    write(&mut command, format_args!(" \"{address}\""));
    command
}

/// The kind of the body, and the words by which curl sends one.
fn body(document: &Value, operation: &Value) -> Option<(String, String)> {
    let mut kinds = entries(&operation["requestBody"]["content"]);
    let (kind, body) = kinds.find(|(kind, _)| *kind != "multipart/form-data")?;
    let data = match kind {
        "application/json" => {
            // A quote within the quotes of a shell.
            let text = json(document, &body["schema"]).to_string().replace('\'', r"'\''");
            format!("-d '{text}'")
        }
        "application/x-www-form-urlencoded" => format!("-d '{}'", form(document, &body["schema"])),
        "application/sql" => "--data-binary @queries.sql".to_owned(),
        _ if has_range(operation) => "--data-binary @first-part".to_owned(),
        _ => "--data-binary @dump.sql".to_owned(),
    };
    Some((kind.to_owned(), data))
}

/// Whether it is asked for without a token.
fn is_for_everybody(operation: &Value) -> bool {
    list(&operation["security"]).any(|way| way.as_object().is_some_and(Map::is_empty))
}

/// A form that would be taken, with an example of each of its fields that has one.
fn form(document: &Value, schema: &Value) -> String {
    let schema = resolve(document, schema);
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, field) in entries(&schema["properties"]) {
        if let Some(example) = field["example"].as_str() {
            form.append_pair(name, example);
        }
    }
    form.finish()
}

/// Whether the body is a part of a file.
fn has_range(operation: &Value) -> bool {
    list(&operation["parameters"]).any(|parameter| parameter["name"] == "Content-Range")
}

/// A body that would be taken: the example of the document, or else what has to be in it.
fn json(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    let required = list(&schema["required"]).filter_map(Value::as_str);
    let fields = required.map(|name| {
        let field = resolve(document, &schema["properties"][name]);
        let value = match &field["example"] {
            Value::Null if field["type"] == "integer" => Value::from(1),
            Value::Null => Value::from(name),
            example => example.clone(),
        };
        (name.to_owned(), value)
    });
    Value::Object(fields.collect::<Map<String, Value>>())
}

fn sample(parameter: &Value) -> String {
    match &parameter["example"] {
        Value::String(example) => example.clone(),
        Value::Null if parameter["schema"]["type"] == "integer" => "1".to_owned(),
        Value::Null => format!("my-{}", text(&parameter["name"])),
        example => example.to_string(),
    }
}

fn write(command: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = command.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_example_can_be_pasted_into_a_shell() {
        let operation = json!({
            "parameters": [
                { "name": "id", "in": "path", "schema": { "type": "integer" } },
                { "name": "limit", "in": "query", "schema": { "type": "integer" } },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "example": { "memo": "it's" } } } } },
        });
        assert_eq!(
            example(&Value::Null, "post", "/api/things/{id}", &operation),
            "curl -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/json\" -d '{\"memo\":\"it'\\''s\"}' \
             \"$PGASSAY/api/things/1\""
        );
        let operation = json!({
            "security": [{}],
            "requestBody": { "content": { "application/x-www-form-urlencoded": { "schema": { "properties": {
                "grant_type": { "example": "password" }, "password": { "example": "it's" }, "scope": {},
            } } } } },
        });
        assert_eq!(
            example(&Value::Null, "post", "/api/auth/token", &operation),
            "curl -H \"Content-Type: application/x-www-form-urlencoded\" -d 'grant_type=password&password=it%27s' \
             \"$PGASSAY/api/auth/token\""
        );
        let bare = json!({});
        assert_eq!(
            example(&Value::Null, "delete", "/api/things", &bare),
            "curl -X DELETE -H \"Authorization: Bearer $TOKEN\" \"$PGASSAY/api/things\""
        );
    }
}
