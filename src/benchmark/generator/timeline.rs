//! The seconds of a level: which second a moment belongs to, and where each one begins and ends.
//!
//! Moments are counted from the instant at which load begins. What is measured begins after the warm-up, with second 0.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    warm_up: Duration,
    duration: Duration,
}

impl Timeline {
    pub fn new(warm_up: Duration, duration: Duration) -> Self {
        Self { warm_up, duration }
    }

    /// Where what is measured begins.
    pub fn measured_from(self) -> Duration {
        self.warm_up
    }

    /// Where the level ends if nothing ends it before.
    pub fn end(self) -> Duration {
        self.warm_up + self.duration
    }

    /// The first second: 0, or one of the warm-up.
    pub fn first_idx(self) -> i32 {
        let n_seconds = self.warm_up.as_nanos().div_ceil(SECOND.as_nanos());
        i32::try_from(n_seconds).map_or(i32::MIN, |n_seconds| -n_seconds)
    }

    /// Where a second begins. The first of a warm-up that is no whole number of seconds is the short one, so that the
    /// measured ones are whole.
    pub fn from(self, second_idx: i32) -> Duration {
        let distance = SECOND * second_idx.unsigned_abs();
        if second_idx < 0 {
            self.warm_up.saturating_sub(distance)
        } else {
            self.warm_up + distance
        }
    }

    /// Where it ends: at the next one, or with the level.
    pub fn to(self, second_idx: i32) -> Duration {
        self.from(second_idx + 1).min(self.end())
    }

    /// How many there are, with those of the warm-up.
    pub fn n_seconds(self) -> usize {
        let measured = self.duration.as_nanos().div_ceil(SECOND.as_nanos());
        let measured = usize::try_from(measured).unwrap_or(usize::MAX);
        measured.saturating_add(self.first_idx().unsigned_abs() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(warm_up_ms: u64, duration_ms: u64) -> Timeline {
        Timeline::new(Duration::from_millis(warm_up_ms), Duration::from_millis(duration_ms))
    }

    #[test]
    fn seconds_follow_each_other_from_the_warm_up_to_a_short_last_one() {
        let timeline = timeline(1_500, 2_300);
        let bounds: Vec<(i32, u128, u128)> = (timeline.first_idx()..)
            .take(timeline.n_seconds())
            .map(|idx| (idx, timeline.from(idx).as_millis(), timeline.to(idx).as_millis()))
            .collect();
        let expected = [(-2, 0, 500), (-1, 500, 1500), (0, 1500, 2500), (1, 2500, 3500), (2, 3500, 3800)];
        assert_eq!(bounds, expected);
    }

    #[test]
    fn without_warm_up_the_first_second_is_measured() {
        let timeline = timeline(0, 2_000);
        assert_eq!((timeline.first_idx(), timeline.n_seconds()), (0, 2));
        assert_eq!((timeline.from(0), timeline.to(1)), (Duration::ZERO, timeline.end()));
    }
}
