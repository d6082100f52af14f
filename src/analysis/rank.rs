//! Whether two things rise together, by ranks: how well the planner's cost foretells the time.

/// Spearman's rank correlation, equal values sharing the mean of their ranks: Spearman, "The Proof and Measurement of
/// Association between Two Things", American Journal of Psychology 15(1), 1904. From -1 to 1; `None` below three pairs or
/// where one side is all the same.
pub fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let left = ranks(&pairs.iter().map(|(left, _)| *left).collect::<Vec<f64>>());
    let right = ranks(&pairs.iter().map(|(_, right)| *right).collect::<Vec<f64>>());
    #[expect(clippy::cast_precision_loss, reason = "a number of queries")]
    let mean = (pairs.len() + 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = (product(&left, &left) * product(&right, &right)).sqrt();
    (spread > 0.0).then(|| product(&left, &right) / spread)
}

/// The rank of every value, from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut n_before = 0;
    for equals in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        #[expect(clippy::cast_precision_loss, reason = "a number of queries")]
        let shared = n_before as f64 + (equals.len() + 1) as f64 / 2.0;
        for idx in equals {
            ranks[*idx] = shared;
        }
        n_before += equals.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_is_that_of_scipy() {
        // SciPy 1.17.1: scipy.stats.spearmanr(x, y).statistic; the first is its own documentation's example.
        for (pairs, expected) in [
            (
                vec![(1.0, 5.0), (2.0, 6.0), (3.0, 7.0), (4.0, 8.0), (5.0, 7.0)],
                0.820_782_681_668_123_3,
            ),
            (vec![(1.0, 1.0), (2.0, 8.0), (3.0, 27.0)], 1.0),
            (vec![(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], -1.0),
            (
                vec![(1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (7.0, 1.0), (7.0, 9.0), (7.0, 4.0)],
                RHO_WITH_TIES,
            ),
        ] {
            let rho = correlation(&pairs).unwrap();
            assert!((rho - expected).abs() < 1e-12, "{rho}");
        }
    }

    const RHO_WITH_TIES: f64 = 0.328_767_752_819_703_5;

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(correlation(&[(1.0, 1.0), (2.0, 2.0)]), None);
        assert_eq!(correlation(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
    }
}
