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

/// The median of a plan's runs in milliseconds; none where a run failed, or where it lies among those that were cut off.
pub fn median_ms(runs: &[Observed]) -> Option<f64> {
    match summary::summarize(runs).median_ms? {
        Quantile::At(ms) => Some(ms),
        Quantile::Above(_) => None,
    }
}

/// The place of the plan with the lowest median; of equals the first. None where no plan has one.
pub fn best(medians: &[Option<f64>]) -> Option<usize> {
    let known = medians
        .iter()
        .enumerate()
        .filter_map(|(idx, median)| Some((idx, (*median)?)));
    known.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(idx, _)| idx)
}

/// How many times as long as the best plan known the chosen one takes: 1 where it is that one. None where one of them is
/// not known, and where the best takes no time at all.
pub fn regret(chosen_ms: Option<f64>, best_ms: Option<f64>) -> Option<f64> {
    let best_ms = best_ms.filter(|ms| *ms > 0.0)?;
    Some(chosen_ms? / best_ms)
}

/// The geometric mean of regrets; none where there are none. Ratios multiply, so this is their middle: Fleming and Wallace,
/// "How Not to Lie with Statistics: The Correct Way to Summarize Benchmark Results", Communications of the ACM 29(3), 1986.
pub fn mean(regrets: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, n) = regrets
        .into_iter()
        .fold((0.0, 0.0), |(sum, n), regret| (sum + regret.ln(), n + 1.0));
    (n > 0.0).then(|| (sum / n).exp())
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
        let medians: Vec<Option<f64>> = plans.iter().map(|runs| median_ms(runs)).collect();
        assert_eq!(medians, [Some(6.0), Some(3.0), None, None]);
        let best_idx = best(&medians).unwrap();
        assert_eq!(best_idx, 1);
        assert_eq!(regret(medians[0], medians[best_idx]), Some(2.0));
        assert_eq!(regret(medians[1], medians[best_idx]), Some(1.0));
        assert_eq!(regret(medians[2], medians[best_idx]), None);
        assert_eq!(best(&[None]), None);
        assert_eq!(regret(Some(1.0), Some(0.0)), None);
        assert!((mean([1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(mean([]), None);
    }
}
