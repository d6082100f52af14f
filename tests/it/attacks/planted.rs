//! Code that a dump plants wherever PostgreSQL takes code, in the hope that a superuser runs it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::attacks::Ground;
use crate::support;
use crate::support::Cluster;

/// Whatever is planted calls `trap`, which makes a file when a superuser runs it, in the name of what was planted.
/// Names that are ours to use in full (`version`, `pg_class`, `=`) are taken in every schema that a careless search
/// path would find. In the database `maker`, where archives are made, the trap is not set.
const PLANTED: &str = include_str!("planted.sql");

/// As anybody may use the tables, once a superuser does.
const CARELESS: &str = "select * from mallory_view; insert into mallory_table values (5, 5); \
                        set search_path = public, pg_catalog; select count(*) from mallory_table; select version();";

fn psql(cluster: &Cluster, database: &str, script: &Path) -> std::process::Output {
    let mut psql = cluster.client("psql");
    psql.args(["-XqAt", "-d", database, "-f"]).arg(script).output().unwrap()
}

fn planted(ground: &Ground) -> std::path::PathBuf {
    let script = ground.dir.join("planted.sql");
    fs::write(&script, ground.aimed(PLANTED)).unwrap();
    script
}

/// The dump as it is, and as an archive of the database that it makes.
fn dumps(ground: &Ground, maker: &Cluster) -> [Vec<u8>; 2] {
    let script = planted(ground);
    assert!(maker.client("createdb").arg("maker").status().unwrap().success());
    let made = psql(maker, "maker", &script);
    assert_eq!(support::stderr(&made), "");
    let mut pg_dump = maker.client("pg_dump");
    let archive = pg_dump.args(["-d", "maker", "--format", "custom"]).output().unwrap();
    [ground.aimed(PLANTED).into_bytes(), archive.stdout]
}

/// Everything that is done with a dataset: checked, experimented on by reads and writes, looked at, exported, deleted.
async fn use_it(ground: &Ground, dump: Vec<u8>) {
    let dataset = ground.restored(dump).await;
    let script = "-- name: reads\nselect count(*) from public.mallory_table where b > 1;\n\
                  -- name: view\nselect * from public.mallory_view;\n\
                  -- name: writes\ninsert into public.mallory_table values (7, 7);\n\
                  -- name: traps\nselect public.trap('query', 1);\n";
    let (workload, _) = ground.queries(script).await;
    let place = format!("/workloads/{workload}/check");
    let (_, page) = ground.plain.post(&place, &[("dataset", &dataset.to_string())]).await;
    assert!(!page.contains("<h1>"), "{page}");
    let fields = [
        ("stats_source", "built_in"),
        ("stats_source", "random_targets"),
        ("stats_source", "none"),
        ("stats_source", "draws"),
        ("draws.k", "2"),
        ("stats_source", "extended"),
        ("stats_source", "stale"),
        ("stats_source", "perturbed"),
        ("stats_source", "custom_sql"),
        (
            "custom_sql.script",
            "create index on public.mallory_table (b);\nset work_mem = '8MB';\n",
        ),
        ("observer", "on"),
    ];
    let experiment = ground.experiment(dataset, workload, &fields).await;
    let failed: Vec<Value> = ground.rows(&format!(
        "select outcome, message from trials where experiment_id = {experiment} and outcome <> 'finished'"
    ));
    assert_eq!(failed, Vec::<Value>::new());
    for page in ["", "/queries/0", "/export.json", "/export.csv", "/trials.csv"] {
        ground.plain.page(&format!("/results/{experiment}{page}")).await;
    }
    ground.plain.page(&format!("/datasets/{dataset}")).await;
    let (_, page) = ground.plain.post(&format!("/datasets/{dataset}/delete"), &[]).await;
    assert_eq!(page, "/datasets");
}

/// What the traps say after a superuser has used such a database without care.
fn woken(ground: &Ground, cluster: &Cluster) -> Vec<String> {
    assert!(cluster.client("createdb").arg("careless").status().unwrap().success());
    let script = planted(ground);
    psql(cluster, "careless", &script);
    fs::write(&script, CARELESS).unwrap();
    psql(cluster, "careless", &script);
    let out = fs::read_dir(ground.dir.join("out")).unwrap().flatten();
    out.map(|entry| {
        fs::remove_file(entry.path()).unwrap();
        entry.file_name().to_string_lossy().into_owned()
    })
    .collect()
}

#[tokio::test]
async fn nothing_that_a_dump_plants_is_ever_run_by_a_superuser() {
    let ground = Ground::embedded();
    let maker = Cluster::start();
    let woken = woken(&ground, &maker);
    for trap in ["view", "default", "check", "index", "trigger", "generated", "version"] {
        assert!(woken.iter().any(|found| found == trap), "{trap} is awake: {woken:?}");
    }
    for dump in dumps(&ground, &maker) {
        use_it(&ground, dump).await;
    }
    ground.assert_untouched();
}

/// Names that may stand where a relation stands without a schema: those of a statement's own `with`, and functions.
const OWN_NAMES: [&str; 6] = ["col", "unwrapped", "base", "parts", "lateral", "made"];

#[tokio::test]
async fn superuser_statements_name_nothing_of_a_dump_and_everything_else_in_full() {
    let ground = Ground::shared();
    let maker = Cluster::start();
    for dump in dumps(&ground, &maker) {
        use_it(&ground, dump).await;
    }
    let log = fs::read_to_string(ground.shared.as_ref().unwrap().dir.join("data/log/server.json")).unwrap();
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut statements = Vec::new();
    for entry in &entries {
        let message = entry["message"].as_str().unwrap_or_default();
        let by_superuser = entry["user"] == "postgres" && entry["application_name"] == "pgassay admin";
        let Some((kind, sql)) = message.split_once(": ") else {
            continue;
        };
        if by_superuser && (kind == "statement" || kind.starts_with("execute ")) {
            statements.push(sql);
        }
    }
    statements.sort_unstable();
    statements.dedup();
    assert!(statements.len() > 50, "{statements:#?}");
    let mut careless = Vec::new();
    for sql in statements {
        assert!(!sql.contains("mallory"), "{sql}");
        let names = unqualified(sql).into_iter();
        careless.extend(
            names
                .filter(|name| !OWN_NAMES.contains(&name.as_str()))
                .map(|name| (name, sql)),
        );
    }
    assert!(careless.is_empty(), "{careless:#?}");
    ground.assert_untouched();
}

/// Words that may stand before a parenthesis and call nothing.
const NO_FUNCTIONS: [&str; 28] = [
    "array",
    "and",
    "any",
    "as",
    "case",
    "cast",
    "coalesce",
    "else",
    "exists",
    "extract",
    "filter",
    "from",
    "in",
    "into",
    "lateral",
    "not",
    "nullif",
    "or",
    "over",
    "parts",
    "select",
    "strategy",
    "then",
    "unwrapped",
    "values",
    "when",
    "with",
    "vacuum",
];

/// Relations and functions in a statement that no schema stands before.
fn unqualified(sql: &str) -> Vec<String> {
    let words = words(sql);
    let mut found = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let before = |k: usize| n.checked_sub(k).map_or("", |at| words[at].as_str());
        let after = words.get(n + 1).map_or("", String::as_str);
        let is_name = word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_' || c == '"');
        if !is_name || before(1) == "." {
            continue;
        }
        let is_function = after == "(" && !NO_FUNCTIONS.contains(&word.as_str());
        let is_relation = ["from", "join", "update"].contains(&before(1))
            || (before(1) == "into" && before(2) == "insert")
            || (before(1) == "using" && words.contains(&"delete".to_owned()));
        let is_call_of_types = before(1) == "as" || before(1) == ")";
        if (is_function && !is_call_of_types) || (is_relation && after != "." && word != "rows" && word != "public") {
            found.push(word.clone());
        }
    }
    found
}

/// A statement cut into names, signs and texts, in lower case.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        let mut word = c.to_string();
        if c == '\'' || c == '"' {
            for c in chars.by_ref() {
                word.push(c);
                if word.ends_with(&word[..1].to_owned()) {
                    break;
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
        } else if c.is_whitespace() {
            continue;
        }
        words.push(word.to_lowercase());
    }
    words
}
