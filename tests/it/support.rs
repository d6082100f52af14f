//! The program and its surroundings: processes, stores looked at through their sockets, a cluster that is not ours.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
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
const LOOK_EVERY: Duration = Duration::from_millis(50);

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

/// The program under test, which knows nothing of this process's settings but the servers that the tests are about.
pub fn pgassay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgassay"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PGASSAY_") && name != "PGASSAY_PG_BINDIR") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("SANDBOX_URL");
    // The suite is to run on a disk that is nearly full, too.
    command.env("PGASSAY_DISK_RESERVE_BYTES", "0");
    command.args(args).stdin(Stdio::null());
    command
}

/// For [`run`]: sources of every sort that is quick to prepare.
pub const SOURCES: [&str; 6] = [
    "--source",
    "built_in",
    "--source",
    "none",
    "--source",
    "random_targets:seed=7,low=1,high=10",
];

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
    let is_ready = matches!(lines.get(7)?.trim(), "ready" | "standby");
    let found = (lines.first()?.parse().ok()?, PathBuf::from(lines.get(4)?));
    is_ready.then_some(found)
}

/// Asks the embedded store of a data directory; none while it does not run.
pub fn ask_store(data_dir: &Path, sql: &str) -> Option<String> {
    ask_server(&data_dir.join("store"), sql)
}

/// Asks the server of a data directory, as superuser; none while it does not run.
pub fn ask_server(server: &Path, sql: &str) -> Option<String> {
    let (_, socket_dir) = postmaster(server)?;
    let lock_file = fs::read_to_string(server.join("postmaster.pid")).ok()?;
    let psql = tool("psql")
        .args(["-XAtq", "-U", "postgres", "-d", "postgres", "-c", sql])
        .args(["-p", lock_file.lines().nth(3)?.trim(), "-h"])
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
    let found = found
        .ok()
        .filter(|output| output.status.success())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut dirs: Vec<PathBuf> = std::env::var_os("PGASSAY_PG_BINDIR")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    dirs.extend(found);
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

/// Of a dump: a function that writes 4 MB at a time, and no more than 80 MB a second, so that a look every second or so
/// comes in time.
pub const GROWS: &str = "
create function grow() returns integer language plpgsql as $$
begin
  create table public.grown (filler text);
  for n in 1..1000 loop
    insert into public.grown select repeat('x', 1000) from generate_series(1, 4000);
    perform pg_catalog.pg_sleep(0.05);
  end loop;
  return 1;
end $$;
";

/// A cluster as anybody may have one, to make dumps from and to be shared by datasets.
pub struct Cluster {
    pub dir: PathBuf,
    /// Where it listens besides its socket.
    port: Option<u16>,
    postmaster: Child,
    environment: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listen {
    Nowhere,
    WithPasswords,
}

/// As most are.
const IN_UTF8: [&str; 3] = ["-E", "UTF8", "--locale=C"];

/// Of the superuser, where passwords are asked for. Not all of it may stand in a URL as it is.
const PASSWORD: &str = "p@ss /word";
const PASSWORD_IN_URL: &str = "p%40ss%20%2Fword";

impl Cluster {
    /// One that is reached by its socket only, and lets everybody in.
    pub fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same, its processes in the environment that `environment` makes of its directory.
    pub fn start_with(environment: impl FnOnce(&Path) -> Vec<(String, String)>) -> Self {
        Self::make(Listen::Nowhere, &IN_UTF8, &[], environment)
    }

    /// One that also listens on TCP and asks for passwords there.
    pub fn with_passwords() -> Self {
        Self::with_passwords_and(&[])
    }

    /// The same with lines of its `postgresql.conf`.
    pub fn with_passwords_and(settings: &[&str]) -> Self {
        Self::make(Listen::WithPasswords, &IN_UTF8, settings, |_| Vec::new())
    }

    /// The same with an encoding and a locale, as `initdb` takes them.
    pub fn with_passwords_made_by(encoding: &[&str]) -> Self {
        Self::make(Listen::WithPasswords, encoding, &[], |_| Vec::new())
    }

    fn make(
        listen: Listen,
        encoding: &[&str],
        settings: &[&str],
        environment: impl FnOnce(&Path) -> Vec<(String, String)>,
    ) -> Self {
        let dir = scratch::dir();
        if let Some(account) = account() {
            chown(&dir, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
        let password_file = dir.join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        let mut initdb = as_account(tool("initdb"), &dir);
        initdb.args(["-N", "-U", "postgres"]).args(encoding);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile"]);
        initdb.arg(password_file).arg("-D").arg(dir.join("data"));
        assert!(initdb.status().unwrap().success());
        let configuration = dir.join("data/postgresql.conf");
        let usual = fs::read_to_string(&configuration).unwrap();
        fs::write(&configuration, format!("{usual}\n{}\n", settings.join("\n"))).unwrap();
        let environment = environment(&dir);
        // Somebody else may have the port.
        let started = (0..20).find_map(|_| {
            let port = (listen == Listen::WithPasswords).then(next_port);
            Some((port, start_postmaster(&dir, port, &environment)?))
        });
        let (port, postmaster) = started.expect("the cluster starts");
        Self {
            dir,
            port,
            postmaster,
            environment,
        }
    }

    /// A client program that has been told where the cluster is.
    pub fn client(&self, name: &str) -> Command {
        let mut command = tool(name);
        command.args(["-U", "postgres", "-h"]).arg(&self.dir);
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        command
    }

    /// The superuser's URL by the socket.
    pub fn socket_url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.dir.display())
    }

    /// The superuser's URL of a cluster that asks for passwords.
    pub fn url(&self) -> String {
        self.url_of("postgres", PASSWORD_IN_URL, "postgres")
    }

    /// The URL of anybody else.
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@{}/{database}", self.address())
    }

    /// Where a cluster listens that asks for passwords.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port.expect("a cluster that listens")).into()
    }

    /// The superuser's URL through something on this port that leads to it.
    pub fn url_through(port: u16) -> String {
        format!("postgres://postgres:{PASSWORD_IN_URL}@127.0.0.1:{port}/postgres")
    }

    /// What the superuser is told, line by line.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        self.ask_in("postgres", sql)
    }

    /// The same in another database.
    pub fn ask_in(&self, database: &str, sql: &str) -> Vec<String> {
        let mut psql = self.client("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Has the configuration read again, and returns when it is in force.
    pub fn reload(&self) {
        let loaded_at = "select pg_conf_load_time()";
        let before = self.ask(loaded_at);
        self.ask("select pg_reload_conf()");
        wait_for("the configuration", || (self.ask(loaded_at) != before).then_some(()));
    }

    /// Kills it as a crash would, and starts it again on the same port.
    pub fn crash_and_recover(&mut self) {
        self.restart(Signal::SIGKILL);
    }

    /// Goes on as a server that only follows another one; there is none, so it waits.
    pub fn become_standby(&mut self) {
        fs::write(self.dir.join("data/standby.signal"), "").unwrap();
        self.restart(Signal::SIGINT);
    }

    /// Ends it by a signal, and starts it again on the same port.
    pub fn restart(&mut self, signal: Signal) {
        self.end(signal);
        self.start_again();
    }

    fn end(&mut self, signal: Signal) {
        send(self.postmaster.id(), signal);
        self.postmaster.wait().unwrap();
    }

    /// Stops it, until it is started again.
    pub fn stop(&mut self) {
        self.end(Signal::SIGINT);
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        // Until its last process is gone, none can be started.
        self.postmaster = wait_for("the cluster", || {
            start_postmaster(&self.dir, self.port, &self.environment)
        });
    }
}

/// A number below those that the system gives away by itself, another one each time.
fn next_port() -> u16 {
    static N_PORTS: AtomicU32 = AtomicU32::new(0);
    let n = std::process::id()
        .wrapping_mul(37)
        .wrapping_add(N_PORTS.fetch_add(1, Ordering::Relaxed));
    20_000 + u16::try_from(n % 10_000).expect("a small remainder")
}

/// None when it does not start.
fn start_postmaster(dir: &Path, port: Option<u16>, environment: &[(String, String)]) -> Option<Child> {
    let mut postgres = as_account(tool("postgres"), dir);
    postgres.args(["-c", "fsync=off", "-k"]).arg(dir);
    postgres.envs(environment.iter().map(|(name, value)| (name, value)));
    match port {
        Some(port) => postgres
            .args(["-c", "listen_addresses=127.0.0.1", "-p"])
            .arg(port.to_string()),
        None => postgres.args(["-c", "listen_addresses="]),
    };
    let data_dir = dir.join("data");
    let mut child = postgres.arg("-D").arg(&data_dir).spawn().unwrap();
    let is_ready = wait_for("a postmaster", || match postmaster(&data_dir) {
        Some((pid, _)) if pid == child.id() => Some(true),
        _ => child.try_wait().unwrap().map(|_| false),
    });
    is_ready.then_some(child)
}

/// Who runs PostgreSQL, when it is not us.
fn account() -> Option<User> {
    let is_root = Uid::effective().is_root();
    is_root.then(|| User::from_name("postgres").unwrap().unwrap())
}

/// A command that works in `dir` as the user who runs servers.
pub fn as_account(mut command: Command, dir: &Path) -> Command {
    if let Some(account) = account() {
        command
            .uid(account.uid.as_raw())
            .gid(account.gid.as_raw())
            .current_dir(dir);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test may have failed while it was stopped.
        if self.postmaster.try_wait().unwrap().is_none() {
            send(self.postmaster.id(), Signal::SIGQUIT);
            self.postmaster.wait().unwrap();
        }
    }
}
