//! Bundles: a settled experiment as one file that stands on its own. It holds what was asked for, what was measured and
//! what was published, so that anybody can compute the numbers again, and measure again under the same statistics.
//!
//! A bundle is a zip archive of JSON and JSON Lines; `manifest.json` names the members with their checksums. Whoever reads
//! one trusts nothing of it: it comes from outside.

mod archive;
mod exports;
mod finding;
pub mod format;
mod read;
mod tables;
pub mod verify;
mod write;

pub use self::read::Bundle;
pub use self::write::Draft;

/// The form of the files. Another number means that a reader of this one would stumble.
pub const SCHEMA: &str = "pgassay.bundle/1";

/// The largest list of members, in bytes.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The largest member that is read line by line, in bytes.
const MAX_TABLE_BYTES: u64 = 1 << 30;
/// The largest member that is read as a whole, in bytes.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;
/// The longest line of a table, in bytes: a plan with all its filters.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Why there is no bundle, or why a file is none.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("Experiment {0} is not finished yet. There is a bundle when it is.")]
    NotSettled(crate::model::ids::ExperimentId),
    #[error("{name} would have more than {limit_bytes} bytes, which no pgassay would read again.")]
    TooLargeToWrite { name: String, limit_bytes: u64 },
    #[error("This is not a bundle of pgassay, or it is damaged: {0}.")]
    NotABundle(String),
    #[error("This bundle has the form {found}; this pgassay reads {SCHEMA}.")]
    OtherVersion { found: String },
    #[error("This bundle holds {name:?}, which does not belong into one.")]
    ForeignMember { name: String },
    #[error("This bundle has no {name}.")]
    MissingMember { name: String },
    #[error("{name} is larger than {limit_bytes} bytes, or than the bundle says.")]
    TooLarge { name: String, limit_bytes: u64 },
    #[error("{name} cannot be read: {reason}.")]
    Unreadable { name: String, reason: String },
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}
