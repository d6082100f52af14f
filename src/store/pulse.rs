//! Whether a store beyond the network still answers. When a firewall or a dead host swallows what is sent there, nobody is
//! told: a question waits for a quarter of an hour, until the system gives up. So somebody asks every second, and when there
//! is no answer, every connection to the store is cut. All who wait on one then hear that the store is away, as they do when
//! it is restarted, and know what to do.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::socket::Shutdown;
use nix::sys::socket::SockaddrStorage;
use nix::sys::socket::getpeername;
use nix::sys::socket::shutdown;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tracing::info;
use tracing::warn;

const EVERY: Duration = Duration::from_secs(1);
/// What is asked needs no table and no disk. A page that waits hears of it within five seconds.
const ANSWERED_WITHIN: Duration = Duration::from_millis(3500);

/// Feels the pulse of the store until the pool is closed. One that is reached by a socket of this machine needs nobody to
/// do so: its end is heard of at once.
pub fn feel(pool: &PgPool, options: PgConnectOptions) {
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return;
    }
    let (closed, pulse) = (pool.close_event(), Pulse { options });
    tokio::spawn(async move {
        tokio::select! {
            () = closed => {}
            () = pulse.watch() => {}
        }
    });
}

struct Pulse {
    options: PgConnectOptions,
}

impl Pulse {
    async fn watch(&self) {
        loop {
            // Where there is none, who asks is told in time: connections are waited for so long and no longer.
            if let Ok(Ok(conn)) = tokio::time::timeout(ANSWERED_WITHIN, self.options.connect()).await {
                self.watch_on(conn).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Returns when the store does not answer on this connection any more.
    async fn watch_on(&self, mut conn: sqlx::PgConnection) {
        loop {
            match tokio::time::timeout(ANSWERED_WITHIN, conn.ping()).await {
                Ok(Ok(())) => tokio::time::sleep(EVERY).await,
                // It says itself that it goes, and says so to all.
                Ok(Err(_)) => return,
                Err(_) => return self.cut().await,
            }
        }
    }

    /// Ends every connection of this process to the store.
    async fn cut(&self) {
        let place = (self.options.get_host(), self.options.get_port());
        let resolving = tokio::time::timeout(ANSWERED_WITHIN, tokio::net::lookup_host(place));
        let Ok(Ok(addresses)) = resolving.await else {
            warn!("The store does not answer, and where it is cannot be found out");
            return;
        };
        let addresses: Vec<SocketAddr> = addresses.collect();
        let n_cut = tokio::task::spawn_blocking(move || cut_all_to(&addresses)).await;
        info!(
            "The store does not answer; {} connections to it were cut",
            n_cut.unwrap_or_default()
        );
    }
}

/// Shuts down every socket of this process whose other end is there, and returns how many there were. Whoever reads from one
/// finds its end.
fn cut_all_to(addresses: &[SocketAddr]) -> usize {
    let Ok(files) = std::fs::read_dir("/dev/fd") else {
        return 0;
    };
    let numbers = files
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number: &i32| peer_of(*number).is_some_and(|peer| addresses.contains(&peer)))
        .filter(|number| shutdown(*number, Shutdown::Both).is_ok())
        .count()
}

/// None for what is no connection, or not by TCP.
fn peer_of(file: i32) -> Option<SocketAddr> {
    let peer: SockaddrStorage = getpeername(file).ok()?;
    let v4 = peer
        .as_sockaddr_in()
        .map(|peer| SocketAddr::from((peer.ip(), peer.port())));
    v4.or_else(|| {
        Some(SocketAddr::from((
            peer.as_sockaddr_in6()?.ip(),
            peer.as_sockaddr_in6()?.port(),
        )))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn only_connections_to_the_store_are_cut() {
        let (store, other) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
        let (store, other) = (store.unwrap(), other.unwrap());
        let place = store.local_addr().unwrap();
        let mut to_store = [TcpStream::connect(place).unwrap(), TcpStream::connect(place).unwrap()];
        let to_other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        assert_eq!(cut_all_to(&[place]), 2);
        for stream in &mut to_store {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it has ended");
        }
        to_other.set_nonblocking(true).unwrap();
        let waits = (&to_other).read(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    }
}
