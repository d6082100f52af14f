//! What those see who watch over a pgassay: whether it can work, its numbers, its log.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http;
use crate::faults::http::Answer;
use crate::scratch;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

/// One series at one moment: its name with its labels, and its value, to whole numbers.
type Series = BTreeMap<String, u64>;

/// Reads what `/metrics` answers, and insists that it is `OpenMetrics` 1.0 and that names follow Prometheus' conventions.
fn read_strictly(text: &str) -> Series {
    let body = text.strip_suffix("# EOF\n").expect("it ends as it should");
    let (mut series, mut families) = (Series::new(), BTreeSet::new());
    let mut family: Option<(String, String)> = None;
    let (mut has_help, mut unit) = (false, None);
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (keyword, rest) = rest.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
            match keyword {
                "HELP" => {
                    assert!(families.insert(name.to_owned()), "{name} comes once");
                    assert!(said.ends_with('.') && said.len() > 10, "{line}");
                    (has_help, unit, family) = (true, None, Some((name.to_owned(), String::new())));
                }
                "TYPE" => {
                    assert!(has_help, "{line}");
                    let (known, kind) = family.as_mut().unwrap();
                    assert_eq!(known, name);
                    assert!(["counter", "gauge", "histogram", "info"].contains(&said), "{line}");
                    said.clone_into(kind);
                }
                "UNIT" => {
                    assert!(["seconds", "bytes"].contains(&said), "{line}: base units");
                    assert!(name.ends_with(&format!("_{said}")), "{line}");
                    unit = Some(said.to_owned());
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = key
            .split_once('{')
            .map_or((key, None), |(name, labels)| (name, Some(labels)));
        let (family, kind) = family.as_ref().unwrap();
        let suffix = name
            .strip_prefix(family.as_str())
            .unwrap_or_else(|| panic!("{line} is not of {family}"));
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            _ => &["_bucket", "_sum", "_count"],
        };
        assert!(suffixes.contains(&suffix), "{line}: a {kind}");
        assert!(name.starts_with("pgassay_"), "{line}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{line}"
        );
        let says_its_unit = ["_seconds", "_bytes"].iter().any(|unit| family.ends_with(unit));
        assert_eq!(says_its_unit, unit.is_some(), "{line}");
        for label in labels.into_iter().flat_map(read_labels) {
            assert!(label.0.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
        }
        let value: f64 = value.parse().unwrap();
        assert!(value >= 0.0, "{line}");
        let value: u64 = format!("{value:.0}").parse().unwrap();
        assert!(series.insert(key.to_owned(), value).is_none(), "{line} comes once");
    }
    assert!(!text.contains("\n\n"));
    for (key, count) in series.iter().filter(|(key, _)| key.contains("_duration_seconds_count")) {
        let all = key.replace("_count{", "_bucket{le=\"+Inf\",");
        assert_eq!(series.get(&all), Some(count), "{key}");
    }
    series
}

/// `a="b",c="d"}` as pairs.
fn read_labels(text: &str) -> Vec<(String, String)> {
    let mut rest = text.strip_suffix('}').unwrap();
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        let (value, behind) = value.split_once('"').unwrap();
        assert!(!value.contains('\\'));
        labels.push((name.to_owned(), value.to_owned()));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    labels
}

fn metrics(ground: &Ground) -> Series {
    let answer = http::get(ground.address(), "/metrics").unwrap();
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        answer.head
    );
    read_strictly(&answer.body)
}

#[test]
fn numbers_are_what_prometheus_reads_and_grow_with_what_is_done() {
    let mut ground = Ground::open();
    let before = metrics(&ground);
    let results = r#"pgassay_http_requests_total{route="/results/{id}",method="GET",status="4xx"}"#;
    for id in 1..=50 {
        assert_eq!(
            http::get(ground.address(), &format!("/results/{id}?n={id}"))
                .unwrap()
                .status,
            404
        );
        assert_eq!(
            http::get(ground.address(), &format!("/nothing/{id}")).unwrap().status,
            404
        );
    }
    let n_series = before.len();
    let after = metrics(&ground);
    assert_eq!(after[results], 50);
    assert_eq!(
        after[r#"pgassay_http_requests_total{route="none",method="GET",status="4xx"}"#],
        50
    );
    assert_eq!(
        after[r#"pgassay_http_request_duration_seconds_count{route="/results/{id}"}"#],
        50
    );
    // Three addresses more than before, itself included, whatever stood in them.
    assert!(after.len() - n_series <= 3 * 15, "{} from {n_series}", after.len());
    assert_eq!(after["pgassay_uploads_total{outcome=\"taken\"}"], 0);
    assert_eq!(after["pgassay_trials_stored_total"], 0);

    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries("select count(*) from item;\n");
    let experiment = ground.launch(&dataset, &workload, 1, 2);
    ground.wait_for_end("experiments", &experiment);
    let done = metrics(&ground);
    let is = |name: &str, value: u64| assert_eq!(done[name], value, "{name}");
    is("pgassay_store_up", 1);
    is("pgassay_uploads_total{outcome=\"taken\"}", 1);
    is("pgassay_upload_received_bytes_total", QUICK_DUMP.len() as u64);
    is("pgassay_trials_stored_total", 9);
    is(r#"pgassay_jobs{kind="experiment",status="completed"}"#, 1);
    is(r#"pgassay_jobs{kind="restore",status="completed"}"#, 1);
    is(r#"pgassay_jobs{kind="benchmark",status="running"}"#, 0);
    is("pgassay_queue_oldest_wait_seconds", 0);
    let sandboxes = |state: &str| done[&format!("pgassay_sandboxes{{state=\"{state}\"}}")];
    assert_eq!(sandboxes("running") + sandboxes("stopped"), 1);
    assert!(done["pgassay_disk_free_bytes"] > 0);
    let version = format!("pgassay_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    is(&version, 1);
    // Counters never fall.
    for (name, value) in after.iter().filter(|(name, _)| name.contains("_total")) {
        assert!(done[name] >= *value, "{name}");
    }
    ground.close();
}

fn readiness(ground: &Ground) -> Answer {
    http::get(ground.address(), "/readyz").unwrap()
}

#[test]
fn readiness_names_what_is_missing_and_what_to_do() {
    let mut cluster = Cluster::start();
    // A directory of programs that can go missing.
    let bindir = scratch::dir().join("bin");
    fs::create_dir(&bindir).unwrap();
    let real = PathBuf::from(support::tool("postgres").get_program());
    for program in fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        symlink(program.path(), bindir.join(program.file_name())).unwrap();
    }
    let environment = [
        ("DATABASE_URL".to_owned(), cluster.socket_url()),
        ("PGASSAY_PG_BINDIR".to_owned(), bindir.to_str().unwrap().to_owned()),
    ];
    let ground = Ground::with_environment(&cluster, environment.into());
    let ready = readiness(&ground);
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "store: ok\nsandboxes: ok\ndisk: ok\n")
    );

    fs::remove_file(bindir.join("postgres")).unwrap();
    let not_ready = readiness(&ground);
    assert_eq!(not_ready.status, 503);
    assert!(
        not_ready.body.contains("sandboxes: ")
            && not_ready
                .body
                .contains("is not there any more. Install PostgreSQL again"),
        "{not_ready:?}"
    );
    symlink(&real, bindir.join("postgres")).unwrap();
    assert_eq!(readiness(&ground).status, 200);

    cluster.stop();
    let not_ready = readiness(&ground);
    assert_eq!(not_ready.status, 503);
    assert!(
        not_ready.body.contains("store: The store does not answer.") && not_ready.body.contains("\nsandboxes: ok\n"),
        "{not_ready:?}"
    );
    assert_eq!(http::get(ground.address(), "/healthz").unwrap().status, 200);
    // The numbers that are here are told all the same.
    let numbers = metrics(&ground);
    assert_eq!(numbers["pgassay_store_up"], 0);
    assert!(numbers.contains_key("pgassay_disk_free_bytes") && !numbers.contains_key("pgassay_trials_stored_total"));
    cluster.start_again();
    wait_for("the store to be back", || {
        (readiness(&ground).status == 200).then_some(())
    });
    ground.close();
}

#[test]
fn a_disk_that_is_low_is_told_to_people_and_to_programs() {
    let ground = Ground::open_with(&[("PGASSAY_DISK_RESERVE_BYTES", "1000000000000000")], |_| {});
    let low = readiness(&ground);
    assert_eq!(low.status, 503);
    assert!(
        low.body
            .starts_with("store: ok\nsandboxes: ok\ndisk: Nothing is taken in or run."),
        "{low:?}"
    );
    assert!(low.body.contains("PGASSAY_DISK_RESERVE_BYTES"), "{low:?}");
    let low = http::get_with(ground.address(), "/readyz", &[("Accept", "application/json")]).unwrap();
    assert_eq!(low.status, 503);
    let body: Value = serde_json::from_str(&low.body).unwrap();
    assert_eq!(body["is_ready"], false);
    let checks = body["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["store", "sandboxes", "disk"]);
    assert_eq!(
        (&checks[0]["is_ok"], &checks[2]["is_ok"]),
        (&true.into(), &false.into())
    );
    assert!(checks[0]["message"].is_null() && checks[2]["message"].is_string());
    ground.close();
}

/// The number by which an answer says which request it is of.
fn request_id(answer: &Answer) -> &str {
    answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "))
        .unwrap()
}

#[test]
fn a_log_for_programs_has_an_object_on_each_line_and_says_which_request_failed() {
    let cluster = Cluster::start();
    let environment = [
        ("DATABASE_URL".to_owned(), cluster.socket_url()),
        ("PGASSAY_LOG_FORMAT".to_owned(), "json".to_owned()),
        ("PGASSAY_LOG_REQUESTS".to_owned(), "true".to_owned()),
    ];
    let ground = Ground::with_environment(&cluster, environment.into());
    let found = http::get(ground.address(), "/results?tag=a-word-of-a-person").unwrap();
    assert_eq!(found.status, 200);
    cluster.ask("alter table experiments rename to gone");
    let failed = http::get(ground.address(), "/results/1").unwrap();
    cluster.ask("alter table gone rename to experiments");
    assert_eq!(failed.status, 500);
    let id = request_id(&failed).to_owned();
    assert!(failed.body.contains(&id), "the page shows the number: {}", failed.body);
    assert_ne!(id, request_id(&found));

    let lines = wait_for("the line of the request", || {
        let lines = ground.serve().log();
        lines
            .iter()
            .any(|line| line.contains(&id) && line.contains("http.status"))
            .then_some(lines)
    });
    let events: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for event in &events {
        for field in ["timestamp", "level", "message"] {
            assert!(event[field].is_string(), "{event}");
        }
    }
    let of_request: Vec<&Value> = events
        .iter()
        .filter(|event| event["span"]["request.id"] == id.as_str())
        .collect();
    let failure = of_request.iter().find(|event| event["level"] == "ERROR").unwrap();
    assert!(
        failure["message"].as_str().unwrap().contains("experiments"),
        "{failure}"
    );
    let access = of_request.iter().find(|event| event["http.status"] == 500).unwrap();
    assert_eq!(
        (&access["http.method"], &access["http.path"]),
        (&"GET".into(), &"/results/1".into())
    );
    assert!(access["duration_ms"].is_number());
    // What people look for is theirs.
    assert!(!lines.iter().any(|line| line.contains("a-word-of-a-person")));
    ground.close();
}

#[test]
fn a_log_for_people_says_nothing_of_requests_that_went_well() {
    let ground = Ground::open();
    let answer = http::get(ground.address(), "/results").unwrap();
    let id = request_id(&answer).to_owned();
    assert_eq!(id.len(), 16);
    assert!(!ground.serve().log().iter().any(|line| line.contains(&id)));
    ground.close();
}
