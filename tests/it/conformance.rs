//! Whether the API does what its document says: schemathesis makes requests of the document, such as it allows and such as it
//! does not, one by one and in rows that go from one answer to the next request, and looks at every answer. How, and what is
//! left out, says conformance.toml.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::accounts;
use crate::accounts::Person;
use crate::server;
use crate::server::Server;
use crate::server::repository;
use crate::support;

const DUMP: &str = "create table orders (id integer primary key, customer integer, total numeric);
                    insert into orders select g, g % 10, g from generate_series(1, 1000) g;";
const SCRIPT: &str =
    "-- name: of one customer\nselect sum(total) from orders where customer = 3;\nselect count(*) from orders;";

/// Everybody may make an account.
const OPEN: &str = "insert into settings values ('registration', '\"open\"')";
/// What is started from now on waits: a thousand jobs would measure for days, and what they load would fill the disk.
const NOTHING_RUNS: &str =
    "update users set quotas = '{\"running_jobs\": {\"most\": 0}, \"waiting_jobs\": \"unlimited\",
    \"datasets\": \"unlimited\", \"storage_bytes\": \"unlimited\"}'";
/// Limits count and refuse nobody, or else the answer to nearly everything were that it is asked too often.
const NO_LIMITS: &str = "create function let_through() returns trigger language plpgsql as $$
    begin new.is_allowed := true; new.busy_until := new.taken_at; return new; end $$;
    create trigger let_through before insert or update on rate_limits for each row execute function let_through()";

/// A program with a token.
struct Program<'a> {
    server: &'a Server,
    client: reqwest::Client,
    token: String,
}

impl Program<'_> {
    async fn post(&self, path: &str, kind: &str, body: String) {
        let request = self.client.post(format!("{}{path}", self.server.url));
        let request = request.bearer_auth(&self.token).header(header::CONTENT_TYPE, kind);
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
    }

    /// Waits until what is there is completed.
    async fn completed(&self, path: &str) {
        server::wait_for(path, async || {
            let request = self.client.get(format!("{}{path}", self.server.url));
            let answer = request.bearer_auth(&self.token).send().await.unwrap();
            let shown: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert!(shown["status"] != "failed", "{shown}");
            (shown["status"] == "completed").then_some(())
        })
        .await;
    }
}

/// One of what there can be of each: `/api/datasets/1`, `/api/workloads/1`, `/api/experiments/1`.
async fn furnish(program: &Program<'_>) {
    let dump = "/api/datasets?name=Shop&file_name=shop.sql";
    program.post(dump, "application/octet-stream", DUMP.to_owned()).await;
    program
        .post("/api/workloads", "application/sql", SCRIPT.to_owned())
        .await;
    program.completed("/api/datasets/1").await;
    let wish = json!({ "dataset": 1, "workload": 1, "iterations": 2, "stats_source": ["built_in", "none"] });
    program
        .post("/api/experiments", "application/json", wish.to_string())
        .await;
    program.completed("/api/experiments/1").await;
}

/// Lets schemathesis try a server. Returns what it says, if it has found nothing.
fn tried(server: &Server, token: &str, work_dir: &Path) -> String {
    let programs = repository("tests/servers/schemathesis");
    assert!(
        programs.exists(),
        "there is no {}; .ci/setup --test brings it",
        programs.display()
    );
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(repository("tests/it/conformance.toml"))
        .args(["run", "--no-color", "--header"])
        .arg(format!("Authorization: Bearer {token}"))
        .arg(format!("{}/api/openapi.json", server.url))
        .env("PYTHONPATH", programs)
        .current_dir(work_dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", support::stderr(&output));
    said
}

#[tokio::test]
async fn the_api_does_what_its_document_says() {
    let dir = server::data_dir();
    let server = accounts::start(dir.path());
    let mut ada = Person::first(&server).await;
    let program = Program {
        server: &server,
        client: server::client().pool_max_idle_per_host(0).build().unwrap(),
        token: ada.make_token("schemathesis", "write", "1").await,
    };
    furnish(&program).await;
    for sql in [OPEN, NOTHING_RUNS, NO_LIMITS] {
        support::ask_store(dir.path(), sql).unwrap_or_else(|| panic!("{sql}"));
    }

    let work_dir = tempfile::tempdir().unwrap();
    eprintln!("{}", tried(&server, &program.token, work_dir.path()));
    // It had something to do: requests went through, and made what they are for.
    for table in ["users", "datasets", "workloads", "experiments", "benchmarks"] {
        let n_made = support::ask_store(dir.path(), &format!("select count(*) > 1 from {table}"));
        assert_eq!(n_made.as_deref(), Some("t"), "{table}");
    }
    assert_eq!(server.stop(), Some(0));
}
