//! The walk without JavaScript: plain links and forms, as curl would follow them.

use std::collections::HashMap;

use reqwest::Client;
use reqwest::StatusCode;
use reqwest::multipart::Form;
use reqwest::multipart::Part;
use reqwest::redirect::Policy;

use crate::scratch;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::repository;
use crate::server::wait_for;
use crate::support;

/// A browser without JavaScript.
pub struct Plain {
    pub client: Client,
    pub url: String,
}

impl Plain {
    pub fn of(server: &Server) -> Self {
        Self {
            // No connection is kept: the server ends those that are idle, and a test that waits does not notice.
            client: Client::builder()
                .redirect(Policy::none())
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            url: server.url.clone(),
        }
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub async fn page(&self, path: &str) -> String {
        let (status, text) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    /// Posts a form and returns where it leads.
    pub async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> (StatusCode, String) {
        let answer = self
            .client
            .post(format!("{}{path}", self.url))
            .form(pairs)
            .send()
            .await
            .unwrap();
        read(answer).await
    }

    pub async fn upload(&self, path: &str, request_id: &str, name: &str, bytes: Vec<u8>) -> (StatusCode, String) {
        let part = Part::bytes(bytes).file_name(name.to_owned());
        let form = Form::new()
            .text("request_id", request_id.to_owned())
            .text("name", "")
            .part("file", part);
        let answer = self
            .client
            .post(format!("{}{path}", self.url))
            .multipart(form)
            .send()
            .await
            .unwrap();
        read(answer).await
    }
}

/// The status with the place that an answer leads to, else its text.
async fn read(answer: reqwest::Response) -> (StatusCode, String) {
    let status = answer.status();
    let location = answer
        .headers()
        .get("location")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, location.unwrap_or(answer.text().await.unwrap()))
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(repository(&format!("samples/{name}"))).unwrap()
}

/// The rows of a CSV file by their column names.
fn csv(text: &str) -> Vec<HashMap<String, String>> {
    let mut lines = text.lines();
    let heads: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        heads
            .iter()
            .map(|head| (*head).to_owned())
            .zip(line.split(',').map(str::to_owned))
            .collect()
    };
    lines.map(row).collect()
}

#[tokio::test]
async fn the_main_job_is_done_by_plain_links_and_forms() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let plain = Plain::of(&server);
    assert!(plain.page("/").await.contains("pgassay"));

    let (status, dataset) = plain.upload("/upload/dump", "r1", "dump.sql", sample("dump.sql")).await;
    assert_eq!((status, dataset.as_str()), (StatusCode::SEE_OTHER, "/datasets/1"));
    let again = plain.upload("/upload/dump", "r1", "dump.sql", sample("dump.sql")).await;
    assert_eq!(again.1, "/datasets/1", "the same form sent twice makes one dataset");
    let (status, workload) = plain
        .upload("/upload/queries", "r2", "queries.sql", sample("queries.sql"))
        .await;
    assert_eq!((status, workload.as_str()), (StatusCode::SEE_OTHER, "/workloads/1"));
    wait_for("the restore", async || {
        plain.page("/datasets/1").await.contains("order_line").then_some(())
    })
    .await;

    let wish = [
        ("request_id", "r3"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("stats_source", "random_targets"),
        ("random_targets.seed", "7"),
        ("iterations", "5"),
    ];
    let (status, checked) = plain.post("/experiment/check", &wish).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        checked.contains("With 5 rounds and 12 queries no difference can be shown"),
        "{checked}"
    );
    let (status, result) = plain.post("/experiment", &wish).await;
    assert_eq!((status, result.as_str()), (StatusCode::SEE_OTHER, "/results/1"));
    assert_eq!(
        plain.post("/experiment", &wish).await.1,
        "/results/1",
        "a double click launches once"
    );

    let (status, refused) = plain
        .post("/experiment", &[("request_id", "r4"), ("iterations", "0")])
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.contains("Choose a dataset.") && refused.contains("from 1 to 1000"));

    let settled = wait_for("the experiment", async || {
        let page = plain.page("/results/1").await;
        page.contains("Times by query and source").then_some(page)
    })
    .await;
    numbers_are_the_same_everywhere(&plain, &settled).await;
    for path in [
        "/results",
        "/results/1/queries/0",
        "/results/1?type=line&query=3",
        "/experiment",
        "/upload",
        "/datasets",
        "/workloads/1",
    ] {
        plain.page(path).await;
    }
    assert_eq!(
        plain.get("/experiment/status/1").await.0,
        StatusCode::SEE_OTHER,
        "a fragment leads to its page"
    );
    for nowhere in [
        "/results/99",
        "/results/x",
        "/results/1/queries/99",
        "/results/1/export.xls",
        "/nowhere",
        "/datasets/0",
    ] {
        assert_eq!(plain.get(nowhere).await.0, StatusCode::NOT_FOUND, "{nowhere}");
    }
    assert_eq!(server.stop(), Some(0));
}

/// The table, the CSV and the JSON hold the same numbers, and they follow from the stored trials.
async fn numbers_are_the_same_everywhere(plain: &Plain, page: &str) {
    let json: serde_json::Value = serde_json::from_str(&plain.page("/results/1/export.json").await).unwrap();
    let summaries = csv(&plain.page("/results/1/export.csv").await);
    let trials = json["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 2 * 12 * 5);
    assert_eq!(summaries.len(), 2 * 12);
    for (row, summary) in summaries.iter().zip(json["summaries"].as_array().unwrap()) {
        assert_eq!(summary["query"], row["query"].as_str());
        let sample: Vec<f64> = trials
            .iter()
            .filter(|trial| trial["query"] == summary["query"] && trial["source"] == summary["source"])
            .map(|trial| trial["execution_ms"].as_f64().unwrap())
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "five trials")]
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        let variance = sample.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / (n - 1.0);
        for (name, expected) in [("mean_ms", mean), ("stddev_ms", variance.sqrt())] {
            let stored = summary[name].as_f64().unwrap();
            assert!(
                (stored - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                "{name}: {stored} {expected}"
            );
            assert_eq!(row[name].parse::<f64>().unwrap().to_bits(), stored.to_bits());
            assert!(
                page.contains(&format!("<data value=\"{stored}\"")),
                "{name} {stored} stands in the table"
            );
        }
    }
    let picture = plain
        .client
        .get(format!("{}/results/1/chart.png?theme=dark&dpr=2", plain.url))
        .send()
        .await
        .unwrap();
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert!(
        picture.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let etag = picture.headers()["etag"].clone();
    let again = plain
        .client
        .get(format!("{}/results/1/chart.png?theme=dark&dpr=2", plain.url))
        .header("if-none-match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    the_bundle_verifies(plain, page).await;
}

async fn the_bundle_verifies(plain: &Plain, page: &str) {
    assert!(page.contains("href=\"/results/1/bundle.zip\""));
    let address = format!("{}/results/1/bundle.zip", plain.url);
    let bundle = plain.client.get(&address).send().await.unwrap();
    assert_eq!(bundle.headers()["content-type"], "application/zip");
    let name = bundle.headers()["content-disposition"].to_str().unwrap();
    assert!(name.ends_with("_bundle.zip\""), "{name}");
    let etag = bundle.headers()["etag"].clone();
    let path = scratch::dir().join("bundle.zip");
    std::fs::write(&path, bundle.bytes().await.unwrap()).unwrap();
    let verified = support::pgassay(&["verify"]).arg(&path).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", support::stderr(&verified));
    let again = plain.client.get(&address).header("if-none-match", etag).send().await;
    assert_eq!(again.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn other_sites_get_nothing() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let plain = Plain::of(&server);
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let address = format!("{}/experiment", server.url);
        let answer = plain.client.post(address).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let rebound = plain
        .client
        .get(&server.url)
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    let answer = plain.client.get(&server.url).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    let page = answer.text().await.unwrap();
    assert!(
        !page.contains(" style=") && !page.contains("<style") && !page.contains("onclick"),
        "nothing inline"
    );
}
