//! What is read of an experiment that has ended, by links and forms.

use std::collections::HashMap;

use reqwest::StatusCode;

use crate::pages::Plain;
use crate::pages::csv;
use crate::scratch;
use crate::support;

/// The page, the report and the files tell the same taxes, and they follow from the readings.
pub async fn what_measuring_costs_is_told_and_its_readings_are_marked(plain: &Plain, page: &str) {
    assert!(page.contains("<h2 id=\"observer-head\">What measuring costs</h2>"));
    assert!(page.contains("each query ran 5 times in three ways under built_in"));
    let taxes = csv(&plain.page("/results/1/observer.csv").await);
    assert_eq!(taxes.len(), 12);
    let trials = csv(&plain.page("/results/1/trials.csv").await);
    let of_first = |kind: &str| -> Vec<f64> {
        let is_its = |trial: &&HashMap<String, String>| trial["kind"] == kind && trial["query"] == taxes[0]["query"];
        let mut found: Vec<&HashMap<String, String>> = trials.iter().filter(is_its).collect();
        found.sort_by_key(|trial| trial["round"].clone());
        found
            .iter()
            .map(|trial| trial["execution_ms"].parse().unwrap())
            .collect()
    };
    let (plain_ms, on_ms) = (of_first("plain"), of_first("timing_on"));
    assert_eq!((plain_ms.len(), on_ms.len()), (5, 5));
    let logs: f64 = on_ms.iter().zip(&plain_ms).map(|(on, plain)| (on / plain).ln()).sum();
    let tax: f64 = taxes[0]["timing_on_tax"].parse().unwrap();
    assert!((tax - (logs / 5.0).exp()).abs() < 1e-9, "{tax}");
    let shown = format!("title=\"{}\"", taxes[0]["timing_on_tax"]);
    for address in ["/results/1", "/results/1/queries/0"] {
        assert!(plain.page(address).await.contains(&shown), "{shown} in {address}");
    }
    let report = plain.page("/results/1/report.md").await;
    assert!(report.contains("What measuring costs") && report.contains("Tax of TIMING ON"));
    let json: serde_json::Value = serde_json::from_str(&plain.page("/results/1/export.json").await).unwrap();
    assert_eq!(json["observer"][0]["timing_on"]["tax"].as_f64(), Some(tax));
    let readings = json["observer_trials"].as_array().unwrap();
    assert_eq!(readings.len(), 12 * 5 * 3);
    assert!(
        readings
            .iter()
            .all(|reading| reading["way"] == "plain" || reading["server_ms"].is_f64())
    );
    let visits = json["visits"].as_array().unwrap();
    let n_visits: i64 = visits.iter().map(|look| look["n_visits"].as_i64().unwrap()).sum();
    assert_eq!(
        n_visits,
        2 * (5 + 1) + 12 * (1 + 5),
        "behind every visit there was a look"
    );
}

/// From the page of the results to the map, a plan in all its forms, and two plans side by side.
pub async fn plans_are_reached_by_links_and_forms(plain: &Plain, page: &str) {
    for address in [
        "/results/1/plans",
        "/results/1/estimates",
        "/results/1/queries/0/plans/1",
    ] {
        assert!(page.contains(&format!("href=\"{address}\"")), "{address}");
    }
    let all = plain.page("/results/1/plans?show=all").await;
    let map = plain.page("/results/1/plans").await;
    let n_rows = |page: &str| page.matches("<th scope=\"row\"><a").count();
    assert_eq!(n_rows(&all), 12);
    let n_hidden = 12 - n_rows(&map);
    assert!(
        n_hidden > 0 && map.contains(&format!("Left out: {n_hidden} quer")),
        "{map}"
    );
    let found = plain.page("/results/1/plans?show=all&find=BY_country").await;
    assert_eq!(n_rows(&found), 3);
    assert!(found.contains("9 queries of other names"));

    let json: serde_json::Value = serde_json::from_str(&plain.page("/results/1/export.json").await).unwrap();
    let of_first = |key: &str| json["plans"][0][key].clone();
    assert!(all.contains("href=\"/results/1/queries/0/plans/0\""));
    let tree = plain.page("/results/1/queries/0/plans/0").await;
    assert!(tree.contains(of_first("fingerprint").as_str().unwrap()) && tree.contains("data-copy="));
    let by_cost = plain.page("/results/1/queries/0/plans/0?bars=cost").await;
    assert!(by_cost.contains("bars=cost\" aria-current=\"true\""));
    assert!(
        plain
            .page("/results/1/queries/0/plans/0/raw")
            .await
            .contains("EXPLAIN alone")
    );
    let sent = plain.page("/results/1/queries/0/plans/0/plan.json").await;
    assert_eq!(Some(sent.as_str()), of_first("explain_analyzed").as_str());
    let text = plain.page("/results/1/queries/0/plans/0/plan.txt").await;
    assert!(text.contains("  ->  ") && text.contains("Execution Time: "), "{text}");

    let diff = plain.page("/results/1/queries/0/diff").await;
    assert!(diff.contains("Node by node"));
    let same = plain.page("/results/1/queries/0/diff?from=1&to=1").await;
    assert!(same.contains("has the same plan") && !same.contains("class=\"findings\""));

    let estimates = plain.page("/results/1/estimates").await;
    assert!(estimates.contains("Far-off estimates by the number of joins"));
    let plans = csv(&plain.page("/results/1/plans.csv").await);
    assert_eq!(plans.len(), 2 * 12);
    for (row, plan) in plans.iter().zip(json["plans"].as_array().unwrap()) {
        assert_eq!(plan["query"], row["query"].as_str());
        let factors: Vec<f64> = plan["estimates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["factor"].as_f64().unwrap())
            .collect();
        assert_eq!(row["n_compared"], factors.len().to_string());
        let worst = factors.iter().copied().fold(1.0, f64::max);
        assert_eq!(row["worst_q_error"].parse::<f64>().unwrap().to_bits(), worst.to_bits());
        let far_off = factors.iter().filter(|factor| **factor >= 10.0).count();
        let counted = row["n_10x_over"].parse::<usize>().unwrap() + row["n_10x_under"].parse::<usize>().unwrap();
        assert_eq!(counted, far_off);
    }
}

/// The table, the CSV and the JSON hold the same numbers, and they follow from the stored trials.
pub async fn numbers_are_the_same_everywhere(plain: &Plain, page: &str) {
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
    the_report_stands_alone(plain, page).await;
    two_sources_stand_beside_each_other(plain).await;
}

async fn two_sources_stand_beside_each_other(plain: &Plain) {
    assert!(plain.page("/results").await.contains("href=\"/compare\""));
    let form = plain.page("/compare").await;
    assert!(form.contains("<option value=\"1.1\">1: random_targets"), "{form}");
    let page = plain.page("/compare?base=1.0&run=1.1&show=all").await;
    assert!(page.contains("These are sources of one experiment."), "{page}");
    assert_eq!(
        page.matches("<tr><th scope=\"row\"><a href=\"/results/1/queries/")
            .count(),
        12
    );
    assert!(page.contains("Show only differences"));
    assert!(page.contains("<p>Nothing but the sources: "));
    let picture = plain
        .client
        .get(format!("{}/compare/chart.png?base=1.0&run=1.1", plain.url))
        .send()
        .await;
    assert_eq!(picture.unwrap().headers()["content-type"], "image/png");
    for nowhere in ["/compare?base=1.0&run=1.9", "/compare?base=1.0&run=77.0"] {
        assert_eq!(plain.get(nowhere).await.0, StatusCode::NOT_FOUND, "{nowhere}");
    }
    let again = plain.page("/compare?base=1.0&run=1.0").await;
    assert!(
        !again.contains("Query by query"),
        "one side alone is compared with nothing"
    );
}

async fn the_report_stands_alone(plain: &Plain, page: &str) {
    assert!(page.contains("href=\"/results/1/report.html\""));
    let address = format!("{}/results/1/report.html", plain.url);
    let answer = plain.client.get(&address).send().await.unwrap();
    assert!(
        answer.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("inline")
    );
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'; style-src 'sha256-") && !policy.contains("'self'"));
    let report = answer.text().await.unwrap();
    assert!(report.contains("src=\"data:image/png;base64,"));
    for reference in ["href=", "<script", "url(", "src=\"/", "src=\"http"] {
        assert!(!report.contains(reference), "{reference}");
    }
    let text = plain.page("/results/1/report.md").await;
    let json: serde_json::Value = serde_json::from_str(&plain.page("/results/1/export.json").await).unwrap();
    for summary in json["summaries"].as_array().unwrap() {
        let exact = format!("<data value=\"{}\"", summary["mean_ms"]);
        assert!(report.contains(&exact), "{exact}");
        let row = format!(
            "| {} | {} |",
            summary["query"].as_str().unwrap(),
            summary["source"].as_str().unwrap()
        );
        assert!(text.contains(&row), "{row}");
    }
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

/// A ratio is the geometric mean of the rounds' ratios, turned over when the other source is the baseline.
pub async fn comparisons_follow_from_the_trials(plain: &Plain, page: &str) {
    assert!(
        page.contains("5 rounds cannot tell any difference from chance in 12 comparisons with built_in; 9 are needed")
    );
    assert!(page.contains("12 comparisons that show no difference are hidden"));
    let json: serde_json::Value = serde_json::from_str(&plain.page("/results/1/export.json").await).unwrap();
    let times = |query: &str, source: &str| -> Vec<f64> {
        let mut trials: Vec<&serde_json::Value> = json["trials"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|trial| trial["query"] == query && trial["source"] == source)
            .collect();
        trials.sort_by_key(|trial| trial["round"].as_i64());
        trials
            .iter()
            .map(|trial| trial["execution_ms"].as_f64().unwrap())
            .collect()
    };
    let other = json["sources"][1]["label"].as_str().unwrap();
    let all = plain.page("/results/1?show=all").await;
    let turned = csv(&plain.page("/results/1/comparisons.csv?base=1").await);
    let rows = csv(&plain.page("/results/1/comparisons.csv").await);
    assert_eq!((rows.len(), turned.len()), (12, 12));
    for (row, turned) in rows.iter().zip(&turned) {
        let (base, source) = (times(&row["query"], "built_in"), times(&row["query"], other));
        let logs: Vec<f64> = base
            .iter()
            .zip(&source)
            .map(|(base, source)| (source / base).ln())
            .collect();
        let expected = (logs.iter().sum::<f64>() / 5.0).exp();
        let ratio: f64 = row["ratio"].parse().unwrap();
        assert!((ratio / expected - 1.0).abs() < 1e-9, "{ratio} {expected}");
        assert!((turned["ratio"].parse::<f64>().unwrap() * ratio - 1.0).abs() < 1e-9);
        assert_eq!(turned["baseline"], other);
        assert_eq!(
            (row["verdict"].as_str(), row["p"].as_str()),
            ("too noisy to tell", turned["p"].as_str())
        );
        assert!(
            all.contains(&format!("<data value=\"{ratio}\"")),
            "{ratio} stands on the page"
        );
    }
    let sources = csv(&plain.page("/results/1/sources.csv").await);
    assert_eq!(
        (sources[0]["ratio"].as_str(), sources[1]["n_undecided"].as_str()),
        ("", "12")
    );
    let correlation = sources[1]["cost_time_rank_correlation"].parse::<f64>().unwrap();
    assert!((-1.0..=1.0).contains(&correlation));
    assert!(
        page.contains("Does cost foretell time?")
            && page.contains(&format!("<strong>{correlation:.2}</strong>").replace('-', "−"))
    );
    for wish in ["type=box&query=3", "type=cdf&query=3&theme=dark", "type=scatter"] {
        let picture = plain
            .client
            .get(format!("{}/results/1/chart.png?{wish}", plain.url))
            .send()
            .await
            .unwrap();
        assert_eq!(picture.headers()["content-type"], "image/png", "{wish}");
    }
    let beside_other = plain.page("/results/1?base=1").await;
    assert!(beside_other.contains(&format!("What differs from {other}")));
}
