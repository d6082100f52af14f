//! Who comes in: the first admin, whoever knows a password, and nobody else.

use reqwest::StatusCode;
use reqwest::header;

use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::accounts::start;
use crate::server;
use crate::server::Server;
use crate::support;

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
    let mut ada = Person::first(&server).await;
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
    let ada = Person::first(&server).await;

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
