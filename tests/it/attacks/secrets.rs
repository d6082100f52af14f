//! What people and programs give that nobody else shall read, and where it must not turn up.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use reqwest::header;
use reqwest::redirect;

use crate::faults::ground::Serve;
use crate::scratch;
use crate::server;
use crate::support::ask_store;

const PASSWORD: &str = "seven purple kettles sing";
const NEXT_PASSWORD: &str = "nine amber ladders lean";
const MISTAKEN: &str = "a password of elsewhere";
/// Of a server that there is not.
const OF_A_SERVER: &str = "marmalade4711";

/// A browser that keeps its cookie, and what it was ever shown.
struct Browser {
    client: reqwest::Client,
    url: String,
    cookie: Option<String>,
    shown: Vec<(String, String)>,
}

impl Browser {
    async fn send(&mut self, path: &str, form: Option<&[(&str, &str)]>) -> (StatusCode, String) {
        let address = format!("{}{path}", self.url);
        let mut request = match form {
            Some(form) => self.client.post(address).form(form),
            None => self.client.get(address),
        };
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        if let Some(given) = answer.headers().get(header::SET_COOKIE) {
            let given = given.to_str().unwrap();
            self.cookie = Some(given.split(';').next().unwrap().to_owned());
        }
        let status = answer.status();
        let text = answer.text().await.unwrap();
        self.shown.push((path.to_owned(), text.clone()));
        (status, text)
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
        self.send(path, Some(form)).await
    }
}

/// What stands between two words.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}"));
    rest.split_once(behind).unwrap().0
}

/// S5: nothing of it is in a log that says all it can, in the store, or on any page but the one that hands it over.
#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one way through everything that takes or gives a secret"
)]
async fn what_opens_something_is_in_no_log_no_table_and_on_no_page_but_its_own() {
    let dir = scratch::dir().join("data");
    let environment = [
        ("PGASSAY_ACCESS", "required"),
        ("PGASSAY_LOG", "debug,sqlx=trace,pgassay=trace"),
        ("PGASSAY_LOG_REQUESTS", "true"),
        ("PGASSAY_SERVER_HOSTS", "127.0.0.1:1"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let serve = Serve::start(&dir, &environment);
    let setup = serve
        .log()
        .iter()
        .find_map(|line| Some(line.split_once("/setup?token=")?.1.to_owned()))
        .unwrap();
    let mut ada = Browser {
        client: server::client().redirect(redirect::Policy::none()).build().unwrap(),
        url: format!("http://{}", serve.address),
        cookie: None,
        shown: Vec::new(),
    };

    // Everything that takes or gives a secret, in a way that works and in one that does not.
    ada.send(&format!("/setup?token={setup}"), None).await;
    ada.shown.clear();
    ada.post("/setup", &[("token", &setup), ("name", "a b"), ("password", PASSWORD)])
        .await;
    ada.shown.clear();
    let (status, _) = ada
        .post("/setup", &[("token", &setup), ("name", "ada"), ("password", PASSWORD)])
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let first_session = ada.cookie.clone().unwrap();
    ada.post("/login", &[("name", "ada"), ("password", MISTAKEN)]).await;
    ada.post("/login", &[("name", MISTAKEN), ("password", PASSWORD)]).await;
    // What was typed into the field of names stays there.
    ada.shown.clear();
    ada.post("/account/password", &[("old", MISTAKEN), ("password", NEXT_PASSWORD)])
        .await;
    let (status, _) = ada
        .post("/account/password", &[("old", PASSWORD), ("password", NEXT_PASSWORD)])
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, page) = ada
        .post("/account/tokens", &[("name", "t"), ("scope", "write"), ("days", "1")])
        .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let token = between(&page, "id=\"new-token\">", "<").to_owned();
    ada.shown.pop();
    let (status, page) = ada.post("/admin/invitations", &[("role", "editor")]).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let invitation = between(&page, "?invitation=", "<").to_owned();
    ada.shown.pop();
    let (_, page) = ada.post("/upload/sample", &[("what", "queries")]).await;
    drop(page);
    let (status, page) = ada.post("/workloads/1/sharing/links", &[("lifetime", "week")]).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let link = between(&page, "/links/", "<").to_owned();
    ada.shown.pop();
    let session = ada.cookie.clone().unwrap();
    for path in [format!("/links/{link}"), format!("/register?invitation={invitation}")] {
        let request = ada.client.get(format!("{}{path}", ada.url));
        request.send().await.unwrap();
    }
    for (path, bearer) in [("/api/auth/me", token.clone()), ("/api/datasets", format!("{token}x"))] {
        let request = ada.client.get(format!("{}{path}", ada.url)).bearer_auth(bearer);
        request.send().await.unwrap();
    }
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", NEXT_PASSWORD),
    ];
    let answer = ada
        .client
        .post(format!("{}/api/auth/token", ada.url))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let by_password = body["access_token"].as_str().unwrap().to_owned();
    for host in ["127.0.0.1:1", "127.0.0.1:2"] {
        let address = format!("postgresql://loader:{OF_A_SERVER}@{host}/db?connect_timeout=1");
        ada.post("/servers", &[("name", "theirs"), ("address", &address), ("secret", "")])
            .await;
    }
    ada.post("/servers/1/test", &[]).await;
    for path in [
        "/",
        "/account",
        "/admin",
        "/admin/log",
        "/admin/accounts",
        "/admin/settings",
        "/servers",
        "/servers/1",
        "/workloads/1/sharing",
    ] {
        let (status, page) = ada.send(path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
    }

    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    let secrets: BTreeMap<&str, String> = [
        ("the password", PASSWORD.to_owned()),
        ("the next password", NEXT_PASSWORD.to_owned()),
        ("a mistaken password", MISTAKEN.to_owned()),
        ("the password of a server", OF_A_SERVER.to_owned()),
        ("the first session", value(&first_session)),
        ("the session", value(&session)),
        ("the token", token),
        ("the token for a password", by_password),
        ("the invitation", invitation),
        ("the link", link),
        ("the setup token", setup),
    ]
    .into();
    let tables = ask_store(
        &dir,
        "select string_agg(format('select %L || coalesce(string_agg(t::text, '' ''), '''') from %I t', tablename || ': ', tablename), \
         ' union all ') from pg_tables where schemaname = 'public'",
    );
    let stored = ask_store(&dir, &tables.unwrap()).unwrap();
    assert!(
        stored.contains("ada") && stored.lines().count() > 30,
        "all tables are there: {stored}"
    );
    let logged = serve.log();
    let count = logged.iter().filter(|line| line.contains("/login")).count();
    assert!(count >= 2, "the log says all it can: {count}");
    for (name, secret) in &secrets {
        assert!(!stored.contains(secret), "{name} is in the store");
        for line in &logged {
            // It is printed for whoever starts pgassay, once, and is no line of the log.
            let is_offer = *name == "the setup token" && line.trim_start().starts_with("http");
            assert!(is_offer || !line.contains(secret), "{name} is in the log: {line}");
        }
        for (path, page) in &ada.shown {
            assert!(!page.contains(secret), "{name} is on {path}: {page}");
        }
    }
    serve.stop();
}
