//! What is written is read again, and what is not as it was written is refused.

use std::os::unix::fs::PermissionsExt as _;

use chrono::DateTime;

use super::*;
use crate::backup::format;
use crate::backup::format::STORE;
use crate::testing::scratch;

const SCHEMA_VERSION: i64 = 7;

fn origin() -> Origin {
    Origin {
        made_by: "9.9.9".to_owned(),
        made_at: DateTime::UNIX_EPOCH,
        schema_version: SCHEMA_VERSION,
        server_version_num: 150_018,
        pg_dump_version_num: 150_018,
        database_bytes: 1000,
        store_name: "a name".to_owned(),
        home: "ab".repeat(16),
    }
}

/// A backup of a store and two dumps, one of more than a piece.
fn written(dir: &Path) -> PathBuf {
    let path = dir.join("backup.zip");
    let mut draft = Draft::begin(&path, CancellationToken::new()).unwrap();
    draft.add(STORE, Squeeze::No, &b"the store"[..]).unwrap();
    let long: Vec<u8> = (0..=250).cycle().take(PIECE_BYTES * 5 / 2).collect();
    draft
        .add(&format::upload_name(DatasetId(1)), Squeeze::Yes, &long[..])
        .unwrap();
    draft
        .add(&format::upload_name(DatasetId(2)), Squeeze::Yes, &b""[..])
        .unwrap();
    draft.finish(origin(), vec![DatasetId(3)]).unwrap();
    path
}

fn open(path: &Path) -> Result<Backup, BackupError> {
    Backup::open(path, SCHEMA_VERSION, &CancellationToken::new())
}

#[test]
fn what_was_written_is_read_again() {
    let dir = scratch::dir();
    let path = written(&dir);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "no draft is left");
    let mut backup = open(&path).unwrap();
    assert_eq!(backup.manifest.origin, origin());
    assert_eq!(backup.manifest.dataset_ids(), [DatasetId(1), DatasetId(2)]);
    assert_eq!(backup.manifest.left_out, [DatasetId(3)]);
    let dump_bytes = (PIECE_BYTES * 5 / 2) as u64;
    assert_eq!(backup.manifest.needed_bytes(false), dump_bytes);
    assert_eq!(backup.manifest.needed_bytes(true), dump_bytes + 1000);
    let member = backup.member("uploads/1").unwrap();
    let mut bytes = Vec::new();
    let stop = CancellationToken::new();
    let read = backup.read(&member, &stop, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    read.unwrap();
    assert!(
        bytes
            .iter()
            .zip((0..=250).cycle())
            .all(|(byte, expected)| *byte == expected)
    );
    assert_eq!(bytes.len() as u64, dump_bytes);
}

#[test]
fn a_file_that_is_there_is_not_written_over_and_what_is_given_up_leaves_nothing() {
    let dir = scratch::dir();
    let path = written(&dir);
    let before = std::fs::read(&path).unwrap();
    let again = Draft::begin(&path, CancellationToken::new());
    assert!(matches!(again, Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let (other, stop) = (dir.join("other.zip"), CancellationToken::new());
    let mut draft = Draft::begin(&other, stop.clone()).unwrap();
    stop.cancel();
    let stopped = draft.add(STORE, Squeeze::No, &b"the store"[..]);
    assert!(matches!(stopped, Err(BackupError::Stopped)));
    drop(draft);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_file_cut_off_anywhere_or_changed_anywhere_is_refused() {
    let dir = scratch::dir();
    let bytes = std::fs::read(written(&dir)).unwrap();
    let other = dir.join("other.zip");
    for length in [0, 1, 21, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&other, &bytes[..length]).unwrap();
        assert!(matches!(open(&other), Err(BackupError::NotABackup { .. })), "{length}");
    }
    // Where a flipped bit says nothing of the members (a time, a version), it does no harm.
    let mut n_refused = 0;
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        std::fs::write(&other, &changed).unwrap();
        match open(&other) {
            Err(BackupError::NotABackup { .. } | BackupError::Damaged { .. } | BackupError::Newer { .. }) => {
                n_refused += 1;
            }
            Err(error) => panic!("{at}: {error}"),
            Ok(backup) => assert_eq!(backup.manifest.origin, origin(), "{at}"),
        }
    }
    assert!(n_refused > 0);
}

#[test]
fn a_hash_that_does_not_fit_is_refused_before_anything_is_done() {
    let dir = scratch::dir();
    let path = dir.join("backup.zip");
    let mut draft = Draft::begin(&path, CancellationToken::new()).unwrap();
    draft.add(STORE, Squeeze::No, &b"the store"[..]).unwrap();
    draft.members[0].sha256 = "00".repeat(32);
    draft.finish(origin(), Vec::new()).unwrap();
    let error = open(&path).err().unwrap().to_string();
    assert!(error.contains("store.pgdump is not what it was"), "{error}");
}

#[test]
fn another_archive_and_a_newer_backup_are_refused_in_words() {
    let dir = scratch::dir();
    let other = dir.join("other.zip");
    let mut zip = ZipWriter::new(File::create(&other).unwrap());
    zip.start_file(MANIFEST, SimpleFileOptions::default()).unwrap();
    zip.write_all(br#"{"schema": "pgassay-bundle/1"}"#).unwrap();
    zip.finish().unwrap();
    let error = open(&other).err().unwrap().to_string();
    assert!(error.contains("is not a backup of pgassay"), "{error}");

    let path = written(&dir);
    let newer = Backup::open(&path, SCHEMA_VERSION - 1, &CancellationToken::new());
    let error = newer.err().unwrap().to_string();
    assert!(error.contains("made by pgassay 9.9.9, which is newer"), "{error}");
}
