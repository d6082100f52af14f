//! From the fields of a JSON object to the form that a browser would have sent, and back to JSON.

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::MAX_BATCH_SIZE;
use crate::benchmark::form::MAX_CLIENTS;
use crate::benchmark::form::MAX_INSERT_ROWS;
use crate::benchmark::form::MAX_PROGRAMS;
use crate::benchmark::form::MAX_TABLE_ROWS;
use crate::benchmark::form::MAX_TRIES;
use crate::benchmark::form::MAX_WEIGHT;
use crate::benchmark::form::MIN_TABLE_ROWS;
use crate::benchmark::form::TargetKind;
use crate::experiment::fields::FieldError;
use crate::experiment::fields::number;
use crate::model::benchmark::BenchmarkSpec;
use crate::web::api::idempotency;

/// Ids are counted from 1.
pub(super) const MAX_ID: u64 = i64::MAX.unsigned_abs();

/// Of a rate, and of the milliseconds after which a transaction is skipped.
const MOST_AMOUNT: f64 = 1e9;

/// The whole numbers of a benchmark with their bounds, which hold also of a number that the rest of the body makes no use of.
pub(super) const WHOLE_NUMBERS: [(&str, u64, u64); 9] = [
    ("dataset", 1, MAX_ID),
    ("workload", 1, MAX_ID),
    ("table_rows", MIN_TABLE_ROWS, MAX_TABLE_ROWS),
    ("batch_size", 1, MAX_BATCH_SIZE),
    ("read_percent", 0, 100),
    ("insert_rows", 1, MAX_INSERT_ROWS),
    ("max_tries", 1, MAX_TRIES),
    ("max_errors", 1, u64::MAX),
    ("seed", 0, u64::MAX),
];

/// The form of a body and everything in the body that could not be put into it. What is missing is as in the form.
pub(super) fn read(body: &Map<String, Value>) -> (BenchmarkForm, Vec<FieldError>) {
    let mut form = BenchmarkForm::default();
    let mut errors = Vec::new();
    for (name, value) in body {
        if let Err(error) = read_field(&mut form, name, value) {
            errors.push(error);
        }
    }
    // Who names a server means it.
    if !form.server.is_empty() && !body.contains_key("target") {
        TargetKind::Server.word().clone_into(&mut form.target);
    }
    (form, errors)
}

fn read_field(form: &mut BenchmarkForm, name: &str, value: &Value) -> Result<(), FieldError> {
    match name {
        "autovacuum" => form.autovacuum = truth(name, value)?.unwrap_or(form.autovacuum),
        "quick" => form.quick = truth(name, value)?.unwrap_or(form.quick),
        "programs" => form.programs = programs(name, value)?,
        "stats_source" => form.sources.stats_source = sources(name, value)?,
        _ => {
            let unknown = || FieldError::new(name, "There is no field of this name.");
            let kept = form.text_mut(name).ok_or_else(unknown)?;
            let read = match name {
                "thread_counts" => counts(name, value)?,
                "test_duration" | "warm_up" | "statement_timeout" => seconds(name, value)?,
                "rate" | "latency_limit" => amount(name, value)?,
                "server" => given(name, value, server)?,
                "request_id" => given(name, value, idempotency::in_body)?,
                _ => match WHOLE_NUMBERS.iter().find(|(own, ..)| *own == name) {
                    Some(&(_, least, most)) => given(name, value, |name, value| within(name, value, least, most))?,
                    None => given(name, value, text)?,
                },
            };
            if let Some(read) = read {
                *kept = read;
            }
        }
    }
    Ok(())
}

/// None for null, which is as good as no field.
fn given(
    name: &str,
    value: &Value,
    read: impl FnOnce(&str, &Value) -> Result<String, FieldError>,
) -> Result<Option<String>, FieldError> {
    if value.is_null() {
        return Ok(None);
    }
    read(name, value).map(Some)
}

/// A whole number within bounds.
pub(super) fn within(name: &str, value: &Value, least: u64, most: u64) -> Result<String, FieldError> {
    let Value::Number(given) = value else {
        return Err(FieldError::new(
            name,
            format!("This takes a whole number from {least} to {most}."),
        ));
    };
    number(&digits(given), name, least, most).map(|number| number.to_string())
}

pub(super) fn text(name: &str, value: &Value) -> Result<String, FieldError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| FieldError::new(name, "This takes a text."))
}

/// The id of a server, or the name by which it is registered.
fn server(name: &str, value: &Value) -> Result<String, FieldError> {
    match value {
        Value::Number(_) => within(name, value, 1, MAX_ID),
        value => text(name, value),
    }
}

/// A number above 0 that may be a fraction.
fn amount(name: &str, value: &Value) -> Result<Option<String>, FieldError> {
    let is_one = |number: &Number| {
        number
            .as_f64()
            .is_some_and(|number| number > 0.0 && number <= MOST_AMOUNT)
    };
    match value {
        Value::Null => Ok(None),
        Value::Number(number) if is_one(number) => Ok(Some(digits(number))),
        _ => Err(FieldError::new(
            name,
            format!("This takes a number above 0 and up to {MOST_AMOUNT}."),
        )),
    }
}

/// None for null, which is as good as no field.
fn scalar(name: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(digits(number))),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(FieldError::new(name, "This takes a number or a text."))
        }
    }
}

fn truth(name: &str, value: &Value) -> Result<Option<bool>, FieldError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(truth) => Ok(Some(*truth)),
        _ => Err(FieldError::new(name, "This takes true or false.")),
    }
}

fn counts(name: &str, value: &Value) -> Result<Option<String>, FieldError> {
    let counts = match value {
        Value::Array(counts) => counts,
        Value::Number(_) => return within(name, value, 1, MAX_CLIENTS.into()).map(Some),
        value => return given(name, value, text),
    };
    let texts = counts.iter().map(|count| match count {
        Value::Number(_) => within(name, count, 1, MAX_CLIENTS.into()),
        _ => Err(FieldError::new(
            name,
            "This takes an array of numbers, or a text like 1..16 step 3.",
        )),
    });
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    Ok(Some(texts.join(", ")))
}

/// A number counts seconds and may be a fraction of one.
fn seconds(name: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value.as_f64() {
        Some(seconds) if seconds.fract() != 0.0 => Ok(Some(format!("{}ms", (seconds * 1000.0).round()))),
        _ => scalar(name, value),
    }
}

fn sources(name: &str, value: &Value) -> Result<Vec<String>, FieldError> {
    let wrong = || {
        FieldError::new(
            name,
            "This takes an array of texts like \"built_in\" or \"random_targets:seed=7\".",
        )
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(sources) => {
            let sources = sources.iter().map(|source| source.as_str().map(str::to_owned));
            sources.collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn programs(name: &str, value: &Value) -> Result<Vec<GivenProgram>, FieldError> {
    let wrong = || {
        FieldError::new(
            name,
            "This takes an array of objects with text and, where wanted, name and weight.",
        )
    };
    let programs = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(programs) if programs.len() > MAX_PROGRAMS => {
            return Err(FieldError::new(
                name,
                format!("{} programs are more than the {MAX_PROGRAMS} allowed.", programs.len()),
            ));
        }
        Value::Array(programs) => programs,
        _ => return Err(wrong()),
    };
    let each = programs.iter().enumerate();
    each.map(|(idx, program)| one_program(&format!("{name}[{idx}]"), program.as_object().ok_or_else(wrong)?))
        .collect()
}

fn one_program(name: &str, program: &Map<String, Value>) -> Result<GivenProgram, FieldError> {
    let mut read = GivenProgram::default();
    for (key, value) in program {
        let field = format!("{name}.{key}");
        match key.as_str() {
            "name" => read.name = given(&field, value, text)?.unwrap_or_default(),
            "weight" => {
                let weight = given(&field, value, |field, value| within(field, value, 1, MAX_WEIGHT))?;
                read.weight = weight.unwrap_or_default();
            }
            "text" => read.text = text(&field, value)?,
            _ => return Err(FieldError::new(&field, "There is no field of this name.")),
        }
    }
    if !program.contains_key("text") {
        return Err(FieldError::new(&format!("{name}.text"), "A program has a text."));
    }
    Ok(read)
}

/// JSON has one kind of number, so `20.0` is as good as `20`.
pub(super) fn digits(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() == 0.0 => format!("{value:.0}"),
        _ => number.to_string(),
    }
}

/// The name by which a program knows a field of the form.
pub(super) fn field_name(error: FieldError) -> FieldError {
    match error.field.as_str() {
        "program_name" | "program_weight" | "program_text" => FieldError {
            field: "programs".to_owned(),
            ..error
        },
        _ => error,
    }
}

/// A form that was found to ask for `spec`, as the body that asks for the same in full.
pub(super) fn configuration(form: &BenchmarkForm, spec: &BenchmarkSpec) -> Map<String, Value> {
    let mut form = form.clone();
    let texts = form.texts_mut().into_iter().filter(|(name, _)| *name != "request_id");
    let mut body: Map<String, Value> = texts.map(|(name, text)| (name.to_owned(), value_of(text))).collect();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("thread_counts", json!(spec.n_clients));
    put("test_duration", seconds_of(spec.duration_ms).into());
    put("warm_up", seconds_of(spec.warm_up_ms).into());
    put("statement_timeout", seconds_of(spec.statement_timeout_ms).into());
    put("autovacuum", spec.autovacuum.into());
    put("quick", spec.is_quick.into());
    put("stats_source", json!(form.sources.stats_source));
    let programs = form.programs.iter();
    let programs = programs
        .map(|GivenProgram { name, weight, text }| json!({ "name": name, "weight": value_of(weight), "text": text }));
    put("programs", programs.collect());
    body
}

/// A number where the text is one, null where it is empty.
fn value_of(text: &str) -> Value {
    match text.trim() {
        "" => Value::Null,
        text => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// Whole seconds as a whole number.
pub(super) fn seconds_of(ms: u64) -> Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a day has fewer milliseconds than a float has digits for"
    )]
    let fraction = || Number::from_f64(ms as f64 / 1000.0);
    match ms % 1000 {
        0 => Number::from(ms / 1000),
        _ => fraction().unwrap_or_else(|| Number::from(ms / 1000)),
    }
}
