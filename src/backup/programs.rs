//! `pg_dump` and `pg_restore` on the store: found, started, and told where it is without anybody else reading the password.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::process::ChildStderr;
use tokio::process::Command;
use tokio::task::JoinHandle;
use url::Url;

use crate::backup::BackupError;
use crate::cluster;
use crate::cluster::binaries;

/// How much of what a program complains about is kept.
const COMPLAINT_BYTES: u64 = 4096;

/// A program that is good enough for a store.
#[derive(Clone, Debug)]
pub struct Executable {
    path: PathBuf,
    /// As `server_version_num` counts.
    pub version_num: u32,
}

/// Where the store is, for programs of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// What the environment of this process says of servers is said of this one, too.
    inherits: bool,
}

impl Executable {
    /// The first that is no older than `major`: beside the server's programs, in `PATH`, in the usual places.
    pub async fn find(name: &'static str, bindir: Option<&Path>, major: u32) -> Result<Self, BackupError> {
        let mut dirs: Vec<PathBuf> = bindir.map(Path::to_owned).into_iter().collect();
        if let Some(path) = std::env::var_os("PATH") {
            dirs.extend(std::env::split_paths(&path));
        }
        dirs.extend(binaries::usual_dirs());
        for dir in dirs {
            let path = dir.join(name);
            // One that is not there, or does not run, is not the one.
            let Ok(output) = Command::new(&path).arg("--version").output().await else {
                continue;
            };
            if let Some(version_num) = binaries::parse_version(&String::from_utf8_lossy(&output.stdout))
                && version_num / 10_000 >= major
            {
                return Ok(Self { path, version_num });
            }
        }
        Err(BackupError::NoProgram { program: name, major })
    }

    /// Starts it on a store, with its output or its input in our hands.
    pub fn start(&self, store: &Whereabouts, arguments: &[&str]) -> anyhow::Result<Running> {
        let mut command = Command::new(&self.path);
        if !store.inherits {
            command.env_clear();
        }
        command
            .env("LC_ALL", "C")
            .envs(store.environment.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .args(&store.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", self.path.display()))?;
        let complaints = child.stderr.take().context("the complaints of a program")?;
        Ok(Running {
            name: self.path.clone(),
            complaints: tokio::spawn(listen(complaints)),
            child,
        })
    }
}

async fn listen(mut complaints: ChildStderr) -> String {
    let mut text = Vec::new();
    // What cannot be read is not told.
    let _ = (&mut complaints).take(COMPLAINT_BYTES).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// A program at work. Dropping it ends it.
pub struct Running {
    name: PathBuf,
    pub child: Child,
    complaints: JoinHandle<String>,
}

impl Running {
    /// Waits for its end, which has to be a good one.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await.context("waiting for a program")?;
        let complaints = self.complaints.await.context("listening to a program")?;
        anyhow::ensure!(status.success(), "{} says: {complaints}", self.name.display());
        Ok(())
    }
}

impl Whereabouts {
    /// The embedded store.
    pub fn embedded(socket_dir: &Path) -> Self {
        let arguments = [
            format!("--host={}", socket_dir.display()),
            format!("--port={}", cluster::PORT),
            format!("--username={}", cluster::SUPERUSER),
            "--dbname=postgres".to_owned(),
        ];
        Self {
            arguments: arguments.into(),
            environment: Vec::new(),
            inherits: false,
        }
    }

    /// The store of `DATABASE_URL`. The password goes by the environment: arguments are seen by everybody on the machine.
    pub fn external(url: &str) -> anyhow::Result<Self> {
        let mut url = Url::parse(url).context("reading DATABASE_URL")?;
        let mut password = url.password().map(decoded);
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "password" => password = Some(value.into_owned()),
                // Of our client, or about sessions of ours.
                "statement-cache-capacity" | "application_name" | "options" => {}
                name if name.starts_with("options[") => {}
                "ssl-mode" => kept.push(("sslmode".to_owned(), value.into_owned())),
                "ssl-root-cert" => kept.push(("sslrootcert".to_owned(), value.into_owned())),
                "ssl-cert" => kept.push(("sslcert".to_owned(), value.into_owned())),
                "ssl-key" => kept.push(("sslkey".to_owned(), value.into_owned())),
                _ => kept.push((name.into_owned(), value.into_owned())),
            }
        }
        // A URL without a host has no place for a password either.
        let _ = url.set_password(None);
        // Percent signs throughout: libpq does not read a plus as a space.
        let query: Vec<String> = kept
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        Ok(Self {
            arguments: vec![format!("--dbname={url}")],
            environment: password.map(|password| ("PGPASSWORD", password)).into_iter().collect(),
            inherits: true,
        })
    }
}

fn decoded(text: &str) -> String {
    // As a value of a query it is read the same way, but for the plus, which stands for itself here.
    let pair = format!("x={}", text.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_the_environment_and_not_among_the_arguments() {
        for url in [
            "postgres://me:p%40ss%20%2F+word@db.example:5433/store?sslmode=require&statement-cache-capacity=0",
            "postgres://me@db.example:5433/store?sslmode=require&password=p%40ss%20%2F%2Bword",
        ] {
            let store = Whereabouts::external(url).unwrap();
            assert_eq!(
                store.arguments,
                ["--dbname=postgres://me@db.example:5433/store?sslmode=require"]
            );
            assert_eq!(store.environment, [("PGPASSWORD", "p@ss /+word".to_owned())]);
        }
    }

    #[test]
    fn a_socket_is_named_as_the_programs_read_it() {
        let store = Whereabouts::external("postgres://postgres@localhost/postgres?host=/tmp/a b").unwrap();
        assert_eq!(
            store.arguments,
            ["--dbname=postgres://postgres@localhost/postgres?host=%2Ftmp%2Fa%20b"]
        );
        assert!(store.environment.is_empty());
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_what_to_install() {
        let error = Executable::find("pg_dump", None, 99).await.unwrap_err().to_string();
        assert!(
            error.contains("no pg_dump of PostgreSQL 99 or newer")
                && error.contains("apt install postgresql-client-99"),
            "{error}"
        );
    }
}
