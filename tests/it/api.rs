//! The whole main job by a program that has a token: dump and queries in, experiment, numbers out. Pages are read by somebody who
//! is signed in, and only to compare.

use std::time::Duration;

use reqwest::Client;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;

use crate::accounts;
use crate::accounts::Person;
use crate::server;
use crate::server::data_dir;
use crate::server::repository;
use crate::server::wait_for;

/// Of the sample, which has nearly four of them.
const PART_BYTES: usize = 1 << 20;

/// A program that knows the API and nothing else.
struct Program {
    client: Client,
    url: String,
    token: String,
}

impl Program {
    fn new(url: &str, token: String) -> Self {
        Self {
            // No connection is kept: the server ends those that are idle, and a test that waits does not notice.
            client: server::client().pool_max_idle_per_host(0).build().unwrap(),
            url: url.to_owned(),
            token,
        }
    }

    /// Sends a request; one that comes too often, again as soon as it may.
    async fn patiently(&self, request: RequestBuilder) -> Response {
        let request = request.bearer_auth(&self.token);
        loop {
            let answer = request
                .try_clone()
                .expect("the body is no stream")
                .send()
                .await
                .unwrap();
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                return answer;
            }
            let wait_s = answer.headers()[header::RETRY_AFTER].to_str().unwrap();
            tokio::time::sleep(Duration::from_secs(wait_s.parse().unwrap())).await;
        }
    }

    /// Uploads a file as it is. Returns where it is then.
    async fn upload(&self, address: &str, kind: &str, bytes: Vec<u8>) -> String {
        let request = self.client.post(format!("{}{address}", self.url));
        let answer = self
            .patiently(request.header(header::CONTENT_TYPE, kind).body(bytes))
            .await;
        let location = answer.headers().get(header::LOCATION).cloned();
        read(answer, StatusCode::CREATED).await;
        location.unwrap().to_str().unwrap().to_owned()
    }

    /// Uploads a file part by part, and goes on where it was when the connection was lost. Returns where it is then.
    async fn upload_in_parts(&self, address: &str, query: &str, bytes: &[u8]) -> String {
        let total = bytes.len();
        let part = async |first: usize, end: usize| {
            let request = self.client.put(format!("{}{address}{query}", self.url));
            let range = format!("bytes {first}-{}/{total}", end - 1);
            let request = request.header(header::CONTENT_RANGE, range);
            let kind = "application/octet-stream";
            let body = bytes[first..end].to_vec();
            self.patiently(request.header(header::CONTENT_TYPE, kind).body(body))
                .await
        };
        let begun = read(part(0, PART_BYTES).await, StatusCode::ACCEPTED).await;
        assert_eq!(
            (&begun["received_bytes"], &begun["dataset"]),
            (&json!(PART_BYTES), &Value::Null)
        );
        let beyond = part(2 * PART_BYTES, total).await;
        assert_eq!(
            beyond.headers()["upload-offset"],
            PART_BYTES.to_string().as_str(),
            "where to go on"
        );
        read(beyond, StatusCode::RANGE_NOT_SATISFIABLE).await;
        // Nobody knows how much of a part arrived whose answer was lost, and what is sent twice is there once.
        read(part(PART_BYTES / 2, 2 * PART_BYTES).await, StatusCode::ACCEPTED).await;
        let there = self.get(address).await;
        assert_eq!(there["received_bytes"], 2 * PART_BYTES);
        let last = part(2 * PART_BYTES, total).await;
        let location = last.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let whole = read(last, StatusCode::CREATED).await;
        assert_eq!(
            (&whole["received_bytes"], &whole["dataset"]),
            (&json!(total), &json!(id(&location)))
        );
        location
    }

    async fn send(&self, method: Method, address: &str, key: Option<&str>, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{address}", self.url));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            let kind = "application/json";
            request = request.header(header::CONTENT_TYPE, kind).body(body.to_string());
        }
        self.patiently(request).await
    }

    async fn get(&self, address: &str) -> Value {
        let answer = self.send(Method::GET, address, None, None).await;
        read(answer, StatusCode::OK).await
    }

    async fn post(&self, address: &str, body: &Value) -> Value {
        let answer = self.send(Method::POST, address, None, Some(body)).await;
        read(answer, StatusCode::OK).await
    }

    async fn text(&self, address: &str, accept: &str) -> String {
        let request = self.client.get(format!("{}{address}", self.url));
        let answer = self.patiently(request.header(header::ACCEPT, accept)).await;
        assert_eq!(
            answer.headers()[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .split(';')
                .next(),
            Some(accept)
        );
        answer.text().await.unwrap()
    }

    /// Waits until an experiment has settled.
    async fn settled(&self, address: &str) -> Value {
        let mut n_recorded = 0;
        wait_for("the experiment", async || {
            let shown = self.get(address).await;
            let n_now = shown["n_recorded"].as_u64().unwrap();
            assert!(n_now >= n_recorded, "trials never get fewer");
            n_recorded = n_now;
            shown["progress"].is_null().then_some(shown)
        })
        .await
    }
}

async fn read(answer: Response, status: StatusCode) -> Value {
    let found = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What somebody sees who is signed in.
async fn page(person: &mut Person<'_>, path: &str) -> String {
    let answer = person.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.text
}

/// The number at the end of an address.
fn id(address: &str) -> i64 {
    let number = address.split('?').next().unwrap().rsplit('/').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{address}"))
}

#[tokio::test]
async fn a_program_asks_which_statistics_matter_and_reads_the_numbers_that_the_export_has() {
    let dir = data_dir();
    let server = accounts::start(dir.path());
    let mut ada = Person::first(&server).await;
    let program = Program::new(&server.url, ada.make_token("the main job", "write", "1").await);
    let sample = |name: &str| std::fs::read(repository(&format!("samples/{name}"))).unwrap();
    let (upload, names) = ("/api/datasets/uploads/shop", "?name=Shop&file_name=dump.sql");
    let dump = sample("dump.sql");
    let dataset = program.upload_in_parts(upload, names, &dump).await;
    let digest = hex::encode(Sha256::digest(&dump));
    let script = "/api/workloads?name=Questions&file_name=queries.sql";
    let workload = program.upload(script, "application/sql", sample("queries.sql")).await;
    let restored = wait_for("the restore", async || {
        let shown = program.get(&dataset).await;
        (shown["status"] != "pending" && shown["status"] != "running").then_some(shown)
    })
    .await;
    assert_eq!(
        (&restored["state"], &restored["table_count"], &restored["sha256"]),
        (&json!("ready"), &json!(10), &json!(digest)),
        "{restored}"
    );

    let offers = program.get("/api/sources").await;
    let names: Vec<&str> = offers
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"built_in") && names.contains(&"uniform_target"),
        "{names:?}"
    );
    let wish = json!({
        "dataset": id(&dataset), "workload": id(&workload), "queries": [0, 1, 2],
        "stats_source": ["built_in", "none", { "name": "uniform_target", "params": { "target": 1 } }],
        "iterations": 3, "warm_up": 1, "seed": 42, "timeout_ms": 20_000,
    });
    let checked = program.post("/api/experiments/check", &wish).await;
    assert_eq!(checked["n_trials"], 3 * 3 * 4, "{checked}");
    let created = program
        .send(Method::POST, "/api/experiments", Some("mine"), Some(&wish))
        .await;
    let address = created.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let created = read(created, StatusCode::CREATED).await;
    // As after an answer that was lost.
    let again = program
        .send(
            Method::POST,
            "/api/experiments",
            Some("mine"),
            Some(&checked["configuration"]),
        )
        .await;
    assert_eq!(again.headers()[header::LOCATION], address.as_str());
    assert_eq!(read(again, StatusCode::CREATED).await["id"], created["id"]);

    let shown = program.settled(&address).await;
    assert_eq!(
        (&shown["status"], &shown["n_recorded"]),
        (&json!("completed"), &json!(36)),
        "{shown}"
    );
    let id = &created["id"];
    let export: Value = serde_json::from_str(&page(&mut ada, &format!("/results/{id}/export.json")).await).unwrap();
    for name in ["sources", "queries", "summaries", "baseline", "comparisons"] {
        assert_eq!(shown[name], export[name], "{name}");
    }
    for name in ["spec", "headline", "environment"] {
        assert_eq!(shown[name], export["experiment"][name], "{name}");
    }
    assert_eq!(shown["summaries"].as_array().unwrap().len(), 9);
    assert_eq!(shown["comparisons"].as_array().unwrap().len(), 6);
    for summary in shown["summaries"].as_array().unwrap() {
        assert_eq!(summary["n"], 3, "{summary}");
        assert!(summary["median_ms"].as_f64().unwrap() > 0.0, "{summary}");
    }

    the_trials_are_those_of_the_export(&program, &mut ada, &address, &export).await;
    another_run_is_like_the_first_and_can_be_stopped(&program, &address, &shown).await;
    assert_eq!(server.stop(), Some(0));
}

async fn the_trials_are_those_of_the_export(program: &Program, ada: &mut Person<'_>, address: &str, export: &Value) {
    let trials = program.text(&format!("{address}/trials"), "application/jsonl").await;
    let mut measured = Vec::new();
    for line in trials.lines() {
        let mut trial: Value = serde_json::from_str(line).unwrap();
        let kind = trial.as_object_mut().unwrap().remove("kind").unwrap();
        if kind == "measured" {
            measured.push(trial);
        }
    }
    assert_eq!((measured.len(), trials.lines().count()), (27, 36));
    assert_eq!(json!(measured), export["trials"]);
    let rows = program.text(&format!("{address}/trials?after=30"), "text/csv").await;
    let whole = page(ada, &format!("/results/{}/trials.csv", id(address))).await;
    assert_eq!(
        rows.lines().skip(1).collect::<Vec<_>>(),
        whole.lines().skip(31).collect::<Vec<_>>()
    );
}

/// `shown` is the first, which has settled.
async fn another_run_is_like_the_first_and_can_be_stopped(program: &Program, address: &str, shown: &Value) {
    let rerun = program
        .send(Method::POST, &format!("{address}/rerun"), None, None)
        .await;
    let rerun = read(rerun, StatusCode::CREATED).await;
    let cancel = format!("/api/experiments/{}/cancel", rerun["id"]);
    let cancelled = program.send(Method::POST, &cancel, None, None).await;
    assert_eq!(read(cancelled, StatusCode::OK).await["cancel_requested"], true);
    let settled = program.settled(&format!("/api/experiments/{}", rerun["id"])).await;
    assert_eq!(
        (&settled["status"], &settled["spec"]),
        (&json!("cancelled"), &shown["spec"])
    );
    let late = program
        .send(Method::POST, &format!("{address}/cancel"), None, None)
        .await;
    read(late, StatusCode::CONFLICT).await;
    let listed = program.get("/api/experiments").await;
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&rerun["id"], &shown["id"]]);
}
