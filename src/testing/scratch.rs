//! Directories for the tests of one process, which go when the process goes, with every server that runs in them.
//!
//! A static is not dropped at exit, and nothing is when a process is killed. So a shell waits on a pipe of which only
//! this process holds the other end: the system closes it however the process ends, and the shell clears up.
//! `tests/it` mounts this file as well.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// `$1` is the directory. A server that is still starting writes its lock file a moment later, hence the loop. The
/// directories of sockets are named by a hash of the data directory. A test may have mounted a disk.
const GUARD: &str = r#"
read -r _
for dir in "$1" "$1"/*; do
  rm -rf "/tmp/pgassay-$(printf %s "$dir" | sha256sum | cut -c1-8)"
done
for disk in $(cut -d ' ' -f 2 /proc/mounts 2>/dev/null | grep "^$1/"); do
  umount -l "$disk"
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  find "$1" -name postmaster.pid -exec head -n 1 {} \; | xargs -r kill -QUIT
  sleep 0.2
  rm -rf "$1" && exit
done
"#;

struct Scratch {
    root: PathBuf,
    _pipe: ChildStdin,
}

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let root = tempfile::Builder::new().prefix("pgassay-test-").tempdir_in("/tmp");
    let root = root.unwrap().keep();
    // Servers that root starts run as somebody else, who has to get in.
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o711)).unwrap();
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "guard"]).arg(&root);
    // Ctrl-C is for us; the guard has to outlive it.
    guard.process_group(0);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let pipe = guard.spawn().unwrap().stdin.take().unwrap();
    Scratch { root, _pipe: pipe }
});

/// A new, empty directory that servers can get at.
pub fn dir() -> PathBuf {
    static N_DIRS: AtomicU32 = AtomicU32::new(0);
    let dir = SCRATCH.root.join(N_DIRS.fetch_add(1, Ordering::Relaxed).to_string());
    DirBuilder::new().mode(0o711).create(&dir).unwrap();
    dir
}
