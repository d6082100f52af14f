//! The bytes to and from a server: over a Unix socket, TCP, or TLS over TCP.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
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

pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub async fn open(spot: &Spot) -> io::Result<Self> {
        match spot {
            Spot::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
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

    /// Sends everything.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes).await,
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
            Self::Unix(stream) => stream.read(buffer).await,
            Self::Tcp(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }
}
