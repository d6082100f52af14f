//! Lets connections in and keeps them within bounds: how many there are, how many of one client, how long one may say
//! nothing or take no answer, how long its headers may be. `axum::serve` knows no such bounds, and a few hundred silent
//! sockets would shut everybody out.

mod places;
mod socket;

pub use places::Bounds;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;
use tracing::warn;

use crate::app::door::places::Conduct;
use crate::app::door::places::Place;
use crate::app::door::places::Places;
use crate::app::door::socket::Socket;
use crate::app::door::socket::Taking;
use crate::web::Peer;

/// How many may knock before we get to them. The system may have a lower limit.
const MOST_KNOCKING: u32 = 4096;
/// From a connection's beginning, or from the last answer, to the end of the next request's headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Browsers send less than 8 KiB.
const HEADERS_BYTES: usize = 64 * 1024;
/// How long we read what nobody wants any more, so that our answer is not lost.
const LINGER: Duration = Duration::from_secs(5);
/// How long we wait after a connection could not be let in.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The same when there was no file left to open it with, and somebody was shown out, who gives one back.
const ACCEPT_AGAIN_BEHIND: Duration = Duration::from_millis(5);

/// To who asks on as many connections as one client may have.
const TURNED_AWAY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\n\
                           Content-Type: text/plain; charset=utf-8\r\nContent-Length: 60\r\n\r\n\
                           Too many connections from your address. Close some of them.\n";

/// Opens the door; who comes before [`serve`] waits.
pub fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As `TcpListener::bind` does: an address that was ours a moment ago still is.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(MOST_KNOCKING)
}

/// Serves until `shutdown`, then until the requests that are in hand have their answers.
pub async fn serve(listener: TcpListener, router: &Router, bounds: Bounds, shutdown: &CancellationToken) {
    let connections = TaskTracker::new();
    let places = Places::new(bounds);
    let letting_in = async {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(came) => came,
                Err(error) => {
                    let has_shown_out = is_for_want_of_files(&error) && places.show_one_out();
                    if !has_shown_out {
                        warn!("A connection could not be let in: {error}");
                    }
                    let pause = if has_shown_out {
                        ACCEPT_AGAIN_BEHIND
                    } else {
                        ACCEPT_AGAIN_AFTER
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            let Some(place) = places.enter(peer.ip()).await else {
                debug!("{peer} has too many connections");
                // To be read by people; a program that floods us need not hear it.
                let _ = stream.try_write(TURNED_AWAY.as_bytes());
                continue;
            };
            let (router, shutdown) = (router.clone(), shutdown.clone());
            let stay = Stay {
                place,
                _token: connections.token(),
            };
            tokio::spawn(async move { attend(stream, peer, stay, router, &shutdown).await });
        }
    };
    tokio::select! {
        () = letting_in => {}
        () = shutdown.cancelled() => {}
    }
    connections.close();
    connections.wait().await;
}

/// Whether it is our own fault, or that of the whole machine, that there is no socket for somebody.
fn is_for_want_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(nix::errno::Errno::from_raw);
    matches!(code, Some(nix::errno::Errno::EMFILE | nix::errno::Errno::ENFILE))
}

/// The place that a connection takes up, and that [`serve`] waits for. It lasts as long as the socket is open.
struct Stay {
    place: Place,
    _token: TaskTrackerToken,
}

/// Answers the requests of one connection until it ends, has to leave, or becomes something else than HTTP.
async fn attend(stream: TcpStream, peer: SocketAddr, stay: Stay, router: Router, shutdown: &CancellationToken) {
    let (conduct, shown_out) = (stay.place.conduct().clone(), stay.place.shown_out.clone());
    let attending = async {
        // Answers are written whole; waiting for more to send would only delay them. Without it they are merely late.
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, Taking::default(), stay);
        if let Err(error) = answer(socket.clone(), peer, &conduct, router, shutdown).await {
            debug!("A connection ended badly: {error}");
        }
        let Some((stream, stay)) = socket.into_inner() else {
            return;
        };
        conduct.is_silent();
        tokio::select! {
            () = linger(stream) => {}
            () = shutdown.cancelled() => {}
        }
        drop(stay);
    };
    shown_out.run_until_cancelled(attending).await;
}

async fn answer(
    socket: Socket<Stay>,
    peer: SocketAddr,
    conduct: &Conduct,
    router: Router,
    shutdown: &CancellationToken,
) -> hyper::Result<()> {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADERS_BYTES)
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |request: Request<Incoming>| {
                let conduct = conduct.clone();
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                let answering = conduct.asks().then(|| service.call(request));
                Box::pin(async move {
                    let response = answering.ok_or(ShownOut)?.await.unwrap_or_else(|never| match never {});
                    Ok::<_, ShownOut>(until_answered(response, conduct))
                })
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

/// A request that came when its connection had lost its place. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
#[error("the connection has been shown out")]
struct ShownOut;

/// A response with whose end the connection falls silent. One that becomes a WebSocket never does.
fn until_answered(response: Response<Body>, conduct: Conduct) -> Response<Answer> {
    let conduct = (response.status() != StatusCode::SWITCHING_PROTOCOLS).then_some(conduct);
    response.map(|body| Answer { body, conduct })
}

struct Answer {
    body: Body,
    conduct: Option<Conduct>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(conduct) = &self.conduct {
            conduct.is_silent();
        }
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
    use std::sync::Arc;

    use axum::Extension;
    use axum::http::StatusCode;
    use axum::routing::get;
    use axum::routing::post;
    use tokio::io::AsyncReadExt as _;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    use super::*;

    /// A door with one address behind it that refuses without reading.
    fn open() -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let router = Router::new().route("/", post(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large")));
        open_to(router, Bounds::under(1024, |_| false))
    }

    fn open_to(router: Router, bounds: Bounds) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = super::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stop = shutdown.clone();
        let serving = tokio::spawn(async move { serve(listener, &router, bounds, &stop).await });
        (address, shutdown, serving)
    }

    #[tokio::test]
    async fn who_sends_much_that_is_not_read_still_hears_the_answer() {
        let (address, shutdown, serving) = open();
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
        let (address, shutdown, serving) = open();
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
    async fn a_request_says_whom_the_connection_is_with() {
        let say = async |Extension(Peer(peer)): Extension<Peer>| peer.to_string();
        let router = Router::new().route("/", get(say));
        let (address, shutdown, serving) = open_to(router, bounds(4, 4));
        let mut stream = connect_from(7, address).await.unwrap();
        let own = stream.local_addr().unwrap();
        stream.write_all(PAGE.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            own.to_string().starts_with("127.0.0.7:") && answer.ends_with(&own.to_string()),
            "{answer}"
        );
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_keep_the_door_open() {
        let (address, shutdown, serving) = open();
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
        let (address, shutdown, serving) = open();
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

    /// Comes from the n-th address of this machine. None when there is no file left for it.
    async fn connect_from(n: u8, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, n], 0)))?;
        socket.connect(address).await
    }

    const PAGE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    /// What somebody is answered who comes in and asks.
    async fn ask_from(n: u8, address: SocketAddr) -> io::Result<String> {
        let mut stream = connect_from(n, address).await?;
        stream.write_all(PAGE.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// A door where every address of this machine is a client, and none of them many people.
    fn bounds(most: usize, most_of_one_client: usize) -> Bounds {
        Bounds {
            most,
            most_of_one_client,
            is_of_many: Arc::new(|_| false),
        }
    }

    /// Which of them are still held open by the other side.
    async fn n_open(streams: &mut [TcpStream]) -> usize {
        let looks = streams.iter_mut().map(async |stream| {
            let end = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut [0])).await;
            usize::from(end.is_err())
        });
        futures_util::future::join_all(looks).await.into_iter().sum()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn thousands_who_say_nothing_or_never_end_stop_nobody_who_asks() {
        let router = Router::new().route("/", get(async || "page"));
        let (address, shutdown, serving) = open_to(router, bounds(256, 64));
        // Both ends of each are files of this process, which has others.
        let n_files = crate::target::open_files::OpenFiles::now().unwrap().limit;
        let n_silent = usize::try_from(n_files / 4).unwrap().min(5000);
        let mut silent = Vec::new();
        for n in 0..n_silent {
            let mut stream = connect_from(u8::try_from(10 + n % 200).unwrap(), address)
                .await
                .unwrap();
            if n % 2 == 1 {
                // It may have been shown out already.
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Never: ").await;
            }
            silent.push(stream);
            if n % 100 == 0 {
                let answer = ask_from(2, address).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{n}: {answer}");
            }
        }
        for trickle in 0..50 {
            for stream in silent.iter_mut().rev().take(256) {
                let _ = stream.write_all(b"y").await;
            }
            let answer = ask_from(2, address).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{trickle}: {answer}");
        }
        assert!(n_open(&mut silent).await <= 256);
        drop(silent);
        shutdown.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_may_have_so_many_connections_and_others_come_in_all_the_same() {
        let (has_come, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (comes, waits) = (Arc::clone(&has_come), Arc::clone(&go_on));
        let slow = get(async move || {
            comes.add_permits(1);
            waits.acquire().await.map(|_| "slow").unwrap()
        });
        let router = Router::new().route("/", get(async || "page")).route("/slow", slow);
        let (address, shutdown, serving) = open_to(router, bounds(100, 4));

        let mut silent = Vec::new();
        for _ in 0..12 {
            silent.push(connect_from(2, address).await.unwrap());
        }
        assert!(ask_from(2, address).await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(n_open(&mut silent).await <= 4);

        let mut asking = Vec::new();
        for _ in 0..4 {
            let mut stream = connect_from(2, address).await.unwrap();
            let slow = PAGE.replace("GET /", "GET /slow");
            stream.write_all(slow.as_bytes()).await.unwrap();
            asking.push(stream);
            has_come.acquire().await.unwrap().forget();
        }
        // It has no time to ask.
        let mut refused = String::new();
        let mut fifth = connect_from(2, address).await.unwrap();
        fifth.read_to_string(&mut refused).await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
        assert!(refused.ends_with("Close some of them.\n"), "{refused}");
        let (head, body) = refused.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{refused}");
        assert!(ask_from(3, address).await.unwrap().starts_with("HTTP/1.1 200"));

        go_on.add_permits(4);
        for mut stream in asking {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("slow"), "{answer}");
        }
        drop(silent);
        shutdown.cancel();
        serving.await.unwrap();
    }
}
