//! The archive of a backup: written beside its name and renamed when it is whole, read and checked before anything is done
//! with it. Memory does not grow with it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use sha2::Digest as _;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use zip::CompressionMethod;
use zip::ZipArchive;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;
use zip::write::StreamWriter;

use crate::backup::BackupError;
use crate::backup::format::FORMAT;
use crate::backup::format::MANIFEST;
use crate::backup::format::Manifest;
use crate::backup::format::MemberBody;
use crate::backup::format::Origin;
use crate::model::ids::DatasetId;

/// What is read and written at a time.
pub const PIECE_BYTES: usize = 256 * 1024;

/// More than the manifest of a hundred thousand datasets.
const MOST_MANIFEST_BYTES: u64 = 32 << 20;

/// Whether a member is worth squeezing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squeeze {
    /// It is as small as it gets.
    No,
    Yes,
}

type Zip = ZipWriter<StreamWriter<Tap>>;

/// A backup that is being written. Dropped before its end, nothing of it is left.
pub struct Draft {
    /// None when it is finished.
    zip: Option<Zip>,
    /// What the zip writer still has to say when it is dropped half way through is not for the disk.
    is_shut: Arc<AtomicBool>,
    path: PathBuf,
    draft: PathBuf,
    is_kept: bool,
    members: Vec<MemberBody>,
    stop: CancellationToken,
}

/// Lets bytes through until it is shut.
struct Tap {
    out: BufWriter<File>,
    is_shut: Arc<AtomicBool>,
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.out.flush()
    }
}

impl Draft {
    /// Begins one that will be at `path`, where nothing is yet. Only its owner can read it.
    pub fn begin(path: &Path, stop: CancellationToken) -> Result<Self, BackupError> {
        if path.try_exists().unwrap_or(true) {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".part");
        let draft = PathBuf::from(draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(draft.clone()),
            _ => write_error(&draft, error),
        })?;
        let is_shut = Arc::new(AtomicBool::new(false));
        let tap = Tap {
            out: BufWriter::with_capacity(PIECE_BYTES, file),
            is_shut: Arc::clone(&is_shut),
        };
        Ok(Self {
            zip: Some(ZipWriter::new_stream(tap)),
            is_shut,
            path: path.to_owned(),
            draft,
            is_kept: false,
            members: Vec::new(),
            stop,
        })
    }

    /// Adds all that a reader has to give.
    pub fn add(&mut self, name: &str, squeeze: Squeeze, mut from: impl Read) -> Result<(), BackupError> {
        self.start(name, squeeze)?;
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if self.stop.is_cancelled() {
                return Err(BackupError::Stopped);
            }
            let n_read = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(n_read) => n_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(anyhow::Error::new(error)
                        .context(format!("reading what is to be {name}"))
                        .into());
                }
            };
            let piece = &piece[..n_read];
            hash.update(piece);
            size_bytes += n_read as u64;
            self.zip()?
                .write_all(piece)
                .map_err(|error| write_error(&self.draft, error))?;
        }
        self.members.push(MemberBody {
            name: name.to_owned(),
            size_bytes,
            sha256: hex::encode(hash.finalize()),
        });
        Ok(())
    }

    /// Writes the manifest, and gives the file its name when all of it is on the disk.
    pub fn finish(mut self, origin: Origin, left_out: Vec<DatasetId>) -> Result<Manifest, BackupError> {
        let manifest = Manifest {
            pgassay_backup: FORMAT,
            origin,
            members: std::mem::take(&mut self.members),
            left_out,
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(anyhow::Error::from)?;
        self.start(MANIFEST, Squeeze::Yes)?;
        self.zip()?
            .write_all(&text)
            .map_err(|error| write_error(&self.draft, error))?;
        self.end().map_err(|error| write_error(&self.draft, error))?;
        self.is_kept = true;
        Ok(manifest)
    }

    fn zip(&mut self) -> Result<&mut Zip, BackupError> {
        Ok(self.zip.as_mut().context("a backup that is finished")?)
    }

    fn start(&mut self, name: &str, squeeze: Squeeze) -> Result<(), BackupError> {
        let started = self.zip()?.start_file(name, options(squeeze));
        started.map_err(|error| write_error(&self.draft, error.into()))
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(zip) = self.zip.take() {
            let tap = zip.finish().map_err(io::Error::from)?.into_inner();
            tap.out.into_inner()?.sync_all()?;
        }
        std::fs::rename(&self.draft, &self.path)?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.is_shut.store(true, Ordering::Relaxed);
        if !self.is_kept
            && let Err(error) = std::fs::remove_file(&self.draft)
        {
            tracing::warn!("{} could not be removed: {error}", self.draft.display());
        }
    }
}

fn options(squeeze: Squeeze) -> SimpleFileOptions {
    let options = SimpleFileOptions::default().large_file(true).unix_permissions(0o600);
    match squeeze {
        Squeeze::No => options.compression_method(CompressionMethod::Stored),
        // The quickest level: dumps shrink to a third by it, and by little more with any other.
        Squeeze::Yes => options
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(1)),
    }
}

fn write_error(path: &Path, error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::DiskFull(path.to_owned()),
        _ => BackupError::Fault(anyhow::Error::new(error).context(format!("writing {}", path.display()))),
    }
}

/// A backup that was read from its beginning to its end, and is what its manifest says.
pub struct Backup {
    zip: ZipArchive<BufReader<File>>,
    path: PathBuf,
    pub manifest: Manifest,
}

impl Backup {
    /// Opens one whose newest migration is no newer than `schema_version`, and computes every hash of it. Nothing is
    /// written anywhere.
    pub fn open(path: &Path, schema_version: i64, stop: &CancellationToken) -> Result<Self, BackupError> {
        let not_a_backup = |reason: String| BackupError::NotABackup {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let reader = BufReader::with_capacity(PIECE_BYTES, file);
        let mut zip = ZipArchive::new(reader).map_err(|error| not_a_backup(error.to_string()))?;
        let manifest = read_manifest(&mut zip).map_err(not_a_backup)?;
        if manifest.pgassay_backup > FORMAT || manifest.origin.schema_version > schema_version {
            return Err(BackupError::Newer {
                made_by: manifest.origin.made_by,
            });
        }
        let mut backup = Self {
            zip,
            path: path.to_owned(),
            manifest,
        };
        backup.check(stop)?;
        Ok(backup)
    }

    fn check(&mut self, stop: &CancellationToken) -> Result<(), BackupError> {
        if self.zip.has_duplicate_names() || self.zip.len() != self.manifest.members.len() + 1 {
            return Err(self.damaged("it does not hold the members that it names".to_owned()));
        }
        for member in self.manifest.members.clone() {
            if !member.is_known() {
                return Err(self.damaged(format!("it has a member {}", member.name)));
            }
            self.read(&member, stop, |_| Ok(()))?;
        }
        Ok(())
    }

    /// The member of this name; none if there is none.
    pub fn member(&self, name: &str) -> Option<MemberBody> {
        self.manifest.members.iter().find(|member| member.name == name).cloned()
    }

    /// Hands a member on, piece by piece. What was checked is checked again: the file may have been changed since.
    pub fn read(
        &mut self,
        member: &MemberBody,
        stop: &CancellationToken,
        mut take: impl FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let path = self.path.clone();
        let damaged = |reason: String| BackupError::Damaged {
            path: path.clone(),
            reason,
        };
        let name = &member.name;
        let position = self.zip.index_for_name(name);
        let position = position.ok_or_else(|| damaged(format!("it has no {name}")))?;
        let unreadable = |error: &dyn std::fmt::Display| damaged(format!("{name} cannot be read ({error})"));
        let body = self.zip.by_index(position).map_err(|error| unreadable(&error))?;
        // One more than there may be, so that more are seen.
        let mut body = body.take(member.size_bytes.saturating_add(1));
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if stop.is_cancelled() {
                return Err(BackupError::Stopped);
            }
            let n_read = body.read(&mut piece).map_err(|error| unreadable(&error))?;
            if n_read == 0 {
                break;
            }
            hash.update(&piece[..n_read]);
            size_bytes += n_read as u64;
            take(&piece[..n_read])?;
        }
        if size_bytes != member.size_bytes || hex::encode(hash.finalize()) != member.sha256 {
            return Err(damaged(format!("{name} is not what it was")));
        }
        Ok(())
    }

    fn damaged(&self, reason: String) -> BackupError {
        BackupError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }
}

fn read_manifest(zip: &mut ZipArchive<BufReader<File>>) -> Result<Manifest, String> {
    let position = zip.index_for_name(MANIFEST);
    let position = position.ok_or_else(|| format!("it has no {MANIFEST}"))?;
    let member = zip.by_index(position).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let mut member = member.take(MOST_MANIFEST_BYTES);
    member.read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| format!("its {MANIFEST} is another one ({error})"))
}

#[cfg(test)]
mod tests;
