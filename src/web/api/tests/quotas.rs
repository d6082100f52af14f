//! What one account may have, and how often it may ask, where people sign in.

use super::*;
use crate::auth::quota::QuotaKeeper;
use crate::config::Access;

const DUMP: &str = "create table t (a integer);\ninsert into t values (1), (2), (3);\n";

/// A house that people sign in to, and a token of the one who does.
struct Signed {
    door: Door,
    bearer: String,
}

impl Signed {
    async fn open(house_quotas: Value) -> Self {
        let mut door = Door::open().await;
        let keeper = QuotaKeeper::new(Access::Required);
        let house = &mut door.bench.house;
        house.datasets.quotas = keeper;
        house.workloads.quotas = keeper;
        house.experiments.quotas = keeper;
        house.instruments.quotas = keeper;
        house.benchmarks.quotas = keeper;
        let config = WebConfig {
            access: Some(Access::Required),
            ..WebConfig::unsaid()
        };
        let services = house.services();
        door.router = web::router(AppState::new(&services, &config, config.listen, door.shutdown.clone()).unwrap());
        sqlx::query("insert into settings values ('quotas', $1)")
            .bind(house_quotas)
            .execute(&door.bench.house.pool)
            .await
            .unwrap();
        let bearer = format!("Bearer {}", door.token(door.bench.house.viewer).await);
        Self { door, bearer }
    }

    async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        let request = request.header(header::AUTHORIZATION, &self.bearer);
        self.door.send(of_a_program(request, body.into())).await
    }

    async fn upload(&self, key: &str) -> Answer {
        let request = Request::post("/api/datasets")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, DUMP.len())
            .header("idempotency-key", key);
        self.send(request, DUMP).await
    }

    async fn part(&self, key: &str) -> Answer {
        self.bytes(key, 0, 10).await
    }

    /// The bytes of the dump from `first` up to `end`, and without it.
    async fn bytes(&self, key: &str, first: usize, end: usize) -> Answer {
        let request = Request::put(format!("/api/datasets/uploads/{key}"))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(
                header::CONTENT_RANGE,
                format!("bytes {first}-{}/{}", end - 1, DUMP.len()),
            );
        self.send(request, &DUMP[first..end]).await
    }

    async fn ask(&self, address: &str, body: &Value) -> Answer {
        let request = Request::post(address).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body.to_string()).await
    }

    async fn say(&self, house_quotas: Value) {
        sqlx::query("update settings set value = $1 where name = 'quotas'")
            .bind(house_quotas)
            .execute(&self.door.bench.house.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_account_reads_its_quotas_and_what_it_has_of_them() {
    let signed = Signed::open(json!({ "datasets": { "most": 3 }, "trials": "unlimited" })).await;
    assert_eq!(signed.upload("one").await.status, StatusCode::CREATED);
    let me = signed.send(Request::get("/api/auth/me"), Body::empty()).await;
    let quotas = &me.body["quotas"];
    for (name, most, used) in [
        ("datasets", json!(3), json!(1)),
        ("storage_bytes", json!(50_u64 << 30), json!(DUMP.len())),
        ("waiting_jobs", json!(10), json!(1)),
        ("running_jobs", json!(2), json!(0)),
        ("trials", Value::Null, Value::Null),
        ("clients", json!(200), Value::Null),
        ("load_s", json!(14_400), Value::Null),
    ] {
        assert_eq!(quotas[name], json!({ "most": most, "used": used }), "{name}: {quotas}");
    }
    signed.door.close().await;
}

fn assert_refused(answer: &Answer, status: StatusCode, begin: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with(begin), "{message}");
}

#[tokio::test]
async fn an_upload_without_a_place_is_refused_whichever_way_it_comes() {
    let signed = Signed::open(json!({"datasets": {"most": 1}})).await;
    let first = signed.upload("one").await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = signed.upload("one").await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (StatusCode::CREATED, &first.body["id"]),
        "it has its place"
    );
    let full = "You have 1 of 1 datasets.";
    assert_refused(&signed.upload("two").await, StatusCode::CONFLICT, full);
    assert_refused(&signed.part("three").await, StatusCode::CONFLICT, full);
    let form = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.sql\"\r\n\r\nselect 1;\r\n--x--\r\n";
    let multipart = Request::post("/api/datasets").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
    assert_refused(&signed.send(multipart, form).await, StatusCode::CONFLICT, full);

    signed.say(json!({"storage_bytes": {"most": DUMP.len() * 2 - 1}})).await;
    let no_room = signed.upload("four").await;
    assert_refused(&no_room, StatusCode::CONFLICT, "This takes ");
    assert_refused(&signed.part("five").await, StatusCode::CONFLICT, "This takes ");
    signed.say(json!({"storage_bytes": {"most": DUMP.len() * 2}})).await;
    assert_eq!(signed.upload("six").await.status, StatusCode::CREATED);
    let listed = signed.send(Request::get("/api/datasets"), Body::empty()).await;
    assert_eq!(listed.body.as_array().unwrap().len(), 2);
    signed.door.close().await;
}

#[tokio::test]
async fn an_upload_by_the_part_has_its_room_from_the_first_part_to_the_last() {
    let signed = Signed::open(json!({"storage_bytes": {"most": DUMP.len()}})).await;
    let begun = signed.part("nightly").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.text);
    assert_refused(&signed.upload("one").await, StatusCode::CONFLICT, "This takes ");
    assert_refused(&signed.part("other").await, StatusCode::CONFLICT, "This takes ");
    let page = Request::delete("/api/datasets/uploads/nightly");
    assert_eq!(signed.send(page, Body::empty()).await.status, StatusCode::NO_CONTENT);
    // What it had is free again, and its own end finds the room that it has itself.
    let begun = signed.part("other").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.text);
    let ended = signed.bytes("other", 10, DUMP.len()).await;
    assert_eq!(ended.status, StatusCode::CREATED, "{}", ended.text);
    assert_refused(&signed.upload("two").await, StatusCode::CONFLICT, "This takes ");
    signed.door.close().await;
}

#[tokio::test]
async fn a_place_that_goes_while_an_upload_arrives_is_asked_for_again() {
    let signed = Signed::open(json!({"datasets": {"most": 1}})).await;
    let datasets = &signed.door.bench.house.datasets;
    let viewer = signed.door.bench.house.viewer;
    let receive = async || {
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(DUMP.into())]);
        datasets.admit(viewer, "", DUMP.len() as u64).await.unwrap();
        datasets.receive(stream).await.unwrap()
    };
    let (first, second) = (receive().await, receive().await);
    let (first, second) = tokio::join!(
        datasets.add(viewer, first, "", "a.sql", "first"),
        datasets.add(viewer, second, "", "b.sql", "second"),
    );
    let refused: Vec<String> = [first, second]
        .into_iter()
        .filter_map(|added| added.err().map(|error| error.to_string()))
        .collect();
    assert_eq!(
        refused,
        ["You have 1 of 1 datasets. Delete one, or ask an admin for more."]
    );
    signed.door.close().await;
}

#[tokio::test]
async fn launches_are_held_to_what_waits_and_to_what_each_may_take() {
    let signed = Signed::open(
        json!({"waiting_jobs": {"most": 10}, "trials": {"most": 12}, "clients": {"most": 4}, "load_s": {"most": 20}}),
    )
    .await;
    let dataset = signed.upload("one").await.body["id"].clone();
    let workload = signed.door.bench.workload("select 1; select 2").await.0;
    let experiment = |n_rounds: u32| {
        json!({
            "dataset": dataset, "workload": workload, "stats_source": ["built_in", "none"], "iterations": n_rounds,
            "warm_up": 0,
        })
    };
    for address in ["/api/experiments/check", "/api/experiments"] {
        let refused = signed.ask(address, &experiment(4)).await;
        assert_refused(
            &refused,
            StatusCode::BAD_REQUEST,
            "This experiment has 16 trials; you may have 12 in one.",
        );
        assert_eq!(
            refused.body["error"]["fields"][0]["field"], "iterations",
            "{}",
            refused.text
        );
    }
    let benchmark = |clients: u32, seconds: u32| {
        json!({
            "thread_counts": [clients], "table_rows": 1000, "test_duration": seconds, "warm_up": 0, "quick": true,
        })
    };
    for address in ["/api/benchmarks/configure", "/api/benchmarks/start"] {
        let refused = signed.ask(address, &benchmark(5, 10)).await;
        assert_refused(
            &refused,
            StatusCode::BAD_REQUEST,
            "This benchmark has up to 5 clients at once;",
        );
        assert_eq!(refused.body["error"]["fields"][0]["field"], "thread_counts");
        let refused = signed.ask(address, &benchmark(4, 21)).await;
        assert_refused(
            &refused,
            StatusCode::BAD_REQUEST,
            "All levels of this benchmark together take 21 s;",
        );
        assert_eq!(refused.body["error"]["fields"][0]["field"], "test_duration");
    }

    // The restore waits already.
    signed.say(json!({"waiting_jobs": {"most": 3}})).await;
    assert_eq!(
        signed.ask("/api/experiments", &experiment(2)).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        signed.ask("/api/benchmarks/start", &benchmark(2, 2)).await.status,
        StatusCode::OK
    );
    let full = "You have 3 of 3 jobs waiting.";
    let check = format!("/api/workloads/{workload}/checks");
    for (address, body, status) in [
        ("/api/experiments", experiment(2), StatusCode::BAD_REQUEST),
        ("/api/benchmarks/start", benchmark(2, 2), StatusCode::BAD_REQUEST),
        (&*check, json!({"dataset": dataset}), StatusCode::CONFLICT),
    ] {
        assert_refused(&signed.ask(address, &body).await, status, full);
    }
    signed.door.close().await;
}

#[tokio::test]
async fn who_uploads_or_launches_too_often_is_told_when_to_come_again() {
    let signed = Signed::open(json!({})).await;
    for n in 0..20 {
        assert_eq!(signed.upload("one").await.status, StatusCode::CREATED, "{n}");
    }
    for refused in [signed.upload("one").await, signed.part("two").await] {
        assert_refused(&refused, StatusCode::TOO_MANY_REQUESTS, "");
        let wait: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=180).contains(&wait), "{wait}");
    }
    // A part of an upload that has begun is no upload of its own.
    for n in 0..60 {
        let launched = signed.ask("/api/experiments", &json!({})).await;
        assert_eq!(launched.status, StatusCode::BAD_REQUEST, "{n}");
    }
    let refused = signed.ask("/api/benchmarks/start", &json!({})).await;
    assert_refused(&refused, StatusCode::TOO_MANY_REQUESTS, "");
    assert_eq!(refused.body["error"]["code"], "too_often");
    let looks = signed.ask("/api/experiments/check", &json!({})).await;
    assert_eq!(
        looks.status,
        StatusCode::BAD_REQUEST,
        "asking what it would take is no launch"
    );

    // Where nobody signs in there is nobody to be kept from others.
    let local = router(
        &signed.door.bench,
        signed.door.bench.house.viewer,
        &signed.door.shutdown,
    );
    let request = Request::post("/api/benchmarks/start").header(header::CONTENT_TYPE, "application/json");
    let request = of_a_program(request, Body::from("[]"));
    assert_eq!(send(&local, request).await.status, StatusCode::BAD_REQUEST);
    signed.door.close().await;
}

#[tokio::test]
async fn an_upload_that_has_begun_counts_once() {
    let signed = Signed::open(json!({})).await;
    for n in 0..25 {
        assert_eq!(signed.part("one").await.status, StatusCode::ACCEPTED, "{n}");
    }
    signed.door.close().await;
}
