//! Topics that are text, with the limits in it taken from where they are kept.

use askama::Template;

use crate::benchmark;
use crate::config::variables;
use crate::dataset::extensions;
use crate::model::benchmark::Operation;
use crate::model::instrument::InstrumentKind;
use crate::model::units::bytes_in_words;
use crate::model::units::grouped;
use crate::web::pages::help::Topic;
use crate::workload;

#[derive(Template)]
#[template(path = "help/start.html")]
struct StartPage {
    topic: &'static Topic,
    kinds: [InstrumentKind; 4],
}

pub(super) fn start(topic: &'static Topic) -> askama::Result<String> {
    let kinds = InstrumentKind::ALL;
    StartPage { topic, kinds }.render()
}

#[derive(Template)]
#[template(path = "help/dumps.html")]
struct DumpsPage {
    topic: &'static Topic,
    extensions: &'static [&'static str],
    limits: Vec<Limit>,
}

/// What one upload may take, unless somebody says otherwise.
struct Limit {
    what: &'static str,
    usual: String,
    variable: &'static str,
}

pub(super) fn dumps(topic: &'static Topic) -> askama::Result<String> {
    let limits = [
        ("The file", "PGASSAY_MAX_UPLOAD_BYTES"),
        ("What it expands to", "PGASSAY_MAX_EXPANDED_BYTES"),
        ("The database that it becomes", "PGASSAY_MAX_DATABASE_BYTES"),
        ("Tables, indexes, views and sequences", "PGASSAY_MAX_OBJECTS"),
        ("Minutes that its restore takes", "PGASSAY_MAX_RESTORE_MINUTES"),
    ];
    let page = DumpsPage {
        topic,
        extensions: extensions::ALLOWED,
        limits: limits
            .into_iter()
            .map(|(what, variable)| Limit {
                what,
                usual: usual(variable),
                variable,
            })
            .collect(),
    };
    page.render()
}

/// What holds when a variable is not set, for people.
pub(super) fn usual(name: &str) -> String {
    let all = variables::all();
    let variable = all.iter().find(|variable| variable.name == name);
    variable.and_then(in_words).unwrap_or_default()
}

/// The same of a variable that is at hand.
pub(super) fn in_words(variable: &variables::Variable) -> Option<String> {
    let default = variable.default.clone()?;
    Some(match default.parse::<u64>() {
        Ok(bytes) if variable.name.ends_with("_BYTES") => bytes_in_words(bytes),
        Ok(_) | Err(_) => default,
    })
}

#[derive(Template)]
#[template(path = "help/queries.html")]
struct QueriesPage {
    topic: &'static Topic,
    max_queries: usize,
    max_script: String,
}

pub(super) fn queries(topic: &'static Topic) -> askama::Result<String> {
    let page = QueriesPage {
        topic,
        max_queries: workload::read::MAX_QUERIES,
        max_script: bytes_in_words(workload::service::MAX_SCRIPT_BYTES as u64),
    };
    page.render()
}

#[derive(Template)]
#[template(path = "help/reading-results.html")]
struct ReadingResultsPage {
    topic: &'static Topic,
}

pub(super) fn reading_results(topic: &'static Topic) -> askama::Result<String> {
    ReadingResultsPage { topic }.render()
}

#[derive(Template)]
#[template(path = "help/benchmarks.html")]
struct BenchmarksPage {
    topic: &'static Topic,
    operations: [Operation; 9],
    min_rows: String,
    max_clients: String,
    /// Where the server is pgassay's own, or the one that all datasets share.
    max_clients_in_sandbox: String,
}

pub(super) fn benchmarks(topic: &'static Topic) -> askama::Result<String> {
    let page = BenchmarksPage {
        topic,
        operations: Operation::ALL,
        min_rows: grouped(benchmark::form::MIN_TABLE_ROWS),
        max_clients: grouped(u64::from(benchmark::form::MAX_CLIENTS)),
        max_clients_in_sandbox: grouped(u64::from(benchmark::service::MOST_IN_SANDBOX)),
    };
    page.render()
}

#[derive(Template)]
#[template(path = "help/api.html")]
struct ApiPage {
    topic: &'static Topic,
}

pub(super) fn api(topic: &'static Topic) -> askama::Result<String> {
    ApiPage { topic }.render()
}

#[derive(Template)]
#[template(path = "help/glossary.html")]
struct GlossaryPage {
    topic: &'static Topic,
}

pub(super) fn glossary(topic: &'static Topic) -> askama::Result<String> {
    GlossaryPage { topic }.render()
}
