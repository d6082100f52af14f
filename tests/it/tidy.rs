//! The rules of the house, as far as a program can check them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Who may know whom. A room not on the right does not exist for the room on the left.
const MAY_KNOW: &[(&str, &str)] = &[
    ("model", ""),
    ("config", "model"),
    ("sql", ""),
    ("plan", "model"),
    ("analysis", "model"),
    ("vault", ""),
    ("metrics", ""),
    ("files", "model config"),
    ("cluster", "model config"),
    ("store", "model config"),
    ("auth", "model config store"),
    ("target", "model config sql plan files cluster store"),
    ("snapshot", "model sql target"),
    ("source", "model sql plan target snapshot"),
    ("dataset", "model config sql metrics files store auth cluster target"),
    ("workload", "model config sql files store auth target"),
    (
        "experiment",
        "model config sql plan analysis store auth target dataset workload snapshot source",
    ),
    (
        "instrument",
        "model sql plan analysis store auth target snapshot source experiment",
    ),
    ("server", "model vault store target experiment"),
    (
        "benchmark",
        "model sql analysis store auth target server dataset workload snapshot source experiment",
    ),
    ("report", "model sql plan analysis store snapshot"),
    ("bundle", "model analysis snapshot store experiment report"),
    ("condition", "model metrics files store target"),
    ("backup", "model cluster"),
    (
        "web",
        "model config sql plan analysis metrics files store auth dataset workload snapshot source experiment instrument \
         server benchmark report bundle condition",
    ),
    (
        "app",
        "model config sql plan analysis vault metrics files cluster store auth target dataset workload snapshot source \
         experiment instrument server benchmark report bundle condition backup web",
    ),
    (
        "cli",
        "model config sql plan analysis vault metrics files cluster store auth target dataset workload snapshot source \
         experiment instrument server benchmark report bundle condition backup web app",
    ),
];

/// Most lines of a file before its tests.
const MOST_LINES: usize = 500;

struct SourceFile {
    /// Below `src`.
    path: PathBuf,
    text: String,
}

impl SourceFile {
    /// The directory or the file directly below `src` that it belongs to.
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap().as_os_str().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    /// The modules below this file that are compiled for tests only, as paths without an ending.
    fn modules_for_tests(&self) -> Vec<PathBuf> {
        let is_root = self.path.ends_with("mod.rs") || self.path.ends_with("lib.rs");
        let dir = if is_root {
            self.path.parent().unwrap().to_owned()
        } else {
            self.path.with_extension("")
        };
        let lines: Vec<&str> = self.text.lines().collect();
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        declared
            .filter_map(|pair| pair[1].split_once("mod ")?.1.strip_suffix(';'))
            .map(|name| dir.join(name))
            .collect()
    }

    /// The lines that are not there for tests only, with their numbers.
    fn lines(&self) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        let mut skipping: Option<&str> = None;
        let mut all = self.text.lines().enumerate().peekable();
        while let Some((idx, line)) = all.next() {
            if let Some(end) = skipping {
                skipping = (line != end).then_some(end);
            } else if line == "#[cfg(test)]" {
                let is_one_line = all.peek().is_some_and(|(_, next)| next.ends_with(';'));
                if is_one_line {
                    all.next();
                } else {
                    skipping = Some("}");
                }
            } else {
                lines.push((idx + 1, line));
            }
        }
        lines
    }

    /// The same without comments.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines = self.lines();
        lines.retain(|(_, line)| !line.trim_start().starts_with("//"));
        lines
    }
}

/// Every Rust file below a directory, in order.
fn files_below(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_owned();
                files.push(SourceFile { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every file of the product. Files that hold nothing but tests are left out.
fn sources() -> Vec<SourceFile> {
    let mut files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let for_tests: Vec<PathBuf> = files.iter().flat_map(SourceFile::modules_for_tests).collect();
    files.retain(|file| {
        !for_tests
            .iter()
            .any(|module| file.path.with_extension("").starts_with(module))
    });
    files
}

/// Lines for which `is_wrong`, as `path:line: text`.
fn wrong_lines(is_wrong: impl Fn(&SourceFile, &str) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in &sources() {
        for (number, line) in file.code() {
            if is_wrong(file, line) {
                wrong.push(format!("{}:{number}: {}", file.path.display(), line.trim()));
            }
        }
    }
    wrong
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The rooms that a line names.
fn rooms_named(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, path)| {
            let rest = &line[at + path.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            &rest[..end]
        })
        .collect()
}

#[test]
fn rooms_know_only_the_rooms_that_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> = MAY_KNOW
        .iter()
        .map(|(room, others)| (*room, others.split_whitespace().collect()))
        .collect();
    let wrong = wrong_lines(|file, line| {
        let room = file.room();
        let Some(allowed) = table.get(room.as_str()) else {
            return !matches!(room.as_str(), "lib" | "main");
        };
        rooms_named(line)
            .iter()
            .any(|named| *named != room && !allowed.contains(named))
    });
    assert_none(&wrong);
}

#[test]
fn the_table_lets_no_two_rooms_know_each_other() {
    let position: BTreeMap<&str, usize> = MAY_KNOW
        .iter()
        .enumerate()
        .map(|(idx, (room, _))| (*room, idx))
        .collect();
    for (idx, (room, others)) in MAY_KNOW.iter().enumerate() {
        for other in others.split_whitespace() {
            assert!(position[other] < idx, "{room} knows {other}, which stands below it");
        }
    }
    let rooms: BTreeSet<String> = sources()
        .iter()
        .map(SourceFile::room)
        .filter(|room| !matches!(room.as_str(), "lib" | "main"))
        .collect();
    let named: BTreeSet<String> = MAY_KNOW.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, named, "every room stands in the table");
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for file in &sources() {
        let (n_lines, path) = (file.lines().len(), file.path.display());
        assert!(n_lines <= MOST_LINES, "{path} has {n_lines} lines before its tests");
        assert!(file.text.starts_with("//! "), "{path} does not say what it is for");
    }
}

#[test]
fn only_the_store_asks_our_database() {
    assert_none(&wrong_lines(|file, line| {
        let has_macro = ["query!(", "query_as!(", "query_scalar!(", "migrate!("]
            .iter()
            .any(|name| line.contains(name));
        has_macro && file.room() != "store"
    }));
}

#[test]
fn only_four_rooms_speak_to_a_database_under_test() {
    assert_none(&wrong_lines(|file, line| {
        let speaks = [
            "AssertSqlSafe",
            "sqlx::query(",
            "sqlx::query_as(",
            "sqlx::query_scalar(",
            "raw_sql(",
        ]
        .iter()
        .any(|name| line.contains(name));
        speaks && !matches!(file.room().as_str(), "target" | "snapshot" | "source" | "dataset")
    }));
}

#[test]
fn nothing_unwraps_outside_of_tests_and_nothing_is_left_for_later() {
    assert_none(&wrong_lines(|_, line| {
        [".unwrap()", "todo!(", "unimplemented!(", "dbg!(", ".unwrap_unchecked("]
            .iter()
            .any(|name| line.contains(name))
    }));
    for file in &sources() {
        for word in ["TODO", "FIXME", "XXX:"] {
            assert!(!file.text.contains(word), "{word} in {}", file.path.display());
        }
    }
}

#[test]
fn every_use_names_one_path() {
    assert_none(&wrong_lines(|_, line| {
        let line = line
            .trim_start()
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ");
        line.starts_with("use ") && (line.contains('{') || line.ends_with("::*;"))
    }));
}

#[test]
fn no_test_is_ignored() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = files_below(&root.join("src"));
    files.extend(files_below(&root.join("tests/it")));
    for file in files {
        let is_ignored = file.text.lines().any(|line| line.trim_start().starts_with("#[ignore"));
        assert!(!is_ignored, "{}", file.path.display());
    }
}
