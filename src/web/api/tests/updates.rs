//! What listeners hear by WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::routing::any;
use futures_util::StreamExt as _;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_util::sync::CancellationToken;

use crate::app::door;
use crate::app::door::Bounds;
use crate::config::Access;
use crate::config::WebConfig;
use crate::model::benchmark::LevelStatus;
use crate::model::job::JobStatus;
use crate::testing::bench::PATIENCE;
use crate::web;
use crate::web::AppState;
use crate::web::api::socket;
use crate::web::api::socket::Patience;
use crate::web::api::tests::Door;
use crate::web::api::updates;
use crate::web::api::updates::Updates;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Serves a router on a port of its own until `shutdown`.
pub(super) async fn serve(router: Router, shutdown: &CancellationToken) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), shutdown.clone());
    let serving =
        tokio::spawn(async move { door::serve(listener, &router, Bounds::under(1024, |_| false), &shutdown).await });
    (address, serving)
}

async fn listen(address: SocketAddr, origin: Option<&str>) -> Result<Socket, tungstenite::Error> {
    listen_with(address, origin.map(|origin| ("origin", origin))).await
}

async fn listen_with(address: SocketAddr, header: Option<(&'static str, &str)>) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    tokio_tungstenite::connect_async(request)
        .await
        .map(|(socket, _)| socket)
}

/// The next message.
async fn hear(socket: &mut Socket) -> Value {
    hear_until(socket, |_| true).await
}

/// The first message that is so.
async fn hear_until(socket: &mut Socket, is_it: impl Fn(&Value) -> bool) -> Value {
    let hearing = async {
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if is_it(&message["data"]) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, hearing).await.unwrap()
}

/// With what the door takes leave of a listener; none where it goes without a word.
async fn farewell(socket: &mut Socket) -> Option<(u16, String)> {
    let hearing = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, hearing).await.unwrap()
}

#[tokio::test]
async fn listeners_hear_of_what_is_not_over_and_then_of_every_change() {
    let door = Door::open().await;
    let over = door.start_quick(&[1]).await;
    let viewer = door.bench.house.viewer;
    assert!(door.bench.house.benchmarks.stop(viewer, over).await.unwrap());
    let id = door.start_quick(&[2, 4]).await;
    let (address, serving) = serve(door.router.clone(), &door.shutdown).await;
    let own = format!("http://{address}");
    let mut socket = listen(address, Some(&own)).await.unwrap();
    let pending = json!({
        "type": "benchmark_update", "benchmark_id": id,
        "data": {
            "status": "pending", "progress": 0.0, "current_thread": null, "throughput": 0.0, "avg_latency": null,
            "error_count": 0, "results": [],
        },
    });
    assert_eq!(hear(&mut socket).await, pending);

    let lease = door.claim().await;
    let level = door.begin(&lease, id, 0, 2).await;
    door.record(&lease, level, -1, &[5], 7).await;
    // More than are read again with every look.
    for second_idx in 0..10 {
        door.record(&lease, level, second_idx, &[10, 20, 30], 1).await;
    }
    let is_counted = |data: &Value| data["error_count"] == 10;
    let running = hear_until(&mut socket, is_counted).await["data"].clone();
    assert_eq!(
        (&running["status"], &running["current_thread"]),
        (&json!("running"), &json!(2))
    );
    assert_eq!(
        (&running["throughput"], &running["avg_latency"]),
        (&json!(3.0), &json!(20.0))
    );
    door.record(&lease, level, 10, &[40], 2).await;
    let next = hear_until(&mut socket, |data| data["error_count"] == 12).await["data"].clone();
    assert_eq!((&next["throughput"], &next["avg_latency"]), (&json!(1.0), &json!(40.0)));

    door.finish(&lease, level, LevelStatus::Finished, &[10; 20], 12).await;
    let mut late = listen(address, None).await.unwrap();
    let half = hear_until(&mut late, |data| data["results"] != json!([])).await["data"].clone();
    assert_eq!((&half["progress"], &half["error_count"]), (&json!(50.0), &json!(12)));
    assert_eq!(half["results"][0]["throughput_ops_sec"], 10.0);
    door.settle(&lease, JobStatus::Completed, None).await;
    for socket in [&mut socket, &mut late] {
        let done = hear_until(socket, |data| data["status"] == "completed").await;
        assert_eq!(
            (&done["benchmark_id"], &done["data"]["progress"]),
            (&json!(id), &json!(100.0))
        );
    }

    door.shutdown.cancel();
    assert_eq!(farewell(&mut socket).await, Some((1001, "pgassay stops".to_owned())));
    drop((socket, late));
    tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap();
    door.close().await;
}

#[tokio::test]
async fn pages_of_other_sites_hear_nothing() {
    let door = Door::open().await;
    let (address, _) = serve(door.router.clone(), &door.shutdown).await;
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "127.0.0.1"] {
        let Err(tungstenite::Error::Http(answer)) = listen(address, Some(origin)).await else {
            panic!("{origin} was let in");
        };
        assert_eq!(answer.status(), 403, "{origin}");
    }
    door.close().await;
}

#[tokio::test]
async fn who_listens_is_asked_anew_who_they_are_and_hears_nothing_with_a_token_that_is_gone() {
    let door = Door::open().await;
    let token = door.token(door.bench.house.viewer).await;
    let config = WebConfig {
        access: Some(Access::Required),
        ..WebConfig::unsaid()
    };
    let services = door.bench.house.services();
    let mut state = AppState::new(&services, &config, config.listen, door.shutdown.clone()).unwrap();
    state.streams = state.streams.ending_after(Duration::from_millis(1));
    let (address, _) = serve(web::router(state), &door.shutdown).await;
    let bearer = format!("Bearer {token}");
    let known = Some(("authorization", bearer.as_str()));
    for _ in 0..2 {
        let mut socket = listen_with(address, known).await.unwrap();
        let (code, reason) = farewell(&mut socket).await.unwrap();
        assert_eq!(code, 1001);
        assert!(reason.starts_with("listen again"), "{reason}");
    }
    let revoke = sqlx::query("delete from api_tokens").execute(&door.bench.house.pool);
    revoke.await.unwrap();
    let Err(tungstenite::Error::Http(answer)) = listen_with(address, known).await else {
        panic!("a token that is gone was let in");
    };
    assert_eq!(answer.status(), 401);
    door.close().await;
}

#[tokio::test]
async fn pages_are_ours_under_the_name_that_people_know_whatever_a_proxy_calls_us() {
    let door = Door::open().await;
    let config = WebConfig {
        public_url: Some("https://assay.example.org".parse().unwrap()),
        ..WebConfig::unsaid()
    };
    let services = door.bench.house.services();
    let state = AppState::new(&services, &config, config.listen, door.shutdown.clone()).unwrap();
    let (address, _) = serve(web::router(state), &door.shutdown).await;
    assert!(listen(address, Some("https://assay.example.org")).await.is_ok());
    for origin in [
        "http://assay.example.org",
        "https://assay.example.org:8443",
        "https://assay.example.org.evil.example",
        "https://evil.example",
    ] {
        let Err(tungstenite::Error::Http(answer)) = listen(address, Some(origin)).await else {
            panic!("{origin} was let in");
        };
        assert_eq!(answer.status(), 403, "{origin}");
    }
    door.close().await;
}

#[tokio::test]
async fn there_is_room_for_so_many_listeners_and_for_others_when_they_go() {
    let door = Door::open().await;
    let viewer = door.bench.house.viewer;
    let updates = Updates::new(door.bench.house.pool.clone(), door.shutdown.clone());
    let mut listeners: Vec<_> = (0..256).map(|_| updates.listen(viewer)).collect();
    assert!(listeners.iter().all(Option::is_some));
    assert!(updates.listen(viewer).is_none());
    listeners.pop();
    let mut last = updates.listen(viewer).unwrap();
    drop(listeners);
    let id = door.start_quick(&[1]).await;
    let heard = tokio::time::timeout(PATIENCE, last.next()).await.unwrap().unwrap();
    assert!(heard[0].contains(&format!("\"benchmark_id\":{id}")), "{heard:?}");
    door.shutdown.cancel();
    assert!(tokio::time::timeout(PATIENCE, last.next()).await.unwrap().is_none());
    door.close().await;
}

/// Serves one listener, who has `text` to hear, with so much patience. The second value ends when it is let go.
async fn serve_one(text: String, patience: Patience) -> (SocketAddr, tokio::sync::oneshot::Receiver<()>) {
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    let one = Arc::new(Mutex::new(Some((updates::with_one_message(text), gone))));
    let router = Router::new().route(
        "/ws",
        any(async move |upgrade: WebSocketUpgrade| {
            let ((board, listener), gone) = one.lock().unwrap().take().unwrap();
            upgrade.on_upgrade(async move |socket| {
                socket::tell(
                    socket,
                    listener,
                    patience,
                    std::future::pending(),
                    &CancellationToken::new(),
                )
                .await;
                drop((board, gone));
            })
        }),
    );
    let (address, _) = serve(router, &CancellationToken::new()).await;
    (address, is_gone)
}

const CALM: Patience = Patience {
    send_within: Duration::from_hours(1),
    ping_every: Duration::from_hours(1),
};

#[tokio::test]
async fn who_does_not_answer_or_does_not_read_is_let_go() {
    let silent = Patience {
        ping_every: Duration::from_millis(1),
        ..CALM
    };
    let slow = Patience {
        send_within: Duration::from_millis(1),
        ..CALM
    };
    // More than the system keeps for who does not read.
    for (text, patience) in [("x".to_owned(), silent), ("x".repeat(64 << 20), slow)] {
        let (address, is_gone) = serve_one(text, patience).await;
        let socket = listen(address, None).await.unwrap();
        let gone = tokio::time::timeout(PATIENCE, is_gone).await;
        assert!(gone.is_ok(), "{patience:?}");
        drop(socket);
    }
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let patience = Patience {
        ping_every: Duration::from_millis(100),
        ..CALM
    };
    let (address, mut is_gone) = serve_one("x".to_owned(), patience).await;
    let mut socket = listen(address, None).await.unwrap();
    let mut n_pings = 0;
    while n_pings < 3 {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        // Reading is answering.
        n_pings += u32::from(matches!(message.unwrap().unwrap(), Message::Ping(_)));
    }
    assert!(
        is_gone
            .try_recv()
            .is_err_and(|error| error == tokio::sync::oneshot::error::TryRecvError::Empty)
    );
    drop(socket);
    assert!(tokio::time::timeout(PATIENCE, is_gone).await.is_ok());
}
