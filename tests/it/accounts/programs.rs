//! Programs: what they are asked for, and their tokens.

use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;

use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::accounts::start;
use crate::server;
use crate::support;

#[tokio::test]
async fn programs_need_a_token_and_fragments_lead_to_the_sign_in() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;

    let answer = ada.get("/api/benchmarks").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "a cookie is no token");
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(body["error"]["code"], "unauthorized");
    let mut request = ada.client.get(format!("{}/api/benchmarks", server.url));
    request = request.header(header::AUTHORIZATION, "Bearer pgassay_nonsense");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));

    let request = ada
        .client
        .get(format!("{}/queue", server.url))
        .header("hx-request", "true");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["hx-redirect"], "/login");

    let mut nobody = Person::of(&server);
    for (path, led_to) in [
        ("/results?tag=x", "/login?next=%2Fresults%3Ftag%3Dx"),
        ("/admin", "/login?next=%2Fadmin"),
    ] {
        assert_eq!(nobody.get(path).await.location.as_deref(), Some(led_to), "{path}");
    }
    for elsewhere in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example",
    ] {
        let form = [("name", "ada"), ("password", PASSWORD), ("next", elsewhere)];
        let answer = Person::of(&server).post("/login", &form).await;
        assert_eq!(answer.location.as_deref(), Some("/"), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_opens_the_api_within_its_scope_until_it_ends() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    for (form, said) in [
        ([("name", ""), ("scope", "read"), ("days", "90")], "A name is needed"),
        (
            [("name", "kept"), ("scope", "all"), ("days", "90")],
            "The scope is read or write.",
        ),
        ([("name", "kept"), ("scope", "read"), ("days", "366")], "1 to 365 days"),
    ] {
        let answer = ada.post("/account/tokens", &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(
            answer.text.contains(said) && answer.text.contains(&format!("value=\"{}\"", form[0].1)),
            "{said}"
        );
    }
    let read = ada.make_token("looks", "read", "").await;
    let write = ada.make_token("works", "write", "1").await;
    let page = ada.get("/account").await.text;
    for token in [&read, &write] {
        assert!(token.starts_with("pgassay_") && page.contains(&token[..14]) && !page.contains(&token[..15]));
        assert_eq!(
            ada.ask_with(token, Method::GET, "/api/datasets", "").await.status,
            StatusCode::OK
        );
    }
    let script = r#"{ "script": "select 1;" }"#;
    let refused = ada.ask_with(&read, Method::POST, "/api/workloads", script).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let added = ada.ask_with(&write, Method::POST, "/api/workloads", script).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);

    // Pages are for browsers.
    for path in ["/", "/account", "/datasets"] {
        let answer = ada.ask_with(&write, Method::GET, path, "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.location.unwrap().starts_with("/login"), "{path}");
    }
    let answer = ada.ask_with(&write, Method::POST, "/account/sign-out", "").await;
    assert_eq!(answer.location.as_deref(), Some("/login"));
    assert_eq!(ada.get("/").await.status, StatusCode::OK, "a token signs nobody out");

    let stored = support::ask_store(dir.path(), "select string_agg(t::text, ' ') from api_tokens t").unwrap();
    assert!(!stored.contains(&read) && !stored.contains(&write[14..]));
    let id = support::ask_store(dir.path(), "select id from api_tokens where name = 'looks'").unwrap();
    let revoked = ada.post(&format!("/account/tokens/{id}/revoke"), &[]).await;
    assert_eq!(revoked.location.as_deref(), Some("/account?done=token"));
    support::ask_store(
        dir.path(),
        "update api_tokens set expires_at = clock_timestamp() returning 1",
    );
    for token in [&read, &write] {
        let answer = ada.ask_with(token, Method::GET, "/api/datasets", "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.text.contains("has expired or was revoked"), "{}", answer.text);
    }
    assert!(ada.get("/account").await.text.contains("expired</span>"));
}

#[tokio::test]
async fn a_program_gets_a_token_by_the_form_of_oauth_and_works_with_it() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", PASSWORD),
        ("scope", "write"),
    ];
    let mut program = Person::of(&server);
    let answer = program.post("/api/auth/token", &form).await;
    assert_eq!(
        (answer.status, &program.cookie),
        (StatusCode::OK, &None),
        "{}",
        answer.text
    );
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(
        (&body["token_type"], &body["scope"]),
        (&"bearer".into(), &"write".into())
    );
    let token = body["access_token"].as_str().unwrap();
    let me = program.ask_with(token, Method::GET, "/api/auth/me", "").await;
    let me: Value = serde_json::from_str(&me.text).unwrap();
    assert_eq!((&me["name"], &me["role"]), (&"ada".into(), &"admin".into()));
    let added = program
        .ask_with(token, Method::POST, "/api/workloads", r#"{ "script": "select 1;" }"#)
        .await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let page = ada.get("/account").await;
    assert!(
        page.text.contains("got by name and password"),
        "its owner sees and can revoke it"
    );
}
