//! The bytes to and from a server: over a Unix socket, TCP, or TLS over TCP.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

/// One place, of those that a name may stand for.
#[derive(Clone, Debug)]
pub enum Spot {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A socket that does not block.
pub enum Socket {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Tcp(socket) => socket.as_raw_fd(),
        }
    }
}

impl Socket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).read(buffer),
            Self::Tcp(socket) => (&*socket).read(buffer),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).write(bytes),
            Self::Tcp(socket) => (&*socket).write(bytes),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
        }
    }
}

/// A plain socket is watched for reading alone. A Unix socket that is watched for writing as well reports every message
/// that the server takes out of it, which wakes us once more for each statement while the server works on it.
pub enum Stream {
    Plain(AsyncFd<Socket>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub async fn open(spot: &Spot) -> io::Result<Self> {
        let socket = match spot {
            Spot::Unix(path) => Socket::Unix(UnixStream::connect(path).await?.into_std()?),
            Spot::Tcp(address) => {
                let socket = if address.is_ipv4() {
                    TcpSocket::new_v4()?
                } else {
                    TcpSocket::new_v6()?
                };
                socket.set_nodelay(true)?;
                // As libpq: a peer that is gone without a word is noticed some day.
                socket.set_keepalive(true)?;
                Socket::Tcp(socket.connect(*address).await?.into_std()?)
            }
        };
        Ok(Self::Plain(AsyncFd::with_interest(socket, Interest::READABLE)?))
    }

    /// Sends everything.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => send_plain(socket.get_ref(), bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Waits until there is something; 0 is the end.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => return stream.read(buffer).await,
        };
        loop {
            let mut ready = socket.readable().await?;
            match ready.get_inner().read(buffer) {
                Ok(n_bytes) => {
                    // All is read: it will say when there is more, so that nobody has to ask in vain.
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
}

async fn send_plain(socket: &Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(n_bytes) => bytes = &bytes[n_bytes..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Rare: a statement longer than the system's buffer. A second handle is watched for as long as it takes.
                let watched = AsyncFd::with_interest(socket.try_clone()?, Interest::WRITABLE)?;
                watched.writable().await?.retain_ready();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
