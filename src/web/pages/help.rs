//! Help: what the words and numbers mean.

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::web::error::Error;
use crate::web::fragment;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new().route(urls::GLOSSARY, get(glossary))
}

#[derive(Template)]
#[template(path = "help/glossary.html")]
struct GlossaryPage;

/// GET /help/glossary
async fn glossary() -> Result<Response, Error> {
    fragment::page(&GlossaryPage)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn templates(dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                templates(&path, found);
            } else {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// What stands between every `before` and the next quote.
    fn quoted_behind<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before)
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('"')?.0))
    }

    #[test]
    fn every_word_is_there_once_and_every_link_to_one_leads_somewhere() {
        let page = GlossaryPage.render().unwrap();
        let ids: Vec<&str> = quoted_behind(&page, " id=\"").collect();
        let words: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), words.len(), "an id stands twice: {ids:?}");
        let mut texts = Vec::new();
        templates(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut texts);
        let linked = texts
            .iter()
            .flat_map(|text| quoted_behind(text, "urls::glossary(\""))
            .chain(quoted_behind(&page, " href=\"#"))
            .collect::<BTreeSet<&str>>();
        let lost: Vec<&&str> = linked.difference(&words).collect();
        assert!(lost.is_empty(), "no such word: {lost:?}");
        assert!(linked.contains("median"), "pages link to the glossary");
    }
}
