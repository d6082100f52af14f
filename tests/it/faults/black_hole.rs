//! A network between us and a server that may swallow what is sent, and tell nobody.

use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// Passes everything on to a server, until it is told to swallow it.
pub struct BlackHole {
    pub port: u16,
    /// Odd while it swallows. A connection of another time is never heard of again.
    time: Arc<AtomicU32>,
}

impl BlackHole {
    /// One before a server of this machine.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let time = Arc::new(AtomicU32::new(0));
        let now = Arc::clone(&time);
        // They end with the process.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(server) else {
                    continue;
                };
                let began = now.load(Ordering::SeqCst);
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to, now) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&now));
                    std::thread::spawn(move || pump(from, to, began, &now));
                }
            }
        });
        Self { port, time }
    }

    /// From now on nothing comes through, on old connections and on new ones.
    pub fn swallow(&self) {
        self.time.fetch_add(1, Ordering::SeqCst);
    }

    /// New connections are passed on again. The old ones stay as they are.
    pub fn pass(&self) {
        self.time.fetch_add(1, Ordering::SeqCst);
    }
}

/// Neither side hears of the other's end where the connection is swallowed.
fn pump(mut from: TcpStream, mut to: TcpStream, began: u32, now: &AtomicU32) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let n_read = from.read(&mut buffer).unwrap_or(0);
        let is_swallowed = began % 2 == 1 || now.load(Ordering::SeqCst) != began;
        if is_swallowed && n_read == 0 {
            // Kept open to the end of the test.
            return std::mem::forget(to);
        }
        if is_swallowed {
            continue;
        }
        if n_read == 0 || to.write_all(&buffer[..n_read]).is_err() {
            // Both ends may be gone already.
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
