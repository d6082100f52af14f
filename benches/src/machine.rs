//! What the numbers were measured on, and where files of a run lie.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A directory of this run that every user may enter, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Below `PGASSAY_BENCH_DIR`, else below the system's temporary directory.
    pub fn new(name: &str) -> Self {
        let root = std::env::var_os("PGASSAY_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = root.join(format!("pgassay-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).expect("making a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("opening it to postgres");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

/// The user who runs servers when we are root: user and group.
pub fn postgres_account() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut numbers = line.split(':').skip(2).map_while(|number| number.parse().ok());
    is_root.then_some((numbers.next()?, numbers.next()?))
}

/// A program of the `PostgreSQL` that pgassay would find.
pub fn tool(name: &str) -> Command {
    let bindir = Command::new(repository(".ci/pg-bindir"))
        .output()
        .expect("finding PostgreSQL");
    let path = Path::new(String::from_utf8_lossy(&bindir.stdout).trim()).join(name);
    Command::new(if path.exists() { path } else { PathBuf::from(name) })
}

/// What a process has taken of the processors so far, in seconds (proc(5): utime and stime).
pub fn cpu_seconds(pid: u32) -> f64 {
    ticks(pid, &[11, 12])
}

/// Some numbers of what Linux knows of a process, in seconds: they count ticks of 10 ms.
fn ticks(pid: u32, places: &[usize]) -> f64 {
    let stat = stat(pid).unwrap_or_default();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let number = |place: &usize| -> f64 {
        fields
            .get(*place)
            .and_then(|field| field.parse().ok())
            .unwrap_or(f64::NAN)
    };
    places.iter().map(number).sum::<f64>() / 100.0
}

/// What stands behind the name of a process, which may have spaces: its state, its parent, and so on.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}

/// The same of a server with the processes that it has started: those that run, and those that have ended.
pub fn cpu_seconds_with_children(pid: u32) -> f64 {
    let mut all = cpu_seconds(pid) + ticks(pid, &[13, 14]);
    for entry in fs::read_dir("/proc").expect("Linux").map_while(Result::ok) {
        let child = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(child) = child.filter(|child| parent(*child) == Some(pid)) {
            // One may end meanwhile.
            all += Some(cpu_seconds(child))
                .filter(|taken| taken.is_finite())
                .unwrap_or(0.0);
        }
    }
    all
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// A file of the checkout.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A number in kB from a process's status, in MB.
pub fn memory_mb(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kb = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}

pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let n_cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().unwrap_or_default().replace("MemTotal:", "");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let version = tool("postgres").arg("--version").output();
    let version = version.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{n_cpus} processors ({model}), {} of memory, Linux {}, {version}; load at the end {}.",
        memory.trim(),
        kernel.trim(),
        load.trim()
    )
}
