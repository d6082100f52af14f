//! Whether an experiment has enough rounds to show anything at all, known before the first trial.
//!
//! The test behind it compares two sources in pairs, one pair a round, by flipping the signs of the differences (Fisher, "The
//! Design of Experiments", 1935, section 21). Of the 2^n equally likely signings of n differences, the one seen and its
//! mirror image are at best the most extreme, so no two-sided p is below 2/2^n. Holm ("A Simple Sequentially Rejective
//! Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979) multiplies the smallest of m p-values by m.

/// One over the significance level of 0.05, to compare in whole numbers.
const INVERSE_LEVEL: u64 = 20;

/// The fewest rounds in which the clearest difference would be significant, for `n_comparisons` tests corrected together
/// (queries times comparisons with the baseline): the smallest n with 2/2^n * m <= 0.05. None counts as one.
pub fn rounds_needed(n_comparisons: u32) -> u32 {
    let n_signings = 2 * INVERSE_LEVEL * u64::from(n_comparisons.max(1));
    n_signings.next_power_of_two().trailing_zeros()
}

/// Whether `n_rounds` can show any difference in `n_comparisons` tests corrected together.
pub fn can_show(n_rounds: u32, n_comparisons: u32) -> bool {
    n_rounds >= rounds_needed(n_comparisons)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    /// The formula as it is written, in floating point.
    fn smallest_adjusted_p(n_rounds: u32, n_comparisons: u32) -> f64 {
        2.0 / 2f64.powi(n_rounds.cast_signed()) * f64::from(n_comparisons)
    }

    #[test]
    fn fishers_fifteen_pairs_of_plants_have_32768_signings() {
        // The Design of Experiments, section 21: Darwin's maize, 15 pairs.
        assert!((smallest_adjusted_p(15, 1) - 2.0 / 32_768.0).abs() < f64::EPSILON);
        assert!(can_show(15, 1));
    }

    #[test]
    fn one_comparison_needs_six_rounds_and_twelve_need_nine() {
        for (n_comparisons, n_rounds) in [(0, 6), (1, 6), (2, 7), (3, 7), (4, 8), (12, 9), (13, 10), (22, 10)] {
            assert_eq!(rounds_needed(n_comparisons), n_rounds, "{n_comparisons} comparisons");
        }
        assert!(can_show(9, 12));
        assert!(!can_show(8, 12));
        assert!(!can_show(5, 1), "2/32 is above 0.05");
    }

    proptest! {
        #[test]
        fn the_rounds_needed_are_the_fewest_that_suffice(n_comparisons in 1..=u32::MAX) {
            let n_rounds = rounds_needed(n_comparisons);
            assert!(smallest_adjusted_p(n_rounds, n_comparisons) <= 0.05);
            assert!(smallest_adjusted_p(n_rounds - 1, n_comparisons) > 0.05);
        }

        #[test]
        fn more_rounds_never_show_less(n_rounds in 0..u32::MAX, n_comparisons in any::<u32>()) {
            assert!(!can_show(n_rounds, n_comparisons) || can_show(n_rounds + 1, n_comparisons));
        }
    }
}
