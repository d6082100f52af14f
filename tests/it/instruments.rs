//! Instruments from outside: by command, and by plain links and forms.

use std::fs;

use reqwest::StatusCode;

use crate::pages::Plain;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::wait_for;
use crate::support;

/// Half of the things are of the kind asked for; without statistics the planner takes it for a rare one.
const DUMP: &str = "
create table things (id integer primary key, kind integer, note text);
insert into things select g, (g % 2) * g, repeat('x', g % 7) from generate_series(1, 20000) g;
create index on things (kind);
";
const QUERIES: &str = "-- name: planted\nselect max(note) from things where kind = 0;\n";

#[tokio::test]
async fn a_bisect_names_the_planted_column_on_the_terminal_and_by_plain_links_and_forms() {
    let dir = data_dir();
    let (dump, queries) = (dir.path().join("dump.sql"), dir.path().join("queries.sql"));
    fs::write(&dump, DUMP).unwrap();
    fs::write(&queries, QUERIES).unwrap();
    let house = dir.path().join("data");
    let sources = ["--source", "built_in", "--source", "none", "--iterations", "1"];
    assert!(
        support::run(&house, &dump, &queries, &sources)
            .status()
            .unwrap()
            .success()
    );

    let bisect = |query: &str| {
        let mut command = support::pgassay(&["instrument", "bisect", "--experiment", "1", "--from", "built_in"]);
        command
            .args(["--to", "none", "--query", query, "--data-dir"])
            .arg(&house);
        command.output().unwrap()
    };
    let output = bisect("planted");
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", support::stderr(&output));
    assert!(
        said.contains("public.things.kind turns the plan of planted under built_in"),
        "{said}"
    );
    let refused = bisect("absent");
    assert_eq!(refused.status.code(), Some(2));
    assert!(support::stderr(&refused).contains("Choose a query of the experiment."));

    let server = Server::start(&house);
    let plain = Plain::of(&server);
    let list = plain.page("/instruments").await;
    assert!(
        list.contains("New bisect") && list.contains("public.things.kind turns"),
        "{list}"
    );
    assert!(
        plain
            .page("/instruments/new?kind=bisect")
            .await
            .contains("Experiment 1:")
    );
    let form = plain.page("/instruments/new?kind=bisect&experiment=1").await;
    assert!(form.contains("Find the columns") && form.contains("planted"), "{form}");
    let wish = |to| {
        [
            ("request_id", "r1"),
            ("kind", "bisect"),
            ("experiment", "1"),
            ("query", "0"),
            ("from", "1"),
            ("to", to),
        ]
    };
    let (status, page) = plain.post("/instruments", &wish("1")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("planted has the same plan under none and none"), "{page}");
    let (status, address) = plain.post("/instruments", &wish("0")).await;
    assert_eq!((status, address.as_str()), (StatusCode::SEE_OTHER, "/instruments/2"));
    let page = wait_for("the bisect", async || {
        let page = plain.page("/instruments/2").await;
        page.contains("What makes the difference").then_some(page)
    })
    .await;
    assert!(
        page.contains("public.things.kind turns the plan of planted under none"),
        "{page}"
    );
    assert!(
        page.contains("Every step") && page.contains("the plan under none again"),
        "{page}"
    );
    let again = plain.page("/instruments/new?like=2").await;
    for chosen in [
        "<option value=\"1\" selected>none",
        "<option value=\"0\" selected>built_in",
    ] {
        assert!(again.contains(chosen), "the other way round than usual: {again}");
    }
    let csv = plain.page("/instruments/2/export.csv").await;
    assert!(csv.starts_with("step,why,n_taken,taken,plan,"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&plain.page("/instruments/2/export.json").await).unwrap();
    assert_eq!(json["steps"].as_array().unwrap().len(), csv.lines().count() - 1);
    let fragment = plain.get("/instruments/2/progress").await;
    assert_eq!(fragment.0, StatusCode::SEE_OTHER, "a fragment leads to its page");
    the_others_answer_by_plain_forms_too(&plain).await;
    for nowhere in ["/instruments/9", "/instruments/new?kind=x", "/instruments/2/export.xls"] {
        assert_eq!(plain.get(nowhere).await.0, StatusCode::NOT_FOUND, "{nowhere}");
    }
    what_is_stopped_or_loses_its_dataset_says_so(&plain).await;
    assert_eq!(server.stop(), Some(0));
}

/// By plain forms alone: a run is stopped, then the dataset and the workload are deleted; what was found out stays.
async fn what_is_stopped_or_loses_its_dataset_says_so(plain: &Plain) {
    let wish = [
        ("request_id", "long"),
        ("kind", "lottery"),
        ("dataset", "1"),
        ("workload", "1"),
        ("targets", "100"),
        ("draws", "1000"),
        ("timeout", "10s"),
    ];
    let (status, address) = plain.post("/instruments", &wish).await;
    assert_eq!(
        (status, address.as_str()),
        (StatusCode::SEE_OTHER, "/instruments/6"),
        "it is the sixth"
    );
    let page = wait_for("a draw", async || {
        let page = plain.page(&address).await;
        let (before, _) = page.split_once(" of 1000")?;
        let n_drawn: u32 = before.rsplit(' ').next()?.parse().ok()?;
        (n_drawn > 2).then_some(page)
    })
    .await;
    assert!(
        page.contains("<form action=\"/instruments/6/stop\" method=\"post\">"),
        "{page}"
    );
    let (status, page) = plain.post("/datasets/1/delete", &[]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(page.contains("needs this dataset"), "{page}");
    let stopped = plain.post("/instruments/6/stop", &[]).await;
    assert_eq!(stopped, (StatusCode::SEE_OTHER, address.clone()));
    wait_for("the end", async || {
        let page = plain.page(&address).await;
        page.contains("Stopped on request. The steps so far are kept.")
            .then_some(())
    })
    .await;
    for (what, gone) in [("datasets", "dump.sql"), ("workloads", "queries.sql")] {
        let list = format!("/{what}");
        assert!(plain.page(&list).await.contains(gone));
        let address = format!("{list}/1/delete");
        assert!(
            plain
                .page(&format!("{list}/1"))
                .await
                .contains(&format!("href=\"{address}\""))
        );
        let question = plain.page(&address).await;
        assert!(
            question.contains("Delete it") && question.contains(&format!("action=\"{address}\"")),
            "{question}"
        );
        assert_eq!(plain.post(&address, &[]).await, (StatusCode::SEE_OTHER, list.clone()));
        let page = plain.page(&list).await;
        assert!(!page.contains(gone), "{page}");
    }
    assert!(plain.page("/instruments/2").await.contains("What makes the difference"));
    let form = plain.page("/instruments/new?kind=bisect").await;
    assert!(form.contains("whose dataset is still here"), "{form}");
}

/// Lottery, budget and regret, each asked for little.
async fn the_others_answer_by_plain_forms_too(plain: &Plain) {
    let place = [("dataset", "1"), ("workload", "1"), ("timeout", "10s")];
    let asked = [
        (
            "lottery",
            [&place[..], &[("targets", "1,10"), ("draws", "3")]].concat(),
            "Flip probability",
        ),
        (
            "budget",
            [&place[..], &[("targets", "1,100"), ("tolerance", "2")]].concat(),
            "The bill",
        ),
        ("regret", vec![("experiment", "1"), ("rounds", "1")], "What each source"),
    ];
    for (n, (kind, fields, answer)) in asked.into_iter().enumerate() {
        let form = plain.page(&format!("/instruments/new?kind={kind}&experiment=1")).await;
        for (name, _) in &fields {
            assert!(form.contains(&format!("name=\"{name}\"")), "{kind} {name}: {form}");
        }
        let more = [("kind", kind), ("request_id", kind)];
        let wish: Vec<(&str, &str)> = more.into_iter().chain(fields).collect();
        let (status, address) = plain.post("/instruments", &wish).await;
        assert_eq!(
            (status, address.as_str()),
            (StatusCode::SEE_OTHER, &*format!("/instruments/{}", n + 3))
        );
        wait_for(kind, async || plain.page(&address).await.contains(answer).then_some(())).await;
        assert!(plain.page(&format!("{address}/export.csv")).await.contains("planted") || kind == "budget");
        let (status, _) = plain
            .post("/instruments", &[("kind", kind), ("request_id", "bad")])
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{kind}");
    }
    let png = plain
        .client
        .get(format!("{}/instruments/3/chart.png?theme=dark&dpr=2", plain.url));
    let png = png.send().await.unwrap().bytes().await.unwrap();
    assert!(png.starts_with(b"\x89PNG"), "{png:?}");
    let again = plain.page("/instruments/new?like=5").await;
    assert!(
        again.contains("name=\"rounds\" type=\"number\" min=\"1\" max=\"1000\" value=\"1\""),
        "{again}"
    );
    let script = plain.page("/instruments/4/targets.sql").await;
    assert!(script.is_empty() || script.starts_with("ALTER TABLE"), "{script}");
}
