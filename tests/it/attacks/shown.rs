//! Text of an attacker where it is shown: on pages, in files for other programs, on a terminal.

use std::fs;

use crate::attacks::Ground;
use crate::scratch;
use crate::support;

const SCRIPT: &str = "<script>alert(1)</script>";

fn dump() -> String {
    format!(
        "create table \"{SCRIPT}\" (\"<b>\" integer);\n\
         insert into \"{SCRIPT}\" values (1);\n\
         -- {SCRIPT}\n\
         select '{SCRIPT}' from \"<i>nowhere\";\n\
         create function say() returns integer language plpgsql as $$ begin \
         raise warning E'\\x1b[2Jwarned'; raise exception E'{SCRIPT}\\n\\x1b[31mred\\u202e'; end $$;\n\
         do $$ begin perform say(); end $$;\n"
    )
}

fn queries() -> String {
    format!(
        "-- name: =cmd() {SCRIPT}\nselect * from \"{SCRIPT}\";\n\
         -- name: \u{1b}[31m\u{202e}red\nselect 1;\n\
         -- name: +1\nselect public.say();\n\
         -- name: @<img src=x onerror=alert(1)>\nselect \"<b>\" as \"{SCRIPT}\" from \"{SCRIPT}\" where \"<b>\" = 1;\n\
         -- name: left out {SCRIPT}\nset work_mem = '{SCRIPT}';\n"
    )
}

#[tokio::test]
async fn hostile_text_is_only_ever_shown() {
    let ground = Ground::embedded();
    let restore = ground.restore(dump()).await;
    assert_eq!(restore.status, "completed", "{restore:?}");
    let (workload, _) = ground.queries(&queries()).await;
    let experiment = ground.experiment(restore.id, workload, &[]).await;
    for path in [
        format!("/datasets/{}", restore.id),
        format!("/workloads/{workload}?dataset={}", restore.id),
        format!("/results/{experiment}"),
        format!("/results/{experiment}/queries/0"),
        format!("/results/{experiment}/queries/3"),
        "/datasets".to_owned(),
        "/".to_owned(),
    ] {
        let page = ground.plain.page(&path).await;
        for raw in [SCRIPT, "<img src=x", "<i>nowhere", "<b>\""] {
            assert!(!page.contains(raw), "{raw} in {path}");
        }
    }
    let page = ground.plain.page(&format!("/results/{experiment}")).await;
    assert!(page.contains("alert(1)"), "it is there, as text");
    for file in ["export.csv", "trials.csv"] {
        let csv = ground.plain.page(&format!("/results/{experiment}/{file}")).await;
        for line in csv.lines() {
            let cells = line.split(',').map(|cell| cell.trim_start_matches('"'));
            for cell in cells {
                let is_formula = cell.starts_with(['=', '@', '+']);
                assert!(!is_formula, "{cell} in {file}");
            }
        }
    }
    let json = ground.plain.page(&format!("/results/{experiment}/export.json")).await;
    let _: serde_json::Value = serde_json::from_str(&json).unwrap();
    ground.assert_untouched();
}

#[test]
fn no_upload_steers_the_terminal() {
    let dir = scratch::dir();
    let (dump_file, queries_file) = (dir.join("dump.sql"), dir.join("queries.sql"));
    fs::write(&dump_file, dump()).unwrap();
    fs::write(&queries_file, queries()).unwrap();
    let args = ["--source", "none", "--iterations", "1", "--warmup", "0"];
    let output = support::run(&dir.join("data"), &dump_file, &queries_file, &args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));
    let said = String::from_utf8(output.stdout.clone()).unwrap() + &support::stderr(&output);
    assert!(said.contains("red") && said.contains("alert(1)"), "{said}");
    let steering = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!said.contains(steering), "{said:?}");
}
