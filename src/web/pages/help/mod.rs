//! Help: what to do, what happens, what each number means and what it does not. One list of topics, from which the index, the
//! navigation and the addresses are made.

mod operations;
mod prose;
mod sources;
#[cfg(test)]
mod tests;

use askama::Template;
use axum::Router;
use axum::response::Html;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;

use crate::web::error::Error;
use crate::web::extract::address::Path;
use crate::web::fragment;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::HELP, get(index))
        .route("/help/{topic}", get(show))
}

/// What one page of help is about.
pub struct Topic {
    /// Stands in its address and is linked to: it never changes.
    pub name: &'static str,
    pub title: &'static str,
    /// In a sentence, for the index and under the title.
    pub about: &'static str,
    render: fn(&'static Self) -> askama::Result<String>,
}

impl Topic {
    /// Where it is.
    pub fn address(&self) -> String {
        urls::help(self.name)
    }
}

/// All topics, in the order in which somebody new meets them.
pub static ALL: &[Topic] = &[
    Topic {
        name: "start",
        title: "First steps",
        about: "What pgassay is for, and the way from a dump to a decision.",
        render: prose::start,
    },
    Topic {
        name: "dumps",
        title: "Dumps",
        about: "Which dumps are taken, what a restore leaves out, and what is refused and why.",
        render: prose::dumps,
    },
    Topic {
        name: "queries",
        title: "Queries",
        about: "How a file of queries is written, which queries can be measured, and how to choose them.",
        render: prose::queries,
    },
    Topic {
        name: "sources",
        title: "Sources of statistics",
        about: "Where the planner’s statistics can come from, and what can be set about each source.",
        render: sources::render,
    },
    Topic {
        name: "reading-results",
        title: "Reading results",
        about: "What the numbers of an experiment mean, what they do not mean, and in which order to read them.",
        render: prose::reading_results,
    },
    Topic {
        name: "benchmarks",
        title: "Benchmarks",
        about: "How to put a database under load, and what throughput, latency and their percentiles say.",
        render: prose::benchmarks,
    },
    Topic {
        name: "api",
        title: "API and command line",
        about: "The same without a browser: by HTTP with a token, and by commands.",
        render: prose::api,
    },
    Topic {
        name: "operations",
        title: "Operations",
        about: "How to run pgassay for a team: access, limits, settings, watching it, backups, several machines.",
        render: operations::render,
    },
    Topic {
        name: "glossary",
        title: "Glossary",
        about: "Every word and number on these pages: what it means, how it is made, and where its formula comes from.",
        render: prose::glossary,
    },
];

#[derive(Template)]
#[template(path = "help/index.html")]
struct IndexPage;

/// GET /help
async fn index() -> Result<Response, Error> {
    fragment::page(&IndexPage)
}

/// GET /help/{topic}
async fn show(Path(name): Path<String>) -> Result<Response, Error> {
    let topic = ALL.iter().find(|topic| topic.name == name);
    let topic = topic.ok_or(Error::NotFound("page of help"))?;
    Ok(Html((topic.render)(topic)?).into_response())
}
