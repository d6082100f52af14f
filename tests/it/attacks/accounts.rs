//! What somebody may try to come in, to stay in, or to learn of others, where people sign in.

use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header;

use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::accounts::start;
use crate::server;
use crate::server::Server;
use crate::support::ask_store;

/// W2 and W4: behind HTTPS cookies are for nothing else, and browsers are told to stay there, whatever they ask for.
#[tokio::test]
async fn where_people_come_by_https_nothing_goes_another_way() {
    let dir = server::data_dir();
    let options = [
        "--access",
        "required",
        "--public-url",
        "https://assay.example.org",
        "--trusted-proxies",
        "127.0.0.1",
    ];
    let server = Server::start_with(dir.path(), &options);
    let mut ada = Person::of(&server);
    let token = server.setup_token.clone().unwrap();
    let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
    let entered = ada.post("/setup", &form).await;
    let given = entered.given.unwrap();
    assert!(given.starts_with("__Host-session="), "{given}");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(given.contains(part), "{part}: {given}");
    }
    assert!(!given.contains("Domain"), "{given}");

    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/results/77", 404),
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/assets/nothing.js", 404),
        (Method::GET, "/api/datasets", 401),
        (Method::GET, "/healthz", 200),
        (Method::POST, "/experiment", 422),
        (Method::DELETE, "/", 405),
    ] {
        let request = ada.client.request(method.clone(), format!("{}{path}", server.url));
        let request = request.header(header::COOKIE, ada.cookie.clone().unwrap());
        let request = if method == Method::POST {
            request.form(&[("x", "y")])
        } else {
            request
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let hsts = answer.headers().get(header::STRICT_TRANSPORT_SECURITY);
        assert_eq!(hsts.unwrap(), "max-age=63072000", "{method} {path}");
    }

    // A cookie that another site of the same name, or somebody on the way, has set without HTTPS is no session.
    let (_, secret) = ada.cookie.as_deref().unwrap().split_once('=').unwrap();
    let mut planted = Person::of(&server);
    planted.cookie = Some(format!("session={secret}"));
    assert_eq!(planted.get("/account").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.get("/account").await.status, StatusCode::OK);
}

/// Without HTTPS nobody is told to use it: they would be locked out.
#[tokio::test]
async fn where_there_is_no_https_nobody_is_sent_there() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let client = server::client().build().unwrap();
    let request = client.get(format!("{}/login", server.url));
    // As anybody can send it.
    let answer = request.header("x-forwarded-proto", "https").send().await.unwrap();
    assert!(!answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
    let ada = Person::first(&server).await;
    assert!(ada.cookie.unwrap().starts_with("session="));
}

/// W2, and 82 of the bad inputs.
#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_a_week_behind_its_beginning() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let set = |what: &str| {
        let sql = format!("update sessions set {what}");
        ask_store(dir.path(), &sql).unwrap();
    };
    for aged in [
        "seen_at = seen_at - interval '12 hours 1 second'",
        "expires_at = expires_at - interval '7 days 1 second'",
    ] {
        assert_eq!(ada.get("/account").await.status, StatusCode::OK);
        set(aged);
        let page = ada.get("/account").await;
        assert_eq!(page.location.as_deref(), Some("/login?next=%2Faccount"), "{aged}");
        let request = ada
            .client
            .get(format!("{}/queue", server.url))
            .header("hx-request", "true");
        let request = request.header(header::COOKIE, ada.cookie.clone().unwrap());
        let fragment = request.send().await.unwrap();
        assert_eq!(fragment.status(), StatusCode::UNAUTHORIZED, "{aged}");
        assert_eq!(fragment.headers()["hx-redirect"], "/login");
        assert!(
            !fragment.text().await.unwrap().contains("type=\"password\""),
            "no form is put into the middle of a page"
        );
        let again = ada.sign_in("ada", PASSWORD).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER);
    }
    // Of one that goes on for as long as it may, less is left and not more.
    set("expires_at = clock_timestamp() + interval '1 hour', seen_at = clock_timestamp() - interval '2 hours'");
    assert_eq!(ada.get("/account").await.status, StatusCode::OK);
    let left = "select max(expires_at) <= clock_timestamp() + interval '1 hour' from sessions";
    assert_eq!(ask_store(dir.path(), left).as_deref(), Some("t"));
}

/// W12.
#[tokio::test]
async fn a_setup_token_is_good_for_a_day_and_for_nothing_else() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let token = server.setup_token.clone().unwrap();
    let form = [("token", &*token), ("name", "eve"), ("password", PASSWORD)];
    // Neither a session, nor an invitation, nor a link, nor a token of the API.
    let mut eve = Person::of(&server);
    eve.cookie = Some(format!("session={token}"));
    assert_eq!(eve.get("/account").await.status, StatusCode::SEE_OTHER);
    eve.cookie = None;
    assert_eq!(eve.get(&format!("/links/{token}")).await.status, StatusCode::NOT_FOUND);
    assert_ne!(
        eve.get(&format!("/register?invitation={token}")).await.status,
        StatusCode::OK
    );
    let request = eve
        .client
        .get(format!("{}/api/datasets", server.url))
        .bearer_auth(&token);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let lifetime = "select max(expires_at) between clock_timestamp() + interval '23 hours' and clock_timestamp() + interval '24 hours' from setup_tokens";
    assert_eq!(ask_store(dir.path(), lifetime).as_deref(), Some("t"));
    ask_store(dir.path(), "update setup_tokens set expires_at = clock_timestamp()").unwrap();
    let late = eve.post("/setup", &form).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.text);
    assert!(late.text.contains("older than a day"), "{}", late.text);
    drop(server);
    // The next start prints another, and the first is good no more.
    let server = start(dir.path());
    let next = server.setup_token.clone().unwrap();
    assert_ne!(next, token);
    let mut eve = Person::of(&server);
    assert_eq!(eve.post("/setup", &form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    Person::first(&server).await;
    drop(server);
    let server = start(dir.path());
    assert_eq!(server.setup_token, None, "there is an admin");
}

/// 85 and 86 of the bad inputs, W5: what is no password is refused before anything is made of it.
#[tokio::test]
async fn what_is_no_password_makes_no_account_and_a_closed_door_makes_none_either() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let n_users = || ask_store(dir.path(), "select count(*) from users").unwrap();
    let before = n_users();
    let mut eve = Person::of(&server);
    let form = [("name", "eve"), ("password", PASSWORD)];
    for path in ["/register", "/api/auth/register"] {
        let answer = eve.post(path, &form).await;
        assert!(
            [StatusCode::FORBIDDEN, StatusCode::UNSUPPORTED_MEDIA_TYPE].contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
    }
    let request = eve.client.post(format!("{}/api/auth/register", server.url));
    let body = format!(r#"{{ "name": "eve", "password": "{PASSWORD}" }}"#);
    let answer = request
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(n_users(), before);

    let opened = ada
        .post("/admin/settings/registration", &[("registration", "open")])
        .await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.text);
    let huge = "x".repeat(10 << 20);
    let long = "long words ".repeat(100);
    let wide = "\u{1f980}".repeat(129);
    for (password, status) in [
        (&*huge, StatusCode::PAYLOAD_TOO_LARGE),
        (&long, StatusCode::UNPROCESSABLE_ENTITY),
        (&wide, StatusCode::UNPROCESSABLE_ENTITY),
        ("eleven char", StatusCode::UNPROCESSABLE_ENTITY),
        ("", StatusCode::UNPROCESSABLE_ENTITY),
        ("qwertyuiop123", StatusCode::UNPROCESSABLE_ENTITY),
        ("aaaaaaaaaaaaaaaa", StatusCode::UNPROCESSABLE_ENTITY),
        ("evelyn.Evelyn", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let form = [("name", "evelyn"), ("password", password)];
        let begin: String = password.chars().take(20).collect();
        let answer = eve.post("/register", &form).await;
        assert_eq!(answer.status, status, "{begin}");
        assert!(
            begin.len() < 8 || !answer.text.contains(&begin),
            "a password does not come back: {begin}"
        );
        // Nor is it taken where somebody comes in.
        let answer = eve.sign_in("ada", password).await;
        assert_ne!(answer.status, StatusCode::SEE_OTHER, "{begin}");
        ask_store(dir.path(), "delete from rate_limits").unwrap();
    }
    assert_eq!(n_users(), before);
    let made = eve
        .post("/register", &[("name", "evelyn"), ("password", PASSWORD)])
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
}

/// W8, and 87 of the bad inputs.
#[tokio::test]
async fn a_token_that_is_not_good_is_refused_with_what_is_asked_for() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let read = ada.make_token("looks", "read", "1").await;
    let old = ada.make_token("old", "write", "1").await;
    let gone = ada.make_token("gone", "write", "1").await;
    let age = "update api_tokens set expires_at = clock_timestamp() where name = 'old'";
    ask_store(dir.path(), age).unwrap();
    let id = ask_store(dir.path(), "select id from api_tokens where name = 'gone'").unwrap();
    ada.post(&format!("/account/tokens/{id}/revoke"), &[]).await;
    let mistyped = format!("{}x", &read[..read.len() - 1]);
    let cookie = ada.cookie.clone().unwrap();
    for (header_value, method, status, asked) in [
        (None, Method::GET, StatusCode::UNAUTHORIZED, Some("Bearer")),
        (
            Some(format!("Bearer {old}")),
            Method::GET,
            StatusCode::UNAUTHORIZED,
            Some("invalid_token"),
        ),
        (
            Some(format!("Bearer {gone}")),
            Method::GET,
            StatusCode::UNAUTHORIZED,
            Some("invalid_token"),
        ),
        (
            Some(format!("Bearer {mistyped}")),
            Method::GET,
            StatusCode::UNAUTHORIZED,
            Some("invalid_token"),
        ),
        (
            Some("Bearer ".to_owned()),
            Method::GET,
            StatusCode::UNAUTHORIZED,
            Some("Bearer"),
        ),
        (
            Some("Basic YWRhOng=".to_owned()),
            Method::GET,
            StatusCode::UNAUTHORIZED,
            Some("Bearer"),
        ),
        (
            Some(format!("Bearer {read}")),
            Method::POST,
            StatusCode::FORBIDDEN,
            Some("insufficient_scope"),
        ),
        (Some(format!("Bearer {read}")), Method::GET, StatusCode::OK, None),
    ] {
        let mut request = ada.client.request(method, format!("{}/api/workloads", server.url));
        request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(r#"{ "script": "select 1;" }"#);
        // Beside it the cookie of somebody who may do everything.
        request = request.header(header::COOKIE, &cookie);
        if let Some(value) = &header_value {
            request = request.header(header::AUTHORIZATION, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{header_value:?}");
        let says = answer
            .headers()
            .get(header::WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap().to_owned());
        match asked {
            Some(word) => assert!(
                says.as_ref().is_some_and(|says| says.contains(word)),
                "{header_value:?}: {says:?}"
            ),
            None => assert_eq!(says, None),
        }
    }
    // Not in an address either, which logs and histories keep.
    for path in [
        format!("/api/datasets?token={read}"),
        format!("/api/datasets?access_token={read}"),
    ] {
        let answer = ada.client.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let none = ask_store(dir.path(), "select count(*) from workloads");
    assert_eq!(none.as_deref(), Some("0"));
}

/// 81 of the bad inputs: what is somebody else's cannot be told from what is not there.
#[tokio::test]
async fn what_is_somebody_elses_looks_like_what_is_not_there() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let answer = ada.post("/upload/sample", &[("what", "both")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let make =
        "insert into users (name, role, password_hash) select 'eve', 'editor', password_hash from users where is_local";
    ask_store(dir.path(), make).unwrap();
    let mut eve = Person::of(&server);
    eve.sign_in("eve", PASSWORD).await;
    let token = eve.make_token("hers", "write", "1").await;
    for thing in ["datasets", "workloads"] {
        assert_eq!(ada.get(&format!("/{thing}/1")).await.status, StatusCode::OK);
        for (method, part) in [
            (Method::GET, ""),
            (Method::GET, "/delete"),
            (Method::POST, "/delete"),
            (Method::GET, "/filing"),
            (Method::POST, "/filing"),
            (Method::GET, "/sharing"),
            (Method::POST, "/sharing"),
        ] {
            let form = [("with", "everybody"), ("tags", "mine")];
            let theirs = eve.send(method.clone(), &format!("/{thing}/1{part}"), &form).await;
            let nobodys = eve.send(method.clone(), &format!("/{thing}/7{part}"), &form).await;
            assert_eq!(theirs.status, StatusCode::NOT_FOUND, "{method} /{thing}/1{part}");
            assert_eq!(
                (theirs.status, theirs.text),
                (nobodys.status, nobodys.text),
                "{method} /{thing}{part}"
            );
        }
        for method in [Method::GET, Method::DELETE] {
            let ask = async |id: u32| {
                let request = eve
                    .client
                    .request(method.clone(), format!("{}/api/{thing}/{id}", server.url));
                let answer = request.bearer_auth(&token).send().await.unwrap();
                (answer.status(), answer.text().await.unwrap())
            };
            let theirs = ask(1).await;
            assert_eq!(theirs.0, StatusCode::NOT_FOUND, "{method} {thing}");
            assert_eq!(theirs, ask(7).await, "{method} {thing}");
        }
    }
}

/// W6 from outside: an account that asks without end is told when to come again, and others go on.
#[tokio::test]
async fn a_program_that_asks_without_end_is_told_when_to_come_again() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let token = ada.make_token("greedy", "write", "1").await;
    let ask = async || {
        let request = ada.client.get(format!("{}/api/auth/me", server.url));
        request.bearer_auth(&token).send().await.unwrap()
    };
    let mut n_answers = 0;
    let refused = loop {
        let answer = ask().await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        n_answers += 1;
        assert!(n_answers < 1000, "there is no end to it");
    };
    assert!(n_answers >= 120, "{n_answers}");
    let wait: u64 = refused.headers()[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait > 0 && wait <= 60, "{wait}");
    assert_eq!(
        ada.get("/account").await.status,
        StatusCode::OK,
        "pages are no part of it"
    );
    let request = ada.client.get(format!("{}/api/docs", server.url));
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::OK,
        "nor is who has no token"
    );
    assert!(
        ask_store(dir.path(), "select count(*) from rate_limits").is_some_and(|n| n != "0"),
        "the store counts, so that several processes count together"
    );
}
