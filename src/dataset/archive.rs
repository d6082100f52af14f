//! Turns an archive into SQL by `pg_restore`, in a child that can reach nothing.
//!
//! `pg_restore` crashes on damaged archives and has run code out of crafted ones, so it gets no connection, no
//! environment, another user where we are root, and hard limits on memory, time and files.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::dataset::error::RestoreError;
use crate::dataset::pieces::DumpFile;
use crate::dataset::reader;
use crate::dataset::reader::Bytes;
use crate::dataset::reader::Counter;
use crate::model::dataset::Compression;

const MEMORY_BYTES: u64 = 1 << 30;
const CPU_SECONDS: u64 = 60;
const CPU_SECONDS_PER_GB: u64 = 30;
const OPEN_FILES: u64 = 16;
/// How much of what it complains about is kept.
const STDERR_BYTES: u64 = 4096;

/// A running converter. Dropping it kills the child.
pub struct Converter {
    child: Child,
    complaints: JoinHandle<String>,
    /// Feeds a compressed archive to the child.
    feeder: Option<JoinHandle<Result<(), RestoreError>>>,
}

/// Starts `pg_restore` on an archive and returns it with the SQL that it writes.
pub async fn convert(file: &DumpFile<'_>, counter: &Counter) -> Result<(Converter, ChildStdout), RestoreError> {
    if !file.pg_restore.exists() {
        return Err(RestoreError::Sentence(
            "Archives are read by pg_restore, which is not installed here. Install PostgreSQL's client programs, or make \
             the dump in plain format: pg_dump -Fp."
                .to_owned(),
        ));
    }
    Ok(start(file, counter).await?)
}

async fn start(file: &DumpFile<'_>, counter: &Counter) -> anyhow::Result<(Converter, ChildStdout)> {
    let (pg_restore, archive) = (file.pg_restore, file.path);
    let size_bytes = tokio::fs::metadata(archive).await?.len();
    let mut command = confined(pg_restore, size_bytes);
    command
        .args(["-f", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A plain file lets pg_restore skip about in it; a pipe makes it read on.
    command.stdin(match file.compression {
        Compression::None => {
            let opened = std::fs::File::open(archive)?;
            counter.follow(&opened)?;
            Stdio::from(opened)
        }
        Compression::Gzip | Compression::Zstd => Stdio::piped(),
    });
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {}", pg_restore.display()))?;
    let stdout = child.stdout.take().context("the converter's output")?;
    let stderr = child.stderr.take().context("the converter's complaints")?;
    let feeder = match child.stdin.take() {
        None => None,
        Some(stdin) => {
            let unpacked = reader::open(archive, file.compression, counter).await?;
            Some(tokio::spawn(feed(unpacked, stdin, file.max_expanded_bytes)))
        }
    };
    let complaints = tokio::spawn(async move {
        let mut text = Vec::new();
        let mut stderr = stderr.take(STDERR_BYTES);
        // What cannot be read is not told.
        let _ = stderr.read_to_end(&mut text).await;
        let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
        String::from_utf8_lossy(&text).into_owned()
    });
    Ok((
        Converter {
            child,
            complaints,
            feeder,
        },
        stdout,
    ))
}

async fn feed(unpacked: Bytes, mut stdin: ChildStdin, max_expanded_bytes: u64) -> Result<(), RestoreError> {
    let mut limited = unpacked.take(max_expanded_bytes);
    match tokio::io::copy(&mut limited, &mut stdin).await {
        Ok(_) if limited.limit() == 0 => Err(RestoreError::expands_too_far(max_expanded_bytes)),
        Ok(_) => Ok(()),
        // It has read what it wanted, or has died and will say so.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(RestoreError::damaged_compression("", &error)),
    }
}

impl Converter {
    /// Waits for the end, and says in words what was wrong with the archive if anything was.
    pub async fn finish(mut self) -> Result<(), RestoreError> {
        let status = self.child.wait().await.context("waiting for pg_restore")?;
        if let Some(feeder) = self.feeder {
            feeder.await.context("feeding pg_restore")??;
        }
        if status.success() {
            return Ok(());
        }
        let complaints = self.complaints.await.unwrap_or_default();
        let first = complaints
            .lines()
            .find(|line| line.contains("error"))
            .or(complaints.lines().next());
        let said = first.map(|line| line.trim_start_matches("pg_restore: ").trim_start_matches("error: "));
        Err(RestoreError::Sentence(match (status.signal(), said) {
            (Some(signal), _) => {
                format!("The archive is damaged: pg_restore was stopped by signal {signal} while reading it.")
            }
            (None, Some(said)) => format!("The archive is cut off or damaged. pg_restore says: {said}."),
            (None, None) => "The archive is cut off or damaged.".to_owned(),
        }))
    }
}

/// The command in its cage, as far as this system has the tools for one.
fn confined(pg_restore: &Path, size_bytes: u64) -> Command {
    let cpu_seconds = CPU_SECONDS + CPU_SECONDS_PER_GB * size_bytes.div_ceil(1 << 30);
    let limits = [
        format!("--as={MEMORY_BYTES}"),
        format!("--cpu={cpu_seconds}"),
        format!("--nofile={OPEN_FILES}"),
        "--fsize=0".to_owned(),
        "--core=0".to_owned(),
    ];
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    if let Some(prlimit) = find_tool("prlimit") {
        words.push(prlimit.into());
        words.extend(limits.into_iter().map(Into::into));
    }
    if let Some(setpriv) = find_tool("setpriv") {
        words.push(setpriv.into());
        words.push("--no-new-privs".into());
    }
    words.push(pg_restore.into());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_else(|| pg_restore.into()));
    command.args(words).env_clear().env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = nobody() {
        command.uid(uid).gid(gid);
    }
    command
}

fn find_tool(name: &str) -> Option<std::path::PathBuf> {
    ["/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

/// Not the user of our servers: that one may read their files.
fn nobody() -> Option<(u32, u32)> {
    if !nix::unistd::Uid::effective().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("nobody").ok().flatten()?;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}
