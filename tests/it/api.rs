//! The whole main job by a program: dump and queries in, experiment, numbers out, and not one page read.

use reqwest::Client;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::pages::Plain;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::repository;
use crate::server::wait_for;

/// A program that knows the API and nothing else.
struct Program {
    client: Client,
    url: String,
}

impl Program {
    async fn send(&self, method: Method, address: &str, key: Option<&str>, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{address}", self.url));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            let kind = "application/json";
            request = request.header(header::CONTENT_TYPE, kind).body(body.to_string());
        }
        request.send().await.unwrap()
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
        let answer = request.header(header::ACCEPT, accept).send().await.unwrap();
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

/// The number at the end of an address.
fn id(address: &str) -> i64 {
    let number = address.split('?').next().unwrap().rsplit('/').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{address}"))
}

#[tokio::test]
async fn a_program_asks_which_statistics_matter_and_reads_the_numbers_that_the_export_has() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let plain = Plain::of(&server);
    let program = Program {
        client: plain.client.clone(),
        url: server.url.clone(),
    };
    let sample = |name: &str| std::fs::read(repository(&format!("samples/{name}"))).unwrap();
    let (_, dataset) = plain
        .upload("/upload/dump", "dump", "dump.sql", sample("dump.sql"))
        .await;
    let (_, workload) = plain
        .upload("/upload/queries", "queries", "queries.sql", sample("queries.sql"))
        .await;
    assert_eq!((dataset.as_str(), workload.as_str()), ("/datasets/1", "/workloads/1"));

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
    let export: Value = serde_json::from_str(&plain.page(&format!("/results/{id}/export.json")).await).unwrap();
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

    the_trials_are_those_of_the_export(&program, &plain, &address, &export).await;
    another_run_is_like_the_first_and_can_be_stopped(&program, &address, &shown).await;
    assert_eq!(server.stop(), Some(0));
}

async fn the_trials_are_those_of_the_export(program: &Program, plain: &Plain, address: &str, export: &Value) {
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
    let whole = plain.page(&format!("/results/{}/trials.csv", id(address))).await;
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
