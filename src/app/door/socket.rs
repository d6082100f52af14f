//! A socket of which we keep hold while hyper reads and writes it, and that ends when its answers are not taken.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::Sleep;

/// How long we wait, all in all, for somebody to take what we have to say. It is the pace at which a request has to arrive,
/// looked at from the other side.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// Every connection has this long.
    pub grace: Duration,
    /// And longer, for what it has taken at this rate.
    pub bytes_per_second: u64,
    /// But never longer than this without a byte.
    pub pause: Duration,
}

impl Default for Taking {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            bytes_per_second: 16 * 1024,
            pause: Duration::from_mins(1),
        }
    }
}

/// It belongs to whoever has it last: to us when all requests are answered, to a WebSocket when that is what it has become.
/// `With` stays for as long as it is open.
pub struct Socket<With>(Arc<Held<With>>);

struct Held<With> {
    stream: Mutex<Stream>,
    with: With,
}

struct Stream {
    tcp: TcpStream,
    taking: Taking,
    n_bytes: u64,
    /// All waits that are over.
    waited: Duration,
    wait: Option<Wait>,
}

struct Wait {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl<With> Clone for Socket<With> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<With> Socket<With> {
    /// Of a connection that has just come in.
    pub fn new(tcp: TcpStream, taking: Taking, with: With) -> Self {
        let stream = Mutex::new(Stream {
            tcp,
            taking,
            n_bytes: 0,
            waited: Duration::ZERO,
            wait: None,
        });
        Self(Arc::new(Held { stream, with }))
    }

    /// None when somebody else still has it.
    pub fn into_inner(self) -> Option<(TcpStream, With)> {
        let held = Arc::into_inner(self.0)?;
        let stream = held.stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((stream.tcp, held.with))
    }

    /// Nobody polls it from two sides at once, so the lock is always free.
    fn poll<T>(&self, poll: impl FnOnce(&mut Stream) -> T) -> T {
        poll(&mut self.0.stream.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stream {
    fn tcp(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.tcp)
    }

    /// What a write comes to, which may be that nobody takes it.
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.waited += self.wait.take().map_or(Duration::ZERO, |wait| wait.since.elapsed());
            self.n_bytes += written.as_ref().map_or(0, |n_bytes| *n_bytes as u64);
            return Poll::Ready(written);
        }
        let Taking {
            grace,
            bytes_per_second,
            pause,
        } = self.taking;
        let (waited, earned) = (self.waited, Duration::from_secs(self.n_bytes / bytes_per_second));
        let wait = self.wait.get_or_insert_with(|| Wait {
            since: Instant::now(),
            end: Box::pin(tokio::time::sleep((grace + earned).saturating_sub(waited).min(pause))),
        });
        ready!(wait.end.as_mut().poll(cx));
        let not_taken = io::Error::new(io::ErrorKind::TimedOut, "the answer is not taken");
        Poll::Ready(Err(not_taken))
    }
}

impl<With> AsyncRead for Socket<With> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.tcp().poll_read(cx, buffer))
    }
}

impl<With> AsyncWrite for Socket<With> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|stream| {
            let written = stream.tcp().poll_write(cx, bytes);
            stream.written(cx, written)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.tcp().poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.tcp().poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| {
            let written = stream.tcp().poll_write_vectored(cx, slices);
            stream.written(cx, written)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// A socket, and who should take what is written to it.
    async fn pair(taking: Taking) -> (Socket<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taker = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        (Socket::new(tcp, taking, ()), taker)
    }

    /// More than the system keeps for somebody who does not read.
    const MUCH: usize = 64 << 20;

    #[tokio::test]
    async fn who_does_not_take_an_answer_is_given_up() {
        for (grace, pause) in [(0, 3_600_000), (3_600_000, 1)] {
            let taking = Taking {
                grace: Duration::from_millis(grace),
                bytes_per_second: u64::MAX,
                pause: Duration::from_millis(pause),
            };
            let (mut socket, taker) = pair(taking).await;
            let error = socket.write_all(&vec![0; MUCH]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(taker);
        }
    }

    #[tokio::test]
    async fn what_is_taken_earns_more_time() {
        let taking = Taking {
            grace: Duration::ZERO,
            bytes_per_second: 1,
            pause: Duration::from_mins(1),
        };
        let (mut socket, mut taker) = pair(taking).await;
        let taken = tokio::spawn(async move {
            let mut bytes = Vec::new();
            taker.read_to_end(&mut bytes).await.unwrap();
            bytes.len()
        });
        socket.write_all(&vec![0; MUCH]).await.unwrap();
        drop(socket);
        assert_eq!(taken.await.unwrap(), MUCH);
    }
}
