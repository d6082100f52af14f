//! Benchmarks from a program and from the command line, with a real server under load.

use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Stdio;

use futures_util::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::server::PATIENCE;
use crate::server::Server;
use crate::server::client;
use crate::server::data_dir;
use crate::support;

async fn post(server: &Server, address: &str, body: &Value) -> Value {
    let request = client()
        .build()
        .unwrap()
        .post(format!("{}{address}", server.url))
        .header("content-type", "application/json")
        .body(body.to_string());
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

async fn get(server: &Server, address: &str) -> Value {
    let answer = client()
        .build()
        .unwrap()
        .get(format!("{}{address}", server.url))
        .send()
        .await
        .unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_program_starts_a_benchmark_follows_it_by_websocket_and_reads_its_results() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("{}/ws", server.url.replace("http", "ws")))
        .await
        .unwrap();
    let wish = json!({
        "thread_counts": [1, 2], "table_rows": 1000, "test_duration": 1, "batch_size": 100, "warm_up": 0, "quick": true,
        "operation": "tpcb_like",
    });
    let configured = post(&server, "/api/benchmarks/configure", &wish).await;
    assert_eq!(
        (&configured["valid"], &configured["total_threads"]),
        (&json!(true), &json!(3))
    );
    let id = post(&server, "/api/benchmarks/start", &wish).await["id"].clone();

    let following = async {
        let mut n_running = 0;
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else {
                continue;
            };
            let update: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&update["type"], &update["benchmark_id"]),
                (&json!("benchmark_update"), &id)
            );
            match update["data"]["status"].as_str().unwrap() {
                "running" => n_running += 1,
                "pending" => {}
                _ => return (n_running, update["data"].clone()),
            }
        }
    };
    let (n_running, last) = tokio::time::timeout(PATIENCE, following).await.unwrap();
    assert!(n_running > 0, "it was seen while it ran");
    assert_eq!(
        (&last["status"], &last["progress"]),
        (&json!("completed"), &json!(100.0)),
        "{last}"
    );

    let results = get(&server, &format!("/api/benchmarks/{id}/results")).await;
    assert_eq!(last["results"], results);
    for (idx, n_clients) in [1, 2].into_iter().enumerate() {
        let level = &results[idx];
        let number = |name: &str| level[name].as_f64().unwrap();
        assert_eq!(
            (&level["thread_count"], &level["error_count"]),
            (&json!(n_clients), &json!(0)),
            "{level}"
        );
        assert!((0.9..2.0).contains(&number("duration_sec")), "{level}");
        let from_count = number("total_operations") / number("duration_sec");
        assert!(
            (number("throughput_ops_sec") - from_count).abs() < 1e-6 * from_count,
            "{level}"
        );
        assert!(
            number("avg_latency_ms") > 0.0 && number("p95_latency_ms") <= number("p99_latency_ms"),
            "{level}"
        );
    }
    let finished = get(&server, "/api/results").await;
    assert_eq!((&finished[0]["id"], &finished[0]["results"]), (&id, &results));
    assert_eq!(server.stop(), Some(0));
}

/// `pgassay bench` on small tables.
fn bench(data_dir: &Path, more: &[&str]) -> std::process::Command {
    let mut bench = support::pgassay(&["bench", "--table-rows", "1000", "--warm-up", "0", "--data-dir"]);
    bench.arg(data_dir).args(more);
    bench
}

#[test]
fn the_command_line_runs_programs_of_pgbench_and_says_by_its_code_how_it_ended() {
    let dir = data_dir();
    let (program, json) = (dir.path().join("read.sql"), dir.path().join("out.json"));
    std::fs::write(
        &program,
        "\\set aid random(1, 1000)\nselect abalance from pgbench_accounts where aid = :aid;\n",
    )
    .unwrap();
    let data = dir.path().join("data");
    let weighted = format!("{}@2", program.display());
    let quick = ["--quick", "--duration", "1s", "--threads", "1,2"];
    let missed = bench(&data, &quick)
        .args(["-f", &weighted, "--objective", "p95 < 0.0001 ms", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let (said, told) = (String::from_utf8_lossy(&missed.stdout), support::stderr(&missed));
    assert_eq!(missed.status.code(), Some(3), "{said}{told}");
    let heads: Vec<&str> = said.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads[..2], ["clients", "operations"], "{said}");
    assert!(
        said.contains("p95 < 0.0001 ms was not met") || said.contains("met by 0 of 2"),
        "{said}"
    );
    assert!(told.contains("level 2 of 2, 2 clients, second 1: "), "{told}");
    let export: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(export.to_string().contains("pgbench_accounts"), "the program is in it");

    let refused = bench(&data, &["--threads", "none"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(support::stderr(&refused).contains("--threads: "));

    let mut long = bench(&data, &["--threads", "1", "--duration", "1h"]);
    let mut child = long.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    told.find(|line| line.contains("second 1: "))
        .expect("a line for the first second");
    support::send(child.id(), Signal::SIGINT);
    assert!(told.any(|line| line.contains("what was measured is kept")));
    let stopped = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stopped.stdout);
    assert_eq!(stopped.status.code(), Some(4), "{said}");
    assert!(said.lines().count() >= 2, "the level as far as it came: {said}");
    assert_eq!(
        support::processes_of(&data),
        Vec::<String>::new(),
        "nothing is left running"
    );
}
