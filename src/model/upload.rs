//! Uploads: dumps that arrive part by part.

use std::str::FromStr;

use chrono::DateTime;
use chrono::Utc;

use crate::model::ids::DatasetId;
use crate::model::ids::UploadId;

/// A name that a program has given to its upload, by which it finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadKey(String);

/// The longest key.
const MOST_KEY_CHARS: usize = 100;

/// What is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A key has 1 to {MOST_KEY_CHARS} characters: letters without accents, digits, dots, underscores and hyphens.")]
pub struct NoKey;

impl UploadKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let is_key = (1..=MOST_KEY_CHARS).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        is_key.then(|| Self(text.to_owned())).ok_or(NoKey)
    }
}

/// What is said of an upload with its first part.
#[derive(Clone, Debug)]
pub struct NewUpload {
    pub key: UploadKey,
    /// Where its parts are kept.
    pub home: String,
    /// What the person calls it; may be empty.
    pub name: String,
    pub file_name: String,
    pub total_bytes: u64,
}

/// An upload as far as it has come.
#[derive(Clone, Debug)]
pub struct Upload {
    pub id: UploadId,
    pub key: String,
    pub request_id: String,
    pub home: String,
    pub name: String,
    pub file_name: String,
    pub total_bytes: u64,
    /// What is on the disk for good.
    pub received_bytes: u64,
    /// None before everything has arrived.
    pub dataset_id: Option<DatasetId>,
    /// When something of it last arrived.
    pub touched_at: DateTime<Utc>,
}

/// Which bytes of a file a part holds: from `first`, up to `end` and without it, of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRange {
    pub first: u64,
    pub end: u64,
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_word_that_can_stand_in_an_address() {
        for (text, is_key) in [
            ("nightly-2026.11_22", true),
            (&"k".repeat(MOST_KEY_CHARS), true),
            (&"k".repeat(MOST_KEY_CHARS + 1), false),
            ("", false),
            ("a b", false),
            ("../etc", false),
            ("ä", false),
        ] {
            assert_eq!(text.parse::<UploadKey>().is_ok(), is_key, "{text:?}");
        }
    }
}
