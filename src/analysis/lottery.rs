//! From draws to shares: how often each plan came out, and how often another than the most usual.

use crate::analysis::proportion;

/// The plans of one query over the draws at one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Draws that gave a plan.
    pub n_draws: u32,
    /// Fingerprints with their counts, the most usual first; of equal counts the one that was seen first.
    pub plans: Vec<(String, u32)>,
    /// Draws whose plan is not the most usual.
    pub n_flips: u32,
    /// Their share, and its Wilson interval of 95 percent.
    pub flips: f64,
    pub low: f64,
    pub high: f64,
}

/// Counts plans.
pub fn tally<'a>(fingerprints: impl IntoIterator<Item = &'a str>) -> Tally {
    let mut plans: Vec<(String, u32)> = Vec::new();
    for fingerprint in fingerprints {
        match plans.iter_mut().find(|(known, _)| known == fingerprint) {
            Some((_, n)) => *n += 1,
            None => plans.push((fingerprint.to_owned(), 1)),
        }
    }
    plans.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let n_draws = plans.iter().map(|(_, n)| n).sum();
    let n_flips = n_draws - plans.first().map_or(0, |(_, n)| *n);
    let (low, high) = proportion::wilson(n_flips, n_draws);
    Tally {
        n_draws,
        plans,
        n_flips,
        flips: f64::from(n_flips) / f64::from(n_draws.max(1)),
        low,
        high,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_most_usual_plan_is_a_flip() {
        let found = tally(["b", "a", "a", "c", "a", "b"]);
        let plans: Vec<(&str, u32)> = found.plans.iter().map(|(plan, n)| (plan.as_str(), *n)).collect();
        assert_eq!(plans, [("a", 3), ("b", 2), ("c", 1)]);
        assert_eq!((found.n_draws, found.n_flips), (6, 3));
        assert!((found.flips - 0.5).abs() < 1e-12 && found.low < 0.5 && found.high > 0.5);
        assert_eq!(tally(["a"; 20]).n_flips, 0);
        let nothing = tally([]);
        assert_eq!(
            (nothing.n_draws, nothing.n_flips, nothing.low, nothing.high),
            (0, 0, 0.0, 1.0)
        );
    }
}
