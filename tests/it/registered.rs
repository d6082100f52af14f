//! Registered servers from outside: what pages say, what commands say, and what is left on the server.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::server::Server;
use crate::server::data_dir;
use crate::server::wait_for;
use crate::support;
use crate::support::Cluster;

/// As it stands in addresses, and as a server knows it.
const IN_URL: &str = "load%20t%C3%B6ken";
const PASSWORD: &str = "load töken";

/// A server of somebody else, with a user who may make schemas in one database.
fn theirs() -> Cluster {
    let cluster = Cluster::with_passwords();
    cluster.ask(&format!("create role loader login password '{PASSWORD}'"));
    cluster.ask("create database load");
    cluster.ask("grant create on database load to loader");
    cluster
}

fn our_schemas(cluster: &Cluster) -> Vec<String> {
    cluster.ask_in("load", "select nspname from pg_namespace where nspname like 'pgassay%'")
}

struct Client {
    http: reqwest::Client,
    url: String,
    /// All that was ever said.
    said: String,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: server.url.clone(),
            said: String::new(),
        }
    }

    async fn take(&mut self, request: reqwest::RequestBuilder) -> (u16, String) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        self.said.push_str(&text);
        (status, text)
    }

    async fn get(&mut self, address: &str) -> String {
        let request = self.http.get(format!("{}{address}", self.url));
        self.take(request).await.1
    }

    async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> (u16, String) {
        let request = self.http.post(format!("{}{address}", self.url)).form(form);
        self.take(request).await
    }

    async fn start(&mut self, body: &Value) -> Value {
        let request = self
            .http
            .post(format!("{}/api/benchmarks/start", self.url))
            .header("content-type", "application/json")
            .body(body.to_string());
        serde_json::from_str(&self.take(request).await.1).unwrap()
    }

    async fn wait_for_end(&mut self, id: &Value) -> Value {
        wait_for("the end of the benchmark", async || {
            let benchmark: Value = serde_json::from_str(&self.get(&format!("/api/benchmarks/{id}")).await).unwrap();
            ["completed", "failed"]
                .contains(&benchmark["status"].as_str()?)
                .then_some(benchmark)
        })
        .await
    }
}

fn has_password(text: &str) -> bool {
    [PASSWORD, IN_URL].iter().any(|password| text.contains(password))
}

#[tokio::test]
async fn a_server_is_registered_tested_and_put_under_load_and_never_shows_its_password() {
    let theirs = theirs();
    let dir = data_dir();
    let server = Server::start(dir.path());
    let mut client = Client::of(&server);
    let address = theirs.url_of("loader", IN_URL, "load");

    let both = [("name", "theirs"), ("address", &*address), ("secret", "token")];
    let (status, page) = client.post("/servers", &both).await;
    assert_eq!(status, 422);
    assert!(page.contains("Give one of them"), "{page}");
    let (status, page) = client
        .post("/servers", &[("name", "theirs"), ("address", &address), ("secret", "")])
        .await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("loader") && page.contains("It was not tested"), "{page}");
    let (_, page) = client.post("/servers/1/test", &[]).await;
    for word in [
        "PostgreSQL 1",
        "without TLS",
        "Round trip",
        "May make a schema",
        "reached",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let (status, _) = client
        .post("/servers/1", &[("name", "ours"), ("address", ""), ("secret", "")])
        .await;
    assert_eq!(status, 200);
    assert!(client.get("/servers").await.contains("ours"));
    let form = client.get("/benchmarks/new?server=1").await;
    assert!(form.contains("<option value=\"1\" selected>ours</option>"), "{form}");

    let wish = json!({
        "server": "ours", "thread_counts": [2], "table_rows": 1000, "test_duration": 1, "warm_up": 0, "quick": true,
        "operation": "read_write",
    });
    let id = client.start(&wish).await["id"].clone();
    let benchmark = client.wait_for_end(&id).await;
    assert_eq!(benchmark["status"], "completed", "{benchmark}");
    assert_eq!(benchmark["target"], "1\u{2009}000 rows on ours");
    assert_eq!(our_schemas(&theirs), Vec::<String>::new());
    let page = client.get(&format!("/benchmarks/{id}")).await;
    assert!(page.contains("a server that somebody else runs"), "{page}");
    for part in ["export.json", "levels.csv", "report.html", "report.md"] {
        let file = client.get(&format!("/benchmarks/{id}/{part}")).await;
        assert!(file.len() > 100, "{part}: {file}");
    }
    let gone = json!({ "server": "nowhere", "thread_counts": [1] });
    assert!(
        client
            .start(&gone)
            .await
            .to_string()
            .contains("no registered server called nowhere")
    );
    let (status, _) = client.post("/servers/1/delete", &[]).await;
    assert_eq!(status, 200);
    assert!(client.get("/servers").await.contains("No server is registered"));
    assert!(!has_password(&client.said));
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn what_a_killed_pgassay_left_on_a_server_goes_at_its_next_start() {
    let theirs = theirs();
    let dir = data_dir();
    let serve = || {
        let mut serve = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        serve.arg(dir.path());
        serve
    };
    let server = Server::run(serve());
    let mut client = Client::of(&server);
    let address = theirs.url_of("loader", IN_URL, "load");
    client
        .post("/servers", &[("name", "theirs"), ("address", &address)])
        .await;
    let wish = json!({
        "server": "theirs", "thread_counts": [1], "table_rows": 1000, "test_duration": 3600, "warm_up": 0,
    });
    let id = client.start(&wish).await["id"].clone();
    wait_for("load", async || {
        let n = theirs.ask("select count(*) from pg_stat_activity where application_name like 'pgassay\\_%'");
        (n != ["0"]).then_some(())
    })
    .await;
    let left = our_schemas(&theirs);
    assert_eq!(left.len(), 1, "{left:?}");
    server.kill();
    assert_eq!(our_schemas(&theirs), left);

    let server = Server::run(serve());
    let mut client = Client::of(&server);
    wait_for("another schema in its place", async || {
        let now = our_schemas(&theirs);
        (!now.is_empty() && !now.contains(&left[0])).then_some(())
    })
    .await;
    client.post(&format!("/benchmarks/{id}/stop"), &[]).await;
    client.wait_for_end(&id).await;
    assert_eq!(our_schemas(&theirs), Vec::<String>::new());
    assert_eq!(server.stop(), Some(0));
}

/// A command with a secrets directory of its own.
fn command(words: &[&str], data: &Path) -> Command {
    let mut command = support::pgassay(words);
    command.arg("--data-dir").arg(data);
    command
}

#[test]
fn the_command_line_registers_tests_runs_and_forgets() {
    let theirs = theirs();
    let dir = data_dir();
    let data = dir.path().join("data");
    let mut add = command(
        &["server", "add", "theirs", "--address", "-", "--secret", "token"],
        &data,
    );
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let address = theirs.url_of("loader", "", "load").replace("loader:@", "loader@");
    writeln!(child.stdin.take().unwrap(), "{address}").unwrap();
    assert!(child.wait().unwrap().success());

    let test = || command(&["server", "test", "theirs"], &data).output().unwrap();
    let output = test();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        support::stderr(&output).contains("no secret token"),
        "{}",
        support::stderr(&output)
    );
    std::fs::write(data.join("secrets/token"), format!("{PASSWORD}\n")).unwrap();
    let output = test();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("round trip") && said.contains("PostgreSQL"),
        "{said}{}",
        support::stderr(&output)
    );
    let quick = [
        "--quick",
        "--duration",
        "1s",
        "--warm-up",
        "0",
        "--threads",
        "1",
        "--table-rows",
        "1000",
    ];
    let run = command(&["bench", "--server", "theirs"], &data)
        .args(quick)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{said}{}", support::stderr(&run));
    assert!(!has_password(&said) && !has_password(&support::stderr(&run)));
    assert_eq!(our_schemas(&theirs), Vec::<String>::new());
    assert!(
        command(&["server", "remove", "theirs"], &data)
            .status()
            .unwrap()
            .success()
    );
    let list = command(&["server", "list"], &data).output().unwrap();
    assert!(!String::from_utf8_lossy(&list.stdout).contains("theirs"));
}
