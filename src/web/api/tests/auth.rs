//! Accounts for programs: made, known by a token, and refused in the words of OAuth.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::config::Access;
use crate::config::WebConfig;
use crate::model::user::Registration;
use crate::store;
use crate::web;
use crate::web::AppState;
use crate::web::api::tests::Answer;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;
use crate::web::api::tests::schema::assert_described;
use crate::web::api::tests::send;

const PASSWORD: &str = "seven purple kettles sing";

/// The door where people sign in, with an admin called ada.
async fn guarded(door: &Door) -> Router {
    let services = door.bench.house.services();
    services.accounts.make_first_admin("ada", PASSWORD).await.unwrap();
    let config = WebConfig {
        access: Some(Access::Required),
        ..WebConfig::unsaid()
    };
    let state = AppState::new(&services, &config, config.listen, door.shutdown.clone());
    web::router(state.unwrap())
}

fn described() -> Value {
    serde_json::to_value(web::openapi()).unwrap()
}

async fn ask_for_token(router: &Router, form: &str) -> Answer {
    let kind = "application/x-www-form-urlencoded";
    let request = Request::post("/api/auth/token").header(header::CONTENT_TYPE, kind);
    send(router, of_a_program(request, Body::from(form.to_owned()))).await
}

async fn register(router: &Router, body: &Value) -> Answer {
    let request = Request::post("/api/auth/register").header(header::CONTENT_TYPE, "application/json");
    send(router, of_a_program(request, Body::from(body.to_string()))).await
}

async fn me(router: &Router, token: &str) -> Answer {
    let request = Request::get("/api/auth/me").header(header::AUTHORIZATION, format!("Bearer {token}"));
    send(router, of_a_program(request, Body::empty())).await
}

fn code(answer: &Answer) -> &str {
    answer.body["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_name_and_its_password_get_a_token_by_the_form_of_oauth_and_nothing_else_does() {
    let door = Door::open().await;
    let router = guarded(&door).await;
    let doc = described();
    let right = format!(
        "grant_type=password&username=ada&password={}",
        PASSWORD.replace(' ', "+")
    );
    for (asked, scope) in [
        ("", "read"),
        ("&scope=read", "read"),
        ("&scope=read+write&client_id=x", "write"),
    ] {
        let answer = ask_for_token(&router, &format!("{right}{asked}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_described(&doc, "post", "/api/auth/token", &answer);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            (
                &answer.body["token_type"],
                &answer.body["scope"],
                &answer.body["expires_in"]
            ),
            (&json!("bearer"), &json!(scope), &json!(86_400))
        );
        let known = me(&router, answer.body["access_token"].as_str().unwrap()).await;
        assert_described(&doc, "get", "/api/auth/me", &known);
        assert_eq!(
            (&known.body["name"], &known.body["role"], &known.body["scope"]),
            (&json!("ada"), &json!("admin"), &json!(scope))
        );
        assert_eq!(
            (&known.body["quotas"]["datasets"], &known.body["quotas"]["load_s"]),
            (
                &json!({ "most": 50, "used": 0 }),
                &json!({ "most": 14_400, "used": null })
            )
        );
    }
    for (form, why) in [
        ("", "invalid_request"),
        ("grant_type=password&username=ada", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x", "unsupported_grant_type"),
        (&format!("{right}&scope=admin"), "invalid_scope"),
        ("grant_type=password&username=ada&password=wrong", "invalid_grant"),
        ("grant_type=password&username=nobody&password=wrong", "invalid_grant"),
    ] {
        let answer = ask_for_token(&router, form).await;
        assert_eq!((answer.status, code(&answer)), (StatusCode::BAD_REQUEST, why), "{form}");
        assert_described(&doc, "post", "/api/auth/token", &answer);
    }
    let nul = ask_for_token(&router, "grant_type=password&username=a%00b&password=wrong").await;
    assert_eq!((nul.status, code(&nul)), (StatusCode::BAD_REQUEST, "bad_request"));
    let request = Request::post("/api/auth/token").header(header::CONTENT_TYPE, "application/json");
    let answer = send(&router, of_a_program(request, Body::from("{}"))).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_described(&doc, "post", "/api/auth/token", &answer);
    door.close().await;
}

#[tokio::test]
async fn whoever_tries_passwords_by_the_form_waits_as_at_the_sign_in() {
    let door = Door::open().await;
    let router = guarded(&door).await;
    let wrong = "grant_type=password&username=ada&password=wrong";
    for _ in 0..5 {
        assert_eq!(ask_for_token(&router, wrong).await.status, StatusCode::BAD_REQUEST);
    }
    let answer = ask_for_token(&router, wrong).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (StatusCode::TOO_MANY_REQUESTS, "too_often")
    );
    assert_described(&described(), "post", "/api/auth/token", &answer);
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    door.close().await;
}

#[tokio::test]
async fn an_account_is_made_where_everybody_may_make_one() {
    let door = Door::open().await;
    let router = guarded(&door).await;
    let doc = described();
    let wish = json!({ "name": "bob", "password": PASSWORD });
    let closed = register(&router, &wish).await;
    assert_eq!((closed.status, code(&closed)), (StatusCode::FORBIDDEN, "forbidden"));
    assert_described(&doc, "post", "/api/auth/register", &closed);

    let mut conn = door.bench.house.pool.acquire().await.unwrap();
    store::settings::set_registration(&mut conn, Registration::Open)
        .await
        .unwrap();
    drop(conn);
    let made = register(&router, &wish).await;
    assert_eq!(
        (made.status, &made.body["role"]),
        (StatusCode::CREATED, &json!("editor")),
        "{}",
        made.text
    );
    assert_described(&doc, "post", "/api/auth/register", &made);
    assert!(!made.text.contains(PASSWORD) && !made.headers.contains_key(header::SET_COOKIE));
    let of_bob = format!(
        "grant_type=password&username=bob&password={}",
        PASSWORD.replace(' ', "+")
    );
    assert_eq!(ask_for_token(&router, &of_bob).await.status, StatusCode::OK);
    let entries = {
        let mut conn = door.bench.house.pool.acquire().await.unwrap();
        store::audit::list(&mut conn, None, 10).await.unwrap()
    };
    let written: Vec<(&str, &str, i16)> = entries
        .iter()
        .map(|entry| (&*entry.user_name, &*entry.deed, entry.status))
        .collect();
    assert_eq!(
        written,
        [
            ("bob", "makes an API token", 200),
            ("bob", "makes an account", 201),
            ("somebody", "makes an account", 403),
        ]
    );
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": "BOB", "password": PASSWORD }), "name"),
        (json!({ "name": "a b", "password": PASSWORD }), "name"),
        (json!({ "name": "eve", "password": "short" }), "password"),
        (
            json!({ "name": "eve", "password": PASSWORD, "invitation": "x" }),
            "invitation",
        ),
        (json!({ "name": "eve", "password": PASSWORD, "role": "admin" }), "role"),
        (json!({ "name": 7, "password": PASSWORD }), "name"),
    ] {
        let answer = register(&router, &body).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (StatusCode::BAD_REQUEST, "invalid_fields"),
            "{body}"
        );
        assert_eq!(answer.body["error"]["fields"][0]["field"], field, "{body}");
        assert_described(&doc, "post", "/api/auth/register", &answer);
    }
    door.close().await;
}

#[tokio::test]
async fn where_nobody_signs_in_everybody_is_the_local_user_and_no_token_is_given() {
    let door = Door::open().await;
    let known = door.get("/api/auth/me").await;
    assert_described(&described(), "get", "/api/auth/me", &known);
    assert_eq!(
        (&known.body["role"], &known.body["scope"], &known.body["quotas"]),
        (&json!("admin"), &Value::Null, &Value::Null)
    );
    let form = "grant_type=password&username=ada&password=x";
    let refused = ask_for_token(&door.router, form).await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "forbidden"));
    let refused = register(&door.router, &json!({ "name": "bob", "password": PASSWORD })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    door.close().await;
}

#[tokio::test]
async fn an_account_that_asks_more_than_may_be_is_told_when_to_ask_again_and_others_go_on() {
    let door = Door::open().await;
    let router = guarded(&door).await;
    let form = format!(
        "grant_type=password&username=ada&password={}",
        PASSWORD.replace(' ', "+")
    );
    let answer = ask_for_token(&router, &form).await;
    let token = answer.body["access_token"].as_str().unwrap();
    let mut n_answered = 0;
    let refused = loop {
        let answer = me(&router, token).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        n_answered += 1;
        assert!(n_answered < 1000, "there is no end");
    };
    assert!(n_answered >= 120, "{n_answered}");
    assert_eq!(
        (refused.status, code(&refused)),
        (StatusCode::TOO_MANY_REQUESTS, "too_often")
    );
    let seconds: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0);
    // Where nobody signs in, nobody is counted.
    for _ in 0..130 {
        assert_eq!(door.get("/api/auth/me").await.status, StatusCode::OK);
    }
    door.close().await;
}

#[tokio::test]
async fn an_account_with_as_many_tokens_as_it_may_have_is_told_what_to_do_and_its_programs_go_on() {
    let door = Door::open().await;
    let router = guarded(&door).await;
    let insert = "insert into api_tokens (token_hash, user_id, name, prefix, scope, expires_at)
        select sha256(n::text::bytea), id, format('number %s', n), 'p', 'read', clock_timestamp() + interval '1 hour'
        from users, generate_series(1, 100) as n where name = 'ada'";
    sqlx::query(insert).execute(&door.bench.house.pool).await.unwrap();
    let form = format!(
        "grant_type=password&username=ada&password={}",
        PASSWORD.replace(' ', "+")
    );
    let made = ask_for_token(&router, &form).await;
    assert_eq!(
        made.status,
        StatusCode::OK,
        "a program asks for as many as the limit gives"
    );
    let form = "name=one+more&scope=write&days=3";
    let kind = "application/x-www-form-urlencoded";
    let page = door.post_as("/account/tokens", kind, form).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    for said in [
        "100 API tokens that were made for this account are good",
        "Revoke one that nothing needs",
        "value=\"one more\"",
        "number 1<",
        "number 100<",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    // What has expired is in nobody's way.
    let age = "update api_tokens set expires_at = clock_timestamp() where name = 'number 1'";
    sqlx::query(age).execute(&door.bench.house.pool).await.unwrap();
    assert_eq!(door.post_as("/account/tokens", kind, form).await.status, StatusCode::OK);
    door.close().await;
}
