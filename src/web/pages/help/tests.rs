//! What help promises about itself: every link leads somewhere, every word is there once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::source;

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

fn rendered(topic: &'static Topic) -> String {
    (topic.render)(topic).unwrap()
}

/// Every place that the pages of help have, as an address with a fragment, and the pages themselves.
fn places() -> BTreeSet<String> {
    let mut places = BTreeSet::from([urls::HELP.to_owned()]);
    for topic in ALL {
        let (page, address) = (rendered(topic), topic.address());
        let ids: Vec<&str> = quoted_behind(&page, " id=\"").collect();
        for (idx, id) in ids.iter().enumerate() {
            assert!(!ids[..idx].contains(id), "the id {id} stands twice in {address}");
        }
        places.extend(ids.iter().map(|id| format!("{address}#{id}")));
        places.insert(address);
    }
    places
}

/// What every template that is not rendered here says of help and of the glossary, as addresses.
fn linked_from_templates() -> BTreeSet<String> {
    let mut texts = Vec::new();
    templates(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut texts);
    let topics = texts.iter().flat_map(|text| quoted_behind(text, "urls::help(\""));
    let words = texts.iter().flat_map(|text| quoted_behind(text, "urls::glossary(\""));
    topics.map(urls::help).chain(words.map(urls::glossary)).collect()
}

#[test]
fn every_topic_is_a_page_of_its_own_that_leads_to_all_the_others() {
    let names: BTreeSet<&str> = ALL.iter().map(|topic| topic.name).collect();
    assert_eq!(names.len(), ALL.len());
    let index = IndexPage.render().unwrap();
    for topic in ALL {
        let page = rendered(topic);
        assert!(index.contains(topic.about), "{}", topic.name);
        assert!(page.contains(&format!("<h1>{}</h1>", topic.title)), "{}", topic.name);
        for other in ALL {
            let link = format!("<a href=\"{}\"", other.address());
            assert!(page.contains(&link) && index.contains(&link), "{}", other.name);
        }
    }
    assert_eq!(urls::help("glossary"), urls::GLOSSARY);
}

#[test]
fn every_link_to_a_place_in_help_leads_to_one_that_is_there() {
    let places = places();
    let mut linked = linked_from_templates();
    for topic in ALL {
        let page = rendered(topic);
        let here = topic.address();
        for link in quoted_behind(&page, " href=\"") {
            match link.strip_prefix('#') {
                Some("main") => {}
                Some(_) => drop(linked.insert(format!("{here}{link}"))),
                None if link.starts_with(urls::HELP) => drop(linked.insert(link.to_owned())),
                None => {}
            }
        }
    }
    let lost: Vec<&String> = linked.difference(&places).collect();
    assert!(lost.is_empty(), "no such place: {lost:?}");
    for known in [
        urls::glossary("median"),
        urls::help("dumps"),
        urls::help("operations#disk"),
    ] {
        assert!(linked.contains(&known), "{known} is linked to");
    }
}

#[test]
fn every_topic_is_linked_from_a_page_where_its_question_arises() {
    let linked = linked_from_templates();
    for topic in ALL {
        let address = topic.address();
        let is_linked = linked
            .iter()
            .any(|link| link.split('#').next() == Some(address.as_str()));
        assert!(is_linked, "nothing leads to {address}");
    }
}

#[test]
fn every_source_and_every_parameter_is_explained() {
    let page = rendered(ALL.iter().find(|topic| topic.name == "sources").unwrap());
    for source in source::ALL {
        assert!(
            page.contains(&format!(" id=\"{}\"", source.name())),
            "{}",
            source.name()
        );
        for parameter in source.parameters() {
            assert!(
                page.contains(&format!("<code>{}</code>", parameter.name)),
                "{}",
                parameter.name
            );
        }
    }
}

#[test]
fn every_setting_is_explained() {
    let page = rendered(ALL.iter().find(|topic| topic.name == "operations").unwrap());
    for variable in crate::config::variables::all() {
        assert!(
            page.contains(&format!("<code>{}</code>", variable.name)),
            "{}",
            variable.name
        );
    }
    assert!(page.contains("<code>4.0 GiB</code>"), "bytes are written for people");
}
