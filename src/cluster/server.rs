//! One running server: starts it, waits until it takes connections, notices its end, stops it on every way out.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::cluster::ClusterError;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::Stop;
use crate::cluster::claim::Claim;
use crate::cluster::leftover;
use crate::cluster::limits;
use crate::cluster::lock_file;
use crate::cluster::process;
use crate::cluster::settings;
use crate::cluster::site::Site;
use crate::cluster::sockets;

/// Recovery after a crash reads up to `max_wal_size` of log and flushes all files; a server that is at it is not stuck.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// How long processes of a dead server may hold its shared memory before we give up.
const MEMORY_FREE_WITHIN: Duration = Duration::from_secs(20);

/// The status of a starting server is in a file, so there is nothing to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A log longer than this is put aside at the next start, in place of the one put aside before.
const LOG_CAP_BYTES: u64 = 10 << 20;

/// Half a second of looks.
const CLAIM_TRIES: u32 = 50;

/// How much of the log goes into an error.
const LOG_TAIL_BYTES: u64 = 4096;

/// A server that runs as our child. Dropping it without [`Server::stop`] stops it immediately, without waiting.
#[derive(Debug)]
pub struct Server {
    // Dropped before the claim: who takes that next finds the server already told to go.
    postmaster: Postmaster,
    _claim: Claim,
    log: Log,
    data_dir: PathBuf,
    socket_dir: PathBuf,
}

impl Server {
    /// Starts the server on a prepared data directory and returns when it takes connections. What a crash left there is
    /// stopped or removed first; a server of a living pgassay is [`ClusterError::InUse`].
    pub async fn start(site: &Site, spec: &ServerSpec) -> Result<Self, ClusterError> {
        site.check_reachable(&spec.data_dir)?;
        let data_dir =
            fs::canonicalize(&spec.data_dir).with_context(|| format!("opening {}", spec.data_dir.display()))?;
        check_version(site, &data_dir)?;
        let claim = take_claim(&data_dir).await?;
        let leftover_stop = match spec.kind {
            Kind::Store => Stop::Fast,
            Kind::Sandbox => Stop::Immediate,
        };
        leftover::clear(&claim, &data_dir, leftover_stop).await?;
        take_over(site, &data_dir).context("taking over the data directory")?;

        let socket_dir = site.sockets.make(&spec.socket_name)?;
        let shared_buffers_bytes = match spec.kind {
            Kind::Store => limits::STORE_SHARED_BUFFERS_BYTES,
            Kind::Sandbox => limits::sandbox_shared_buffers_bytes(),
        };
        let configuration =
            settings::configuration(spec.kind, &data_dir, &socket_dir, shared_buffers_bytes, &spec.settings);
        for (name, text) in [
            (settings::FILE_NAME, configuration),
            ("pg_hba.conf", settings::host_based_authentication(spec.kind)),
            ("pg_ident.conf", settings::user_map(&site.os_user)),
        ] {
            put(site, &data_dir, name, &text).with_context(|| format!("writing {name} in {}", data_dir.display()))?;
        }
        let address_space_bytes = match spec.kind {
            Kind::Store => None,
            Kind::Sandbox => Some(limits::address_space_bytes(shared_buffers_bytes)),
        };
        let (postmaster, log) = start_postmaster(site, &data_dir, address_space_bytes).await?;
        Ok(Self {
            postmaster,
            _claim: claim,
            log,
            data_dir,
            socket_dir,
        })
    }

    /// The directory to name as host when connecting; the port is [`crate::cluster::PORT`].
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The process number of the postmaster.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid.as_raw().unsigned_abs()
    }

    /// The end of what the server has written into its log since it started; empty when that cannot be read.
    pub fn log(&self) -> String {
        self.log.tail().unwrap_or_default()
    }

    /// Whether the postmaster is gone, by itself or stopped.
    pub fn has_exited(&self) -> bool {
        self.postmaster.exited.borrow().is_some()
    }

    /// Resolves when the postmaster is gone, by itself or stopped. Outlives the server, so it can be watched elsewhere.
    pub fn exited(&self) -> impl Future<Output = ExitStatus> + Send + use<> {
        let exited = self.postmaster.exited.clone();
        async move {
            match exit_status(exited).await {
                Some(status) => status,
                // The runtime is going down and nobody will look.
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the server and returns when no process of it is left. Dropping the future midway stops it immediately.
    pub async fn stop(self, stop: Stop) -> Result<(), ClusterError> {
        let pid = self.postmaster.pid;
        let exited = self.postmaster.exited.clone();
        let gone = async {
            exit_status(exited).await;
            Ok(())
        };
        if !process::put_down(pid, stop, gone).await? {
            return Err(anyhow!("server {pid} in {} does not stop", self.data_dir.display()).into());
        }
        leftover::kill_strays(&self.data_dir).await?;
        sockets::remove(&self.socket_dir).with_context(|| format!("removing {}", self.socket_dir.display()))?;
        sockets::remove_root(&self.socket_dir);
        Ok(())
    }
}

/// The claim on a directory. A child of ours holds it for a moment between its fork and its exec, so a refusal has to
/// last before it is believed.
async fn take_claim(data_dir: &Path) -> Result<Claim, ClusterError> {
    for _ in 0..CLAIM_TRIES {
        if let Some(claim) = Claim::take(data_dir)? {
            return Ok(claim);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(ClusterError::InUse(data_dir.to_owned()))
}

/// A postmaster that is our child.
#[derive(Debug)]
struct Postmaster {
    pid: Pid,
    exited: watch::Receiver<Option<ExitStatus>>,
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.exited.borrow().is_some() {
            return;
        }
        if let Err(error) = process::signal(self.pid, Signal::SIGQUIT) {
            warn!(pid = %self.pid, "Server {} could not be stopped: {error:#}", self.pid);
        }
    }
}

/// `None` when the task that waits for the process was dropped with its runtime.
async fn exit_status(mut exited: watch::Receiver<Option<ExitStatus>>) -> Option<ExitStatus> {
    let status = exited.wait_for(Option::is_some).await;
    status.ok().and_then(|status| *status)
}

fn check_version(site: &Site, data_dir: &Path) -> Result<(), ClusterError> {
    let path = data_dir.join("PG_VERSION");
    let made_by = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let made_by = made_by.trim();
    if made_by == site.binaries.major().to_string() {
        return Ok(());
    }
    Err(ClusterError::OtherVersion {
        data_dir: data_dir.to_owned(),
        made_by: made_by.to_owned(),
        found: site.binaries.version(),
    })
}

/// Files made before by us as another user are given to the one who runs servers now.
fn take_over(site: &Site, data_dir: &Path) -> io::Result<()> {
    match &site.account {
        Some(account) if fs::metadata(data_dir)?.uid() != account.uid => account.give(data_dir),
        _ => Ok(()),
    }
}

/// Replaces a file in the data directory. Hostile code may have won the account that owns it, so we, who may be root,
/// follow no link there: a new file is made, which a link cannot stand in for, and renamed over the old.
fn put(site: &Site, data_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let draft = data_dir.join(format!("{name}.new"));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    give_file(site, &file)?;
    fs::rename(&draft, data_dir.join(name))
}

fn give_file(site: &Site, file: &File) -> io::Result<()> {
    match &site.account {
        Some(account) => fchown(file, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

/// Starts it again as long as the memory of its predecessor is in use.
async fn start_postmaster(
    site: &Site,
    data_dir: &Path,
    address_space_bytes: Option<u64>,
) -> Result<(Postmaster, Log), ClusterError> {
    let give_up = Instant::now() + MEMORY_FREE_WITHIN;
    loop {
        let log = Log::open(site, data_dir).with_context(|| format!("opening the log in {}", data_dir.display()))?;
        let postmaster = spawn(site, data_dir, address_space_bytes, &log.file)?;
        let Err(reason) = ready(&postmaster, data_dir).await? else {
            return Ok((postmaster, log));
        };
        drop(postmaster);
        let log = log
            .tail()
            .unwrap_or_else(|error| format!("(its log cannot be read: {error})"));
        if !log.contains("pre-existing shared memory block") || Instant::now() > give_up {
            return Err(ClusterError::DidNotStart {
                data_dir: data_dir.to_owned(),
                reason,
                log,
            });
        }
        leftover::kill_strays(data_dir).await?;
        tokio::time::sleep(LOOK_EVERY * 10).await;
    }
}

/// The server's log, and where in it this start begins. The file's own position would not do: the server shares it.
#[derive(Debug)]
struct Log {
    file: File,
    start_bytes: u64,
}

impl Log {
    fn open(site: &Site, data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("server.log");
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_CAP_BYTES) {
            fs::rename(&path, data_dir.join("server.log.1"))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            // Not followed, for the reason that `put` gives.
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)?;
        give_file(site, &file)?;
        let start_bytes = file.metadata()?.len();
        Ok(Self { file, start_bytes })
    }

    /// What was written since then, or the end of that.
    fn tail(&self) -> io::Result<String> {
        let end_bytes = self.file.metadata()?.len();
        let from_bytes = self.start_bytes.max(end_bytes.saturating_sub(LOG_TAIL_BYTES));
        let mut tail = vec![0; usize::try_from(end_bytes - from_bytes).unwrap_or_default()];
        self.file.read_exact_at(&mut tail, from_bytes)?;
        Ok(String::from_utf8_lossy(&tail).trim().to_owned())
    }
}

fn spawn(
    site: &Site,
    data_dir: &Path,
    address_space_bytes: Option<u64>,
    log: &File,
) -> Result<Postmaster, ClusterError> {
    let program = site.binaries.tool("postgres");
    let mut command = match (address_space_bytes, limits::prlimit()) {
        (Some(bytes), Some(prlimit)) => {
            let mut command = site.command(prlimit);
            command.arg(format!("--as={bytes}")).arg("--").arg(&program);
            command
        }
        _ => site.command(&program),
    };
    let mut config_file = OsString::from("config_file=");
    config_file.push(data_dir.join(settings::FILE_NAME));
    let child = command
        .arg("-D")
        .arg(data_dir)
        .arg("-c")
        .arg(config_file)
        .stdout(log.try_clone().context("opening the log again")?)
        .stderr(log.try_clone().context("opening the log again")?)
        .spawn()
        .with_context(|| format!("running {}", program.display()))?;
    let pid = child.id().context("a child that nobody has waited for has a number")?;
    let (sender, exited) = watch::channel(None);
    // Ends with its process, which is stopped on every way out, and so needs no cancelling.
    tokio::spawn(reap(child, sender));
    Ok(Postmaster {
        pid: Pid::from_raw(pid.cast_signed()),
        exited,
    })
}

/// Waits for the process, so that it does not stay a zombie, which Postgres would take for a living server.
async fn reap(mut child: Child, exited: watch::Sender<Option<ExitStatus>>) {
    match child.wait().await {
        Ok(status) => {
            exited.send_replace(Some(status));
        }
        Err(error) => warn!("A server cannot be waited for: {error}"),
    }
}

/// Waits until the server takes connections. The inner `Err` says why it will not.
async fn ready(postmaster: &Postmaster, data_dir: &Path) -> Result<Result<(), String>, ClusterError> {
    let give_up = Instant::now() + READY_WITHIN;
    while Instant::now() < give_up {
        let lock_file = lock_file::read(data_dir).context("reading the lock file of a starting server")?;
        if let lock_file::Found::Written(lock_file) = lock_file
            && lock_file.pid == postmaster.pid
            && lock_file.is_ready
        {
            return Ok(Ok(()));
        }
        let exited = exit_status(postmaster.exited.clone());
        if let Ok(status) = tokio::time::timeout(LOOK_EVERY, exited).await {
            let status = status.context("the runtime is shutting down")?;
            return Ok(Err(format!("it ended with {status}.")));
        }
    }
    Ok(Err(format!("it was not ready after {} s.", READY_WITHIN.as_secs())))
}

#[cfg(test)]
mod tests;
