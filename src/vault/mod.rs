//! Keeps what must not be read in the store: texts sealed with a key that lies in a file beside it. Knows nothing of what
//! it seals.
//!
//! A sealed text is a byte for the version (1), a nonce of 12 random bytes, and the text encrypted by AES-256-GCM with its
//! tag of 16 bytes (NIST SP 800-38D). What it is about is authenticated with it, so that one sealed text cannot stand in
//! for another.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rand::TryRng as _;
use ring::aead::AES_256_GCM;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::NONCE_LEN;
use ring::aead::Nonce;
use ring::aead::UnboundKey;

const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;

/// Why something stays sealed, or cannot be sealed. Sentences.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("The key file {} cannot be used: {error}.", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(
        "The key file {} can be read by others. Let only its owner read it (chmod 600).",
        path.display()
    )]
    Open { path: PathBuf },
    #[error("The key file {} does not hold 64 hexadecimal digits, as openssl rand -hex 32 makes them.", path.display())]
    NoKey { path: PathBuf },
    #[error(
        "It was stored under another key. The key file of that time is needed again (key in the data directory, or \
         PGASSAY_KEY_FILE), or what was stored has to be entered anew."
    )]
    OtherKey,
    #[error("The system gives no random numbers.")]
    NoChance,
}

/// A key in memory.
pub struct Vault {
    key: LessSafeKey,
}

impl Vault {
    /// Reads the key of a file, which is made with a random key where there is none.
    ///
    /// A file that others can read is refused. One that belongs to root may be read by its group, as PostgreSQL has it
    /// with the keys of servers: that is how secrets are handed to containers.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let failed = |error| VaultError::File {
            path: path.to_owned(),
            error,
        };
        if !path.try_exists().map_err(failed)? {
            make(path)?;
        }
        let metadata = fs::metadata(path).map_err(failed)?;
        let closed = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.mode() & closed != 0 {
            return Err(VaultError::Open { path: path.to_owned() });
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let key = hex::decode(text.trim()).ok();
        let key = key.and_then(|bytes| UnboundKey::new(&AES_256_GCM, &bytes).ok());
        let key = key.ok_or_else(|| VaultError::NoKey { path: path.to_owned() })?;
        Ok(Self {
            key: LessSafeKey::new(key),
        })
    }

    /// Seals a text. `about` says what it is about, and has to be said again to open it.
    pub fn seal(&self, about: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut text = plain.to_vec();
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about.as_bytes()),
            &mut text,
        );
        let tag = tag.expect("a text of ours is far below the 64 GB that one nonce is good for");
        Ok([&[VERSION], &nonce[..], &text, tag.as_ref()].concat())
    }

    /// What was sealed under the same key about the same thing.
    pub fn unseal(&self, about: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (&[version], behind) = sealed.split_first_chunk().ok_or(VaultError::OtherKey)?;
        let (nonce, text) = behind.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::OtherKey)?;
        if version != VERSION {
            return Err(VaultError::OtherKey);
        }
        let mut text = text.to_vec();
        let opened = self.key.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(about.as_bytes()),
            &mut text,
        );
        Ok(opened.map_err(|_| VaultError::OtherKey)?.to_vec())
    }
}

/// Makes a key file, unless another process is quicker: it is there whole or not at all.
fn make(path: &Path) -> Result<(), VaultError> {
    let failed = |error| VaultError::File {
        path: path.to_owned(),
        error,
    };
    let key: [u8; KEY_BYTES] = random()?;
    let number: [u8; 8] = random()?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", hex::encode(number)));
    let draft = PathBuf::from(draft);
    let written = write(&draft, &key).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    // What is sealed with it may outlast a loss of power.
    let written = written.and_then(|()| path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()));
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(failed)
}

fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", hex::encode(key))?;
    file.sync_all()
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| VaultError::NoChance)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_sealed_comes_back_under_its_own_name_and_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("key")).unwrap();
        let sealed = vault.seal("server 7", b"s3cret").unwrap();
        assert_eq!(vault.unseal("server 7", &sealed).unwrap(), b"s3cret");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"s3cret"));
        assert_ne!(
            vault.seal("server 7", b"s3cret").unwrap(),
            sealed,
            "a nonce is used once"
        );
        assert!(matches!(vault.unseal("server 8", &sealed), Err(VaultError::OtherKey)));
        for idx in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[idx] ^= 1;
            assert!(vault.unseal("server 7", &changed).is_err(), "byte {idx}");
            assert!(vault.unseal("server 7", &sealed[..idx]).is_err(), "{idx} bytes");
        }
        let other = Vault::open(&dir.path().join("other")).unwrap();
        assert!(other.unseal("server 7", &sealed).is_err());
        let again = Vault::open(&dir.path().join("key")).unwrap();
        assert_eq!(again.unseal("server 7", &sealed).unwrap(), b"s3cret");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        Vault::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        for (mode, is_fit) in [(0o400, true), (0o644, false), (0o604, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Vault::open(&path) {
                Ok(_) => assert!(is_fit, "{mode:o}"),
                Err(error) => assert!(!is_fit && error.to_string().contains("chmod 600"), "{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn many_who_begin_at_once_have_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let vaults: Vec<Vault> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| Vault::open(&path).unwrap())).collect();
            opening.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = vaults[0].seal("x", b"text").unwrap();
        assert!(vaults.iter().all(|vault| vault.unseal("x", &sealed).is_ok()));
    }

    #[test]
    fn a_file_that_holds_no_key_is_said_to_and_shown_nothing_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, b"short").unwrap();
        let error = Vault::open(&path).err().unwrap().to_string();
        assert!(
            error.contains("64 hexadecimal digits") && !error.contains("73686f7274"),
            "{error}"
        );
    }
}
