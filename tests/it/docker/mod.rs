//! The files for Docker, as far as they can be tried without it: what they name is there, they agree with each other, and
//! the program starts and answers as they have it started and asked. `.ci/docker` checks their form.

mod agreement;
mod image;
mod started;

use std::collections::BTreeMap;
use std::fs;

use yaml_rust2::Yaml;
use yaml_rust2::YamlLoader;

use crate::server::repository;

/// One `FROM` with what follows it: instructions and their arguments.
struct Stage {
    from: String,
    instructions: Vec<(String, String)>,
}

impl Stage {
    fn all(&self, instruction: &str) -> Vec<&str> {
        let named = self.instructions.iter().filter(|(name, _)| name == instruction);
        named.map(|(_, args)| args.as_str()).collect()
    }

    fn last(&self, instruction: &str) -> &str {
        self.all(instruction).last().unwrap()
    }

    fn env(&self) -> BTreeMap<String, String> {
        let words = self.all("ENV").into_iter().flat_map(str::split_whitespace);
        let pairs = words.map(|word| word.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// The stages of the Dockerfile; the last one is the image.
fn stages() -> Vec<Stage> {
    let text = read("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines.join("\n").replace("\\\n", " ").lines() {
        match (line.split_once(' '), stages.last_mut()) {
            (Some(("FROM", from)), _) => stages.push(Stage {
                from: from.to_owned(),
                instructions: Vec::new(),
            }),
            (Some((name, args)), Some(stage)) => stage.instructions.push((name.to_owned(), args.trim().to_owned())),
            _ => {}
        }
    }
    stages
}

fn image() -> Stage {
    stages().pop().unwrap()
}

fn yaml(path: &str) -> Yaml {
    YamlLoader::load_from_str(&read(path)).unwrap().remove(0)
}

fn compose() -> Yaml {
    yaml("docker-compose.yml")
}

/// What a service is given, with the defaults of what a person may set.
fn environment(service: &Yaml) -> BTreeMap<String, String> {
    let entries = service["environment"].as_hash().unwrap().iter();
    let texts = entries.map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap()));
    texts
        .map(|(name, value)| (name.to_owned(), with_defaults(value)))
        .collect()
}

/// `${NAME:-default}` as it is while nobody sets it, and `${NAME:?what}` as somebody might.
fn with_defaults(value: &str) -> String {
    let Some((before, rest)) = value.split_once("${") else {
        return value.to_owned();
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let said = match variable.split_once(":-") {
        Some((_, default)) => default,
        None if variable.starts_with("PGASSAY_HOST:?") => "assay.example.org",
        None => panic!("{variable} has no default"),
    };
    format!("{before}{said}{}", with_defaults(after))
}

fn strings(list: &Yaml) -> Vec<&str> {
    let items = list.as_vec().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}
