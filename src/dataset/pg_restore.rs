//! Finds the `pg_restore` that reads archives: the newest on this machine, because a newer one reads what older ones
//! wrote and not the other way round. The server may be older or newer, as it only gets SQL.

use std::path::Path;
use std::path::PathBuf;

use crate::cluster::binaries;
use crate::dataset::archive;

/// A `pg_restore` that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgRestore {
    pub path: PathBuf,
    /// As `server_version_num` counts: 150018 is 15.18.
    pub version_num: u32,
}

const NAME: &str = "pg_restore";

impl PgRestore {
    /// The newest one beside the server, where one is here, in `PATH` and in the usual places; of equals the first in this
    /// order. None that its cage keeps from running.
    pub async fn newest(server_bindir: Option<&Path>) -> Option<Self> {
        let mut newest: Option<Self> = None;
        for path in candidates(server_bindir).await {
            let output = archive::confined(&path, 0).arg("--version").output().await;
            let version_num = output
                .ok()
                .and_then(|output| binaries::parse_version(&String::from_utf8_lossy(&output.stdout)));
            let Some(version_num) = version_num else { continue };
            if newest.as_ref().is_none_or(|newest| newest.version_num < version_num) {
                newest = Some(Self { path, version_num });
            }
        }
        newest
    }

    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    /// A sentence when this release has known security holes. It is used all the same.
    pub fn known_holes(&self) -> Option<String> {
        binaries::known_holes("pg_restore", self.version_num)
    }
}

/// Every program of that name, once. What only bears the name is left out: Debian's is a script that chooses one.
async fn candidates(server_bindir: Option<&Path>) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = server_bindir.map(Path::to_owned).into_iter().collect();
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path));
    }
    dirs.extend(binaries::pg_config_bindir().await);
    dirs.extend(binaries::usual_dirs());
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in dirs {
        // A place that does not exist holds nothing.
        let Ok(path) = dir.join(NAME).canonicalize() else {
            continue;
        };
        if path.file_name().is_some_and(|name| name == NAME) && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::scratch;

    /// A directory with a program that calls itself a version.
    fn bindir(version: &str) -> PathBuf {
        let dir = scratch::dir();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        let path = dir.join(NAME);
        std::fs::write(&path, format!("#!/bin/sh\necho 'pg_restore (PostgreSQL) {version}'\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        dir
    }

    #[tokio::test]
    async fn the_newest_of_all_reads_archives_whichever_server_it_comes_with() {
        let newer = bindir("99.1");
        let newest = PgRestore::newest(Some(&newer)).await.unwrap();
        assert_eq!((newest.path, newest.version_num), (newer.join(NAME), 990_001));

        let older = bindir("9.6.24");
        let newest = PgRestore::newest(Some(&older)).await;
        assert_ne!(newest.map(|newest| newest.path), Some(older.join(NAME)));
    }

    #[tokio::test]
    async fn a_program_that_only_bears_the_name_is_not_taken() {
        let (other, dir) = (bindir("99.2"), scratch::dir());
        std::fs::rename(other.join(NAME), other.join("wrapper")).unwrap();
        std::os::unix::fs::symlink(other.join("wrapper"), dir.join(NAME)).unwrap();
        let newest = PgRestore::newest(Some(&dir)).await;
        assert!(newest.is_none_or(|newest| newest.version_num < 990_000));
    }
}
