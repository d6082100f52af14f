//! Statistics out of production: exported by somebody without rights, uploaded, compared, put in force, deleted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value;

use crate::pages::Plain;
use crate::scratch;
use crate::server::Server;
use crate::server::repository;
use crate::server::wait_for;
use crate::support;
use crate::support::Cluster;

/// A server with four times the rows of the sample, a table and a column more, and somebody who may only read some of it.
fn production(dir: &Path) -> Cluster {
    let cluster = Cluster::start();
    let dump = dir.join("production.sql");
    let sample = support::pgassay(&[
        "sample",
        "--scale",
        "4",
        "--seed",
        "2",
        "--output",
        dump.to_str().unwrap(),
    ])
    .status();
    assert!(sample.unwrap().success());
    cluster.ask("create database shop");
    let loaded = cluster
        .client("psql")
        .args(["-Xq", "-d", "shop", "-f"])
        .arg(&dump)
        .output();
    assert!(loaded.unwrap().status.success());
    for sql in [
        "create table audit_log as select g as n from generate_series(1, 1000) g",
        "alter table orders add column secret text",
        "vacuum analyze",
        "create role reader login",
        "grant select on all tables in schema public to reader",
        "revoke select on customer from reader",
    ] {
        cluster.ask_in("shop", sql);
    }
    cluster
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// What a file says of columns, by name: lists and numbers as text, however they are written.
fn columns(file: &Value) -> BTreeMap<String, BTreeMap<String, String>> {
    let entries = file["columns"].as_array().unwrap().iter();
    let column = |entry: &Value| {
        let fields = entry.as_object().unwrap().iter();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fields: BTreeMap<String, String> = fields.map(|(name, value)| (name.clone(), text(value))).collect();
        (
            format!("{}.{} {}", fields["tablename"], fields["attname"], fields["inherited"]),
            fields,
        )
    };
    entries.map(column).collect()
}

#[tokio::test]
async fn statistics_go_from_production_into_an_experiment_by_plain_links_and_forms() {
    let dir = scratch::dir();
    let cluster = production(&dir);
    let server = Server::start(&dir.join("data"));
    let plain = Plain::of(&server);
    let sample = |name: &str| fs::read(repository(&format!("samples/{name}"))).unwrap();
    plain.upload("/upload/dump", "r1", "dump.sql", sample("dump.sql")).await;
    plain
        .upload("/upload/queries", "r2", "queries.sql", sample("queries.sql"))
        .await;
    wait_for("the restore", async || {
        plain.page("/datasets/1").await.contains("ready</span>").then_some(())
    })
    .await;
    let form = plain.page("/experiment?dataset=1&workload=1").await;
    assert!(form.contains("This dataset has no statistics file yet."));
    let (status, refused) = plain
        .post(
            "/experiment",
            &[
                ("dataset", "1"),
                ("workload", "1"),
                ("request_id", "r3"),
                ("stats_source", "imported"),
            ],
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.contains("Choose a statistics file."));

    let exported = exported_by_query_and_by_command(&plain, &cluster, &dir).await;
    let (status, at) = plain
        .upload("/datasets/1/statistics", "r4", "production.json", exported.clone())
        .await;
    assert_eq!((status, at.as_str()), (StatusCode::SEE_OTHER, "/statistics/1"));
    let page = plain.page(&at).await;
    for said in [
        "public.audit_log",
        "public.orders.secret",
        "public.customer.segment: no SELECT privilege",
        "<li class=\"mono\">public.customer.full_name</li>",
        "4.0 times smaller here",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    bad_files_are_refused_on_the_page_of_the_dataset(&plain, &exported).await;

    let form = plain.page("/experiment?dataset=1&workload=1").await;
    assert!(form.contains("<option>production.json</option>"), "{form}");
    let wish = [
        ("request_id", "r5"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("stats_source", "imported"),
        ("imported.file", "production.json"),
        ("iterations", "1"),
        ("warm_up", "0"),
    ];
    let (status, result) = plain.post("/experiment", &wish).await;
    assert_eq!((status, result.as_str()), (StatusCode::SEE_OTHER, "/results/1"));
    let settled = wait_for("the experiment", async || {
        let page = plain.page("/results/1").await;
        page.contains("Times by query and source").then_some(page)
    })
    .await;
    assert!(settled.contains("imported (file production.json)"));
    assert!(settled.contains("not imported: the dataset has no such column"));
    let export = json(plain.page("/results/1/export.json").await.as_bytes());
    assert!(n_changed_plans(&export) >= 2, "four times the rows move plans");

    assert!(
        plain
            .page("/statistics/1/delete")
            .await
            .contains("Delete production.json?")
    );
    let (status, at) = plain.post("/statistics/1/delete", &[]).await;
    assert_eq!((status, at.as_str()), (StatusCode::SEE_OTHER, "/datasets/1"));
    assert_eq!(plain.get("/statistics/1").await.0, StatusCode::NOT_FOUND);
    assert!(
        plain
            .page("/results/1")
            .await
            .contains("imported (file production.json)")
    );
    assert_eq!(server.stop(), Some(0));
}

/// The file of somebody who may not read everything, by the query as the page gives it; the command makes the same.
async fn exported_by_query_and_by_command(plain: &Plain, cluster: &Cluster, dir: &Path) -> Vec<u8> {
    assert!(plain.page("/statistics/export").await.contains("json_build_object"));
    let query = dir.join("export.sql");
    fs::write(&query, plain.page("/statistics/export.sql").await).unwrap();
    let by_psql = cluster
        .client("psql")
        .args(["-XAt", "-U", "reader", "-d", "shop", "-f"])
        .arg(&query)
        .output()
        .unwrap();
    assert!(by_psql.status.success(), "{}", support::stderr(&by_psql));
    let url = cluster
        .socket_url()
        .replace("postgres@", "reader@")
        .replace("/postgres?", "/shop?");
    let by_command = support::pgassay(&["snapshot", "export", "--url", &url])
        .output()
        .unwrap();
    assert_eq!(columns(&json(&by_psql.stdout)), columns(&json(&by_command.stdout)));
    let said = support::stderr(&by_command);
    assert!(said.contains("public.customer.segment: no SELECT privilege"), "{said}");
    by_psql.stdout
}

/// Queries whose plans differ between the sources of an experiment.
fn n_changed_plans(export: &Value) -> usize {
    let mut shapes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for plan in export["plans"].as_array().unwrap() {
        let shape = plan["fingerprint"].as_str().unwrap();
        shapes.entry(plan["query"].as_str().unwrap()).or_default().insert(shape);
    }
    shapes.values().filter(|shapes| shapes.len() > 1).count()
}

async fn bad_files_are_refused_on_the_page_of_the_dataset(plain: &Plain, good: &[u8]) {
    let text = String::from_utf8(good.to_vec()).unwrap();
    let too_large = StatusCode::PAYLOAD_TOO_LARGE;
    let wrong = StatusCode::UNPROCESSABLE_ENTITY;
    for (name, bytes, expected, said) in [
        (
            "picture.png",
            b"\x89PNG\r\n\x1a\n\0\0".to_vec(),
            wrong,
            "neither JSON of pgassay nor",
        ),
        ("words.json", b"{hello}".to_vec(), wrong, "The file is no JSON"),
        (
            "other.json",
            b"{\"a\": 1}".to_vec(),
            wrong,
            "not a statistics file of pgassay",
        ),
        (
            "cut.json",
            good[..good.len() / 2].to_vec(),
            wrong,
            "ends in the middle of its JSON",
        ),
        (
            "new.json",
            text.replacen("\"pgassay_statistics\" : 1", "\"pgassay_statistics\" : 2", 1)
                .into_bytes(),
            wrong,
            "it is of version 2",
        ),
        ("empty.json", Vec::new(), wrong, "The file is empty."),
        (
            "dump.sql",
            fs::read(repository("samples/dump.sql")).unwrap(),
            wrong,
            "is no output of pg_dump",
        ),
        (
            "huge.json",
            vec![b' '; 100_000_000],
            too_large,
            "Statistics files have at most 64 MiB.",
        ),
    ] {
        let (status, page) = plain.upload("/datasets/1/statistics", name, name, bytes).await;
        assert_eq!(status, expected, "{name}: {page}");
        let page = page.replace("&#39;", "'");
        assert!(page.contains(said) && page.contains("order_line"), "{name}: {said}");
    }
    let (status, _) = plain
        .upload("/datasets/9/statistics", "r9", "a.json", good.to_vec())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[test]
fn a_statistics_file_on_the_command_line_is_named_by_its_path() {
    let dir = scratch::dir();
    let dump = dir.join("dump.sql");
    fs::write(
        &dump,
        "create table t (a integer);\ninsert into t select 1 from generate_series(1, 5000) g;\n",
    )
    .unwrap();
    let queries = dir.join("queries.sql");
    fs::write(&queries, "-- name: ones\nselect * from t where a = 1;").unwrap();
    let file = dir.join("prod=1.json");
    let contents = r#"{"pgassay_statistics": 1,
        "relations": [{"schemaname": "public", "relname": "t", "relpages": 10, "reltuples": 70000, "relallvisible": 0}],
        "columns": [{"schemaname": "public", "tablename": "t", "attname": "a", "inherited": false, "null_frac": 0,
                     "avg_width": 4, "n_distinct": 7}]}"#;
    fs::write(&file, contents).unwrap();
    let source = format!("imported:file={}", file.display());
    let json_path = dir.join("out.json");
    let args = [
        "--source",
        &source,
        "--iterations",
        "1",
        "--warmup",
        "0",
        "--json",
        json_path.to_str().unwrap(),
    ];
    let run = support::run(&dir.join("data"), &dump, &queries, &args)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", support::stderr(&run));
    let export = json(&fs::read(&json_path).unwrap());
    assert_eq!(export["sources"][0]["label"], "imported (file prod=1.json)");
    let plan: Value = match &export["plans"][0]["explain"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        plan => plan.clone(),
    };
    assert_eq!(plan[0]["Plan"]["Plan Rows"], 10_000, "a seventh of 70,000 rows");

    let gone = format!("imported:file={}", dir.join("gone.json").display());
    let refused = support::run(&dir.join("data"), &dump, &queries, &["--source", &gone])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(support::stderr(&refused).contains("There is no file"));
    fs::write(&file, "{}").unwrap();
    let refused = support::run(&dir.join("data"), &dump, &queries, &args)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(support::stderr(&refused).contains("not a statistics file of pgassay"));
}
