//! Where everything is below the data directory. Paths are built from ids, never from names.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use rand::TryRng as _;

use crate::model::ids::DatasetId;
use crate::model::ids::UploadId;

/// One data directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directory and what belongs into it, where it is not there yet. Uploads are for us alone; the root can
    /// be entered by the user who runs our servers.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(root).with_context(|| format!("making the data directory {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("opening the data directory {}", root.display()))?;
        let layout = Self { root };
        for dir in [
            layout.uploads(),
            layout.incoming(),
            layout.parts(),
            layout.sandboxes(),
            layout.secrets(),
        ] {
            std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        }
        for dir in [layout.uploads(), layout.secrets()] {
            close(&dir).with_context(|| format!("closing {} to others", dir.display()))?;
        }
        Ok(layout)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The data directory of the embedded store.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// One data directory below it for each dataset.
    pub fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    /// Held for as long as a process is the master of this directory.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("pgassay.lock")
    }

    /// Held, shared, by every process that works in this directory, master or guest.
    pub fn presence_file(&self) -> PathBuf {
        self.root.join("pgassay.present")
    }

    /// The key of what is sealed in the store.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("key")
    }

    /// Files that passwords of registered servers come from.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Files that are still arriving.
    fn incoming(&self) -> PathBuf {
        self.uploads().join("incoming")
    }

    /// Files that arrive part by part.
    fn parts(&self) -> PathBuf {
        self.uploads().join("parts")
    }

    /// What has arrived of an upload.
    pub fn part(&self, upload_id: UploadId) -> PathBuf {
        self.parts().join(upload_id.to_string())
    }

    /// The dump of a dataset.
    pub fn dump(&self, dataset_id: DatasetId) -> PathBuf {
        self.uploads().join(dataset_id.to_string())
    }

    /// A new name for a file that is about to arrive.
    pub fn new_incoming(&self) -> anyhow::Result<PathBuf> {
        Ok(self.incoming().join(random_hex()?))
    }

    /// The name of this directory in the store, made once: work that needs its files is done by whoever holds them.
    pub fn home(&self) -> anyhow::Result<String> {
        let path = self.root.join("home-id");
        match std::fs::read_to_string(&path) {
            Ok(home) if !home.trim().is_empty() => return Ok(home.trim().to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("reading the name of the data directory"),
        }
        let home = random_hex()?;
        write_whole(&path, &home).context("writing the name of the data directory")?;
        Ok(home)
    }

    /// Gives the directory the name that another one had, whose place it takes. It has none yet.
    pub fn succeed(&self, home: &str) -> anyhow::Result<()> {
        write_whole(&self.root.join("home-id"), home).context("writing the name of the data directory")
    }

    /// Has the directory belong to a store: what lies in it goes by the numbers of datasets, which another store counts, too.
    /// Where it may, one in which nothing of a dataset lies changes hands.
    pub fn belong_to(&self, store_name: &str, may_change_hands: bool) -> anyhow::Result<()> {
        let path = self.root.join("store-name");
        let known = match std::fs::read_to_string(&path) {
            Ok(known) => known.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context("reading whose the data directory is"),
        };
        if known == store_name {
            return Ok(());
        }
        let is_free = known.is_empty() || may_change_hands && self.is_empty()?;
        if !is_free {
            anyhow::bail!(
                "the data directory {root} holds the work of another store. Choose another with --data-dir; or, if nothing of \
                 that is needed any more, stop what runs there and remove {root}/sandboxes and {root}/uploads",
                root = self.root.display()
            );
        }
        write_whole(&path, store_name).context("writing whose the data directory is")
    }

    /// Whether nothing of any dataset is here.
    fn is_empty(&self) -> anyhow::Result<bool> {
        for dir in [self.sandboxes(), self.uploads()] {
            for entry in std::fs::read_dir(&dir).with_context(|| format!("looking into {}", dir.display()))? {
                let name = entry.context("looking into the data directory")?.file_name();
                if name.to_str().is_some_and(|name| name.parse::<DatasetId>().is_ok()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Removes what stopped arriving. Returns how many files went. What another process is just taking in is locked by
    /// it, and stays.
    pub async fn sweep_incoming(&self) -> anyhow::Result<usize> {
        sweep(&self.incoming(), &[]).await
    }

    /// Removes the dumps of datasets that `keep` does not name. Returns how many files went.
    pub async fn sweep_dumps(&self, keep: &[DatasetId]) -> anyhow::Result<usize> {
        sweep(&self.uploads(), keep).await
    }

    /// The uploads of which something lies here.
    pub async fn list_parts(&self) -> anyhow::Result<Vec<UploadId>> {
        let mut found = Vec::new();
        let mut entries = tokio::fs::read_dir(self.parts()).await.context("looking for uploads")?;
        while let Some(entry) = entries.next_entry().await? {
            found.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<UploadId>().ok()),
            );
        }
        Ok(found)
    }

    /// Removes what has arrived of an upload, if it is there.
    pub async fn remove_part(&self, upload_id: UploadId) -> anyhow::Result<()> {
        remove(&self.part(upload_id)).await.context("removing an upload")
    }

    /// Removes the dump of a dataset, if it is there.
    pub async fn remove_dump(&self, dataset_id: DatasetId) -> anyhow::Result<()> {
        remove(&self.dump(dataset_id)).await.context("removing a dump")
    }
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    // Several processes may begin at once.
    let draft = path.with_extension(random_hex()?);
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(std::fs::rename(&draft, path)?)
}

async fn remove(file: &Path) -> io::Result<()> {
    match tokio::fs::remove_file(file).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn sweep(dir: &Path, keep: &[DatasetId]) -> anyhow::Result<usize> {
    let mut n_removed = 0;
    let mut entries = tokio::fs::read_dir(dir)
        .await
        .with_context(|| format!("looking into {}", dir.display()))?;
    while let Some(entry) = entries.next_entry().await? {
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let is_wanted = id.is_some_and(|id| keep.contains(&id));
        if entry.file_type().await?.is_file() && !is_wanted && is_abandoned(&entry.path())? {
            tokio::fs::remove_file(entry.path())
                .await
                .context("removing an orphaned upload")?;
            n_removed += 1;
        }
    }
    Ok(n_removed)
}

/// Whether no process holds the lock on a file. One that has just gone needs nothing done.
fn is_abandoned(path: &Path) -> anyhow::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.context("looking at an upload")?,
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).context("looking at an upload"),
    }
}

fn close(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// A name that nobody else has.
pub fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .context("drawing a random name")?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_sweep_keeps_what_is_named_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        std::fs::write(layout.dump(DatasetId(1)), "kept").unwrap();
        std::fs::write(layout.dump(DatasetId(2)), "orphan").unwrap();
        std::fs::write(layout.new_incoming().unwrap(), "cut off").unwrap();
        let arriving = layout.new_incoming().unwrap();
        let held = File::create(&arriving).unwrap();
        held.lock().unwrap();
        assert_eq!(layout.sweep_dumps(&[DatasetId(1)]).await.unwrap(), 1);
        assert_eq!(layout.sweep_incoming().await.unwrap(), 1);
        assert!(arriving.exists());
        drop(held);
        assert_eq!(layout.sweep_incoming().await.unwrap(), 1);
        assert!(layout.dump(DatasetId(1)).exists());
        assert!(!layout.dump(DatasetId(2)).exists());
    }

    #[test]
    fn what_lies_in_a_directory_is_left_to_its_store() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        layout.belong_to("first", false).unwrap();
        layout.belong_to("first", false).unwrap();
        assert!(layout.belong_to("second", false).is_err(), "somebody is at work in it");
        layout.belong_to("second", true).unwrap();
        std::fs::write(layout.dump(DatasetId(1)), "of the second").unwrap();
        let error = layout.belong_to("third", true).unwrap_err().to_string();
        assert!(
            error.contains("another store") && error.contains("--data-dir"),
            "{error}"
        );
        layout.belong_to("second", true).unwrap();
    }

    #[test]
    fn a_directory_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Layout::open(dir.path()).unwrap().home().unwrap();
        assert_eq!(Layout::open(dir.path()).unwrap().home().unwrap(), home);
    }
}
