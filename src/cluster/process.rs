//! Looks at and signals processes of this machine: which are alive, and which serve a given data directory.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::cluster::Stop;
use crate::cluster::settings;

/// Between two looks at a process that is not our child and so cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A living process. A zombie is none: it holds no file and no memory, only its number, until its parent asks for it.
#[derive(Debug)]
struct Process {
    pid: Pid,
    /// The first of its arguments, or what it shows instead of all of them.
    program: String,
    /// All of that, separated by spaces.
    command: String,
    /// `None` where the system does not tell (macOS, and root in a container without `CAP_SYS_PTRACE`).
    working_dir: Option<PathBuf>,
}

/// Whether this process lives and is a Postgres process of the cluster in `data_dir` (a canonical path).
pub fn serves(pid: Pid, data_dir: &Path) -> anyhow::Result<bool> {
    let process = if has_proc() {
        from_proc(pid)
    } else {
        from_ps()?.into_iter().find(|process| process.pid == pid)
    };
    Ok(process.is_some_and(|process| process.serves(data_dir)))
}

/// Every Postgres process of the cluster in `data_dir` (a canonical path).
pub fn all_serving(data_dir: &Path) -> anyhow::Result<Vec<Pid>> {
    let processes = if has_proc() { all_from_proc()? } else { from_ps()? };
    let serving = processes.iter().filter(|process| process.serves(data_dir));
    Ok(serving.map(|process| process.pid).collect())
}

/// Resolves when the process no longer serves `data_dir`: it has gone, or is a zombie.
pub async fn gone(pid: Pid, data_dir: &Path) -> anyhow::Result<()> {
    while serves(pid, data_dir)? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Sends a signal. A process that has gone needs none.
pub fn signal(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("sending {signal} to process {pid}")),
    }
}

/// Asks a postmaster to go, ever less kindly, until `gone` resolves. `false` when even SIGKILL did not help in time.
pub async fn put_down(pid: Pid, stop: Stop, gone: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<bool> {
    /// A postmaster told SIGQUIT kills its children after five seconds (`SIGKILL_CHILDREN_AFTER_SECS`).
    const STEPS: [(Signal, Duration); 3] = [
        (Signal::SIGINT, Duration::from_secs(10)),
        (Signal::SIGQUIT, Duration::from_secs(10)),
        (Signal::SIGKILL, Duration::from_secs(10)),
    ];
    let steps = match stop {
        Stop::Fast => &STEPS[..],
        Stop::Immediate => &STEPS[1..],
    };
    let mut gone = std::pin::pin!(gone);
    for (step, patience) in steps {
        signal(pid, *step)?;
        if let Ok(result) = tokio::time::timeout(*patience, &mut gone).await {
            return result.map(|()| true);
        }
    }
    Ok(false)
}

impl Process {
    fn serves(&self, data_dir: &Path) -> bool {
        if !self.is_postgres() {
            return false;
        }
        // Every process of a server works in its data directory.
        if let Some(working_dir) = &self.working_dir {
            return working_dir == data_dir;
        }
        // The postmaster shows the arguments we gave it, its children the name we gave the cluster.
        let by_argument = format!(" -D {} ", data_dir.display());
        let by_name = format!("postgres: {}: ", settings::cluster_name(data_dir));
        format!("{} ", self.command).contains(&by_argument) || self.command.starts_with(&by_name)
    }

    fn is_postgres(&self) -> bool {
        self.program.starts_with("postgres: ") || Path::new(&self.program).ends_with("postgres")
    }
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn all_from_proc() -> anyhow::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").context("listing /proc")? {
        let name = entry.context("listing /proc")?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        processes.extend(pid.map(Pid::from_raw).and_then(from_proc));
    }
    Ok(processes)
}

/// `None` when it is gone or going; a process may end between any two of these reads.
fn from_proc(pid: Pid) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read(dir.join("stat")).ok()?;
    if is_dead(state_in_stat(&String::from_utf8_lossy(&stat))?) {
        return None;
    }
    let arguments = fs::read(dir.join("cmdline")).ok()?;
    let arguments = String::from_utf8_lossy(&arguments);
    Some(Process {
        pid,
        program: arguments.split('\0').next().unwrap_or_default().to_owned(),
        command: arguments.replace('\0', " ").trim_end().to_owned(),
        working_dir: fs::read_link(dir.join("cwd")).ok(),
    })
}

/// The state follows the program's name, which is in parentheses and may itself hold some.
fn state_in_stat(stat: &str) -> Option<char> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.trim_start().chars().next()
}

fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

fn from_ps() -> anyhow::Result<Vec<Process>> {
    let output = Command::new("ps")
        .args(["-axww", "-o", "pid=,stat=,command="])
        .output()
        .context("running ps")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(from_ps_line).collect())
}

fn from_ps_line(line: &str) -> Option<Process> {
    let (pid, rest) = line.trim_start().split_once(' ')?;
    let (state, command) = rest.trim_start().split_once(' ')?;
    if is_dead(state.chars().next()?) {
        return None;
    }
    let command = command.trim();
    Some(Process {
        pid: Pid::from_raw(pid.parse().ok()?),
        // Paths may hold spaces; arguments of a server begin with a dash.
        program: command.split(" -").next().unwrap_or_default().to_owned(),
        command: command.to_owned(),
        working_dir: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &str, working_dir: Option<&str>) -> Process {
        Process {
            pid: Pid::from_raw(4711),
            program: command.split(" -").next().unwrap().to_owned(),
            command: command.to_owned(),
            working_dir: working_dir.map(PathBuf::from),
        }
    }

    #[test]
    fn a_process_serves_the_directory_it_works_in() {
        let data_dir = Path::new("/data/sandboxes/12");
        for (command, working_dir, expected) in [
            (
                "/usr/lib/postgresql/15/bin/postgres -D /data/sandboxes/12",
                "/data/sandboxes/12",
                true,
            ),
            ("/opt/my programs/postgres -D /x", "/data/sandboxes/12", true),
            ("postgres: pgassay-00000000: checkpointer", "/data/sandboxes/12", true),
            ("postgres: pgassay-00000000: checkpointer", "/data/sandboxes/1", false),
            ("-bash", "/data/sandboxes/12", false),
            ("postgresql-backup -v", "/data/sandboxes/12", false),
            ("", "/data/sandboxes/12", false),
        ] {
            assert_eq!(
                process(command, Some(working_dir)).serves(data_dir),
                expected,
                "{command}"
            );
        }
    }

    #[test]
    fn without_a_known_working_directory_arguments_and_title_tell() {
        let data_dir = Path::new("/data/sandboxes/12");
        let title = format!(
            "postgres: {}: postgres w_x [local] SELECT",
            settings::cluster_name(data_dir)
        );
        for (command, expected) in [
            ("/usr/bin/postgres -D /data/sandboxes/12", true),
            ("/usr/bin/postgres -D /data/sandboxes/12 -c config_file=/x", true),
            ("/usr/bin/postgres -D /data/sandboxes/123", false),
            (title.as_str(), true),
            ("postgres: checkpointer", false),
            ("less -D /data/sandboxes/12", false),
        ] {
            assert_eq!(process(command, None).serves(data_dir), expected, "{command}");
        }
    }

    #[test]
    fn a_zombie_is_no_process() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let stat = format!("/proc/{pid}/stat");
        // It stays one until we ask for it, below.
        while has_proc() && state_in_stat(&fs::read_to_string(&stat).unwrap()) != Some('Z') {
            std::thread::yield_now();
        }
        if has_proc() {
            assert!(from_proc(pid).is_none());
            assert!(from_ps().unwrap().iter().all(|process| process.pid != pid));
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_program_name_with_parentheses_does_not_hide_the_state() {
        assert_eq!(state_in_stat("7 (a) S (b)) Z 1 7 7"), Some('Z'));
        assert_eq!(state_in_stat(""), None);
    }

    #[test]
    fn lines_of_ps_are_read_and_zombies_left_out() {
        let line = "  4711 Ss   /opt/homebrew/bin/postgres -D /Users/a b/data";
        let process = from_ps_line(line).unwrap();
        assert_eq!(process.pid, Pid::from_raw(4711));
        assert!(process.serves(Path::new("/Users/a b/data")));
        assert!(from_ps_line("  4712 Z    (postgres)").is_none());
        assert!(from_ps_line("").is_none());
    }
}
