//! One's own account: its password and its sessions.

use reqwest::Method;
use reqwest::StatusCode;

use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::accounts::start;
use crate::server;
use crate::server::Server;
use crate::support;

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
