//! Where the sockets of our servers are: short paths in directories that nobody else can enter or replace.

use std::env;
use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use nix::unistd::Uid;

use crate::cluster::ClusterError;
use crate::cluster::PORT;
use crate::cluster::privileges::Account;
use crate::cluster::short_hash;

/// What `sockaddr_un` holds beside its closing zero byte.
pub const LONGEST_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The directory above the sockets of all servers of one data root.
#[derive(Debug)]
pub struct SocketRoot {
    path: PathBuf,
    /// Who runs the servers, when that is not us.
    account: Option<Account>,
}

impl SocketRoot {
    /// `$XDG_RUNTIME_DIR/pgassay-<8 hex>`, which is private by itself; where it is not set, and for root, whose servers
    /// could not enter that, `/tmp/pgassay-<8 hex>`.
    pub fn of(data_root: &Path, account: Option<Account>) -> Self {
        let runtime_dir = env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let parent = match (runtime_dir, &account) {
            (Some(dir), None) if !Uid::effective().is_root() => PathBuf::from(dir),
            _ => PathBuf::from("/tmp"),
        };
        Self::below(&parent, data_root, account)
    }

    fn below(parent: &Path, data_root: &Path, account: Option<Account>) -> Self {
        Self {
            path: parent.join(format!("pgassay-{}", short_hash(data_root))),
            account,
        }
    }

    /// An empty directory for the socket of the server of this name; what a dead server left in it is removed, as its
    /// lock file may name a process number that is somebody else's now.
    pub fn make(&self, name: &str) -> Result<PathBuf, ClusterError> {
        let dir = self.path.join(name);
        let path = dir.join(format!(".s.PGSQL.{PORT}"));
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(ClusterError::SocketPathTooLong { path });
        }
        self.make_root()?;
        remove(&dir).with_context(|| format!("removing {}", dir.display()))?;
        make_private(&dir, self.account.as_ref()).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// `/tmp` is everybody's: a directory that was there already is used only when nobody but us could have made it or
    /// can change it. The account may pass through it to its own directories, and no more.
    fn make_root(&self) -> Result<(), ClusterError> {
        let mode = if self.account.is_some() { 0o711 } else { 0o700 };
        match DirBuilder::new().mode(mode).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(anyhow::Error::new(error)
                    .context(format!("making {}", self.path.display()))
                    .into());
            }
            _ => {}
        }
        let metadata =
            fs::symlink_metadata(&self.path).with_context(|| format!("looking at {}", self.path.display()))?;
        let is_ours = metadata.is_dir() && metadata.uid() == Uid::effective().as_raw() && metadata.mode() & 0o022 == 0;
        if is_ours {
            Ok(())
        } else {
            Err(ClusterError::SocketDirTaken(self.path.clone()))
        }
    }
}

/// Removes the directory of one server.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the directory above, if that of the last server has left it empty; the next server makes it again.
pub fn remove_root(dir: &Path) {
    if let Some(root) = dir.parent() {
        // Where another server's directory is still in it, this fails, as it should.
        let _ = fs::remove_dir(root);
    }
}

fn make_private(dir: &Path, account: Option<&Account>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    account.map_or(Ok(()), |account| account.give(dir))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn socket_root(parent: &Path) -> SocketRoot {
        SocketRoot::below(parent, Path::new("/data"), None)
    }

    #[test]
    fn a_directory_is_private_and_what_was_left_in_it_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let sockets = socket_root(parent.path());
        let dir = sockets.make("s12").unwrap();
        fs::write(dir.join(".s.PGSQL.5432.lock"), "1\n").unwrap();

        assert_eq!(sockets.make("s12").unwrap(), dir);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_the_limit() {
        let parent = tempfile::tempdir().unwrap();
        let sockets = socket_root(parent.path());
        let refusal = sockets.make(&"x".repeat(100)).unwrap_err().to_string();
        assert!(refusal.contains(&LONGEST_PATH.to_string()), "{refusal}");

        let room = LONGEST_PATH - sockets.path.as_os_str().len() - "//.s.PGSQL.5432".len();
        assert!(sockets.make(&"x".repeat(room)).is_ok());
        assert!(sockets.make(&"x".repeat(room + 1)).is_err());
    }

    #[test]
    fn a_link_or_an_open_directory_in_our_place_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let sockets = socket_root(parent.path());
        let elsewhere = parent.path().join("elsewhere");
        make_private(&elsewhere, None).unwrap();
        symlink(&elsewhere, &sockets.path).unwrap();
        assert!(matches!(sockets.make("s1"), Err(ClusterError::SocketDirTaken(_))));

        fs::remove_file(&sockets.path).unwrap();
        fs::create_dir(&sockets.path).unwrap();
        fs::set_permissions(&sockets.path, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(sockets.make("s1"), Err(ClusterError::SocketDirTaken(_))));
    }
}
