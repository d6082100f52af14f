//! What else went on at the server and its machine while visits were measured.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::trial::RecordedTrial;

/// A look around behind a visit, or behind several short ones: what was seen since the look before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Places in the schedule, both included.
    pub first_trial: i32,
    pub last_trial: i32,
    pub n_visits: i32,
    /// Since the look before: the visits, each with putting its statistics in force.
    pub took_ms: f64,
    /// A checkpoint began, ended or was under way.
    pub saw_checkpoint: bool,
    /// Autovacuum workers at work.
    pub n_autovacuum: i32,
    /// Sessions that are not ours and ran a statement.
    pub n_sessions: i32,
    /// How long somebody on the machine waited for a processor; none where that is not known.
    pub cpu_wait_ms: Option<f64>,
    /// The same for a disk.
    pub io_wait_ms: Option<f64>,
    /// What the machine's host gave to others, over all processors together.
    pub steal_ms: Option<f64>,
}

/// Something that may have moved the times of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    Checkpoint,
    Autovacuum,
    Sessions,
    Processor,
    Disk,
    Steal,
}

/// From this share of the time on, waiting is a disturbance.
pub const WAITING_SHARE: f64 = 0.1;
/// Less stolen time than this may be an error of rounding: the system counts it in hundredths of a second.
pub const LEAST_STEAL_MS: f64 = 20.0;

impl Disturbance {
    pub const ALL: [Self; 6] = [
        Self::Checkpoint,
        Self::Autovacuum,
        Self::Sessions,
        Self::Processor,
        Self::Disk,
        Self::Steal,
    ];

    /// The word in exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Autovacuum => "autovacuum",
            Self::Sessions => "sessions",
            Self::Processor => "processor",
            Self::Disk => "disk",
            Self::Steal => "steal",
        }
    }

    /// In a few words, beside a trial.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Autovacuum => "autovacuum",
            Self::Sessions => "other sessions",
            Self::Processor => "processor busy",
            Self::Disk => "disk busy",
            Self::Steal => "processor taken away",
        }
    }

    /// What happened, as the beginning of a sentence that goes on with "during 3 of 120 visits".
    pub fn happened(self) -> &'static str {
        match self {
            Self::Checkpoint => "a checkpoint ran",
            Self::Autovacuum => "autovacuum was at work",
            Self::Sessions => "sessions that are not pgassay's were at work",
            Self::Processor => "processes waited for a processor for a tenth of the time or more",
            Self::Disk => "processes waited for a disk for a tenth of the time or more",
            Self::Steal => "the machine's host gave a tenth of the time or more to others",
        }
    }
}

impl Look {
    /// What may have moved the visits' times, in the order of [`Disturbance::ALL`].
    pub fn disturbances(&self) -> impl Iterator<Item = Disturbance> {
        let is_long = |wait_ms: Option<f64>| wait_ms.is_some_and(|ms| ms >= self.took_ms * WAITING_SHARE && ms > 0.0);
        let seen = [
            self.saw_checkpoint,
            self.n_autovacuum > 0,
            self.n_sessions > 0,
            is_long(self.cpu_wait_ms),
            is_long(self.io_wait_ms),
            is_long(self.steal_ms) && self.steal_ms >= Some(LEAST_STEAL_MS),
        ];
        let all = Disturbance::ALL.into_iter().zip(seen);
        all.filter_map(|(disturbance, is_seen)| is_seen.then_some(disturbance))
    }

    fn n_visits(&self) -> u64 {
        u64::try_from(self.n_visits).unwrap_or(0)
    }

    /// Whether a trial belongs to its visits.
    pub fn covers(&self, trial_idx: i32) -> bool {
        (self.first_trial..=self.last_trial).contains(&trial_idx)
    }
}

/// What may have moved the time of a trial. `looks` are in the order of the schedule.
pub fn disturbances_of(looks: &[Look], trial: &RecordedTrial) -> Vec<Disturbance> {
    let behind = looks.partition_point(|look| look.first_trial <= trial.trial_idx);
    let its = behind.checked_sub(1).and_then(|at| looks.get(at));
    let its = its.filter(|look| look.covers(trial.trial_idx));
    its.map(|look| look.disturbances().collect()).unwrap_or_default()
}

/// Behind how many visits there was a look, and during how many of them what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookCounts {
    pub n_visits: u64,
    /// In the order of [`Disturbance::ALL`].
    pub of: [u64; Disturbance::ALL.len()],
}

impl LookCounts {
    /// Counts looks, each by [`Look::disturbances`].
    pub fn of(looks: &[Look]) -> Self {
        let mut counts = Self {
            n_visits: looks.iter().map(Look::n_visits).sum(),
            ..Self::default()
        };
        for look in looks {
            for seen in look.disturbances() {
                let at = Disturbance::ALL.iter().position(|one| *one == seen);
                if let Some(n) = at.and_then(|at| counts.of.get_mut(at)) {
                    *n += look.n_visits();
                }
            }
        }
        counts
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Ten milliseconds in which nothing was seen.
    pub fn calm(first_trial: i32, last_trial: i32) -> Look {
        Look {
            first_trial,
            last_trial,
            n_visits: 1,
            took_ms: 10.0,
            saw_checkpoint: false,
            n_autovacuum: 0,
            n_sessions: 0,
            cpu_wait_ms: Some(0.9),
            io_wait_ms: None,
            steal_ms: Some(10.0),
        }
    }

    #[test]
    fn waiting_counts_from_a_tenth_of_the_visit_on_and_one_tick_of_stolen_time_never() {
        assert_eq!(calm(0, 1).disturbances().count(), 0);
        let busy = Look {
            cpu_wait_ms: Some(1.0),
            io_wait_ms: Some(3.0),
            steal_ms: Some(20.0),
            ..calm(0, 1)
        };
        let seen: Vec<&str> = busy.disturbances().map(Disturbance::word).collect();
        assert_eq!(seen, ["processor", "disk", "steal"]);
        let instant = Look {
            took_ms: 0.0,
            cpu_wait_ms: Some(0.0),
            steal_ms: Some(0.0),
            ..calm(0, 1)
        };
        assert_eq!(instant.disturbances().count(), 0);
    }
}
