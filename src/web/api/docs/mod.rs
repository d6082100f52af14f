//! GET /api/docs: what there is for programs, as a page for people, made of the very document that programs read. No script and
//! nothing from elsewhere is needed for it.

mod curl;
mod schema;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use crate::web::api::docs::schema::Field;
use crate::web::api::docs::schema::TypePart;
use crate::web::api::openapi;
use crate::web::error::Error;
use crate::web::fragment;
use crate::web::state::AppState;
use crate::web::urls;

pub(super) fn router() -> Router<AppState> {
    Router::new().route(urls::API_DOCS, get(show))
}

#[derive(Template)]
#[template(path = "api/docs.html")]
struct DocsPage {
    version: String,
    about: Vec<String>,
    ways_in: Vec<WayIn>,
    groups: Vec<Group>,
    objects: Vec<ObjectView>,
}

/// A way for a program to say whose it is.
struct WayIn {
    name: String,
    about: String,
}

/// Operations that belong together.
struct Group {
    name: String,
    about: String,
    operations: Vec<OperationView>,
}

struct OperationView {
    id: String,
    method: String,
    /// `get`, which a colour goes by.
    method_class: String,
    path: String,
    title: String,
    about: Vec<String>,
    parameters: Vec<Field>,
    bodies: Vec<BodyView>,
    answers: Vec<AnswerView>,
    curl: String,
}

/// One of the kinds of body that an operation takes.
struct BodyView {
    kind: String,
    about: String,
    type_parts: Vec<TypePart>,
    fields: Vec<Field>,
}

struct AnswerView {
    status: String,
    about: String,
    type_parts: Vec<TypePart>,
    headers: Vec<Field>,
}

/// An object that operations take or answer with.
struct ObjectView {
    name: String,
    about: String,
    /// Where it is one of several things.
    type_parts: Vec<TypePart>,
    fields: Vec<Field>,
}

/// GET /api/docs
async fn show() -> Result<Response, Error> {
    let document = serde_json::to_value(openapi::document()).map_err(anyhow::Error::from)?;
    fragment::page(&DocsPage::new(&document))
}

/// The methods, in the order in which the operations of an address are shown.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

impl DocsPage {
    fn new(document: &Value) -> Self {
        let tags = list(&document["tags"]).map(|tag| Group {
            name: text(&tag["name"]),
            about: text(&tag["description"]),
            operations: operations(document, &text(&tag["name"])),
        });
        let schemes = entries(&document["components"]["securitySchemes"]);
        let objects = entries(&document["components"]["schemas"]);
        Self {
            version: text(&document["info"]["version"]),
            about: paragraphs(&document["info"]["description"]),
            ways_in: schemes
                .map(|(name, scheme)| WayIn {
                    name: name.to_owned(),
                    about: text(&scheme["description"]),
                })
                .collect(),
            groups: tags.filter(|group| !group.operations.is_empty()).collect(),
            objects: objects
                .map(|(name, object)| ObjectView {
                    name: name.to_owned(),
                    about: text(&object["description"]),
                    type_parts: schema::alternatives(object),
                    fields: schema::fields(document, object),
                })
                .collect(),
        }
    }
}

fn operations(document: &Value, tag: &str) -> Vec<OperationView> {
    let mut found = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for method in METHODS {
            let operation = &item[method];
            if list(&operation["tags"]).any(|own| own == tag) {
                found.push(OperationView::new(document, method, path, operation));
            }
        }
    }
    found
}

impl OperationView {
    fn new(document: &Value, method: &str, path: &str, operation: &Value) -> Self {
        let bodies = entries(&operation["requestBody"]["content"]);
        let answers = entries(&operation["responses"]);
        Self {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            method_class: method.to_owned(),
            path: path.to_owned(),
            title: text(&operation["summary"]),
            about: paragraphs(&operation["description"]),
            parameters: list(&operation["parameters"]).map(Field::of_parameter).collect(),
            bodies: bodies
                .map(|(kind, body)| BodyView {
                    kind: kind.to_owned(),
                    about: text(&schema::resolve(document, &body["schema"])["description"]),
                    type_parts: schema::type_parts(&body["schema"]),
                    fields: schema::fields(document, &body["schema"]),
                })
                .collect(),
            answers: answers
                .map(|(status, answer)| AnswerView::new(document, status, answer))
                .collect(),
            curl: curl::example(document, method, path, operation),
        }
    }
}

impl AnswerView {
    fn new(document: &Value, status: &str, answer: &Value) -> Self {
        let answer = schema::resolve(document, answer);
        let body = entries(&answer["content"]).next();
        Self {
            status: status.to_owned(),
            about: text(&answer["description"]),
            type_parts: body.map_or_else(Vec::new, |(_, body)| schema::type_parts(&body["schema"])),
            headers: entries(&answer["headers"])
                .map(|(name, header)| Field::of_header(name, header))
                .collect(),
        }
    }
}

/// Words of a text, as they are or as code.
struct Words {
    text: String,
    is_code: bool,
}

/// A text of the document, in which code stands between backticks.
fn words(text: &str) -> impl Iterator<Item = Words> {
    text.split('`').enumerate().map(|(idx, text)| Words {
        text: text.to_owned(),
        is_code: idx % 2 == 1,
    })
}

/// A text of the document; empty where there is none.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn paragraphs(value: &Value) -> Vec<String> {
    let text = value.as_str().unwrap_or_default();
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_every_operation_and_object_of_the_document() {
        let document = serde_json::to_value(openapi::document()).unwrap();
        let page = DocsPage::new(&document).render().unwrap();
        let mut n_operations = 0;
        for (path, item) in entries(&document["paths"]) {
            for (method, operation) in entries(item) {
                n_operations += 1;
                let id = operation["operationId"].as_str().unwrap();
                assert_eq!(
                    page.matches(&format!("id=\"{id}\"")).count(),
                    1,
                    "{method} {path}: {id}"
                );
            }
        }
        assert_eq!(
            page.matches("<h3 ").count(),
            n_operations,
            "every method has its place in the order"
        );
        for (name, _) in entries(&document["components"]["schemas"]) {
            assert!(page.contains(&format!("id=\"object-{name}\"")), "{name}");
        }
    }

    #[test]
    fn links_within_the_page_lead_somewhere_and_none_leads_elsewhere() {
        let document = serde_json::to_value(openapi::document()).unwrap();
        let page = DocsPage::new(&document).render().unwrap();
        for link in page.split("href=\"#").skip(1) {
            let (id, _) = link.split_once('"').unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        for scheme in ["=\"http:", "=\"https:", "=\"//"] {
            assert!(!page.contains(scheme), "{scheme}");
        }
    }
}
