//! Who may send what from where: pages of other sites, listed and not, with a token, with a cookie and with neither.

use axum::http::Method;

use super::*;
use crate::config::Access;

const LISTED: &str = "https://tools.example.org";
const OWN: &str = "https://assay.example.org";

fn router_with(door: &Door, access: Access) -> Router {
    let config = WebConfig {
        access: Some(access),
        cors_origins: vec![LISTED.to_owned()],
        public_url: Some(OWN.parse().unwrap()),
        ..WebConfig::unsaid()
    };
    let services = door.bench.house.services();
    web::router(AppState::new(&services, &config, config.listen, door.shutdown.clone()).unwrap())
}

/// As a browser sends it to a proxy that puts our own name into `Host`.
fn of_a_browser(method: Method, address: &str, headers: Headers<'_>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header(header::CONTENT_TYPE, "application/json");
    of_a_program(request, Body::from("{}"))
}

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

const START: &str = "/api/benchmarks/configure";
const READ: &str = "/api/benchmarks";

#[tokio::test]
async fn a_listed_site_needs_a_token_and_others_get_nothing() {
    let door = Door::open().await;
    let token = door.token(door.bench.house.viewer).await;
    let bearer = format!("Bearer {token}");
    let with_token = ("authorization", bearer.as_str());
    let from = |origin| ("origin", origin);
    let cross = ("sec-fetch-site", "cross-site");
    for access in [Access::Local, Access::Required] {
        let router = router_with(&door, access);
        let by_himself = match access {
            Access::Local => 200,
            Access::Required => 401,
        };
        // What is sent, and what is answered to reading and to sending.
        let cases: &[(Headers<'_>, u16, u16)] = &[
            (&[], by_himself, by_himself),
            (&[with_token], 200, 200),
            (&[with_token, from(LISTED), cross], 200, 200),
            (&[with_token, from(LISTED)], 200, 200),
            (&[from(LISTED), cross], 401, 401),
            (&[from(LISTED)], 401, 401),
            (&[from(LISTED), cross, ("cookie", "session=x")], 401, 401),
            (&[from(LISTED), ("authorization", "Basic eDp5")], 401, 401),
            (&[from(LISTED), ("authorization", "Bearer pgassay_x")], 401, 401),
            (&[with_token, from("https://evil.example"), cross], 200, 403),
            (
                &[with_token, from("https://tools.example.org.evil.example"), cross],
                200,
                403,
            ),
            (&[with_token, from("http://tools.example.org")], 200, 403),
            (&[with_token, from("null"), cross], 200, 403),
            (&[with_token, cross], 200, 403),
            (&[with_token, from(OWN)], 200, 200),
            (&[with_token, from("http://127.0.0.1:8000")], 200, 200),
            // Whatever a header says of the way that a request has come.
            (
                &[with_token, from("https://127.0.0.1:1"), ("x-forwarded-proto", "https")],
                200,
                403,
            ),
        ];
        for (headers, read, sent) in cases {
            let answer = send(&router, of_a_browser(Method::GET, READ, headers)).await;
            assert_eq!(answer.status, *read, "{access:?} GET {headers:?}");
            let is_listed = headers.contains(&from(LISTED));
            let allowed = answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(
                allowed.map(|origin| origin.to_str().unwrap()),
                is_listed.then_some(LISTED),
                "{headers:?}"
            );
            assert!(!answer.headers.contains_key("access-control-allow-credentials"));
            let answer = send(&router, of_a_browser(Method::POST, START, headers)).await;
            assert_eq!(answer.status, *sent, "{access:?} POST {headers:?}");
        }
    }
    door.close().await;
}

#[tokio::test]
async fn pages_take_nothing_from_a_listed_site_and_what_is_ours_by_its_public_name() {
    let door = Door::open().await;
    let token = door.token(door.bench.house.viewer).await;
    let bearer = format!("Bearer {token}");
    let router = router_with(&door, Access::Local);
    for (origin, status) in [
        (LISTED, 403),
        ("null", 403),
        ("https://evil.example", 403),
        (OWN, 303),
        ("http://127.0.0.1:8000", 303),
    ] {
        let request = Request::post("/logout")
            .header(header::ORIGIN, origin)
            .header(header::AUTHORIZATION, &bearer)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = send(&router, of_a_program(request, Body::empty())).await;
        assert_eq!(answer.status, status, "{origin}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    door.close().await;
}

#[tokio::test]
async fn a_browser_that_asks_before_it_sends_is_told_of_listed_sites_alone() {
    let door = Door::open().await;
    let ask = |origin: &str, address: &str| {
        let request = Request::options(address)
            .header(header::ORIGIN, origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization,content-range");
        of_a_program(request, Body::empty())
    };
    let router = router_with(&door, Access::Required);
    let told = send(&router, ask(LISTED, "/api/datasets/uploads/x")).await;
    let said = |name: &str| told.headers[name].to_str().unwrap().to_lowercase();
    assert_eq!(told.status, 200);
    assert_eq!(said("access-control-allow-origin"), LISTED);
    assert_eq!(said("access-control-allow-methods"), "get,post,put,patch,delete");
    assert_eq!(
        said("access-control-allow-headers"),
        "authorization,content-type,content-range,idempotency-key"
    );
    assert!(!told.headers.contains_key("access-control-allow-credentials"));
    for (origin, address) in [("https://evil.example", READ), ("null", READ), (LISTED, "/experiment")] {
        let told = send(&router, ask(origin, address)).await;
        assert!(
            !told.headers.contains_key("access-control-allow-origin"),
            "{origin} {address}"
        );
    }
    let closed = send(&door.router, ask(LISTED, READ)).await;
    assert!(
        closed
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control")),
        "nobody is told anything where nobody is listed"
    );
    door.close().await;
}

#[tokio::test]
async fn browsers_that_come_by_https_are_told_to_stay_with_it() {
    let door = Door::open().await;
    let forwarded = || of_a_browser(Method::GET, "/healthz", &[("x-forwarded-proto", "https")]);
    let plain = send(&door.router, forwarded()).await;
    assert!(!plain.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    let secure = router_with(&door, Access::Required);
    for address in ["/healthz", "/login", "/nowhere", "/api/datasets"] {
        let told = send(&secure, of_a_browser(Method::GET, address, &[])).await;
        assert_eq!(
            told.headers[header::STRICT_TRANSPORT_SECURITY],
            "max-age=63072000",
            "{address}"
        );
    }
    door.close().await;
}
