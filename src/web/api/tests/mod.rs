//! The API from outside: requests through the router, with a real store behind it.

mod arrivals;
mod auth;
mod bodies;
mod cors;
mod datasets;
mod document;
mod experiments;
mod quotas;
mod reading;
mod refusals;
mod schema;
mod updates;
mod uploads;
mod workloads;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use chrono::DateTime;
use chrono::Utc;
use serde_json::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::analysis::latency::Latencies;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::config::WebConfig;
use crate::model::benchmark::Level;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::Totals;
use crate::model::ids::BenchmarkId;
use crate::model::ids::UserId;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::user::TokenScope;
use crate::model::user::Viewer;
use crate::store;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;
use crate::store::queue;
use crate::store::queue::Reach;
use crate::store::tokens::NewToken;
use crate::testing::bench::Bench;
use crate::web;
use crate::web::AppState;
use crate::web::state::Services;

/// A house and its door for programs.
struct Door {
    bench: Bench,
    router: Router,
    shutdown: CancellationToken,
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    /// The text as JSON; null where it is none.
    body: Value,
}

impl Door {
    async fn open() -> Self {
        let bench = Bench::open().await;
        let shutdown = CancellationToken::new();
        let router = router(&bench, bench.house.viewer, &shutdown);
        Self {
            bench,
            router,
            shutdown,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    async fn get(&self, address: &str) -> Answer {
        self.send(of_a_program(Request::get(address), Body::empty())).await
    }

    async fn post(&self, address: &str, body: &Value) -> Answer {
        let request = Request::post(address).header(header::CONTENT_TYPE, "application/json");
        self.send(of_a_program(request, Body::from(body.to_string()))).await
    }

    async fn delete(&self, address: &str) -> Answer {
        self.send(of_a_program(Request::delete(address), Body::empty())).await
    }

    /// Sends a body of some kind.
    async fn post_as(&self, address: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(address).header(header::CONTENT_TYPE, kind);
        self.send(of_a_program(request, body.into())).await
    }

    /// The door as somebody else meets it.
    async fn of_a_stranger(&self) -> Router {
        let insert = sqlx::query_scalar("insert into users (name) values ('stranger') returning id");
        let user_id = UserId(insert.fetch_one(&self.bench.house.pool).await.unwrap());
        router(&self.bench, Viewer::owner(user_id), &self.shutdown)
    }

    /// A token of somebody, good for everything.
    async fn token(&self, viewer: Viewer) -> String {
        let token = Token::random(TokenKind::Api).unwrap();
        let new = NewToken {
            token: token.hashed(),
            name: "a test",
            prefix: &token.shown_prefix(),
            scope: TokenScope::Write,
            lifetime: Duration::from_hours(1),
            is_by_password: false,
        };
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        store::tokens::insert(&mut conn, viewer.user_id, &new).await.unwrap();
        token.text().expose().to_owned()
    }

    /// Starts what a body asks for.
    async fn start(&self, body: &Value) -> BenchmarkId {
        let answer = self.post("/api/benchmarks/start", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        BenchmarkId(answer.body["id"].as_i64().unwrap())
    }

    /// Starts a benchmark of quick levels.
    async fn start_quick(&self, thread_counts: &[u32]) -> BenchmarkId {
        let body = json!({
            "thread_counts": thread_counts, "table_rows": 1000, "test_duration": 2, "warm_up": 1, "quick": true,
        });
        self.start(&body).await
    }

    /// Takes the next job, as its runner would.
    async fn claim(&self) -> Lease {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        let claimed = queue::claim(&mut conn, &self.bench.house.home, Reach::OwnDumps, "here", "a test").await;
        claimed.unwrap().unwrap().lease
    }

    async fn begin(&self, lease: &Lease, id: BenchmarkId, level_idx: i32, n_clients: u32) -> AttemptKey {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        let level = Level {
            level_idx,
            n_clients,
            source_idx: None,
        };
        let attempt = store::levels::begin(&mut conn, lease, id, level).await.unwrap();
        AttemptKey {
            benchmark_id: id,
            level_idx,
            attempt: attempt.unwrap(),
        }
    }

    /// Stores a second in which operations took so many milliseconds each.
    async fn record(&self, lease: &Lease, key: AttemptKey, second_idx: i32, ms: &[u64], n_failed: u64) {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        let second = SecondRecord {
            level_idx: key.level_idx,
            attempt: key.attempt,
            share_idx: 0,
            second_idx,
            started_at: DateTime::<Utc>::UNIX_EPOCH,
            span_ms: 1000.0,
            totals: totals(ms, n_failed),
            n_connected: 1,
            latencies: latencies(ms).to_bytes(),
            errors: Vec::new(),
            generator_cpu_ms: 1.0,
            server: None,
        };
        let is_held = store::levels::record_second(&mut conn, lease, key.benchmark_id, &second).await;
        assert!(is_held.unwrap());
    }

    /// Ends an attempt of two seconds.
    async fn finish(&self, lease: &Lease, key: AttemptKey, status: LevelStatus, ms: &[u64], n_failed: u64) {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        let end = LevelEnd {
            status,
            measured_ms: Some(2000.0),
            totals: totals(ms, n_failed),
            latencies: Some(&latencies(ms).to_bytes()),
            notes: &LevelNotes::default(),
        };
        assert!(store::levels::finish(&mut conn, lease, key, &end, &[]).await.unwrap());
    }

    async fn settle(&self, lease: &Lease, status: JobStatus, message: Option<&str>) {
        let mut conn = self.bench.house.pool.acquire().await.unwrap();
        assert!(queue::settle(&mut conn, lease, status, message).await.unwrap());
    }

    async fn close(self) {
        self.shutdown.cancel();
        self.bench.close().await;
    }
}

fn router(bench: &Bench, viewer: Viewer, shutdown: &CancellationToken) -> Router {
    let mut services = bench.house.services();
    services.viewer = viewer;
    router_of(&services, shutdown)
}

fn router_of(services: &Services, shutdown: &CancellationToken) -> Router {
    let config = WebConfig::unsaid();
    web::router(AppState::new(services, &config, config.listen, shutdown.clone()).unwrap())
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

/// As curl and Python's requests send it: with a host and without an origin.
fn of_a_program(request: axum::http::request::Builder, body: Body) -> Request<Body> {
    request.header(header::HOST, "127.0.0.1:8000").body(body).unwrap()
}

fn latencies(ms: &[u64]) -> Latencies {
    let mut latencies = Latencies::new();
    for ms in ms {
        latencies.record(Duration::from_millis(*ms));
    }
    latencies
}

fn totals(ms: &[u64], n_failed: u64) -> Totals {
    Totals {
        n_transactions: ms.len() as u64,
        n_failed,
        ..Totals::default()
    }
}
