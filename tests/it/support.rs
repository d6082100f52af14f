//! The program and its surroundings: processes, stores looked at through their sockets, a cluster that is not ours.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::scratch;

/// Longer than anything takes that works, also beside other work on two processors.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks at something outside until it is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The program under test, which knows nothing of this process's settings.
pub fn pgassay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgassay"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PGASSAY_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("SANDBOX_URL");
    command.args(args).stdin(Stdio::null());
    command
}

/// `pgassay run` in a data directory.
pub fn run(data_dir: &Path, dump: &Path, queries: &Path, more: &[&str]) -> Command {
    let mut command = pgassay(&["run", "--data-dir"]);
    command.arg(data_dir).arg("--dump").arg(dump);
    command.arg("--queries").arg(queries).args(more);
    command
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

pub fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// The postmaster of a data directory, as its lock file names it: process number and socket directory.
pub fn postmaster(data_dir: &Path) -> Option<(u32, PathBuf)> {
    let text = fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let is_ready = lines.get(7)?.trim() == "ready";
    let found = (lines.first()?.parse().ok()?, PathBuf::from(lines.get(4)?));
    is_ready.then_some(found)
}

/// Asks the embedded store of a data directory; none while it does not run.
pub fn ask_store(data_dir: &Path, sql: &str) -> Option<String> {
    let (_, socket_dir) = postmaster(&data_dir.join("store"))?;
    let psql = tool("psql")
        .args(["-XAtq", "-U", "postgres", "-d", "postgres", "-c", sql, "-h"])
        .arg(socket_dir)
        .output()
        .unwrap();
    let answer = String::from_utf8(psql.stdout).unwrap().trim().to_owned();
    psql.status.success().then_some(answer)
}

/// Processes that work on the files of a data directory or name it on their command line.
pub fn processes_of(data_dir: &Path) -> Vec<String> {
    let own = std::process::id().to_string();
    let name = data_dir.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == own {
            continue;
        }
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let works_there = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(data_dir));
        if works_there || command.contains(&format!("{name}/")) || command.contains(&format!("{name} ")) {
            found.push(format!("{pid} {command}"));
        }
    }
    found
}

/// A program of the `PostgreSQL` that pgassay would find.
pub fn tool(name: &str) -> Command {
    let found = Command::new("pg_config").arg("--bindir").output();
    let mut dirs: Vec<PathBuf> = found
        .ok()
        .filter(|output| output.status.success())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        .into_iter()
        .collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        dirs.extend(versions.into_iter().rev());
    }
    let dir = dirs
        .into_iter()
        .find(|dir| dir.join("initdb").exists() && dir.join(name).exists());
    match dir {
        Some(dir) => Command::new(dir.join(name)),
        None => Command::new(name),
    }
}

/// A cluster as anybody may have one, to make dumps from.
pub struct Cluster {
    pub dir: PathBuf,
    postmaster: Child,
}

impl Cluster {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings of the server.
    pub fn start_with(settings: &[&str]) -> Self {
        let dir = scratch::dir();
        let data_dir = dir.join("data");
        let account = Uid::effective()
            .is_root()
            .then(|| User::from_name("postgres").unwrap().unwrap());
        if let Some(account) = &account {
            chown(&dir, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
        let as_account = |mut command: Command| {
            if let Some(account) = &account {
                command
                    .uid(account.uid.as_raw())
                    .gid(account.gid.as_raw())
                    .current_dir(&dir);
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut initdb = as_account(tool("initdb"));
        let args = ["-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"];
        assert!(initdb.args(args).arg(&data_dir).status().unwrap().success());
        let mut postgres = as_account(tool("postgres"));
        postgres
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(&dir);
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let postmaster_process = postgres.arg("-D").arg(&data_dir).spawn().unwrap();
        wait_for("the cluster", || postmaster(&data_dir));
        Self {
            dir,
            postmaster: postmaster_process,
        }
    }

    /// A client program that has been told where the cluster is.
    pub fn client(&self, name: &str) -> Command {
        let mut command = tool(name);
        command.args(["-U", "postgres", "-h"]).arg(&self.dir);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        send(self.postmaster.id(), Signal::SIGQUIT);
        self.postmaster.wait().unwrap();
    }
}
