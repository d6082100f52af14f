//! `pgassay doctor`: what this machine has, and what to do about what it has not.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::cluster;
use crate::cluster::ClusterError;
use crate::cluster::binaries::Binaries;
use crate::cluster::binaries::version_in_words;
use crate::cluster::leftover;
use crate::cluster::privileges::Account;
use crate::config::HouseConfig;
use crate::dataset::pg_restore::PgRestore;
use crate::files::depot::Depot;
use crate::files::depot::DepotError;
use crate::files::disk::Disk;
use crate::files::layout::Layout;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::store;
use crate::target::open_files::OpenFiles;
use crate::target::shared;
use crate::vault::Vault;

/// With fewer bytes to use a restore may not fit.
const LOW_DISK_BYTES: u64 = 5 << 30;

/// A benchmark may well want more clients than this.
const FEW_CLIENTS: u64 = 1_000;

/// What was found about one thing.
enum Finding {
    Good(String),
    /// It works, and somebody should know.
    Note(String),
    /// It does not work, or is not safe; says what to do.
    Problem(String),
}

/// Prints what was found. Returns false when something does not work.
/// `files_before` is the limit on open files as this process was started with.
pub async fn doctor(config: &HouseConfig, files_before: Option<OpenFiles>) -> bool {
    let mut findings = Vec::new();
    let layout = data_directory(config, &mut findings);
    programs(config, &mut findings).await;
    if config.sandbox_url().is_none() {
        findings.push(("memory limits", memory_limits()));
    }
    findings.push(("open files", open_files(files_before)));
    store(config, layout.as_ref(), &mut findings).await;
    if let Some(layout) = &layout {
        let key_file = config.key_file.clone().unwrap_or_else(|| layout.key_file());
        findings.push(("key file", sealing(&key_file)));
        let dir = config.secrets_dir.clone().unwrap_or_else(|| layout.secrets());
        findings.push(("secrets", secrets(&dir)));
    }
    if let Some(address) = config.files() {
        findings.push(("depot", depot(address).await));
    }
    match (config.sandbox_url(), &layout) {
        (Some(url), Some(layout)) => shared_server(url, layout, &mut findings).await,
        (None, Some(layout)) => findings.push(("sandboxes", sandboxes(layout))),
        (_, None) => {}
    }
    let mut is_well = true;
    for (about, finding) in findings {
        let (mark, text) = match finding {
            Finding::Good(text) => ("ok  ", text),
            Finding::Note(text) => ("note", text),
            Finding::Problem(text) => {
                is_well = false;
                ("BAD ", text)
            }
        };
        println!("{mark}  {about:<15} {text}");
    }
    is_well
}

fn data_directory(config: &HouseConfig, findings: &mut Vec<(&'static str, Finding)>) -> Option<Layout> {
    let path = &config.data_dir;
    match Account::for_servers() {
        Ok(None) => findings.push((
            "servers run as",
            Finding::Good("the user who starts pgassay".to_owned()),
        )),
        Ok(Some(account)) => {
            findings.push((
                "servers run as",
                Finding::Good(format!("{}, because pgassay was started as root", account.name)),
            ));
            let _ = std::fs::create_dir_all(path);
            if let Ok(Some(closed)) = account.closed_parent(&path.join("store")) {
                findings.push((
                    "data directory",
                    Finding::Note(format!(
                        "{} is closed to {}; serve will use /var/lib/pgassay instead. Choose another --data-dir, or chmod o+x.",
                        closed.display(),
                        account.name
                    )),
                ));
            }
        }
        Err(error) => findings.push(("servers run as", Finding::Problem(error.to_string()))),
    }
    match Layout::open(path) {
        Ok(layout) => {
            let text = layout.root().display().to_string();
            findings.push(("data directory", Finding::Good(text)));
            let disk = Disk::of(layout.root(), config.limits.disk_reserve_bytes);
            findings.push(("free disk", free_disk(&disk)));
            Some(layout)
        }
        Err(error) => {
            findings.push((
                "data directory",
                Finding::Problem(format!("{error:#}. Choose another with --data-dir.")),
            ));
            None
        }
    }
}

/// What addresses of registered servers are sealed with.
fn sealing(key_file: &Path) -> Finding {
    let shown = key_file.display();
    if !key_file.exists() {
        return Finding::Good(format!("it will be made: {shown}"));
    }
    match Vault::open(key_file) {
        Ok(_) => Finding::Good(shown.to_string()),
        Err(error) => Finding::Problem(error.to_string()),
    }
}

/// Where passwords of registered servers may come from.
fn secrets(dir: &Path) -> Finding {
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            let n_secrets = counted(entries.count() as u64, "secret", "secrets");
            Finding::Good(format!("{n_secrets} in {}", dir.display()))
        }
        Err(error) => Finding::Problem(format!("{} cannot be read: {error}.", dir.display())),
    }
}

fn free_disk(disk: &Disk) -> Finding {
    let space = match disk.space() {
        Ok(space) => space,
        Err(error) => return Finding::Problem(format!("{error:#}")),
    };
    let text = format!(
        "{}, of which {} are kept free",
        bytes_in_words(space.free_bytes),
        bytes_in_words(space.reserve_bytes)
    );
    match (space.low(0), space.low(LOW_DISK_BYTES)) {
        (Some(low), _) => Finding::Problem(format!("Nothing is taken in or run. {low}")),
        (None, Some(_)) => Finding::Note(format!("{text}; a dump takes two to three times its size. Make room.")),
        (None, None) => Finding::Good(text),
    }
}

async fn programs(config: &HouseConfig, findings: &mut Vec<(&'static str, Finding)>) {
    match Binaries::find(config.pg_bindir.as_deref()).await {
        Ok(binaries) => {
            let text = format!("{} in {}", binaries.version(), binaries.bindir.display());
            findings.push(("PostgreSQL", Finding::Good(text)));
            if let Some(holes) = binaries.known_holes() {
                findings.push(("PostgreSQL", Finding::Problem(holes)));
            }
            archives(Some(&binaries.bindir), findings).await;
        }
        Err(ClusterError::NoBinaries) if config.database_url().is_some() && config.sandbox_url().is_some() => {
            let text = "no server programs here, and none are needed: both servers are given";
            findings.push(("PostgreSQL", Finding::Good(text.to_owned())));
            archives(None, findings).await;
        }
        Err(error) => findings.push(("PostgreSQL", Finding::Problem(error.to_string()))),
    }
}

/// The server that all datasets share.
async fn shared_server(url: &str, layout: &Layout, findings: &mut Vec<(&'static str, Finding)>) {
    let about = "shared server";
    let home = match layout.home() {
        Ok(home) => home,
        Err(error) => return findings.push((about, Finding::Problem(format!("{error:#}")))),
    };
    match shared::inspect::inspect(url, &home).await {
        Ok(inspection) => {
            findings.push((
                about,
                Finding::Good(format!(
                    "PostgreSQL {} at SANDBOX_URL, with {}",
                    inspection.version,
                    counted(inspection.n_datasets as u64, "dataset", "datasets")
                )),
            ));
            findings.push((about, Finding::Note(shared::WARNING.to_owned())));
            findings.extend(inspection.notes.into_iter().map(|note| (about, Finding::Note(note))));
        }
        Err(error) => findings.push((about, Finding::Problem(error.to_string()))),
    }
}

/// Whether and by what archives are read.
async fn archives(bindir: Option<&Path>, findings: &mut Vec<(&'static str, Finding)>) {
    let Some(pg_restore) = PgRestore::newest(bindir).await else {
        let advice = "there is no pg_restore here, so only plain dumps are taken. Install the PostgreSQL client.";
        findings.push(("archives", Finding::Note(advice.to_owned())));
        return;
    };
    let version = version_in_words(pg_restore.version_num);
    findings.push((
        "archives",
        Finding::Good(format!(
            "custom and tar archives are read by pg_restore {version}, the newest here: {}",
            pg_restore.path.display()
        )),
    ));
    if let Some(holes) = pg_restore.known_holes() {
        findings.push(("archives", Finding::Problem(holes)));
    }
}

fn memory_limits() -> Finding {
    match cluster::limits::prlimit() {
        Some(path) => Finding::Good(format!("each process of a sandbox is kept to its limit by {}", path.display())),
        None => Finding::Note(
            "there is no prlimit here, so a query of a dump can use up this machine's memory. On Linux, install util-linux."
                .to_owned(),
        ),
    }
}

/// How many clients a benchmark can have.
fn open_files(before: Option<OpenFiles>) -> Finding {
    let now = match OpenFiles::now() {
        Ok(now) => now,
        Err(error) => return Finding::Problem(format!("their limit cannot be read: {error}")),
    };
    let raised = before.filter(|before| before.limit < now.limit);
    let raised = raised.map(|before| format!(", raised from {}", grouped(before.limit)));
    let text = format!(
        "at most {}{} of the {} that may be had: enough for {} clients at once",
        grouped(now.limit),
        raised.unwrap_or_default(),
        grouped(now.ceiling),
        grouped(now.clients())
    );
    if now.clients() < FEW_CLIENTS {
        return Finding::Note(format!(
            "{text}. For more, raise the limit (ulimit -Hn) before pgassay starts."
        ));
    }
    Finding::Good(text)
}

async fn store(config: &HouseConfig, layout: Option<&Layout>, findings: &mut Vec<(&'static str, Finding)>) {
    if let Some(url) = config.database_url() {
        findings.push(("store", external_store(url).await));
        return;
    }
    let Some(layout) = layout else { return };
    let dir = layout.store();
    findings.push((
        "store",
        match leftover::running(&dir) {
            Ok(Some(running)) => Finding::Good(format!(
                "embedded, running as process {} for another pgassay",
                running.pid
            )),
            Ok(None) if dir.exists() => Finding::Good(format!("embedded in {}, not running now", dir.display())),
            Ok(None) => Finding::Good(format!("embedded; it will be made in {}", dir.display())),
            Err(error) => Finding::Problem(error.to_string()),
        },
    ));
}

async fn external_store(url: &str) -> Finding {
    let advice = "Check DATABASE_URL, and that its server runs.";
    let options = match url.parse::<PgConnectOptions>() {
        Ok(options) => options,
        Err(error) => return Finding::Problem(format!("DATABASE_URL cannot be read: {error}.")),
    };
    let asked = async {
        let mut conn = options.connect().await?;
        store::server_version(&mut conn).await
    };
    match asked.await {
        Ok(version) => Finding::Good(format!("PostgreSQL {version} at DATABASE_URL")),
        Err(error) => Finding::Problem(format!("the server of DATABASE_URL does not answer: {error}. {advice}")),
    }
}

/// Whether a small file gets into the depot, out of it and away again.
async fn depot(address: &str) -> Finding {
    let checking = async {
        let depot = Depot::open(address)?;
        depot.check().await?;
        Ok::<_, DepotError>(depot)
    };
    match checking.await {
        Ok(depot) => Finding::Good(format!(
            "{}: it was listed, and a small file was put there, read and removed",
            depot.place()
        )),
        Err(error) => Finding::Problem(error.to_string()),
    }
}

fn sandboxes(layout: &Layout) -> Finding {
    let entries = match std::fs::read_dir(layout.sandboxes()) {
        Ok(entries) => entries,
        Err(error) => return Finding::Problem(format!("they cannot be listed: {error}")),
    };
    let dirs: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    let n_running = dirs
        .iter()
        .filter(|dir| matches!(leftover::running(dir), Ok(Some(_))))
        .count();
    Finding::Good(format!(
        "{}, {n_running} running; pgassay is superuser in them because it starts them itself",
        counted(dirs.len() as u64, "sandbox", "sandboxes")
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_a_problem_and_none_is_made_by_looking() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        assert!(matches!(sealing(&key), Finding::Good(text) if text.starts_with("it will be made")));
        assert!(!key.exists());
        Vault::open(&key).unwrap();
        assert!(matches!(sealing(&key), Finding::Good(_)));
        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(sealing(&key), Finding::Problem(text) if text.contains("chmod 600")));
    }

    #[test]
    fn secrets_are_counted_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rds"), "hidden").unwrap();
        assert!(matches!(secrets(dir.path()), Finding::Good(text) if text.starts_with("1 secret in ")));
        assert!(matches!(secrets(&dir.path().join("none")), Finding::Problem(_)));
    }
}
