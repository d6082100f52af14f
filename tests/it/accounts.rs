//! People who sign in, as HTTP sees them: the first admin, sessions, what belongs to whom.

use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;

use crate::server;
use crate::server::Server;
use crate::support;

/// Of everybody in these tests.
pub const PASSWORD: &str = "seven purple kettles sing";

/// A browser of somebody: what it sends, and the cookie that it keeps.
pub struct Person<'a> {
    pub server: &'a Server,
    pub client: reqwest::Client,
    pub cookie: Option<String>,
}

pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    /// The cookie that came with it, with all that is said of it.
    pub given: Option<String>,
    pub text: String,
}

impl<'a> Person<'a> {
    pub fn of(server: &'a Server) -> Self {
        let client = server::client()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            server,
            client,
            cookie: None,
        }
    }

    pub async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.server.url));
        if method != Method::GET {
            request = request.form(form);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let given = header(header::SET_COOKIE);
        if let Some(given) = &given {
            assert!(given.contains("; HttpOnly; SameSite=Lax"), "{given}");
            let (pair, _) = given.split_once(';').unwrap();
            self.cookie = (!given.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        Answer {
            status: answer.status(),
            location: header(header::LOCATION),
            given,
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, form).await
    }

    /// A browser of the first admin, who is called ada.
    pub async fn first(server: &'a Server) -> Self {
        let token = server.setup_token.clone().unwrap();
        let mut ada = Self::of(server);
        let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
        assert_eq!(ada.post("/setup", &form).await.status, StatusCode::SEE_OTHER);
        ada
    }

    /// Another browser, in which somebody signs in.
    async fn also(server: &'a Server, name: &str, password: &str) -> Self {
        let mut person = Self::of(server);
        assert_eq!(person.sign_in(name, password).await.status, StatusCode::SEE_OTHER);
        person
    }

    /// Makes a token on the page, which shows it.
    pub async fn make_token(&mut self, name: &str, scope: &str, days: &str) -> String {
        let form = [("name", name), ("scope", scope), ("days", days)];
        let page = self.post("/account/tokens", &form).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let (_, behind) = page.text.split_once("id=\"new-token\">").expect("the token is shown");
        behind.split_once('<').unwrap().0.to_owned()
    }

    /// Asks for something as a program does, with a token and without a cookie.
    async fn ask_with(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.server.url));
        let request = request
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/json");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let location = answer.headers().get(header::LOCATION);
        Answer {
            status: answer.status(),
            location: location.map(|value| value.to_str().unwrap().to_owned()),
            given: None,
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.post("/login", &[("name", name), ("password", password)]).await
    }
}

/// A server at which people sign in.
pub fn start(data_dir: &std::path::Path) -> Server {
    Server::start_with(data_dir, &["--access", "required"])
}

#[tokio::test]
async fn the_first_admin_is_made_by_the_token_that_was_printed_and_then_nobody_else_is() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let token = server.setup_token.clone().expect("a token was printed");
    let mut ada = Person::of(&server);
    let answer = ada.get("/").await;
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/login"))
    );
    assert_eq!(ada.get("/login").await.location.as_deref(), Some("/setup"));

    for (token, name, password, said) in [
        ("x", "ada", PASSWORD, "is not the setup token"),
        (&*token, "a b", PASSWORD, "A name is made of"),
        (&*token, "ada", "short", "at least 12 characters"),
        (&*token, "ada", "password1234", "among the first that are tried"),
    ] {
        let form = [("token", token), ("name", name), ("password", password)];
        let answer = ada.post("/setup", &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(answer.text.contains(said), "{said}");
        assert!(!answer.text.contains(password), "a password does not come back");
    }
    let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
    let answer = ada.post("/setup", &form).await;
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/"))
    );
    let page = ada.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains(">ada</a>") && page.text.contains("Administration") && page.text.contains("Sign out"));

    let mut eve = Person::of(&server);
    let again = eve.post("/setup", &form).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "the token is used up");
    assert_eq!(eve.get("/setup").await.location.as_deref(), Some("/login"));
    assert_eq!(
        eve.get("/register").await.status,
        StatusCode::FORBIDDEN,
        "closed until an admin says otherwise"
    );
}

#[tokio::test]
async fn two_who_claim_at_once_make_one_admin() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let token = server.setup_token.clone().unwrap();
    let claims = ["ada", "bob"].map(async |name| {
        let form = [("token", &*token), ("name", name), ("password", PASSWORD)];
        Person::of(&server).post("/setup", &form).await.status
    });
    let [one, two] = claims;
    let (one, two) = tokio::join!(one, two);
    let came_in = [one, two]
        .iter()
        .filter(|status| **status == StatusCode::SEE_OTHER)
        .count();
    assert_eq!(came_in, 1, "{one} {two}");
    let n_admins = support::ask_store(dir.path(), "select count(*) from users where password_hash is not null");
    assert_eq!(n_admins.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_session_is_new_at_each_sign_in_is_stored_as_a_hash_and_ends_when_it_is_ended() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let token = server.setup_token.clone().unwrap();
    let mut ada = Person::of(&server);
    ada.post("/setup", &[("token", &*token), ("name", "ada"), ("password", PASSWORD)])
        .await;
    let first = ada.cookie.clone().unwrap();

    // What somebody has planted is not taken over.
    let mut planted = Person::of(&server);
    planted.cookie = Some(format!("session={}", "A".repeat(43)));
    let answer = planted.sign_in("ADA", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let second = planted.cookie.clone().unwrap();
    assert!(second != first && !second.ends_with("AAAA"));

    let stored = support::ask_store(
        dir.path(),
        "select string_agg(encode(token_hash, 'escape'), ' ') from sessions",
    );
    let secret = first.strip_prefix("session=").unwrap();
    assert!(!stored.unwrap().contains(secret));
    let mut thief = Person::of(&server);
    let hash = support::ask_store(dir.path(), "select encode(token_hash, 'base64') from sessions limit 1").unwrap();
    let hash = hash.trim_end_matches('=').replace('+', "-").replace('/', "_");
    thief.cookie = Some(format!("session={hash}"));
    assert_eq!(
        thief.get("/").await.status,
        StatusCode::SEE_OTHER,
        "a row of the store opens nothing"
    );

    let answer = ada.post("/logout", &[]).await;
    assert_eq!((answer.status, ada.cookie.clone()), (StatusCode::SEE_OTHER, None));
    ada.cookie = Some(first);
    assert_eq!(
        ada.get("/").await.status,
        StatusCode::SEE_OTHER,
        "a session that was ended stays so"
    );
    assert_eq!(planted.get("/").await.status, StatusCode::OK, "the other goes on");
}

#[tokio::test]
async fn whoever_tries_passwords_has_to_wait_and_locks_nobody_else_out() {
    let dir = server::data_dir();
    let options = ["--access", "required", "--trusted-proxies", "127.0.0.1"];
    let server = Server::start_with(dir.path(), &options);
    let token = server.setup_token.clone().unwrap();
    let mut ada = Person::of(&server);
    ada.post("/setup", &[("token", &*token), ("name", "ada"), ("password", PASSWORD)])
        .await;

    let from = async |address: &str, name: &str, password: &str| {
        let form = [("name", name), ("password", password)];
        let request = ada.client.post(format!("{}/login", server.url)).form(&form);
        let answer = request.header("x-forwarded-for", address).send().await.unwrap();
        let wait = answer.headers().get(header::RETRY_AFTER).cloned();
        (answer.status(), wait, answer.text().await.unwrap())
    };
    let mut said = Vec::new();
    for name in ["ada", "nobody"] {
        let (status, _, text) = from("198.51.100.1", name, "wrong").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        said.push(text.replace(name, "somebody"));
    }
    assert_eq!(said[0], said[1], "nothing tells whether there is such an account");
    for _ in 0..4 {
        from("198.51.100.1", "ada", "wrong").await;
    }
    let (status, wait, text) = from("198.51.100.1", "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(wait.unwrap().to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(text.contains("Try again in"), "{text}");
    // Who writes an address of their own before that of the proxy's is still themselves.
    let (status, ..) = from("203.0.113.9, 198.51.100.1", "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let (status, ..) = from("192.0.2.7", "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "from elsewhere she comes in");
}

#[tokio::test]
async fn programs_need_a_token_and_fragments_lead_to_the_sign_in() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let token = server.setup_token.clone().unwrap();
    let mut ada = Person::of(&server);
    ada.post("/setup", &[("token", &*token), ("name", "ada"), ("password", PASSWORD)])
        .await;

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
async fn a_new_password_ends_every_other_session_and_the_old_one_opens_nothing() {
    const NEW: &str = "eight green lanterns hum";
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let mut elsewhere = Person::also(&server, "ada", PASSWORD).await;
    for (old, new, said) in [
        ("my other one", NEW, "This is not your password."),
        (PASSWORD, "too-few", "at least 12 characters"),
        (PASSWORD, "password1234", "among the first that are tried"),
    ] {
        let answer = ada.post("/account/password", &[("old", old), ("password", new)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(answer.text.contains(said), "{said}");
        assert!(
            !answer.text.contains(old) && !answer.text.contains(new),
            "no password comes back"
        );
    }
    assert_eq!(elsewhere.get("/account").await.status, StatusCode::OK);

    let changed = ada
        .post("/account/password", &[("old", PASSWORD), ("password", NEW)])
        .await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text);
    let page = ada.get(&changed.location.unwrap()).await;
    assert_eq!(page.status, StatusCode::OK, "this session goes on");
    assert!(page.text.contains("Your password is changed."));
    assert_eq!(
        elsewhere.get("/account").await.location.as_deref(),
        Some("/login?next=%2Faccount")
    );
    let mut again = Person::of(&server);
    assert_eq!(
        again.sign_in("ada", PASSWORD).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(again.sign_in("ada", NEW).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all_at_once() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let mut second = Person::also(&server, "ada", PASSWORD).await;
    let mut third = Person::also(&server, "ada", PASSWORD).await;
    let page = ada.get("/account").await.text;
    assert_eq!(
        (page.matches("/end\"").count(), page.matches("(this one)").count()),
        (3, 1),
        "{page}"
    );
    assert!(page.contains("127.0.0.1"));

    let ids = support::ask_store(dir.path(), "select string_agg(id::text, ' ' order by id) from sessions").unwrap();
    let ids: Vec<&str> = ids.split(' ').collect();
    let ended = ada.post(&format!("/account/sessions/{}/end", ids[1]), &[]).await;
    assert_eq!(ended.location.as_deref(), Some("/account?done=session"));
    assert_eq!(second.get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(third.get("/").await.status, StatusCode::OK);
    let again = ada.post(&format!("/account/sessions/{}/end", ids[1]), &[]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);

    let stolen = ada.cookie.clone();
    let out = ada.post("/account/sign-out", &[]).await;
    assert_eq!((out.location.as_deref(), &ada.cookie), (Some("/login"), &None));
    ada.cookie = stolen;
    for person in [&mut ada, &mut third] {
        assert_eq!(person.get("/").await.status, StatusCode::SEE_OTHER, "everybody is out");
    }
    let n_left = support::ask_store(dir.path(), "select count(*) from sessions");
    assert_eq!(n_left.as_deref(), Some("0"));
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

#[tokio::test]
async fn where_nobody_signs_in_the_account_has_no_password_and_no_sessions() {
    let dir = server::data_dir();
    let server = Server::start(dir.path());
    let mut somebody = Person::of(&server);
    let page = somebody.get("/account").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Nobody signs in to this pgassay") && page.text.contains("Make the token"));
    for word in ["Change the password", "Sign out everywhere", "type=\"password\""] {
        assert!(!page.text.contains(word), "{word}");
    }
    let token = somebody.make_token("local", "read", "30").await;
    let refused = somebody
        .ask_with(&token, Method::POST, "/api/workloads", r#"{ "script": "select 1;" }"#)
        .await;
    assert_eq!(
        refused.status,
        StatusCode::FORBIDDEN,
        "a token holds what it says, here too"
    );
    for path in ["/account/password", "/account/sign-out"] {
        let answer = somebody.post(path, &[("old", "x"), ("password", PASSWORD)]).await;
        assert_eq!(answer.location.as_deref(), Some("/"), "{path}");
    }
}
