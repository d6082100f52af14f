//! What is over: its numbers, its pictures, and what stands beside it.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;

use crate::benchmark::form::BenchmarkForm;
use crate::testing::benchmarks::form;
use crate::web::pages::benchmarks::tests::Door;
use crate::web::pages::benchmarks::tests::read;

#[tokio::test]
async fn a_benchmark_that_is_over_shows_its_numbers_and_any_percentile() {
    let door = Door::open().await;
    let world = &door.world;
    let wish = BenchmarkForm {
        objective: "p95 < 5 ms".to_owned(),
        ..form("r")
    };
    let id = world.measured(&wish, &[500, 800]).await;
    let page = door.page(&format!("/benchmarks/{id}")).await;
    assert!(page.contains("<p class=\"headline\">Best of request r.</p>"), "{page}");
    assert!(
        page.contains("Objective p95 &#60; 5 ms: <span class=\"mark bad\">not met</span>"),
        "{page}"
    );
    assert!(page.contains("<th scope=\"col\" class=\"num\">p99.9</th>"), "{page}");
    assert!(page.contains("<data value=\"800\" title=\"800\">800</data>"), "{page}");
    assert!(page.contains("<code>select abalance from pgbench_accounts"), "{page}");
    let page = door.page(&format!("/benchmarks/{id}?p=42.5,75&type=cdf&level=1")).await;
    assert!(page.contains("<th scope=\"col\" class=\"num\">p42.5</th>"), "{page}");
    assert!(
        page.contains("which share took at most so long, 4 clients</h2>"),
        "{page}"
    );
    let fragment = door.fragment(&format!("/benchmarks/{id}/chart?type=cdf&level=1")).await;
    let (_, fragment) = read(fragment).await;
    assert!(
        fragment.contains("id=\"chart-cdf\"") && !fragment.contains("<html"),
        "{fragment}"
    );
    assert!(
        page.contains("chart.png?type=cdf&#38;p=42.5,75&#38;level=1&#38;v="),
        "{page}"
    );
    let odd = door.page(&format!("/benchmarks/{id}?p=120")).await;
    assert!(odd.contains("A percentile is a number above 0 and below 100"), "{odd}");
}

#[tokio::test]
async fn a_picture_is_drawn_once_and_known_again() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.measured(&form("r"), &[500, 800]).await;
    let address = format!("/benchmarks/{id}/chart.png?type=latency_time&theme=dark");
    let drawn = door.fragment(&address).await;
    assert_eq!(drawn.status(), StatusCode::OK);
    assert_eq!(drawn.headers()[header::CONTENT_TYPE], "image/png");
    assert!(
        drawn.headers()[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let etag = drawn.headers()[header::ETAG].clone();
    let again = Request::get(&address).header(header::IF_NONE_MATCH, etag);
    let again = door.ask(again.body(Body::empty()).unwrap()).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let (status, _) = door.get(&format!("/benchmarks/{id}/chart.png?type=waits")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nothing was seen of the server");
    let (status, said) = door.get(&format!("{address}&w=20")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
}

#[tokio::test]
async fn the_list_says_how_each_went_beside_the_run_before() {
    let door = Door::open().await;
    let world = &door.world;
    let other = BenchmarkForm {
        thread_counts: "8".to_owned(),
        objective: "p50 < 1 ms".to_owned(),
        ..form("other")
    };
    world.measured(&form("a"), &[500, 800]).await;
    world.measured(&other, &[100]).await;
    world.measured(&form("b"), &[500, 1000]).await;
    world.measured(&form("c"), &[500, 900]).await;
    let page = door.page("/benchmarks").await;
    let changes: Vec<usize> = ["−10.0 %", "+25.0 %"]
        .iter()
        .map(|change| page.matches(change).count())
        .collect();
    assert_eq!(changes, [2, 2], "as a number and for who hears it: {page}");
    assert!(
        page.contains("Transactions a second, run by run: 800, 1000, 900"),
        "{page}"
    );
    assert!(page.contains("<span class=\"mark bad\">not met</span>"), "{page}");
    assert_eq!(
        page.matches("class=\"sparkline\"").count(),
        2,
        "the first of each has none: {page}"
    );
    assert!(page.contains("href=\"/benchmarks/compare?base=3&#38;run=4\""), "{page}");
    let none = door.page("/benchmarks?q=nowhere").await;
    assert!(none.contains("None of the benchmarks fits."), "{none}");
    assert_eq!(
        door.page("/benchmarks?q=request+b")
            .await
            .matches("class=\"wide\"")
            .count(),
        1
    );
}

#[tokio::test]
async fn benchmarks_stand_beside_each_other_and_behind_each_other() {
    let door = Door::open().await;
    let world = &door.world;
    let before = world.measured(&form("a"), &[500, 800]).await;
    let other = BenchmarkForm {
        thread_counts: "4, 8".to_owned(),
        protocol: "simple".to_owned(),
        ..form("b")
    };
    let other = world.measured(&other, &[400, 900]).await;
    let after = world.measured(&form("c"), &[1000, 800]).await;
    // As the ticks of the list are sent: the oldest is the baseline.
    let page = door
        .page(&format!("/benchmarks/compare?run={other}&run={before}"))
        .await;
    assert!(page.contains("Benchmark 1</a> (the baseline)"), "{page}");
    assert!(page.contains("They sent statements by different protocols."), "{page}");
    assert!(
        page.contains("<strong><data value=\"0.5\""),
        "400 of 800 a second: {page}"
    );
    assert!(
        page.contains("2 clients, Benchmark 2: only the baseline has this level"),
        "{page}"
    );
    let picture = format!("/benchmarks/compare/chart.png?base={before}&run={other}&measure=p95");
    let drawn = door.fragment(&picture).await;
    assert_eq!(
        (drawn.status(), &drawn.headers()[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/png".parse().unwrap())
    );
    let alone = door.page(&format!("/benchmarks/compare?base={before}&run=77")).await;
    assert!(
        alone.contains("There is no benchmark 77.") && !alone.contains("What was different"),
        "{alone}"
    );

    let trend = door.page(&format!("/benchmarks/{after}/trend?p=50&measure=p50")).await;
    assert!(trend.find("Benchmark 3</a>") < trend.find("Benchmark 1</a>"), "{trend}");
    assert!(
        !trend.contains("Benchmark 2</a>"),
        "that one asked for something else: {trend}"
    );
    assert!(
        trend.contains("<span class=\"muted\"><data value=\"2\""),
        "1000 after 500 a second: {trend}"
    );
    assert!(trend.contains("aria-current=\"true\">p50</a>"), "{trend}");
    let drawn = door
        .fragment(&format!("/benchmarks/{after}/trend.png?measure=p50&p=50"))
        .await;
    assert_eq!(drawn.status(), StatusCode::OK);
}

#[tokio::test]
async fn everything_can_be_taken_away_with_the_percentiles_that_were_chosen() {
    let door = Door::open().await;
    let id = door.world.measured(&form("r"), &[500, 800]).await;
    let page = door.page(&format!("/benchmarks/{id}?p=42")).await;
    let links: Vec<&str> = page
        .split("<li><a href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(links.len(), crate::report::benchmark::export::ALL.len(), "{links:?}");
    for link in links {
        assert!(link.ends_with("?p=42"), "{link}");
        let answer = door.fragment(link).await;
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
        let disposition = answer.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(disposition.contains("filename=\"pgassay_benchmark-1_"), "{disposition}");
    }
    let (status, _) = door.get(&format!("/benchmarks/{id}/nothing.csv")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_has_the_percentiles_that_the_browser_prefers_unless_it_is_asked_for_others() {
    let door = Door::open().await;
    let id = door.world.measured(&form("r"), &[500, 800]).await;
    let look = async |part: &str, prefers: &str| {
        let cookie = format!("preferences=percentiles={prefers}");
        let request = Request::get(format!("/benchmarks/{id}{part}")).header(header::COOKIE, cookie);
        let response = door.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK, "{part}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    for (part, prefers, shown) in [
        ("", "50%2C42", "42,50"),
        ("/trend", "50%2C42", "42,50"),
        ("?p=", "42", "42"),
        ("?p=9", "42", "9"),
        ("?p=50,95,99,99.9", "42", "50,95,99,99.9"),
        ("", "nonsense", "50,95,99,99.9"),
    ] {
        let page = look(part, prefers).await;
        assert!(
            page.contains(&format!("name=\"p\" value=\"{shown}\"")),
            "{part} {prefers}: {page}"
        );
    }
    let page = look("?p=50,95,99,99.9", "42").await;
    assert!(
        page.contains("levels.csv?p=50%2C95%2C99%2C99.9"),
        "what was asked for is said where the browser would have something else: {page}"
    );
    assert!(!look("", "50,95,99,99.9").await.contains("levels.csv?p="));
}
