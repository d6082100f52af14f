//! `pgassay run` from files to numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::scratch;
use crate::support;
use crate::support::Cluster;

/// Rows of each table of the sample, counted in its text.
fn sample_rows() -> BTreeMap<String, u64> {
    let dump = fs::read_to_string(support::sample("dump.sql")).unwrap();
    let mut rows = BTreeMap::new();
    for block in dump.split("\nCOPY public.").skip(1) {
        let table = block.split(' ').next().unwrap();
        let n_rows = block.lines().skip(1).take_while(|line| *line != "\\.").count();
        rows.insert(table.to_owned(), u64::try_from(n_rows).unwrap());
    }
    rows
}

/// What a run found in each table: the rows that its scan brought.
fn scanned_rows(export: &Path) -> BTreeMap<String, u64> {
    let document: Value = serde_json::from_slice(&fs::read(export).unwrap()).unwrap();
    let plans = document["plans"].as_array().unwrap();
    let rows = plans.iter().map(|plan| {
        let analyzed: Value = match &plan["explain_analyzed"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            value => value.clone(),
        };
        let n_rows = analyzed[0]["Plan"]["Actual Rows"].as_f64().unwrap();
        (
            plan["query"].as_str().unwrap().to_owned(),
            format!("{n_rows}").parse().unwrap(),
        )
    });
    rows.collect()
}

#[test]
fn a_plain_a_gzipped_a_custom_and_a_tar_dump_of_a_database_give_the_same_tables_and_rows() {
    let cluster = Cluster::start();
    let shop = |name: &str| {
        let mut client = cluster.client(name);
        client.args(["-d", "shop"]);
        client
    };
    assert!(cluster.client("createdb").arg("shop").status().unwrap().success());
    let mut psql = shop("psql");
    psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(support::sample("dump.sql"));
    assert!(psql.output().unwrap().status.success());

    let dir = scratch::dir();
    for (format, name) in [("plain", "dump.sql"), ("custom", "dump.custom"), ("tar", "dump.tar")] {
        let mut pg_dump = shop("pg_dump");
        pg_dump.args(["--format", format, "--file"]).arg(dir.join(name));
        assert!(pg_dump.status().unwrap().success(), "{format}");
    }
    let gzip = std::process::Command::new("gzip")
        .arg("--keep")
        .arg(dir.join("dump.sql"))
        .status();
    assert!(gzip.unwrap().success());

    let expected = sample_rows();
    let queries = expected
        .keys()
        .map(|table| format!("-- name: {table}\nselect * from public.{table};\n"));
    fs::write(dir.join("queries.sql"), queries.collect::<Vec<_>>().concat()).unwrap();
    let n_rows: u64 = expected.values().sum();
    for name in ["dump.sql", "dump.sql.gz", "dump.custom", "dump.tar"] {
        let export = dir.join(format!("{name}.json"));
        let mut run = support::run(
            &dir.join("data"),
            &dir.join(name),
            &dir.join("queries.sql"),
            &["--source", "none", "--iterations", "1", "--warmup", "0", "--json"],
        );
        let output = run.arg(&export).output().unwrap();
        let said = support::stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        assert_eq!(scanned_rows(&export), expected, "{name}");
        let digits = said.replace('\u{2009}', "");
        let counted = format!("Restored {} tables with {n_rows} rows", expected.len());
        assert!(digits.contains(&counted), "{name}: {said}");
    }
    assert_eq!(
        support::processes_of(&dir),
        Vec::<String>::new(),
        "nothing is left running"
    );
}

#[test]
fn the_table_the_json_and_the_csv_tell_the_same_numbers() {
    let dir = scratch::dir();
    let dump = dir.join("dump.sql");
    fs::write(
        &dump,
        "create table t (a integer);\ninsert into t select g from generate_series(1, 5000) g;\n",
    )
    .unwrap();
    let queries = dir.join("queries.sql");
    fs::write(
        &queries,
        "-- name: sums\nselect sum(a) from t;\n-- name: top\nselect a from t order by a desc limit 3;",
    )
    .unwrap();
    let (json, csv) = (dir.join("out.json"), dir.join("out.csv"));
    let args = [
        "--source",
        "built_in",
        "--source",
        "none",
        "--control",
        "--iterations",
        "4",
        "--seed",
        "5",
        "--json",
        json.to_str().unwrap(),
        "--csv",
        csv.to_str().unwrap(),
    ];
    let output = support::run(&dir.join("data"), &dump, &queries, &args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));

    let document: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(document["trials"].as_array().unwrap().len(), 3 * 2 * 4);
    let summaries = document["summaries"].as_array().unwrap();
    assert_eq!(summaries.len(), 6);
    assert_eq!(document["sources"][2]["label"], "built_in again (control)");
    let csv = fs::read_to_string(&csv).unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("Seed 5."), "{table}");
    assert!(
        table.contains("4 rounds cannot tell any difference from chance"),
        "{table}"
    );
    for summary in summaries {
        let (source, query) = (summary["source"].as_str().unwrap(), summary["query"].as_str().unwrap());
        let times_ms: Vec<f64> = document["trials"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|trial| trial["source"] == source && trial["query"] == query)
            .map(|trial| trial["execution_ms"].as_f64().unwrap())
            .collect();
        let mean = times_ms.iter().sum::<f64>() / 4.0;
        let squares: f64 = times_ms.iter().map(|ms| (ms - mean).powi(2)).sum();
        let is_near = |name: &str, by_hand: f64| (summary[name].as_f64().unwrap() - by_hand).abs() < 1e-9;
        assert!(
            is_near("mean_ms", mean) && is_near("stddev_ms", (squares / 3.0).sqrt()),
            "{summary}"
        );
        let mean_text = summary["mean_ms"].to_string();
        assert!(
            csv.lines().any(|line| line.contains(&mean_text)),
            "{mean_text} in {csv}"
        );
        assert!(
            table
                .lines()
                .any(|line| line.contains(source) && line.starts_with(query)),
            "{table}"
        );
    }
}

#[test]
fn exit_codes_tell_bad_arguments_from_failure() {
    let dir = scratch::dir();
    let (dump, queries) = (dir.join("dump.sql"), dir.join("queries.sql"));
    fs::write(&dump, "create table t (a integer);\n\\! id\n").unwrap();
    fs::write(&queries, "select 1;").unwrap();
    let data_dir = dir.join("data");
    for (dump, args, code, words) in [
        (
            &dump,
            &["--source", "nonsense"][..],
            2,
            "There is no source called nonsense.",
        ),
        (&dump, &["--source", "none", "--iterations", "0"], 2, "iterations"),
        (&dir.join("absent.sql"), &["--source", "none"], 2, "There is no file"),
        (&dump, &[], 2, "--source"),
        (&dump, &["--source", "none"], 1, "\\! in line 2 is a command of psql"),
    ] {
        let output = support::run(&data_dir, dump, &queries, args).output().unwrap();
        let said = support::stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(support::processes_of(&dir), Vec::<String>::new());
}
