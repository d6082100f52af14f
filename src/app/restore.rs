//! Makes a house of a backup where there is none.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::backup::PIECES;
use crate::app::house;
use crate::app::store_keeper::StoreKeeper;
use crate::backup::BackupError;
use crate::backup::archive::Backup;
use crate::backup::format;
use crate::backup::format::Manifest;
use crate::backup::programs::Executable;
use crate::backup::programs::Whereabouts;
use crate::cluster::binaries::Binaries;
use crate::cluster::site::Site;
use crate::config::HouseConfig;
use crate::files::disk::Disk;
use crate::files::layout::Layout;
use crate::files::removal;
use crate::store;
use crate::store::backups;
use crate::store::backups::Renewal;

/// What was made of a backup.
pub struct Restored {
    pub manifest: Manifest,
    pub data_dir: PathBuf,
    pub renewal: Renewal,
    /// None when the backup has none.
    pub key_file: Option<PathBuf>,
}

/// Makes a data directory and a store of a backup, both of which are empty so far. Whatever goes wrong, they are empty again.
pub async fn restore(config: &HouseConfig, path: &Path, stop: &CancellationToken) -> anyhow::Result<Restored> {
    let backup = {
        let (path, stop) = (path.to_owned(), stop.clone());
        tokio::task::spawn_blocking(move || Backup::open(&path, store::schema_version(), &stop))
    };
    let backup = backup.await.context("checking the backup")??;
    let binaries = Binaries::find(config.pg_bindir.as_deref()).await;
    let server_version_num = match config.database_url() {
        Some(url) => check_external(url).await?,
        None => {
            binaries
                .as_ref()
                .map_err(|error| anyhow::anyhow!("{error}"))?
                .version_num
        }
    };
    let origin = &backup.manifest.origin;
    if server_version_num / 10_000 < origin.server_version_num / 10_000 {
        return Err(BackupError::OlderServer {
            made_on: origin.server_version_num,
            found: server_version_num,
        }
        .into());
    }
    let bindir = binaries.as_ref().ok().map(|binaries| &*binaries.bindir);
    let pg_restore = Executable::find("pg_restore", bindir, origin.pg_dump_version_num / 10_000).await?;
    let data_dir = house::reachable(&config.data_dir)?;
    if !is_empty(&data_dir)? {
        return Err(BackupError::DirectoryInUse(data_dir).into());
    }
    let layout = Layout::open(&data_dir)?;
    let restoring = Restoring {
        config,
        layout: &layout,
        pg_restore,
        stop,
    };
    restoring.run(backup, binaries.ok()).await
}

/// What stands at the root of a disk of its own.
const LOST_AND_FOUND: &str = "lost+found";

fn is_empty(dir: &Path) -> anyhow::Result<bool> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries.with_context(|| format!("looking into {}", dir.display()))?,
    };
    for entry in entries {
        if entry.context("looking into the data directory")?.file_name() != LOST_AND_FOUND {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes away what was restored: nothing else was there.
async fn clear(dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).context("clearing the data directory")? {
        let entry = entry.context("clearing the data directory")?;
        if entry.file_name() == LOST_AND_FOUND {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() {
            removal::remove_dir(&path).await
        } else {
            tokio::fs::remove_file(&path).await
        };
        removed.with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

/// Refuses a store in which something is. Returns the version of its server.
async fn check_external(url: &str) -> anyhow::Result<u32> {
    let options = url.parse::<PgConnectOptions>().context("reading DATABASE_URL")?;
    let mut conn = options.connect().await.context("opening the store of DATABASE_URL")?;
    let is_empty = backups::is_empty(&mut conn).await?;
    let version_num = backups::server_version_num(&mut conn).await?;
    conn.close().await?;
    if is_empty {
        Ok(version_num)
    } else {
        Err(BackupError::StoreInUse.into())
    }
}

/// The second half of a restore, in a data directory that has been made.
struct Restoring<'a> {
    config: &'a HouseConfig,
    layout: &'a Layout,
    pg_restore: Executable,
    stop: &'a CancellationToken,
}

impl Restoring<'_> {
    /// Makes all of it or nothing, where nobody else is at work.
    async fn run(self, backup: Backup, binaries: Option<Binaries>) -> anyhow::Result<Restored> {
        // Held until all is there, or gone again: nobody else's work is cleared away.
        let _master = house::take_lock(self.layout)?.context("another pgassay is at work in the data directory")?;
        let restored = Box::pin(self.make(backup, binaries)).await;
        if restored.is_err() {
            clear(self.layout.root()).await?;
        }
        restored
    }

    async fn make(&self, backup: Backup, binaries: Option<Binaries>) -> anyhow::Result<Restored> {
        let has_own_store = self.config.database_url().is_none();
        let disk = Disk::of(self.layout.root(), self.config.limits.disk_reserve_bytes);
        if let Some(low) = disk.low(backup.manifest.needed_bytes(has_own_store))? {
            return Err(low.into());
        }
        self.layout.succeed(&backup.manifest.origin.home)?;
        let key_file = self.config.key_file.clone().unwrap_or_else(|| self.layout.key_file());
        let (layout, stop) = (self.layout.clone(), self.stop.clone());
        let filing = {
            let key_file = key_file.clone();
            tokio::task::spawn_blocking(move || {
                let mut backup = backup;
                file_all(&mut backup, &layout, &key_file, &stop).map(|has_key| (backup, has_key))
            })
        };
        let (backup, has_key) = filing.await.context("writing what the backup holds")??;
        let store = match (self.config.database_url(), binaries) {
            (None, Some(binaries)) => {
                let site = Arc::new(Site::open(binaries, self.layout.root())?);
                Some(StoreKeeper::start(site, house::store_spec(self.layout)).await?)
            }
            _ => None,
        };
        let manifest = backup.manifest.clone();
        let filled = self.fill(backup, store.as_ref()).await;
        if let Some(store) = store {
            store.stop().await.context("stopping the store")?;
        }
        Ok(Restored {
            manifest,
            data_dir: self.layout.root().to_owned(),
            renewal: filled?,
            key_file: has_key.then_some(key_file),
        })
    }

    /// Fills the store, in one transaction, brings it up to date, and has its datasets restored again.
    async fn fill(&self, backup: Backup, embedded: Option<&StoreKeeper>) -> anyhow::Result<Renewal> {
        let origin = backup.manifest.origin.clone();
        let dumps = backup.manifest.dataset_ids();
        let (place, options) = match (embedded, self.config.database_url()) {
            (Some(store), _) => (
                Whereabouts::embedded(&store.socket_dir),
                house::store_options(&store.socket_dir),
            ),
            (None, Some(url)) => (
                Whereabouts::external(url)?,
                url.parse::<PgConnectOptions>().context("reading DATABASE_URL")?,
            ),
            (None, None) => anyhow::bail!("there is no store to fill"),
        };
        let arguments = [
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
        ];
        let mut filling = self.pg_restore.start(&place, &arguments)?;
        let mut input = filling.child.stdin.take().context("the input of pg_restore")?;
        let (send, mut pieces) = mpsc::channel::<Bytes>(PIECES);
        let reading = {
            let stop = self.stop.clone();
            let mut backup = backup;
            tokio::task::spawn_blocking(move || read_store(&mut backup, &stop, &send))
        };
        while let Some(piece) = pieces.recv().await {
            if input.write_all(&piece).await.is_err() {
                // It has ended, and says why.
                break;
            }
        }
        drop(pieces);
        let read = reading.await.context("reading the backup")?;
        if let Err(error) = read {
            // Before its input ends: what it has got is not the whole, and must not be committed.
            drop(filling);
            return Err(error.into());
        }
        drop(input);
        filling.finish().await.context("filling the store")?;
        let pool = store::open(options).await.context("bringing the store up to date")?;
        let mut transaction = pool.begin().await?;
        let renewal = backups::renew(&mut transaction, &origin.home, &dumps).await?;
        transaction.commit().await?;
        pool.close().await;
        self.layout.belong_to(&origin.store_name, false)?;
        Ok(renewal)
    }
}

fn read_store(backup: &mut Backup, stop: &CancellationToken, send: &mpsc::Sender<Bytes>) -> Result<(), BackupError> {
    let member = backup.member(format::STORE).context("the store in the backup")?;
    let mut is_wanted = true;
    backup.read(&member, stop, |piece| {
        // Who fills the store may have given up, and says why. What is left is read all the same: it may be damaged.
        is_wanted = is_wanted && send.blocking_send(Bytes::copy_from_slice(piece)).is_ok();
        Ok(())
    })
}

/// Writes the key and the dumps where they belong. Returns whether there was a key.
fn file_all(
    backup: &mut Backup,
    layout: &Layout,
    key_file: &Path,
    stop: &CancellationToken,
) -> Result<bool, BackupError> {
    let key = backup.member(format::KEY);
    if let Some(key) = &key {
        let mut text = Vec::new();
        backup.read(key, stop, |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        match std::fs::read(key_file) {
            Ok(known) if known.trim_ascii() == text.trim_ascii() => {}
            Ok(_) => return Err(BackupError::OtherKey(key_file.to_owned())),
            Err(_) => write_file(key_file, |file| {
                file.write_all(&text).map_err(|error| full(key_file, error))
            })?,
        }
    }
    for id in backup.manifest.dataset_ids() {
        let member = backup
            .member(&format::upload_name(id))
            .context("a dump in the backup")?;
        let path = layout.dump(id);
        write_file(&path, |file| {
            backup.read(&member, stop, |piece| {
                file.write_all(piece).map_err(|error| full(&path, error))
            })
        })?;
    }
    Ok(key.is_some())
}

/// Writes a file that only its owner can read, down to the disk.
fn write_file(path: &Path, fill: impl FnOnce(&mut File) -> Result<(), BackupError>) -> Result<(), BackupError> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| full(path, error))?;
    fill(&mut file)?;
    file.sync_all().map_err(|error| full(path, error))
}

fn full(path: &Path, error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::DiskFull(path.to_owned()),
        _ => anyhow::Error::new(error)
            .context(format!("writing {}", path.display()))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::backup::back_up;
    use crate::testing::belongings;
    use crate::testing::bench::Bench;

    /// Every file below a directory, with what is in it.
    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(self::files(&path));
            } else {
                files.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
        files
    }

    #[tokio::test]
    async fn where_another_has_begun_meanwhile_nothing_is_restored_and_nothing_cleared_away() {
        // In a directory that was empty when it was looked at.
        let other = Bench::open().await;
        let id = other.upload(b"create table t (n integer);\n").await;
        let (config, layout, stop) = (&other.config, &other.house.layout, CancellationToken::new());
        let path = belongings::dir().join("backup.zip");
        back_up(config, &path, &stop).await.unwrap();
        let before = files(layout.root());
        assert!(before.contains_key(&layout.dump(id)));

        let backup = Backup::open(&path, store::schema_version(), &stop).unwrap();
        let major = backup.manifest.origin.pg_dump_version_num / 10_000;
        let restoring = Restoring {
            config,
            layout,
            pg_restore: Executable::find("pg_restore", config.pg_bindir.as_deref(), major)
                .await
                .unwrap(),
            stop: &stop,
        };
        let refused = restoring.run(backup, None).await.err().unwrap();
        assert!(
            refused.to_string().contains("another pgassay is at work"),
            "{refused:#}"
        );
        assert_eq!(files(layout.root()), before);
        other.close().await;
    }
}
