//! How often estimates are far off, by the number of joins below them: errors multiply from join to join. After Leis et al.,
//! "How Good Are Query Optimizers, Really?", PVLDB 9(3), 2015, figure 3, which shows the errors of all subplans of a
//! workload that way.

use crate::model::estimate::Direction;
use crate::model::estimate::NodeEstimate;

/// Nodes above so many joins or more are counted together.
pub const MOST_JOINS: usize = 8;

/// The nodes above one number of joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarOff {
    /// `MOST_JOINS` stands for itself and more.
    pub n_joins: usize,
    /// Nodes whose estimates could be compared.
    pub n_nodes: u32,
    /// Those of them whose estimates were far too high, and far too low.
    pub n_over: u32,
    pub n_under: u32,
}

impl FarOff {
    /// The share of estimates that were far too high, from 0 to 1.
    pub fn share_over(&self) -> f64 {
        f64::from(self.n_over) / f64::from(self.n_nodes)
    }

    /// The share of estimates that were far too low, from 0 to 1.
    pub fn share_under(&self) -> f64 {
        f64::from(self.n_under) / f64::from(self.n_nodes)
    }

    fn add(&mut self, estimate: &NodeEstimate) {
        self.n_nodes += 1;
        if estimate.estimate.is_far_off() {
            match estimate.estimate.direction {
                Direction::Over => self.n_over += 1,
                Direction::Under => self.n_under += 1,
                Direction::Exact => {}
            }
        }
    }
}

/// Counts estimates by the joins below them, fewest first; numbers of joins that no node has are left out.
pub fn by_joins<'a>(estimates: impl IntoIterator<Item = &'a NodeEstimate>) -> Vec<FarOff> {
    let mut counts: [FarOff; MOST_JOINS + 1] = std::array::from_fn(|n_joins| FarOff {
        n_joins,
        ..FarOff::default()
    });
    for estimate in estimates {
        counts[estimate.n_joins.min(MOST_JOINS)].add(estimate);
    }
    counts.into_iter().filter(|counted| counted.n_nodes > 0).collect()
}

/// The worst and the geometric mean of the factors of all estimates; none when there is no estimate.
pub fn worst_and_mean<'a>(estimates: impl IntoIterator<Item = &'a NodeEstimate>) -> Option<(f64, f64)> {
    let (mut worst, mut sum_of_logs, mut n_estimates) = (1.0_f64, 0.0, 0.0);
    for estimate in estimates {
        worst = worst.max(estimate.estimate.factor);
        sum_of_logs += estimate.estimate.factor.ln();
        n_estimates += 1.0;
    }
    (n_estimates > 0.0).then(|| (worst, (sum_of_logs / n_estimates).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::estimate::EstimateFactor;

    fn estimate(n_joins: usize, factor: f64, direction: Direction) -> NodeEstimate {
        NodeEstimate {
            node_idx: 0,
            n_joins,
            estimate: EstimateFactor { factor, direction },
        }
    }

    #[test]
    fn far_off_begins_at_ten_and_knows_its_direction() {
        let counted = by_joins(&[
            estimate(0, 1.0, Direction::Exact),
            estimate(0, 9.99, Direction::Over),
            estimate(0, 10.0, Direction::Over),
            estimate(0, 400.0, Direction::Under),
            estimate(2, 12.0, Direction::Under),
        ]);
        let all = [(0, 4, 1, 1), (2, 1, 0, 1)].map(|(n_joins, n_nodes, n_over, n_under)| FarOff {
            n_joins,
            n_nodes,
            n_over,
            n_under,
        });
        assert_eq!(counted, all);
        assert!((counted[0].share_over() - 0.25).abs() < 1e-12);
        assert!((counted[1].share_under() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn deep_nodes_are_counted_together() {
        let deep = [MOST_JOINS, MOST_JOINS + 1, 99].map(|n_joins| estimate(n_joins, 20.0, Direction::Over));
        let counted = by_joins(&deep);
        assert_eq!(
            (counted.len(), counted[0].n_joins, counted[0].n_over),
            (1, MOST_JOINS, 3)
        );
    }

    #[test]
    fn the_mean_is_geometric() {
        let both = [estimate(0, 2.0, Direction::Over), estimate(3, 8.0, Direction::Under)];
        let (worst, mean) = worst_and_mean(&both).unwrap();
        assert!((worst - 8.0).abs() < 1e-12 && (mean - 4.0).abs() < 1e-12);
        assert_eq!(worst_and_mean(&[]), None);
    }
}
