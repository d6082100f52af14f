//! Several pgassays on one store with their dumps in a bucket: a real server that speaks S3, and what becomes of uploads and
//! restores when it or one of them fails.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;

use nix::sys::signal::Signal;
use reqwest::StatusCode;

use crate::faults::http;
use crate::pages::Plain;
use crate::scratch;
use crate::server::Server;
use crate::server::repository;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

const KEY: &str = "the-key";
const SECRET: &str = "the-secret";
/// So much that it is sent and fetched in parts.
const N_LINES: usize = 170_000;

/// A dump of 10 MB or so.
fn dump() -> Vec<u8> {
    let mut text = "create table t (a integer, b text);\ncopy t from stdin;\n".to_owned();
    for n in 0..N_LINES {
        writeln!(text, "{n}\tthe quick brown fox jumps over the lazy dog, {n}").unwrap();
    }
    text.push_str("\\.\n");
    text.into_bytes()
}

/// A server with one bucket, `dumps`.
struct Bucket {
    root: PathBuf,
    port: u16,
    process: Child,
}

impl Bucket {
    fn start() -> Self {
        let root = scratch::dir();
        fs::create_dir(root.join("dumps")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::process(&root, port);
        Self { root, port, process }
    }

    fn process(root: &Path, port: u16) -> Child {
        let program = repository("tests/servers/s3/bin/s3s-fs");
        assert!(
            program.exists(),
            "there is no {}; .ci/setup --test brings it",
            program.display()
        );
        let mut server = Command::new(program);
        server.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        server.args(["--access-key", KEY, "--secret-key", SECRET]).arg(root);
        let process = server.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the S3 server", || TcpStream::connect(("127.0.0.1", port)).ok());
        process
    }

    fn kill(&mut self) {
        support::send(self.process.id(), Signal::SIGKILL);
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::process(&self.root, self.port);
    }

    /// What the bucket holds.
    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.root.join("dumps"))
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.kill();
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// How many bytes may still pass, in both directions together; no end without a number.
#[derive(Default)]
struct Valve {
    state: Mutex<ValveState>,
    changed: Condvar,
}

#[derive(Default)]
struct ValveState {
    left: Option<usize>,
    n_held_up: u32,
}

impl Valve {
    fn pass(&self, n_bytes: usize) {
        let mut state = self.state.lock().unwrap();
        state.n_held_up += 1;
        state = self
            .changed
            .wait_while(state, |state| state.left.is_some_and(|left| left < n_bytes))
            .unwrap();
        state.n_held_up -= 1;
        if let Some(left) = &mut state.left {
            *left -= n_bytes;
        }
    }

    fn set(&self, left: Option<usize>) {
        self.state.lock().unwrap().left = left;
        self.changed.notify_all();
    }
}

/// A line to a server that can be held up in the middle.
struct Line {
    port: u16,
    valve: Arc<Valve>,
}

impl Line {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let valve = Arc::new(Valve::default());
        let shared = Arc::clone(&valve);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                for (from, into) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    let valve = Arc::clone(&shared);
                    std::thread::spawn(move || pump(from, into, &valve));
                }
            }
        });
        Self { port: own_port, valve }
    }

    /// Lets so many more bytes through and then none.
    fn hold_up_after(&self, n_bytes: usize) {
        self.valve.set(Some(n_bytes));
    }

    fn open(&self) {
        self.valve.set(None);
    }

    fn wait_until_held_up(&self) {
        wait_for("a line that is held up", || {
            (self.valve.state.lock().unwrap().n_held_up > 0).then_some(())
        });
    }
}

/// Until either side has enough.
fn pump(mut from: TcpStream, mut into: TcpStream, valve: &Valve) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer)
        && n > 0
    {
        valve.pass(n);
        if into.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // The other direction may have done so.
    let _ = into.shutdown(std::net::Shutdown::Both);
}

/// A command that reaches the bucket by a port, with a secret that may be the right one.
fn reaching(mut command: Command, bucket: &str, port: u16, secret: &str) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("PGASSAY_FILES", format!("s3://{bucket}/lab"));
    command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}"));
    command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    // Long enough for a busy machine, where something answers at all.
    command.env("AWS_TIMEOUT", "20s");
    command
}

/// A store, and a directory for each pgassay that uses it.
struct Ground {
    store: Cluster,
    dir: PathBuf,
}

impl Ground {
    fn new() -> Self {
        Self {
            store: Cluster::start(),
            dir: scratch::dir(),
        }
    }

    fn data_dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn serve(&self, name: &str, port: u16) -> Server {
        let mut serve = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        serve
            .arg(self.data_dir(name))
            .arg("--samples-dir")
            .arg(repository("samples"));
        serve.args(["--database-url", &self.store.socket_url()]);
        Server::run(reaching(serve, "dumps", port, SECRET))
    }

    fn ask(&self, sql: &str) -> String {
        self.store.ask(sql).join("\n")
    }

    /// Another process of this machine seems to be at work, so that nobody begins anything.
    fn keep_busy(&self) {
        let machine = nix::unistd::gethostname().unwrap().into_string().unwrap();
        self.ask(&format!(
            "insert into jobs (owner_id, kind, status, host, lease_owner, lease_until)
             select id, 'check', 'running', '{machine}', 'nobody', now() + interval '39 s' from users"
        ));
    }

    fn let_work(&self) {
        self.ask("delete from jobs where lease_owner = 'nobody'");
    }

    fn wait_for_restore(&self, status: &str) {
        wait_for(&format!("a restore that is {status}"), || {
            let found = self
                .ask("select j.status || ' ' || coalesce(message, '') from datasets d join jobs j on j.id = d.job_id");
            let (now, message) = found.split_once(' ')?;
            assert!(now != "failed" || status == "failed", "{message}");
            (now == status).then_some(())
        });
    }

    /// Dumps on the disk of a pgassay, whole or not.
    fn copies(&self, name: &str) -> usize {
        files_below(&self.data_dir(name).join("uploads")).len()
    }
}

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn one_pgassay_takes_a_dump_in_and_another_restores_it_from_the_bucket() {
    let (bucket, ground) = (Bucket::start(), Ground::new());
    let front = ground.serve("front", bucket.port);
    ground.keep_busy();
    let (_, page) = Plain::of(&front).upload("/upload/dump", "r1", "big.sql", dump()).await;
    assert_eq!(page, "/datasets/1");
    assert_eq!((bucket.files().len(), ground.copies("front")), (1, 0));
    assert_eq!(front.stop(), Some(0));

    let back = ground.serve("back", bucket.port);
    ground.let_work();
    ground.wait_for_restore("completed");
    let plain = Plain::of(&back);
    let shown = plain.page("/datasets/1").await;
    assert!(
        shown.contains("in the depot, from where any machine can restore it"),
        "{shown}"
    );
    assert!(ground.data_dir("back").join("sandboxes/1").exists());
    wait_for("its copy to go", || (ground.copies("back") == 0).then_some(()));

    plain.post("/datasets/1/delete", &[]).await;
    assert!(bucket.files().is_empty());
    assert_eq!(back.stop(), Some(0));
}

#[tokio::test]
async fn a_pgassay_killed_while_it_puts_or_fetches_a_dump_leaves_nothing_half_done() {
    let (bucket, ground) = (Bucket::start(), Ground::new());
    let line = Line::to(bucket.port);

    let server = ground.serve("one", line.port);
    line.hold_up_after(3 << 20);
    let upload = http::Upload::begin(&address(&server), "/upload/dump", "r1", "big.sql", &dump());
    let sending = std::thread::spawn(move || upload.finish());
    line.wait_until_held_up();
    assert_eq!(ground.copies("one"), 1, "it has arrived and is on its way");
    server.kill();
    assert!(sending.join().unwrap().is_none());
    line.open();
    let server = ground.serve("one", line.port);
    assert_eq!(ground.ask("select count(*) from datasets"), "0");
    assert!(bucket.files().is_empty());
    assert_eq!(ground.copies("one"), 0);

    ground.keep_busy();
    Plain::of(&server).upload("/upload/dump", "r1", "big.sql", dump()).await;
    line.hold_up_after(2 << 20);
    ground.let_work();
    line.wait_until_held_up();
    wait_for("a part on the disk", || (ground.copies("one") == 1).then_some(()));
    server.kill();
    line.open();
    let server = ground.serve("one", line.port);
    ground.wait_for_restore("completed");
    assert_eq!(
        ground.ask("select sum(n_rows) from dataset_tables"),
        N_LINES.to_string()
    );
    wait_for("its copy to go", || (ground.copies("one") == 0).then_some(()));
    assert_eq!(bucket.files().len(), 1);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_bucket_that_is_away_keeps_uploads_out_in_words_and_a_restore_waits_for_somebody_to_ask_again() {
    let (mut bucket, ground) = (Bucket::start(), Ground::new());
    let server = ground.serve("one", bucket.port);
    let plain = Plain::of(&server);
    ground.keep_busy();
    let small = b"create table t (a integer);".to_vec();
    plain.upload("/upload/dump", "r1", "small.sql", small.clone()).await;

    bucket.kill();
    let (status, said) = plain.upload("/upload/dump", "r2", "small.sql", small).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        said.contains("The depot s3://dumps/lab does not answer as it should"),
        "{said}"
    );
    assert_eq!(ground.ask("select count(*) from datasets"), "1");
    assert_eq!(ground.copies("one"), 0);

    ground.let_work();
    ground.wait_for_restore("failed");
    let shown = plain.page("/datasets/1").await;
    assert!(
        shown.contains("Given up after 3 interruptions. The last: the depot s3://dumps/lab does not answer"),
        "{shown}"
    );
    assert!(shown.contains("Restore it again"));
    bucket.start_again();
    let (_, page) = plain.post("/datasets/1/restore", &[]).await;
    assert_eq!(page, "/datasets/1");
    ground.wait_for_restore("completed");
    // Once it is there, nobody restores it for nothing.
    let (status, _) = plain.post("/datasets/1/restore", &[]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_doctor_tries_the_bucket_and_says_what_is_wrong() {
    let bucket = Bucket::start();
    let silent = Line::to(bucket.port);
    silent.hold_up_after(0);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let asked = [
        (
            "dumps",
            bucket.port,
            SECRET,
            "s3://dumps/lab: it was listed, and a small file was put there, read and removed",
        ),
        (
            "dumps",
            bucket.port,
            "another",
            "The depot s3://dumps/lab refuses pgassay's credentials (SignatureDoesNotMatch)",
        ),
        (
            "nothing",
            bucket.port,
            SECRET,
            "There is no bucket for the depot s3://nothing/lab",
        ),
        (
            "dumps",
            nobody,
            SECRET,
            "The depot s3://dumps/lab does not answer as it should (Connection refused",
        ),
        (
            "dumps",
            silent.port,
            SECRET,
            "The depot s3://dumps/lab does not answer as it should (operation timed out",
        ),
    ]
    .map(|(name, port, secret, words)| {
        let mut doctor = support::pgassay(&["doctor", "--data-dir"]);
        doctor.arg(scratch::dir());
        let mut doctor = reaching(doctor, name, port, secret);
        let asking = doctor.env("AWS_TIMEOUT", "1s").stdout(Stdio::piped()).spawn().unwrap();
        (asking, words)
    });
    for (asking, words) in asked {
        let output = String::from_utf8(asking.wait_with_output().unwrap().stdout).unwrap();
        let line = output.lines().find(|line| line.contains("depot")).unwrap_or_default();
        assert!(line.contains(words), "{words}: {output}");
        assert!(!output.contains(SECRET));
    }
    assert!(bucket.files().is_empty(), "a check leaves nothing");
}
