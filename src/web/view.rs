//! What many pages show in the same way: dates, request numbers, states.

use chrono::DateTime;
use chrono::Utc;
use rand::TryRng as _;

use crate::model::job::JobStatus;
pub use crate::model::units::date;

/// What a select offers.
pub struct Choice {
    pub value: String,
    pub text: String,
    pub is_chosen: bool,
}

/// As machines read it.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A fresh number for a form, so that sending it twice does its work once.
pub fn request_id() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A form of ours brings its number; a script that posts without one means something new each time.
pub fn request_id_or(given: String) -> anyhow::Result<String> {
    if given.is_empty() { request_id() } else { Ok(given) }
}

/// A share of a whole in percent, for a progress bar: none while the whole is not known.
pub fn percent(done: u64, total: u64) -> Option<u64> {
    let share = (u128::from(done.min(total)) * 100).checked_div(u128::from(total))?;
    u64::try_from(share).ok()
}

/// What a restore has made of a dump, in one word.
pub fn dataset_state(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Running => "being restored",
        JobStatus::Completed => "ready",
        JobStatus::Queued | JobStatus::Failed | JobStatus::Cancelled => status.word(),
    }
}

/// The class of a state's mark; the word beside it says the same.
pub fn status_class(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "waiting",
        JobStatus::Running => "running",
        JobStatus::Completed => "good",
        JobStatus::Failed => "bad",
        JobStatus::Cancelled => "stopped",
    }
}
