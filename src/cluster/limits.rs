//! How much memory a server gets, and the tool that holds its processes to it.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the store gets, whatever the machine has: it is small, and the memory belongs to what is measured.
pub const STORE_SHARED_BUFFERS_BYTES: u64 = 128 * MIB;

/// Room of one process beside the shared memory. Under it six attacks that took 4 to 6 GB each ended with an error of
/// one session (`reliability.md` 3.2).
pub const PRIVATE_BYTES: u64 = 3 * GIB;

/// `shared_buffers` of a sandbox on this machine: an eighth of memory between 128 MB and 1 GB.
pub fn sandbox_shared_buffers_bytes() -> u64 {
    shared_buffers_for(memory_bytes())
}

/// The address space that one process of a server may have.
pub fn address_space_bytes(shared_buffers_bytes: u64) -> u64 {
    shared_buffers_bytes + PRIVATE_BYTES
}

/// The program that sets limits and then becomes the server, so that the process number stays. `None` where there is
/// none (macOS): servers then run without a limit on their memory.
pub fn prlimit() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join("prlimit"))
        .find(|program| program.is_file())
}

fn shared_buffers_for(memory_bytes: Option<u64>) -> u64 {
    // A machine that does not tell its memory gets the least: it works everywhere.
    let eighth = memory_bytes.unwrap_or(0) / 8;
    // In whole megabytes, as settings and pages show it.
    (eighth / MIB * MIB).clamp(128 * MIB, GIB)
}

/// The memory of this machine or of the container we are in, whichever is less.
fn memory_bytes() -> Option<u64> {
    let machine = match fs::read_to_string("/proc/meminfo") {
        Ok(meminfo) => meminfo_total_bytes(&meminfo),
        Err(_) => sysctl_memory_bytes(),
    };
    let container = ["memory.max", "memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|file| fs::read_to_string(Path::new("/sys/fs/cgroup").join(file)).ok())
        // Without a limit the file says `max`.
        .and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min()
}

fn meminfo_total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn sysctl_memory_bytes() -> Option<u64> {
    let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_buffers_are_an_eighth_of_memory_between_128_mb_and_1_gb() {
        for (memory_bytes, expected_mib) in [
            (None, 128),
            (Some(512 * MIB), 128),
            (Some(4 * GIB), 512),
            (Some(4 * GIB + 12_345), 512),
            (Some(23 * GIB), 1024),
        ] {
            assert_eq!(shared_buffers_for(memory_bytes) / MIB, expected_mib, "{memory_bytes:?}");
        }
    }

    #[test]
    fn meminfo_is_read() {
        let meminfo = "MemTotal:       24589424 kB\nMemFree:        22000000 kB\n";
        assert_eq!(meminfo_total_bytes(meminfo), Some(24_589_424 * 1024));
        assert_eq!(meminfo_total_bytes("MemFree: 1 kB"), None);
    }
}
