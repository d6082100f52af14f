//! Whether paired differences could come from chance alone: the sign-flip permutation test.

use crate::analysis::chance::Chance;

/// Up to so many pairs every one of the 2^n assignments of signs is looked at.
const MOST_EXACT: usize = 16;

/// Beyond that, so many random ones.
const N_RANDOM: u32 = 20_000;

/// The two-sided p-value of the mean of `differences` under the hypothesis that each of them is as likely to have the
/// other sign: Fisher, The Design of Experiments, 1935, section 21. It assumes nothing of their distribution but that.
/// 1 where there are none.
///
/// Random assignments count the observed one in, so that the answer is never zero and the test never too bold: Phipson and
/// Smyth, "Permutation P-values Should Never Be Zero", Statistical Applications in Genetics and Molecular Biology 9(1), 2010.
pub fn sign_flip(differences: &[f64], chance: &mut Chance) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order differ in their last digits.
    let reaches = observed - 1e-12 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    if differences.len() <= MOST_EXACT {
        let n_assignments = 1_u32 << differences.len();
        let n_as_far = (0..n_assignments)
            .filter(|signs| flipped_sum(differences, u64::from(*signs)).abs() >= reaches)
            .count();
        return as_f64(n_as_far) / f64::from(n_assignments);
    }
    let n_as_far = (0..N_RANDOM)
        .filter(|_| random_sum(differences, chance).abs() >= reaches)
        .count();
    (as_f64(n_as_far) + 1.0) / (f64::from(N_RANDOM) + 1.0)
}

/// The smallest p-value that [`sign_flip`] can give to so many pairs.
pub fn smallest_p(n_pairs: usize) -> f64 {
    if n_pairs <= MOST_EXACT {
        // All signs as observed, and all of them turned round.
        return (2.0 / as_f64(1 << n_pairs)).min(1.0);
    }
    1.0 / (f64::from(N_RANDOM) + 1.0)
}

/// The sum with the sign of every difference turned round whose bit is set.
fn flipped_sum(differences: &[f64], signs: u64) -> f64 {
    let signed = |(idx, difference): (usize, &f64)| {
        if signs >> idx & 1 == 1 {
            -difference
        } else {
            *difference
        }
    };
    differences.iter().enumerate().map(signed).sum()
}

fn random_sum(differences: &[f64], chance: &mut Chance) -> f64 {
    differences
        .chunks(64)
        .map(|chunk| flipped_sum(chunk, chance.coins()))
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts of assignments")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance() -> Chance {
        Chance::new(1, &[b"test"])
    }

    /// Darwin's 15 pairs of crossed and self-fertilised plants, whose heights differ by so many eighths of an inch.
    const DARWIN: [f64; 15] = [
        49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0,
    ];

    #[test]
    fn darwins_plants_give_what_fisher_found() {
        // Fisher 1935, section 21: of 32,768 assignments 863 reach as far to one side, so 1,726 to either.
        assert!((sign_flip(&DARWIN, &mut chance()) - 1726.0 / 32_768.0).abs() < 1e-12);
    }

    #[test]
    fn many_pairs_are_judged_by_random_signs() {
        // The same plants with five pairs that say nothing leave the p-value where it was, within three standard errors.
        let padded = [&DARWIN[..], &[0.0; 5]].concat();
        let p = sign_flip(&padded, &mut chance());
        assert!(
            (p - 1726.0 / 32_768.0).abs() < 3.0 * (0.0527 * 0.9473 / 20_000.0_f64).sqrt(),
            "{p}"
        );
    }

    #[test]
    fn all_signs_alike_give_the_smallest_p_there_is() {
        for n_pairs in 1..=MOST_EXACT {
            let p = sign_flip(&vec![0.5; n_pairs], &mut chance());
            assert!((p - smallest_p(n_pairs)).abs() < 1e-12, "{n_pairs}");
        }
        assert!((sign_flip(&[1.0; 40], &mut chance()) - smallest_p(40)).abs() < 1e-12);
    }

    #[test]
    fn no_pairs_and_no_differences_show_nothing() {
        assert!((sign_flip(&[], &mut chance()) - 1.0).abs() < f64::EPSILON);
        assert!((sign_flip(&[0.0; 8], &mut chance()) - 1.0).abs() < f64::EPSILON);
        assert!((smallest_p(0) - 1.0).abs() < f64::EPSILON);
    }
}
