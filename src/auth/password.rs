//! Passwords: what may be one, and how they are hashed and compared, off the async threads and no more at once than there
//! are processors. Does not count attempts: `limit` does.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::PasswordHash;
use argon2::PasswordHasher as _;
use argon2::PasswordVerifier as _;
use argon2::Version;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use rand::TryRng as _;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::auth::common;
use crate::auth::token::NoChance;

pub const LEAST_CHARS: usize = 12;
pub const MOST_CHARS: usize = 128;
/// As it comes, before anything is done with it. 128 characters have at most 512 bytes, and more where accents are sent
/// apart from their letters.
const MOST_BYTES: usize = 1024;

/// Memory, passes and lanes: the first of those that OWASP's Password Storage Cheat Sheet recommends (46 MiB, 1, 1).
const MEMORY_KIB: u32 = 47_104;
const PASSES: u32 = 1;
const LANES: u32 = 1;
/// As RFC 9106, section 3.1, recommends.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// How long somebody waits for a processor before being told to try again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a password is compared with where there is no account: well formed, and the hash of nothing.
const UNKNOWN_SALT: [u8; SALT_BYTES] = *b"there is no such";
const UNKNOWN_HASH: [u8; HASH_BYTES] = [0; HASH_BYTES];

/// Why a text cannot be a password. Sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("A password has at least {LEAST_CHARS} characters; this has {n_chars}. A few words in a row will do.")]
    TooShort { n_chars: usize },
    #[error("A password has at most {MOST_CHARS} characters.")]
    TooLong,
    #[error(
        "This is among the first that are tried: without common passwords, names and rows of keys, fewer than {} characters \
         of it are left. A few words in a row, which nobody else would choose, will do.",
        common::LEAST_LEFT
    )]
    Common,
}

/// A password that somebody may have from now on.
///
/// In Unicode's form NFKC, as NIST SP 800-63B asks for: one keyboard sends "é" as one character and another as two, and who
/// set a password at the one wants to come in at the other.
pub struct NewPassword(String);

impl NewPassword {
    /// Reads what somebody chose. `names` are those that the account goes by.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, PasswordError> {
        let text = normalized(text).ok_or(PasswordError::TooLong)?;
        let n_chars = text.chars().count();
        if n_chars < LEAST_CHARS {
            return Err(PasswordError::TooShort { n_chars });
        }
        if n_chars > MOST_CHARS {
            return Err(PasswordError::TooLong);
        }
        if common::is_common(&text, names) {
            return Err(PasswordError::Common);
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(not shown)")
    }
}

/// What somebody gave as the password, whatever it is. What is too long to be one is compared all the same, and wrong.
pub struct GivenPassword(Option<String>);

impl GivenPassword {
    pub fn new(text: &str) -> Self {
        Self(normalized(text))
    }
}

impl fmt::Debug for GivenPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenPassword(not shown)")
    }
}

/// A hash with its salt and parameters, as the store has it: a PHC string, `$argon2id$v=19$m=47104,t=1,p=1$…$…`.
#[derive(Clone)]
pub struct StoredHash(PasswordHash);

impl StoredHash {
    /// Reads what the store has.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let hash = PasswordHash::new(text).map_err(|error| anyhow::anyhow!("a stored password hash: {error}"))?;
        Ok(Self(hash))
    }

    /// As the store takes it.
    pub fn to_text(&self) -> String {
        self.0.to_string()
    }

    /// Whether it was made as hashes are made now.
    fn is_current(&self) -> bool {
        let params = Params::try_from(&self.0);
        let size = self.0.hash.as_ref().map(|hash| hash.as_bytes().len());
        self.0.algorithm == Algorithm::Argon2id.ident()
            && self.0.version == Some(Version::V0x13.into())
            && params
                .is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES))
            && size == Some(HASH_BYTES)
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(not shown)")
    }
}

/// What comparing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Or there is no such account.
    Wrong,
    Right,
    /// Right, and its hash was made with other parameters: it is time to store a new one.
    RightButOld,
}

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// A sentence.
    #[error("Many people are signing in at this moment. Try again in a few seconds.")]
    Busy,
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// Where passwords are hashed. Its clones share the processors.
#[derive(Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
    patience: Duration,
    unknown: StoredHash,
}

impl Hasher {
    /// One that hashes as many passwords at once as there are processors.
    pub fn new(n_processors: NonZeroUsize) -> Self {
        let base64 = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        let (salt, hash) = (base64(&UNKNOWN_SALT), base64(&UNKNOWN_HASH));
        let unknown = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}");
        Self {
            places: Arc::new(Semaphore::new(n_processors.get())),
            patience: PATIENCE,
            unknown: StoredHash::parse(&unknown).expect("it is well formed"),
        }
    }

    /// Hashes a password with a salt of its own.
    pub async fn hash(&self, password: NewPassword) -> Result<StoredHash, HashError> {
        let mut salt = [0; SALT_BYTES];
        rand::rngs::SysRng
            .try_fill_bytes(&mut salt)
            .map_err(|_| anyhow::Error::from(NoChance))?;
        let hash = self.run(move || argon2().hash_password_with_salt(password.0.as_bytes(), &salt));
        let hash = hash
            .await?
            .map_err(|error| anyhow::anyhow!("hashing a password: {error}"))?;
        Ok(StoredHash(hash))
    }

    /// Compares a password with what the store has of an account; `None` where there is no such account or it has no
    /// password. That takes the same way and the same time.
    pub async fn verify(&self, given: GivenPassword, stored: Option<StoredHash>) -> Result<Verdict, HashError> {
        let could_be = given.0.is_some() && stored.is_some();
        let compared = stored.unwrap_or_else(|| self.unknown.clone());
        let is_current = compared.is_current();
        let text = given.0.unwrap_or_default();
        let outcome = self
            .run(move || argon2().verify_password(text.as_bytes(), &compared.0))
            .await?;
        match outcome {
            Ok(()) if could_be && is_current => Ok(Verdict::Right),
            Ok(()) if could_be => Ok(Verdict::RightButOld),
            Ok(()) | Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
            Err(error) => Err(anyhow::anyhow!("comparing a password: {error}").into()),
        }
    }

    /// Does it on a thread of its own, when there is a place. The place is kept to its end, even where nobody waits any
    /// more: whoever gives up early and asks again does not get two.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let place = place
            .map_err(|_| HashError::Busy)?
            .context("the places of the hasher")?;
        let working = tokio::task::spawn_blocking(move || {
            let made = work();
            drop(place);
            made
        });
        Ok(working.await.context("hashing a password")?)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).expect("the parameters are legal");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// In the form in which passwords are compared; none when it is longer than any can be.
fn normalized(text: &str) -> Option<String> {
    (text.len() <= MOST_BYTES).then(|| text.nfkc().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    const PHRASE: &str = "seven green lanterns";

    fn hasher(n_processors: usize) -> Hasher {
        Hasher::new(NonZeroUsize::new(n_processors).unwrap())
    }

    fn new(text: &str) -> NewPassword {
        NewPassword::parse(text, &[]).unwrap()
    }

    #[test]
    fn a_password_has_a_length_and_no_other_form() {
        for (text, wrong) in [
            ("", Some(PasswordError::TooShort { n_chars: 0 })),
            ("vierzehn Uhr", None),
            ("elf Zeichen", Some(PasswordError::TooShort { n_chars: 11 })),
            // Characters, not bytes.
            ("äöüÄÖÜßéèêñç", None),
            ("äöüÄÖÜßéèêñ", Some(PasswordError::TooShort { n_chars: 11 })),
            (&"lantern and seven ".repeat(8), Some(PasswordError::TooLong)),
            (&"a b".repeat(400), Some(PasswordError::TooLong)),
            ("password1234", Some(PasswordError::Common)),
        ] {
            assert_eq!(NewPassword::parse(text, &[]).err(), wrong, "{text}");
        }
        let longest: String = ('一'..).take(MOST_CHARS).collect();
        assert_eq!(longest.chars().count(), MOST_CHARS);
        assert!(NewPassword::parse(&longest, &[]).is_ok());
        let named = NewPassword::parse("Ariadne-2024-01", &["ariadne"]);
        assert_eq!(named.err(), None, "ten are left");
        assert_eq!(
            NewPassword::parse("ariadneariadne!!", &["ariadne"]).err(),
            Some(PasswordError::Common)
        );
    }

    #[test]
    fn nothing_of_a_password_is_printed_by_accident() {
        let hash = StoredHash::parse(REFERENCE[0]).unwrap();
        let printed = format!("{:?} {:?} {hash:?}", new(PHRASE), GivenPassword::new(PHRASE));
        assert!(!printed.contains("seven") && !printed.contains("argon2id"), "{printed}");
    }

    /// Of "password", from the test of the reference implementation (P-H-C/phc-winner-argon2, src/test.c).
    const REFERENCE: [&str; 3] = [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ];

    #[tokio::test]
    async fn hashes_of_others_are_understood_and_due_to_be_made_anew() {
        let hasher = hasher(1);
        for text in REFERENCE {
            let hash = StoredHash::parse(text).unwrap();
            assert_eq!(hash.to_text(), text);
            let verdict = hasher.verify(GivenPassword::new("password"), Some(hash.clone()));
            assert_eq!(verdict.await.unwrap(), Verdict::RightButOld, "{text}");
            let verdict = hasher.verify(GivenPassword::new("sassword"), Some(hash));
            assert_eq!(verdict.await.unwrap(), Verdict::Wrong, "{text}");
        }
        assert!(StoredHash::parse("secret").is_err());
    }

    #[tokio::test]
    async fn a_hash_is_of_one_password_in_whatever_form_it_is_typed() {
        let hasher = hasher(1);
        let hash = hasher.hash(new("caf\u{e9} \u{fb01}fty-six")).await.unwrap();
        let text = hash.to_text();
        assert!(text.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{text}");
        let again = hasher.hash(new("caf\u{e9} \u{fb01}fty-six")).await.unwrap();
        assert_ne!(again.to_text(), text, "a salt of its own");
        for (typed, verdict) in [
            ("cafe\u{301} fifty-six", Verdict::Right),
            ("caf\u{e9} fifty-six", Verdict::Right),
            ("cafe fifty-six", Verdict::Wrong),
            ("Caf\u{e9} fifty-six", Verdict::Wrong),
            ("caf\u{e9} fifty-six ", Verdict::Wrong),
        ] {
            let stored = Some(StoredHash::parse(&text).unwrap());
            let found = hasher.verify(GivenPassword::new(typed), stored).await.unwrap();
            assert_eq!(found, verdict, "{typed}");
        }
    }

    #[tokio::test]
    async fn where_there_is_no_account_the_same_work_is_done() {
        let hasher = hasher(1);
        assert!(hasher.unknown.is_current());
        assert_eq!(
            StoredHash::parse(&hasher.unknown.to_text()).unwrap().to_text(),
            hasher.unknown.to_text()
        );
        let place = Arc::clone(&hasher.places).acquire_owned().await.unwrap();
        let hash = StoredHash::parse(REFERENCE[1]).unwrap();
        let too_long = "password".repeat(1000);
        let mut waiting = vec![
            Box::pin(hasher.verify(GivenPassword::new(""), None)),
            Box::pin(hasher.verify(GivenPassword::new(PHRASE), None)),
            Box::pin(hasher.verify(GivenPassword::new(PHRASE), Some(hash.clone()))),
            Box::pin(hasher.verify(GivenPassword::new(&too_long), Some(hash))),
        ];
        for verdict in &mut waiting {
            assert!(
                verdict.now_or_never().is_none(),
                "it waits for its place like any other"
            );
        }
        drop(place);
        for verdict in join_all(waiting).await {
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        }
    }

    #[tokio::test]
    async fn fifty_hashes_at_once_leave_the_thread_to_others() {
        // One thread runs this test, the hashes' futures, and nothing else.
        let mut hasher = hasher(2);
        hasher.patience = Duration::from_hours(1);
        let all = (0..50).map(|_| hasher.clone()).map(async |hasher| {
            let verdict = hasher.verify(GivenPassword::new(PHRASE), None).await;
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        });
        let all = tokio::spawn(join_all(all));
        let (mut n_turns, mut most_at_once) = (0, 0);
        while !all.is_finished() {
            tokio::task::yield_now().await;
            n_turns += 1;
            most_at_once = most_at_once.max(2 - hasher.places.available_permits());
        }
        assert_eq!(all.await.unwrap().len(), 50);
        // Were they made on this thread, it would have had one turn, at their end.
        assert!(n_turns > 50, "{n_turns}");
        assert_eq!(most_at_once, 2);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so_and_who_leaves_keeps_the_place_until_it_is_free() {
        let mut hasher = hasher(1);
        let (go_on, wait) = mpsc::channel::<()>();
        let mut left = Box::pin(hasher.run(move || wait.recv()));
        assert!((&mut left).now_or_never().is_none());
        drop(left);
        hasher.patience = Duration::ZERO;
        let refused = hasher.verify(GivenPassword::new(PHRASE), None).await;
        assert!(matches!(refused, Err(HashError::Busy)), "{refused:?}");
        drop(go_on);
        hasher.patience = PATIENCE;
        let verdict = hasher.verify(GivenPassword::new(PHRASE), None).await.unwrap();
        assert_eq!(verdict, Verdict::Wrong);
    }
}
