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

use tempfile::TempDir;

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

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The binary, without what this machine's environment might tell it.
pub fn pgassay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgassay"));
    for name in [
        "DATABASE_URL",
        "SANDBOX_URL",
        "PGASSAY_SAMPLE",
        "PGASSAY_DATA_DIR",
        "PGASSAY_LISTEN",
        "PGASSAY_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// A running `pgassay serve`. Dropping it stops it in order.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// Starts one and waits until it serves.
    pub fn start(data_dir: &Path) -> Self {
        let mut child = pgassay()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .arg("--samples-dir")
            .arg(repository("samples"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = log
            .by_ref()
            .map_while(Result::ok)
            .inspect(|line| eprintln!("{line}"))
            .find_map(|line| Some(format!("http://{}", line.split_once("serves http://")?.1)))
            .expect("pgassay serves");
        // Its log goes on, and a full pipe would stop it.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }

    /// Asks it to stop and returns how it ended.
    pub fn stop(mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            signal(&self.child, "TERM");
            self.child.wait().unwrap();
        }
    }
}

fn signal(child: &Child, name: &str) {
    Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .status()
        .unwrap();
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
