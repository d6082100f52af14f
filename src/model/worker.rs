//! Workers: the processes of pgassay that take work from one store.

use chrono::DateTime;
use chrono::Utc;

use crate::model::ids::WorkerId;

/// Seconds between two signs of life of a worker.
pub const HEARTBEAT_S: u64 = 5;

/// A worker that has given no sign of life for so many seconds is gone.
pub const SILENCE_S: f64 = 20.0;

/// How the clock of a machine stands to that of the store, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockOffset {
    /// Above 0 where the machine is ahead.
    pub offset_ms: f64,
    /// At most so far off: half of the shortest of some round trips.
    pub error_ms: f64,
}

/// What a process says of itself when it begins to take work.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWorker {
    /// `machine:process`, by which it owns leases.
    pub name: String,
    pub machine: String,
    /// Of pgassay.
    pub version: String,
    pub n_processors: u32,
    /// Without server programs it makes load and nothing else.
    pub can_run_sandboxes: bool,
    /// The data directory it works in.
    pub home: String,
    pub clock: ClockOffset,
}

/// A worker as pages see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    pub id: WorkerId,
    pub about: NewWorker,
    pub started_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    /// When it ended in order.
    pub left_at: Option<DateTime<Utc>>,
    /// The store's clock when the row was read.
    pub read_at: DateTime<Utc>,
}

/// How a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    /// It ended in order.
    Left,
    /// It gives no sign of life.
    Silent,
}

impl Worker {
    pub fn presence(&self) -> Presence {
        if self.left_at.is_some() {
            return Presence::Left;
        }
        if self.silent_s() > SILENCE_S {
            return Presence::Silent;
        }
        Presence::Here
    }

    /// Seconds since its last sign of life.
    pub fn silent_s(&self) -> f64 {
        let silent = self.read_at.signed_duration_since(self.heartbeat_at);
        silent.to_std().unwrap_or_default().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_worker_is_gone_when_it_was_silent_for_too_long_or_has_said_so() {
        let mut worker = Worker {
            id: WorkerId(1),
            about: NewWorker {
                name: "a:1".to_owned(),
                machine: "a".to_owned(),
                version: "1".to_owned(),
                n_processors: 2,
                can_run_sandboxes: true,
                home: "home".to_owned(),
                clock: ClockOffset {
                    offset_ms: 0.0,
                    error_ms: 0.1,
                },
            },
            started_at: DateTime::UNIX_EPOCH,
            heartbeat_at: DateTime::UNIX_EPOCH,
            left_at: None,
            read_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(20),
        };
        assert_eq!(worker.presence(), Presence::Here);
        worker.read_at += TimeDelta::milliseconds(1);
        assert_eq!(worker.presence(), Presence::Silent);
        worker.left_at = Some(worker.read_at);
        assert_eq!(worker.presence(), Presence::Left);
        worker.heartbeat_at = worker.read_at + TimeDelta::seconds(5);
        assert!(
            worker.silent_s() < 1e-9,
            "a clock that was put back makes nobody silent"
        );
    }
}
