//! How far the planner's row counts were from the truth, as it is stored with a plan.

use serde::Deserialize;
use serde::Serialize;

/// From this factor on an estimate counts as far off.
pub const FAR_OFF: f64 = 10.0;

/// On which side of the truth an estimate lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Over,
    Under,
    Exact,
}

/// The estimate was `factor` times too high or too low; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimateFactor {
    pub factor: f64,
    pub direction: Direction,
}

impl EstimateFactor {
    /// Whether it is off by `FAR_OFF` or more.
    pub fn is_far_off(&self) -> bool {
        self.factor >= FAR_OFF
    }
}

/// The estimate of one node whose rows could be counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeEstimate {
    /// Position in the plan from the top down, counted from 0.
    pub node_idx: usize,
    /// Joins at and below the node; errors grow with them.
    pub n_joins: usize,
    #[serde(flatten)]
    pub estimate: EstimateFactor,
}
