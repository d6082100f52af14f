//! A pgassay of its own for a test: the real binary on a free port and a fresh data directory.

use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A directory that the user who runs PostgreSQL can get into.
pub fn data_dir() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Asks for pages. Where pgassay has clouds, so has the client of these tests, and wants to know who encrypts for it.
pub fn client() -> reqwest::ClientBuilder {
    #[cfg(feature = "cloud")]
    {
        // Another test may have said so.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    }
    reqwest::Client::builder()
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A running `pgassay serve`. Dropping it stops it in order.
pub struct Server {
    child: Child,
    pub url: String,
    /// By which the first admin can be made, where people sign in.
    pub setup_token: Option<String>,
}

impl Server {
    /// Starts one and waits until it serves.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// The same with more options.
    pub fn start_with(data_dir: &Path, options: &[&str]) -> Self {
        let mut serve = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        serve
            .arg(data_dir)
            .arg("--samples-dir")
            .arg(repository("samples"))
            .args(options);
        Self::run(serve)
    }

    /// Runs a command that serves.
    pub fn run(mut serve: Command) -> Self {
        let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut setup_token = None;
        let url = log
            .by_ref()
            .map_while(Result::ok)
            .inspect(|line| {
                eprintln!("{line}");
                if let Some((_, token)) = line.split_once("/setup?token=") {
                    setup_token = Some(token.to_owned());
                }
            })
            .find_map(|line| Some(format!("http://{}", line.split_once("serves http://")?.1)))
            .expect("pgassay serves");
        // Its log goes on, and a full pipe would stop it.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Self {
            child,
            url: url.trim().to_owned(),
            setup_token,
        }
    }

    /// The most memory that it has had in use so far.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
        kib * 1024
    }

    /// Kills it, with nothing done in order.
    pub fn kill(mut self) {
        support::send(self.child.id(), Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    /// Asks it to stop and returns how it ended.
    pub fn stop(mut self) -> Option<i32> {
        support::send(self.child.id(), Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            support::send(self.child.id(), Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

/// Looks again and again until there is something to see.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
