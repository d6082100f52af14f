//! Estimates beside what was counted.

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
