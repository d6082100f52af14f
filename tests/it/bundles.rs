//! `pgassay bundle`, `verify` and `rerun`: an experiment as one file, its numbers computed again, and measured again.

use std::fs;
use std::io::Cursor;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::sync::LazyLock;

use serde_json::Value;
use zip::ZipArchive;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::scratch;
use crate::support;

const DUMP: &str = "create table t (a integer, b integer);\n\
                    insert into t select g, g % 7 from generate_series(1, 5000) g;\n\
                    create index on t (a);\n";
const QUERIES: &str = "-- name: sums\nselect sum(a) from t;\n-- name: one\nselect b from t where a = 77;\n";

/// Two queries under two sources, and under a script beside its twin, measured once for all tests.
struct Made {
    dir: PathBuf,
    bytes: Vec<u8>,
    table: String,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let dir = scratch::dir();
    fs::write(dir.join("dump.sql"), DUMP).unwrap();
    fs::write(dir.join("queries.sql"), QUERIES).unwrap();
    fs::write(
        dir.join("faster.sql"),
        "create index on t (b);\nset work_mem = '8MB';\n",
    )
    .unwrap();
    let script = dir.join("faster.sql");
    let more = [
        "--source",
        "built_in",
        "--source",
        "none",
        "--script",
        script.to_str().unwrap(),
        "--iterations",
        "6",
        "--seed",
        "5",
        "--observer",
    ];
    let mut run = support::run(
        &dir.join("data"),
        &dir.join("dump.sql"),
        &dir.join("queries.sql"),
        &more,
    );
    let output = run.arg("--bundle").arg(dir.join("made.zip")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));
    Made {
        bytes: fs::read(dir.join("made.zip")).unwrap(),
        table: String::from_utf8(output.stdout).unwrap(),
        dir,
    }
});

type Members = Vec<(String, Vec<u8>)>;

fn unpack(bytes: &[u8]) -> Members {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let n_members = archive.len();
    let read = |position: usize| {
        let mut member = archive.by_index(position).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        (member.name().unwrap().into_owned(), bytes)
    };
    (0..n_members).map(read).collect()
}

fn pack(members: &Members) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn member<'a>(members: &'a mut Members, name: &str) -> &'a mut Vec<u8> {
    &mut members.iter_mut().find(|(other, _)| other == name).unwrap().1
}

/// The rows of a table, changed, put back.
fn change_rows(members: &mut Members, name: &str, change: impl Fn(&mut Value)) {
    let bytes = member(members, name);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let rows = text.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        change(&mut row);
        format!("{row}\n")
    });
    *bytes = rows.collect::<String>().into_bytes();
}

/// Makes the manifest promise what is there, as a careful forger would.
fn make_manifest_agree(members: &mut Members) {
    use sha2::Digest as _;
    let promised: Vec<Value> = members
        .iter()
        .filter(|(name, _)| name != "manifest.json")
        .map(|(name, bytes)| {
            let sha256: String = sha2::Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            serde_json::json!({ "name": name, "bytes": bytes.len(), "sha256": sha256 })
        })
        .collect();
    let manifest = member(members, "manifest.json");
    let mut document: Value = serde_json::from_slice(manifest).unwrap();
    document["members"] = promised.into();
    *manifest = document.to_string().into_bytes();
}

fn verify_file(path: &Path) -> (Option<i32>, String, String) {
    let output: Output = support::pgassay(&["verify"]).arg(path).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code(), said, support::stderr(&output))
}

fn verify(bytes: &[u8]) -> (Option<i32>, String, String) {
    let path = scratch::dir().join("bundle.zip");
    fs::write(&path, bytes).unwrap();
    verify_file(&path)
}

#[test]
fn a_fresh_bundle_verifies_and_the_same_experiment_gives_the_same_bytes() {
    let path = MADE.dir.join("again.zip");
    let mut bundle = support::pgassay(&["bundle", "1", "--data-dir"]);
    bundle.arg(MADE.dir.join("data")).arg("--output").arg(&path);
    let output = bundle.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));
    assert_eq!(fs::read(&path).unwrap(), MADE.bytes);
    let (code, said, _) = verify_file(&path);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("queries.sql on dump.sql, 2 queries under 4 sources of statistics, 94 trials."),
        "{said}"
    );
    assert!(said.contains("numbers follow from its trials and plans."), "{said}");
}

#[test]
fn a_changed_trial_changes_the_numbers_of_its_query_and_source_and_they_are_named() {
    let mut members = unpack(&MADE.bytes);
    change_rows(&mut members, "trials.jsonl", |trial| {
        if trial["kind"] == "measured" && trial["round"] == 2 && trial["query_idx"] == 1 && trial["source_idx"] == 1 {
            trial["execution_ms"] = 5000.0.into();
        }
    });
    let (code, said, _) = verify(&pack(&members));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("trials.jsonl was changed after the bundle was written"),
        "{said}"
    );

    make_manifest_agree(&mut members);
    let (code, said, _) = verify(&pack(&members));
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("was changed after"), "{said}");
    for name in ["mean_ms", "stddev_ms"] {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("one under none: {name} is ")));
        let line = line.unwrap_or_else(|| panic!("{name} in {said}"));
        assert!(line.contains("in published/summaries.jsonl, and "), "{line}");
    }
    assert!(said.contains("one under none beside built_in: ratio is "), "{said}");
    assert!(
        said.contains("all queries under none beside built_in: ratio is "),
        "{said}"
    );
    assert!(said.contains("in published/export.csv"), "{said}");
    // Adjusted for all comparisons, a p-value and a verdict may depend on the other query; nothing else does.
    let of_one_query = ["published/summaries.jsonl", "published/comparisons.jsonl"];
    let wrongly_named = said.lines().find(|line| {
        let is_of_other = line.starts_with("sums") && of_one_query.iter().any(|file| line.contains(file));
        is_of_other || line.contains("under built_in:")
    });
    assert_eq!(wrongly_named, None);
}

#[test]
fn a_changed_reading_of_what_measuring_costs_changes_the_tax_of_its_query_only() {
    let mut members = unpack(&MADE.bytes);
    change_rows(&mut members, "trials.jsonl", |trial| {
        if trial["kind"] == "timing_on" && trial["round"] == 2 && trial["query_idx"] == 1 {
            assert!(trial["server_ms"].as_f64().unwrap() > 0.0);
            trial["execution_ms"] = 5000.0.into();
        }
    });
    make_manifest_agree(&mut members);
    let (code, said, _) = verify(&pack(&members));
    assert_eq!(code, Some(1), "{said}");
    let changed: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("when computed again"))
        .collect();
    assert!(
        changed.iter().any(|line| line.starts_with("one: on_ratio is ")),
        "{said}"
    );
    assert!(changed.iter().any(|line| line.contains("timing_on_tax is ")), "{said}");
    assert!(
        changed
            .iter()
            .all(|line| line.starts_with("one") && line.contains("on_")),
        "{said}"
    );
}

#[test]
fn a_bundle_of_before_has_no_looks_and_one_whose_looks_are_of_other_trials_is_refused() {
    let mut members = unpack(&MADE.bytes);
    change_rows(&mut members, "looks.jsonl", |look| {
        look["last_trial"] = 1_000_000.into();
    });
    make_manifest_agree(&mut members);
    let (code, _, complaint) = verify(&pack(&members));
    assert_eq!(code, Some(1), "{complaint}");
    assert!(
        complaint.contains("looks.jsonl cannot be read: line 1: the visits are not in order"),
        "{complaint}"
    );

    members.retain(|(name, _)| name != "looks.jsonl");
    make_manifest_agree(&mut members);
    let (code, said, _) = verify(&pack(&members));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_changed_published_number_is_named_with_what_it_should_be() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 7] = [
        (
            "published/summaries.jsonl",
            |row| row["n_finished"] = 99.into(),
            "sums under built_in: n_finished is 99 in published/summaries.jsonl, and 6 when computed again",
        ),
        (
            "published/summaries.jsonl",
            |row| row["plan_letter"] = "Z".into(),
            "one under none: plan_letter is \"Z\" in published/summaries.jsonl, and ",
        ),
        (
            "published/plans.jsonl",
            |row| row["fingerprint"] = "feed".into(),
            "one under built_in: fingerprint is \"feed\" in published/plans.jsonl, and ",
        ),
        (
            "published/comparisons.jsonl",
            |row| row["p_value"] = 0.000_001.into(),
            "sums under none beside built_in: p_value is 1e-6 in published/comparisons.jsonl, and ",
        ),
        (
            "published/verdicts.jsonl",
            |row| row["verdict"] = "so much faster".into(),
            "sums under none beside built_in: verdict is \"so much faster\" in published/verdicts.jsonl, and ",
        ),
        (
            "published/taxes.jsonl",
            |row| row["on_ratio"] = 99.into(),
            "one: on_ratio is 99 in published/taxes.jsonl, and ",
        ),
        (
            "sources.jsonl",
            |row| row["n_statistics"] = 1000.into(),
            "all queries under built_in: n_statistics is 1000 in sources.jsonl, and 2 when computed again",
        ),
    ];
    for (name, change, words) in cases {
        let mut members = unpack(&MADE.bytes);
        change_rows(&mut members, name, change);
        make_manifest_agree(&mut members);
        let (code, said, _) = verify(&pack(&members));
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains(words), "{words} in {said}");
    }
    let mut members = unpack(&MADE.bytes);
    let mut about: Value = serde_json::from_slice(member(&mut members, "experiment.json")).unwrap();
    about["spec"]["seed"] = 6.into();
    *member(&mut members, "experiment.json") = about.to_string().into_bytes();
    make_manifest_agree(&mut members);
    let (code, said, _) = verify(&pack(&members));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("schedule.jsonl is not the schedule that follows from the seed"),
        "{said}"
    );
    assert!(
        said.contains("of the recorded trials are not what the schedule says"),
        "{said}"
    );
}

#[test]
fn what_is_no_bundle_is_refused_in_words() {
    let whole = &MADE.bytes;
    let changed = |change: fn(&mut Members)| {
        let mut members = unpack(&MADE.bytes);
        change(&mut members);
        pack(&members)
    };
    let two_of_a_name = {
        let text = b"snapshots/1.json";
        let mut bytes = changed(|_| ());
        let places: Vec<usize> = (0..bytes.len() - text.len())
            .filter(|place| bytes[*place..].starts_with(text))
            .collect();
        for place in places {
            bytes[place + 10] = b'0';
        }
        bytes
    };
    let mut flipped = whole.clone();
    flipped[200] ^= 0x55;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "it does not end as a zip archive does"),
        (b"PGDMP".repeat(100), "it does not end as a zip archive does"),
        (
            whole[..whole.len() / 2].to_vec(),
            "it does not end as a zip archive does",
        ),
        (
            whole[..whole.len() - 1].to_vec(),
            "it does not end as a zip archive does",
        ),
        (whole[1000..].to_vec(), "it is damaged"),
        (flipped, "README.txt"),
        (two_of_a_name, "two members of one name"),
        (
            changed(|members| members.retain(|(name, _)| name != "trials.jsonl")),
            "has no trials.jsonl",
        ),
        (
            changed(|members| members.retain(|(name, _)| name != "manifest.json")),
            "has no manifest.json",
        ),
        (
            changed(|members| {
                members.push(("../../etc/cron.d/evil".to_owned(), b"x".to_vec()));
                make_manifest_agree(members);
            }),
            "holds \"../../etc/cron.d/evil\", which does not belong into one",
        ),
        (
            changed(|members| members.push(("more.txt".to_owned(), Vec::new()))),
            "holds \"more.txt\"",
        ),
        (
            changed(|members| *member(members, "manifest.json") = br#"{"schema":"pgassay.bundle/9"}"#.to_vec()),
            "has the form pgassay.bundle/9; this pgassay reads pgassay.bundle/1",
        ),
        (
            changed(|members| *member(members, "manifest.json") = vec![b' '; 5 << 20]),
            "manifest.json is larger than 4194304 bytes",
        ),
        (
            changed(|members| *member(members, "experiment.json") = vec![b' '; 5 << 20]),
            "experiment.json is larger than 1048576 bytes, or than the bundle says",
        ),
        (
            changed(|members| *member(members, "experiment.json") = b"{}".to_vec()),
            "experiment.json cannot be read",
        ),
        (
            changed(|members| {
                let text = String::from_utf8(member(members, "experiment.json").clone()).unwrap();
                let text = text.replace("\"iterations\": 6", "\"iterations\": 4000000000");
                *member(members, "experiment.json") = text.into_bytes();
            }),
            "it asks for more than an experiment may",
        ),
        (
            changed(|members| *member(members, "trials.jsonl") = b"nonsense\n".to_vec()),
            "trials.jsonl cannot be read: line 1",
        ),
        (
            changed(|members| {
                let trials = member(members, "trials.jsonl");
                let first = trials.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
                trials.extend(first);
            }),
            "line 95: the trials are not in order",
        ),
    ];
    for (bytes, words) in cases {
        let (code, said, complaint) = verify(&bytes);
        assert_eq!(code, Some(1), "{words}: {said}{complaint}");
        assert!(complaint.contains(words), "{words} in {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
    let (code, _, complaint) = verify_file(Path::new("/nowhere/bundle.zip"));
    assert_eq!(code, Some(1));
    assert!(complaint.contains("/nowhere/bundle.zip"), "{complaint}");
}

fn rerun(dump: &Path, more: &[&str]) -> Output {
    let dir = scratch::dir();
    fs::write(dir.join("bundle.zip"), &MADE.bytes).unwrap();
    let mut command = support::pgassay(&["rerun"]);
    command.arg(dir.join("bundle.zip")).arg("--dump").arg(dump);
    command.arg("--data-dir").arg(dir.join("data")).args(more);
    command.output().unwrap()
}

#[test]
fn a_rerun_measures_under_the_same_statistics_and_in_the_same_order() {
    let path = scratch::dir().join("second.zip");
    let output = rerun(&MADE.dir.join("dump.sql"), &["--bundle", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("All 8 plans are those of the bundle."), "{said}");
    let first_line = |table: &str| table.lines().next().unwrap().to_owned();
    assert_eq!(first_line(&said), first_line(&MADE.table));

    let (mut first, mut second) = (unpack(&MADE.bytes), unpack(&fs::read(&path).unwrap()));
    for name in [
        "schedule.jsonl",
        "snapshots/0.json",
        "snapshots/1.json",
        "snapshots/2.json",
        "snapshots/3.json",
        "sources.jsonl",
    ] {
        assert_eq!(member(&mut first, name), member(&mut second, name), "{name}");
    }
    assert_ne!(member(&mut first, "trials.jsonl"), member(&mut second, "trials.jsonl"));
    let about: Value = serde_json::from_slice(member(&mut second, "experiment.json")).unwrap();
    assert_eq!(about["spec"]["repeats"]["experiment"], 1);
    assert_eq!(verify_file(&path).0, Some(0));
}

#[test]
fn a_rerun_on_another_dump_has_to_be_meant_and_its_tables_have_to_be_the_same() {
    let dir = scratch::dir();
    let other = dir.join("other.sql");
    fs::write(&other, DUMP.replace("b integer", "c integer")).unwrap();
    let output = rerun(&other, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = support::stderr(&output);
    assert!(
        said.contains("is not the dump that the bundle was measured on (dump.sql)"),
        "{said}"
    );

    let output = rerun(&other, &["--another-dump"]);
    assert_eq!(output.status.code(), Some(1));
    let said = support::stderr(&output);
    assert!(
        said.contains(
            "The planner statistics of the bundle cannot all be written: public.t.b: the dataset has no such"
        ),
        "{said}"
    );
}
