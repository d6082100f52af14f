//! Passwords that come from outside, anew before each connection: those of managed servers expire within the hour.
//!
//! A secret is a file in one directory. One that can be run is run, any other is read; the first line is the password.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use tokio::fs::File;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::model::server::SecretName;

/// A command that makes a token asks a service of its cloud, which takes a second or two.
const LIMIT: Duration = Duration::from_secs(10);
/// Tokens have some thousand bytes.
const MOST_BYTES: u64 = 64 << 10;

/// What proves to a server who we are.
#[derive(Clone)]
pub enum Password {
    /// The server asks for none.
    None,
    Given(Arc<str>),
    /// Got anew before each connection.
    Secret(Secret),
}

impl Password {
    /// The password for a connection that is about to be made. The error is a sentence without a full stop, in which
    /// nothing of a secret stands.
    pub async fn get(&self) -> Result<Option<Arc<str>>, String> {
        match self {
            Self::None => Ok(None),
            Self::Given(password) => Ok(Some(Arc::clone(password))),
            Self::Secret(secret) => secret.get().await.map(Some),
        }
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self::Given(Arc::from(password))
    }
}

/// A file that a password comes from. Of clones that ask at the same moment one looks, for all of them.
#[derive(Clone)]
pub struct Secret {
    name: SecretName,
    path: PathBuf,
    /// The look that is under way.
    look: Arc<Mutex<Option<Arc<Look>>>>,
}

type Look = OnceCell<Result<Arc<str>, String>>;

impl Secret {
    pub fn new(dir: &Path, name: &SecretName) -> Self {
        Self {
            path: dir.join(name.as_str()),
            name: name.clone(),
            look: Arc::default(),
        }
    }

    async fn get(&self) -> Result<Arc<str>, String> {
        let look = Arc::clone(self.slot().get_or_insert_default());
        let found = look.get_or_init(|| self.find(LIMIT)).await.clone();
        // Whoever asks from now on looks again.
        self.slot().take_if(|current| Arc::ptr_eq(current, &look));
        found
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Look>>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is still running at the end of the limit is killed, and so it is when this is dropped.
    async fn find(&self, limit: Duration) -> Result<Arc<str>, String> {
        let name = &self.name;
        let found = tokio::time::timeout(limit, self.find_patiently()).await;
        found.unwrap_or_else(|_| {
            Err(format!(
                "the secret {name} gave no password within {} s; run it by hand to see what keeps it",
                limit.as_secs()
            ))
        })
    }

    async fn find_patiently(&self) -> Result<Arc<str>, String> {
        let name = &self.name;
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("there is no secret {name} in {}", self.dir()),
            _ => format!("the secret {name} in {} cannot be read: {error}", self.dir()),
        };
        let metadata = tokio::fs::metadata(&self.path).await.map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(format!("the secret {name} in {} is no file", self.dir()));
        }
        let text = if metadata.permissions().mode() & 0o111 == 0 {
            let file = File::open(&self.path).await.map_err(unreadable)?;
            read(file).await.map_err(unreadable)?
        } else {
            self.run().await?
        };
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match str::from_utf8(line) {
            Ok("") => Err(format!("the first line of the secret {name} is empty")),
            Ok(line) => Ok(Arc::from(line)),
            Err(_) => Err(format!("the first line of the secret {name} is no text in UTF-8")),
        }
    }

    /// What the command writes. What it complains about may hold secrets, and is dropped.
    async fn run(&self) -> Result<Vec<u8>, String> {
        let name = &self.name;
        let fails = |error: io::Error| format!("the secret {name} cannot be run: {error}");
        let mut command = Command::new(&self.path);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(fails)?;
        // Dropped before the child is, which then has not been waited for, so that its number is nobody else's.
        let mut group = Group(child.id());
        let text = match child.stdout.take() {
            Some(stdout) => read(stdout).await.map_err(fails)?,
            None => Vec::new(),
        };
        let status = child.wait().await.map_err(fails)?;
        group.0 = None;
        if status.success() {
            return Ok(text);
        }
        Err(format!(
            "the secret {name} failed ({status}); run it by hand, as the user of pgassay, to see why"
        ))
    }

    fn dir(&self) -> std::path::Display<'_> {
        self.path.parent().unwrap_or(&self.path).display()
    }
}

/// Everything, up to a limit.
async fn read(from: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(MOST_BYTES).read_to_end(&mut text).await?;
    Ok(text)
}

/// The processes of a command, which are killed when this is dropped, unless the command has ended.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // They may be gone already.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing;
    use crate::testing::bench::PATIENCE;
    use crate::testing::scratch;

    fn secret(dir: &Path, name: &str) -> Password {
        Password::Secret(Secret::new(dir, &SecretName::parse(name).unwrap()))
    }

    async fn sentence(dir: &Path, name: &str) -> String {
        secret(dir, name).get().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time_and_its_first_line_counts() {
        let dir = scratch::dir();
        let password = secret(&dir, "token");
        for text in ["one\nrest", "tw ö\r\n", "three"] {
            fs::write(dir.join("token"), text).unwrap();
            let line = text.lines().next().unwrap();
            assert_eq!(password.get().await.unwrap().as_deref(), Some(line));
        }
        fs::remove_file(dir.join("token")).unwrap();
        let error = password.get().await.unwrap_err();
        assert!(error.starts_with("there is no secret token in /"), "{error}");
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_run_and_the_next_makes_another() {
        let dir = scratch::dir();
        testing::command(
            &dir.join("token"),
            "dir=$(dirname \"$0\"); echo run >> \"$dir/runs\"; read -r _ < \"$dir/gate\"; echo \"password $(wc -l < \"$dir/runs\")\"",
        );
        nix::unistd::mkfifo(&dir.join("gate"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let password = secret(&dir, "token");
        for run in ["password 1", "password 2"] {
            let asking: Vec<_> = (0..20)
                .map(|_| {
                    let password = password.clone();
                    tokio::spawn(async move { password.get().await.unwrap() })
                })
                .collect();
            // All have asked: they wait for the one run, which waits for this.
            let gate = dir.join("gate");
            tokio::task::spawn_blocking(move || fs::write(gate, "go\n").unwrap())
                .await
                .unwrap();
            for asked in asking {
                assert_eq!(asked.await.unwrap().as_deref(), Some(run));
            }
        }
    }

    #[tokio::test]
    async fn what_a_secret_cannot_do_is_said_without_what_it_says() {
        let dir = scratch::dir();
        testing::command(&dir.join("fails"), "echo s3cret; echo s3cret >&2; exit 3");
        let error = sentence(&dir, "fails").await;
        assert!(error.contains("exit status: 3") && !error.contains("s3cret"), "{error}");
        fs::write(dir.join("empty"), "\ns3cret").unwrap();
        let error = sentence(&dir, "empty").await;
        assert!(error.contains("is empty") && !error.contains("s3cret"), "{error}");
        fs::create_dir(dir.join("dir")).unwrap();
        assert!(sentence(&dir, "dir").await.contains("is no file"));
        fs::write(dir.join("bytes"), b"\xff").unwrap();
        assert!(sentence(&dir, "bytes").await.contains("UTF-8"));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_given_up_and_killed_with_what_it_started() {
        let dir = scratch::dir();
        testing::command(
            &dir.join("hangs"),
            "cd \"$(dirname \"$0\")\"; sleep 600 & echo $! > draft; mv draft child; wait",
        );
        let secret = Secret::new(&dir, &SecretName::parse("hangs").unwrap());
        let has_begun = async {
            while !dir.join("child").exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = secret.find(PATIENCE) => panic!("it does not end by itself"),
            () = has_begun => {}
        }
        let child = fs::read_to_string(dir.join("child")).unwrap();
        // An orphan stays a zombie until somebody waits for it.
        let stat = format!("/proc/{}/stat", child.trim());
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
        let error = secret.find(Duration::ZERO).await.unwrap_err();
        assert!(error.contains("no password within 0 s"), "{error}");
    }
}
