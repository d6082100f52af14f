//! Uploads that arrive at once: so many, whichever way they come, and others when those have ended or their clients are gone.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;
use crate::config::Access;
use crate::model::user::Role;
use crate::testing::bench::PATIENCE;
use crate::web::api::tests::updates::serve;
use crate::web::middleware::uploads::Arrivals;

const DUMP: &str = "create table t (a integer);\ninsert into t values (1), (2), (3);\n";
const BYTES: &str = "application/octet-stream";

/// A door on a port of its own, at which uploads can be left in the middle.
struct Gate {
    door: Door,
    router: Router,
    arrivals: Arrivals,
    address: SocketAddr,
}

impl Gate {
    async fn open(access: Access) -> Self {
        let door = Door::open().await;
        let config = WebConfig {
            access: Some(access),
            ..WebConfig::unsaid()
        };
        let services = door.bench.house.services();
        let state = AppState::new(&services, &config, config.listen, door.shutdown.clone()).unwrap();
        let arrivals = state.arrivals.clone();
        let router = web::router(state);
        let (address, _) = serve(router.clone(), &door.shutdown).await;
        Self {
            door,
            router,
            arrivals,
            address,
        }
    }

    /// Begins an upload of which only a part is sent. It has its place when this returns.
    async fn begin(&self, request: &str, headers: &str) -> TcpStream {
        let n_before = self.arrivals.n_now();
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let (address, n_bytes) = (self.address, DUMP.len());
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {BYTES}\r\nContent-Length: {n_bytes}\r\n{headers}\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&DUMP.as_bytes()[..10]).await.unwrap();
        self.wait_for(n_before + 1).await;
        client
    }

    /// Returns when so many uploads arrive.
    async fn wait_for(&self, n_uploads: usize) {
        let looking = async {
            while self.arrivals.n_now() != n_uploads {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }

    async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        send(&self.router, of_a_program(request, body.into())).await
    }

    async fn close(self) {
        self.door.close().await;
    }
}

/// The form of a dump, as the page sends it.
fn form(request_id: &str) -> (String, String) {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"request_id\"\r\n\r\n{request_id}\r\n--x\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"shop.sql\"\r\n\r\n{DUMP}\r\n--x--\r\n"
    );
    ("multipart/form-data; boundary=x".to_owned(), body)
}

fn assert_full(answer: &Answer, begin: &str) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.text);
    assert_eq!(answer.headers[header::RETRY_AFTER], "10");
    assert!(answer.text.contains(begin), "{}", answer.text);
}

#[tokio::test]
async fn an_account_sends_two_files_at_once_whichever_way_they_come_and_others_theirs() {
    let gate = Gate::open(Access::Required).await;
    let own = gate.door.token(gate.door.bench.house.viewer).await;
    let mut conn = gate.door.bench.house.pool.acquire().await.unwrap();
    let ada = store::users::insert(&mut conn, "ada", Role::Editor, "hash")
        .await
        .unwrap();
    drop(conn);
    let of_ada = gate.door.token(ada).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let whole = async |token: &str| {
        let request = Request::post("/api/datasets").header(header::CONTENT_TYPE, BYTES);
        let request = request.header(header::AUTHORIZATION, bearer(token));
        gate.send(request, DUMP).await
    };
    let part = async |key: &str| {
        let request = Request::put(format!("/api/datasets/uploads/{key}")).header(header::CONTENT_TYPE, BYTES);
        let request = request.header(header::AUTHORIZATION, bearer(&own));
        let range = format!("bytes 0-{}/{}", DUMP.len() - 1, DUMP.len());
        gate.send(request.header(header::CONTENT_RANGE, range), DUMP).await
    };
    let token = format!("Authorization: {}\r\n", bearer(&own));
    let first = gate.begin("POST /api/datasets", &token).await;
    let range = format!("{token}Content-Range: bytes 0-{}/{}\r\n", DUMP.len() - 1, DUMP.len());
    let dead = gate.begin("PUT /api/datasets/uploads/night", &range).await;

    let full = "2 dumps of your account arrive just now";
    let refused = whole(&own).await;
    assert_full(&refused, full);
    assert_eq!(refused.body["error"]["code"], "too_often");
    assert_full(&part("another").await, full);
    let (kind, body) = form("a form");
    let request = Request::post("/api/datasets").header(header::CONTENT_TYPE, kind);
    let sent = gate.send(request.header(header::AUTHORIZATION, bearer(&own)), body);
    assert_full(&sent.await, full);
    let queries = Request::post("/api/workloads").header(header::CONTENT_TYPE, "application/sql");
    let sent = gate.send(queries.header(header::AUTHORIZATION, bearer(&own)), "select 1");
    assert_eq!(sent.await.status, StatusCode::CREATED, "queries are in nobody's way");
    assert_eq!(
        whole(&of_ada).await.status,
        StatusCode::CREATED,
        "whom that does not concern"
    );

    // Who goes on by another connection has the place of the first, whether that knows that it is dead or not.
    let went_on = part("night").await;
    assert_eq!(went_on.status, StatusCode::CREATED, "{}", went_on.text);
    gate.wait_for(1).await;
    let second = gate.begin("POST /api/datasets", &token).await;
    assert_full(&whole(&own).await, full);
    drop(first);
    gate.wait_for(1).await;
    let taken = whole(&own).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text);
    drop((dead, second));
    gate.wait_for(0).await;
    gate.close().await;
}

#[tokio::test]
async fn whoever_comes_ninth_reads_when_to_come_again_and_gets_in_when_one_is_gone() {
    let gate = Gate::open(Access::Local).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(gate.begin("POST /api/datasets", "").await);
    }
    let dump = async |request_id| {
        let (kind, body) = form(request_id);
        let request = Request::post("/upload/dump").header(header::CONTENT_TYPE, kind);
        gate.send(request, body).await
    };
    let refused = dump("one").await;
    assert_full(&refused, "8 dumps arrive just now");
    assert!(
        refused.headers[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
            && refused.text.contains("<h1"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("/help/operations#limits"), "{}", refused.text);
    // Whoever only looks is not in anybody's way.
    assert_eq!(
        gate.send(Request::get("/upload"), Body::empty()).await.status,
        StatusCode::OK
    );
    drop(clients.pop());
    gate.wait_for(7).await;
    let taken = dump("two").await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.text);
    drop(clients);
    gate.wait_for(0).await;
    gate.close().await;
}
