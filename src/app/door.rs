//! Lets connections in and keeps them within bounds: how many there are, how long one may say nothing, how long its
//! headers may be. `axum::serve` knows no such bounds, and a few hundred silent sockets would shut everybody out.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;
use tracing::warn;

use crate::web::Peer;

/// Half of the files that a process may usually have open. Who comes later waits for one to leave.
const MOST_CONNECTIONS: usize = 512;
/// From a connection's beginning, or from the last answer, to the end of the next request's headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Browsers send less than 8 KiB.
const HEADERS_BYTES: usize = 64 * 1024;
/// How long we read what nobody wants any more, so that our answer is not lost.
const LINGER: Duration = Duration::from_secs(5);
/// How long we wait after a connection could not be let in: there may be no file left to open it with.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then until the requests that are in hand have their answers.
pub async fn serve(listener: TcpListener, router: &Router, shutdown: &CancellationToken) {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let letting_in = async {
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    let visit = Visit {
                        _place: place.ok(),
                        _token: connections.token(),
                    };
                    tokio::spawn(async move { attend(stream, Peer(peer), visit, router, &shutdown).await });
                }
                Err(error) => {
                    warn!("A connection could not be let in: {error}");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    };
    tokio::select! {
        () = letting_in => {}
        () = shutdown.cancelled() => {}
    }
    connections.close();
    connections.wait().await;
}

/// The place that a connection takes up, and that [`serve`] waits for. It lasts as long as the socket is open.
struct Visit {
    _place: Option<OwnedSemaphorePermit>,
    _token: TaskTrackerToken,
}

/// A socket of which we keep hold while hyper reads and writes it. It belongs to whoever has it last: to us when all
/// requests are answered, to a WebSocket when that is what it has become.
#[derive(Clone)]
struct Socket(Arc<Held>);

struct Held {
    stream: Mutex<TcpStream>,
    visit: Visit,
}

impl Socket {
    /// Nobody polls it from two sides at once, so the lock is always free.
    fn poll<T>(&self, poll: impl FnOnce(Pin<&mut TcpStream>) -> T) -> T {
        let mut stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        poll(Pin::new(&mut stream))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Answers the requests of one connection until it ends, or becomes something else than HTTP.
async fn attend(stream: TcpStream, peer: Peer, visit: Visit, router: Router, shutdown: &CancellationToken) {
    // Answers are written whole; waiting for more to send would only delay them. Without it they are merely late.
    let _ = stream.set_nodelay(true);
    let stream = Mutex::new(stream);
    let socket = Socket(Arc::new(Held { stream, visit }));
    if let Err(error) = answer(socket.clone(), peer, router, shutdown).await {
        debug!("A connection ended badly: {error}");
    }
    let Some(Held { stream, visit }) = Arc::into_inner(socket.0) else {
        return;
    };
    tokio::select! {
        () = linger(stream.into_inner().unwrap_or_else(PoisonError::into_inner)) => {}
        () = shutdown.cancelled() => {}
    }
    drop(visit);
}

async fn answer(socket: Socket, peer: Peer, router: Router, shutdown: &CancellationToken) -> hyper::Result<()> {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADERS_BYTES)
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer);
                Box::pin(service.call(request))
            }),
        );
    let mut connection = pin!(connection.with_upgrades());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => return served,
            () = shutdown.cancelled(), if !is_stopping => {}
        }
        is_stopping = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Ends our side and reads on for a moment. A socket that is closed with bytes unread takes our answer with it, and the
/// person whose upload was refused sees a lost connection in place of the sentence that says why.
async fn linger(mut stream: TcpStream) {
    let draining = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // Whether it listened to the end or not, the connection is over.
    let _ = tokio::time::timeout(LINGER, draining).await;
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A door with one address behind it that refuses without reading.
    async fn open() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/", post(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large")));
        let stop = shutdown.clone();
        let serving = tokio::spawn(async move { serve(listener, &router, &stop).await });
        (address, shutdown, serving)
    }

    #[tokio::test]
    async fn who_sends_much_that_is_not_read_still_hears_the_answer() {
        let (address, shutdown, serving) = open().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 8_000_000]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.ends_with("too large"),
            "{answer}"
        );
        drop(stream);
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn headers_without_measure_are_answered_with_431() {
        let (address, shutdown, serving) = open().await;
        let many = (0..200).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
        for headers in [many, format!("x: {}\r\n", "y".repeat(1 << 20))] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_keep_the_door_open() {
        let (address, shutdown, serving) = open().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_or_never_ends_its_headers_is_shown_out() {
        let (address, shutdown, serving) = open().await;
        let words = [
            "",
            "POST / HTTP/1.1\r\nHost: x\r\nX-Never: ",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        ];
        let waiting = words.map(async |words| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
        });
        let waiting = futures_util::future::join_all(waiting);
        tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap();
        shutdown.cancel();
        serving.await.unwrap();
    }
}
