//! The zip archive around a bundle: written as a stream that comes out the same each time, and read with suspicion.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use sha2::Digest as _;
use sha2::Sha256;
use zip::CompressionMethod;
use zip::DateTime;
use zip::ZipArchive;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::write::StreamWriter;

use crate::bundle::BundleError;
use crate::bundle::MAX_DOCUMENT_BYTES;
use crate::bundle::MAX_LINE_BYTES;
use crate::bundle::MAX_MANIFEST_BYTES;
use crate::bundle::MAX_TABLE_BYTES;
use crate::bundle::format::MANIFEST;
use crate::bundle::format::MemberBody;

/// Writes members one after the other, and keeps count of them.
pub(super) struct Writer<W: Write> {
    // Dropped first: what is dropped half way through shall not look like a whole archive.
    shut: ShutOnDrop,
    zip: Zip<W>,
    done: Vec<MemberBody>,
}

type Zip<W> = ZipWriter<StreamWriter<Tap<W>>>;

/// Lets bytes through until it is shut. The zip writer ends its archive when it is dropped, whatever went wrong before.
struct Tap<W> {
    out: W,
    is_shut: Rc<Cell<bool>>,
}

struct ShutOnDrop(Rc<Cell<bool>>);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut.get() {
            return Ok(bytes.len());
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_shut.get() {
            return Ok(());
        }
        self.out.flush()
    }
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        let is_shut = Rc::new(Cell::new(false));
        Self {
            shut: ShutOnDrop(Rc::clone(&is_shut)),
            zip: ZipWriter::new_stream(Tap { out, is_shut }),
            done: Vec::new(),
        }
    }

    /// A member that is made by `fill`, which writes at most as much as a reader would take.
    pub(super) fn member(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut Member<'_, W>) -> anyhow::Result<()>,
    ) -> Result<(), BundleError> {
        // No time and no person: the same experiment gives the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6))
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644);
        self.zip.start_file(name, options).map_err(anyhow::Error::from)?;
        let mut member = Member {
            zip: &mut self.zip,
            n_bytes: 0,
            hash: Sha256::new(),
        };
        fill(&mut member)?;
        let limit_bytes = limit_bytes(name);
        if member.n_bytes > limit_bytes {
            return Err(BundleError::TooLargeToWrite {
                name: name.to_owned(),
                limit_bytes,
            });
        }
        self.done.push(MemberBody {
            name: name.to_owned(),
            bytes: member.n_bytes,
            sha256: hex::encode(member.hash.finalize()),
        });
        Ok(())
    }

    /// The members so far, for the manifest.
    pub(super) fn done(&self) -> &[MemberBody] {
        &self.done
    }

    pub(super) fn finish(self) -> anyhow::Result<W> {
        let Self { shut, zip, .. } = self;
        let out = zip.finish()?.into_inner().out;
        drop(shut);
        Ok(out)
    }
}

/// A member that is being written.
pub(super) struct Member<'a, W: Write> {
    zip: &'a mut Zip<W>,
    n_bytes: u64,
    hash: Sha256,
}

impl<W: Write> Member<'_, W> {
    /// One line of a table.
    pub(super) fn line(&mut self, row: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        Ok(self.write_all(&line)?)
    }

    /// A whole document, laid out for people.
    pub(super) fn document(&mut self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        Ok(self.write_all(&text)?)
    }
}

impl<W: Write> Write for Member<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.zip.write(bytes)?;
        self.hash.update(&bytes[..n_written]);
        self.n_bytes += n_written as u64;
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}

/// How large a member may be: tables are read line by line.
fn limit_bytes(name: &str) -> u64 {
    if name == MANIFEST {
        MAX_MANIFEST_BYTES
    } else if is_table(name) {
        MAX_TABLE_BYTES
    } else {
        MAX_DOCUMENT_BYTES
    }
}

fn is_table(name: &str) -> bool {
    std::path::Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "jsonl")
}

/// An archive whose members are known by name. Nothing of it is ever written to disk.
pub(super) struct Reader {
    zip: ZipArchive<BufReader<File>>,
    /// What the manifest promises; empty until [`Reader::expect`].
    promised: BTreeMap<String, MemberBody>,
    /// Members whose bytes are not those that were written.
    changed: Vec<String>,
}

/// A member that was changed after it was written may be longer than it was, but not much.
const CHANGED_BYTES: u64 = 1 << 20;

/// The end of an archive: a signature, numbers, and the length of a comment, which is nought.
const END_BYTES: usize = 22;
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
/// More than any bundle has: a snapshot for each source, and a dozen others.
const MAX_MEMBERS: u16 = 4096;

impl Reader {
    /// Opens an archive that holds nothing but files, each of them once.
    pub(super) fn open(mut file: File) -> Result<Self, BundleError> {
        check_end(&mut file)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| not_a_bundle(&error))?;
        if zip.has_duplicate_names() {
            return Err(BundleError::NotABundle("it has two members of one name".to_owned()));
        }
        Ok(Self {
            zip,
            promised: BTreeMap::new(),
            changed: Vec::new(),
        })
    }

    /// The names of all members but the manifest.
    pub(super) fn names(&self) -> Result<Vec<String>, BundleError> {
        let names = self.zip.file_names().map(|name| match name {
            Ok(name) => Ok(name.into_owned()),
            Err(error) => Err(not_a_bundle(&error)),
        });
        let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
        names.retain(|name| name != MANIFEST);
        Ok(names)
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// Takes the manifest's word for what is in each member.
    pub(super) fn expect(&mut self, members: Vec<MemberBody>) {
        self.promised = members
            .into_iter()
            .map(|member| (member.name.clone(), member))
            .collect();
    }

    /// Members that have been read and are not what the manifest promises.
    pub(super) fn changed(&self) -> &[String] {
        &self.changed
    }

    /// Refuses to hold all of these in memory at once if they are too large for that.
    pub(super) fn check_together(&self, names: impl Iterator<Item = String>) -> Result<(), BundleError> {
        let promised = names.filter_map(|name| self.promised.get(&name));
        let n_bytes = promised.fold(0_u64, |sum, member| sum.saturating_add(member.bytes));
        if n_bytes > MAX_DOCUMENT_BYTES {
            return Err(BundleError::TooLarge {
                name: "what it holds of planner statistics".to_owned(),
                limit_bytes: MAX_DOCUMENT_BYTES,
            });
        }
        Ok(())
    }

    /// A whole member.
    pub(super) fn document<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, BundleError> {
        let bytes = self.bytes(name)?;
        serde_json::from_slice(&bytes).map_err(|error| unreadable(name, &error))
    }

    /// The bytes of a whole member.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        self.read(name, |member| {
            member.read_to_end(&mut bytes)?;
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Hands every line of a table to `take`, until that refuses one with a reason.
    pub(super) fn lines<T: DeserializeOwned>(
        &mut self,
        name: &str,
        mut take: impl FnMut(T) -> Result<(), String>,
    ) -> Result<(), BundleError> {
        self.read(name, |member| {
            let mut lines = BufReader::with_capacity(64 << 10, member);
            let mut line = Vec::new();
            for number in 1_u64.. {
                line.clear();
                if (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                serde_json::from_slice(&line)
                    .map_err(|error| error.to_string())
                    .and_then(&mut take)
                    .map_err(|reason| io::Error::other(format!("line {number}: {reason}")))?;
            }
            Ok(())
        })
    }

    /// Reads a member from its beginning to its end, whether it is what was promised or not.
    fn read(&mut self, name: &str, take: impl FnOnce(&mut dyn Read) -> io::Result<()>) -> Result<(), BundleError> {
        let promised = self.promised.get(name).cloned();
        let most = limit_bytes(name);
        let limit_bytes = promised
            .as_ref()
            .map_or(most, |promised| most.min(promised.bytes.max(CHANGED_BYTES)));
        let too_large = || BundleError::TooLarge {
            name: name.to_owned(),
            limit_bytes,
        };
        let missing = || BundleError::MissingMember { name: name.to_owned() };
        let position = self.zip.index_for_name(name).ok_or_else(missing)?;
        let member = self.zip.by_index(position).map_err(|error| not_a_bundle(&error))?;
        if member.size() > limit_bytes {
            return Err(too_large());
        }
        // What is said of its size may be untrue, so it is counted.
        let mut counted = Counted {
            inner: member,
            n_bytes: 0,
            limit_bytes,
            hash: Sha256::new(),
        };
        let taken = take(&mut counted);
        if counted.n_bytes > limit_bytes {
            return Err(too_large());
        }
        taken.map_err(|error| unreadable(name, &error))?;
        let sha256 = hex::encode(counted.hash.finalize());
        if promised.is_some_and(|promised| promised.bytes != counted.n_bytes || promised.sha256 != sha256) {
            self.changed.push(name.to_owned());
        }
        Ok(())
    }
}

/// The archive ends as we write it, without a comment behind it and without the larger numbers of zip64: what follows in
/// memory from its table of contents is bounded before that is read.
fn check_end(file: &mut File) -> Result<(), BundleError> {
    let no_archive = || BundleError::NotABundle("it does not end as a zip archive does".to_owned());
    let mut end = [0_u8; END_BYTES];
    let length = file.seek(SeekFrom::End(0)).map_err(anyhow::Error::from)?;
    let Some(start) = length.checked_sub(END_BYTES as u64) else {
        return Err(no_archive());
    };
    file.seek(SeekFrom::Start(start)).map_err(anyhow::Error::from)?;
    file.read_exact(&mut end).map_err(anyhow::Error::from)?;
    let n_members = u16::from_le_bytes([end[10], end[11]]);
    if end[..4] != END_SIGNATURE || end[20..] != [0, 0] {
        return Err(no_archive());
    }
    if n_members > MAX_MEMBERS {
        return Err(BundleError::NotABundle(format!("it has {n_members} members")));
    }
    file.seek(SeekFrom::Start(0)).map_err(anyhow::Error::from)?;
    Ok(())
}

fn not_a_bundle(error: &ZipError) -> BundleError {
    BundleError::NotABundle(error.to_string())
}

fn unreadable(name: &str, reason: &impl ToString) -> BundleError {
    BundleError::Unreadable {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

/// Counts and hashes what passes, and lets no more pass than is allowed.
struct Counted<R> {
    inner: R,
    n_bytes: u64,
    limit_bytes: u64,
    hash: Sha256,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.n_bytes += n_read as u64;
        if self.n_bytes > self.limit_bytes {
            return Err(io::Error::other("it is too large"));
        }
        self.hash.update(&buffer[..n_read]);
        Ok(n_read)
    }
}
