//! What a browser, or somebody who is none, may try at every address that the pages lead to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::attacks::Ground;
use crate::server::PATIENCE;

const DUMP: &str = "create table item (id integer primary key, price integer);\n\
                    insert into item select n, n % 10 from generate_series(1, 50) as n;\n";
const QUERIES: &str =
    "-- name: all\nselect count(*) from item;\n-- name: cheap\nselect id from item where price = 1;\n";

/// One of everything that pages show.
async fn furnished() -> Ground {
    let ground = Ground::embedded();
    let dataset = ground.restored(DUMP).await;
    let (workload, _) = ground.queries(QUERIES).await;
    let (status, _) = ground
        .plain
        .post(
            &format!("/workloads/{workload}/check"),
            &[("dataset", &dataset.to_string())],
        )
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    for sources in [
        vec![("stats_source", "none"), ("stats_source", "built_in")],
        vec![("stats_source", "none")],
    ] {
        ground.experiment(dataset, workload, &sources).await;
    }
    let wish = [
        ("request_id", "load"),
        ("target", "generated"),
        ("table_rows", "1000"),
        ("operation", "tpcb_like"),
        ("thread_counts", "1"),
        ("test_duration", "1s"),
        ("warm_up", "0"),
        ("quick", "1"),
        ("seed", "7"),
    ];
    let (status, place) = ground.plain.post("/benchmarks", &wish).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{place}");
    ground.settled("select job_id from benchmarks").await;
    ground.settled("select max(id) from jobs").await;
    ground
}

/// What was answered to a look at an address.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn is_page(&self) -> bool {
        self.header("content-type").starts_with("text/html") && self.header("content-disposition").is_empty()
    }
}

async fn look(ground: &Ground, path: &str) -> Answer {
    let asked = ground.plain.client.get(format!("{}{path}", ground.plain.url));
    let answer = asked.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
    Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        text: String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned(),
    }
}

/// Where a page leads to by links, pictures and what it fetches.
fn places(page: &str) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for attribute in ["href=\"", "src=\"", "hx-get=\"", "sse-connect=\""] {
        for rest in page.split(attribute).skip(1) {
            let Some((place, _)) = rest.split_once('"') else {
                continue;
            };
            let place = place.replace("&amp;", "&").replace("&#38;", "&");
            let place = place.split('#').next().unwrap_or_default();
            if place.starts_with('/') && !place.starts_with("//") {
                places.insert(place.to_owned());
            }
        }
    }
    places
}

/// The shape of an address: numbers are alike, and so are values.
fn shape(place: &str) -> String {
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let names: BTreeSet<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let segments = path
        .split('/')
        .map(|segment| if segment.parse::<u64>().is_ok() { "#" } else { segment });
    let segments: Vec<&str> = segments.collect();
    format!(
        "{}?{}",
        segments.join("/"),
        names.into_iter().collect::<Vec<_>>().join("&")
    )
}

/// Looks at every address that the pages lead to, a few of each shape, from the front page on.
async fn walk(ground: &Ground) -> BTreeMap<String, Answer> {
    let mut seen = BTreeMap::new();
    let mut n_of_shape: BTreeMap<String, usize> = BTreeMap::new();
    let mut waiting = vec![
        "/".to_owned(),
        "/healthz".to_owned(),
        "/readyz".to_owned(),
        "/api/benchmarks".to_owned(),
    ];
    while let Some(place) = waiting.pop() {
        let n = n_of_shape.entry(shape(&place)).or_default();
        if seen.contains_key(&place) || *n >= 3 {
            continue;
        }
        *n += 1;
        let answer = look(ground, &place).await;
        if answer.is_page() {
            waiting.extend(places(&answer.text));
        }
        if let Some(onwards) = answer.headers.get("location") {
            waiting.push(onwards.to_str().unwrap().to_owned());
        }
        seen.insert(place, answer);
    }
    seen
}

/// All that is stored but who is at work: every table by its rows.
fn stored(ground: &Ground) -> Vec<(String, String)> {
    let tables: Vec<serde_json::Value> = ground.rows(
        "select tablename as name from pg_tables where schemaname = 'public' and tablename not in ('workers', 'homes') \
         order by 1",
    );
    tables
        .iter()
        .map(|table| {
            let name = table["name"].as_str().unwrap().to_owned();
            let rows: Vec<serde_json::Value> = ground.rows(&format!(
                "select count(*) || ' ' || coalesce(md5(string_agg(t::text, '' order by t::text)), '') as said from \"{name}\" t"
            ));
            (name, rows[0]["said"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// W1: nothing is changed by a look. W3 and W4: every answer keeps a browser on our side.
#[tokio::test]
async fn no_address_changes_anything_by_being_looked_at_and_all_keep_a_browser_on_our_side() {
    let ground = furnished().await;
    let before = stored(&ground);
    let answers = walk(&ground).await;
    assert!(answers.len() > 60, "{:?}", answers.keys());
    assert_eq!(stored(&ground), before);
    for (place, answer) in &answers {
        let is_good = answer.status.is_success() || answer.status.is_redirection();
        assert!(is_good, "{place}: {} {}", answer.status, answer.text);
    }
    let mut all: Vec<(String, Answer)> = answers.into_iter().collect();
    for nowhere in ["/nowhere", "/results/77", "/api/benchmarks/77", "/assets/nothing.js"] {
        let answer = look(&ground, nowhere).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nowhere}");
        all.push((nowhere.to_owned(), answer));
    }
    for (place, answer) in &all {
        for (name, words) in [
            ("content-security-policy", "default-src 'none'; "),
            ("content-security-policy", "base-uri 'none'"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=()"),
        ] {
            assert!(
                answer.header(name).contains(words),
                "{place}: {name} is {:?}",
                answer.header(name)
            );
        }
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{place}");
        assert!(!answer.header("content-security-policy").contains("unsafe"), "{place}");
        let kind = answer.header("content-type");
        if answer.is_page() || kind == "application/json" && place.starts_with("/api/") {
            assert!(answer.header("cache-control").contains("no-store"), "{place}");
        }
        if answer.is_page() {
            let inline = [
                " style=",
                "<style",
                "javascript:",
                " onclick=",
                " onload=",
                " onerror=",
                " hx-on",
            ];
            for words in inline {
                assert!(!answer.text.contains(words), "{place}: {words}");
            }
            let scripts = answer.text.split("<script").skip(1);
            for script in scripts {
                let (attributes, text) = script.split_once('>').unwrap();
                let text = text.split("</script>").next().unwrap();
                assert!(
                    attributes.contains("src=\"/assets/") && text.trim().is_empty(),
                    "{place}: {script}"
                );
            }
        }
    }
    ground.assert_untouched();
}

/// What might be written in the place of a number or a value.
const NONSENSE: [&str; 12] = [
    "",
    "0",
    "-1",
    "999999999",
    "99999999999999999999999",
    "1%3Bdrop",
    "%00",
    "%27%22%3Cscript%3E",
    "..%2F..%2Fetc%2Fpasswd",
    "%ff%fe",
    "1e309",
    "NaN",
];

/// W9, and 81 of the bad inputs as far as it is not about accounts: what is not there is not found, and nothing that stands
/// in an address is a fault of ours.
#[tokio::test]
async fn whatever_stands_in_an_address_is_no_fault_of_ours() {
    let ground = furnished().await;
    let places: BTreeSet<String> = walk(&ground).await.into_keys().collect();
    let before = stored(&ground);
    let mut tried = BTreeSet::new();
    for place in &places {
        let (path, query) = place.split_once('?').unwrap_or((place, ""));
        let segments: Vec<&str> = path.split('/').collect();
        let is_number = |idx: &usize| segments[*idx].parse::<u64>().is_ok();
        let idx = (0..segments.len()).find(is_number);
        if let Some(idx) = idx.filter(|_| tried.insert(shape(path))) {
            for nonsense in NONSENSE.into_iter().filter(|nonsense| !nonsense.is_empty()) {
                let mut segments = segments.clone();
                segments[idx] = nonsense;
                let address = segments.join("/");
                let answer = look(&ground, &address).await;
                // A part of a page leads back to its page, whether that is there or not.
                let is_part = answer.status == StatusCode::SEE_OTHER
                    && answer.header("location").starts_with(&segments[..=idx].join("/"));
                // Where an address has more than its number, bytes that are no text are refused before anybody looks at them.
                let is_no_text = answer.status == StatusCode::BAD_REQUEST && nonsense == "%ff%fe";
                assert!(
                    is_part || is_no_text || answer.status == StatusCode::NOT_FOUND,
                    "{address}: {} {}",
                    answer.status,
                    answer.text
                );
            }
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap();
            if !tried.insert(format!("{} by {name}", shape(path))) {
                continue;
            }
            for nonsense in NONSENSE {
                let address = format!("{path}?{name}={nonsense}&{name}={nonsense}");
                let answer = look(&ground, &address).await;
                assert!(
                    answer.status.as_u16() < 500,
                    "{address}: {} {}",
                    answer.status,
                    answer.text
                );
                assert!(!answer.text.contains("<script>'"), "{address}: {}", answer.text);
            }
        }
    }
    assert_eq!(stored(&ground), before);
    ground.assert_untouched();
}

/// W1: the table of who may send what. Programs say nothing of where they come from, and browsers cannot help saying it.
#[tokio::test]
async fn what_another_site_sends_is_refused_and_what_ours_sends_is_not() {
    let ground = Ground::embedded();
    let ours = ground.plain.url.clone();
    let rows: [(&[(&str, &str)], bool); 12] = [
        (&[], true),
        (&[("origin", &ours)], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-origin"), ("origin", &ours)], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", &ours)], false),
        (&[("sec-fetch-site", "nonsense")], false),
        (&[("origin", "null")], false),
        (&[("origin", "http://evil.example")], false),
        (&[("origin", "http://127.0.0.1:1")], false),
    ];
    for (headers, may) in rows {
        for address in [
            "/upload/sample",
            "/experiment",
            "/api/benchmarks/start",
            "/benchmarks",
            "/upload/dump",
        ] {
            let mut asked = ground.plain.client.post(format!("{ours}{address}"));
            for (name, value) in headers {
                asked = asked.header(*name, *value);
            }
            let answer = asked.send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                may,
                "{address}: {headers:?}: {status} {text}"
            );
            assert!(may || text.contains("of another site"), "{text}");
        }
    }
    assert_eq!(
        stored(&ground).iter().find(|(table, _)| table == "jobs").unwrap().1,
        "0 "
    );
    ground.assert_untouched();
}

/// The answer to bytes, or what is left of one, and how long it took.
fn answer_to(ground: &Ground, bytes: &[u8]) -> (String, Duration) {
    let mut stream = TcpStream::connect(ground.plain.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = Instant::now();
    // What is refused is not read to its end.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // It may end in any way, as long as it ends.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it does not end");
    }
    (String::from_utf8_lossy(&answer).into_owned(), asked.elapsed())
}

/// W7, and 74, 78 and 79 of the bad inputs: requests that are none, and those that never end.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_what_never_ends_is_ended() {
    let ground = Ground::embedded();
    let host = ground.plain.url.strip_prefix("http://").unwrap().to_owned();
    let get = |rest: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n{rest}");
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let post = |headers: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded";
        format!("POST /upload/sample HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{form}\r\n{headers}\r\n")
    };
    let large = "x".repeat(300 * 1024);
    for (name, bytes, wanted) in [
        ("200 headers", get(&format!("{many}\r\n")), "HTTP/1.1 431"),
        (
            "a header of a megabyte",
            get(&format!("x: {}\r\n\r\n", "y".repeat(1 << 20))),
            "HTTP/1.1 431",
        ),
        (
            "an address of a megabyte",
            format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(1 << 20)),
            "HTTP/1.1 4",
        ),
        ("no HTTP", "\x16\x03\x01\x02\0\x01\0\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (
            "no host",
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            "HTTP/1.1 4",
        ),
        (
            "another host",
            "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned(),
            "HTTP/1.1 421",
        ),
        (
            "two lengths",
            post("Content-Length: 4\r\nContent-Length: 5\r\n") + "what=",
            "HTTP/1.1 400",
        ),
        (
            "a length and chunks",
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
            "HTTP/1.1 4",
        ),
        (
            "a form that is too large",
            post(&format!("Content-Length: {}\r\n", large.len())) + &large,
            "HTTP/1.1 413",
        ),
        (
            "the same in chunks",
            post("Transfer-Encoding: chunked\r\n") + &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
            "HTTP/1.1 413",
        ),
        (
            "a method that is not meant",
            format!("DELETE / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 405",
        ),
    ] {
        let (answer, _) = answer_to(&ground, bytes.as_bytes());
        assert!(answer.starts_with(wanted), "{name}: {answer}");
        assert!(
            !answer.contains("panicked") && !answer.contains("src/"),
            "{name}: {answer}"
        );
    }
    // Heads have ten seconds; the rest is for a machine with other things to do.
    for words in ["", "G", &get("X-Never: "), &get("Connection: keep-alive\r\n\r\n")] {
        let (_, took) = answer_to(&ground, words.as_bytes());
        assert!(took < PATIENCE, "{words}: {took:?}");
    }
    ground.assert_untouched();
}
