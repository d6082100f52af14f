//! What the image is made of, and by which compiler.

use std::fs;

use crate::docker::image;
use crate::docker::read;
use crate::docker::stages;
use crate::server::repository;

/// Whether `.dockerignore` lets Docker see a path. The last line that matches decides.
fn reaches_docker(path: &str) -> bool {
    let text = read(".dockerignore");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut deciding = lines.filter(|line| {
        let pattern = line.trim_start_matches('!');
        pattern == "*" || path == pattern || path.starts_with(&format!("{pattern}/"))
    });
    deciding.next_back().is_none_or(|line| line.starts_with('!'))
}

/// Files that the code takes into the program, by their names as the code has them.
fn included_files() -> Vec<String> {
    let mut included = Vec::new();
    let mut dirs = vec![repository("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            for line in text.split("include_").skip(1) {
                let Some(rest) = line.strip_prefix("str!(\"").or(line.strip_prefix("bytes!(\"")) else {
                    continue;
                };
                let file = dir.join(rest.split('"').next().unwrap()).canonicalize().unwrap();
                let file = file.strip_prefix(repository("").canonicalize().unwrap()).unwrap();
                included.push(file.to_str().unwrap().to_owned());
            }
        }
    }
    included
}

#[test]
fn what_the_image_is_made_of_is_there_and_reaches_docker() {
    let stages = stages();
    let mut needed: Vec<String> = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src/main.rs",
        "tests/it/main.rs",
    ]
    .map(str::to_owned)
    .to_vec();
    needed.extend([".sqlx", "migrations", "static", "templates"].map(str::to_owned));
    // npm brings these, in a stage of their own.
    needed.extend(
        included_files()
            .into_iter()
            .filter(|file| !file.starts_with("node_modules/")),
    );
    for stage in &stages {
        for copy in stage.all("COPY") {
            let words: Vec<&str> = copy.split_whitespace().collect();
            let (flags, paths): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.starts_with("--"));
            if let Some(from) = flags.iter().find_map(|flag| flag.strip_prefix("--from=")) {
                let is_there = stages.iter().any(|stage| stage.from.ends_with(&format!(" AS {from}")));
                assert!(is_there, "there is no stage {from} for COPY {copy}");
                continue;
            }
            let (_, sources) = paths.split_last().unwrap();
            needed.extend(
                sources
                    .iter()
                    .filter(|source| **source != ".")
                    .map(|source| (*source).to_owned()),
            );
        }
    }
    for path in needed {
        assert!(repository(&path).exists(), "{path} is missing");
        assert!(reaches_docker(&path), "{path} is hidden by .dockerignore");
    }
    assert!(!reaches_docker("target/debug/pgassay") && !reaches_docker("data") && !reaches_docker(".git"));
}

#[test]
fn the_image_is_built_by_the_compiler_and_for_the_system_that_it_needs() {
    let stages = stages();
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let build = &stages
        .iter()
        .find(|stage| stage.from.starts_with("rust:"))
        .unwrap()
        .from;
    let debian = image()
        .from
        .strip_prefix("debian:")
        .unwrap()
        .trim_end_matches("-slim")
        .to_owned();
    assert!(
        build.starts_with(&format!("rust:{}-", version.trim_matches('"'))),
        "{build}"
    );
    assert!(build.ends_with(&format!("-{debian} AS build")), "{build} for {debian}");
}
