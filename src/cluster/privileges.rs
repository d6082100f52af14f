//! Which operating system user runs our servers, and whether that user can get at their files. Postgres refuses to run
//! as root, so root gives its servers to somebody else.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::cluster::ClusterError;

/// A user other than ourselves who runs our servers.
#[derive(Clone, Debug)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
}

impl Account {
    /// Started as root: `postgres`, else `nobody`. Otherwise `None`: we run our servers ourselves.
    pub fn for_servers() -> Result<Option<Self>, ClusterError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            let user = User::from_name(name).with_context(|| format!("looking up user {name}"))?;
            if let Some(user) = user {
                return Ok(Some(Self {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                    name: user.name,
                }));
            }
        }
        Err(ClusterError::NoAccount)
    }

    /// The first directory above `path` that this user may not enter; `None` when all are open.
    /// `path` itself need not exist and is not looked at, as it will be given to the account.
    pub fn closed_parent(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let parent = nearest_existing_parent(path)?;
        let mut parents: Vec<&Path> = parent.ancestors().collect();
        parents.reverse();
        for dir in parents {
            let metadata = fs::metadata(dir)?;
            if !self.may_enter(metadata.mode(), metadata.uid(), metadata.gid()) {
                return Ok(Some(dir.to_owned()));
            }
        }
        Ok(None)
    }

    /// As the kernel decides: the first class that fits counts, even when a later one would allow more. Servers are
    /// started without supplementary groups, so there is one group to look at.
    fn may_enter(&self, mode: u32, uid: u32, gid: u32) -> bool {
        let execute = if uid == self.uid {
            0o100
        } else if gid == self.gid {
            0o010
        } else {
            0o001
        };
        mode & execute != 0
    }

    /// Makes the account the owner of a file or of a directory with all that is in it, the directory last, so that a
    /// private directory opens only when it is complete.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        lchown(path, Some(self.uid), Some(self.gid))
    }
}

/// The name of the user we are, as Postgres's `peer` method will see it.
pub(super) fn our_name() -> Result<String, ClusterError> {
    let uid = Uid::effective();
    let user = User::from_uid(uid).context("looking up our own user")?;
    user.map(|user| user.name)
        .ok_or(ClusterError::NamelessUser(uid.as_raw()))
}

fn nearest_existing_parent(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for parent in path.ancestors().skip(1) {
        match parent.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
    }
    Ok(PathBuf::from("/"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn somebody() -> Account {
        Account {
            uid: 65_501,
            gid: 65_502,
            name: "somebody".to_owned(),
        }
    }

    #[test]
    fn a_directory_is_entered_by_owner_group_and_others_as_the_kernel_decides() {
        for (mode, uid, gid, expected) in [
            (0o700, 65_501, 0, true),
            (0o077, 65_501, 65_502, false),
            (0o710, 0, 65_502, true),
            (0o701, 0, 65_502, false),
            (0o701, 0, 0, true),
            (0o750, 0, 0, false),
            (0o644, 0, 0, false),
        ] {
            assert_eq!(somebody().may_enter(mode, uid, gid), expected, "{mode:o} {uid} {gid}");
        }
    }

    #[test]
    fn the_closed_directory_is_named_even_when_the_path_is_not_there_yet() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let closed = root.path().canonicalize().unwrap().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();

        let account = somebody();
        let inside = closed.join("data/sandboxes/12");
        assert_eq!(account.closed_parent(&inside).unwrap(), Some(closed));
        let beside = root.path().join("open/data");
        assert_eq!(account.closed_parent(&beside).unwrap(), None);
    }
}
