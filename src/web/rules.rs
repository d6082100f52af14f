//! The rules of accounts as pages say them: the numbers are those that hold.

use std::time::Duration;

use crate::auth::accounts::INVITATION_LIFETIME;
use crate::auth::password;
use crate::model::units::counted;
use crate::store::sessions;

const HOUR_S: u64 = 60 * 60;
const DAY_S: u64 = 24 * HOUR_S;

/// What stands beside a field for a new password.
pub fn password() -> String {
    format!(
        "At least {} characters. A few words in a row will do.",
        password::LEAST_CHARS
    )
}

/// How many characters a password has: "12 to 128".
pub fn password_chars() -> String {
    format!("{} to {}", password::LEAST_CHARS, password::MOST_CHARS)
}

/// How long an invitation is good for.
pub fn invitation() -> String {
    in_words(INVITATION_LIFETIME)
}

/// After how long without a request a browser is signed out.
pub fn session_idle() -> String {
    in_words(sessions::IDLE)
}

/// After how long a browser is signed out in any case.
pub fn session_most() -> String {
    in_words(sessions::MOST)
}

/// Whole hours or days.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds.is_multiple_of(DAY_S) => counted(seconds / DAY_S, "day", "days"),
        seconds => counted(seconds / HOUR_S, "hour", "hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_said_in_whole_hours_and_days() {
        assert_eq!(in_words(Duration::from_hours(1)), "1 hour");
        assert_eq!(in_words(Duration::from_hours(36)), "36 hours");
        assert_eq!(in_words(Duration::from_hours(48)), "2 days");
        for rule in [invitation(), session_idle(), session_most()] {
            assert!(!rule.starts_with('0'), "{rule}");
        }
    }
}
