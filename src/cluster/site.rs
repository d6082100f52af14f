//! What all servers of one data root have in common: the programs, the user who runs them, and where their sockets are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::cluster::ClusterError;
use crate::cluster::binaries::Binaries;
use crate::cluster::privileges;
use crate::cluster::privileges::Account;
use crate::cluster::sockets::SocketRoot;

/// Where and as whom servers run.
#[derive(Debug)]
pub struct Site {
    pub(super) binaries: Binaries,
    pub(super) account: Option<Account>,
    pub(super) sockets: SocketRoot,
    /// The user of this machine who is the superuser of our clusters: the one we are.
    pub(super) os_user: String,
    root: PathBuf,
}

impl Site {
    /// `data_root` exists; the data directories of all servers are below it.
    pub fn open(binaries: Binaries, data_root: &Path) -> Result<Self, ClusterError> {
        let root = fs::canonicalize(data_root).with_context(|| format!("opening {}", data_root.display()))?;
        let account = Account::for_servers()?;
        Ok(Self {
            binaries,
            sockets: SocketRoot::of(&root, account.clone()),
            account,
            os_user: privileges::our_name()?,
            root,
        })
    }

    /// The programs that the servers are made of.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The data directory that sandboxes are copied from. Nothing is ever started in it.
    pub(super) fn template_dir(&self) -> PathBuf {
        let name = format!("template-{}", self.binaries.version_num);
        self.root.join(name)
    }

    /// Refuses a path that the user who runs the servers cannot get at.
    pub(super) fn check_reachable(&self, path: &Path) -> Result<(), ClusterError> {
        let Some(account) = &self.account else {
            return Ok(());
        };
        let closed = account
            .closed_parent(path)
            .with_context(|| format!("looking at the directories above {}", path.display()))?;
        closed.map_or(Ok(()), |dir| {
            Err(ClusterError::Closed {
                dir,
                account: account.name.clone(),
            })
        })
    }

    /// A command that runs as the right user, knows nothing of our environment, and speaks English. Ctrl-C at the
    /// terminal does not reach it: it reaches us, and we end what we started in order.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LANG", "C")
            .env("LC_ALL", "C")
            // Ours may be closed to the account.
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        for name in ["PATH", "TZ"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}
