//! How sure a median is: the interval that holds the true one 95 times in a hundred.

use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::analysis::summary::Ranked;

/// How seldom an interval may miss.
const MISS: f64 = 0.05;

/// Two values with the true one between them, at a level of 95 percent or a little more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: Quantile,
    pub high: Quantile,
}

/// The interval of the median between two of the trials themselves. The true median lies below the j-th fastest of n trials
/// as often as n coins show fewer than j heads, whatever the times are distributed like: Thompson, "On Confidence Ranges for
/// the Median and Other Expectation Distributions for Populations of Unknown Distribution Form", Annals of Mathematical
/// Statistics 7(3), 1936. `None` where a trial failed, and below six trials, whose two ends hold the median less often
/// than 95 times in a hundred.
///
/// The percentile bootstrap of a median gives two of the trials as well, but with a level between 87 and 98 percent, by the
/// number of trials.
pub fn of_median(sample: &[Observed]) -> Option<Interval> {
    if sample.contains(&Observed::Failed) {
        return None;
    }
    let rank = rank_of_low(sample.len())?;
    let ranked = Ranked::new(sample);
    Some(Interval {
        low: ranked.at(rank - 1),
        high: ranked.at(sample.len() - rank),
    })
}

/// The largest rank, from 1, below which n fair coins have their heads in at most half of [`MISS`].
fn rank_of_low(n_trials: usize) -> Option<usize> {
    // Of the terms of the binomial distribution, which underflow beyond a thousand trials, only the logarithms are kept.
    let mut ln_term = -as_f64(n_trials) * std::f64::consts::LN_2;
    let mut below = 0.0;
    let mut rank = 0;
    loop {
        below += ln_term.exp();
        if below > MISS / 2.0 || rank == n_trials {
            return (rank > 0).then_some(rank);
        }
        ln_term += (as_f64(n_trials - rank) / as_f64(rank + 1)).ln();
        rank += 1;
    }
}

#[expect(clippy::cast_precision_loss, reason = "no sample has 2^52 trials")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(times_ms: impl IntoIterator<Item = u32>) -> Vec<Observed> {
        let finished = |ms| Observed::Finished { ms: f64::from(ms) };
        times_ms.into_iter().map(finished).collect()
    }

    #[test]
    fn ranks_are_those_of_the_published_table() {
        // Conover, Practical Nonparametric Statistics, table A3 (binomial, p = 0.5); SciPy 1.17.1:
        // max(j for j in range(n) if binom.cdf(j - 1, n, 0.5) <= 0.025).
        for (n_trials, rank) in [
            (0, None),
            (5, None),
            (6, Some(1)),
            (8, Some(1)),
            (9, Some(2)),
            (10, Some(2)),
            (12, Some(3)),
            (20, Some(6)),
            (50, Some(18)),
            (100, Some(40)),
            (1000, Some(469)),
            (5000, Some(2431)),
        ] {
            assert_eq!(rank_of_low(n_trials), rank, "{n_trials}");
        }
    }

    #[test]
    fn the_interval_lies_between_two_trials() {
        let interval = of_median(&finished((1..=10).rev())).unwrap();
        assert_eq!((interval.low, interval.high), (Quantile::At(2.0), Quantile::At(9.0)));
    }

    #[test]
    fn timeouts_leave_it_open_above() {
        let mut sample = finished(1..=8);
        sample.extend([Observed::TimedOut { limit_ms: 500.0 }; 2]);
        assert_eq!(of_median(&sample).unwrap().high, Quantile::Above(500.0));
    }

    #[test]
    fn few_trials_and_failed_ones_give_none() {
        assert_eq!(of_median(&finished(1..=5)), None);
        let mut sample = finished(1..=9);
        sample.push(Observed::Failed);
        assert_eq!(of_median(&sample), None);
    }
}
