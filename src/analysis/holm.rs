//! Many tests at once: p-values adjusted so that a whole family of them calls a difference by mistake as seldom as one would.

/// Adjusted p-values, in the order given: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
/// Journal of Statistics 6(2), 1979. Comparing each with 0.05 keeps the chance of even one false call at 5 percent,
/// whatever the tests have to do with each other.
pub fn adjust(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, idx) in order.into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a number of queries")]
        let n_left = (p_values.len() - rank) as f64;
        largest = largest.max((n_left * p_values[idx]).min(1.0));
        adjusted[idx] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;

    use super::*;

    #[test]
    fn the_adjustment_is_that_of_r() {
        // R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") and p.adjust(c(0.04, 0.001, 0.5, 0.012), "holm").
        for (given, expected) in [
            (vec![0.01, 0.02, 0.03, 0.04, 0.05], vec![0.05, 0.08, 0.09, 0.09, 0.09]),
            (vec![0.04, 0.001, 0.5, 0.012], vec![0.08, 0.004, 0.5, 0.036]),
            (vec![], vec![]),
            (vec![0.7, 0.9], vec![1.0, 1.0]),
        ] {
            let adjusted = adjust(&given);
            let is_right = adjusted.iter().zip(&expected).all(|(a, e)| (a - e).abs() < 1e-12);
            assert!(is_right && adjusted.len() == expected.len(), "{adjusted:?}");
        }
    }

    proptest! {
        #[test]
        fn an_adjusted_p_is_never_smaller_and_keeps_the_order(p_values in vec(0.0..=1.0f64, 0..30)) {
            let adjusted = adjust(&p_values);
            for (idx, p) in p_values.iter().enumerate() {
                assert!(adjusted[idx] >= *p && adjusted[idx] <= 1.0);
                for (other, q) in p_values.iter().enumerate() {
                    assert!(p > q || adjusted[idx] <= adjusted[other], "{p} {q}");
                }
            }
        }
    }
}
