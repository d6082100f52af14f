//! How many files this process may have open at once. Each connection of a client is one.

use std::io;

use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;

/// What is open beside the connections of clients: those to the store and of browsers, logs, what threads wait on.
const OTHERS: u64 = 256;

/// More than anybody has clients for. Some systems allow a thousand times as many, and programs that we start may go through
/// all of them.
const MOST: u64 = 1 << 20;

/// The limit on open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// What is in force.
    pub limit: u64,
    /// What we may raise it to.
    pub ceiling: u64,
}

impl OpenFiles {
    /// The limit as it is now.
    pub fn now() -> io::Result<Self> {
        let (limit, ceiling) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self { limit, ceiling })
    }

    /// How many clients can be connected under it.
    pub fn clients(self) -> u64 {
        self.limit.saturating_sub(OTHERS)
    }
}

/// Raises the limit as far as it may be without being asked, and returns it as it was before. PostgreSQL and the other
/// programs that we start have it, too: they open no more files for it.
pub fn raise() -> io::Result<OpenFiles> {
    let before = OpenFiles::now()?;
    let limit = before.ceiling.min(MOST);
    if limit > before.limit {
        setrlimit(Resource::RLIMIT_NOFILE, limit, before.ceiling)?;
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes_and_never_lowered() {
        let before = raise().unwrap();
        let now = OpenFiles::now().unwrap();
        assert_eq!(now.ceiling, before.ceiling);
        assert_eq!(now.limit, before.limit.max(before.ceiling.min(MOST)));
        assert!(now.clients() < now.limit);
    }
}
