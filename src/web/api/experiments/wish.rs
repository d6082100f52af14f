//! From the fields of a JSON object to the form that a browser would have sent, and back to JSON. Types are taken strictly:
//! a body is good here exactly where the description of the API says so.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use utoipa::ToSchema;

use crate::experiment::fields;
use crate::experiment::fields::FieldError;
use crate::experiment::form;
use crate::experiment::form::ExperimentForm;
use crate::experiment::form::MAX_ITERATIONS;
use crate::experiment::form::MAX_SOURCES;
use crate::experiment::form::MAX_WARM_UP;
use crate::experiment::form::like;
use crate::model::dataset::Setting;
use crate::model::experiment::ClockKind;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::Order;
use crate::model::experiment::Params;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::source;
use crate::source::parameter::AND;
use crate::source::parameter::ParamError;
use crate::web::api::body;
use crate::web::api::body::MAX_ID;
use crate::web::api::body::text;
use crate::web::api::body::within;
use crate::web::api::sources::ParamValue;

/// What an experiment is to be. Null is as good as leaving a field out.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExperimentWish {
    #[schema(value_type = i64, minimum = 1)]
    dataset: DatasetId,
    #[schema(value_type = i64, minimum = 1)]
    workload: WorkloadId,
    /// Positions of queries in the workload, from 0. Left out: all that can be measured.
    #[schema(min_items = 1)]
    queries: Option<Vec<i32>>,
    /// The sources to be compared. The first is the baseline. Left out: `built_in` alone.
    #[schema(min_items = 1, max_items = 32)]
    stats_source: Option<Vec<SourceWish>>,
    /// Measure the first source twice, to see what differs by chance.
    control: Option<bool>,
    /// Ask what measuring itself costs.
    observer: Option<bool>,
    /// Rounds. Left out: 10.
    #[schema(minimum = 1, maximum = 1000)]
    iterations: Option<u32>,
    /// Rounds before those that count. Left out: 1.
    #[schema(minimum = 0, maximum = 100)]
    warm_up: Option<u32>,
    /// The order of trials follows from it. Left out: one by chance, to be read in the answer.
    #[schema(format = "uint64", minimum = 0, maximum = 18_446_744_073_709_551_615_u64)]
    seed: Option<u64>,
    /// Left out: the server's.
    clock: Option<ClockKind>,
    /// Of one trial. Left out: 60 seconds.
    #[schema(minimum = 10, maximum = 3_600_000)]
    timeout_ms: Option<u64>,
    /// Left out: randomized.
    order: Option<Order>,
    /// Session settings of every trial, in the order in which they are set. Left out: those that make times comparable, which
    /// the answer shows.
    settings: Option<Vec<Setting>>,
}

/// A source: its name, alone or as on the command line with parameters behind it (`random_targets:seed=7`), or both apart.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum SourceWish {
    Word(String),
    Named(NamedSource),
}

/// A source with its parameters, as `GET /api/sources` names them.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NamedSource {
    name: String,
    params: Option<BTreeMap<String, ParamValue>>,
}

/// The form of a body and everything in the body that could not be put into it. What is missing is as in the form.
pub(super) fn read(body: &Map<String, Value>) -> (ExperimentForm, Vec<FieldError>) {
    let mut form = ExperimentForm::default();
    let mut errors = Vec::new();
    for (name, value) in body.iter().filter(|(name, value)| !value.is_null() || !is_field(name)) {
        if let Err(wrong) = read_field(&mut form, name, value) {
            errors.extend(wrong);
        }
    }
    (form, errors)
}

/// The names of all fields.
const FIELDS: [&str; 13] = [
    "dataset",
    "workload",
    "queries",
    "stats_source",
    "control",
    "observer",
    "iterations",
    "warm_up",
    "seed",
    "clock",
    "timeout_ms",
    "order",
    "settings",
];

fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

fn read_field(form: &mut ExperimentForm, name: &str, value: &Value) -> Result<(), Vec<FieldError>> {
    let one = |error: FieldError| vec![error];
    match name {
        "dataset" => form.dataset = within(name, value, 1, MAX_ID).map_err(one)?,
        "workload" => form.workload = within(name, value, 1, MAX_ID).map_err(one)?,
        "iterations" => form.iterations = within(name, value, 1, MAX_ITERATIONS.into()).map_err(one)?,
        "warm_up" => form.warm_up = within(name, value, 0, MAX_WARM_UP.into()).map_err(one)?,
        "seed" => form.seed = within(name, value, 0, u64::MAX).map_err(one)?,
        "timeout_ms" => form.timeout = timeout(name, value).map_err(one)?,
        "clock" => form.clock = one_of(name, value, &ClockKind::ALL, ClockKind::word).map_err(one)?,
        "order" => form.order = one_of(name, value, &Order::ALL, Order::word).map_err(one)?,
        "control" => form.control = truth(name, value).map_err(one)?,
        "observer" => form.observer = truth(name, value).map_err(one)?,
        "queries" => {
            form.queries = each(name, value, "whole numbers", |field, query| {
                whole(field, query).map_err(one)
            })?;
            form.queries_listed = true;
            if form.queries.is_empty() {
                return Err(one(FieldError::new(name, "Choose at least one query.")));
            }
        }
        "stats_source" => {
            form.stats_source = each(name, value, "sources", read_source)?;
            if !(1..=MAX_SOURCES).contains(&form.stats_source.len()) {
                let message = format!("This takes from 1 to {MAX_SOURCES} sources.");
                return Err(one(FieldError::new(name, message)));
            }
        }
        "settings" => {
            form.settings = each(name, value, "objects with name and value", |field, line| {
                setting(field, line).map_err(one)
            })?
            .join("\n");
        }
        _ => return Err(one(unknown(name))),
    }
    Ok(())
}

fn unknown(field: &str) -> FieldError {
    FieldError::new(field, "There is no field of this name.")
}

/// JSON has one kind of number, so `20.0` is as good as `20`.
fn whole(field: &str, value: &Value) -> Result<String, FieldError> {
    let number = value
        .as_number()
        .filter(|number| number.as_f64().is_some_and(|number| number.fract() == 0.0));
    let number = number.ok_or_else(|| FieldError::new(field, "This takes a whole number."))?;
    Ok(body::digits(number))
}

fn timeout(field: &str, value: &Value) -> Result<String, FieldError> {
    let ms = within(field, value, fields::MIN_TIMEOUT_MS, fields::MAX_TIMEOUT_MS)?;
    Ok(format!("{ms}ms"))
}

/// One of a few words.
fn one_of<T: Copy>(field: &str, value: &Value, all: &[T], word: fn(T) -> &'static str) -> Result<String, FieldError> {
    let given = text(field, value)?;
    fields::choice(&given, field, all, word).map(|one| word(one).to_owned())
}

fn truth(field: &str, value: &Value) -> Result<bool, FieldError> {
    let truth = value.as_bool();
    truth.ok_or_else(|| FieldError::new(field, "This takes true or false."))
}

/// What `read` makes of every element of an array, or everything that is wrong with them.
fn each<T>(
    field: &str,
    value: &Value,
    what: &str,
    read: impl Fn(&str, &Value) -> Result<T, Vec<FieldError>>,
) -> Result<Vec<T>, Vec<FieldError>> {
    let Value::Array(elements) = value else {
        return Err(vec![FieldError::new(field, format!("This takes an array of {what}."))]);
    };
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for (idx, element) in elements.iter().enumerate() {
        match read(&format!("{field}[{idx}]"), element) {
            Ok(one) => all.push(one),
            Err(wrong) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

/// The line of a setting.
fn setting(field: &str, value: &Value) -> Result<String, FieldError> {
    let wrong = || FieldError::new(field, "This takes an object with name and value, both texts.");
    let object = value.as_object().ok_or_else(wrong)?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::trim).ok_or_else(wrong);
    if let Some(key) = object.keys().find(|key| !matches!(key.as_str(), "name" | "value")) {
        return Err(unknown(&format!("{field}.{key}")));
    }
    let (name, value) = (text("name")?, text("value")?);
    // It becomes one line of several, which is then read as one.
    if value.contains(['\n', '\r']) {
        let message = "The value of a setting has no line breaks.";
        return Err(FieldError::new(&format!("{field}.value"), message));
    }
    let line = format!("{name} = {value}");
    match fields::settings(&line).as_deref() {
        Ok([read]) if read.name == name => Ok(line),
        Ok(_) => Err(FieldError::new(
            &format!("{field}.name"),
            format!("{name:?} is not the name of a setting."),
        )),
        Err(error) => Err(FieldError::new(&format!("{field}.name"), error.message.clone())),
    }
}

/// A source in the word for it that the form takes.
fn read_source(field: &str, value: &Value) -> Result<String, Vec<FieldError>> {
    let one = |error: FieldError| vec![error];
    let (name, params) = match value {
        Value::String(given) => {
            let inline = form::inline(given).map_err(|error| one(FieldError::new(field, error.message)))?;
            inline.unwrap_or_else(|| (given.trim().to_owned(), Params::new()))
        }
        Value::Object(object) => named_source(field, object)?,
        _ => {
            return Err(one(FieldError::new(
                field,
                "This takes the name of a source, or an object with name and params.",
            )));
        }
    };
    let spec = source::parse(&name, &params).map_err(|wrong| {
        let named = |ParamError {
                         field: parameter,
                         message,
                     }| match parameter.as_str() {
            "" => FieldError::new(field, message),
            parameter => FieldError::new(&format!("{field}.params.{parameter}"), message),
        };
        wrong.into_iter().map(named).collect::<Vec<FieldError>>()
    })?;
    Ok(like::in_one_word(&spec))
}

fn named_source(field: &str, object: &Map<String, Value>) -> Result<(String, Params), Vec<FieldError>> {
    let (mut name, mut params, mut errors) = (None, Params::new(), Vec::new());
    for (key, value) in object {
        let own = format!("{field}.{key}");
        match (key.as_str(), value) {
            ("name", Value::String(given)) => name = Some(given.trim().to_owned()),
            ("params", Value::Null) => {}
            ("params", Value::Object(given)) => {
                for (parameter, value) in given {
                    match param(&format!("{own}.{parameter}"), value) {
                        Ok(value) => drop(params.insert(parameter.clone(), value)),
                        Err(error) => errors.push(error),
                    }
                }
            }
            ("params", _) => errors.push(FieldError::new(&own, "This takes an object.")),
            ("name", _) => errors.push(FieldError::new(&own, "This takes a text.")),
            _ => errors.push(unknown(&own)),
        }
    }
    match name {
        Some(name) if errors.is_empty() => Ok((name, params)),
        None if !object.contains_key("name") => {
            errors.push(FieldError::new(&format!("{field}.name"), "A source has a name."));
            Err(errors)
        }
        _ => Err(errors),
    }
}

fn param(field: &str, value: &Value) -> Result<String, FieldError> {
    let wrong = || FieldError::new(field, "This takes a whole number, a text or an array of texts.");
    match value {
        Value::Number(_) => whole(field, value),
        Value::String(text) => Ok(text.clone()),
        Value::Array(several) => {
            let words: Option<Vec<&str>> = several.iter().map(Value::as_str).collect();
            Ok(words.ok_or_else(wrong)?.join(&AND.to_string()))
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => Err(wrong()),
    }
}

/// The field of a body that a field of the form was made from. Statistics files are looked for only when the sources are
/// read.
pub(super) fn field_name(error: FieldError) -> FieldError {
    let field = match error.field.as_str() {
        "query" => "queries",
        "timeout" => "timeout_ms",
        field if field.contains('.') => "stats_source",
        _ => return error,
    };
    FieldError {
        field: field.to_owned(),
        ..error
    }
}

/// The body that asks for the same as `spec` in full. A seed that was left open stays so.
pub(super) fn configuration(form: &ExperimentForm, spec: &ExperimentSpec) -> ExperimentWish {
    ExperimentWish {
        dataset: spec.dataset_id,
        workload: spec.workload_id,
        queries: Some(spec.query_positions.clone()),
        stats_source: Some(like::chosen(spec).map(source_wish).collect()),
        control: Some(spec.has_control),
        observer: Some(spec.has_observer),
        iterations: Some(spec.iterations),
        warm_up: Some(spec.warm_up),
        seed: Some(spec.seed).filter(|_| !form.seed.is_empty()),
        clock: Some(spec.clock),
        timeout_ms: Some(spec.timeout_ms),
        order: Some(spec.order),
        settings: Some(spec.settings.clone()),
    }
}

fn source_wish(source: &SourceSpec) -> SourceWish {
    let parameters = source::find(&source.name).map(source::StatsSource::parameters);
    let values = parameters.unwrap_or_default().iter().filter_map(|parameter| {
        let value = source.params.get(parameter.name)?;
        Some((parameter.name.to_owned(), ParamValue::new(parameter.kind, value)))
    });
    let params: BTreeMap<String, ParamValue> = values.collect();
    if params.is_empty() {
        return SourceWish::Word(source.name.clone());
    }
    SourceWish::Named(NamedSource {
        name: source.name.clone(),
        params: Some(params),
    })
}
