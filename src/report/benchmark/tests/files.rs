//! Files hold the numbers of the tables.

use std::collections::HashMap;

use super::usual;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::export;
use crate::report::benchmark::levels;

fn written(data: &BenchmarkData, name: &str) -> String {
    let bytes = export::find(name).unwrap().write(data, &Percentiles::default());
    String::from_utf8(bytes.unwrap()).unwrap()
}

/// The rows of a CSV file by the heads of its columns.
fn rows(text: &str) -> Vec<HashMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn comma_separated_values_have_units_in_their_heads_and_every_digit() {
    let data = usual().await;
    let text = written(&data, "levels.csv");
    assert_eq!(
        text.lines().next().unwrap(),
        "level,n_clients,source,attempt,status,started_at,measured_ms,n_transactions,throughput_per_s,\
         throughput_low_per_s,throughput_high_per_s,mean_ms,stddev_ms,min_ms,p50_ms,p95_ms,p99_ms,p99.9_ms,max_ms,n_failed,\
         failed_share,n_retries,n_skipped,skipped_share,n_unfinished,lag_mean_ms,lag_max_ms,connect_mean_ms,connect_max_ms,\
         n_reconnects,generator_load,is_generator_limited,is_objective_met,buffer_hit_share,wal_bytes_per_s,\
         server_cpu_cores,remarks"
    );
    let levels = rows(&text);
    for (head, cells) in [
        ("level", ["1", "2"]),
        ("n_clients", ["2", "4"]),
        ("attempt", ["2", "1"]),
        ("n_transactions", ["1200", "2400"]),
        ("throughput_per_s", ["100", "200"]),
        ("p95_ms", ["0.001095", "0.001595"]),
        ("n_failed", ["12", "0"]),
        ("lag_mean_ms", ["", ""]),
        ("connect_max_ms", ["2.5", ""]),
        ("is_objective_met", ["true", "false"]),
        ("buffer_hit_share", ["", "0.99"]),
        ("server_cpu_cores", ["", "1.5"]),
    ] {
        assert_eq!([&levels[0][head], &levels[1][head]], cells, "{head}");
    }

    let seconds = rows(&written(&data, "seconds.csv"));
    assert_eq!(seconds.len(), 28);
    let counted = seconds.iter().filter(|second| second["counts"] == "true");
    let n: u64 = counted
        .map(|second| second["n_transactions"].parse::<u64>().unwrap())
        .sum();
    assert_eq!(n, 3600, "as many as both levels have");
    let (first, last) = (&seconds[0], &seconds[27]);
    assert_eq!(
        (first["errors"].as_str(), first["server_commits"].as_str()),
        ("40001: 1", "")
    );
    assert_eq!(last["server_waits"], "CPU: 2; Lock: 1");
    assert_eq!(last["started_at"], "2026-11-18T11:08:31.000Z");

    let buckets = rows(&written(&data, "histogram.csv"));
    assert_eq!(buckets.len(), 200);
    let bucket = &buckets[99];
    assert_eq!(
        [
            &bucket["lowest_ns"],
            &bucket["highest_ns"],
            &bucket["n"],
            &bucket["n_up_to"]
        ],
        ["1100", "1100", "12", "1200"]
    );

    let statements = rows(&written(&data, "statements.csv"));
    assert_eq!(
        (statements[0]["command"].as_str(), statements[1]["command"].as_str()),
        ("", "2")
    );
    assert_eq!(
        statements[1]["statement"],
        "select abalance\nfrom pgbench_accounts where aid = :aid"
    );
    let named = export::find("levels.csv").unwrap().file_name(&data);
    assert!(
        named.starts_with("pgassay_benchmark-1_") && named.ends_with("Z_levels.csv"),
        "{named}"
    );
}

#[tokio::test]
async fn the_json_document_says_the_same_as_the_table() {
    let data = usual().await;
    let document: serde_json::Value = serde_json::from_str(&written(&data, "export.json")).unwrap();
    assert_eq!(document["schema"], "pgassay.benchmark/1");
    assert_eq!(document["benchmark"]["environment"][0]["value"], "15.20");
    assert_eq!(document["benchmark"]["is_objective_met"], false);
    let numbers = levels::numbers(&data, &Percentiles::default());
    for (level, numbers) in document["levels"].as_array().unwrap().iter().zip(&numbers) {
        assert_eq!(level["throughput_per_s"].as_f64(), numbers.throughput);
        assert_eq!(
            level["throughput_low_per_s"].as_f64(),
            numbers.throughput_interval.map(|(low, _)| low)
        );
        assert_eq!(level["percentiles_ms"]["p99.9"].as_f64(), numbers.percentiles_ms[3]);
        assert_eq!(level["mean_ms"].as_f64(), numbers.mean_ms);
    }
    assert_eq!(document["levels"][0]["errors"][0]["sqlstate"], "40001");
    assert_eq!(document["levels"][0]["statements"][1]["command"], 2);
    assert_eq!(document["levels"][1]["server"]["mean_waiting_sessions"]["Lock"], 1.0);
    assert_eq!(document["levels"][1]["gaps"][0]["from_ms"], 4000.0);
    assert_eq!(document["attempts"][0]["status"], "interrupted");
    assert_eq!(document["seconds"].as_array().unwrap().len(), 28);
}

#[tokio::test]
async fn levels_are_told_in_the_words_of_pgbench() {
    let data = usual().await;
    let text = written(&data, "pgbench.txt");
    let (first, second) = text.split_once("\n\n").unwrap();
    assert_eq!(
        first,
        format!(
            "pgassay {}, benchmark 1, 2 clients
transaction type: point read
scaling factor: 2
query mode: prepared
number of clients: 2
maximum number of tries: 1
duration: 12 s
number of transactions actually processed: 1200
number of failed transactions: 12 (0.990%)
latency average = 0.001 ms
latency stddev = 0.000 ms
initial connection time = 2.500 ms
tps = 100.000000 (without initial connection time)
statement latencies in milliseconds and failures:
         0.001          12  select abalance",
            env!("CARGO_PKG_VERSION")
        )
    );
    assert!(
        second.contains("number of clients: 4\n") && second.contains("\ntps = 200.000000 "),
        "{second}"
    );
}

#[tokio::test]
async fn the_report_stands_on_its_own_and_holds_numbers_pictures_and_surroundings() {
    let data = usual().await;
    let html = written(&data, "report.html");
    for part in [
        "<h1>Benchmark 1: generated tables, 150,000 rows</h1>",
        "0.0015 ms was met by 1 of 2 levels",
        "<strong><data value=\"200\" title=\"200\">200</data></strong>",
        ">not met<",
        "could not serialize access, ",
        "4 clients: There was no server for a while: 500 ms in all,",
        "At a fixed rate it counts from",
        "15.20",
        "data:image/png;base64,",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(
        !html.contains("src=\"http") && !html.contains("href="),
        "it asks nobody for anything"
    );
    assert_eq!(
        html.matches("<figure").count(),
        10,
        "two of the sweep, four of latency and time, four of the server"
    );
    let markdown = written(&data, "report.md");
    assert!(
        markdown.starts_with("# Benchmark 1: generated tables, 150,000 rows\n"),
        "{markdown}"
    );
    assert!(markdown.contains("| Level | Transactions | A second |"), "{markdown}");
}

#[tokio::test]
async fn every_file_has_a_name_of_its_own() {
    let mut names: Vec<&str> = export::ALL.iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), export::ALL.len());
    assert!(export::find("no.such").is_none());
}
