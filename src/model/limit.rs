//! How often something may be asked for, and what is answered to whoever asks more often.

use std::time::Duration;

/// A rule by which takings are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A bucket of tokens, full at first: each taking takes one, and they come back evenly, all of them within `period`.
    Bucket { capacity: u32, period: Duration },
    /// The first `n_free` go through, each after them only after a wait that doubles from `first_wait` to `most_wait`.
    /// All is forgotten when nobody has tried for `quiet` after the wait was over.
    Doubling {
        n_free: u32,
        first_wait: Duration,
        most_wait: Duration,
        quiet: Duration,
    },
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    Allowed,
    /// Refused, and not counted. The next is allowed after so long, unless somebody else takes it.
    After(Duration),
}
