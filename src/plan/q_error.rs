//! How far the planner's row counts were from the truth, node by node, for the nodes where that can be said.
//!
//! The q-error is the factor between estimate and truth, max(e/a, a/e): Moerkotte, Neumann, Steidl, "Preventing Bad Plans by
//! Bounding the Impact of Cardinality Estimation Errors", PVLDB 2(1), VLDB 2009. As there, nothing is below one row: both
//! sides are raised to at least 1. What is left out, and why, was found by running plans (`statistics_sources.md`):
//! EXPLAIN ANALYZE counts the rows that a node gave, and a node that was not asked for all of them proves nothing.

use std::collections::BTreeSet;

use super::node::Node;
use super::node::Plan;
use crate::model::estimate::Direction;
use crate::model::estimate::EstimateFactor;
use crate::model::estimate::NodeEstimate;

/// What can be said of the estimate of one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judged {
    Compared(EstimateFactor),
    Excluded(Exclusion),
}

/// Why estimate and count of a node cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// There is no count: the plan was not run, or not to its end.
    NotCounted,
    NeverExecuted,
    /// Its estimate or its count is not a number of rows.
    NotRows,
    /// The server estimated infinitely many rows, or none that is a number.
    NotFinite,
    BelowLimit,
    FirstMatch,
    BelowMergeJoin,
    EmptyHashTable,
    RunCondition,
    AskedAgain,
    UnreadCte,
    ByWorkers,
}

impl Judged {
    /// The factor, where there is one.
    pub fn factor(self) -> Option<EstimateFactor> {
        match self {
            Self::Compared(factor) => Some(factor),
            Self::Excluded(_) => None,
        }
    }
}

impl Exclusion {
    /// The reason, to stand after "not compared:".
    pub fn words(self) -> &'static str {
        match self {
            Self::NotCounted => "its rows were not counted",
            Self::NeverExecuted => "it never ran",
            Self::NotRows => "it has no row estimate of its own",
            Self::NotFinite => "the estimate is not a finite number",
            Self::BelowLimit => "the Limit above takes only the first rows",
            Self::FirstMatch => "the join above stops at the first match",
            Self::BelowMergeJoin => "the merge join above may stop early and may read rows twice",
            Self::EmptyHashTable => "the join above had nothing to match and stopped",
            Self::RunCondition => "the WindowAgg above may stop early",
            Self::AskedAgain => "a subquery that may be asked again, or for its first row only",
            Self::UnreadCte => "nobody is known to have read this CTE to its end",
            Self::ByWorkers => "estimated for each planned worker, counted for each that was started",
        }
    }
}

/// The q-errors of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct QErrors {
    /// The greatest; `None` when no node can be compared, as without ANALYZE.
    pub worst: Option<f64>,
    /// The geometric mean.
    pub mean: Option<f64>,
    /// The nodes that can be compared, from the top down.
    pub nodes: Vec<NodeEstimate>,
}

/// The q-errors of an analyzed plan. Left out are nodes
/// * that never ran;
/// * whose counts are no cardinalities: `BitmapAnd`, `BitmapOr`, `Hash`, `ModifyTable`, `Gather`, `Gather Merge`, partial aggregates;
/// * that may have been stopped early: below a Limit or a `WindowAgg` with a run condition, on the inner side of a semi or
///   anti join or one whose inner side is unique, on either side of a merge join (its inner side also counts again the rows
///   that it goes back to), the outer side of a hash join that found nothing to match, in a subplan that is
///   asked again for each row or may be an EXISTS, in a CTE nobody read to the end. A node that reads all its input before
///   its first row (a sort, a hash, a hashed or plain aggregate, a bitmap) makes what lies below it comparable again;
/// * below a Gather, where estimates are for each planned worker (divided by w + max(0, 1 - 0.3 w) for the w workers of the
///   scan itself) and counts for each launched one.
///
/// What it cannot see: a bitmap scan of a BRIN index reports ten rows for each page, whatever the page holds.
pub fn q_error(plan: &Plan) -> QErrors {
    let mut joins = Vec::new();
    list_joins(&plan.root, &mut joins);
    let nodes: Vec<NodeEstimate> = judge(&plan.root)
        .into_iter()
        .zip(joins)
        .enumerate()
        .filter_map(|(node_idx, (judged, n_joins))| {
            Some(NodeEstimate {
                node_idx,
                n_joins,
                estimate: judged.factor()?,
            })
        })
        .collect();
    let factors = || nodes.iter().map(|node| node.estimate.factor);
    QErrors {
        worst: factors().reduce(f64::max),
        mean: geometric_mean(factors()),
        nodes,
    }
}

/// What can be said of every node's estimate, from the top down.
pub fn judge(root: &Node) -> Vec<Judged> {
    let mut walk = Walk {
        judged: vec![Judged::Excluded(Exclusion::NotCounted); root.n_nodes()],
        waiting_ctes: Vec::new(),
        read_ctes: BTreeSet::new(),
    };
    walk.visit(root, 0, Reading::Whole);
    // A CTE runs only as far as it is read, and only earlier ones are read by later ones: last in, first out.
    while let Some((node_idx, cte)) = walk.waiting_ctes.pop() {
        let is_read = cte.cte_name().is_some_and(|name| walk.read_ctes.contains(name));
        // A writing CTE always runs to its end, read or not.
        let reading = if is_read || cte.node_type == "ModifyTable" {
            Reading::Whole
        } else {
            Reading::Partial(Exclusion::UnreadCte)
        };
        walk.visit(cte, node_idx, reading);
    }
    walk.judged
}

/// How much of a node's rows its parent is known to have taken.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Whole,
    /// Perhaps not all, and why.
    Partial(Exclusion),
    ByWorkers,
}

struct Walk<'a> {
    judged: Vec<Judged>,
    waiting_ctes: Vec<(usize, &'a Node)>,
    read_ctes: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, node: &'a Node, node_idx: usize, reading: Reading) {
        self.judged[node_idx] = match (compare(node), reading) {
            // That it never ran, or counts something else, says more than where it stands.
            (excluded @ Judged::Excluded(_), _) => excluded,
            (compared, Reading::Whole) => compared,
            (_, Reading::Partial(exclusion)) => Judged::Excluded(exclusion),
            (_, Reading::ByWorkers) => Judged::Excluded(Exclusion::ByWorkers),
        };
        if reading == Reading::Whole && node.node_type == "CTE Scan" && ran(node) {
            self.read_ctes.extend(node.object.as_deref());
        }
        let mut child_idx = node_idx + 1;
        for child in &node.children {
            if child.cte_name().is_some() {
                self.waiting_ctes.push((child_idx, child));
            } else {
                self.visit(child, child_idx, reading_of_child(node, child, reading));
            }
            child_idx += child.n_nodes();
        }
    }
}

fn reading_of_child(node: &Node, child: &Node, reading: Reading) -> Reading {
    match child.parent_relationship.as_deref() {
        Some("SubPlan") if node.hashes(child) => Reading::Whole,
        Some("InitPlan" | "SubPlan") => Reading::Partial(Exclusion::AskedAgain),
        _ if reading == Reading::ByWorkers || is_gather(node) => Reading::ByWorkers,
        _ if reads_all_input_first(node) => Reading::Whole,
        _ => may_stop_early(node, child).map_or(reading, Reading::Partial),
    }
}

fn is_gather(node: &Node) -> bool {
    matches!(node.node_type.as_str(), "Gather" | "Gather Merge")
}

/// A sorted aggregate and an incremental sort give rows as they go, so they are not among these.
fn reads_all_input_first(node: &Node) -> bool {
    match node.node_type.as_str() {
        "Sort" | "Hash" | "Bitmap Heap Scan" => true,
        "Aggregate" => matches!(node.strategy.as_deref(), Some("Plain" | "Hashed")),
        "SetOp" => node.strategy.as_deref() == Some("Hashed"),
        _ => false,
    }
}

/// Why `node` may leave `child` before its last row, if it may.
fn may_stop_early(node: &Node, child: &Node) -> Option<Exclusion> {
    let is_inner = child.parent_relationship.as_deref() == Some("Inner");
    match node.node_type.as_str() {
        "Limit" => Some(Exclusion::BelowLimit),
        "Merge Join" => Some(Exclusion::BelowMergeJoin),
        "Nested Loop" if is_inner && (node.inner_unique || joins_one_match(node)) => Some(Exclusion::FirstMatch),
        "Hash Join" if !is_inner && !keeps_outer_rows(node) && hashed_nothing(node) => Some(Exclusion::EmptyHashTable),
        "WindowAgg" if node.details.iter().any(|(name, _)| name == "Run Condition") => Some(Exclusion::RunCondition),
        _ => None,
    }
}

fn joins_one_match(join: &Node) -> bool {
    join.join_type
        .as_deref()
        .is_some_and(|join_type| join_type.ends_with("Semi") || join_type.ends_with("Anti"))
}

fn keeps_outer_rows(join: &Node) -> bool {
    matches!(join.join_type.as_deref(), Some("Left" | "Full" | "Anti"))
}

/// A hash join with an empty hash table takes one outer row and ends: 100 000 estimated, 1 counted, no error.
fn hashed_nothing(join: &Node) -> bool {
    let inner = join
        .children
        .iter()
        .find(|child| child.parent_relationship.as_deref() == Some("Inner"));
    inner.is_some_and(|hash| ran(hash) && hash.actual_rows == Some(0.0))
}

fn ran(node: &Node) -> bool {
    node.actual_loops.is_some_and(|n_loops| n_loops > 0.0)
}

/// Compares per loop, as EXPLAIN gives both. Servers before 18 round the count to whole rows.
fn compare(node: &Node) -> Judged {
    let (Some(actual_rows), Some(n_loops)) = (node.actual_rows, node.actual_loops) else {
        return Judged::Excluded(Exclusion::NotCounted);
    };
    if n_loops <= 0.0 {
        return Judged::Excluded(Exclusion::NeverExecuted);
    }
    if !counts_rows(node) {
        return Judged::Excluded(Exclusion::NotRows);
    }
    estimate_factor(node.plan_rows, actual_rows).map_or(Judged::Excluded(Exclusion::NotFinite), Judged::Compared)
}

fn counts_rows(node: &Node) -> bool {
    !is_gather(node)
        && !matches!(
            node.node_type.as_str(),
            "BitmapAnd" | "BitmapOr" | "Hash" | "ModifyTable"
        )
        && node.partial_mode.as_deref() != Some("Partial")
}

fn estimate_factor(estimated_rows: f64, actual_rows: f64) -> Option<EstimateFactor> {
    if !estimated_rows.is_finite() || !actual_rows.is_finite() {
        return None;
    }
    let (estimated, actual) = (estimated_rows.max(1.0), actual_rows.max(1.0));
    Some(if estimated > actual {
        EstimateFactor {
            factor: estimated / actual,
            direction: Direction::Over,
        }
    } else if actual > estimated {
        EstimateFactor {
            factor: actual / estimated,
            direction: Direction::Under,
        }
    } else {
        EstimateFactor {
            factor: 1.0,
            direction: Direction::Exact,
        }
    })
}

fn list_joins(node: &Node, joins: &mut Vec<usize>) {
    joins.push(node.n_joins());
    for child in &node.children {
        list_joins(child, joins);
    }
}

/// The exponential of the mean logarithm, which cannot overflow as a product would.
fn geometric_mean(factors: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n_factors) = factors.fold((0.0, 0.0), |(sum, n), factor| (sum + factor.ln(), n + 1.0));
    (n_factors > 0.0).then(|| (sum / n_factors).exp())
}

#[cfg(test)]
mod tests;
