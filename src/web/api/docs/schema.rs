//! Schemas of the document in words.

use serde_json::Value;

use crate::web::api::docs::entries;
use crate::web::api::docs::list;
use crate::web::api::docs::text;

/// A parameter, a header, or a field of an object.
pub(super) struct Field {
    pub name: String,
    /// Where a parameter stands.
    pub place: &'static str,
    pub is_required: bool,
    pub type_parts: Vec<TypePart>,
    /// Like "from 1 to 100; 20 where it is left out".
    pub bounds: String,
    pub about: String,
}

/// A piece of the words that say what something is; with a link where it names an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypePart {
    pub text: String,
    /// The object's name.
    pub object: Option<String>,
}

impl TypePart {
    fn word(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            object: None,
        }
    }
}

impl Field {
    pub fn of_parameter(parameter: &Value) -> Self {
        let place = match parameter["in"].as_str() {
            Some("path") => "in the address",
            Some("query") => "behind the question mark",
            Some("header") => "header",
            _ => "",
        };
        Self {
            name: text(&parameter["name"]),
            place,
            is_required: parameter["required"] == true,
            type_parts: type_parts(&parameter["schema"]),
            bounds: bounds(&parameter["schema"]),
            about: text(&parameter["description"]),
        }
    }

    pub fn of_header(name: &str, header: &Value) -> Self {
        Self {
            name: name.to_owned(),
            place: "header",
            is_required: false,
            type_parts: type_parts(&header["schema"]),
            bounds: String::new(),
            about: text(&header["description"]),
        }
    }
}

/// What a reference of the document refers to; anything else is itself.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(path) = value["$ref"].as_str().and_then(|path| path.strip_prefix('#')) else {
        return value;
    };
    document.pointer(path).unwrap_or(&Value::Null)
}

/// The fields of an object, those of all its parts together.
pub(super) fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let schema = resolve(document, schema);
    let parts = list(&schema["allOf"]).flat_map(|part| fields(document, part));
    let own = entries(&schema["properties"]).map(|(name, field)| Field {
        name: name.to_owned(),
        place: "",
        is_required: list(&schema["required"]).any(|required| required == name),
        type_parts: type_parts(field),
        bounds: bounds(field),
        about: text(&field["description"]),
    });
    parts.chain(own).collect()
}

/// Of something that is one of several things: which.
pub(super) fn alternatives(schema: &Value) -> Vec<TypePart> {
    let has_several = schema["oneOf"].is_array() || schema["anyOf"].is_array() || schema["enum"].is_array();
    if has_several { type_parts(schema) } else { Vec::new() }
}

/// What something is, in words.
pub(super) fn type_parts(schema: &Value) -> Vec<TypePart> {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap_or_default();
        return vec![TypePart {
            text: name.to_owned(),
            object: Some(name.to_owned()),
        }];
    }
    for several in ["oneOf", "anyOf"] {
        if schema[several].is_array() {
            return either(list(&schema[several]).map(type_parts));
        }
    }
    if schema["enum"].is_array() {
        return either(list(&schema["enum"]).map(|value| vec![TypePart::word(shown(value))]));
    }
    match &schema["type"] {
        Value::String(kind) => of_kind(kind, schema),
        Value::Array(kinds) => either(kinds.iter().filter_map(Value::as_str).map(|kind| of_kind(kind, schema))),
        _ => vec![TypePart::word("anything")],
    }
}

fn of_kind(kind: &str, schema: &Value) -> Vec<TypePart> {
    let word = match (kind, schema["format"].as_str()) {
        ("array", _) => {
            let mut parts = vec![TypePart::word("list of ")];
            parts.extend(type_parts(&schema["items"]));
            return parts;
        }
        ("integer", _) => "whole number",
        ("boolean", _) => "true or false",
        ("string", Some("date-time")) => "text, a time like 2026-11-22T04:00:00Z",
        ("string", Some("binary")) => "bytes",
        ("string", _) => "text",
        (kind, _) => kind,
    };
    vec![TypePart::word(word)]
}

fn either(several: impl Iterator<Item = Vec<TypePart>>) -> Vec<TypePart> {
    let mut parts = Vec::new();
    for one in several {
        if !parts.is_empty() {
            parts.push(TypePart::word(" or "));
        }
        parts.extend(one);
    }
    parts
}

/// The bounds of a value in words; empty where there are none.
fn bounds(schema: &Value) -> String {
    let bound = |name: &str| Some(shown(&schema[name])).filter(|_| !schema[name].is_null());
    let range = |low: &str, high: &str, unit: &str| match (bound(low), bound(high)) {
        (Some(low), Some(high)) => Some(format!("from {low} to {high}{unit}")),
        (Some(low), None) => Some(format!("at least {low}{unit}")),
        (None, Some(high)) => Some(format!("at most {high}{unit}")),
        (None, None) => None,
    };
    let parts = [
        range("minimum", "maximum", ""),
        bound("exclusiveMinimum").map(|low| format!("more than {low}")),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " of them"),
        bound("pattern").map(|pattern| format!("of the form {pattern}")),
        bound("default").map(|default| format!("{default} where it is left out")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 => format!("{whole:.0}"),
            _ => number.to_string(),
        },
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(schema: &Value) -> String {
        type_parts(schema).iter().map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn types_and_bounds_are_said_in_words() {
        for (schema, expected) in [
            (json!({ "type": "integer" }), "whole number"),
            (json!({ "type": ["integer", "null"] }), "whole number or null"),
            (
                json!({ "type": "array", "items": { "$ref": "#/components/schemas/Table" } }),
                "list of Table",
            ),
            (
                json!({ "oneOf": [{ "type": "null" }, { "type": "string" }] }),
                "null or text",
            ),
            (json!({ "type": "string", "enum": ["a", "b"] }), "a or b"),
            (json!({ "type": "string", "format": "binary" }), "bytes"),
            (json!({}), "anything"),
        ] {
            assert_eq!(words(&schema), expected, "{schema}");
        }
        for (schema, expected) in [
            (
                json!({ "minimum": 1, "maximum": 100.0, "default": 20 }),
                "from 1 to 100; 20 where it is left out",
            ),
            (json!({ "maxLength": 9 }), "at most 9 characters"),
            (json!({ "exclusiveMinimum": 0 }), "more than 0"),
            (json!({ "type": "string" }), ""),
        ] {
            assert_eq!(bounds(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn the_fields_of_an_object_are_those_of_its_parts_too() {
        let document = json!({ "components": { "schemas": { "Part": {
            "properties": { "id": { "type": "integer" } }, "required": ["id"],
        } } } });
        let whole = json!({ "allOf": [{ "$ref": "#/components/schemas/Part" }, { "properties": { "name": {} } }] });
        let found: Vec<(String, bool)> = fields(&document, &whole)
            .into_iter()
            .map(|field| (field.name, field.is_required))
            .collect();
        assert_eq!(found, [("id".to_owned(), true), ("name".to_owned(), false)]);
    }
}
