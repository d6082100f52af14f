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
mod tests {
    use proptest::proptest;
    use serde_json::Value;
    use serde_json::json;

    use super::super::parse;
    use super::super::samples;
    use super::super::samples::inner;
    use super::super::samples::node;
    use super::super::samples::outer;
    use super::super::samples::plan;
    use super::super::samples::with;
    use super::*;

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1e-9 * right)
    }

    fn leaf(plan_rows: f64, actual_rows: f64) -> Value {
        outer(node("Seq Scan", plan_rows, actual_rows, &[]))
    }

    /// Positions of the nodes that were compared.
    fn compared(root: &Value) -> Vec<usize> {
        q_error(&plan(root)).nodes.iter().map(|node| node.node_idx).collect()
    }

    #[test]
    fn the_factor_is_the_greater_of_both_ratios_and_knows_its_side() {
        // (estimate, count, q, direction); none is below one row.
        for (estimated, actual, factor, direction) in [
            (100.0, 10.0, 10.0, Direction::Over),
            (10.0, 100.0, 10.0, Direction::Under),
            (7.0, 7.0, 1.0, Direction::Exact),
            (1.0, 0.0, 1.0, Direction::Exact),
            (50.0, 0.0, 50.0, Direction::Over),
            (0.0, 0.25, 1.0, Direction::Exact),
        ] {
            assert_eq!(
                estimate_factor(estimated, actual),
                Some(EstimateFactor { factor, direction })
            );
        }
        assert_eq!(estimate_factor(f64::INFINITY, 1.0), None);
        assert_eq!(estimate_factor(f64::NAN, 1.0), None);
    }

    #[test]
    fn a_plan_has_the_worst_and_the_geometric_mean_of_its_nodes() {
        let errors = q_error(&plan(&node("Append", 8.0, 4.0, &[leaf(90.0, 10.0), leaf(1.0, 12.0)])));
        assert!(close(errors.worst, 12.0));
        assert!(close(errors.mean, 6.0), "the cube root of 2 * 9 * 12");
    }

    #[test]
    fn a_real_plan_is_compared_where_it_was_read_to_the_end() {
        let errors = q_error(&parse(samples::THREE_WAY_JOIN).unwrap());
        // Below the Limit the top-n Sort gave 4 rows of its own accord; the aggregate under it is whole again. 6 is the Hash.
        let found: Vec<(usize, usize)> = errors.nodes.iter().map(|node| (node.node_idx, node.n_joins)).collect();
        assert_eq!(found, [(0, 2), (2, 2), (3, 2), (4, 1), (5, 0), (7, 0), (8, 0)]);
        assert!(close(errors.worst, 50.0), "200 groups estimated, 4 found");
    }

    #[test]
    fn without_analyze_nothing_is_compared() {
        let errors = q_error(&parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap());
        assert_eq!((errors.worst, errors.mean, errors.nodes), (None, None, Vec::new()));
    }

    #[test]
    fn a_node_that_never_ran_is_no_error() {
        let never = with(leaf(1000.0, 0.0), &json!({ "Actual Loops": 0 }));
        assert_eq!(compared(&node("Append", 1.0, 1.0, &[never])), [0]);
    }

    #[test]
    fn nodes_whose_counts_are_no_cardinalities_are_left_out() {
        for node_type in ["BitmapAnd", "BitmapOr", "Hash", "ModifyTable", "Gather", "Gather Merge"] {
            assert_eq!(compared(&node(node_type, 100.0, 0.0, &[])), [0; 0], "{node_type}");
        }
        let partial = with(
            node("Aggregate", 1.0, 3.0, &[leaf(5.0, 5.0)]),
            &json!({ "Strategy": "Hashed", "Partial Mode": "Partial" }),
        );
        assert_eq!(compared(&partial), [1]);
    }

    #[test]
    fn below_a_limit_only_what_a_blocking_node_read_is_compared() {
        let below = |child: Value| node("Limit", 5.0, 5.0, &[outer(child)]);
        assert_eq!(compared(&below(leaf(1000.0, 5.0))), [0]);
        for blocking in [
            node("Sort", 1000.0, 5.0, &[leaf(1000.0, 900.0)]),
            node("Bitmap Heap Scan", 1000.0, 5.0, &[leaf(1000.0, 900.0)]),
            with(
                node("Aggregate", 9.0, 5.0, &[leaf(9.0, 9.0)]),
                &json!({ "Strategy": "Hashed" }),
            ),
            with(
                node("SetOp", 9.0, 5.0, &[leaf(9.0, 9.0)]),
                &json!({ "Strategy": "Hashed" }),
            ),
        ] {
            assert_eq!(compared(&below(blocking)), [0, 2]);
        }
        for streaming in [
            node("Incremental Sort", 1000.0, 5.0, &[leaf(1000.0, 50.0)]),
            node("Materialize", 1000.0, 5.0, &[leaf(1000.0, 5.0)]),
            with(
                node("Aggregate", 9.0, 5.0, &[leaf(9.0, 6.0)]),
                &json!({ "Strategy": "Sorted" }),
            ),
        ] {
            assert_eq!(compared(&below(streaming)), [0]);
        }
    }

    #[test]
    fn an_inner_side_that_is_left_at_the_first_match_is_not_compared() {
        let join = |fields: Value| {
            with(
                node("Nested Loop", 9.0, 9.0, &[leaf(9.0, 9.0), inner(leaf(400.0, 3.0))]),
                &fields,
            )
        };
        assert_eq!(compared(&join(json!({ "Join Type": "Inner" }))), [0, 1, 2]);
        assert_eq!(compared(&join(json!({ "Join Type": "Semi" }))), [0, 1]);
        assert_eq!(compared(&join(json!({ "Join Type": "Anti" }))), [0, 1]);
        assert_eq!(
            compared(&join(json!({ "Join Type": "Inner", "Inner Unique": true }))),
            [0, 1]
        );
    }

    #[test]
    fn a_hashed_inner_side_is_read_whole_even_for_a_semi_join() {
        let hash = inner(node("Hash", 9.0, 9.0, &[leaf(9.0, 9.0)]));
        let join = with(
            node("Hash Join", 9.0, 9.0, &[leaf(9.0, 9.0), hash]),
            &json!({ "Join Type": "Semi" }),
        );
        assert_eq!(compared(&join), [0, 1, 3]);
    }

    #[test]
    fn both_sides_of_a_merge_join_may_stop_early() {
        // Measured: 400 000 estimated and 84 434 counted, because the other side had ended.
        let sorted = inner(node("Sort", 50.0, 70.0, &[leaf(50.0, 50.0)]));
        let join = node("Merge Join", 9.0, 9.0, &[leaf(400_000.0, 84_434.0), sorted]);
        assert_eq!(compared(&join), [0, 3]);
    }

    #[test]
    fn an_empty_hash_table_stops_the_outer_side() {
        let errors = q_error(&parse(samples::EMPTY_HASH_TABLE).unwrap());
        let found: Vec<usize> = errors.nodes.iter().map(|node| node.node_idx).collect();
        assert_eq!(
            found,
            [0, 1, 4],
            "not 2, the Seq Scan on orders: 100 000 estimated, 1 counted"
        );

        let hash = inner(node("Hash", 9.0, 0.0, &[leaf(9.0, 0.0)]));
        let join = node("Hash Join", 9.0, 9.0, &[leaf(9.0, 9.0), hash]);
        assert_eq!(
            compared(&with(join.clone(), &json!({ "Join Type": "Left" }))),
            [0, 1, 3]
        );
        assert_eq!(compared(&with(join, &json!({ "Join Type": "Right" }))), [0, 3]);
    }

    #[test]
    fn a_window_that_may_stop_early_makes_its_input_incomparable() {
        let window = |fields: Value| with(node("WindowAgg", 9.0, 9.0, &[leaf(9.0, 9.0)]), &fields);
        assert_eq!(compared(&window(json!({}))), [0, 1]);
        assert_eq!(
            compared(&window(json!({ "Run Condition": "(row_number() OVER (?) <= 3)" }))),
            [0]
        );
    }

    #[test]
    fn a_node_that_is_not_compared_has_the_reason_that_says_most() {
        let excluded = |root: &Value, node_idx: usize| match judge(&plan(root).root)[node_idx] {
            Judged::Excluded(exclusion) => exclusion,
            Judged::Compared(factor) => panic!("compared: {factor:?}"),
        };
        let below_limit = |child: Value| node("Limit", 5.0, 5.0, &[outer(child)]);
        assert_eq!(excluded(&below_limit(leaf(9.0, 5.0)), 1), Exclusion::BelowLimit);
        let never = with(leaf(9.0, 0.0), &json!({ "Actual Loops": 0 }));
        assert_eq!(excluded(&below_limit(never), 1), Exclusion::NeverExecuted);
        assert_eq!(
            excluded(&below_limit(node("Hash", 9.0, 9.0, &[])), 1),
            Exclusion::NotRows
        );
        let merge = node("Merge Join", 9.0, 9.0, &[leaf(9.0, 9.0), inner(leaf(9.0, 9.0))]);
        assert_eq!(excluded(&below_limit(merge.clone()), 2), Exclusion::BelowMergeJoin);
        assert_eq!(
            excluded(&node("Gather", 9.0, 9.0, &[outer(merge)]), 3),
            Exclusion::ByWorkers
        );
        assert_eq!(
            excluded(&json!({ "Node Type": "Result", "Plan Rows": 1 }), 0),
            Exclusion::NotCounted
        );
    }

    #[test]
    fn what_workers_did_is_not_compared() {
        let gather = node("Gather", 9.0, 9.0, &[outer(node("Sort", 9.0, 9.0, &[leaf(9.0, 9.0)]))]);
        assert_eq!(compared(&node("Append", 9.0, 9.0, &[outer(gather)])), [0]);
    }

    #[test]
    fn a_subplan_is_compared_when_it_was_hashed() {
        let subplan = |relationship: &str| {
            with(
                leaf(100.0, 2.0),
                &json!({ "Parent Relationship": relationship, "Subplan Name": format!("{relationship} 1") }),
            )
        };
        let asking = |child: Value, filter: &str| with(leaf(9.0, 9.0), &json!({ "Plans": [child], "Filter": filter }));
        assert_eq!(
            compared(&asking(subplan("SubPlan"), "(NOT (hashed SubPlan 1))")),
            [0, 1]
        );
        assert_eq!(compared(&asking(subplan("SubPlan"), "(SubPlan 1)")), [0]);
        assert_eq!(compared(&asking(subplan("InitPlan"), "$0")), [0]);
    }

    #[test]
    fn a_cte_is_compared_when_someone_read_it_to_the_end() {
        // The Limit above stops one reader of the CTE; the aggregate of the first scalar subquery is the other.
        let errors = q_error(&parse(samples::CTE_AND_SUBPLAN).unwrap());
        let found: Vec<usize> = errors.nodes.iter().map(|node| node.node_idx).collect();
        // 0 the Limit, 1 the CTE, 3 its reader, 6 and 7 the bitmap scan below the second subquery's aggregate.
        assert_eq!(found, [0, 1, 3, 6, 7]);

        let cte = |name: &str, child: Value| {
            with(
                child,
                &json!({ "Parent Relationship": "InitPlan", "Subplan Name": format!("CTE {name}") }),
            )
        };
        let reader = |name: &str| with(leaf(9.0, 9.0), &json!({ "Node Type": "CTE Scan", "CTE Name": name }));
        let chained = node(
            "Append",
            9.0,
            9.0,
            &[cte("a", leaf(9.0, 9.0)), cte("b", reader("a")), reader("b")],
        );
        assert_eq!(compared(&chained), [0, 1, 2, 3]);
        let unfinished = node(
            "Limit",
            9.0,
            9.0,
            &[cte("a", leaf(9.0, 9.0)), cte("b", reader("a")), reader("b")],
        );
        assert_eq!(compared(&unfinished), [0]);
        let writing = cte("w", node("ModifyTable", 0.0, 0.0, &[leaf(9.0, 9.0)]));
        assert_eq!(compared(&node("Result", 1.0, 1.0, &[writing])), [0, 2]);
    }

    proptest! {
        #[test]
        fn the_factor_is_at_least_one_and_symmetric(estimated in 0.0..1e12f64, actual in 0.0..1e12f64) {
            let forward = estimate_factor(estimated, actual).unwrap();
            let backward = estimate_factor(actual, estimated).unwrap();
            assert!(forward.factor >= 1.0);
            assert!((forward.factor - backward.factor).abs() < f64::EPSILON);
            assert_eq!(forward.direction == Direction::Over, backward.direction == Direction::Under);
        }

        #[test]
        fn the_mean_lies_between_one_and_the_worst(counts in proptest::collection::vec((0.0..1e9f64, 0.0..1e9f64), 1..20)) {
            let leaves: Vec<Value> = counts.iter().map(|(estimated, actual)| leaf(*estimated, *actual)).collect();
            let errors = q_error(&plan(&node("Append", 1.0, 1.0, &leaves)));
            let (mean, worst) = (errors.mean.unwrap(), errors.worst.unwrap());
            assert!(mean >= 1.0 && mean <= worst * (1.0 + 1e-12));
        }
    }
}
