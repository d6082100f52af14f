//! The pages of benchmarks, asked for through the router.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::router;
use crate::benchmark::form::BenchmarkForm;
use crate::config::WebConfig;
use crate::model::benchmark::LevelStatus;
use crate::model::ids::BenchmarkId;
use crate::store;
use crate::testing::bench::Bench;
use crate::testing::benchmarks::form;
use crate::testing::world::World;
use crate::web::middleware::identity;
use crate::web::middleware::preferences;
use crate::web::state::AppState;

/// The web door of a house, and stories about what is stored in it.
struct Door {
    state: AppState,
    world: World,
    /// Holds the data directory.
    _bench: Bench,
}

impl Door {
    async fn open() -> Self {
        let bench = Bench::open().await;
        let services = bench.house.services();
        let config = WebConfig::unsaid();
        Self {
            state: AppState::new(&services, &config, config.listen, CancellationToken::new()).unwrap(),
            world: World {
                pool: services.pool,
                viewer: services.viewer,
            },
            _bench: bench,
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response {
        let identity = axum::middleware::from_fn_with_state(self.state.clone(), identity::know);
        let preferences = axum::middleware::from_fn(preferences::know);
        let router = router()
            .layer(identity)
            .layer(preferences)
            .with_state(self.state.clone());
        router.oneshot(request).await.unwrap()
    }

    /// Returns when whoever watches a benchmark sees what is stored by now.
    async fn looked_again(&self, id: BenchmarkId) {
        let mut frames = Box::pin(self.state.watches.frames(self.world.viewer, id));
        // The one at hand, one that was perhaps under way, and one that was begun later.
        for _ in 0..3 {
            frames.next().await.unwrap();
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        read(self.ask(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    async fn page(&self, path: &str) -> String {
        let (status, page) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        page
    }

    /// As htmx asks.
    async fn fragment(&self, path: &str) -> Response {
        let request = Request::get(path).header("hx-request", "true");
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, pairs: &[(&str, &str)], is_htmx: bool) -> Response {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if is_htmx {
            request = request.header("hx-request", "true");
        }
        self.ask(request.body(Body::from(body)).unwrap()).await
    }
}

/// A form as a browser sends it that has files: each field, and each file under the same name.
fn parts(pairs: &[(&str, &str)], files: &[(&str, &str)]) -> Request<Body> {
    let fields = pairs
        .iter()
        .map(|(name, value)| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    let files = files.iter().map(|(name, text)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"program_files\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
    });
    let body: String = fields.chain(files).chain(["--x--\r\n".to_owned()]).collect();
    Request::post("/benchmarks")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap()
}

async fn read(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// What a person sends who changes the first fields only.
const WISH: [(&str, &str); 8] = [
    ("request_id", "r"),
    ("target", "generated"),
    ("operation", "point_read"),
    ("thread_counts", "2, 4"),
    ("test_duration", "10s"),
    ("warm_up", "1s"),
    ("table_rows", "10000"),
    ("batch_size", "1000"),
];

fn changed<'a>(field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = WISH.into_iter().filter(|(name, _)| *name != field);
    others.chain([(field, value)]).collect()
}

#[tokio::test]
async fn a_form_is_checked_as_it_is_typed_and_every_message_stands_at_its_field() {
    let door = Door::open().await;
    let page = door.page("/benchmarks/new").await;
    for field in ["target", "operation", "thread_counts", "test_duration"] {
        let (at, more) = (page.find(&format!("id=\"{field}\"")), page.find("id=\"more\""));
        assert!(at.is_some() && at < more, "{field} is not hidden");
    }
    assert!(page.contains("<details id=\"more\">"), "{page}");
    let (status, good) = read(door.post("/benchmarks/check", &WISH, true).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        good.contains("for 2 levels: 6 clients in all, at most 4 at once"),
        "{good}"
    );
    assert!(
        good.contains("id=\"thread_counts-error\" hx-swap-oob=\"true\"></p>"),
        "{good}"
    );
    assert!(!good.contains("<form"), "the form stays as it is: {good}");
    let (_, bad) = read(door.post("/benchmarks/check", &changed("warm_up", "soon"), true).await).await;
    assert!(
        bad.contains("id=\"warm_up-error\" hx-swap-oob=\"true\">A duration like"),
        "{bad}"
    );
    assert!(bad.contains("<a href=\"#warm_up\">"), "{bad}");
    // Without htmx the same comes as the page, with what is wrong in sight.
    let (status, page) = read(door.post("/benchmarks/check", &changed("warm_up", "soon"), false).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("<details id=\"more\" open>") && page.contains("value=\"soon\""),
        "{page}"
    );
    assert!(
        page.contains("<p class=\"field-error\" id=\"warm_up-error\">A duration like"),
        "{page}"
    );
}

#[tokio::test]
async fn a_form_launches_once_and_a_wrong_one_comes_back_with_what_was_typed() {
    let door = Door::open().await;
    let wrong = changed("test_duration", "3s");
    let (status, page) = read(door.post("/benchmarks", &wrong, false).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("name=\"test_duration\" value=\"3s\""), "{page}");
    assert!(page.contains("aria-invalid=\"true\""), "{page}");
    let mut quick = wrong;
    quick.push(("quick", "1"));
    for _ in 0..2 {
        let launched = door.post("/benchmarks", &quick, false).await;
        assert_eq!(launched.status(), StatusCode::SEE_OTHER);
        assert_eq!(launched.headers()[header::LOCATION], "/benchmarks/1");
    }
    assert!(door.page("/benchmarks/1").await.contains("a quick look"));
    assert!(door.page("/benchmarks").await.contains("1 benchmark"));
}

#[tokio::test]
async fn programs_come_one_by_one_and_stay_when_another_is_added() {
    let door = Door::open().await;
    let mut wish = changed("operation", "programs");
    wish.extend([
        ("program_name", "reads"),
        ("program_weight", "9"),
        ("program_text", "select '<&>';"),
    ]);
    let (status, page) = read(door.post("/benchmarks/program", &wish, false).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("select &#39;&#60;&#38;&#62;&#39;;"), "{page}");
    assert_eq!(page.matches("name=\"program_text\"").count(), 2, "{page}");
    // Nothing in the new one: it is passed over.
    wish.extend([("program_name", ""), ("program_weight", ""), ("program_text", "")]);
    let launched = door.post("/benchmarks", &wish, false).await;
    assert_eq!(launched.status(), StatusCode::SEE_OTHER);
    let page = door.page("/benchmarks/new?like=1").await;
    assert!(page.contains("name=\"program_name\" value=\"reads\""), "{page}");
    assert!(page.contains("<option value=\"programs\" selected>"), "{page}");
    let (status, _) = door.get("/benchmarks/new?like=99").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn programs_that_come_as_files_are_typed_in_when_the_form_comes_back() {
    let door = Door::open().await;
    let mut wish = changed("operation", "programs");
    wish.retain(|(name, _)| *name != "test_duration");
    wish.extend([("test_duration", "soon"), ("file_weights", "7"), ("program_text", "")]);
    let files = [("reads.sql", "select 11;"), ("writes.sql", "select 12;"), ("", "")];
    let (status, page) = read(door.ask(parts(&wish, &files)).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for typed in [
        "value=\"reads\"",
        "value=\"7\"",
        ">select 11;</textarea>",
        "value=\"writes\"",
        ">select 12;</textarea>",
    ] {
        assert!(page.contains(typed), "{typed}: {page}");
    }
    assert_eq!(page.matches("name=\"program_text\"").count(), 2, "{page}");
    wish.retain(|(name, _)| *name != "test_duration");
    wish.push(("test_duration", "10s"));
    let launched = door.ask(parts(&wish, &files)).await;
    assert_eq!(launched.status(), StatusCode::SEE_OTHER);
    let like = door.page("/benchmarks/new?like=1").await;
    assert!(
        like.contains("value=\"reads\"") && like.contains(">select 12;</textarea>"),
        "{like}"
    );
}

#[tokio::test]
async fn an_address_begins_a_form_on_a_dataset_with_a_workload() {
    let door = Door::open().await;
    let world = &door.world;
    let (dataset, _) = world.dataset("shop").await;
    let workload = world.workload("orders", "select 1").await;
    let page = door
        .page(&format!("/benchmarks/new?dataset={dataset}&workload={workload}"))
        .await;
    for chosen in [
        "<option value=\"dataset\" selected>".to_owned(),
        "<option value=\"workload\" selected>".to_owned(),
        format!("<option value=\"{dataset}\" selected>shop"),
        format!("<option value=\"{workload}\" selected>orders (1 query)"),
    ] {
        assert!(page.contains(&chosen), "{chosen} in {page}");
    }
    assert!(page.contains("name=\"stats_source\" value=\"none\""), "{page}");
}

#[tokio::test]
async fn what_runs_is_one_block_on_its_page_polled_and_streamed() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let waiting = door.page(&format!("/benchmarks/{id}")).await;
    assert!(
        waiting.contains("It begins in a moment.") && waiting.contains("id=\"stop\""),
        "{waiting}"
    );

    let lease = world.claim("a").await.unwrap().lease;
    let mut conn = world.conn().await;
    let benchmark = store::benchmarks::get(&mut conn, world.viewer, id)
        .await
        .unwrap()
        .unwrap();
    let levels = benchmark.spec.levels();
    let first = world.begin_level(&lease, id, levels[0]).await;
    world.second(&lease, first, 0, 500).await;
    world.end_level(&lease, first, LevelStatus::Finished, 5000, 10).await;
    let second = world.begin_level(&lease, id, levels[1]).await;
    for second_idx in -1..3 {
        world.second(&lease, second, second_idx, 800).await;
    }
    // Whoever comes now sees everything so far.
    door.looked_again(id).await;
    let page = door.page(&format!("/benchmarks/{id}")).await;
    assert!(page.contains("<title>running, level 2 of 2: 4 clients, "), "{page}");
    assert!(page.contains("<dt>Throughput</dt><dd>800 <span"), "{page}");
    assert!(
        page.contains("Over the last 3 seconds of the level that runs."),
        "{page}"
    );
    assert!(
        page.contains("<th scope=\"row\">2 clients</th>"),
        "the level before: {page}"
    );
    assert!(page.contains("4, warm-up"), "{page}");
    assert!(page.contains("<polyline class=\"l1\""), "{page}");

    let (_, polled) = read(door.fragment(&format!("/benchmarks/{id}/live")).await).await;
    let block = polled.split_once('\n').unwrap().1;
    assert!(polled.starts_with("<title>running, level 2"), "{polled}");
    assert!(page.contains(block.trim()), "a fragment is a block of its page");
    let stream = door.fragment(&format!("/benchmarks/{id}/stream")).await;
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut events = stream.into_body().into_data_stream();
    let event = String::from_utf8(events.next().await.unwrap().unwrap().to_vec()).unwrap();
    let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(event.starts_with("event: live\n") && event.ends_with("\n\n"), "{event}");
    assert!(data.join("\n").contains("<dt>Throughput</dt><dd>800 <span"), "{event}");

    let opened = door.get(&format!("/benchmarks/{id}/live")).await;
    assert_eq!(opened.0, StatusCode::SEE_OTHER, "opened directly it leads to its page");
    world.end_level(&lease, second, LevelStatus::Finished, 8000, 10).await;
    let settled = store::queue::settle(&mut conn, &lease, crate::model::job::JobStatus::Completed, None).await;
    assert!(settled.unwrap());
    let mut last = String::new();
    while let Some(event) = events.next().await {
        last = String::from_utf8(event.unwrap().to_vec()).unwrap();
    }
    assert!(last.starts_with("event: done\n"), "the stream ends with it: {last}");
    let polled = door.fragment(&format!("/benchmarks/{id}/live")).await;
    assert_eq!(polled.headers()["hx-refresh"], "true");
}

#[tokio::test]
async fn however_many_look_one_publisher_reads_the_store() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let watches = door.state.watches.clone();
    let frames: Vec<_> = (0..50).map(|_| Box::pin(watches.frames(world.viewer, id))).collect();
    let mut newest = Vec::new();
    for mut frames in frames {
        newest.push(frames.next().await.unwrap());
    }
    assert!(
        newest.iter().all(|frame| std::sync::Arc::ptr_eq(frame, &newest[0])),
        "all get the very same"
    );
    let stranger = world.stranger().await;
    assert!(watches.frame(stranger, id).await.is_none(), "and strangers get none");
    assert!(watches.frame(world.viewer, BenchmarkId(99)).await.is_none());
    door.state.shutdown.cancel();
    let mut rest = Box::pin(watches.frames(world.viewer, id));
    while rest.next().await.is_some() {}
}

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
async fn what_runs_is_stopped_and_what_is_over_can_be_deleted() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let refused = door.post(&format!("/benchmarks/{id}/delete"), &[], false).await;
    let (status, said) = read(refused).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("Benchmark 1 still waits. Stop it first."), "{said}");
    let stopped = door.post(&format!("/benchmarks/{id}/stop"), &[], false).await;
    assert_eq!(stopped.headers()[header::LOCATION], "/benchmarks/1");
    let page = door.page(&format!("/benchmarks/{id}")).await;
    assert!(
        page.contains("<span class=\"mark stopped\">stopped</span>") && !page.contains("id=\"stop\""),
        "{page}"
    );
    assert!(page.contains("Stopped before it began."), "{page}");
    assert!(
        door.page(&format!("/benchmarks/{id}/delete"))
            .await
            .contains("Delete it")
    );
    let deleted = door.post(&format!("/benchmarks/{id}/delete"), &[], false).await;
    assert_eq!(deleted.headers()[header::LOCATION], "/benchmarks");
    for path in ["", "/live", "/stream", "/delete", "/chart.png"] {
        let answer = door.fragment(&format!("/benchmarks/{id}{path}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
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
