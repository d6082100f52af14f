//! The main job on PostgreSQL of other versions, and what doctor says of them.

use std::fs;

use serde_json::Value;

use crate::scratch;
use crate::servers;
use crate::support;
use crate::support::SOURCES;

/// What every version has to do: clones, swaps of statistics, a writing trial in a clone of its own.
const QUERIES: &str = "-- name: joins\nselect count(*) from orders join customer using (customer_id);\n\
                       -- name: writes\ndelete from payment where amount < 10;\n";

#[test]
fn the_main_job_is_done_on_every_version_of_the_server() {
    if !servers::ARE_HERE {
        return;
    }
    for major in servers::SERVERS {
        let dir = scratch::dir();
        let (queries, export) = (dir.join("queries.sql"), dir.join("export.json"));
        fs::write(&queries, QUERIES).unwrap();
        let mut run = support::run(&dir.join("data"), &support::sample("dump.sql"), &queries, &SOURCES);
        run.args(["--iterations", "2", "--warmup", "1", "--json"]).arg(&export);
        let output = run.env("PGASSAY_PG_BINDIR", servers::bindir(major)).output().unwrap();
        let said = support::stderr(&output);
        assert_eq!(output.status.code(), Some(0), "PostgreSQL {major}: {said}");

        let text = fs::read_to_string(&export).unwrap();
        assert!(text.contains(&format!("PostgreSQL {major}.")), "{major} is the server");
        let document: Value = serde_json::from_str(&text).unwrap();
        let trials = document["trials"].as_array().unwrap();
        assert_eq!(trials.len(), 2 * 3 * 2, "PostgreSQL {major}");
        for trial in trials {
            assert_eq!(trial["outcome"], "finished", "PostgreSQL {major}: {trial}");
        }
        assert_eq!(support::processes_of(&dir), Vec::<String>::new());
    }
}

#[test]
fn doctor_is_red_about_a_release_with_known_holes_and_names_the_pg_restore_that_is_used() {
    if !servers::ARE_HERE {
        return;
    }
    let client = servers::client(18, "pg_restore");
    let mut path = client.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut doctor = support::pgassay(&["doctor", "--data-dir"]);
    doctor.arg(scratch::dir());
    doctor.env("PGASSAY_PG_BINDIR", servers::bindir(17)).env("PATH", path);
    let output = doctor.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for words in [
        "BAD   PostgreSQL      PostgreSQL 17.10 has known security holes",
        "update it to 17.12 or newer",
        "ok    archives        custom and tar archives are read by pg_restore 18.",
        &client.display().to_string(),
    ] {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
}
