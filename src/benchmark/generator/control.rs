//! What the threads of a level share: when it ends, and why. Read after every transaction, written when something ends it.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::benchmark::generator::report::Ended;

pub struct Control {
    end_ns: AtomicU64,
    why: OnceLock<Ended>,
    /// Cancelled when the level ends before its time.
    over: CancellationToken,
    max_errors: Option<u64>,
    n_failed: AtomicU64,
    n_clients: AtomicU32,
}

impl Control {
    /// Of a level that ends at this moment if nothing ends it before.
    pub fn new(end: Duration, max_errors: Option<u64>) -> Self {
        Self {
            end_ns: AtomicU64::new(as_ns(end)),
            why: OnceLock::new(),
            over: CancellationToken::new(),
            max_errors,
            n_failed: AtomicU64::new(0),
            n_clients: AtomicU32::new(0),
        }
    }

    /// When the level ends, as far as is known now.
    pub fn end(&self) -> Duration {
        Duration::from_nanos(self.end_ns.load(Ordering::Relaxed))
    }

    /// Why it did, or will.
    pub fn ended(&self) -> Ended {
        self.why.get().copied().unwrap_or(Ended::Finished)
    }

    /// Returns when the level is ended before its time.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Ends the level. The first reason is the one that is told.
    pub fn end_now(&self, at: Duration, why: Ended) {
        if at < self.end() {
            // Somebody else was faster, and their reason stands.
            let _ = self.why.set(why);
            self.end_ns.fetch_min(as_ns(at), Ordering::Relaxed);
        }
        self.over.cancel();
    }

    /// A transaction failed: one of many may end the level.
    pub fn count_failed(&self, at: Duration) {
        let n_failed = self.n_failed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.max_errors.is_some_and(|max_errors| n_failed >= max_errors) {
            self.end_now(at, Ended::TooManyErrors);
        }
    }

    /// So many clients begin.
    pub fn set_n_clients(&self, n_clients: u32) {
        self.n_clients.store(n_clients, Ordering::Relaxed);
    }

    /// A client cannot go on: the last one ends the level.
    pub fn client_left(&self, at: Duration) {
        if self.n_clients.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.end_now(at, Ended::NoClientLeft);
        }
    }
}

fn as_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(max_errors: Option<u64>) -> Control {
        Control::new(Duration::from_secs(10), max_errors)
    }

    #[test]
    fn the_first_reason_to_end_is_the_one_that_is_told() {
        let control = control(None);
        assert_eq!((control.ended(), control.end()), (Ended::Finished, Duration::from_secs(10)));
        control.end_now(Duration::from_secs(3), Ended::Stopped);
        control.end_now(Duration::from_secs(2), Ended::TooManyErrors);
        assert_eq!((control.ended(), control.end()), (Ended::Stopped, Duration::from_secs(2)));
        assert!(control.over.is_cancelled());
    }

    #[test]
    fn a_stop_after_the_end_does_not_make_it_a_stopped_level() {
        let control = control(None);
        control.end_now(Duration::from_secs(11), Ended::Stopped);
        assert_eq!((control.ended(), control.end()), (Ended::Finished, Duration::from_secs(10)));
    }

    #[test]
    fn as_many_errors_as_are_allowed_end_a_level() {
        let control = control(Some(2));
        control.count_failed(Duration::from_secs(1));
        assert_eq!(control.ended(), Ended::Finished);
        control.count_failed(Duration::from_secs(2));
        assert_eq!((control.ended(), control.end()), (Ended::TooManyErrors, Duration::from_secs(2)));
    }

    #[test]
    fn the_last_client_that_leaves_ends_a_level() {
        let control = control(None);
        control.set_n_clients(2);
        control.client_left(Duration::from_secs(1));
        assert_eq!(control.ended(), Ended::Finished);
        control.client_left(Duration::from_secs(2));
        assert_eq!(control.ended(), Ended::NoClientLeft);
    }
}
