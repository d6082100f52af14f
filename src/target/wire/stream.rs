//! The bytes to and from a server: over a Unix socket, TCP, or TLS over TCP.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// One place, of those that a name may stand for.
#[derive(Clone, Debug)]
pub enum Spot {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// The way to a server.
pub enum Stream {
    /// Watched for reading alone. One that is watched for writing as well reports every message that the server takes out
    /// of it, which wakes us once more for each statement, while the server works on it.
    Unix(AsyncFd<UnixStream>),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub async fn open(spot: &Spot) -> io::Result<Self> {
        match spot {
            Spot::Unix(path) => Self::unix(tokio::net::UnixStream::connect(path).await?.into_std()?),
            Spot::Tcp(address) => {
                let socket = if address.is_ipv4() {
                    TcpSocket::new_v4()?
                } else {
                    TcpSocket::new_v6()?
                };
                socket.set_nodelay(true)?;
                // As libpq: a peer that is gone without a word is noticed some day.
                socket.set_keepalive(true)?;
                Ok(Self::Tcp(socket.connect(*address).await?))
            }
        }
    }

    /// The socket does not block.
    pub(super) fn unix(socket: UnixStream) -> io::Result<Self> {
        watch(socket, Interest::READABLE).map(Self::Unix)
    }

    /// Sends everything.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => send_unix(socket.get_ref(), bytes).await,
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Waits until there is something; 0 is the end.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => receive_unix(socket, buffer).await,
            Self::Tcp(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }
}

#[expect(
    deprecated,
    reason = "what takes its place is unsafe, for the sake of types that change their descriptor; a socket of std does not"
)]
fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

async fn send_unix(mut socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(n_bytes) => bytes = &bytes[n_bytes..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Rare: a statement longer than the system's buffer. A second handle is watched for as long as it takes.
                let watched = watch(socket.try_clone()?, Interest::WRITABLE)?;
                watched.writable().await?.retain_ready();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn receive_unix(socket: &AsyncFd<UnixStream>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = socket.readable().await?;
        match ready.get_inner().read(buffer) {
            Ok(n_bytes) => {
                // All is read. The system will say when there is more, so that nobody has to ask in vain.
                if n_bytes < buffer.len() {
                    ready.clear_ready();
                }
                return Ok(n_bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
