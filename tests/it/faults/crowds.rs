//! Crowds before the door: thousands who say nothing, never end what they say, or take no answer. Who works here notices
//! nothing of them.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;

use crate::faults::ground::EndsWith;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http;

const N_IDLE: usize = 10_000;
const N_TRICKLING: usize = 2_000;
/// Files of this process for everything else that the tests beside this one do.
const N_OTHERS: usize = 2_000;

/// How many of them this process may hold: all, where its limit on open files is high enough.
fn share_of_files() -> (usize, usize) {
    let (limit, ceiling) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, ceiling.max(limit), ceiling).unwrap();
    let n_free = usize::try_from(ceiling).unwrap_or(usize::MAX).saturating_sub(N_OTHERS);
    let n_trickling = N_TRICKLING.min(n_free / 6);
    let n_idle = N_IDLE.min(n_free - n_trickling);
    if n_idle < N_IDLE {
        println!("Only {n_idle} idle connections and {n_trickling} slow ones: this process may open {ceiling} files");
    }
    (n_idle, n_trickling)
}

fn connect(address: &str) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// A head that never ends, or a body that does not.
fn begin_slowly(address: &str, n: usize) -> Option<TcpStream> {
    let mut stream = connect(address)?;
    let words = if n.is_multiple_of(2) {
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nX-Slowly: ")
    } else {
        format!(
            "POST /experiment HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 100000\r\n\r\n"
        )
    };
    stream.write_all(words.as_bytes()).ok()?;
    Some(stream)
}

/// A number of connections that somebody holds open, as well as that can be done. Who is shown out comes again.
struct Siege<'a> {
    n_connections: usize,
    begin: &'a (dyn Fn(usize) -> Option<TcpStream> + Sync),
    goes_on: fn(&mut TcpStream) -> bool,
    /// How often it has gone through all of them.
    n_rounds: AtomicUsize,
}

impl Siege<'_> {
    fn hold(&self, is_over: &AtomicBool) {
        let mut held: Vec<Option<TcpStream>> = (0..self.n_connections).map(|_| None).collect();
        while !is_over.load(Ordering::Relaxed) {
            for (n, place) in held.iter_mut().enumerate() {
                if !place.as_mut().is_some_and(self.goes_on) {
                    *place = (self.begin)(n);
                }
            }
            self.n_rounds.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Whether the other side still has it open, and says nothing either.
fn is_silent(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn ten_thousand_idle_and_two_thousand_slow_connections_stop_nobody_who_works() {
    let mut ground = Ground::open();
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let address = ground.address().to_owned();
    let (n_idle, n_trickling) = share_of_files();
    let (idle, slow) = (|_| connect(&address), |n| begin_slowly(&address, n));
    let sieges = [
        Siege {
            n_connections: n_idle,
            begin: &idle,
            goes_on: is_silent,
            n_rounds: AtomicUsize::new(0),
        },
        Siege {
            n_connections: n_trickling,
            begin: &slow,
            goes_on: |stream| stream.write_all(b"x").is_ok(),
            n_rounds: AtomicUsize::new(0),
        },
    ];
    let page = format!("/datasets/{dataset}");
    let paths = ["/", &page, "/datasets", "/healthz"];
    let n_loaded = |n_loads: usize| {
        let answers = (0..n_loads).map(|n| http::get(&address, paths[n % paths.len()]));
        answers.flatten().filter(|answer| answer.status == 200).count()
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = EndsWith(&is_over);
        for siege in &sieges {
            scope.spawn(|| siege.hold(&is_over));
        }
        // Until all have come, and most of them once more.
        while sieges.iter().any(|siege| siege.n_rounds.load(Ordering::Relaxed) < 3) {
            assert_eq!(n_loaded(8), 8);
        }
        assert_eq!(n_loaded(100), 100);
        let request_id = ground.request_id();
        let form = [("request_id", request_id.as_str()), ("what", "nonsense")];
        assert_eq!(http::post(&address, "/upload/sample", &form).unwrap().status, 422);
        assert_eq!(ground.upload_dump(QUICK_DUMP), "2");
    });
    ground.wait_for_end("datasets", "2");
    ground.close();
}
