//! Finds the Postgres programs on this machine and knows how old is too old. Installs nothing.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use tokio::process::Command;

use crate::cluster::ClusterError;

/// The oldest major version that still gets fixes, and the first whose settings are all known on every platform.
pub const OLDEST_MAJOR: u32 = 15;

/// The first minor release of each major version without known ways from SQL or an archive to the machine
/// (CVE-2026-16238, CVE-2026-18408, CVE-2026-116314).
const FLOORS: &[(u32, u32)] = &[(15, 20), (16, 16), (17, 12), (18, 7)];

/// A directory of server programs, and the version in it.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub bindir: PathBuf,
    /// As `server_version_num` counts: 150018 is 15.18.
    pub version_num: u32,
}

impl Binaries {
    /// The programs in `override_dir` (`PGASSAY_PG_BINDIR`), which must then have them; else where `pg_config` points,
    /// else the newest of the usual places.
    pub async fn find(override_dir: Option<&Path>) -> Result<Self, ClusterError> {
        if let Some(dir) = override_dir {
            if !holds_a_server(dir) {
                return Err(ClusterError::NotABindir(dir.to_owned()));
            }
            return Self::in_dir(dir.to_owned()).await;
        }
        if let Some(dir) = pg_config_bindir().await
            && holds_a_server(&dir)
        {
            return Self::in_dir(dir).await;
        }
        let newest = usual_dirs().into_iter().find(|dir| holds_a_server(dir));
        Self::in_dir(newest.ok_or(ClusterError::NoBinaries)?).await
    }

    /// The path of one program, `initdb` or `pg_restore` for instance.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// As people write it: `15.18`.
    pub fn version(&self) -> String {
        version_in_words(self.version_num)
    }

    /// A sentence when this release has known security holes. It runs all the same.
    pub fn known_holes(&self) -> Option<String> {
        known_holes("PostgreSQL", self.version_num)
    }

    pub(super) fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    async fn in_dir(bindir: PathBuf) -> Result<Self, ClusterError> {
        let program = bindir.join("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .await
            .with_context(|| format!("running {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version_num =
            parse_version(&text).with_context(|| format!("{} calls itself {text:?}", program.display()))?;
        let binaries = Self { bindir, version_num };
        if binaries.major() < OLDEST_MAJOR {
            return Err(ClusterError::TooOld {
                version: binaries.version(),
                bindir: binaries.bindir,
            });
        }
        Ok(binaries)
    }
}

/// As people write it: `15.18`.
pub fn version_in_words(version_num: u32) -> String {
    format!("{}.{}", version_num / 10_000, version_num % 10_000)
}

/// A sentence when this release of a program has known security holes.
pub fn known_holes(program: &str, version_num: u32) -> Option<String> {
    let (major, minor) = (version_num / 10_000, version_num % 10_000);
    let (_, floor) = FLOORS.iter().find(|(floor_of, _)| *floor_of == major)?;
    (minor < *floor).then(|| {
        format!(
            "{program} {} has known security holes that an uploaded dump can use; update it to {major}.{floor} or newer.",
            version_in_words(version_num)
        )
    })
}

/// `pg_config` belongs to the client library and may well point to a directory without a server.
fn holds_a_server(dir: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|name| dir.join(name).is_file())
}

/// Where `pg_config` says that programs are.
pub async fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let dir = text.trim();
    (output.status.success() && !dir.is_empty()).then(|| PathBuf::from(dir))
}

/// Debian, Homebrew (Apple silicon, Intel, Linux), the Postgres project's RPMs: newest version first.
pub fn usual_dirs() -> Vec<PathBuf> {
    const PLACES: &[(&str, &str)] = &[
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@"),
        ("/usr", "pgsql-"),
    ];
    let mut dirs = Vec::new();
    for (parent, prefix) in PLACES {
        // A place that does not exist holds nothing.
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if let Some(major) = major_in_name(&entry.file_name(), prefix) {
                dirs.push((major, entry.path().join("bin")));
            }
        }
    }
    dirs.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    dirs.into_iter().map(|(_, dir)| dir).collect()
}

fn major_in_name(name: &OsStr, prefix: &str) -> Option<u32> {
    name.to_str()?.strip_prefix(prefix)?.parse().ok()
}

/// Reads `postgres (Postgres) 15.18 (Debian 15.18-0+deb12u1)`; a beta counts as minor 0.
pub fn parse_version(text: &str) -> Option<u32> {
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some(leading_number(major)? * 10_000 + leading_number(minor)?)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok().filter(|number| *number < 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(150_018)),
            ("postgres (PostgreSQL) 18.7\n", Some(180_007)),
            ("postgres (PostgreSQL) 19beta1\n", Some(190_000)),
            ("postgres (PostgreSQL) 17devel", Some(170_000)),
            ("command not found", None),
            ("", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(parse_version(text), expected, "{text:?}");
        }
    }

    #[test]
    fn releases_with_known_holes_are_named() {
        for (version_num, has_holes) in [
            (150_018, true),
            (150_019, true),
            (150_020, false),
            (160_015, true),
            (160_016, false),
            (170_011, true),
            (170_012, false),
            (180_006, true),
            (180_007, false),
            (190_000, false),
        ] {
            let binaries = Binaries {
                bindir: PathBuf::new(),
                version_num,
            };
            assert_eq!(binaries.known_holes().is_some(), has_holes, "{}", binaries.version());
        }
    }

    #[test]
    fn only_names_with_a_version_are_looked_into() {
        for (name, prefix, expected) in [
            ("15", "", Some(15)),
            ("postgresql@17", "postgresql@", Some(17)),
            ("postgresql", "postgresql@", None),
            ("pgsql-16", "pgsql-", Some(16)),
            ("bin", "", None),
        ] {
            assert_eq!(major_in_name(OsStr::new(name), prefix), expected, "{name:?}");
        }
    }

    #[tokio::test]
    async fn an_override_without_a_server_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("initdb"), "").unwrap();
        let refusal = Binaries::find(Some(dir.path())).await.unwrap_err();
        assert!(refusal.to_string().contains(&dir.path().display().to_string()));
    }

    #[tokio::test]
    async fn a_server_too_old_is_refused_with_its_version() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        for name in ["postgres", "initdb"] {
            let path = dir.path().join(name);
            std::fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let refusal = Binaries::find(Some(dir.path())).await.unwrap_err();
        assert!(matches!(refusal, ClusterError::TooOld { .. }), "{refusal:?}");
    }
}
