//! Regret: how much slower the plan that was chosen is than the best plan known.

use crate::analysis::summary;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::model::instrument::RunOutcome;

impl RunOutcome {
    /// As samples are summarised.
    pub fn observed(&self) -> Observed {
        match self {
            Self::Finished { execution_ms } => Observed::Finished { ms: *execution_ms },
            Self::TimedOut { limit_ms } => Observed::TimedOut { limit_ms: *limit_ms },
            Self::Failed { .. } => Observed::Failed,
        }
    }
}

/// How many times as long as the best plan known a chosen one takes: 1 where it is that one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regret {
    pub factor: f64,
    /// Its median lies among runs that were cut off, so that the regret is larger by an unknown amount.
    pub is_above: bool,
}

/// The median of a plan's runs; none where a run failed.
pub fn median(runs: &[Observed]) -> Option<Quantile> {
    summary::summarize(runs).median_ms
}

/// The place of the plan with the lowest median; of equals the first. None where all medians lie among runs that were cut
/// off: which of those plans is the best nobody knows.
pub fn best(medians: &[Option<Quantile>]) -> Option<usize> {
    let known = medians.iter().enumerate().filter_map(|(idx, median)| match median {
        Some(Quantile::At(ms)) => Some((idx, *ms)),
        Some(Quantile::Above(_)) | None => None,
    });
    known.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(idx, _)| idx)
}

/// The regret of a choice. None where one of the medians is not known, and where the best takes no time at all.
pub fn regret(chosen: Option<Quantile>, best: Option<Quantile>) -> Option<Regret> {
    let Some(Quantile::At(best_ms)) = best.filter(|best| *best != Quantile::At(0.0)) else {
        return None;
    };
    Some(match chosen? {
        Quantile::At(ms) => Regret {
            factor: ms / best_ms,
            is_above: false,
        },
        Quantile::Above(limit_ms) => Regret {
            factor: limit_ms / best_ms,
            is_above: true,
        },
    })
}

/// The geometric mean of regrets; none where there are none. Ratios multiply, so this is their middle: Fleming and Wallace,
/// "How Not to Lie with Statistics: The Correct Way to Summarize Benchmark Results", Communications of the ACM 29(3), 1986.
/// Where one of them is larger than is known, so is the mean.
pub fn mean(regrets: impl IntoIterator<Item = Regret>) -> Option<Regret> {
    let (mut sum, mut n, mut is_above) = (0.0, 0.0, false);
    for regret in regrets {
        sum += regret.factor.ln();
        n += 1.0;
        is_above |= regret.is_above;
    }
    (n > 0.0).then(|| Regret {
        factor: (sum / n).exp(),
        is_above,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_with_the_lowest_median_is_the_best_and_regret_counts_from_it() {
        let finished = |ms: f64| Observed::Finished { ms };
        let cut_off = Observed::TimedOut { limit_ms: 100.0 };
        let plans = [
            vec![finished(4.0), finished(90.0), finished(6.0)],
            vec![finished(3.0), finished(3.0), cut_off],
            vec![cut_off, cut_off, finished(1.0)],
            vec![finished(1.0), Observed::Failed],
        ];
        let medians: Vec<Option<Quantile>> = plans.iter().map(|runs| median(runs)).collect();
        let (at, above) = (Quantile::At, Quantile::Above);
        assert_eq!(medians, [Some(at(6.0)), Some(at(3.0)), Some(above(100.0)), None]);
        let best_idx = best(&medians).unwrap();
        assert_eq!(best_idx, 1);
        let regret_of = |idx: usize| {
            let found = regret(medians[idx], medians[best_idx]);
            found.map(|regret| (regret.factor, regret.is_above))
        };
        assert_eq!(regret_of(0), Some((2.0, false)));
        assert_eq!(regret_of(1), Some((1.0, false)));
        assert_eq!(
            regret_of(2),
            Some((100.0 / 3.0, true)),
            "a plan that never ends is no small regret"
        );
        assert_eq!(regret_of(3), None);
        assert_eq!(best(&[None, Some(above(1.0))]), None);
        assert_eq!(regret(Some(at(1.0)), Some(at(0.0))), None);
        assert_eq!(regret(Some(above(1.0)), Some(above(1.0))), None);
    }

    #[test]
    fn the_mean_is_geometric_and_as_open_as_the_most_open_of_them() {
        let of = |factor, is_above| Regret { factor, is_above };
        let all_known = mean([of(1.0, false), of(4.0, false)]).unwrap();
        assert!((all_known.factor - 2.0).abs() < 1e-12 && !all_known.is_above);
        assert!(mean([of(1.0, false), of(4.0, true)]).unwrap().is_above);
        assert_eq!(mean([]), None);
    }
}
