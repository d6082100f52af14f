//! Whether paired differences could come from chance alone: the sign-flip permutation test.

/// Up to so many pairs the differences are taken as they are; beyond, they are rounded to a grid.
const MOST_EXACT: usize = 24;

/// Steps of the grid in the sum of all magnitudes.
const GRID: usize = 16_384;

/// The two-sided p-value of the mean of `differences` under the hypothesis that each of them is as likely to have the
/// other sign: Fisher, The Design of Experiments, 1935, section 21. It assumes nothing of their distribution but that.
/// 1 where there are none.
///
/// Every one of the 2^n assignments of signs counts, so no chance is in it. More than 24 differences are first rounded to
/// the 16,384th part of the sum of their magnitudes, far below what a clock can tell; of the rounded ones, too, every
/// assignment counts.
pub fn sign_flip(differences: &[f64]) -> f64 {
    if differences.len() <= MOST_EXACT {
        by_halves(differences)
    } else {
        by_shifts(differences)
    }
}

/// The smallest p-value that [`sign_flip`] can give to so many pairs: all signs as observed, and all of them turned round.
pub fn smallest_p(n_pairs: usize) -> f64 {
    let exponent = i32::try_from(n_pairs).unwrap_or(i32::MAX);
    (2.0 * 0.5_f64.powi(exponent)).min(1.0)
}

/// Each assignment is one of the first half and one of the second, so two short sorted lists stand for the long one:
/// Horowitz and Sahni, "Computing Partitions with Applications to the Knapsack Problem", Journal of the ACM 21(2), 1974.
fn by_halves(differences: &[f64]) -> f64 {
    let magnitudes: f64 = differences.iter().map(|difference| difference.abs()).sum();
    // Sums of the same numbers in another order differ in their last digits.
    let reached = differences.iter().sum::<f64>().abs() - 1e-12 * magnitudes;
    if reached <= 0.0 {
        return 1.0;
    }
    let (left, right) = differences.split_at(differences.len() / 2);
    let (left, right) = (sums(left), sums(right));
    let mut n_as_far = 0;
    let mut first_far = right.len();
    for sum in &left {
        // As the left sum grows, more and more of the right ones reach far enough with it.
        while first_far > 0 && sum + right[first_far - 1] >= reached {
            first_far -= 1;
        }
        n_as_far += right.len() - first_far;
    }
    // As many reach as far to the other side.
    2.0 * as_f64(n_as_far) / as_f64(left.len() * right.len())
}

/// The sums of all assignments of signs, in ascending order.
fn sums(differences: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for difference in differences {
        sums = sums
            .iter()
            .flat_map(|sum| [sum - difference, sum + difference])
            .collect();
    }
    sums.sort_by(f64::total_cmp);
    sums
}

/// The distribution of the sum of the differences with a plus, one difference after the other: Streitberg and Röhmel,
/// "Exact Distributions for Permutation and Rank Tests", Statistical Software Newsletter 12(1), 1986.
fn by_shifts(differences: &[f64]) -> f64 {
    let magnitudes: f64 = differences.iter().map(|difference| difference.abs()).sum();
    if magnitudes == 0.0 {
        return 1.0;
    }
    let steps: Vec<usize> = differences
        .iter()
        .map(|difference| whole(difference.abs() / magnitudes * as_f64(GRID)))
        .collect();
    let all: usize = steps.iter().sum();
    let with_plus: usize = steps
        .iter()
        .zip(differences)
        .filter(|(_, difference)| **difference > 0.0)
        .map(|(step, _)| step)
        .sum();
    let far = with_plus.max(all - with_plus);
    if 2 * far == all {
        return 1.0;
    }
    // How likely each sum is. Half of every probability stays where it is, half moves up by the next difference.
    let mut likely = vec![0.0; all + 1];
    likely[0] = 1.0;
    let mut next = likely.clone();
    let mut highest = 0;
    for step in steps.into_iter().filter(|step| *step > 0) {
        highest += step;
        for (next, stays) in next.iter_mut().zip(&likely).take(step) {
            *next = 0.5 * stays;
        }
        let moves = likely.iter().zip(&likely[step..=highest]);
        for (next, (moves, stays)) in next[step..].iter_mut().zip(moves) {
            *next = 0.5 * (stays + moves);
        }
        std::mem::swap(&mut likely, &mut next);
    }
    (2.0 * likely[far..].iter().sum::<f64>()).min(1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the grid's length"
)]
fn whole(steps: f64) -> usize {
    steps.round() as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts of assignments, at most 2^24")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Darwin's 15 pairs of crossed and self-fertilised plants, whose heights differ by so many eighths of an inch.
    const DARWIN: [f64; 15] = [
        49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0,
    ];

    fn is_near(p: f64, expected: f64, relative: f64) -> bool {
        (p / expected - 1.0).abs() < relative
    }

    #[test]
    fn darwins_plants_give_what_fisher_found() {
        // Fisher 1935, section 21: of 32,768 assignments 863 reach as far to one side, so 1,726 to either.
        assert!(is_near(sign_flip(&DARWIN), 1726.0 / 32_768.0, 1e-12));
        assert!(is_near(by_shifts(&DARWIN), 1726.0 / 32_768.0, 1e-2));
    }

    #[test]
    fn pairs_that_say_nothing_leave_the_p_value_where_it_was() {
        let padded = [&DARWIN[..], &[0.0; 30]].concat();
        assert!(is_near(sign_flip(&padded), 1726.0 / 32_768.0, 1e-2));
    }

    #[test]
    fn many_pairs_agree_with_a_count_in_whole_numbers() {
        for (n, shift, expected) in COUNTED {
            let differences: Vec<f64> = (0..n).map(|i| f64::from((i * 7919) % 101 - 50 + shift)).collect();
            let p = sign_flip(&differences);
            assert!(is_near(p, expected, 0.02), "{n} pairs: {p} and not {expected}");
        }
    }

    /// Python 3.13, the same differences in a dictionary of exact counts by sum (`int`, no rounding):
    /// `c = {0: 1}`, for each d `c = {s ± d}`, then `sum(v for s, v in c.items() if abs(s) >= abs(sum(d))) / 2**n`.
    const COUNTED: [(i32, i32, f64); 4] = [
        (20, 20, 0.028_503_417_968_75),
        (25, 15, 0.047_541_201_114_654_54),
        (60, 12, 0.003_816_243_364_929_049),
        (300, 8, 4.069_363_100_008_33e-6),
    ];

    #[test]
    fn all_signs_alike_give_the_smallest_p_there_is() {
        for n_pairs in 1..=60 {
            let p = sign_flip(&vec![0.5; n_pairs]);
            assert!(is_near(p, smallest_p(n_pairs), 1e-9), "{n_pairs}");
        }
    }

    #[test]
    fn no_pairs_and_no_differences_show_nothing() {
        for nothing in [&[][..], &[0.0; 8], &[0.0; 40]] {
            assert!((sign_flip(nothing) - 1.0).abs() < f64::EPSILON);
        }
        assert!((smallest_p(0) - 1.0).abs() < f64::EPSILON);
    }
}
