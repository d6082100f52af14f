//! The headline of a comparison: the query whose median moved most. It does not say whether the move is more than noise.

use super::summary::Quantile;

/// How far a query's median lies from the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub query_idx: usize,
    /// The other source's median over the baseline's: above 1 it is slower, below 1 faster.
    pub ratio: f64,
    /// One of the medians fell among timeouts, so the true ratio lies at least this far from 1.
    pub at_least: bool,
}

/// The largest difference over the queries, by the distance of the ratio from 1 as a factor: twice as fast is as far as
/// twice as slow. The slices hold one median a query, in the same order. A query without a median on both sides says
/// nothing, nor does one where both timed out. Of equals, one that is only a lower bound counts as larger, then the first.
pub fn largest_difference(base: &[Option<Quantile>], other: &[Option<Quantile>]) -> Option<Difference> {
    let differences = base
        .iter()
        .zip(other)
        .enumerate()
        .filter_map(|(query_idx, (base, other))| difference(query_idx, (*base)?, (*other)?));
    differences.reduce(|largest, next| if is_larger(&next, &largest) { next } else { largest })
}

fn difference(query_idx: usize, base: Quantile, other: Quantile) -> Option<Difference> {
    let (base_ms, other_ms, at_least) = match (base, other) {
        (Quantile::At(base_ms), Quantile::At(other_ms)) => (base_ms, other_ms, false),
        // A median that is known and above the limit of the other's timeouts leaves open which of them is larger.
        (Quantile::At(base_ms), Quantile::Above(limit_ms)) if base_ms <= limit_ms => (base_ms, limit_ms, true),
        (Quantile::Above(limit_ms), Quantile::At(other_ms)) if other_ms <= limit_ms => (limit_ms, other_ms, true),
        (Quantile::At(_) | Quantile::Above(_), Quantile::Above(_)) | (Quantile::Above(_), Quantile::At(_)) => {
            return None;
        }
    };
    let ratio = other_ms / base_ms;
    // A time of zero has no ratio.
    (ratio.is_finite() && ratio > 0.0).then_some(Difference {
        query_idx,
        ratio,
        at_least,
    })
}

fn is_larger(next: &Difference, largest: &Difference) -> bool {
    let distance = |difference: &Difference| difference.ratio.ln().abs();
    let by_distance = distance(next).total_cmp(&distance(largest));
    by_distance.then(next.at_least.cmp(&largest.at_least)).is_gt()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;

    use super::Quantile::Above;
    use super::Quantile::At;
    use super::*;

    fn difference(query_idx: usize, ratio: f64, at_least: bool) -> Difference {
        Difference {
            query_idx,
            ratio,
            at_least,
        }
    }

    #[test]
    fn the_largest_factor_wins_in_either_direction() {
        let base = [Some(At(10.0)), Some(At(10.0)), Some(At(10.0))];
        let slower = [Some(At(11.0)), Some(At(40.0)), Some(At(5.0))];
        assert_eq!(largest_difference(&base, &slower), Some(difference(1, 4.0, false)));
        let faster = [Some(At(11.0)), Some(At(40.0)), Some(At(1.25))];
        assert_eq!(largest_difference(&base, &faster), Some(difference(2, 0.125, false)));
    }

    #[test]
    fn a_timeout_on_one_side_gives_a_lower_bound() {
        assert_eq!(
            largest_difference(&[Some(At(10.0))], &[Some(Above(500.0))]),
            Some(difference(0, 50.0, true))
        );
        assert_eq!(
            largest_difference(&[Some(Above(500.0))], &[Some(At(5.0))]),
            Some(difference(0, 0.01, true))
        );
    }

    #[test]
    fn what_cannot_be_compared_says_nothing() {
        for (base, other) in [
            (None, Some(At(1.0))),
            (Some(At(1.0)), None),
            (Some(Above(9.0)), Some(Above(9.0))),
            (Some(At(60.0)), Some(Above(30.0))),
            (Some(Above(30.0)), Some(At(60.0))),
            (Some(At(0.0)), Some(At(1.0))),
            (Some(At(1.0)), Some(At(0.0))),
            (Some(At(f64::NAN)), Some(At(1.0))),
        ] {
            assert_eq!(largest_difference(&[base], &[other]), None, "{base:?} and {other:?}");
        }
        assert_eq!(largest_difference(&[], &[]), None);
    }

    #[test]
    fn of_equals_a_lower_bound_counts_as_larger_then_the_first() {
        let base = [Some(At(1.0)), Some(At(1.0)), Some(At(1.0))];
        assert_eq!(
            largest_difference(&base, &[Some(At(4.0)), Some(At(4.0)), None]),
            Some(difference(0, 4.0, false))
        );
        assert_eq!(
            largest_difference(&base, &[Some(At(4.0)), Some(Above(4.0)), Some(Above(4.0))]),
            Some(difference(1, 4.0, true))
        );
    }

    proptest! {
        #[test]
        fn swapping_the_sides_inverts_the_ratio(times_ms in vec((0.01..1e5f64, 0.01..1e5f64), 1..20)) {
            let base: Vec<Option<Quantile>> = times_ms.iter().map(|(base_ms, _)| Some(At(*base_ms))).collect();
            let other: Vec<Option<Quantile>> = times_ms.iter().map(|(_, other_ms)| Some(At(*other_ms))).collect();
            let forward = largest_difference(&base, &other).unwrap();
            let backward = largest_difference(&other, &base).unwrap();
            assert!((forward.ratio * backward.ratio - 1.0).abs() < 1e-9);
        }
    }
}
