//! When transactions shall begin, at a rate: a Poisson process, which is what many people who know nothing of each other
//! make. As pgbench's `--rate` and `--latency-limit` (`getPoissonRand` and `CSTATE_PREPARE_THROTTLE` of its source).

use std::time::Duration;

use crate::model::chance::Chance;

/// The intended starts for the clients of one thread. Whoever is free takes the next.
pub struct Schedule {
    chance: Chance,
    mean_gap_s: f64,
    /// The start that was given out last.
    last: Duration,
    limit: Option<Duration>,
}

/// One intended start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intended {
    /// From the beginning of the load.
    pub at: Duration,
    /// How many before it were too late to be begun at all.
    pub n_skipped: u64,
}

impl Schedule {
    /// So many starts a second in the mean, each at most `limit` late; the same for the same seed and first client.
    pub fn new(seed: u64, first_client: u32, per_s: f64, limit: Option<Duration>) -> Self {
        Self {
            chance: Chance::new(seed, &[b"pace", &first_client.to_be_bytes()]),
            mean_gap_s: 1.0 / per_s,
            last: Duration::ZERO,
            limit,
        }
    }

    /// The next start for somebody who is free `now`. It may be long past, and is then to be made up for at once.
    pub fn next(&mut self, now: Duration) -> Intended {
        let mut n_skipped = 0;
        loop {
            self.last = self.last.saturating_add(self.gap());
            if self.limit.is_none_or(|limit| self.last.saturating_add(limit) >= now) {
                return Intended {
                    at: self.last,
                    n_skipped,
                };
            }
            n_skipped += 1;
        }
    }

    /// Exponentially distributed.
    fn gap(&mut self) -> Duration {
        let gap_s = -(1.0 - self.chance.share()).ln() * self.mean_gap_s;
        Duration::try_from_secs_f64(gap_s).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::ZERO;

    #[test]
    fn gaps_are_exponential_about_the_rate() {
        let mut schedule = Schedule::new(7, 0, 1000.0, None);
        let starts: Vec<Duration> = (0..20_000).map(|_| schedule.next(NEVER).at).collect();
        let gaps_ms: Vec<f64> = starts
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]).as_secs_f64() * 1e3)
            .collect();
        let n = f64::from(u32::try_from(gaps_ms.len()).unwrap());
        let mean_ms = gaps_ms.iter().sum::<f64>() / n;
        assert!((mean_ms - 1.0).abs() < 0.03, "{mean_ms}");
        // The share above x times the mean is exp(-x).
        for x in [0.5, 1.0, 2.0] {
            let n_above = u32::try_from(gaps_ms.iter().filter(|gap| **gap > x).count()).unwrap();
            let share = f64::from(n_above) / n;
            assert!((share - (-x).exp()).abs() < 0.015, "{x}: {share}");
        }
    }

    #[test]
    fn a_seed_repeats_the_schedule_and_clients_have_their_own() {
        let starts = |seed, first_client| {
            let mut schedule = Schedule::new(seed, first_client, 10.0, None);
            [(); 5].map(|()| schedule.next(NEVER))
        };
        assert_eq!(starts(1, 0), starts(1, 0));
        assert_ne!(starts(1, 0), starts(2, 0));
        assert_ne!(starts(1, 0), starts(1, 1));
    }

    #[test]
    fn without_a_limit_nothing_is_skipped_however_late_it_is() {
        let hour = Duration::from_hours(1);
        let mut schedule = Schedule::new(1, 0, 10.0, None);
        for _ in 0..100 {
            let intended = schedule.next(hour);
            assert!(intended.n_skipped == 0 && intended.at < hour);
        }
    }

    #[test]
    fn starts_later_than_the_limit_are_skipped_and_counted() {
        let (now, limit) = (Duration::from_secs(10), Duration::from_millis(500));
        let mut every_start = Schedule::new(1, 0, 100.0, None);
        let n_too_late = std::iter::repeat_with(|| every_start.next(NEVER).at)
            .take_while(|at| *at + limit < now)
            .count();
        let mut schedule = Schedule::new(1, 0, 100.0, Some(limit));
        let intended = schedule.next(now);
        assert_eq!(usize::try_from(intended.n_skipped).unwrap(), n_too_late);
        assert!(intended.at + limit >= now);
        assert_eq!(schedule.next(now).n_skipped, 0);
    }
}
