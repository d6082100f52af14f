//! How two plans of one query differ: their nodes side by side, and the differences in words.
//!
//! Nodes are aligned by what they do (scan, join, group, sort, ...) and by the relations, told by their aliases, whose rows
//! they carry. So a join keeps its counterpart however its inputs are ordered and whichever method it uses, and a join that
//! covers other relations is another join.

mod align;
mod findings;

use self::align::Matched;
pub use self::findings::Finding;
use super::node::Plan;

/// Two plans, aligned.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanDiff {
    /// Every node of both plans once, in the order of the second plan; a node that only the first has stands before the
    /// node whose rows it carried, or behind its neighbour there.
    pub aligned: Vec<Aligned>,
    /// What a person should know first; empty for plans of one shape.
    pub findings: Vec<Finding>,
}

/// A node of both plans, or of one. Nodes are counted from the top down, as in `rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aligned {
    pub from: Option<usize>,
    pub to: Option<usize>,
    /// It does its work in another way, or with another index.
    pub is_changed: bool,
    /// It feeds another node, or the other side of the same.
    pub is_moved: bool,
}

impl Aligned {
    /// Whether both plans have it, alike and at the same place.
    pub fn is_same(&self) -> bool {
        self.from.is_some() && self.to.is_some() && !self.is_changed && !self.is_moved
    }
}

impl PlanDiff {
    /// Whether the plans have the same shape: exactly when their fingerprints are equal.
    pub fn is_empty(&self) -> bool {
        self.aligned.iter().all(Aligned::is_same)
    }
}

/// What changes on the way from one plan to the other. Costs, rows and conditions do not count.
pub fn diff(from: &Plan, to: &Plan) -> PlanDiff {
    let matched = Matched::new(&from.root, &to.root);
    PlanDiff {
        aligned: matched.aligned(),
        findings: findings::findings(&matched),
    }
}

#[cfg(test)]
mod tests;
