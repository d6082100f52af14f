//! The walk without JavaScript: plain links and forms, as curl would follow them.

mod results;

use std::collections::HashMap;

use reqwest::Client;
use reqwest::StatusCode;
use reqwest::multipart::Form;
use reqwest::multipart::Part;
use reqwest::redirect::Policy;

use crate::server::Server;
use crate::server::client;
use crate::server::data_dir;
use crate::server::repository;
use crate::server::wait_for;

/// A browser without JavaScript.
pub struct Plain {
    pub client: Client,
    pub url: String,
}

impl Plain {
    pub fn of(server: &Server) -> Self {
        Self {
            // No connection is kept: the server ends those that are idle, and a test that waits does not notice.
            client: client()
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

async fn what_a_source_would_change_is_shown_before_it_is_launched(plain: &Plain) {
    let form = plain.page("/experiment").await;
    let groups = form.find("Gathered by ANALYZE").zip(form.find("Missing, old or wrong"));
    assert!(groups.is_some_and(|(gathered, failing)| gathered < failing), "{form}");
    let wish = |kinds: &'static [&'static str]| {
        let mut wish = vec![
            ("dataset", "1"),
            ("workload", "1"),
            ("stats_source", "perturbed"),
            ("perturbed.kinds", ""),
        ];
        wish.extend(kinds.iter().map(|kind| ("perturbed.kinds", *kind)));
        wish
    };
    let (status, checked) = plain
        .post("/experiment/check", &wish(&["row_counts", "correlation"]))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        checked.contains("What perturbed (kinds correlation+row_counts) would make wrong: "),
        "{checked}"
    );
    assert!(
        checked.contains("<th scope=\"row\">public.orders</th><td>row count</td>"),
        "{checked}"
    );
    let (_, refused) = plain.post("/experiment/check", &wish(&[])).await;
    assert!(
        refused.contains("What is wrong takes one or more of n_distinct, "),
        "{refused}"
    );
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
        ("observer", "1"),
    ];
    let (status, checked) = plain.post("/experiment/check", &wish).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        checked.contains("With 5 rounds and 12 queries no difference can be shown"),
        "{checked}"
    );
    assert!(
        checked.contains("12 queries × (5 rounds × 3 ways + 1 warm-up) for what measuring costs"),
        "{checked}"
    );
    let (status, result) = plain.post("/experiment", &wish).await;
    assert_eq!((status, result.as_str()), (StatusCode::SEE_OTHER, "/results/1"));
    assert_eq!(
        plain.post("/experiment", &wish).await.1,
        "/results/1",
        "a double click launches once"
    );

    everything_wrong_is_said_at_its_field(&plain).await;
    a_bad_script_is_refused_at_its_field(&plain).await;

    let settled = wait_for("the experiment", async || {
        let page = plain.page("/results/1").await;
        page.contains("Times by query and source").then_some(page)
    })
    .await;
    results::numbers_are_the_same_everywhere(&plain, &settled).await;
    results::comparisons_follow_from_the_trials(&plain, &settled).await;
    results::plans_are_reached_by_links_and_forms(&plain, &settled).await;
    results::what_measuring_costs_is_told_and_its_readings_are_marked(&plain, &settled).await;
    what_a_source_would_change_is_shown_before_it_is_launched(&plain).await;
    for path in [
        "/results",
        "/results/1/queries/0",
        "/results/1?type=line&query=3",
        "/results/1?type=box&query=3&scale=log",
        "/results/1?type=cdf&query=3",
        "/results/1?type=scatter&base=1",
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
        "/results/99/plans",
        "/results/99/estimates",
        "/results/1/queries/0/plans/2",
        "/results/1/queries/99/plans/0",
        "/results/1/queries/0/plans/x/plan.json",
        "/results/1/queries/0/diff?from=0&to=2",
        "/nowhere",
        "/datasets/0",
    ] {
        assert_eq!(plain.get(nowhere).await.0, StatusCode::NOT_FOUND, "{nowhere}");
    }
    assert_eq!(server.stop(), Some(0));
}

/// A form that is refused comes back with all that was said in it.
async fn everything_wrong_is_said_at_its_field(plain: &Plain) {
    let (status, refused) = plain
        .post("/experiment", &[("request_id", "r4"), ("iterations", "0")])
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.contains("Choose a dataset.") && refused.contains("from 1 to 1000"));
    assert!(!refused.contains("Filled in like"), "{refused}");
    let wrong = [
        ("request_id", "r5"),
        ("like", "1"),
        ("stats_source", "random_targets"),
        ("random_targets.seed", "x"),
        ("random_targets.low", "0"),
        ("stats_source", "draws"),
        ("draws.k", "many"),
    ];
    let (status, refused) = plain.post("/experiment", &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["random_targets.seed", "random_targets.low", "draws.k"] {
        assert!(refused.contains(&format!("id=\"{field}-error\"")), "{field}: {refused}");
    }
    for link in refused.split("<li><a href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(
            refused.contains(&format!("id=\"{id}\"")),
            "a message leads to its field: {id}"
        );
    }
    assert!(
        refused.contains("Filled in like <a href=\"/results/1\">") && refused.contains("name=\"like\" value=\"1\""),
        "{refused}"
    );
}

async fn a_bad_script_is_refused_at_its_field(plain: &Plain) {
    let script = "set work_mem = '8MB';\ndrop table orders;";
    let wish = [
        ("request_id", "r5"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("stats_source", "custom_sql"),
        ("custom_sql.script", script),
    ];
    let (status, refused) = plain.post("/experiment", &wish).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.contains("id=\"custom_sql.script-error\">Line 2, drop table orders: "),
        "{refused}"
    );
    assert!(
        refused.contains("\ndrop table orders;</textarea>"),
        "what was typed is kept"
    );
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
